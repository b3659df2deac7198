// SPDX-License-Identifier: GPL-2.0-only
#include "tests/posix/outcome.h"

#include <charconv>
#include <cstdint>
#include <cstring>

#include <fmt/format.h>

namespace lull::posix {

namespace {

constexpr size_t kMaxRuns = 12;
constexpr size_t kShortBytes = 16;  // shown as they are

uint32_t digest(std::string_view data)
{
    uint64_t h = 0xcbf29ce484222325;
    for (unsigned char c : data) h = (h ^ c) * 0x100000001b3;
    return h ^ h >> 32;
}

}  // namespace

std::string error_name(int err)
{
    const char* name = strerrorname_np(err);
    return name ? name : std::to_string(err);
}

std::string to_line(const Outcome& o)
{
    std::string out = std::to_string(o.ret);
    if (o.err) out += " " + error_name(o.err);
    return o.seen.empty() ? out : out + ": " + o.seen;
}

std::string pack(const Outcome& o) { return fmt::format("{} {} {}", o.ret, o.err, o.seen); }

std::optional<Outcome> unpack(std::string_view bytes)
{
    Outcome o;
    const char *at = bytes.data(), *end = at + bytes.size();
    auto ret = std::from_chars(at, end, o.ret);
    if (ret.ec != std::errc{} || ret.ptr == end || *ret.ptr != ' ') return {};
    auto err = std::from_chars(ret.ptr + 1, end, o.err);
    if (err.ec != std::errc{} || err.ptr == end || *err.ptr != ' ') return {};
    o.seen.assign(err.ptr + 1, end);
    return o;
}

std::string describe(std::string_view data)
{
    std::string out = fmt::format("{} bytes", data.size());
    size_t runs = 0;
    for (size_t at = 0; at < data.size() && runs < kMaxRuns; runs++) {
        size_t end = at;
        bool zero = data[at] == 0;
        while (end < data.size() && (data[end] == 0) == zero) end++;
        std::string_view run = data.substr(at, end - at);
        out += fmt::format(" [{},{}) ", at, end);
        if (zero) out += "zero";
        else if (run.size() > kShortBytes) out += fmt::format("#{:08x}", digest(run));
        else
            for (unsigned char c : run) out += fmt::format("{:02x}", c);
        at = end;
    }
    if (runs == kMaxRuns) out += fmt::format(" all #{:08x}", digest(data));
    return out;
}

}  // namespace lull::posix
