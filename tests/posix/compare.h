// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a program on two file systems, step by step, and stops where they disagree. Who does the
 * steps (a process here, one on another client, a fake) is behind Doer.
 */
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/posix/exceptions.h"
#include "tests/posix/outcome.h"
#include "tests/posix/step.h"

namespace lull::posix {

// One process on one file system.
class Doer {
public:
    virtual ~Doer() = default;
    // nullopt: it does not answer any more; why() says what is known.
    virtual std::optional<Outcome> run(const Step& step) = 0;
    virtual std::string why() const { return "no answer"; }
};

struct Divergence {
    size_t index = 0;  // of the step
    Outcome lull, ext4;
    std::string what;  // "data of pread": the same text is the same fault
};

struct Sides {
    std::vector<std::unique_ptr<Doer>> lull, ext4;  // one of each for every actor
};

// "" if nothing differs, or what does.
std::string difference(const Step& step, const Outcome& lull, const Outcome& ext4);

// Both answers to every step up to the divergence, if there is one.
struct Comparison {
    std::optional<Divergence> divergence;
    std::vector<std::string> answers;  // one line a step, for the listing
    size_t succeeded = 0;              // steps that returned no error
};

Comparison compare(const Program& program, Sides& sides, Exceptions& exceptions);

// The program as C with what came of every step, and both answers to the last one.
std::string listing(const Program& program, const Comparison& comparison);
// Lines of two texts that differ, a few of them.
std::string differing_lines(const std::string& lull, const std::string& ext4);

}  // namespace lull::posix
