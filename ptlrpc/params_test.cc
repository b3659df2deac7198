// SPDX-License-Identifier: GPL-2.0-only
#include "ptlrpc/params.h"

#include <gtest/gtest.h>

#include <string>

using namespace lull;

TEST(Params, ParseU64)
{
    EXPECT_EQ(parse_u64("0").value(), 0u);
    EXPECT_EQ(parse_u64("18446744073709551615").value(), UINT64_MAX);
    EXPECT_EQ(parse_u64("0xfF\n").value(), 255u);
    EXPECT_TRUE(parse_u64("18446744073709551616").is(kERANGE));
    for (const char* bad : {"", "x", "-1", "1 2", "0x", "1f"})
        EXPECT_TRUE(parse_u64(bad).is(kEINVAL)) << bad;
}

TEST(Params, Glob)
{
    EXPECT_TRUE(glob_match("mdt.*.recovery_status", "mdt.lull-MDT0000.recovery_status"));
    EXPECT_TRUE(glob_match("*", ""));
    EXPECT_TRUE(glob_match("os[cd].*", "osc.x"));
    EXPECT_FALSE(glob_match("os[!c].*", "osc.x"));
    EXPECT_TRUE(glob_match("*-OST000[0-3].??port", "a-OST0002.import"));
    EXPECT_FALSE(glob_match("*-OST000[0-3].import", "a-OST0004.import"));
    EXPECT_TRUE(glob_match("a[b", "a[b"));
    EXPECT_TRUE(glob_match("a[]]b", "a]b"));
    EXPECT_FALSE(glob_match("abc", "ab"));
    EXPECT_FALSE(glob_match("ab", "abc"));
    EXPECT_FALSE(glob_match("", "a"));
    std::string stars, as(300, 'a');
    for (int i = 0; i < 100; i++) stars += "*a";
    EXPECT_FALSE(glob_match(Str((stars + "b").c_str()), Str(as.c_str())));  // in no time
}

TEST(Params, TextSinkLimit)
{
    TextSink sink(10);
    sink.append("12345");
    sink.printf("%d", 678);
    EXPECT_TRUE(sink.status().ok());
    sink.append("9abcd");
    EXPECT_TRUE(sink.status().is(kENOSPC));
    EXPECT_EQ(std::string(sink.text().data(), sink.text().size()), "123456789a");
}
