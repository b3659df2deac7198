// SPDX-License-Identifier: GPL-2.0-only
#include "lnet/nid.h"

namespace lull {

NidText to_text(Nid nid)
{
    return text_format<24>("%u.%u.%u.%u@tcp", nid.addr >> 24, (nid.addr >> 16) & 255,
                           (nid.addr >> 8) & 255, nid.addr & 255);
}

bool is_among(Nid nid, const Vec<Nid>& nids)
{
    for (const Nid& n : nids)
        if (n == nid) return true;
    return false;
}

Result<Nid> parse_nid(Str text)
{
    size_t at = text.find('@');
    if (at != SIZE_MAX) {
        if (!(text.substr(at) == Str("@tcp")) && !(text.substr(at) == Str("@tcp0")))
            return -kEINVAL;
        text = text.substr(0, at);
    }
    uint32_t addr = 0;
    size_t i = 0;
    for (int part = 0; part < 4; part++) {
        if (part > 0 && (i >= text.size() || text[i++] != '.')) return -kEINVAL;
        unsigned value = 0, digits = 0;
        for (; i < text.size() && text[i] >= '0' && text[i] <= '9' && digits < 4; i++, digits++)
            value = value * 10 + static_cast<unsigned>(text[i] - '0');
        if (digits == 0 || digits > 3 || value > 255) return -kEINVAL;
        addr = addr << 8 | value;
    }
    if (i != text.size() || addr == 0) return -kEINVAL;
    return Nid{addr};
}

Status parse_nids(Str text, Vec<Nid>* out)
{
    size_t from = 0;
    while (from <= text.size()) {
        size_t to = from;
        while (to < text.size() && text[to] != ':' && text[to] != ',') to++;
        Nid nid = TRY(parse_nid(text.substr(from, to - from)));
        if (out->size() >= kNidsMax) return -kENOSPC;
        TRY(out->push_back(nid));
        from = to + 1;
    }
    return kOk;
}

}  // namespace lull
