// SPDX-License-Identifier: GPL-2.0-only
#include "tests/posix/compare.h"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

namespace lull::posix {

namespace {

constexpr size_t kShownLines = 8;
constexpr size_t kShownOutcome = 100;

std::vector<std::string> lines_of(const std::string& text)
{
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

std::string shortened(const Outcome& outcome)
{
    std::string line = to_line(outcome);
    std::replace(line.begin(), line.end(), '\n', ';');
    return line.size() > kShownOutcome ? line.substr(0, kShownOutcome) + "…" : line;
}

Divergence silent(size_t i, const Step& step, const char* side, const Doer& doer)
{
    Divergence d;
    d.index = i;
    d.what =
        fmt::format("{} of actor {} at {}: {}", side, step.actor, op_name(step.op), doer.why());
    return d;
}

}  // namespace

std::string difference(const Step& step, const Outcome& lull, const Outcome& ext4)
{
    if (lull == ext4) return "";
    std::string what = lull.err != ext4.err   ? "error of "
                       : lull.ret != ext4.ret ? "result of "
                                              : "what is seen by ";
    what += op_name(step.op);
    if (lull.err != ext4.err)
        what += fmt::format(" ({}, ext4: {})", lull.err ? error_name(lull.err) : "none",
                            ext4.err ? error_name(ext4.err) : "none");
    return what;
}

Comparison compare(const Program& program, Sides& sides, Exceptions& exceptions)
{
    Comparison out;
    for (size_t i = 0; i < program.size(); i++) {
        const Step& step = program[i];
        if (exceptions.not_tried(step)) {
            out.answers.push_back("not tried: see exceptions.cc");
            continue;
        }
        Doer &lull = *sides.lull[step.actor], &ext4 = *sides.ext4[step.actor];
        std::optional<Outcome> a = lull.run(step);
        if (!a) return out.divergence = silent(i, step, "Lull", lull), out;
        out.answers.push_back(shortened(*a));
        if (exceptions.refused(step, *a)) continue;
        std::optional<Outcome> b = ext4.run(step);
        if (!b) return out.divergence = silent(i, step, "ext4", ext4), out;
        out.succeeded += a->err == 0;
        std::string what = difference(step, *a, *b);
        if (what.empty() || exceptions.may_differ(step, *a, *b)) continue;
        out.divergence = Divergence{i, *a, *b, what};
        return out;
    }
    return out;
}

std::string differing_lines(const std::string& lull, const std::string& ext4)
{
    std::vector<std::string> a = lines_of(lull), b = lines_of(ext4), only_a, only_b;
    auto not_in = [](const auto& lines, const std::string& line) {
        return std::find(lines.begin(), lines.end(), line) == lines.end();
    };
    std::copy_if(a.begin(), a.end(), std::back_inserter(only_a),
                 [&](auto& l) { return not_in(b, l); });
    std::copy_if(b.begin(), b.end(), std::back_inserter(only_b),
                 [&](auto& l) { return not_in(a, l); });
    std::string out;
    for (size_t i = 0; i < std::min(only_a.size(), kShownLines); i++)
        out += "    Lull: " + only_a[i] + "\n";
    for (size_t i = 0; i < std::min(only_b.size(), kShownLines); i++)
        out += "    ext4: " + only_b[i] + "\n";
    return out;
}

std::string listing(const Program& program, const Comparison& c)
{
    std::string out;
    size_t end = c.divergence ? c.divergence->index + 1 : program.size();
    for (size_t i = 0; i < std::min(end, program.size()); i++) {
        const Step& s = program[i];
        out +=
            fmt::format("    /* client {}{} */ {};", s.actor + 1, s.user ? ", user" : "", to_c(s));
        if (i < c.answers.size()) out += "  // " + c.answers[i];
        out += "\n";
    }
    if (!c.divergence) return out;
    const Divergence& d = *c.divergence;
    out += fmt::format("  differs: {}\n", d.what);
    if (d.lull != d.ext4) {
        Outcome a = d.lull, b = d.ext4;
        bool many = a.seen.find('\n') != a.seen.npos || b.seen.find('\n') != b.seen.npos;
        if (many) {
            out += differing_lines(a.seen, b.seen);
            a.seen.clear(), b.seen.clear();
        }
        if (!many || a != b) out += "    Lull: " + to_line(a) + "\n    ext4: " + to_line(b) + "\n";
    }
    out += "  to run it again, with --program=FILE:\n";
    for (size_t i = 0; i < std::min(end, program.size()); i++) out += to_text(program[i]) + "\n";
    return out;
}

}  // namespace lull::posix
