// SPDX-License-Identifier: GPL-2.0-only
/* How a FID is written as a file name: 0x200000400:0x1:0x0. */
#pragma once
#include "include/lull/fid.h"
#include "kapi/containers.h"

namespace lull {

using FidName = Text<40>;
FidName fid_name(const Fid& fid);
Result<Fid> parse_fid_name(Str text);  // -EINVAL
Text<2> fid_bucket(const Fid& fid);    // two hex digits, one of the 256 directories of an index

}  // namespace lull
