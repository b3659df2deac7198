// SPDX-License-Identifier: GPL-2.0-only
// What the parts of the model share: comparisons, and system calls that signals interrupt.
#pragma once
#include <string>

#include "kapi/errno.h"
#include "kapi/kapi.h"
#include "kapi/sim/task.h"
#include "kapi/sim/world.h"

namespace lull::sim {

void expect_equal(int64_t got, int64_t want, const char* what, const std::string& path);
void expect_text(const std::string& got, const std::string& want, const char* what,
                 const std::string& path);

// As the kernel restarts a system call after a signal's handler has run; not that of a killed
// process.
template <class F> auto restarted(F call, uint64_t* interruptions)
{
    for (;;) {
        auto result = call();
        if (result != -kERESTARTNOINTR || kapi_fatal_signal_pending()) return result;
        ++*interruptions;
        world().clear_signal(&world().current());
    }
}

}  // namespace lull::sim
