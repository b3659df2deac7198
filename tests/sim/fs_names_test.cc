// SPDX-License-Identifier: GPL-2.0-only
// Names that one client takes away while another one uses what they named.
#include "tests/sim/fs_load.h"

using namespace lull::sim;

namespace {

std::string read_all(SimMount& c, int fd)
{
    std::string out(100000, 0);
    int64_t n = c.pread(fd, 0, out.data(), out.size());
    out.resize(n > 0 ? n : 0);
    return out;
}

uint64_t written(FsWorld& w, size_t client)
{
    std::string text = w.get_param(*w.client_nodes[client], "llite.*.stats");
    size_t at = text.find("written_bytes: ");
    return at == std::string::npos ? UINT64_MAX : strtoull(text.c_str() + at + 15, nullptr, 10);
}

}  // namespace

// Invariant 9, A7: what was written and closed is read by whoever has the file open, though its
// last name went on the client that wrote it.
TEST(FsNames, WhatIsUnlinkedHereIsReadThere)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        std::string data = pattern(70000, 1), other = pattern(500, 2);
        int a = -1, b = -1;
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).put("/a", data), 0);
            EXPECT_EQ(w.c(0).put("/b", data), 0);
            EXPECT_EQ(w.c(0).put("/new", other), 0);
            EXPECT_EQ(w.c(0).put("/c", data), 0);
        });
        w.on(1, [&] {
            EXPECT_GE(a = w.c(1).open("/a", SimMount::kRead), 0);
            EXPECT_GE(b = w.c(1).open("/b", SimMount::kRead), 0);
            EXPECT_EQ(w.c(1).link("/c", "/d"), 0);
        });
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).unlink("/a"), 0);
            EXPECT_EQ(w.c(0).rename("/new", "/b"), 0);
            EXPECT_EQ(w.c(0).unlink("/c"), 0);
        });
        w.on(1, [&] {
            EXPECT_TRUE(read_all(w.c(1), a) == data);
            EXPECT_TRUE(read_all(w.c(1), b) == data);
            EXPECT_TRUE(w.c(1).get("/b") == other);
            EXPECT_TRUE(w.c(1).get("/d") == data);
            EXPECT_EQ(w.c(1).close(a), 0);
            EXPECT_EQ(w.c(1).close(b), 0);
        });
        w.finish();
    });
}

// What nobody will read is not written: a temporary file costs its OSTs nothing.
TEST(FsNames, WhatNobodyUsesIsNotWritten)
{
    FsWorld w(1);
    w.on(0, [&] {
        SimMount& c = w.c(0);
        uint64_t before = written(w, 0);
        ASSERT_NE(before, UINT64_MAX);
        EXPECT_EQ(c.put("/tmp", pattern(70000)), 0);
        EXPECT_EQ(c.unlink("/tmp"), 0);
        int fd = c.open("/open", SimMount::kRead | SimMount::kWrite | SimMount::kCreate);
        ASSERT_GE(fd, 0);
        EXPECT_EQ(c.unlink("/open"), 0);
        EXPECT_EQ(c.pwrite(fd, 0, "only here", 9), 9);
        EXPECT_EQ(c.close(fd), 0);
        EXPECT_EQ(c.dirty_pages(), 0u);
        EXPECT_EQ(written(w, 0), before);
    });
    w.finish();
}

// An object without a name is opened by its FID only where it is open: who was told that nobody
// else has it has dropped what was dirty.
TEST(FsNames, NamelessFilesAreOpenedOnlyWhereTheyAreOpen)
{
    FsWorld w(1);
    llc_inode* known = nullptr;
    w.on(1, [&] {
        EXPECT_EQ(w.c(1).put("/f", "x"), 0);
        llc_inode* root;
        llc_attr attr;
        uint64_t epoch;
        ASSERT_EQ(llc_root(w.c(1).core(), &root, &attr), 0);
        EXPECT_EQ(llc_lookup(root, "f", 1, &known, &attr, &epoch), 0);
        llc_inode_put(root);
    });
    int fd = -1;
    w.on(0, [&] {
        EXPECT_GE(fd = w.c(0).open("/f", SimMount::kRead), 0);
        EXPECT_EQ(w.c(0).unlink("/f"), 0);
    });
    w.on(1, [&] {
        llc_file* file = nullptr;
        EXPECT_EQ(llc_open(known, LLC_OPEN_READ, &file), -kESTALE);
        llc_inode_put(known);
    });
    w.on(0, [&] { EXPECT_EQ(w.c(0).close(fd), 0); });
    w.finish();
}
