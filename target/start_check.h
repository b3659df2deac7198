// SPDX-License-Identifier: GPL-2.0-only
/*
 * May this target start, and what becomes of the clients of the instance before (A4, A13, S10)?
 *
 *   before      version     force   start     clients
 *   nothing     -           -       fresh     none known
 *   clean       same, up    -       resume    open replay only, no window (B1)
 *   clean       down        -       fresh     all evicted (S10)
 *   unclean     same        -       recover   window; none known: nothing to wait for
 *   unclean     up          no      refused
 *   unclean     up          yes     recover   window; who has more than opens to replay is evicted
 *                                             when it connects
 *   unclean     down        no      refused
 *   unclean     down        yes     fresh     all evicted
 *   any         abort_recov -       fresh     all evicted (if it may start at all)
 */
#pragma once
#include "target/clean_record.h"

namespace lull {

struct StartFacts {
    bool first = false;  // no instance before
    uint16_t protocol_before = 0, protocol_now = 0;
    VersionText software_before;
    bool clean = false;
    size_t clients = 0;  // known
    bool force = false, abort_recov = false;
};

enum class StartKind : uint8_t { kFresh, kResume, kRecover, kRefuse };
struct StartDecision {
    StartKind kind = StartKind::kRefuse;
    bool evict_all = false;
    bool version_changed = false;
    Text<200> why;  // refused: what to do
};
StartDecision check_start(const StartFacts& facts);

}  // namespace lull
