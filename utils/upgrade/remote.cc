// SPDX-License-Identifier: GPL-2.0-only
#include "utils/upgrade/remote.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <cstdio>

namespace lull::upgrade {

namespace {

std::string quoted(const std::string& text)
{
    std::string out = "'";
    for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

void replace_all(std::string& text, const std::string& what, const std::string& with)
{
    for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
        text.replace(at, what.size(), with);
}

Outcome shell(const std::string& command, unsigned limit_s)
{
    std::string all =
        fmt::format("timeout --kill-after=5 {} sh -c {} 2>&1 </dev/null", limit_s, quoted(command));
    FILE* pipe = popen(all.c_str(), "r");
    if (!pipe) throw Surprise("cannot start a shell");
    Outcome outcome;
    char piece[4096];
    while (size_t n = fread(piece, 1, sizeof piece, pipe)) outcome.output.append(piece, n);
    int status = pclose(pipe);
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 255;
    while (!outcome.output.empty() && outcome.output.back() == '\n') outcome.output.pop_back();
    return outcome;
}

}  // namespace

Outcome Remote::try_run(const std::string& node, const std::string& command, unsigned limit_s) const
{
    std::string way = way_;
    replace_all(way, "{node}", node);
    return shell(way + " " + quoted(command), limit_s);
}

std::string Remote::run(const std::string& node, const std::string& command, unsigned limit_s) const
{
    Outcome outcome = try_run(node, command, limit_s);
    if (outcome.status == 0) return outcome.output;
    throw Surprise(fmt::format("{}: \"{}\" {}: {}", node, command,
                               outcome.status == 124
                                   ? fmt::format("took more than {} s", limit_s)
                                   : fmt::format("failed with status {}", outcome.status),
                               outcome.output));
}

Outcome run_here(std::string command, const std::string& node, unsigned limit_s)
{
    replace_all(command, "{node}", node);
    return shell(command, limit_s);
}

}  // namespace lull::upgrade
