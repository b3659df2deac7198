// SPDX-License-Identifier: GPL-2.0-only
#include "utils/wait_param.h"

#include <cerrno>
#include <chrono>
#include <sstream>
#include <thread>

#include "include/lull/user_api.h"
#include "utils/control.h"

namespace lull::utils {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kLookEvery = std::chrono::milliseconds(50);

// The first parameter that is not as wanted, with its value; empty: all are.
Answer first_difference(const std::string& glob, const std::string& wanted)
{
    Answer names = control(LULL_CTL_LIST, glob);
    if (names.error) return names;
    std::istringstream lines(names.text);
    for (std::string name; std::getline(lines, name);) {
        Answer got = control(LULL_CTL_GET, name);
        if (got.error) return got;
        std::string value = got.text.substr(got.text.find('=') + 1);
        value.erase(0, value.find_first_not_of('\n'));
        if (!value.starts_with(wanted)) return got;
    }
    return {};
}

}  // namespace

int wait_param(const std::string& glob, const std::string& wanted, double limit_s)
{
    auto deadline = Clock::now() + std::chrono::duration<double>(limit_s);
    for (;;) {
        Answer different = first_difference(glob, wanted);
        bool not_there_yet = different.error == ENOENT;
        if (!different.error && different.text.empty()) return 0;
        if ((different.error && !not_there_yet) || Clock::now() >= deadline) {
            std::string seen =
                not_there_yet ? "there is no such parameter on this node" : different.text;
            fprintf(stderr, "lctl: wait_param %s %s: after %g s: %s\n", glob.c_str(),
                    wanted.c_str(), limit_s, seen.c_str());
            return different.error && !not_there_yet ? different.error : ETIMEDOUT;
        }
        std::this_thread::sleep_for(kLookEvery);
    }
}

}  // namespace lull::utils
