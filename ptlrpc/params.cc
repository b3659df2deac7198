// SPDX-License-Identifier: GPL-2.0-only
#include "ptlrpc/params.h"

namespace lull {

void TextSink::append(Str s)
{
    if (!status_.ok()) return;
    if (s.size() > limit_ - out_.size()) {
        s = s.substr(0, limit_ - out_.size());
        status_ = Status(-kENOSPC);
    }
    size_t at = out_.size(), need = at + s.size();
    if (need > room_) {
        room_ = need < 256 ? 256 : need + need / 2;
        if (room_ > limit_) room_ = limit_;
        if (Status grown = out_.reserve(room_); !grown.ok()) {
            status_ = grown;
            return;
        }
    }
    (void)out_.resize(need);  // there is room
    if (!s.empty()) memcpy(&out_[at], s.data(), s.size());
}

Str trimmed(Str value)
{
    while (!value.empty() && (value[value.size() - 1] == '\n' || value[value.size() - 1] == ' '))
        value = value.substr(0, value.size() - 1);
    return value;
}

namespace {

int digit_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

// One [...] at pattern[at], which is behind the '['. Gives where it ends; SIZE_MAX when it has no
// ']'.
size_t match_class(Str pattern, size_t at, char c, bool* matches)
{
    bool negated = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
    if (negated) at++;
    bool found = false;
    for (size_t first = at; at < pattern.size(); at++) {
        if (pattern[at] == ']' && at > first) {
            *matches = found != negated;
            return at + 1;
        }
        char low = pattern[at], high = low;
        if (at + 2 < pattern.size() && pattern[at + 1] == '-' && pattern[at + 2] != ']') {
            high = pattern[at + 2];
            at += 2;
        }
        if (low <= c && c <= high) found = true;
    }
    return SIZE_MAX;
}

// One pattern element other than '*' against c. Gives the next position, or SIZE_MAX when it does
// not match.
size_t match_one(Str pattern, size_t at, char c)
{
    if (pattern[at] == '?') return at + 1;
    if (pattern[at] == '[') {
        bool matches = false;
        size_t next = match_class(pattern, at + 1, c, &matches);
        if (next != SIZE_MAX) return matches ? next : SIZE_MAX;
    }
    return pattern[at] == c ? at + 1 : SIZE_MAX;
}

}  // namespace

Result<uint64_t> parse_u64(Str text)
{
    while (!text.empty() && (text[text.size() - 1] == '\n' || text[text.size() - 1] == ' '))
        text = text.substr(0, text.size() - 1);
    unsigned base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text = text.substr(2);
    }
    if (text.empty()) return -kEINVAL;
    uint64_t value = 0;
    for (size_t i = 0; i < text.size(); i++) {
        unsigned digit = static_cast<unsigned>(digit_value(text[i]));
        if (digit >= base) return -kEINVAL;
        if (value > (UINT64_MAX - digit) / base) return -kERANGE;
        value = value * base + digit;
    }
    return value;
}

// Goes back to the last '*' only, so that no pattern takes more than pattern * name steps.
bool glob_match(Str pattern, Str name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, star_n = 0;
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = ++p;
            star_n = n;
            continue;
        }
        size_t next = p < pattern.size() ? match_one(pattern, p, name[n]) : SIZE_MAX;
        if (next != SIZE_MAX) {
            p = next;
            n++;
        } else if (star != SIZE_MAX) {
            p = star;
            n = ++star_n;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') p++;
    return p == pattern.size();
}

}  // namespace lull
