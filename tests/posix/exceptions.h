// SPDX-License-Identifier: GPL-2.0-only
/*
 * What Lull may do otherwise than ext4, each with a reason. There is no other way for a difference
 * to be overlooked. Kinds:
 *   kRefused     Lull says that it cannot do this (the error is the entry's); ext4 is not asked.
 *   kDiffers     both have done it, and say different things about it.
 *   kNotTried    a known fault that would make all that follows differ: neither does it. Only for
 *                what is being mended.
 */
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/posix/outcome.h"
#include "tests/posix/step.h"

namespace lull::posix {

struct Exception {
    enum Kind { kRefused, kDiffers, kNotTried };
    Kind kind;
    const char* name;
    const char* reason;
    std::function<bool(const Step&, int actors)> concerns;
    std::function<bool(const Outcome& lull, const Outcome& ext4)> allows;  // of kRefused: Lull's
};

class Exceptions {
public:
    explicit Exceptions(int actors) : actors_(actors) {}
    bool not_tried(const Step& step);
    bool refused(const Step& step, const Outcome& lull);
    bool may_differ(const Step& step, const Outcome& lull, const Outcome& ext4);
    // Names with how often each was made use of.
    const std::map<std::string, size_t>& used() const { return used_; }
    static const std::vector<Exception>& all();

private:
    int actors_;
    std::map<std::string, size_t> used_;
};

}  // namespace lull::posix
