/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A number that is never handed out twice, whatever crashes: blocks are reserved in a record of the
 * target and synced before their first number is used; what is left of a block at a restart is
 * skipped. Thread-safe. Errors: the store's.
 */
#pragma once
#include "osd/store.h"

namespace lull {

class PersistentCounter {
public:
    PersistentCounter(Store& store, const char* record, uint64_t first, uint64_t block)
        : store_(store), record_(record), first_(first), block_(block)
    {}
    // and reserves the first block, not yet synced: the caller does that for all its counters
    Status load();
    Result<uint64_t> next();
    uint64_t upper() const;  // every number handed out so far, in any life, is below

private:
    struct State {
        uint64_t next = 0, end = 0;
    };
    Status reserve_locked(State& s, uint64_t from);
    Store& store_;
    const char* const record_;
    const uint64_t first_, block_;
    mutable Guarded<State> state_{LockRank::kMdtObject};
};

}  // namespace lull
