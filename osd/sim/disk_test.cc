// SPDX-License-Identifier: GPL-2.0-only
#include "osd/sim/disk.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kapi/errno.h"

using namespace lull;

namespace {

constexpr uint64_t kSec = 1000000000;

class DiskTest : public ::testing::Test {
protected:
    // Runs fn in a task of the host, to its end (or the host's).
    void on(sim::Host& h, std::function<void()> fn)
    {
        auto* t = h.spawn("test", std::move(fn));
        ASSERT_TRUE(w.run_to_end(t, w.now_ns() + 1000 * kSec)) << w.report();
    }
    void mounted(sim::Host& h, std::function<void(kbfs*, kbfs_node*)> fn)
    {
        on(h, [&] {
            kbfs* fs;
            kbfs_node* root;
            ASSERT_EQ(kbfs_mount(h.net(), "/dev/vdb", false, &fs), 0);
            ASSERT_EQ(kbfs_root(fs, &root), 0);
            fn(fs, root);
            kbfs_put(root);
            kbfs_unmount(fs);
        });
    }
    void SetUp() override
    {
        disk.attach(a, "/dev/vdb");
        disk.attach(b, "/dev/vdb");
    }

    sim::World w{5};
    sim::Host &a = w.host("a"), &b = w.host("b");
    sim::Disk& disk = sim::make_disk(w, "disk");
};

kbfs_node* make_file(kbfs_node* dir, const std::string& name, uint32_t mode = KBFS_FILE | 0644)
{
    kbfs_node* n = nullptr;
    EXPECT_EQ(kbfs_create(dir, name.data(), name.size(), mode, 0, &n), 0) << name;
    return n;
}

kbfs_attr attr_of(kbfs_node* n)
{
    kbfs_attr attr;
    EXPECT_EQ(kbfs_getattr(n, &attr), 0);
    return attr;
}

int lookup(kbfs_node* dir, const std::string& name)
{
    kbfs_node* n;
    int rc = kbfs_lookup(dir, name.data(), name.size(), &n);
    if (rc == 0) kbfs_put(n);
    return rc;
}

int rename(kbfs_node* from, const std::string& a, kbfs_node* to, const std::string& b)
{
    return kbfs_rename(from, a.data(), a.size(), to, b.data(), b.size());
}

}  // namespace

TEST_F(DiskTest, FilesHaveDataAttributesAndXattrs)
{
    mounted(a, [&](kbfs*, kbfs_node* root) {
        kbfs_node* f = make_file(root, "f");
        std::string data(10000, 'd');
        EXPECT_EQ(kbfs_write(f, 5000, data.data(), data.size()), 0);
        EXPECT_EQ(attr_of(f).size, 15000u);
        char buf[20000];
        EXPECT_EQ(kbfs_read(f, 0, buf, sizeof buf), 15000);
        EXPECT_EQ(buf[4999], 0);
        EXPECT_EQ(buf[5000], 'd');
        EXPECT_EQ(kbfs_read(f, 14999, buf, 10), 1);
        EXPECT_EQ(kbfs_read(f, 15000, buf, 10), 0);
        kbfs_attr set{};
        set.size = 6000;
        set.mode = 0600;
        set.mtime_ns = 12345;
        EXPECT_EQ(kbfs_setattr(f, &set, KBFS_SIZE | KBFS_MODE | KBFS_MTIME), 0);
        set.size = 7000;
        EXPECT_EQ(kbfs_setattr(f, &set, KBFS_SIZE), 0);
        EXPECT_EQ(kbfs_read(f, 5999, buf, 2), 2);
        EXPECT_EQ(buf[0], 'd');
        EXPECT_EQ(buf[1], 0);
        EXPECT_EQ(attr_of(f).mode, KBFS_FILE | 0600u);
        EXPECT_EQ(kbfs_getxattr(f, "fid", buf, 8), -kENODATA);
        EXPECT_EQ(kbfs_setxattr(f, "fid", "0x1:2", 5), 0);
        EXPECT_EQ(kbfs_getxattr(f, "fid", buf, 4), -kERANGE);
        EXPECT_EQ(kbfs_getxattr(f, "fid", buf, 8), 5);
        EXPECT_EQ(kbfs_setxattr(f, "big", buf, 3001), -kENOSPC);
        EXPECT_EQ(kbfs_removexattr(f, "fid"), 0);
        EXPECT_EQ(kbfs_removexattr(f, "fid"), -kENODATA);
        kbfs_put(f);
    });
    a.shutdown_clean();
}

TEST_F(DiskTest, NamesFollowTheRules)
{
    mounted(a, [&](kbfs* fs, kbfs_node* root) {
        kbfs_node *d = make_file(root, "d", KBFS_DIR | 0755),
                  *e = make_file(d, "e", KBFS_DIR | 0755), *f = make_file(root, "f");
        EXPECT_EQ(attr_of(root).nlink, 4u);  // with lost+found
        kbfs_node* n;
        EXPECT_EQ(kbfs_create(root, "f", 1, KBFS_FILE, 0, &n), -kEEXIST);
        EXPECT_EQ(kbfs_create(f, "x", 1, KBFS_FILE, 0, &n), -kENOTDIR);
        EXPECT_EQ(lookup(root, "nothing"), -kENOENT);
        EXPECT_EQ(lookup(root, std::string(256, 'n')), -kENAMETOOLONG);
        EXPECT_EQ(kbfs_unlink(root, "d", 1), -kEISDIR);
        EXPECT_EQ(kbfs_rmdir(root, "f", 1), -kENOTDIR);
        EXPECT_EQ(kbfs_rmdir(root, "d", 1), -kENOTEMPTY);
        EXPECT_EQ(rename(root, "d", e, "loop"), -kEINVAL);
        EXPECT_EQ(rename(root, "f", root, "d"), -kEISDIR);
        EXPECT_EQ(rename(root, "d", root, "f"), -kENOTDIR);
        EXPECT_EQ(rename(d, "e", root, "e2"), 0);
        EXPECT_EQ(attr_of(d).nlink, 2u);
        EXPECT_EQ(rename(root, "e2", root, "d"), 0);  // replaces the empty one
        EXPECT_EQ(attr_of(d).nlink, 0u);
        EXPECT_EQ(kbfs_create(d, "x", 1, KBFS_FILE, 0, &n), -kENOENT);
        EXPECT_EQ(kbfs_link(f, root, "g", 1), 0);
        EXPECT_EQ(attr_of(f).nlink, 2u);
        EXPECT_EQ(rename(root, "f", root, "g"), 0);  // the same file: nothing happens
        EXPECT_EQ(lookup(root, "f"), 0);
        EXPECT_EQ(kbfs_symlink(root, "s", 1, "some/where", &n), 0);
        char buf[20];
        EXPECT_EQ(kbfs_readlink(n, buf, sizeof buf), 10);
        kbfs_put(n);
        // An unlinked file lives until it is put, its handle as well.
        kbfs_attr attr = attr_of(f);
        EXPECT_EQ(kbfs_unlink(root, "f", 1), 0);
        EXPECT_EQ(kbfs_unlink(root, "g", 1), 0);
        EXPECT_EQ(attr_of(f).nlink, 0u);
        EXPECT_EQ(kbfs_open_handle(fs, attr.ino, attr.generation, &n), 0);
        kbfs_put(n);
        kbfs_put(f);
        EXPECT_EQ(kbfs_open_handle(fs, attr.ino, attr.generation, &n), -kESTALE);
        f = make_file(root, "again");
        EXPECT_EQ(attr_of(f).ino, attr.ino);
        EXPECT_EQ(kbfs_open_handle(fs, attr.ino, attr.generation, &n), -kESTALE);
        for (kbfs_node* each : {d, e, f}) kbfs_put(each);
    });
    a.shutdown_clean();
}

TEST_F(DiskTest, IterationIsStableAcrossRemovals)
{
    mounted(a, [&](kbfs*, kbfs_node* root) {
        kbfs_node* d = make_file(root, "d", KBFS_DIR | 0755);
        for (int i = 0; i < 100; i++) kbfs_put(make_file(d, "f" + std::to_string(i)));
        struct Seen {
            std::vector<std::string> names;
            uint64_t cookie = 0;
            size_t stop = 0;
        } seen;
        auto emit = [](void* arg, const char* name, size_t len, uint64_t, uint32_t type,
                       uint64_t next) {
            auto* s = static_cast<Seen*>(arg);
            EXPECT_EQ(type, static_cast<uint32_t>(KBFS_FILE));
            s->names.emplace_back(name, len);
            s->cookie = next;
            return s->names.size() < s->stop;
        };
        seen.stop = 50;
        EXPECT_EQ(kbfs_iterate(d, 0, emit, &seen), 0);
        EXPECT_EQ(seen.names.size(), 50u);
        for (const std::string& name : seen.names)
            EXPECT_EQ(kbfs_unlink(d, name.data(), name.size()), 0);
        seen.stop = 1000;
        EXPECT_EQ(kbfs_iterate(d, seen.cookie, emit, &seen), 0);
        EXPECT_EQ(seen.names.size(), 100u);
        std::sort(seen.names.begin(), seen.names.end());
        EXPECT_EQ(std::unique(seen.names.begin(), seen.names.end()), seen.names.end());
        kbfs_put(d);
    });
}

TEST_F(DiskTest, OneLiveHostMountsIt)
{
    kbfs *fs, *other;
    on(a, [&] {
        EXPECT_EQ(kbfs_mount(a.net(), "/dev/vdb", false, &fs), 0);
        EXPECT_EQ(kbfs_mount(a.net(), "/dev/vdb", false, &other), -kEBUSY);
        EXPECT_EQ(kbfs_mount(a.net(), "/dev/vdc", false, &other), -kENOENT);
    });
    EXPECT_NE(a.leftovers(), "");
    on(b, [&] { EXPECT_EQ(kbfs_mount(b.net(), "/dev/vdb", false, &other), -kEBUSY); });
    a.crash();
    on(b, [&] {
        EXPECT_EQ(kbfs_mount(b.net(), "/dev/vdb", false, &other), 0);
        kbfs_unmount(other);
    });
    b.shutdown_clean();
}

// The owner goes on in its caches until its next sync; the other has what was durable.
TEST_F(DiskTest, FencedOwnerLearnsItFromItsSync)
{
    disk.set_cut(sim::Disk::Cut::kNone);
    mounted(a, [&](kbfs* fs, kbfs_node* root) {
        kbfs_put(make_file(root, "durable"));
        EXPECT_EQ(kbfs_sync(fs), 0);
        kbfs_put(make_file(root, "late"));
        disk.fence();
        kbfs_put(make_file(root, "later"));
        EXPECT_EQ(lookup(root, "late"), 0);
        mounted(b, [&](kbfs*, kbfs_node* other) {
            EXPECT_EQ(lookup(other, "durable"), 0);
            EXPECT_EQ(lookup(other, "late"), -kENOENT);
            kbfs_put(make_file(other, "new"));
        });
        EXPECT_EQ(kbfs_sync(fs), -kEIO);
        EXPECT_EQ(kbfs_unlink(root, "late", 4), -kEROFS);
    });
    EXPECT_FALSE(disk.in_use_by(a));
    a.shutdown_clean();
    mounted(b, [&](kbfs*, kbfs_node* root) {
        EXPECT_EQ(lookup(root, "new"), 0);
        EXPECT_EQ(lookup(root, "later"), -kENOENT);
    });
}

TEST_F(DiskTest, FaultsAreErrors)
{
    mounted(a, [&](kbfs* fs, kbfs_node* root) {
        disk.fail_at_step(2);
        kbfs_node *f = make_file(root, "f"), *n;
        EXPECT_EQ(kbfs_create(root, "g", 1, KBFS_FILE, 0, &n), -kEIO);
        EXPECT_EQ(lookup(root, "g"), -kENOENT);
        disk.set_full(true);
        EXPECT_EQ(kbfs_write(f, 0, "x", 1), -kENOSPC);
        disk.set_full(false);
        EXPECT_EQ(kbfs_write(f, 5000, "data", 4), 0);
        disk.set_full(true);
        EXPECT_EQ(kbfs_is_written(f, 5000, 4), 1);
        EXPECT_EQ(kbfs_is_written(f, 5000, 5), 0);
        EXPECT_EQ(kbfs_is_written(f, 0, 4), 0);
        EXPECT_EQ(kbfs_write(f, 5000, "new", 3), 0);
        EXPECT_EQ(kbfs_write(f, 0, "x", 1), -kENOSPC);
        EXPECT_EQ(kbfs_unlink(root, "f", 1), 0);
        struct kbfs_statfs st;
        EXPECT_EQ(kbfs_statfs(fs, &st), 0);
        EXPECT_EQ(st.free_bytes, 0u);
        disk.set_full(false);
        disk.fail_next_sync();
        EXPECT_EQ(kbfs_sync(fs), -kEIO);
        EXPECT_EQ(kbfs_sync(fs), 0);
        kbfs_put(f);
    });
    sim::Disk& small = sim::make_disk(w, "small", 1 << 20);
    small.attach(a, "/dev/vdc");
    on(a, [&] {
        kbfs* fs;
        kbfs_node* root;
        ASSERT_EQ(kbfs_mount(a.net(), "/dev/vdc", false, &fs), 0);
        ASSERT_EQ(kbfs_root(fs, &root), 0);
        kbfs_node* f = make_file(root, "f");
        std::string block(1 << 16, 'x');
        int rc = 0;
        uint64_t at = 0;
        for (; rc == 0 && at < 2 << 20; at += block.size())
            rc = kbfs_write(f, at, block.data(), block.size());
        EXPECT_EQ(rc, -kENOSPC);
        EXPECT_LE(at, 1u << 20);
        kbfs_put(f);
        kbfs_put(root);
        kbfs_unmount(fs);
    });
}

// The states after each step are recorded; after a crash the disk must show one of those since the
// last sync.
TEST(DiskCrash, KeepsAPrefix)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        sim::World w(seed);
        sim::Host& h = w.host("oss");
        sim::Disk& disk = sim::make_disk(w, "disk");
        disk.attach(h, "/dev/vdb");
        disk.set_write_loss(0);
        disk.set_late_writes(0);
        bool exact = seed % 2;
        std::vector<std::string> states{disk.dump()};
        size_t synced = 0;
        if (exact) disk.crash_at_step(1 + w.user_rng().below(60));
        auto* t = h.spawn("work", [&] {
            kbfs* fs;
            kbfs_node* root;
            ASSERT_EQ(kbfs_mount(h.net(), "/dev/vdb", false, &fs), 0);
            ASSERT_EQ(kbfs_root(fs, &root), 0);
            for (int i = 0; i < 60; i++) {
                std::string name = "f" + std::to_string(w.user_rng().below(8));
                std::string other = "f" + std::to_string(w.user_rng().below(8));
                kbfs_node* n;
                switch (w.user_rng().below(5)) {
                case 0:
                    if (kbfs_create(root, name.data(), name.size(), KBFS_FILE | 0644, 0, &n) == 0)
                        kbfs_put(n);
                    break;
                case 1: (void)kbfs_unlink(root, name.data(), name.size()); break;
                case 2:
                    (void)kbfs_rename(root, name.data(), name.size(), root, other.data(),
                                      other.size());
                    break;
                default:
                    if (kbfs_lookup(root, name.data(), name.size(), &n) != 0) break;
                    if (w.user_rng().below(2))
                        (void)kbfs_write(n, w.user_rng().below(3) * 3000, other.data(),
                                         other.size());
                    else (void)kbfs_setxattr(n, "x", other.data(), other.size());
                    kbfs_put(n);
                }
                if (disk.dump() != states.back()) states.push_back(disk.dump());
                if (w.user_rng().below(20) == 0) {
                    EXPECT_EQ(kbfs_sync(fs), 0);
                    synced = states.size() - 1;
                }
            }
        });
        w.after(w.user_rng().below(3000000), [&] { h.crash(); });
        w.run_to_end(t, w.now_ns() + 10 * kSec);
        h.crash();
        // At an exact crash the last step was executed but not recorded by the test: one more state
        // is possible.
        bool found = false;
        std::string now = disk.dump();
        for (size_t i = synced; i < states.size() && !found; i++) found = states[i] == now;
        EXPECT_TRUE(found || exact) << "seed " << seed << "\n" << now;
        EXPECT_EQ(now, disk.dump(true));
    }
}

TEST(DiskCrash, AtStepKeepsExactlyTheStepsSoFar)
{
    for (uint64_t n = 1; n <= 10; n++) {
        sim::World w(n);
        sim::Host& h = w.host("mds");
        sim::Disk& disk = sim::make_disk(w, "disk");
        disk.attach(h, "/dev/vdb");
        disk.crash_at_step(n);
        int made = 0;
        auto* t = h.spawn("work", [&] {
            kbfs* fs;
            kbfs_node* root;
            ASSERT_EQ(kbfs_mount(h.net(), "/dev/vdb", false, &fs), 0);
            ASSERT_EQ(kbfs_root(fs, &root), 0);
            for (int i = 0; i < 10; i++, made++) kbfs_put(make_file(root, "f" + std::to_string(i)));
        });
        w.run_to_end(t, w.now_ns() + kSec);
        EXPECT_FALSE(h.up());
        EXPECT_EQ(made, static_cast<int>(n) - 1);
        std::string last = "/f" + std::to_string(n - 1) + " ",
                    next = "/f" + std::to_string(n) + " ";
        EXPECT_NE(disk.dump().find(last), std::string::npos);
        EXPECT_EQ(disk.dump().find(next), std::string::npos);
    }
}

TEST(DiskCrash, SameSeedSameDisk)
{
    auto crashed_disk = [](uint64_t seed, uint64_t* hash) {
        sim::World w(seed);
        sim::Host& h = w.host("oss");
        sim::Disk& disk = sim::make_disk(w, "disk");
        disk.attach(h, "/dev/vdb");
        kbfs* fs;
        kbfs_node* root;
        h.spawn("start", [&] {
            ASSERT_EQ(kbfs_mount(h.net(), "/dev/vdb", false, &fs), 0);
            ASSERT_EQ(kbfs_root(fs, &root), 0);
            for (int task = 0; task < 4; task++)
                h.spawn("writer", [&, task] {
                    for (int i = 0; i < 50; i++) {
                        kbfs_node* n =
                            make_file(root, std::to_string(task) + "." + std::to_string(i));
                        EXPECT_EQ(kbfs_write(n, 0, "data", 4), 0);
                        kbfs_put(n);
                        if (i % 10 == 9) kapi_sleep_ns(kapi_random_u64() % 1000000);
                    }
                });
        });
        w.after(1000000, [&] { h.crash(); });
        w.run_until_idle();
        *hash = w.trace_hash();
        return disk.dump();
    };
    for (uint64_t seed = 0; seed < 20; seed++) {
        uint64_t h1, h2;
        EXPECT_EQ(crashed_disk(seed, &h1), crashed_disk(seed, &h2));
        EXPECT_EQ(h1, h2);
    }
}

// A drive writes in any order: data behind the cut may be there, whole or by sectors, in blocks
// that the file had; of the file's size, its attributes and its names there is nothing.
TEST(DiskCrash, LaterDataMayOverwriteButMetadataKeepsItsOrder)
{
    int whole = 0, none = 0, torn = 0, late = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        sim::World w(seed);
        sim::Host& h = w.host("oss");
        sim::Disk& disk = sim::make_disk(w, "disk");
        disk.attach(h, "/dev/vdb");
        disk.set_write_loss(0);
        const std::string before(4096, 'a'), after(4096, 'b');
        auto* t = h.spawn("work", [&] {
            kbfs* fs;
            kbfs_node* root;
            ASSERT_EQ(kbfs_mount(h.net(), "/dev/vdb", false, &fs), 0);
            ASSERT_EQ(kbfs_root(fs, &root), 0);
            kbfs_node* f = make_file(root, "f");
            EXPECT_EQ(kbfs_write(f, 0, before.data(), before.size()), 0);
            EXPECT_EQ(kbfs_sync(fs), 0);
            EXPECT_EQ(kbfs_setxattr(f, "x", "lost", 4), 0);
            EXPECT_EQ(kbfs_write(f, 0, after.data(), after.size()), 0);
            EXPECT_EQ(kbfs_write(f, 4096, "grown", 5), 0);
            h.crash();
        });
        w.run_to_end(t, w.now_ns() + kSec);
        std::string now = disk.dump();
        if (now.find("x=lost") != std::string::npos) continue;  // it is within the prefix
        EXPECT_NE(now.find("size 4096"), std::string::npos) << now;
        EXPECT_EQ(now.find("grown"), std::string::npos);
        std::string data = now.substr(now.find("[0]") + 3, 4096);
        std::string sectors;  // of each its letter
        for (size_t at = 0; at < data.size(); at += 512) {
            EXPECT_EQ(data.substr(at, 512), std::string(512, data[at]));
            sectors += data[at];
        }
        if (sectors.find("ab") != std::string::npos) late++;
        (sectors == "aaaaaaaa" ? none : sectors == "bbbbbbbb" ? whole : torn)++;
    }
    EXPECT_GT(none, 5);
    EXPECT_GT(whole, 3);
    EXPECT_GT(torn, 1);
    EXPECT_GT(late, 1) << "never a sector without the one before it";
}

// Of a write that was never flushed any blocks may be there: those that are new to the file whole,
// the others by sectors.
TEST(DiskCrash, AWriteIsTornAnywhere)
{
    int middle = 0, torn_sectors = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        sim::World w(seed);
        sim::Host& h = w.host("oss");
        sim::Disk& disk = sim::make_disk(w, "disk");
        disk.attach(h, "/dev/vdb");
        disk.set_cut(sim::Disk::Cut::kAll);
        disk.set_torn_writes(1000);
        auto* t = h.spawn("work", [&] {
            kbfs* fs;
            kbfs_node* root;
            ASSERT_EQ(kbfs_mount(h.net(), "/dev/vdb", false, &fs), 0);
            ASSERT_EQ(kbfs_root(fs, &root), 0);
            kbfs_node* f = make_file(root, "f");
            std::string old(4096, 'a'), later(5 * 4096, 'b');
            EXPECT_EQ(kbfs_write(f, 0, old.data(), old.size()), 0);
            EXPECT_EQ(kbfs_sync(fs), 0);
            EXPECT_EQ(kbfs_write(f, 0, later.data(), later.size()), 0);
            h.crash();
        });
        w.run_to_end(t, w.now_ns() + kSec);
        std::string now = disk.dump(), blocks;
        for (int i = 0; i < 5; i++) {
            size_t at = now.find("[" + std::to_string(i) + "]");
            blocks += at == std::string::npos ? '-' : now[at + 3];
            if (i && at != std::string::npos) {
                EXPECT_EQ(now.substr(at + 3, 4096), std::string(4096, 'b'));
            }
        }
        std::string first = now.substr(now.find("[0]") + 3, 4096);
        for (size_t at = 0; at < 4096; at += 512)
            EXPECT_EQ(first.substr(at, 512), std::string(512, first[at]));
        bool old_data = first.find('a') != std::string::npos;
        torn_sectors += old_data && first.find('b') != std::string::npos;
        middle += blocks.find("-b", 1) != std::string::npos;
    }
    EXPECT_GT(middle, 5);
    EXPECT_GT(torn_sectors, 5);
}

// A write that fails has written some of its blocks, or none.
TEST_F(DiskTest, AWriteThatFailsHasWrittenAPart)
{
    int none = 0, some = 0;
    mounted(a, [&](kbfs*, kbfs_node* root) {
        for (int i = 0; i < 40; i++) {
            kbfs_node* f = make_file(root, "f" + std::to_string(i));
            std::string data(5 * 4096, 'x');
            disk.fail_at_step(1);
            EXPECT_EQ(kbfs_write(f, 100, data.data(), data.size()), -kEIO);
            struct kbfs_attr attr;
            EXPECT_EQ(kbfs_getattr(f, &attr), 0);
            EXPECT_EQ(attr.size % 4096, 0u);
            EXPECT_LT(attr.size, data.size());
            (attr.size ? some : none)++;
            kbfs_put(f);
        }
    });
    EXPECT_GT(none, 5);
    EXPECT_GT(some, 5);
}

TEST(DiskCrash, DataMayBeLostButNotWhatWasSynced)
{
    int lost = 0, kept = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        sim::World w(seed);
        sim::Host& h = w.host("oss");
        sim::Disk& disk = sim::make_disk(w, "disk");
        disk.attach(h, "/dev/vdb");
        disk.set_cut(sim::Disk::Cut::kAll);
        auto* t = h.spawn("work", [&] {
            kbfs* fs;
            kbfs_node* root;
            ASSERT_EQ(kbfs_mount(h.net(), "/dev/vdb", false, &fs), 0);
            ASSERT_EQ(kbfs_root(fs, &root), 0);
            kbfs_node* f = make_file(root, "f");
            EXPECT_EQ(kbfs_write(f, 0, "synced", 6), 0);
            EXPECT_EQ(kbfs_sync(fs), 0);
            EXPECT_EQ(kbfs_write(f, 6, "loose", 5), 0);
            EXPECT_EQ(kbfs_setxattr(f, "x", "later", 5), 0);
            h.crash();
        });
        w.run_to_end(t, w.now_ns() + kSec);
        std::string now = disk.dump();
        EXPECT_NE(now.find("synced"), std::string::npos);
        EXPECT_NE(now.find("x=later"), std::string::npos);
        (now.find("syncedloose") == std::string::npos ? lost : kept)++;
    }
    EXPECT_GT(lost, 5);
    EXPECT_GT(kept, 5);
}
