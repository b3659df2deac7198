/* SPDX-License-Identifier: GPL-2.0-only */
/* RAID-0 layouts of new files: which OSTs, in which order. Pure, so that it can be tested alone. */
#pragma once
#include "include/lull/ops_common.h"

namespace lull {

inline constexpr uint32_t kStripeUnitBytes = 64u << 10;  // stripe sizes are multiples
inline constexpr uint32_t kAllOsts = UINT32_MAX;

// A default as a client may set it on a directory: -EINVAL.
Status check_default_layout(const Layout& layout);
// What a new file gets: the directory's default, filled up with the file system's.
Layout effective_default(const Layout& of_directory, uint32_t fs_stripe_bytes,
                         uint32_t fs_stripe_count);
// stripe_bytes and the OST of each stripe, without object FIDs: round robin from turn. osts must
// not be empty.
Status place_stripes(const Layout& wanted, std::span<const uint32_t> osts, uint64_t turn,
                     Layout* out);

}  // namespace lull
