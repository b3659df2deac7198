// SPDX-License-Identifier: GPL-2.0-only
#include "osd/fid_name.h"

namespace lull {

FidName fid_name(const Fid& fid)
{
    return text_format<40>("0x%llx:0x%x:0x%x", static_cast<unsigned long long>(fid.seq), fid.oid,
                           fid.ver);
}

static Result<uint64_t> parse_hex(Str text)
{
    if (!text.starts_with("0x") || text.size() < 3 || text.size() > 18) return -kEINVAL;
    uint64_t v = 0;
    for (size_t i = 2; i < text.size(); i++) {
        char c = text[i];
        unsigned digit;
        if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
        else if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
        else return -kEINVAL;
        v = v << 4 | digit;
    }
    return v;
}

Result<Fid> parse_fid_name(Str text)
{
    size_t first = text.find(':');
    size_t second = first == SIZE_MAX ? SIZE_MAX : text.find(':', first + 1);
    if (second == SIZE_MAX) return -kEINVAL;
    uint64_t seq = TRY(parse_hex(text.substr(0, first)));
    uint64_t oid = TRY(parse_hex(text.substr(first + 1, second - first - 1)));
    uint64_t ver = TRY(parse_hex(text.substr(second + 1)));
    if (oid > UINT32_MAX || ver > UINT32_MAX) return -kEINVAL;
    return Fid{seq, static_cast<uint32_t>(oid), static_cast<uint32_t>(ver)};
}

Text<2> fid_bucket(const Fid& fid)
{
    uint64_t h =
        (fid.seq ^ (static_cast<uint64_t>(fid.oid) << 17) ^ fid.ver) * 0x9e3779b97f4a7c15ull;
    return text_format<2>("%02x", static_cast<unsigned>(h >> 56));
}

}  // namespace lull
