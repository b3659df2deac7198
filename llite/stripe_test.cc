// SPDX-License-Identifier: GPL-2.0-only
#include "llite/stripe.h"

#include <gtest/gtest.h>

using lull::Striping;

TEST(Striping, PlacesChunksRoundRobin)
{
    Striping s{65536, 3};
    EXPECT_EQ(s.place(0).stripe, 0u);
    EXPECT_EQ(s.place(65535).left, 1u);
    EXPECT_EQ(s.place(65536).stripe, 1u);
    EXPECT_EQ(s.place(65536).offset, 0u);
    EXPECT_EQ(s.place(3 * 65536 + 7).stripe, 0u);
    EXPECT_EQ(s.place(3 * 65536 + 7).offset, 65536u + 7);
}

TEST(Striping, OffsetsGoBackAndForth)
{
    for (uint32_t count : {1u, 2u, 3u, 7u})
        for (uint64_t pos :
             {0ull, 1ull, 65535ull, 65536ull, 1000000ull, 123456789012ull, (1ull << 62) + 12345}) {
            Striping s{65536, count};
            auto p = s.place(pos);
            EXPECT_EQ(s.file_offset(p.stripe, p.offset), pos);
        }
}

TEST(Striping, ObjectSizesAgreeWithCounting)
{
    Striping s{4, 3};
    for (uint64_t size = 0; size < 60; size++) {
        uint64_t counted[3] = {};
        for (uint64_t pos = 0; pos < size; pos++) counted[s.place(pos).stripe]++;
        uint64_t file = 0;
        for (uint32_t i = 0; i < 3; i++) {
            EXPECT_EQ(s.object_size(i, size), counted[i]) << size << " " << i;
            file = std::max(file, s.file_size(i, counted[i]));
        }
        EXPECT_EQ(file, size);
    }
}

TEST(Striping, StartOfARangeInEachObject)
{
    Striping s{4, 2};
    for (uint64_t pos = 0; pos < 40; pos++)
        for (uint32_t i = 0; i < 2; i++) {
            uint64_t start = s.object_start(i, pos);
            EXPECT_GE(s.file_offset(i, start), pos);
            if (start) {
                EXPECT_LT(s.file_offset(i, start - 1), pos);
            }
        }
}

TEST(Striping, LimitsDoNotWrap)
{
    Striping s{1u << 20, 4};
    EXPECT_EQ(s.file_offset(1, UINT64_MAX), UINT64_MAX);
    EXPECT_EQ(s.file_size(3, UINT64_MAX), UINT64_MAX);
    EXPECT_LE(s.object_size(0, UINT64_MAX), UINT64_MAX / 4 + (1u << 20));
    Striping one{1u << 20, 1};
    EXPECT_EQ(one.object_size(0, UINT64_MAX), UINT64_MAX);
    EXPECT_EQ(one.file_offset(0, 12345), 12345u);
}
