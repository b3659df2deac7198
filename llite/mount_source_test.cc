// SPDX-License-Identifier: GPL-2.0-only
#include "llite/mount_source.h"

#include <gtest/gtest.h>

using namespace lull;

TEST(MountSource, Good)
{
    MountSource s;
    WhyText why;
    ASSERT_TRUE(parse_mount_source("10.0.0.1@tcp:10.0.0.2@tcp:/lull", &s, &why).ok())
        << why.c_str();
    EXPECT_EQ(s.mgs_nids.size(), 2u);
    EXPECT_TRUE(s.fsname == Str("lull"));
    MountSource one;
    EXPECT_TRUE(parse_mount_source("10.0.0.1@tcp:/a", &one, &why).ok());
}

TEST(MountSource, BadSaysWhy)
{
    for (const char* bad : {"", "/", ":/x", "lull", "10.0.0.1@tcp", "10.0.0.1@tcp/lull",
                            "10.0.0.1@tcp:/", "10.0.0.1@tcp:/a/b", "300.0.0.1@tcp:/lull", "x:/lull",
                            "10.0.0.1@tcp:/a_name_that_is_longer_than_thirty_two_characters",
                            "10.0.0.1@o2ib:/lull"}) {
        MountSource s;
        WhyText why;
        EXPECT_TRUE(parse_mount_source(bad, &s, &why).is(kEINVAL)) << bad;
        EXPECT_FALSE(why.empty()) << bad;
    }
}

TEST(MountOptions, CheckedAndUnknownIsAnError)
{
    MountOptions o;
    WhyText why;
    EXPECT_TRUE(parse_mount_options("", &o, &why).ok());
    EXPECT_TRUE(parse_mount_options("localflock,timeout=20", &o, &why).ok());
    EXPECT_EQ(o.timeout_ms, 20000u);
    EXPECT_FALSE(o.intr);
    EXPECT_TRUE(parse_mount_options("timeout=20,intr", &o, &why).ok());
    EXPECT_TRUE(o.intr);
    EXPECT_TRUE(o.lazystatfs);
    EXPECT_TRUE(parse_mount_options("nolazystatfs", &o, &why).ok());
    EXPECT_FALSE(o.lazystatfs);
    EXPECT_TRUE(parse_mount_options("lazystatfs", &o, &why).ok());
    EXPECT_TRUE(o.lazystatfs);
    EXPECT_TRUE(parse_mount_options("timeout=x", &o, &why).is(kEINVAL));
    EXPECT_TRUE(parse_mount_options("timeout=0", &o, &why).is(kEINVAL));
    EXPECT_TRUE(parse_mount_options("localflock,bogus", &o, &why).is(kEINVAL));
    EXPECT_NE(std::string(why.c_str()).find("bogus"), std::string::npos);
}
