/* SPDX-License-Identifier: GPL-2.0-only */
/* Talks to /dev/lull for the tools: see include/lull/user_api.h. */
#pragma once
#include <cstdint>
#include <string>

namespace lull::utils {

struct Answer {
    int error = 0;     // 0 or errno
    std::string text;  // result, or what the kernel says about the error
};

// Never throws; error ENODEV with a hint when the modules are not loaded.
Answer control(uint32_t command, const std::string& input);

}  // namespace lull::utils
