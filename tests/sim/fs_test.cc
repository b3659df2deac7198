// SPDX-License-Identifier: GPL-2.0-only
// The whole file system on the simulated cluster: every operation, coherency of two clients,
// crashes, controlled shutdowns.
#include "include/lull/fid.h"
#include "include/lull/ops_ost.h"
#include "kapi/sim/network.h"
#include "llite/stripe.h"
#include "tests/sim/fs_load.h"

using namespace lull::sim;
using lull::kMsec;
using lull::kSec;

TEST(Fs, MountsAndUnmounts)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        w.on(0, [&] {
            llc_attr root;
            EXPECT_EQ(w.c(0).stat("/", &root), 0);
            EXPECT_EQ(root.mode & 0170000, 0040000u);
            struct llc_statfs s;
            EXPECT_EQ(w.c(0).statfs(&s), 0);
            EXPECT_GT(s.total_bytes, 100u << 20);
        });
        w.finish();
    });
}

TEST(Fs, BadMountsSayWhy)
{
    FsWorld w(1);
    w.umount(0);
    w.on(0, [&] {
        std::string why;
        EXPECT_EQ(w.c(0).mount(w.source(), "bogus", &why), -kEINVAL);
        EXPECT_NE(why.find("bogus"), std::string::npos);
        EXPECT_EQ(w.c(0).mount("10.0.0.1@tcp:/other", "", &why), -kENOENT);
        EXPECT_NE(why.find("other"), std::string::npos) << why;
        uint64_t start = lull::now_ns();
        EXPECT_LT(w.c(0).mount("10.0.0.99@tcp:/lull", "", &why), 0);
        EXPECT_NE(why.find("10.0.0.99"), std::string::npos) << why;
        EXPECT_LT(lull::now_ns() - start, 30 * kSec);
        start = lull::now_ns();
        EXPECT_EQ(w.c(0).mount("10.0.0.3@tcp:10.0.0.4@tcp:/lull", "", &why), -kENODEV);
        EXPECT_NE(why.find("no MGS runs at 10.0.0.3@tcp:10.0.0.4@tcp"), std::string::npos) << why;
        EXPECT_LT(lull::now_ns() - start, 5 * kSec);
    });
    w.finish();
}

TEST(Fs, Names)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        SimMount& c = w.c(0);
        w.on(0, [&] {
            llc_attr a;
            EXPECT_EQ(c.mkdir("/d"), 0);
            EXPECT_EQ(c.mkdir("/d"), -kEEXIST);
            EXPECT_EQ(c.mkdir("/d/e", 0700), 0);
            EXPECT_EQ(c.stat("/d/e", &a), 0);
            EXPECT_EQ(a.mode, 0040700u);
            EXPECT_EQ(c.stat("/d/x", &a), -kENOENT);
            EXPECT_EQ(c.mknod("/d/f", 0100644), 0);
            EXPECT_EQ(c.mknod("/d/fifo", 0010600), 0);
            EXPECT_EQ(c.symlink("f", "/d/l"), 0);
            std::string target;
            EXPECT_EQ(c.readlink("/d/l", &target), 0);
            EXPECT_EQ(target, "f");
            EXPECT_EQ(c.link("/d/f", "/d/e/g"), 0);
            EXPECT_EQ(c.stat("/d/f", &a), 0);
            EXPECT_EQ(a.nlink, 2u);
            EXPECT_EQ(c.stat("/d/l", &a), 0);
            EXPECT_EQ(a.nlink, 2u);
            Names names;
            EXPECT_EQ(c.readdir("/d", &names), 0);
            EXPECT_EQ(names, (Names{"e", "f", "fifo", "l"}));
            EXPECT_EQ(c.rmdir("/d/e"), -kENOTEMPTY);
            EXPECT_EQ(c.rmdir("/d/f"), -kENOTDIR);
            EXPECT_EQ(c.unlink("/d/e"), -kEISDIR);
            EXPECT_EQ(c.unlink("/d/e/g"), 0);
            EXPECT_EQ(c.stat("/d/f", &a), 0);
            EXPECT_EQ(a.nlink, 1u);
            EXPECT_EQ(c.rmdir("/d/e"), 0);
            EXPECT_EQ(c.stat("/d/e", &a), -kENOENT);
            EXPECT_EQ(c.chmod("/d/f", 0600), 0);
            EXPECT_EQ(c.stat("/d/f", &a), 0);
            EXPECT_EQ(a.mode, 0100600u);
            for (const char* n : {"/d/f", "/d/l", "/d/fifo", "/d"})
                EXPECT_EQ(n == std::string("/d") ? c.rmdir(n) : c.unlink(n), 0) << n;
            EXPECT_EQ(c.readdir("/", &names), 0);
            EXPECT_EQ(names, Names{});
        });
        w.finish();
    });
}

TEST(Fs, Rename)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        SimMount& c = w.c(0);
        w.on(0, [&] {
            llc_attr a;
            EXPECT_EQ(c.mkdir("/x"), 0);
            EXPECT_EQ(c.mkdir("/y"), 0);
            EXPECT_EQ(c.put("/x/a", "one"), 0);
            EXPECT_EQ(c.put("/y/b", "two"), 0);
            EXPECT_EQ(c.rename("/x/a", "/x/c"), 0);
            EXPECT_EQ(c.get("/x/c"), "one");
            EXPECT_EQ(c.stat("/x/a", &a), -kENOENT);
            EXPECT_EQ(c.rename("/x/c", "/y/b", true), -kEEXIST);
            EXPECT_EQ(c.rename("/x/c", "/y/b"), 0);
            EXPECT_EQ(c.get("/y/b"), "one");
            EXPECT_EQ(c.rename("/y", "/x/y"), 0);
            EXPECT_EQ(c.get("/x/y/b"), "one");
            EXPECT_EQ(c.rename("/x", "/x/y/z"), -kEINVAL);
            EXPECT_EQ(c.mkdir("/e"), 0);
            EXPECT_EQ(c.rename("/e", "/x"), -kENOTEMPTY);
            EXPECT_EQ(c.rename("/x/y", "/e"), 0);
            EXPECT_EQ(c.get("/e/b"), "one");
            EXPECT_EQ(c.rename("/e/b", "/x"), -kEISDIR);
            EXPECT_EQ(c.rename("/x", "/e/b"), -kENOTDIR);
            EXPECT_EQ(c.link("/e/b", "/e/b2"), 0);
            EXPECT_EQ(c.rename("/e/b", "/e/b2"), 0);
            EXPECT_EQ(c.get("/e/b"), "one");
        });
        w.finish();
    });
}

TEST(Fs, ManyEntries)
{
    FsWorld w(1);
    SimMount& c = w.c(0);
    w.on(0, [&] {
        Names want, got;
        EXPECT_EQ(c.mkdir("/many"), 0);
        for (int i = 0; i < 300; i++) {
            std::string name = "n" + std::to_string(1000 + i);
            EXPECT_EQ(c.mknod("/many/" + name, 0100644), 0);
            want.push_back(name);
        }
        EXPECT_EQ(c.readdir("/many", &got), 0);
        EXPECT_EQ(got, want);
    });
    w.finish();
}

TEST(Fs, DataOfAllShapes)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        SimMount& c = w.c(0);
        w.on(0, [&] {
            std::string big = pattern(700000);
            EXPECT_EQ(c.put("/big", big), 0);
            EXPECT_TRUE(c.get("/big") == big);
            c.drop_caches();
            EXPECT_EQ(c.cached_pages(), 0u);
            EXPECT_TRUE(c.get("/big") == big);
            llc_attr a;
            EXPECT_EQ(c.stat("/big", &a), 0);
            EXPECT_EQ(a.size, big.size());
            EXPECT_GE(a.blocks_512 * 512, big.size());

            int fd = c.open("/sparse", SimMount::kRead | SimMount::kWrite | SimMount::kCreate);
            ASSERT_GE(fd, 0);
            EXPECT_EQ(c.pwrite(fd, 300000, "end", 3), 3);
            EXPECT_EQ(c.fstat(fd, &a), 0);
            EXPECT_EQ(a.size, 300003u);
            char hole[10];
            EXPECT_EQ(c.pread(fd, 1000, hole, 10), 10);
            EXPECT_EQ(std::string(hole, 10), std::string(10, 0));
            EXPECT_EQ(c.append(fd, "more", 4), 4);
            char tail[16];
            EXPECT_EQ(c.pread(fd, 300000, tail, 16), 7);
            EXPECT_EQ(std::string(tail, 7), "endmore");
            EXPECT_EQ(c.fsync(fd), 0);
            EXPECT_EQ(c.close(fd), 0);
        });
        w.finish();
    });
}

TEST(Fs, TruncateAgainstAModel)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        SimMount& c = w.c(0);
        w.on(0, [&] {
            std::string model;
            int fd = c.open("/t", SimMount::kRead | SimMount::kWrite | SimMount::kCreate);
            ASSERT_GE(fd, 0);
            Rng rng(seed);
            for (int i = 0; i < 60; i++) {
                uint64_t at = rng.below(400000), n = 1 + rng.below(30000);
                switch (rng.below(4)) {
                case 0:
                    EXPECT_EQ(c.ftruncate(fd, at), 0);
                    model.resize(at);
                    break;
                case 1: c.drop_caches(); break;
                default: {
                    std::string data = pattern(n, i);
                    EXPECT_EQ(c.pwrite(fd, at, data.data(), n), static_cast<int64_t>(n));
                    if (model.size() < at + n) model.resize(at + n);
                    model.replace(at, n, data);
                }
                }
                llc_attr a;
                EXPECT_EQ(c.fstat(fd, &a), 0);
                ASSERT_EQ(a.size, model.size()) << i;
                if (i % 5 == 0) {
                    ASSERT_TRUE(c.get("/t") == model) << i;
                }
            }
            ASSERT_TRUE(c.get("/t") == model);
            EXPECT_EQ(c.close(fd), 0);
        });
        w.finish();
    });
}

TEST(Fs, Times)
{
    FsWorld w(1);
    SimMount& c = w.c(0);
    w.on(0, [&] {
        llc_attr a;
        EXPECT_EQ(c.put("/f", "hello"), 0);
        EXPECT_EQ(c.utimes("/f", 5 * kSec, 7 * kSec), 0);
        EXPECT_EQ(c.stat("/f", &a), 0);
        EXPECT_EQ(a.mtime_ns, 7 * kSec);
        EXPECT_EQ(a.atime_ns, 5 * kSec);
        c.drop_caches();
        EXPECT_EQ(c.stat("/f", &a), 0);
        EXPECT_EQ(a.mtime_ns, 7 * kSec);
        EXPECT_EQ(c.chmod("/f", 0600), 0);
        EXPECT_EQ(c.stat("/f", &a), 0);
        EXPECT_EQ(a.mtime_ns, 7 * kSec);
        kapi_sleep_ns(kSec);
        EXPECT_EQ(c.put("/f", "again"), 0);
        uint64_t now = kapi_realtime_ns();
        EXPECT_EQ(c.stat("/f", &a), 0);
        EXPECT_NEAR(static_cast<double>(a.mtime_ns), static_cast<double>(now), 0.5e9);
        kapi_sleep_ns(3 * kSec);
        EXPECT_EQ(c.sync(), 0);
        EXPECT_EQ(c.stat("/f", &a), 0);
        EXPECT_NEAR(static_cast<double>(a.mtime_ns), static_cast<double>(now), 0.5e9);
        EXPECT_NEAR(static_cast<double>(a.ctime_ns), static_cast<double>(now), 0.5e9);
    });
    w.finish();
}

TEST(Fs, Layouts)
{
    FsWorld w(1);
    SimMount& c = w.c(0);
    w.on(0, [&] {
        std::string text;
        EXPECT_EQ(c.mkdir("/one"), 0);
        EXPECT_EQ(c.set_layout("/one", "stripe_count=1 stripe_size=131072"), 0);
        EXPECT_EQ(c.get_layout("/one", &text), 0);
        EXPECT_EQ(text, "stripe_count=1 stripe_size=131072");
        EXPECT_EQ(c.put("/one/f", pattern(300000)), 0);
        EXPECT_EQ(c.get_layout("/one/f", &text), 0);
        EXPECT_EQ(text.find("stripe_count=1 stripe_size=131072 objects="), 0u) << text;
        EXPECT_EQ(c.put("/two", "x"), 0);
        EXPECT_EQ(c.get_layout("/two", &text), 0);
        EXPECT_EQ(text.find("stripe_count=2 stripe_size=65536 objects="), 0u) << text;
        EXPECT_EQ(c.set_layout("/one", "nonsense"), -kEINVAL);
        EXPECT_EQ(c.set_layout("/one", "none"), 0);
        c.drop_caches();
        EXPECT_TRUE(c.get("/one/f") == pattern(300000));
    });
    w.finish();
}

TEST(Fs, OpenUnlinkedFilesLiveOn)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        SimMount& c = w.c(0);
        w.on(0, [&] {
            int fd = c.open("/gone", SimMount::kRead | SimMount::kWrite | SimMount::kCreate);
            ASSERT_GE(fd, 0);
            EXPECT_EQ(c.pwrite(fd, 0, "still here", 10), 10);
            EXPECT_EQ(c.unlink("/gone"), 0);
            llc_attr a;
            EXPECT_EQ(c.stat("/gone", &a), -kENOENT);
            EXPECT_EQ(c.fsync(fd), 0);
            EXPECT_EQ(c.pwrite(fd, 10, "!", 1), 1);
            char buf[20];
            EXPECT_EQ(c.pread(fd, 0, buf, 20), 11);
            EXPECT_EQ(c.fstat(fd, &a), 0);
            EXPECT_EQ(a.nlink, 0u);
            EXPECT_EQ(c.close(fd), 0);
        });
        w.finish();
    });
}

// Invariant 9.
TEST(Fs, TwoClientsSeeTheSame)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        for (int i = 0; i < 10; i++) {
            std::string data = pattern(100000 + i * 30000, i);  // up to three stripes of an object
            w.on(i % 2, [&] { EXPECT_EQ(w.c(i % 2).put("/shared", data), 0); });
            w.on(1 - i % 2, [&] {
                EXPECT_TRUE(w.c(1 - i % 2).get("/shared") == data) << i;
                llc_attr a;
                EXPECT_EQ(w.c(1 - i % 2).stat("/shared", &a), 0);
                EXPECT_EQ(a.size, data.size());
            });
        }
        w.on(0, [&] { EXPECT_EQ(w.c(0).mkdir("/d"), 0); });
        w.on(1, [&] {
            llc_attr a;
            EXPECT_EQ(w.c(1).stat("/d/f", &a), -kENOENT);
            EXPECT_EQ(w.c(1).stat("/d", &a), 0);
        });
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).put("/d/f", "x"), 0);
            EXPECT_EQ(w.c(0).chmod("/d", 0711), 0);
        });
        w.on(1, [&] {
            llc_attr a;
            EXPECT_EQ(w.c(1).stat("/d", &a), 0);
            EXPECT_EQ(a.mode, 0040711u);
            EXPECT_EQ(w.c(1).get("/d/f"), "x");
            EXPECT_EQ(w.c(1).rename("/d/f", "/d/g"), 0);
        });
        w.on(0, [&] {
            llc_attr a;
            EXPECT_EQ(w.c(0).stat("/d/f", &a), -kENOENT);
            EXPECT_EQ(w.c(0).get("/d/g"), "x");
        });
        w.finish();
    });
}

// What no OST can store is refused by the call, not lost by write-back.
TEST(Fs, WhatIsTooLargeIsRefused)
{
    FsWorld w(1);
    w.on(0, [&] {
        SimMount& c = w.c(0);
        for (uint64_t stripes : {1, 2}) {
            std::string dir = "/d" + std::to_string(stripes), byte = "x";
            EXPECT_EQ(c.mkdir(dir), 0);
            EXPECT_EQ(c.set_layout(dir, "stripe_count=" + std::to_string(stripes) +
                                            " stripe_size=65536"),
                      0);
            int fd = c.open(dir + "/f", SimMount::kRead | SimMount::kWrite | SimMount::kCreate);
            EXPECT_EQ(c.pwrite(fd, 0, "hello", 5), 5);
            uint64_t most = lull::Striping{65536, static_cast<uint32_t>(stripes)}.max_file_size(
                lull::kObjectMaxBytes);
            EXPECT_EQ(c.pwrite(fd, most, "x", 1), -kEFBIG);
            EXPECT_EQ(c.pwrite(fd, 1ull << 62, "x", 1), -kEFBIG);
            EXPECT_EQ(c.ftruncate(fd, most + 1), -kEFBIG);
            llc_attr a;
            EXPECT_EQ(c.fstat(fd, &a), 0);
            EXPECT_EQ(a.size, 5u);
            EXPECT_EQ(c.get(dir + "/f"), "hello");
            llc_inode *root, *dir_core, *f;
            uint64_t epoch;
            EXPECT_EQ(llc_root(c.core(), &root, &a), 0);
            EXPECT_EQ(llc_lookup(root, dir.data() + 1, 2, &dir_core, &a, &epoch), 0);
            EXPECT_EQ(llc_lookup(dir_core, "f", 1, &f, &a, &epoch), 0);
            EXPECT_EQ(llc_max_bytes(f), most);
            EXPECT_GT(llc_max_bytes(nullptr), most);
            for (llc_inode* used : {root, dir_core, f}) llc_inode_put(used);
            EXPECT_EQ(c.pwrite(fd, most - 2, "end", 3), 2);
            EXPECT_EQ(c.fsync(fd), 0);
            EXPECT_EQ(c.close(fd), 0);
        }
    });
    w.finish();
}

// What the loss of a lock costs depends on what is cached, not on the size of the file.
TEST(Fs, SparseFileIsGivenUpAtOnce)
{
    FsWorld w(3);
    w.on(0, [&] {
        SimMount& c = w.c(0);
        EXPECT_EQ(c.set_layout("/", "stripe_count=2 stripe_size=65536"), 0);
        int fd = c.open("/sparse", SimMount::kWrite | SimMount::kCreate);
        for (uint64_t pos : {3ull << 40, 5ull << 16, (1ull << 40) + 70000})
            EXPECT_EQ(c.pwrite(fd, pos, "x", 1), 1);
        EXPECT_EQ(c.close(fd), 0);
        c.asked = 0;
    });
    w.on(1, [&] {
        int fd = w.c(1).open("/sparse", SimMount::kRead);
        char byte = 0;
        for (uint64_t pos : {3ull << 40, 5ull << 16, (1ull << 40) + 70000}) {
            EXPECT_EQ(w.c(1).pread(fd, pos, &byte, 1), 1);
            EXPECT_EQ(byte, 'x');
        }
        EXPECT_EQ(w.c(1).close(fd), 0);
    });
    EXPECT_GT(w.c(0).asked, 0u);
    EXPECT_LT(w.c(0).asked, 50u);
    w.finish();
}

// A truncate that finds no memory leaves what was written, and says so.
TEST(FsMemory, FailedTruncateChangesNothing)
{
    FsWorld w(2);
    w.on(0, [&] {
        SimMount& c = w.c(0);
        EXPECT_EQ(c.set_layout("/", "stripe_count=2 stripe_size=65536"), 0);
        std::string data = pattern(200000);
        int failed = 0;
        for (int nth = 1; nth <= 80; nth++) {  // here and at an OST in turn
            int fd = c.open("/f" + std::to_string(nth),
                            SimMount::kRead | SimMount::kWrite | SimMount::kCreate);
            EXPECT_EQ(c.pwrite(fd, 0, data.data(), data.size()), static_cast<int64_t>(data.size()));
            Host& host = nth % 2 ? c.host() : *w.oss1.host;
            host.fail_allocation_nth((nth + 1) / 2);
            int err = c.ftruncate(fd, 100);
            host.fail_allocation_nth(0);
            std::string now(data.size(), 0);
            int64_t n = c.pread(fd, 0, now.data(), now.size());
            if (err) failed++;
            EXPECT_EQ(n, err ? static_cast<int64_t>(data.size()) : 100) << nth << " " << err;
            EXPECT_TRUE(now.substr(0, n) == data.substr(0, n)) << nth << " " << err;
            EXPECT_EQ(c.fsync(fd), 0) << nth;
            EXPECT_EQ(c.close(fd), 0);
        }
        EXPECT_GT(failed, 0);
    });
    w.finish();
}

// An answer about attributes that a change of our own overtook on its way is not believed.
// Invariant 9.
TEST(Fs, OwnChangesOvertakeAnswers)
{
    for_seeds(
        [](uint64_t seed) {
            FsWorld w(seed);
            SimMount& c = w.c(0);
            w.on(0, [&] { EXPECT_EQ(c.put("/f", "x"), 0); });
            llc_attr a;
            for (unsigned i = 0; i < 20; i++) {
                w.on(1, [&] { EXPECT_EQ(w.c(1).chmod("/f", 0777), 0); });
                w.spawn(0, "stat", [&] { EXPECT_EQ(c.stat("/f", &a), 0); });
                w.spawn(0, "chmod", [&] { EXPECT_EQ(c.chmod("/f", 0600 | i), 0); });
                ASSERT_TRUE(w.join());
                w.on(0, [&] { EXPECT_EQ(c.stat("/f", &a), 0); });
                EXPECT_EQ(a.mode & 07777, 0600 | i);
            }
            w.finish();
        },
        4);
}

namespace {

// Appenders on both clients at once: every record whole, none lost.
void append_concurrently(FsWorld& w)
{
    constexpr int kRecords = 15;
    for (int t = 0; t < 4; t++)
        w.spawn(t % 2, "append" + std::to_string(t), [&w, t] {
            SimMount& c = w.c(t % 2);
            int fd = c.open("/log", SimMount::kWrite | SimMount::kCreate | SimMount::kAppend);
            ASSERT_GE(fd, 0);
            for (int i = 0; i < kRecords; i++) {
                std::string record(3000, static_cast<char>('a' + t));
                EXPECT_EQ(c.append(fd, record.data(), record.size()), 3000);
            }
            EXPECT_EQ(c.close(fd), 0);
        });
    w.join();
    w.on(0, [&] {
        std::string all = w.c(0).get("/log");
        ASSERT_EQ(all.size(), 4u * kRecords * 3000);
        int counts[4] = {};
        for (size_t at = 0; at < all.size(); at += 3000) {
            EXPECT_TRUE(all.substr(at, 3000) == std::string(3000, all[at])) << at;
            counts[all[at] - 'a']++;
        }
        for (int n : counts) EXPECT_EQ(n, kRecords);
    });
}

}  // namespace

TEST(Fs, ConcurrentAppends)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        append_concurrently(w);
        w.finish();
    });
}

// What finds no grant is written through, page by page; the record is one nevertheless.
TEST(FsFull, ConcurrentAppendsWithoutGrant)
{
    for_seeds([](uint64_t seed) {
        FsOptions o;
        o.disk_bytes = 8 << 20;
        FsWorld w(seed, o);
        w.on(0, [&] {
            SimMount& c = w.c(0);
            EXPECT_EQ(c.put("/room", pattern(1 << 20)), 0);
            EXPECT_EQ(c.sync(), 0);
            int fd = fill_disk(c, "/big");
            EXPECT_EQ(c.close(fd), 0);
            EXPECT_EQ(c.unlink("/room"), 0);
        });
        w.run_for_ms(15000);
        append_concurrently(w);
        w.finish();
    });
}

namespace {

void controlled_restart_under_load(uint64_t seed, FsWorld& w, FsWorld::Target& target,
                                   FsWorld::Node& next)
{
    Load load(w);
    load.start();
    w.run_for_ms(300 + seed * 37);
    Counters before = Counters::of(w);
    ASSERT_TRUE(w.controlled_shutdown(target));
    std::string why;
    ASSERT_EQ(w.start(target, next, "", &why), 0) << why;
    uint64_t done = load.operations;
    w.world.run_until([&] { return load.operations > done + 8; }, w.world.now_ns() + 60 * kSec);
    EXPECT_GT(load.operations, done + 8) << w.world.report();
    load.stop = true;
    ASSERT_TRUE(w.join());
    before.expect_unchanged(w);
}

}  // namespace

// A5 A10-A13 invariants 2, 4 and 6.
TEST(FsShutdown, MdtUnderLoad)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        controlled_restart_under_load(seed, w, w.mdt(), w.mds1);
        w.finish();
    });
}

// A2 B1 T6.
TEST(FsShutdown, MdtMovesToItsPartner)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        controlled_restart_under_load(seed, w, w.mdt(), w.mds2);
        w.finish();
    });
}

// A5 A6 A12 S2.
TEST(FsShutdown, OstUnderLoad)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        controlled_restart_under_load(seed, w, w.ost(0), w.oss1);
        w.finish();
    });
}

// A2 A6.
TEST(FsShutdown, OstMovesToItsPartner)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        controlled_restart_under_load(seed, w, w.ost(1), w.oss1);
        w.finish();
    });
}

// A3 S9 A13.
TEST(FsShutdown, MdtGoesFromProtocol1To2)
{
    for_seeds([](uint64_t seed) {
        FsOptions o;
        o.server_protocol = 1;
        FsWorld w(seed, o);
        w.mds2.protocol = 2;
        w.on(w.mds2, [&] { lull_node_destroy(w.mds2.node); });
        w.mds2.node = nullptr;
        controlled_restart_under_load(seed, w, w.mdt(), w.mds2);
        w.finish();
    });
}

// Invariant 1.
TEST(FsCrash, MdtReplays)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        Load load(w);
        load.start();
        w.run_for_ms(700 + seed * 51);
        w.crash(w.mdt());
        w.run_for_ms(1000);
        ASSERT_EQ(w.start(w.mdt(), seed % 2 ? w.mds1 : w.mds2), 0);
        uint64_t done = load.operations;
        EXPECT_TRUE(w.world.run_until([&] { return load.operations > done + 8; },
                                      w.world.now_ns() + 300 * kSec))
            << w.world.report();
        load.stop = true;
        ASSERT_TRUE(w.join());
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.finish();
    });
}

// Invariant 1.
TEST(FsCrash, OstReplaysWrites)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        Load load(w);
        load.start();
        w.run_for_ms(700 + seed * 51);
        w.crash(w.ost(0));
        w.run_for_ms(1000);
        ASSERT_EQ(w.start(w.ost(0), seed % 2 ? w.oss1 : w.oss2), 0);
        uint64_t done = load.operations;
        EXPECT_TRUE(w.world.run_until([&] { return load.operations > done + 8; },
                                      w.world.now_ns() + 300 * kSec))
            << w.world.report();
        load.stop = true;
        ASSERT_TRUE(w.join());
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.finish();
    });
}

// The former life of an MDT lives on, unaware of the next one. An OST that crashes meanwhile takes
// only the new one for its client, also if the old one comes first. A2, invariant 1.
TEST(FsCrash, FormerLifeOfTheMdtIsNotServed)
{
    FsWorld w(1);
    FsWorld::Target& mdt = w.mdt();
    w.on(0, [&] { EXPECT_EQ(w.c(0).put("/f", "x"), 0); });
    mdt.disk->fence();
    mdt.at = nullptr;
    mdt.server = nullptr;
    ASSERT_EQ(w.start(mdt, w.mds2), 0);
    w.run_for_ms(20000);
    FsWorld::Node& oss = *w.ost(0).at;
    w.crash(oss);
    w.world.network().cut(*w.mds2.host, *oss.host);
    ASSERT_EQ(w.start(w.ost(0), oss), 0);
    uint64_t served = 0;
    for (int i = 0; i < 100; i++) {
        w.run_for_ms(1000);
        if (i == 4) w.world.network().heal(*w.mds2.host, *oss.host);
        std::string old = w.get_param(w.mds1, "osp.lull-OST0000*.import");
        served += old.find("state: FULL") != std::string::npos;
    }
    EXPECT_EQ(served, 0u);
    std::string import = w.get_param(w.mds2, "osp.lull-OST0000*.import");
    EXPECT_NE(import.find("state: FULL"), std::string::npos) << import;
    w.crash(w.mds1);
    w.on(0, [&] { EXPECT_EQ(w.c(0).get("/f"), "x"); });
    w.finish();
}

namespace {

// The target crashes, is left with what is committed, and starts again.
void lose_uncommitted(FsWorld& w, FsWorld::Target& target)
{
    FsWorld::Node& node = *target.at;
    target.disk->set_cut(Disk::Cut::kNone);
    w.crash(node);
    ASSERT_EQ(w.start(target, node), 0);
}

void lose_uncommitted_data(FsWorld& w)
{
    for (size_t i : {0, 1}) lose_uncommitted(w, w.ost(i));
}

}  // namespace

// A second crash before what was replayed is committed: it is replayed again. Invariant 1.
TEST(FsCrash, TwiceBeforeACommit)
{
    FsWorld w(1);
    std::string text(30000, 'x');
    w.on(0, [&] { EXPECT_EQ(w.c(0).sync(), 0); });
    w.on(0, [&] { EXPECT_EQ(w.c(0).put("/f", text), 0); });
    w.on(0, [&] { EXPECT_EQ(w.c(0).drop_pages("/f"), 0); });
    for (int i = 0; i < 2; i++) {
        lose_uncommitted_data(w);
        w.run_for_ms(2000);
    }
    EXPECT_GT(w.client_counter("replays", "osc"), 1u);
    w.on(1, [&] { EXPECT_EQ(w.c(1).get("/f"), text); });
    EXPECT_EQ(w.client_counter("evictions"), 0u);
    w.finish();
}

// A client that mounts during recovery takes no lock before those who had theirs. T9, invariant 9.
TEST(FsCrash, StrangersWaitForTheWindow)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        std::string text = pattern(300000);
        w.umount(1);
        w.on(0, [&] { EXPECT_EQ(w.c(0).put("/f", text), 0); });  // in its cache
        Host& writer = *w.client_nodes[0]->host;
        FsWorld::Target* osts[] = {&w.ost(0), &w.ost(1)};
        for (FsWorld::Target* ost : osts) {
            FsWorld::Node& node = *ost->at;
            w.crash(node);
            w.world.network().cut(*node.host, writer);
            ASSERT_EQ(w.start(*ost, node), 0);
        }
        w.spawn(1, "stranger", [&] {
            EXPECT_EQ(w.c(1).mount(w.source(), ""), 0);
            EXPECT_TRUE(w.c(1).get("/f") == text);
        });
        w.run_for_ms(10000);
        w.world.network().heal_all();
        ASSERT_TRUE(w.join());
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.finish();
    });
}

// After fsync nobody has to be left: name and data are on the disks. Invariant 1.
TEST(FsCrash, SyncedFileNeedsNoClient)
{
    FsWorld w(1);
    std::string text = pattern(300000);
    w.on(0, [&] {
        int fd = w.c(0).open("/f", SimMount::kWrite | SimMount::kCreate);
        ASSERT_GE(fd, 0);
        EXPECT_EQ(w.c(0).pwrite(fd, 0, text.data(), text.size()), 300000);
        EXPECT_EQ(w.c(0).fsync(fd), 0);
    });
    w.crash_client(0);
    lose_uncommitted_data(w);
    lose_uncommitted(w, w.mdt());
    w.run_for_ms(150000);
    w.on(1, [&] { EXPECT_TRUE(w.c(1).get("/f") == text); });
    w.finish();
}

// What another client has read stays, although its writer dies together with the OST. Invariants 1
// and 9.
TEST(FsCrash, WhatAnotherHasReadIsCommitted)
{
    FsWorld w(1);
    std::string text = std::string(30000, 'x');
    w.on(0, [&] {
        EXPECT_EQ(w.c(0).put("/f", "before"), 0);
        EXPECT_EQ(w.c(0).sync(), 0);
        EXPECT_EQ(w.c(0).put("/f", text), 0);
    });
    w.on(1, [&] { EXPECT_EQ(w.c(1).get("/f"), text); });
    w.crash_client(0);
    lose_uncommitted_data(w);
    w.run_for_ms(150000);
    w.on(1, [&] {
        EXPECT_EQ(w.c(1).drop_pages("/f"), 0);
        EXPECT_EQ(w.c(1).get("/f"), text);
    });
    w.finish();
}

namespace {

// Power off that nobody is told of, and the takeover by the partner. Virtual time from the mount
// there until every client is FULL.
uint64_t takeover_ms(FsWorld& w, FsWorld::Target& t, FsWorld::Node& to)
{
    FsWorld::Node& from = *t.at;
    from.host->crash(CrashNet::kSilent);
    w.forget(from);
    uint64_t began = w.world.now_ns();
    EXPECT_EQ(w.start(t, to), 0);
    std::string instance = w.get_param(to, t.param + "instance");
    instance = "instance: " + instance.substr(instance.find('=') + 1);
    auto full = [&] {
        for (auto& n : w.client_nodes) {
            std::string text = w.get_param(*n, "*." + t.name + "-*.import");
            if (text.find("state: FULL") == std::string::npos ||
                text.find(instance) == std::string::npos)
                return false;
        }
        return true;
    };
    while (!full() && w.world.now_ns() - began < 120 * kSec) w.run_for_ms(20);
    EXPECT_TRUE(full()) << t.name;
    return (w.world.now_ns() - began) / 1000000;
}

FsOptions many_clients()
{
    FsOptions o;
    o.clients = 12;
    return o;
}

}  // namespace

// R5: clients learn of a takeover from the MGS, not from their timeouts.
TEST(FsCrash, TakeoverIsAnnounced)
{
    for_seeds([](uint64_t seed) {
        uint64_t with, without;
        {
            FsWorld w(seed, many_clients());
            with = takeover_ms(w, w.ost(0), w.oss2);
            EXPECT_LT(with, 2000u);
            EXPECT_EQ(w.client_counter("evictions"), 0u);
            w.finish();
        }
        {
            FsWorld w(seed, many_clients());
            EXPECT_EQ(w.set_param(w.mds1, "mgs.MGS.imperative_recovery", "0"), 0);
            without = takeover_ms(w, w.ost(0), w.oss2);
            EXPECT_GT(without, 2 * with);
            EXPECT_EQ(w.client_counter("evictions"), 0u);
            w.finish();
        }
        printf(
            "takeover of an OST, 12 clients: all FULL after %llu ms, "
            "without the MGS's word %llu ms\n",
            static_cast<unsigned long long>(with), static_cast<unsigned long long>(without));
    });
}

// The MGS may be dead at the time; after its restart clients hear of the next takeover again.
TEST(FsCrash, TakeoverWhileTheMgsIsDead)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        w.crash(w.mds1);
        EXPECT_LT(takeover_ms(w, w.ost(0), w.oss2), 100000u);
        EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
        w.run_for_ms(60000);
        w.on(0, [&] { EXPECT_EQ(w.c(0).put("/a", "x"), 0); });
        w.boot(w.oss1);
        // The OST looks for the MGS at mds1 first, which is dead: one attempt to connect.
        EXPECT_LT(takeover_ms(w, w.ost(0), w.oss1), 5000u);
        EXPECT_EQ(w.start(w.ost(1), w.oss1), 0);
        w.on(1, [&] { EXPECT_EQ(w.c(1).get("/a"), "x"); });
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.finish();
    });
}

// A7.
TEST(FsCrash, EvictedClientKnowsIt)
{
    FsWorld w(3);
    w.on(0, [&] {
        int fd = w.c(0).open("/f", SimMount::kRead | SimMount::kWrite | SimMount::kCreate);
        ASSERT_GE(fd, 0);
        ASSERT_EQ(w.c(0).pwrite(fd, 0, "lost", 4), 4);
    });
    for (auto& t : w.targets()) {
        std::string exports = w.get_param(*t->at, t->param + "exports");
        size_t at = exports.find("nodename=c1");
        ASSERT_NE(at, std::string::npos) << exports;
        size_t line = exports.rfind('\n', at) + 1;
        std::string uuid = exports.substr(line, exports.find(' ', line) - line);
        if (size_t eq = uuid.rfind('='); eq != std::string::npos) uuid = uuid.substr(eq + 1);
        ASSERT_EQ(w.set_param(*t->at, t->param + "evict_client", uuid), 0) << uuid;
    }
    w.run_for_ms(30000);
    w.on(0, [&] {
        int fd = 3;
        EXPECT_EQ(w.c(0).dirty_pages(), 0u);
        EXPECT_EQ(w.c(0).pwrite(fd, 0, "x", 1), -kEIO);
        EXPECT_EQ(w.c(0).close(fd), -kEIO);
        EXPECT_EQ(w.c(0).put("/g", "new life"), 0);
    });
    w.on(1, [&] { EXPECT_EQ(w.c(1).get("/g"), "new life"); });
    w.finish();
}

// ---- the world is bad

// A9 invariant 4.
// A call that waits for a server goes on after a signal's handler, as on a local file system, and
// with the option "intr" as SA_RESTART says.
void interrupt_blocked_calls(const char* options, int expected)
{
    for_seeds([=](uint64_t seed) {
        FsWorld w(seed);
        w.umount(0);
        EXPECT_EQ(w.mount(0, options), 0);
        w.on(0, [&] { EXPECT_EQ(w.c(0).put("/f", "x"), 0); });
        ASSERT_TRUE(w.controlled_shutdown(w.mdt()));
        int made = 1, looked = 1;
        SimMount& c = w.c(0);
        auto t1 = c.host().spawn("mkdir", [&] { made = c.mkdir("/d"); });
        auto t2 = c.host().spawn("stat", [&] {
            llc_attr a;
            looked = c.stat("/f", &a);
        });
        w.run_for_ms(5000);
        EXPECT_EQ(made, 1);
        EXPECT_EQ(looked, 1);
        w.world.signal(t1, false);
        w.world.signal(t2, false);
        w.run_for_ms(100);
        EXPECT_EQ(made, expected);
        EXPECT_EQ(looked, expected);
        EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
        w.on(0, [&] {
            llc_attr a;
            EXPECT_EQ(c.stat("/d", &a), -kENOENT);
            EXPECT_EQ(c.mkdir("/d"), 0);
        });
        w.finish();
    });
}

TEST(FsShutdown, BlockedCallsGoOnAfterASignal) { interrupt_blocked_calls("", -kERESTARTNOINTR); }
TEST(FsShutdown, BlockedCallsCanBeInterrupted) { interrupt_blocked_calls("intr", -kERESTARTSYS); }

TEST(FsShutdown, CloseDoesNotWait)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        SimMount& c = w.c(0);
        int fd = -1;
        w.on(0, [&] {
            fd = c.open("/f", SimMount::kRead | SimMount::kWrite | SimMount::kCreate);
            EXPECT_EQ(c.pwrite(fd, 0, "hello", 5), 5);
        });
        ASSERT_TRUE(w.controlled_shutdown(w.mdt()));
        w.on(
            w.c(0).host(), [&] { EXPECT_EQ(c.close(fd), 0); }, kSec);
        EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
        w.on(0, [&] { EXPECT_EQ(c.get("/f"), "hello"); });
        w.run_for_ms(1000);
        EXPECT_NE(w.get_param(w.mds2, "mdt.*.open_files").find("=0"), std::string::npos)
            << w.get_param(w.mds2, "mdt.*.open_files");
        w.finish();
    });
}

// Issue 19, 8. What is dirty has used up the grant; more comes with write-back, of whatever file.
TEST(Fs, AStreamGoesOnInLargeMessages)
{
    FsOptions one;
    one.osts = one.stripe_count = 1;
    FsWorld w(1, one);
    const uint64_t before = w.client_counter("requests");
    const std::string mb(1 << 20, 'x'), small(64 << 10, 'x');
    w.on(0, [&] {
        int fd = w.c(0).open("/a", SimMount::kWrite | SimMount::kCreate);
        for (uint64_t i = 0; i < 95; i++)
            EXPECT_EQ(w.c(0).pwrite(fd, i << 20, mb.data(), mb.size()), int64_t{1} << 20);
        EXPECT_EQ(w.c(0).close(fd), 0);
        for (int i = 0; i < 128; i++) EXPECT_EQ(w.c(0).put("/s" + std::to_string(i), small), 0);
        EXPECT_EQ(w.c(0).sync(), 0);
    });
    // sim_pages.cc writes back 64 KiB at a time; a small file is made, opened and locked, too
    EXPECT_LT(w.client_counter("requests") - before, 95 * 16 + 128 * 6);
    w.on(1, [&] { EXPECT_TRUE(w.c(1).get("/a") == std::string(95 << 20, 'x')); });
    w.finish();
}

// Issue 19, 8. Who needs grant writes back what is dirty now, not what others add meanwhile.
TEST(Fs, BringingGrantEndsBesideAStream)
{
    FsOptions one;
    one.osts = one.stripe_count = one.clients = 1;
    FsWorld w(1, one);
    const std::string piece(64 << 10, 'x');
    constexpr uint64_t kMost = 192 << 20;
    bool small_done = false;
    uint64_t streamed = 0;
    w.on(0, [&] { EXPECT_EQ(w.c(0).put("/small", "x"), 0); });
    w.spawn(0, "stream", [&] {
        int fd = w.c(0).open("/stream", SimMount::kWrite | SimMount::kCreate);
        for (; streamed < kMost && !small_done; streamed += piece.size())
            ASSERT_EQ(w.c(0).pwrite(fd, streamed, piece.data(), piece.size()),
                      static_cast<int64_t>(piece.size()));
        EXPECT_EQ(w.c(0).close(fd), 0);
    });
    w.spawn(0, "small", [&] {
        int fd = w.c(0).open("/small", SimMount::kWrite);
        while (streamed < 16 << 20) kapi_sleep_ns(kMsec);
        for (uint64_t i = 0; i < 64; i++)
            ASSERT_EQ(w.c(0).pwrite(fd, i * piece.size(), piece.data(), piece.size()),
                      static_cast<int64_t>(piece.size()));
        small_done = true;
        EXPECT_EQ(w.c(0).close(fd), 0);
    });
    EXPECT_TRUE(w.join());
    EXPECT_LT(streamed, kMost);
    w.finish();
}

// T9. A mount waits for an OST that restarts; if that takes long, what is on it waits.
TEST(FsShutdown, MountWaitsForATargetThatIsDown)
{
    for (uint64_t away_ms : {2000, 10000}) {
        for_seeds([away_ms](uint64_t seed) {
            FsWorld w(seed);
            w.on(0, [&] { EXPECT_EQ(w.c(0).put("/f", pattern(200000)), 0); });
            w.umount(1);
            ASSERT_TRUE(w.controlled_shutdown(w.ost(0)));
            int result = 1;
            bool read = false;
            w.spawn(1, "mount and read", [&] {
                result = w.c(1).mount(w.source(), "");
                EXPECT_TRUE(w.c(1).get("/f") == pattern(200000));
                read = true;
            });
            w.run_for_ms(away_ms);
            EXPECT_EQ(result, away_ms < 5000 ? 1 : 0);
            EXPECT_FALSE(read);
            EXPECT_EQ(w.start(w.ost(0), w.oss2), 0);
            EXPECT_TRUE(w.join());
            EXPECT_EQ(result, 0);
            w.finish();
        });
    }
}

// T1.
TEST(FsShutdown, BarrierOnOneClient)
{
    FsWorld w(1);
    w.on(0, [&] { EXPECT_EQ(w.c(0).put("/f", pattern(100000)), 0); });
    EXPECT_EQ(w.set_param(*w.client_nodes[0], "*.*.barrier", "1"), 0);
    EXPECT_EQ(w.c(0).dirty_pages(), 0u);
    int made = 1;
    w.c(0).host().spawn("mkdir", [&] { made = w.c(0).mkdir("/d"); });
    w.run_for_ms(2000);
    EXPECT_EQ(made, 1);
    w.on(1, [&] { EXPECT_TRUE(w.c(1).get("/f") == pattern(100000)); });
    EXPECT_EQ(w.set_param(*w.client_nodes[0], "*.*.barrier", "0"), 0);
    w.run_for_ms(1000);
    EXPECT_EQ(made, 0);
    w.finish();
}

// A1 T11.
TEST(FsShutdown, EverythingAtOnce)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        Load load(w);
        load.start();
        w.run_for_ms(400);
        Counters before = Counters::of(w);
        for (auto& t : w.targets())
            EXPECT_EQ(w.set_param(*t->at, t->param + "controlled_shutdown", "1"), 0);
        for (auto& t : w.targets())
            ASSERT_TRUE([&] {
                for (int i = 0; i < 6000; i++) {
                    if (w.get_param(*t->at, t->param + "controlled_shutdown").find("halted") !=
                        std::string::npos)
                        return true;
                    w.run_for_ms(20);
                }
                return false;
            }()) << t->name
                 << w.world.report();
        for (auto& t : w.targets()) w.stop(*t);
        for (auto& t : w.targets()) EXPECT_EQ(w.start(*t, *t->partner), 0);
        uint64_t done = load.operations;
        EXPECT_TRUE(w.world.run_until([&] { return load.operations > done + 8; },
                                      w.world.now_ns() + 60 * kSec))
            << w.world.report();
        load.stop = true;
        ASSERT_TRUE(w.join());
        Counters after = Counters::of(w);
        EXPECT_EQ(after.replays, before.replays);
        EXPECT_EQ(after.evictions, before.evictions);
        w.finish();
    });
}

// E2.
TEST(FsShutdown, CancelledInTime)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        Load load(w);
        load.start();
        w.run_for_ms(300);
        Counters before = Counters::of(w);
        for (int i = 0; i < 4; i++) {
            FsWorld::Target& t = *w.targets()[i % 3];
            EXPECT_EQ(w.set_param(*t.at, t.param + "controlled_shutdown", "1"), 0);
            w.world.run_for((seed + i) % 7 * 300000);
            int err = w.set_param(*t.at, t.param + "controlled_shutdown", "0");
            if (err) {  // too late
                w.run_for_ms(3000);
                w.stop(t);
                EXPECT_EQ(w.start(t, *t.home), 0);
            }
            uint64_t done = load.operations;
            EXPECT_TRUE(w.world.run_until([&] { return load.operations > done + 8; },
                                          w.world.now_ns() + 60 * kSec))
                << w.world.report();
        }
        load.stop = true;
        ASSERT_TRUE(w.join());
        EXPECT_EQ(Counters::of(w).evictions, before.evictions);
        w.finish();
    });
}

TEST(FsCrash, EverythingAtOnce)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        Load load(w);
        load.start();
        w.run_for_ms(700 + seed * 51);
        for (FsWorld::Node* n : {&w.mds1, &w.oss1, &w.oss2}) w.crash(*n);
        w.run_for_ms(1000);
        for (auto& t : w.targets()) ASSERT_EQ(w.start(*t, *t->partner), 0);
        uint64_t done = load.operations;
        EXPECT_TRUE(w.world.run_until([&] { return load.operations > done + 8; },
                                      w.world.now_ns() + 300 * kSec))
            << w.world.report();
        load.stop = true;
        ASSERT_TRUE(w.join());
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.finish();
    });
}

// T8 invariant 8.
TEST(FsCrash, DuringAControlledShutdown)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        Load load(w);
        load.start();
        w.run_for_ms(500);
        FsWorld::Target& t = *w.targets()[seed % 3];
        EXPECT_EQ(w.set_param(*t.at, t.param + "controlled_shutdown", "1"), 0);
        w.world.run_for(seed * 1700000 % 30000000);
        w.crash(t);
        // Whatever ran there besides comes back, too.
        for (auto& other : w.targets())
            if (!other->at) {
                ASSERT_EQ(w.start(*other, *other->partner), 0);
            }
        uint64_t done = load.operations;
        EXPECT_TRUE(w.world.run_until([&] { return load.operations > done + 8; },
                                      w.world.now_ns() + 300 * kSec))
            << w.world.report();
        load.stop = true;
        ASSERT_TRUE(w.join());
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.finish();
    });
}

TEST(FsCrash, OfAClientFreesWhatItHeld)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).put("/f", "old"), 0);
            EXPECT_EQ(w.c(0).sync(), 0);
            EXPECT_GE(w.c(0).open("/f", SimMount::kRead | SimMount::kWrite), 0);
        });
        w.crash_client(0);
        w.on(1, [&] {
            EXPECT_EQ(w.c(1).get("/f"), "old");
            EXPECT_EQ(w.c(1).put("/f", "new"), 0);
            EXPECT_EQ(w.c(1).unlink("/f"), 0);
        });
        w.finish();
    });
}

TEST(FsNetwork, CutsAreSurvived)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        Load load(w);
        load.start();
        w.run_for_ms(400);
        for (int i = 0; i < 3; i++) {
            Host& server = *(i == 0 ? w.mds1 : i == 1 ? w.oss1 : w.oss2).host;
            w.world.network().cut(w.c(i % 2).host(), server);
            w.run_for_ms(100 + seed * 130 % 3000);
            w.world.network().reset_connections(w.c(i % 2).host(), server);
            w.world.network().heal_all();
            uint64_t done = load.operations;
            EXPECT_TRUE(w.world.run_until([&] { return load.operations > done + 8; },
                                          w.world.now_ns() + 120 * kSec))
                << w.world.report();
        }
        load.stop = true;
        ASSERT_TRUE(w.join());
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.finish();
    });
}

// B1 T3: a client that died a moment ago delays the shutdown, and nobody's operation.
TEST(Fs, DeadClientDelaysNobody)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        bool stop = false;
        uint64_t longest_ns = 0, operations = 0;
        w.on(0, [&] { EXPECT_EQ(w.c(0).mkdir("/mine"), 0); });
        w.spawn(0, "program", [&] {
            while (!stop) {
                uint64_t began = w.world.now_ns();
                EXPECT_EQ(w.c(0).put("/mine/f" + std::to_string(operations++ % 5), pattern(5000)),
                          0);
                longest_ns = std::max(longest_ns, w.world.now_ns() - began);
                w.world.sleep_until(w.world.now_ns() + 10 * kMsec);
            }
        });
        w.run_for_ms(500);
        w.crash_client(1);
        for (FsWorld::Target* t : {&w.mdt(), &w.ost(0)}) {
            ASSERT_TRUE(w.controlled_shutdown(*t));
            std::string why;
            ASSERT_EQ(w.start(*t, *t->partner, "", &why), 0) << why;
        }
        w.run_for_ms(2000);
        stop = true;
        ASSERT_TRUE(w.join());
        EXPECT_LT(longest_ns, 5 * kSec);
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.finish();
    });
}

// Invariant 1: what was granted is written.
TEST(FsFull, CachedWritesNeverFail)
{
    for_seeds([](uint64_t seed) {
        FsOptions o;
        o.disk_bytes = 8 << 20;
        FsWorld w(seed, o);
        w.on(0, [&] {
            SimMount& c = w.c(0);
            int fd = c.open("/big", SimMount::kRead | SimMount::kWrite | SimMount::kCreate);
            ASSERT_GE(fd, 0);
            std::string data = pattern(65536);
            uint64_t at = 0;
            int64_t n = 0;
            for (; at < 64 << 20; at += n) {
                n = c.pwrite(fd, at, data.data(), data.size());
                if (n != static_cast<int64_t>(data.size())) break;
            }
            if (n < 0) {
                EXPECT_EQ(n, -kENOSPC);
            }
            EXPECT_LT(at, 20u << 20);
            EXPECT_EQ(c.fsync(fd), 0);
            EXPECT_EQ(c.close(fd), 0);
            EXPECT_EQ(c.get("/big").substr(0, at / 65536 * 65536).size(), at / 65536 * 65536);
            EXPECT_EQ(c.unlink("/big"), 0);
        });
        w.run_for_ms(30000);
        w.on(1, [&] { EXPECT_EQ(w.c(1).put("/small", pattern(200000)), 0); });
        w.finish();
    });
}

// From a full OST no grant comes: an attempt to write where nothing has its place yet costs one
// refused message, and is over.
TEST(FsFull, NobodyWaitsForGrantThatNeverComes)
{
    for_seeds([](uint64_t seed) {
        constexpr unsigned kTasks = 6, kTries = 20, kPages = 16;
        constexpr uint64_t kHole = 1 << 20;
        FsOptions o;
        o.disk_bytes = 8 << 20;
        o.osts = o.stripe_count = 1;
        FsWorld w(seed, o);
        SimMount& c = w.c(0);
        const std::string data = pattern(65536);
        auto name = [](unsigned i) { return "/f" + std::to_string(i); };
        w.on(0, [&] {
            for (unsigned i = 0; i < kTasks; i++) {
                EXPECT_EQ(c.put(name(i), data), 0);
                EXPECT_EQ(c.truncate(name(i), kHole + data.size()), 0);
            }
            int fd = fill_disk(c, "/big");
            EXPECT_EQ(c.sync(), 0);
            EXPECT_EQ(c.close(fd), 0);
        });
        const uint64_t requests = w.client_counter("requests"), asked = c.asked;
        const uint64_t began = w.world.now_ns();
        for (unsigned i = 0; i < kTasks; i++)
            w.spawn(0, "writer", [&, i] {
                int fd = c.open(name(i), SimMount::kRead | SimMount::kWrite);
                for (unsigned n = 0; n < kTries; n++) {
                    EXPECT_EQ(c.pwrite(fd, kHole, data.data(), data.size()), -kENOSPC);
                    EXPECT_EQ(c.mapped_write(fd, kHole + 4096 * (n % kPages), 'x'), -kENOSPC);
                }
                EXPECT_EQ(c.close(fd), 0);
            });
        EXPECT_TRUE(w.join());
        const uint64_t attempts = uint64_t{kTasks} * kTries * 2;
        // each task opens, locks and closes its file, too, and reads what it maps; there are pings
        EXPECT_LE(w.client_counter("requests") - requests, attempts + kTasks * (6 + kPages));
        EXPECT_LE(c.asked - asked, uint64_t{kTasks} * 2);
        EXPECT_LT(w.world.now_ns() - began, 10 * kSec);
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.finish();
    });
}

// What write(2) has taken is not lost for want of memory at its write-back.
TEST(FsMemory, WriteBackIsTriedAgain)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        w.on(0, [&] {
            SimMount& c = w.c(0);
            EXPECT_EQ(c.put("/f", pattern(300000)), 0);
            c.host().fail_allocations(200);
            (void)c.sync();
            c.host().fail_allocations(0);
            c.drop_caches();
            EXPECT_TRUE(c.get("/f") == pattern(300000));
        });
        w.finish();
    });
}

TEST(FsMemory, FailuresAreOrdinaryErrors)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        w.on(0, [&] {
            SimMount& c = w.c(0);
            c.host().fail_allocations(20);
            llc_attr a;
            for (int i = 0; i < 40; i++) {
                std::string name = "/f" + std::to_string(i % 7);
                (void)c.put(name, pattern(5000, i));
                (void)c.get(name);
                (void)c.stat(name, &a);
                (void)c.rename(name, name + "x");
                (void)c.unlink(name + "x");
            }
            c.host().fail_allocations(0);
            EXPECT_EQ(c.put("/after", "fine"), 0);
            EXPECT_EQ(c.get("/after"), "fine");
        });
        w.finish();
    });
}

// Invariant 9.
TEST(Fs, ReadersAndWritersOfOneFile)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        w.on(0, [&] { EXPECT_EQ(w.c(0).put("/shared", std::string(200000, 'a')), 0); });
        bool stop = false;
        // Each write covers the whole file with one letter inside one scope per 64 KiB: a read of
        // one page never sees two letters.
        for (size_t client = 0; client < 2; client++) {
            w.spawn(client, "writer", [&w, client] {
                SimMount& c = w.c(client);
                int fd = c.open("/shared", SimMount::kWrite);
                ASSERT_GE(fd, 0);
                for (int i = 0; i < 8; i++) {
                    std::string data(200000, static_cast<char>('b' + client * 10 + i));
                    EXPECT_EQ(c.pwrite(fd, 0, data.data(), data.size()), 200000);
                }
                EXPECT_EQ(c.close(fd), 0);
            });
            w.spawn(client, "reader", [&w, &stop, client] {
                SimMount& c = w.c(client);
                int fd = c.open("/shared", SimMount::kRead);
                ASSERT_GE(fd, 0);
                char page[4096];
                for (uint64_t at = 0; !stop; at = (at + 4096) % 196608) {
                    ASSERT_EQ(c.pread(fd, at, page, 4096), 4096);
                    ASSERT_TRUE(std::string(page, 4096) == std::string(4096, page[0]));
                    kapi_sleep_ns(lull::kMsec);
                }
                EXPECT_EQ(c.close(fd), 0);
            });
        }
        w.run_for_ms(3000);
        stop = true;
        w.join();
        std::string got[2];
        for (size_t client = 0; client < 2; client++)
            w.on(client, [&] { got[client] = w.c(client).get("/shared"); });
        EXPECT_TRUE(got[0] == got[1]);
        EXPECT_EQ(got[0].size(), 200000u);
        w.finish();
    });
}

// What a truncation has cut off never comes back, not through a reader in the middle of it either.
TEST(Fs, ReadersDuringTruncation)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        bool stop = false;
        w.on(0, [&] { EXPECT_EQ(w.c(0).put("/t", std::string(150000, 'x')), 0); });
        for (size_t client = 0; client < 1 + seed % 2; client++)
            w.spawn(client, "reader", [&w, &stop, client] {
                SimMount& c = w.c(client);
                int fd = c.open("/t", SimMount::kRead);
                ASSERT_GE(fd, 0);
                std::string buf(150000, 0);
                while (!stop) {
                    ASSERT_GE(c.pread(fd, 0, buf.data(), buf.size()), 0);
                    kapi_sleep_ns(200000);
                }
                EXPECT_EQ(c.close(fd), 0);
            });
        w.spawn(0, "truncater", [&w, &stop] {
            SimMount& c = w.c(0);
            int fd = c.open("/t", SimMount::kRead | SimMount::kWrite);
            ASSERT_GE(fd, 0);
            for (int i = 0; i < 12; i++) {
                uint64_t cut = 1000 + i * 9000;
                std::string data(150000, 'x');
                ASSERT_EQ(c.pwrite(fd, 0, data.data(), data.size()), 150000);
                if (i % 2) {
                    ASSERT_EQ(c.fsync(fd), 0);
                }
                ASSERT_EQ(c.ftruncate(fd, cut), 0);
                ASSERT_EQ(c.pwrite(fd, 149999, "y", 1), 1);
                ASSERT_EQ(c.pread(fd, 0, data.data(), data.size()), 150000);
                ASSERT_TRUE(data == std::string(cut, 'x') + std::string(149999 - cut, 0) + "y")
                    << i;
            }
            EXPECT_EQ(c.close(fd), 0);
            stop = true;
        });
        w.join();
        w.finish();
    });
}

TEST(Fs, Mappings)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        w.on(0, [&] { EXPECT_EQ(w.c(0).put("/m", std::string(10000, '-')), 0); });
        int fd[2];
        for (size_t i = 0; i < 2; i++)
            w.on(i, [&] { fd[i] = w.c(i).open("/m", SimMount::kRead | SimMount::kWrite); });
        for (int i = 0; i < 20; i++) {
            char c = static_cast<char>('A' + i), got = 0;
            w.on(i % 2, [&] { EXPECT_EQ(w.c(i % 2).mapped_write(fd[i % 2], i * 400, c), 0); });
            w.on(1 - i % 2,
                 [&] { EXPECT_EQ(w.c(1 - i % 2).mapped_read(fd[1 - i % 2], i * 400, &got), 0); });
            EXPECT_EQ(got, c);
        }
        for (size_t i = 0; i < 2; i++) w.on(i, [&] { EXPECT_EQ(w.c(i).close(fd[i]), 0); });
        w.finish();
    });
}
// Invariant 1: beyond replay_limit_bytes write-back asks for a commit. A process that is killed in
// its fsync meanwhile must not lose what others wrote and were told is written.
TEST(Fs, KilledFsyncLosesNoDataOfOthers)
{
    for_seeds([](uint64_t seed) {
        FsOptions options;
        options.stripe_count = 1;
        FsWorld w(seed, options);
        for (auto& n : w.client_nodes)
            EXPECT_EQ(w.set_param(*n, "osc.*.replay_limit_bytes", "1048576"), 0);
        const std::string data = pattern(5 << 20);
        w.on(0, [&] { EXPECT_EQ(w.c(0).put("/f", data), 0); });
        w.spawn(0, "killed", [&] {
            int fd = w.c(0).open("/f", SimMount::kRead | SimMount::kWrite);
            EXPECT_GE(fd, 0);
            w.world.signal(&w.world.current(), true);
            (void)w.c(0).fsync(fd);
            w.world.clear_signal(&w.world.current());
            EXPECT_EQ(w.c(0).close(fd), 0);
        });
        EXPECT_TRUE(w.join());
        w.on(1, [&] { EXPECT_TRUE(w.c(1).get("/f") == data) << "acknowledged writes are lost"; });
        w.finish();
    });
}

// Issue 19, 8. fsync asks for a commit only who owes one.
TEST(Fs, FsyncAsksWhoOwesACommit)
{
    for_seeds([](uint64_t seed) {
        FsOptions one;
        one.stripe_count = one.osts = one.clients = 1;
        FsWorld w(seed, one);
        SimMount& c = w.c(0);
        int fd = -1;
        auto expect_asked = [&](uint64_t mdt, uint64_t ost, const std::function<void()>& fn) {
            uint64_t to_mdt = w.client_counter("requests", "mdc");
            uint64_t to_ost = w.client_counter("requests", "osc");
            w.on(0, fn);
            EXPECT_EQ(w.client_counter("requests", "mdc") - to_mdt, mdt);
            EXPECT_EQ(w.client_counter("requests", "osc") - to_ost, ost);
        };
        auto sync = [&] { EXPECT_EQ(c.fsync(fd), 0); };
        w.on(0, [&] { EXPECT_GE(fd = c.open("/f", SimMount::kWrite | SimMount::kCreate), 0); });
        expect_asked(1, 0, sync);
        expect_asked(0, 0, sync);
        w.on(0, [&] { EXPECT_EQ(c.pwrite(fd, 0, "x", 1), 1); });
        expect_asked(0, 2, sync);  // the data, and its commit
        expect_asked(0, 0, sync);
        w.on(0, [&] { EXPECT_EQ(c.close(fd), 0); });
        w.finish();
    });
}

// Invariant 1: fsync says 0 only when everything is on the disks. A target whose sync fails says
// so; then the client that wrote, and the server, lose power.
TEST(FsCrash, FsyncTellsOfAFailedSync)
{
    unsigned told = 0;
    for (bool on_mdt : {false, true}) {
        FsOptions options;
        options.osts = options.stripe_count = 1;
        FsWorld w(1, options);
        FsWorld::Target& target = on_mdt ? w.mdt() : w.ost(0);
        const std::string data = pattern(50000);
        int err = 0;
        w.on(0, [&] {
            int fd = w.c(0).open("/f", SimMount::kWrite | SimMount::kCreate);
            EXPECT_EQ(w.c(0).pwrite(fd, 0, data.data(), data.size()), 50000);
            target.disk->fail_next_sync(-kENOMEM);
            err = w.c(0).fsync(fd);
        });
        told += err != 0;
        w.crash_client(0);
        for (auto* t : {&w.mdt(), &w.ost(0)}) {
            t->disk->set_cut(Disk::Cut::kNone);
            w.crash(*t);
            EXPECT_EQ(w.start(*t, *t->home), 0);
        }
        w.run_for_ms(150000);
        w.on(1, [&] { EXPECT_TRUE(err || w.c(1).get("/f") == data); });
        w.finish();
    }
    EXPECT_EQ(told, 2u);
}

// Every OST counts.
TEST(Fs, StatfsIsOfAllOsts)
{
    FsOptions options;
    options.osts = 3;
    FsWorld w(1, options);
    w.on(0, [&] {
        struct llc_statfs all;
        EXPECT_EQ(w.c(0).statfs(&all), 0);
        EXPECT_EQ(all.total_bytes, 3 * options.disk_bytes);
        EXPECT_LE(all.avail_bytes, all.free_bytes);
        uint64_t before = all.free_bytes;
        for (int i = 0; i < 3; i++)
            EXPECT_EQ(w.c(0).put("/f" + std::to_string(i), pattern(1 << 20)), 0);
        EXPECT_EQ(w.c(0).sync(), 0);
        EXPECT_EQ(w.c(0).statfs(&all), 0);
        EXPECT_GE(before - all.free_bytes, 3u << 20);
        EXPECT_LT(before - all.free_bytes, 4u << 20);
    });
    w.finish();
}

// A file's time is that of its last write, not of its write-back, its close or a restart; one that
// was set by hand stays.
TEST(Fs, TimesOverCloseAndRestart)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        uint64_t wrote = 0;
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).put("/set", "hello"), 0);
            EXPECT_EQ(w.c(0).utimes("/set", 5 * kSec, 7 * kSec), 0);
            int fd = w.c(0).open("/f", SimMount::kWrite | SimMount::kCreate);
            EXPECT_EQ(w.c(0).pwrite(fd, 0, "x", 1), 1);
            wrote = kapi_realtime_ns();
            kapi_sleep_ns(3 * kSec);
            EXPECT_EQ(w.c(0).close(fd), 0);
        });
        auto check = [&](size_t client) {
            w.on(client, [&] {
                llc_attr a;
                EXPECT_EQ(w.c(client).stat("/f", &a), 0);
                EXPECT_NEAR(static_cast<double>(a.mtime_ns), static_cast<double>(wrote), 0.5e9);
                EXPECT_EQ(w.c(client).stat("/set", &a), 0);
                EXPECT_EQ(a.mtime_ns, 7 * kSec);
            });
        };
        w.run_for_ms(3000);
        for (auto& t : w.targets()) {
            ASSERT_TRUE(w.controlled_shutdown(*t));
            ASSERT_EQ(w.start(*t, *t->partner), 0);
            w.run_for_ms(2000);
            check(0);
            check(1);
        }
        w.finish();
    });
}
