// SPDX-License-Identifier: GPL-2.0-only
/* What an upgrade leaves: a JSON file for machines, a picture for people. */
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "utils/upgrade/upgrade.h"

namespace lull::upgrade {

std::string to_json(const Report& report)
{
    nlohmann::json steps = nlohmann::json::array();
    for (const Step& s : report.steps)
        steps.push_back({{"target", s.target},
                         {"from", s.from},
                         {"to", s.to},
                         {"clients", s.clients},
                         {"begin_s", s.begin_s},
                         {"halted_s", s.halted_s},
                         {"started_s", s.started_s},
                         {"served_s", s.served_s},
                         {"phases_ms", s.phases_ms}});
    return nlohmann::json{{"verdict", report.surprise.empty() ? "done" : "stopped"},
                          {"surprise", report.surprise},
                          {"down", report.down},
                          {"seconds", report.seconds},
                          {"steps", steps}}
               .dump(1) +
           "\n";
}

namespace {

constexpr double kWidth = 1000, kLeft = 220, kRow = 26, kTop = 50;

std::string bar(double from_s, double to_s, double scale, double y, const char* colour,
                const char* what)
{
    if (to_s <= from_s) return "";
    return fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"18\" fill=\"{}\">"
        "<title>{} {:.2f} s</title></rect>\n",
        kLeft + from_s * scale, y, std::max((to_s - from_s) * scale, 1.0), colour, what,
        to_s - from_s);
}

}  // namespace

std::string to_svg(const Report& report)
{
    double scale = (kWidth - kLeft - 20) / std::max(report.seconds, 0.1), y = kTop;
    std::string out = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" "
        "font-family=\"sans-serif\" font-size=\"12\">\n"
        "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        "<text x=\"20\" y=\"24\" font-size=\"15\">Rolling upgrade, {:.0f} s: shutdown (yellow), "
        "down (red), until all clients are back (green)</text>\n",
        kWidth, kTop + kRow * static_cast<double>(report.steps.size()) + 20, report.seconds);
    for (const Step& s : report.steps) {
        out += fmt::format("<text x=\"20\" y=\"{:.1f}\">{} {} to {}</text>\n", y + 14, s.target,
                           s.from, s.to);
        out += bar(s.begin_s, s.halted_s, scale, y, "#f3d9a4", "shutdown");
        out += bar(s.halted_s, s.started_s, scale, y, "#f0b8a8", "down");
        out += bar(s.started_s, s.served_s, scale, y, "#cfe3c4", "clients back");
        y += kRow;
    }
    return out + "</svg>\n";
}

}  // namespace lull::upgrade
