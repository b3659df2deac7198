// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/layout_alloc.h"

#include <gtest/gtest.h>

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
    const uint32_t osts[] = {0, 3, 4};
    std::set<uint32_t> firsts;
    for (uint64_t turn = 0; turn < 3; turn++) {
        Layout l;
        ASSERT_TRUE(place_stripes(wanted(1 << 20, 2), osts, turn, &l).ok());
        ASSERT_EQ(2u, l.objects.size());
        EXPECT_NE(l.objects[0].ost_index, l.objects[1].ost_index);
        firsts.insert(l.objects[0].ost_index);
    }
    EXPECT_EQ(3u, firsts.size());
    for (uint32_t count : {3u, 10u, kAllOsts}) {
        Layout l;
        ASSERT_TRUE(place_stripes(wanted(1 << 20, count), osts, UINT64_MAX, &l).ok());
        EXPECT_EQ(3u, l.objects.size());
        EXPECT_EQ(3u, l.stripe_count);
    }
}

}  // namespace
