/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Network identifiers as administrators write them: 10.0.0.1@tcp. Several for one server:
 * 10.0.0.1@tcp:10.0.0.2@tcp.
 */
#pragma once
#include "kapi/containers.h"

namespace lull {

struct Nid {
    uint32_t addr = 0;  // IPv4, host order
    bool is_zero() const { return addr == 0; }
    friend bool operator==(const Nid&, const Nid&) = default;
};
inline constexpr size_t kNidsMax = 8;  // per target

using NidText = Text<24>;
NidText to_text(Nid nid);
bool is_among(Nid nid, const Vec<Nid>& nids);
Result<Nid> parse_nid(Str text);  // -EINVAL; "@tcp" may be left out
// separated by ':' or ','; -EINVAL, -ENOSPC over kNidsMax
Status parse_nids(Str text, Vec<Nid>* out);

}  // namespace lull
