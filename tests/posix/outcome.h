// SPDX-License-Identifier: GPL-2.0-only
// What a step gave: what the call returned, and what it showed of the file system.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace lull::posix {

struct Outcome {
    long ret = 0;
    int err = 0;       // errno of a call that returned -1
    std::string seen;  // data, attributes, names: text, made so that what may differ is not in it

    bool operator==(const Outcome&) const = default;
    static Outcome failed(int err) { return {-1, err, {}}; }
    static Outcome saw(std::string seen) { return {0, 0, std::move(seen)}; }
};

// "-1 ENOENT", "0: file 0644 …": one line for people.
std::string to_line(const Outcome& outcome);
std::string error_name(int err);
// For the way from one process to the other.
std::string pack(const Outcome& outcome);
std::optional<Outcome> unpack(std::string_view bytes);

// Data in a line: its length, a digest, and where it is zero.
std::string describe(std::string_view data);

}  // namespace lull::posix
