// SPDX-License-Identifier: GPL-2.0-only
#include "llite/layout_text.h"

#include <gtest/gtest.h>

#include <string>

#include "ptlrpc/params.h"

using namespace lull;

static std::string print(const Layout& l)
{
    TextSink out(4096);
    print_layout(l, out);
    return std::string(out.text().data(), out.text().size());
}

TEST(LayoutText, ReadsWhatItPrints)
{
    Layout l;
    ASSERT_TRUE(parse_layout("stripe_count=2 stripe_size=1048576", &l).ok());
    EXPECT_EQ(l.stripe_count, 2u);
    EXPECT_EQ(l.stripe_bytes, 1048576u);
    EXPECT_EQ(print(l), "stripe_count=2 stripe_size=1048576");
    ASSERT_TRUE(parse_layout("stripe_size=4M stripe_count=-1\n", &l).ok());
    EXPECT_EQ(l.stripe_count, UINT32_MAX);
    EXPECT_EQ(l.stripe_bytes, 4u << 20);
    EXPECT_EQ(print(l), "stripe_count=-1 stripe_size=4194304");
    ASSERT_TRUE(parse_layout("none", &l).ok());
    EXPECT_FALSE(l.is_set());
    EXPECT_EQ(print(l), "none");
}

TEST(LayoutText, RefusesNonsense)
{
    Layout l;
    for (const char* bad :
         {"", " ", "x", "stripe_count", "stripe_count=", "stripe_count=33", "stripe_count=-2",
          "stripe_size=0", "stripe_size=1000", "stripe_size=99999999999999999999", "stripe_size=4T",
          "none stripe_count=1", "stripe_count=1 color=red", "stripe_size=17179869184G"})
        EXPECT_TRUE(parse_layout(bad, &l).is(kEINVAL)) << bad;
}

TEST(LayoutText, ShowsObjects)
{
    Layout l;
    l.stripe_bytes = 65536;
    ASSERT_TRUE(l.objects.push_back({1, {kFidSeqOstBase + 1, 7, 0}}).ok());
    EXPECT_EQ(print(l), "stripe_count=1 stripe_size=65536 objects=1:[0x100000001:0x7:0x0]");
}
