// SPDX-License-Identifier: GPL-2.0-only
#include "tests/posix/minimize.h"

#include <algorithm>

namespace lull::posix {

// On success the program is that, cut off after the step that failed.
bool Minimizer::still_fails(const Program& program)
{
    if (std::chrono::steady_clock::now() > deadline_) return false;
    attempts_++;
    Attempt a = run_(program);
    if (a.what != what_) return false;
    program_.assign(program.begin(), program.begin() + std::min(a.index + 1, program.size()));
    return true;
}

// One pass from the end to the beginning: what comes last needs what comes first.
bool Minimizer::leave_out(size_t at_once)
{
    bool smaller = false;
    for (size_t end = program_.size(); end > 0;) {
        size_t begin = end > at_once ? end - at_once : 0;
        Program fewer = program_;
        fewer.erase(fewer.begin() + begin, fewer.begin() + end);
        smaller |= !fewer.empty() && still_fails(fewer);
        end = std::min(begin, program_.size());
    }
    return smaller;
}

bool Minimizer::try_step(size_t i, Step plainer)
{
    if (i >= program_.size() || plainer == program_[i]) return false;
    Program changed = program_;
    changed[i] = std::move(plainer);
    return still_fails(changed);
}

bool Minimizer::make_plainer()
{
    bool changed = false;
    for (size_t i = 0; i < program_.size(); i++) {
        auto with = [&](auto change) {
            if (i >= program_.size()) return;
            Step plainer = program_[i];
            change(plainer);
            changed |= try_step(i, plainer);
        };
        with([](Step& s) { s.user = false; });
        with([](Step& s) { s.actor = 0; });
        with([](Step& s) { s.off = 0; });
        with([](Step& s) { s.off2 = 0; });
        with([](Step& s) { s.len = std::min<int64_t>(s.len, 1); });
        with([](Step& s) { s.len = std::min<int64_t>(s.len, 4096); });
        for (uint32_t bit = 4; bit; bit <<= 1)  // not the access mode
            with([bit](Step& s) { s.flags &= s.op == Op::k_open ? ~bit : ~0u; });
    }
    return changed;
}

Program Minimizer::minimize(Program program, const std::string& what)
{
    program_ = std::move(program);
    what_ = what;
    repeats_ = still_fails(Program(program_));
    if (!repeats_) return program_;
    for (size_t at_once = program_.size() / 2; at_once > 1; at_once /= 2) leave_out(at_once);
    while (leave_out(1)) {}
    if (make_plainer())
        while (leave_out(1)) {}
    return program_;
}

}  // namespace lull::posix
