/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parameters as administrators know them: "mdt.lull-MDT0000.recovery_status". Every device has a
 * list of them; names are "<type>.<device>.<parameter>". Globs: * ? and [ ] within one component or
 * across dots as lctl does.
 */
#pragma once
#include "kapi/containers.h"

namespace lull {

// Collects text for a parameter's value; sticky -ENOSPC/-ENOMEM.
class TextSink {
public:
    explicit TextSink(size_t limit_bytes) : limit_(limit_bytes) {}
    template <class... Args> void printf(const char* format, Args... args)
    {
        char line[512];
        int n = kapi_snprintf(line, sizeof line, format, args...);
        append(Str(line, n < 0                               ? 0
                         : n < static_cast<int>(sizeof line) ? static_cast<size_t>(n)
                                                             : sizeof line - 1));
    }
    void append(Str s);
    Str text() const { return Str(out_.data(), out_.size()); }
    Status status() const { return status_; }

private:
    size_t limit_, room_ = 0;
    Vec<char> out_;
    Status status_;
};

// One parameter: a name and what to do. object is what the device gave with the table.
struct Param {
    const char* name;
    Status (*show)(void* object, TextSink& out);  // null: write-only
    Status (*store)(void* object, Str value);     // null: read-only
};
Str trimmed(Str value);                // without spaces and newlines at its end, as echo adds them
Result<uint64_t> parse_u64(Str text);  // decimal, or 0x…; -EINVAL, -ERANGE
bool glob_match(Str pattern, Str name);

}  // namespace lull
