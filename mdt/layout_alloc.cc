// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/layout_alloc.h"

namespace lull {

namespace {

// Its multiples, taken as fractions of 2^64, are spread evenly, however few of them there are (the
// golden ratio).
constexpr uint64_t kEvenly = 0x9e3779b97f4a7c15;
constexpr uint64_t kWeightMax = 1u << 20;

bool is_balanced(std::span<const OstSpace> osts, uint32_t threshold_percent, uint64_t* most)
{
    uint64_t least = UINT64_MAX;
    *most = 0;
    for (const OstSpace& ost : osts) {
        if (ost.avail_bytes == 0) continue;
        if (ost.avail_bytes > *most) *most = ost.avail_bytes;
        if (ost.avail_bytes < least) least = ost.avail_bytes;
    }
    if (*most == 0) return true;
    unsigned shift = *most >> 56 ? 8 : 0;  // so that percents fit
    return (least >> shift) * 100 >= (*most >> shift) * (100 - threshold_percent);
}

Status weigh(std::span<const OstSpace> osts, uint64_t most, Vec<uint32_t>* weights)
{
    uint64_t unit = most / kWeightMax + 1;
    for (const OstSpace& ost : osts) {
        uint64_t weight = (ost.avail_bytes ? ost.avail_bytes : most) / unit;
        TRY(weights->push_back(static_cast<uint32_t>(weight ? weight : 1)));
    }
    return kOk;
}

// One of those that have a weight left; it loses it.
size_t draw(Vec<uint32_t>& weights, uint64_t point)
{
    uint64_t total = 0;
    for (uint32_t weight : weights) total += weight;
    uint64_t at = (point >> 32) * total >> 32;
    size_t i = 0;
    while (at >= weights[i]) at -= weights[i++];
    weights[i] = 0;
    return i;
}

}  // namespace

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

Status place_stripes(const Layout& wanted, std::span<const OstSpace> osts, uint64_t turn,
                     uint32_t threshold_percent, Layout* out)
{
    size_t n = wanted.stripe_count;
    if (n > osts.size()) n = osts.size();
    if (n > kStripesMax) n = kStripesMax;
    out->stripe_bytes = wanted.stripe_bytes;
    out->stripe_count = static_cast<uint32_t>(n);
    out->objects.clear();
    TRY(out->objects.resize(n));
    uint64_t most;
    Vec<uint32_t> weights;
    bool in_turn = is_balanced(osts, threshold_percent, &most);
    if (!in_turn) TRY(weigh(osts, most, &weights));
    for (size_t i = 0; i < n; i++) {
        size_t at = in_turn ? (turn + i) % osts.size() : draw(weights, (turn * n + i) * kEvenly);
        out->objects[i].ost_index = osts[at].index;
    }
    return kOk;
}

}  // namespace lull
