// SPDX-License-Identifier: GPL-2.0-only
#include "target/evictor.h"

namespace lull {

Status Evictor::start(uint64_t period_ms)
{
    period_ms_ = period_ms;
    return task_.start<&Evictor::run>(this, "lull_evictor");
}

void Evictor::stop()
{
    *stop_.lock() = true;
    changed_.wake_all();
    task_.join();
}

void Evictor::run()
{
    auto stop = stop_.lock();
    while (!*stop) {
        (void)stop.wait_until(
            changed_, [&] { return *stop; }, deadline_after_ms(period_ms_));
        if (*stop) break;
        stop.unlock();
        env_.evict_silent();
        env_.evict_expired();
        stop.relock();
    }
}

}  // namespace lull
