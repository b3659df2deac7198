// SPDX-License-Identifier: GPL-2.0-only
// Version-based recovery as applications see it.
#include <gtest/gtest.h>

#include "kapi/errno.h"
#include "kapi/sync.h"
#include "tests/sim/fs_world.h"

using namespace lull::sim;
using lull::kSec;

namespace {

constexpr unsigned kRw = SimMount::kRead | SimMount::kWrite | SimMount::kCreate;

// One client makes a directory and is lost with the MDT. What the other did in it is lost, and it
// knows; all else is kept.
TEST(FsCrash, WhatBuildsOnAMissingClientIsLostAlone)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        SCOPED_TRACE(seed);
        FsWorld w(seed);
        SimMount& c = w.c(1);
        int fd = -1;
        for (size_t i : {0, 1})  // its FIDs, which are committed when it is told of them
            w.on(i, [&] { EXPECT_EQ(w.c(i).mkdir("/of" + std::to_string(i)), 0); });
        w.on(1, [&] { EXPECT_EQ(c.sync(), 0); });
        w.on(0, [&] { EXPECT_EQ(w.c(0).mkdir("/d"), 0); });
        w.on(1, [&] {
            EXPECT_EQ(c.put("/before", "one"), 0);
            fd = c.open("/d/f", kRw);
            EXPECT_GE(fd, 0);
            EXPECT_EQ(c.pwrite(fd, 0, "lost", 4), 4);
            EXPECT_EQ(c.put("/after", "two"), 0);
        });
        w.mdt().disk->set_cut(Disk::Cut::kNone);
        w.crash(w.mdt());
        w.crash_client(0);
        ASSERT_EQ(w.start(w.mdt(), w.mds2), 0);
        w.run_for_ms(150000);
        EXPECT_EQ(w.client_counter("evictions", "mdc"), 1u);
        w.on(1, [&] {
            EXPECT_EQ(c.pwrite(fd, 0, "x", 1), -kEIO);
            (void)c.close(fd);
            llc_attr a;
            EXPECT_EQ(c.stat("/d", &a), -kENOENT);
            EXPECT_EQ(c.get("/before"), "one");
            EXPECT_EQ(c.get("/after"), "two");
            EXPECT_EQ(c.mkdir("/d"), 0);
            EXPECT_EQ(c.put("/d/f", "again"), 0);
            EXPECT_EQ(c.get("/d/f"), "again");
        });
        w.finish();
    }
}

}  // namespace
