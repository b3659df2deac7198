// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shrinks a failing seed: leaves out events, workers, kinds of operations and conditions of its
 * plan as long as it fails in the same way, each attempt in a process of its own. Prints the
 * command that shows what is left, and the story of that.
 */
#pragma once
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace lull::sim {

class Minimizer {
public:
    struct Outcome {
        bool failed = false;
        std::string where;  // the line that complained: what "in the same way" means
        std::string output;
    };
    using Without = std::set<std::string>;
    // attempt: runs the seed without these; names: what could be left out.
    Minimizer(std::function<Outcome(const Without&)> attempt, std::vector<std::string> names)
        : attempt_(std::move(attempt)), names_(std::move(names))
    {}
    // False: it does not fail at all.
    bool run(Without without);
    const Without& without() const { return without_; }
    const Outcome& last() const { return last_; }
    unsigned attempts() const { return attempts_; }

private:
    bool still_fails(const Without& without);
    bool drop_some(size_t at_once);

    std::function<Outcome(const Without&)> attempt_;
    std::vector<std::string> names_;
    Without without_;
    Outcome last_;
    unsigned attempts_ = 0;
};

}  // namespace lull::sim
