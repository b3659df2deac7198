/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs an operation with all the gates it needs held (A8). When a server answers "park" in the
 * middle, or one of several cannot be reached, everything is given up, the gates are waited for
 * without holding any, and the operation starts again (B3): fn must be fit to be repeated up to its
 * first lasting effect.
 */
#pragma once
#include "mdc/mdc.h"

namespace lull {

// a server parks us while our gates are still open: its callback is on the way
inline constexpr uint64_t kParkPauseNs = 2 * kMsec;

inline bool back_to_gates(Status s) { return s.is(kEPark) || s.is(kEGiveWay); }

// Waits without holding any. -ERESTARTSYS.
inline Status wait_gates(std::span<Gate* const> gates, WaitMode mode = WaitMode::kInterruptible)
{
    bool open = true;
    for (Gate* gate : gates) open = open && gate->state() == Gate::State::kOpen;
    if (open) kapi_sleep_ns(kParkPauseNs);
    for (Gate* gate : gates) TRY(gate->wait_open(mode, gates.size() > 1));
    return kOk;
}

template <class Fn>
Status run_gated(std::span<Gate* const> gates, Fn fn, WaitMode mode = WaitMode::kInterruptible)
{
    for (;;) {
        {
            GateScope scope;
            TRY(scope.enter(gates, mode));
            Status s = fn();
            if (!back_to_gates(s)) return s;
        }
        TRY(wait_gates(gates, mode));
    }
}

// For a create: fn takes a FID and sends it. An eviction may come in between, and with it goes the
// sequence of that FID.
template <class Fn> Status with_new_fid(Mdc& mdc, Fn fn)
{
    for (;;) {
        Fid fid = TRY(mdc.next_fid());
        Status s = fn(fid);
        if (!s.is(kEINVAL) || !mdc.has_lapsed(fid)) return s;
    }
}

}  // namespace lull
