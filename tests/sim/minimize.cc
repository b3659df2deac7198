// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/minimize.h"

#include <algorithm>
#include <cstdio>

namespace lull::sim {

bool Minimizer::still_fails(const Without& without)
{
    attempts_++;
    Outcome o = attempt_(without);
    bool same = o.failed && (last_.where.empty() || o.where == last_.where);
    if (same) last_ = std::move(o);
    return same;
}

// One pass over what is left, so many names at once.
bool Minimizer::drop_some(size_t at_once)
{
    bool dropped = false;
    std::vector<std::string> left;
    for (auto& n : names_)
        if (!without_.count(n)) left.push_back(n);
    for (size_t at = 0; at < left.size(); at += at_once) {
        Without more = without_;
        for (size_t i = at; i < std::min(left.size(), at + at_once); i++) more.insert(left[i]);
        if (!still_fails(more)) continue;
        without_ = more;
        dropped = true;
        printf("  without %zu of %zu names it still fails\n", without_.size(), names_.size());
        fflush(stdout);
    }
    return dropped;
}

bool Minimizer::run(Without without)
{
    without_ = std::move(without);
    if (!still_fails(without_)) return false;
    for (size_t at_once = names_.size() / 2; at_once > 1; at_once /= 2) drop_some(at_once);
    while (drop_some(1)) {}
    return true;
}

}  // namespace lull::sim
