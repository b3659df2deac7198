// SPDX-License-Identifier: GPL-2.0-only
#include "target/start_check.h"

namespace lull {

StartDecision check_start(const StartFacts& f)
{
    StartDecision d;
    if (f.first) {
        d.kind = StartKind::kFresh;
        return d;
    }
    d.version_changed = f.protocol_before != f.protocol_now;
    bool down = f.protocol_now < f.protocol_before;
    if (!f.clean && d.version_changed && !f.force) {
        d.why = text_format<200>(
            "protocol version %u (%s) ran here and was not shut down cleanly, "
            "this is version %u: start the old version, shut it "
            "down with controlled_shutdown=1, or use -o force (evicts)",
            f.protocol_before, f.software_before.c_str(), f.protocol_now);
        return d;
    }
    if (f.abort_recov || down) {
        d.kind = StartKind::kFresh;
        d.evict_all = true;
    } else if (f.clean) {
        d.kind = StartKind::kResume;
    } else {
        d.kind = f.clients ? StartKind::kRecover : StartKind::kFresh;
    }
    return d;
}

}  // namespace lull
