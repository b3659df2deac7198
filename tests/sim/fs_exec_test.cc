// SPDX-License-Identifier: GPL-2.0-only
// A program that runs on one client is not written to on another, and not run while it is written.
#include "tests/sim/fs_load.h"

using namespace lull::sim;

namespace {

llc_inode* look_up(SimMount& c, const std::string& name)
{
    llc_inode *root, *found = nullptr;
    llc_attr attr;
    uint64_t epoch;
    EXPECT_EQ(llc_root(c.core(), &root, &attr), 0);
    EXPECT_EQ(llc_lookup(root, name.data(), name.size(), &found, &attr, &epoch), 0);
    llc_inode_put(root);
    return found;
}

// On client n: the error of an open, or its file.
int open_on(FsWorld& w, size_t n, uint32_t flags, llc_file** file)
{
    int err = 0;
    w.on(n, [&] {
        llc_inode* i = look_up(w.c(n), "prog");
        err = llc_open(i, flags, file);
        llc_inode_put(i);
    });
    return err;
}

void close_on(FsWorld& w, size_t n, llc_file* file)
{
    w.on(n, [&] { EXPECT_EQ(llc_close(file), 0); });
}

constexpr uint32_t kRun = LLC_OPEN_READ | LLC_OPEN_EXEC;

}  // namespace

TEST(FsExec, RunningProgramsAreNotWrittenTo)
{
    FsWorld w(1);
    w.on(0, [&] { EXPECT_EQ(w.c(0).put("/prog", "#!"), 0); });
    llc_file *runs, *also, *writes, *reads;
    EXPECT_EQ(open_on(w, 0, kRun, &runs), 0);
    EXPECT_EQ(open_on(w, 1, kRun, &also), 0);
    EXPECT_EQ(open_on(w, 1, LLC_OPEN_READ, &reads), 0);
    EXPECT_EQ(open_on(w, 1, LLC_OPEN_WRITE, &writes), -kETXTBSY);
    close_on(w, 1, also);
    EXPECT_EQ(open_on(w, 1, LLC_OPEN_WRITE, &writes), -kETXTBSY);
    close_on(w, 0, runs);
    EXPECT_EQ(open_on(w, 1, LLC_OPEN_WRITE, &writes), 0);
    EXPECT_EQ(open_on(w, 0, kRun, &runs), -kETXTBSY);
    close_on(w, 1, writes);
    EXPECT_EQ(open_on(w, 0, kRun, &runs), 0);
    close_on(w, 0, runs);
    close_on(w, 1, reads);
    w.finish();
}

// Over a controlled restart and over a crash of the MDT.
TEST(FsExec, TheNextInstanceKnowsWhatRuns)
{
    for (bool crash : {false, true}) {
        FsWorld w(1);
        w.on(0, [&] { EXPECT_EQ(w.c(0).put("/prog", "#!"), 0); });
        llc_file *runs, *writes;
        EXPECT_EQ(open_on(w, 0, kRun, &runs), 0);
        if (crash) w.crash(w.mds1);
        else ASSERT_TRUE(w.controlled_shutdown(w.mdt()));
        EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
        EXPECT_EQ(open_on(w, 1, LLC_OPEN_WRITE, &writes), -kETXTBSY);
        close_on(w, 0, runs);
        EXPECT_EQ(open_on(w, 1, LLC_OPEN_WRITE, &writes), 0);
        close_on(w, 1, writes);
        w.finish();
    }
}

// Who writes a program, closes it while the MDT is away, and runs it next does not notice that the
// close has not been sent (A1, A8).
TEST(FsExec, WhatWasClosedWhileTheMdtWasAwayIsRun)
{
    for_seeds(
        [](uint64_t seed) {
            FsWorld w(seed);
            int fd = -1;
            llc_inode* i = nullptr;
            w.on(0, [&] {
                EXPECT_EQ(w.c(0).put("/prog", "#!"), 0);
                EXPECT_GE(fd = w.c(0).open("/prog", SimMount::kWrite), 0);
                i = look_up(w.c(0), "prog");
            });
            ASSERT_TRUE(w.controlled_shutdown(w.mdt()));
            bool ran = false;
            w.spawn(0, "write and run", [&] {
                EXPECT_EQ(w.c(0).close(fd), 0);
                llc_file* runs = nullptr;
                EXPECT_EQ(llc_open(i, kRun, &runs), 0);
                if (runs != nullptr) {
                    EXPECT_EQ(llc_close(runs), 0);
                }
                llc_inode_put(i);
                ran = true;
            });
            w.run_for_ms(1000);
            EXPECT_FALSE(ran);
            EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
            EXPECT_TRUE(w.join());
            w.finish();
        },
        20);
}
