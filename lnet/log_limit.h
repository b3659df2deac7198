/* SPDX-License-Identifier: GPL-2.0-only */
/* Lets one log line a second through, so that a misbehaving peer cannot flood the log. */
#pragma once
#include "kapi/sync.h"

namespace lull {

class LogLimit {
public:
    bool allow()
    {
        uint64_t now = now_ns(), last = last_ns_.load(std::memory_order_relaxed);
        if (last != 0 && now - last < kSec) return false;
        return last_ns_.compare_exchange_strong(last, now, std::memory_order_relaxed);
    }

private:
    std::atomic<uint64_t> last_ns_{0};
};

}  // namespace lull
