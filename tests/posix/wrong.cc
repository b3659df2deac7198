// SPDX-License-Identifier: GPL-2.0-only
#include "tests/posix/wrong.h"

#include <cerrno>
#include <set>

namespace lull::posix {

bool WrongExecutor::known(const std::string& kind)
{
    static const std::set<std::string> kinds = {"", "data", "lost-write", "error", "listing"};
    return kinds.contains(kind);
}

Outcome WrongExecutor::run(const Step& step)
{
    if (kind_ == "lost-write" && step.op == Op::k_pwrite && step.off >= 4096) {
        Step nothing = step;
        nothing.len = 0;
        Outcome out = executor_.run(nothing);
        return out.err ? out : Outcome{step.len, 0, {}};
    }
    Outcome out = executor_.run(step);
    if (kind_ == "data" && step.op == Op::k_pread && out.ret > 4096) out.seen += "!";
    if (kind_ == "error" && step.op == Op::k_rmdir && out.err == ENOTEMPTY) out.err = EEXIST;
    if (kind_ == "listing" && step.op == Op::k_list && !out.err)
        out.seen.erase(out.seen.rfind('\n', out.seen.size() - 2) + 1);
    return out;
}

}  // namespace lull::posix
