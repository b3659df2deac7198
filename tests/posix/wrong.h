// SPDX-License-Identifier: GPL-2.0-only
// Faults on purpose, so that a test can see that the exerciser notices.
#pragma once
#include <string>

#include "tests/posix/executor.h"

namespace lull::posix {

class WrongExecutor {
public:
    // kind: "", "data" (one bit of what is read behind the first page), "lost-write" (a pwrite
    // behind the first page does nothing), "error" (of rmdir), "listing" (a name is missing).
    WrongExecutor(bool reference, std::string kind) : executor_(reference), kind_(std::move(kind))
    {}
    static bool known(const std::string& kind);
    Outcome run(const Step& step);

private:
    Executor executor_;
    std::string kind_;
};

}  // namespace lull::posix
