/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * RAID-0 layouts of new files: which OSTs, in which order. Pure, so that it can be tested alone.
 *
 * In turn, as long as the OST with the least space has nearly as much as the one with the most.
 * Beyond that, space weighs: of two OSTs the one with twice the space gets twice the stripes.
 */
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

// Differences of space up to so many percent do not weigh, as Lustre's qos_threshold_rr.
inline constexpr uint32_t kQosThresholdRr = 17;
struct OstSpace {
    uint32_t index = 0;
    uint64_t avail_bytes = 0;  // 0: not known, taken for the most
};
// stripe_bytes and the OST of each stripe, without object FIDs: the turn-th since the start. osts
// must not be empty; fewer of them than stripes are wanted: fewer stripes.
Status place_stripes(const Layout& wanted, std::span<const OstSpace> osts, uint64_t turn,
                     uint32_t threshold_percent, Layout* out);

}  // namespace lull
