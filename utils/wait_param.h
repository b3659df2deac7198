/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * lctl wait_param: scripts wait for a state ("halted", "FULL"), and say what they saw instead when
 * it does not come.
 */
#pragma once
#include <string>

namespace lull::utils {

// Until every parameter that the glob matches (one at least) has a value that begins with wanted.
// Exit status: 0; ETIMEDOUT; or the errno of a node without Lull. A parameter that is not there yet
// is waited for.
int wait_param(const std::string& glob, const std::string& wanted, double limit_s);

}  // namespace lull::utils
