// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/layout_alloc.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

using namespace lull;

namespace {

Layout wanted(uint32_t bytes, uint32_t count)
{
    Layout l;
    l.stripe_bytes = bytes;
    l.stripe_count = count;
    return l;
}

TEST(LayoutAlloc, ChecksDefaults)
{
    EXPECT_TRUE(check_default_layout(wanted(1 << 20, 2)).ok());
    EXPECT_TRUE(check_default_layout(wanted(0, 0)).ok());
    EXPECT_TRUE(check_default_layout(wanted(64 << 10, kAllOsts)).ok());
    EXPECT_TRUE(check_default_layout(wanted(4096, 1)).is(kEINVAL));
    EXPECT_TRUE(check_default_layout(wanted(64 << 10, kStripesMax + 1)).is(kEINVAL));
    Layout l = wanted(64 << 10, 1);
    ASSERT_TRUE(l.objects.resize(1).ok());
    EXPECT_TRUE(check_default_layout(l).is(kEINVAL));
}

TEST(LayoutAlloc, DirectoryBeforeFileSystem)
{
    Layout e = effective_default(Layout(), 2 << 20, 3);
    EXPECT_EQ(2u << 20, e.stripe_bytes);
    EXPECT_EQ(3u, e.stripe_count);
    e = effective_default(wanted(64 << 10, 0), 2 << 20, 3);
    EXPECT_EQ(64u << 10, e.stripe_bytes);
    EXPECT_EQ(3u, e.stripe_count);
    e = effective_default(Layout(), 0, 0);
    EXPECT_EQ(1u << 20, e.stripe_bytes);
    EXPECT_EQ(1u, e.stripe_count);
}

TEST(LayoutAlloc, RoundRobinOverDistinctOsts)
{
    const OstSpace osts[] = {{0, 100}, {3, 90}, {4, 0}};
    std::set<uint32_t> firsts;
    for (uint64_t turn = 0; turn < 3; turn++) {
        Layout l;
        ASSERT_TRUE(place_stripes(wanted(1 << 20, 2), osts, turn, 17, &l).ok());
        ASSERT_EQ(2u, l.objects.size());
        EXPECT_NE(l.objects[0].ost_index, l.objects[1].ost_index);
        firsts.insert(l.objects[0].ost_index);
    }
    EXPECT_EQ(3u, firsts.size());
    for (uint32_t count : {3u, 10u, kAllOsts}) {
        Layout l;
        ASSERT_TRUE(place_stripes(wanted(1 << 20, count), osts, UINT64_MAX, 17, &l).ok());
        EXPECT_EQ(3u, l.objects.size());
        EXPECT_EQ(3u, l.stripe_count);
    }
}

// How many of the stripes of new files each OST gets.
std::map<uint32_t, unsigned> shares(std::span<const OstSpace> osts, uint32_t stripes,
                                    uint32_t threshold, unsigned files)
{
    std::map<uint32_t, unsigned> out;
    for (unsigned turn = 0; turn < files; turn++) {
        Layout l;
        EXPECT_TRUE(place_stripes(wanted(1 << 20, stripes), osts, turn, threshold, &l).ok());
        std::set<uint32_t> distinct;
        for (const StripeObject& s : l.objects) distinct.insert(s.ost_index);
        EXPECT_EQ(l.objects.size(), distinct.size());
        for (uint32_t index : distinct) out[index]++;
    }
    return out;
}

TEST(LayoutAlloc, SpaceWeighsBeyondTheThreshold)
{
    constexpr uint64_t kTera = 1ull << 40;
    const OstSpace osts[] = {{1, 3 * kTera}, {2, 1 * kTera}};
    auto got = shares(osts, 1, 17, 100);  // at once, not only in the long run
    EXPECT_NEAR(75, got[1], 2);
    EXPECT_NEAR(25, got[2], 2);
    got = shares(osts, 2, 17, 100);
    EXPECT_EQ(100u, got[1]);
    EXPECT_EQ(100u, got[2]);
    got = shares(osts, 1, 100, 100);  // never
    EXPECT_EQ(50u, got[1]);
    const OstSpace alike[] = {{1, 100 * kTera}, {2, 84 * kTera}};
    got = shares(alike, 1, 17, 100);
    EXPECT_EQ(50u, got[2]);
    got = shares(alike, 1, 10, 100);
    EXPECT_NEAR(100 * 84 / 184, got[2], 2);
}

TEST(LayoutAlloc, WeightsOfAnySize)
{
    // of which one was not asked yet; of which one has nothing to speak of
    const OstSpace osts[] = {{1, UINT64_MAX}, {2, 0}, {3, 1}};
    auto got = shares(osts, 1, 17, 1000);
    EXPECT_NEAR(500, got[1], 20);
    EXPECT_NEAR(500, got[2], 20);
    EXPECT_LE(got[3], 2u);
    got = shares(osts, 3, 17, 100);
    EXPECT_EQ(100u, got[3]);
    const OstSpace small[] = {{1, 3}, {2, 1}};
    got = shares(small, 1, 0, 100);
    EXPECT_NEAR(75, got[1], 2);
}

}  // namespace
