// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes a program that fails smaller, as long as it fails in the same way: leaves out steps in
 * halves, quarters … and at last one by one, then makes what is left plainer.
 */
#pragma once
#include <chrono>
#include <functional>
#include <string>

#include "tests/posix/step.h"

namespace lull::posix {

class Minimizer {
public:
    struct Attempt {
        std::string what;  // "" if nothing failed
        size_t index = 0;  // of the step that failed
    };
    using Run = std::function<Attempt(const Program&)>;

    Minimizer(Run run, std::chrono::seconds limit)
        : run_(std::move(run)), deadline_(std::chrono::steady_clock::now() + limit)
    {}
    // The smallest program found that fails with what; the program itself if it does not repeat.
    Program minimize(Program program, const std::string& what);
    bool repeats() const { return repeats_; }
    size_t attempts() const { return attempts_; }

private:
    bool still_fails(const Program& program);
    bool leave_out(size_t at_once);
    bool make_plainer();
    bool try_step(size_t i, Step plainer);

    Run run_;
    std::chrono::steady_clock::time_point deadline_;
    Program program_;
    std::string what_;
    bool repeats_ = false;
    size_t attempts_ = 0;
};

}  // namespace lull::posix
