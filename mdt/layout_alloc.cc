// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/layout_alloc.h"

namespace lull {

Status check_default_layout(const Layout& layout)
{
    if (!layout.objects.empty()) return -kEINVAL;
    if (layout.stripe_bytes % kStripeUnitBytes != 0) return -kEINVAL;
    if (layout.stripe_count > kStripesMax && layout.stripe_count != kAllOsts) return -kEINVAL;
    return kOk;
}

Layout effective_default(const Layout& of_directory, uint32_t fs_stripe_bytes,
                         uint32_t fs_stripe_count)
{
    Layout l;
    l.stripe_bytes = of_directory.is_set() ? of_directory.stripe_bytes : fs_stripe_bytes;
    l.stripe_count = of_directory.is_set() && of_directory.stripe_count ? of_directory.stripe_count
                                                                        : fs_stripe_count;
    if (l.stripe_bytes == 0 || l.stripe_bytes % kStripeUnitBytes != 0) l.stripe_bytes = 1u << 20;
    if (l.stripe_count == 0) l.stripe_count = 1;
    return l;
}

Status place_stripes(const Layout& wanted, std::span<const uint32_t> osts, uint64_t turn,
                     Layout* out)
{
    size_t n = wanted.stripe_count;
    if (n > osts.size()) n = osts.size();
    if (n > kStripesMax) n = kStripesMax;
    out->stripe_bytes = wanted.stripe_bytes;
    out->stripe_count = static_cast<uint32_t>(n);
    out->objects.clear();
    TRY(out->objects.resize(n));
    for (size_t i = 0; i < n; i++) out->objects[i].ost_index = osts[(turn + i) % osts.size()];
    return kOk;
}

}  // namespace lull
