/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The text form of a layout, as administrators read and write it in the "lull.layout" attribute:
 *
 *   stripe_count=2 stripe_size=1048576
 *   stripe_count=2 stripe_size=1048576 objects=0:[0x100000000:0x5:0x0],1:[0x100000001:0x5:0x0]
 *                                      (of a file)
 *
 * Written: stripe_count (-1: all OSTs) and stripe_size (K, M, G allowed; a multiple of 64 KiB) in
 * any order; what is missing is the default; "none" takes the directory's default away. Errors:
 * -EINVAL.
 */
#pragma once
#include "include/lull/ops_common.h"

namespace lull {

class TextSink;

inline constexpr uint32_t kStripeUnitBytes = 64u << 10;
inline constexpr uint32_t kStripeDefaultBytes = 1u << 20;

Status parse_layout(Str text, Layout* out);
void print_layout(const Layout& layout, TextSink& out);

}  // namespace lull
