// SPDX-License-Identifier: GPL-2.0-only
#include "ofd/grants.h"

#include <gtest/gtest.h>

using namespace lull;

namespace {

constexpr uint64_t kMiB = 1u << 20;
constexpr uint64_t kTotal = 1024 * kMiB;

TEST(Grants, InitialIsGivenOncePerConnection)
{
    Grants g;
    ClientGrant a;
    EXPECT_EQ(Grants::kClientMaxBytes, g.initial(a, kTotal, kTotal));
    EXPECT_EQ(Grants::kClientMaxBytes, g.initial(a, kTotal, kTotal));
    EXPECT_EQ(Grants::kClientMaxBytes, g.promised());
    g.close(a);
    EXPECT_EQ(0u, g.promised());
    EXPECT_EQ(0u, g.initial(a, kTotal, kTotal));  // its client is gone
}

TEST(Grants, WriteUsesAndGetsMore)
{
    Grants g;
    ClientGrant a;
    g.initial(a, kTotal, kTotal);
    ASSERT_TRUE(g.admit(&a, 4 * kMiB, 4 * kMiB, kTotal, kTotal).ok());
    EXPECT_EQ(28 * kMiB, g.promised());
    EXPECT_EQ(4 * kMiB, g.further(a, 100 * kMiB, kTotal - 4 * kMiB, kTotal));
    EXPECT_EQ(0u, g.further(a, kMiB, kTotal, kTotal));
    EXPECT_EQ(0u, g.further(a, 0, kTotal, kTotal));
}

TEST(Grants, MoreThanPromisedIsStillTaken)
{
    Grants g;
    ClientGrant a;
    EXPECT_TRUE(g.admit(&a, kMiB, kMiB, 0, kTotal).ok());
    EXPECT_EQ(0u, g.promised());
}

TEST(Grants, WithoutGrantOnlyWhatIsLeft)
{
    Grants g;
    ClientGrant a, none;
    uint64_t reserve = Grants::reserve_of(kTotal);
    g.initial(a, kTotal, kTotal);
    uint64_t free = reserve + Grants::kClientMaxBytes + kMiB;
    EXPECT_TRUE(g.admit(&none, 0, kMiB, free, kTotal).ok());
    EXPECT_TRUE(g.admit(nullptr, 0, kMiB, free, kTotal).ok());
    EXPECT_TRUE(g.admit(&none, 0, kMiB + 1, free, kTotal).is(kENOSPC));
    EXPECT_TRUE(g.admit(&none, 0, 1, reserve, kTotal).is(kENOSPC));
}

TEST(Grants, ShrinksAsSpaceGetsShort)
{
    Grants g;
    uint64_t reserve = Grants::reserve_of(kTotal);
    ClientGrant a, b, c;
    EXPECT_EQ(8 * kMiB, g.initial(a, reserve + 64 * kMiB, kTotal));
    EXPECT_EQ(7 * kMiB, g.initial(b, reserve + 64 * kMiB, kTotal));
    EXPECT_EQ(0u, g.initial(c, reserve + 16 * kMiB, kTotal));  // less than a chunk is left over
    EXPECT_EQ(0u, g.initial(c, 0, kTotal));
}

// Never more promised than there is, whatever the order of events.
TEST(Grants, SumOfPromisesFits)
{
    Grants g;
    ClientGrant a[8];
    uint64_t free = kTotal, r = 1;
    for (int i = 0; i < 20000; i++) {
        r = r * 6364136223846793005ull + 1442695040888963407ull;
        ClientGrant& x = a[(r >> 33) % 8];
        uint64_t bytes = (r >> 40) % kMiB + 1;
        uint64_t used = x.promised >= bytes ? bytes : 0;
        if (g.admit(&x, used, bytes, free, kTotal).ok()) {
            ASSERT_GE(free, bytes);
            free -= bytes;
            g.further(x, 8 * kMiB, free, kTotal);
        }
        if ((r >> 50) % 64 == 0) free = free + 32 * kMiB > kTotal ? kTotal : free + 32 * kMiB;
        ASSERT_LE(g.promised(), free);
    }
}

}  // namespace
