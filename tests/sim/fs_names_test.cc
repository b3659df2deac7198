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

// A file that is replaced again and again is always there, and whole.
TEST(FsNames, AReplacedFileIsNeverStale)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        w.on(0, [&] { EXPECT_EQ(w.c(0).put("/f", pattern(5000)), 0); });
        bool over = false;
        unsigned read = 0;
        w.spawn(0, "replace", [&] {
            for (unsigned n = 1; n <= 200; n++) {
                EXPECT_EQ(w.c(0).put("/new", pattern(5000, n)), 0);
                EXPECT_EQ(w.c(0).rename("/new", "/f"), 0);
            }
            over = true;
        });
        for (size_t client : {0, 1})
            w.spawn(client, "read", [&, client] {
                while (!over) {
                    int err;
                    std::string data = w.c(client).get("/f", &err);
                    EXPECT_EQ(err, 0);
                    EXPECT_EQ(data.size(), 5000u);
                    bool whole = false;
                    for (unsigned n = 0; n <= 200 && !whole; n++) whole = data == pattern(5000, n);
                    EXPECT_TRUE(whole);
                    read++;
                    if (testing::Test::HasFailure()) return;
                }
            });
        w.join();
        EXPECT_GT(read, 20u);
        w.finish();
    });
}

// A directory that another client has removed is, to who stands in it, what one removed here is:
// its attributes are there, without a name, nothing is found or made in it, and nothing is stale.
TEST(FsNames, RemovedUnderOnesFeet)
{
    FsWorld w(1);
    llc_inode *d = nullptr, *f = nullptr;
    w.on(1, [&] {
        EXPECT_EQ(w.c(1).mkdir("/d", 0711), 0);
        EXPECT_EQ(w.c(1).put("/f", "x"), 0);
        llc_inode* root;
        llc_attr attr;
        uint64_t epoch;
        ASSERT_EQ(llc_root(w.c(1).core(), &root, &attr), 0);
        EXPECT_EQ(llc_lookup(root, "d", 1, &d, &attr, &epoch), 0);
        EXPECT_EQ(llc_lookup(root, "f", 1, &f, &attr, &epoch), 0);
        llc_inode_put(root);
    });
    w.on(0, [&] {
        EXPECT_EQ(w.c(0).rmdir("/d"), 0);
        EXPECT_EQ(w.c(0).unlink("/f"), 0);
    });
    w.on(1, [&] {
        llc_attr attr, to = {};
        uint64_t epoch = 1;
        EXPECT_EQ(llc_revalidate(d, false, &attr), 0);
        EXPECT_EQ(attr.mode, 0040711u);
        EXPECT_EQ(attr.nlink, 0u);
        EXPECT_EQ(llc_dir_epoch(d, true, &epoch), 0);
        EXPECT_EQ(epoch, 0u);
        llc_inode* found;
        EXPECT_EQ(llc_lookup(d, "x", 1, &found, &attr, &epoch), -kENOENT);
        EXPECT_EQ(llc_setattr(d, &to, LLC_UID, &attr), 0);  // of this client's inode
        auto none = [](void*, const char*, size_t, uint64_t, uint32_t, uint64_t) { return true; };
        EXPECT_EQ(llc_readdir(d, 0, none, nullptr), -kENOENT);
        EXPECT_EQ(llc_revalidate(f, true, &attr), 0);
        EXPECT_EQ(attr.nlink, 0u);
        llc_inode_put(d);
        llc_inode_put(f);
        EXPECT_EQ(w.c(1).stat("/d", &attr), -kENOENT);
        EXPECT_EQ(w.c(1).mkdir("/d"), 0);
    });
    w.finish();
}

// Of two directories that are moved into each other at once one moves, and the
// tree stays one: neither is cut off with the other, nobody waits for ever.
TEST(FsNames, TwoDirectoriesAreNotMovedIntoEachOther)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        w.on(0, [&] {
            for (const char* dir : {"/p", "/q"}) EXPECT_EQ(w.c(0).mkdir(dir), 0);
        });
        for (unsigned round = 0; round < 20; round++) {
            w.on(0, [&] {
                for (const char* dir : {"/p/a", "/q/b"}) EXPECT_EQ(w.c(0).mkdir(dir), 0);
            });
            for (size_t i : {0, 1})
                w.on(i, [&] {
                    llc_attr attr;
                    for (const char* dir : {"/p/a", "/q/b"}) EXPECT_EQ(w.c(i).stat(dir, &attr), 0);
                });
            int first = 1, second = 1;
            uint64_t began = w.world.now_ns();
            w.spawn(0, "first", [&] { first = w.c(0).rename("/p/a", "/q/b/a"); });
            w.spawn(1, "second", [&] { second = w.c(1).rename("/q/b", "/p/a/b"); });
            ASSERT_TRUE(w.join());
            EXPECT_LT(w.world.now_ns() - began, lull::kSec);
            EXPECT_TRUE((first == 0) != (second == 0)) << first << " " << second;
            EXPECT_TRUE(first == 0 || first == -kEINVAL || first == -kENOENT) << first;
            EXPECT_TRUE(second == 0 || second == -kEINVAL || second == -kENOENT) << second;
            w.on(round % 2, [&] {
                SimMount& c = w.c(round % 2);
                EXPECT_EQ(c.rmdir(first == 0 ? "/q/b/a" : "/p/a/b"), 0);
                EXPECT_EQ(c.rmdir(first == 0 ? "/q/b" : "/p/a"), 0);
            });
        }
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.finish();
    });
}
