// SPDX-License-Identifier: GPL-2.0-only
#include "osc/grant.h"

#include <gtest/gtest.h>

using lull::GrantAccount;

TEST(GrantAccount, ReservesOnlyWhatWasGranted)
{
    GrantAccount g;
    EXPECT_FALSE(g.reserve(1));
    g.restart(8192);
    EXPECT_TRUE(g.reserve(4096));
    EXPECT_TRUE(g.reserve(4096));
    EXPECT_FALSE(g.reserve(1));
    g.release(4096);
    EXPECT_TRUE(g.reserve(4096));
}

TEST(GrantAccount, WriteConsumesAndBringsMore)
{
    GrantAccount g;
    g.restart(8192);
    ASSERT_TRUE(g.reserve(8192));
    g.used(4096, 10000);
    EXPECT_EQ(g.granted(), 14096u);
    EXPECT_EQ(g.reserved(), 4096u);
    EXPECT_EQ(g.want(20000), 10000u);
    EXPECT_EQ(g.want(100), 0u);
}

TEST(GrantAccount, NewInstanceKnowsNothingOfReservations)
{
    GrantAccount g;
    g.restart(1 << 20);
    ASSERT_TRUE(g.reserve(1 << 20));
    g.restart(4096);
    EXPECT_FALSE(g.reserve(1));
    g.used(1 << 20, 0);
    EXPECT_EQ(g.reserved(), 0u);
    EXPECT_EQ(g.granted(), 0u);
}
