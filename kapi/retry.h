/* SPDX-License-Identifier: GPL-2.0-only */
/* For what would be lost, or left behind at a server, if it were given up for want of memory. */
#pragma once
#include "kapi/kapi.h"
#include "kapi/result.h"

namespace lull {

// f() until it says something else than -kENOMEM, for five seconds. Sleeps.
template <class F> Status while_no_memory(F f)
{
    constexpr unsigned kTries = 500;
    constexpr uint64_t kPauseNs = 10 * 1000 * 1000;
    Status s = f();
    for (unsigned tries = 1; s.is(kENOMEM) && tries < kTries; tries++) {
        kapi_sleep_ns(kPauseNs);
        s = f();
    }
    return s;
}

}  // namespace lull
