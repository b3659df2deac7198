/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * FIDs for this client's creates, out of sequences that the MDT grants. Protocol version 1 knows
 * none: the zero FID then. The version may change at a restart of the MDT, so the caller holds the
 * import's gate from next() until its create is answered.
 */
#pragma once
#include "ptlrpc/import.h"

namespace lull {

class FidSource {
public:
    explicit FidSource(Import& import) : import_(import), state_(LockRank::kOsc) {}
    Result<Fid> next();
    void forget();  // the sequence: evicted, it is not ours any more
    // Of a sequence that was forgotten: what was refused with it is to be tried with another one.
    bool has_lapsed(const Fid& fid);

private:
    struct State {
        uint64_t seq = 0, forgotten = 0;  // forgotten: the highest; sequences grow
        uint32_t oid = 0;
        bool fetching = false;
    };
    Status fetch(Guarded<State>::Access& state);
    Import& import_;
    Guarded<State> state_;
    CondVar fetched_;
};

}  // namespace lull
