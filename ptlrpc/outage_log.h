/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the log says while something that is tried again and again fails: one line when that begins,
 * one every ten minutes with the number of attempts. The end has a line of its caller's own. It has
 * no lock; its owner's protects it.
 */
#pragma once
#include "kapi/sync.h"

namespace lull {

class OutageLog {
public:
    static constexpr uint64_t kAgainNs = 600 * kSec;

    // The caller has said that it begins.
    void begin(uint64_t now)
    {
        if (began_ns_ == 0) began_ns_ = said_ns_ = now;
    }
    // An attempt failed. True: the caller writes a line that ends with describe().
    bool failed(uint64_t now)
    {
        attempts_++;
        if (said_ns_ != 0 && now - said_ns_ < kAgainNs) return false;
        begin(now);
        said_ns_ = now;
        return true;
    }
    void over() { *this = OutageLog(); }
    Text<60> describe(uint64_t now) const
    {
        if (now - began_ns_ < kAgainNs) return "trying on";
        return text_format<60>("trying for %llu minutes now, %llu times",
                               static_cast<unsigned long long>((now - began_ns_) / (60 * kSec)),
                               static_cast<unsigned long long>(attempts_));
    }

private:
    uint64_t began_ns_ = 0, said_ns_ = 0;  // 0: all is well
    uint64_t attempts_ = 0;
};

}  // namespace lull
