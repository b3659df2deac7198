// SPDX-License-Identifier: GPL-2.0-only
// The store on a simulated disk: every operation, and a crash after each single step of those that
// change the namespace.
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <string>

#include "kapi/sim/world.h"
#include "osd/fid_name.h"
#include "osd/sim/disk.h"
#include "osd/store.h"

using namespace lull;

namespace {

constexpr Fid fid(uint32_t n) { return Fid{kFidSeqNormal, n, 0}; }

struct Lab {
    sim::World world;
    sim::Host& host;
    sim::Disk& disk;
    Owned<Store> store;

    explicit Lab(uint64_t seed)
        : world(seed), host(world.host("mds")), disk(sim::make_disk(world, "d"))
    {
        disk.attach(host, "/dev/d");
        disk.set_cut(sim::Disk::Cut::kAll);
        on([&] {
            kbfs* fs;
            kbfs_node *top, *configs, *data;
            ASSERT_EQ(kbfs_mount(host.net(), "/dev/d", false, &fs), 0);
            ASSERT_EQ(kbfs_root(fs, &top), 0);
            ASSERT_EQ(kbfs_create(top, "CONFIGS", 7, KBFS_DIR | 0755, 0, &configs), 0);
            ASSERT_EQ(kbfs_create(configs, "mountdata", 9, KBFS_FILE | 0644, 0, &data), 0);
            kbfs_put(data);
            kbfs_put(configs);
            kbfs_put(top);
            ASSERT_EQ(kbfs_sync(fs), 0);
            kbfs_unmount(fs);
        });
    }
    ~Lab()
    {
        on([&] { store.reset(); });
    }

    // False: the host crashed meanwhile.
    bool on(std::function<void()> fn)
    {
        uint64_t boots = host.boots();
        auto* task = host.spawn("test", fn);
        EXPECT_TRUE(world.run_until([&] { return sim::World::finished(task); },
                                    world.now_ns() + 100 * kSec))
            << world.report();
        if (host.up() && host.boots() == boots) return true;
        (void)store.release();
        return false;
    }
    void mount()
    {
        on([&] {
            Text<200> why;
            auto s = Store::mount(host.net(), "/dev/d", &why);
            ASSERT_TRUE(s.ok()) << why.c_str();
            store = s.release_value();
        });
    }
    void crash_and_mount()
    {
        if (host.up()) host.crash();
        (void)store.release();
        host.boot();
        mount();
    }

    Ref<Object> root() { return store->root().release_value(); }
    Status create(Object& dir, const char* name, uint32_t n, uint32_t mode, const char* target = "")
    {
        CreateSpec spec;
        spec.fid = fid(n);
        spec.mode = mode;
        spec.uid = 7;
        spec.time_ns = 5 * kSec;
        spec.transno = 100 + n;
        spec.symlink_target = target;
        return store->create(dir, name, spec).status();
    }
    Ref<Object> at(const char* name)
    {
        auto o = store->lookup(*root(), name);
        return o.ok() ? o.release_value() : Ref<Object>();
    }
    uint32_t nlink(Object& o)
    {
        Attr a;
        EXPECT_TRUE(store->getattr(o, &a).ok());
        return a.nlink;
    }
    // Every named object can be found by its FID, everything pending, too, and nothing else is
    // indexed.
    void check();
};

void Lab::check()
{
    std::set<std::string> names;
    std::function<void(Object&)> walk = [&](Object& dir) {
        Vec<DirEntry> entries;
        bool end = false;
        ASSERT_TRUE(store->readdir(dir, 0, 1000, &entries, &end).ok());
        EXPECT_TRUE(end);
        for (DirEntry& e : entries) {
            auto byname = store->lookup(dir, e.name);
            ASSERT_TRUE(byname.ok()) << e.name.c_str();
            EXPECT_EQ(byname.value()->fid(), e.fid);
            auto byfid = store->find(e.fid);
            ASSERT_TRUE(byfid.ok()) << e.name.c_str() << " " << byfid.error();
            EXPECT_GT(nlink(*byfid.value()), 0u) << e.name.c_str();
            names.insert(fid_name(e.fid).c_str());
            if (byname.value()->type() == KBFS_DIR) walk(*byname.value());
        }
    };
    walk(*root());
    Vec<Fid> pending;
    ASSERT_TRUE(store->list_pending(&pending).ok());
    for (const Fid& f : pending) {
        auto o = store->find(f);
        ASSERT_TRUE(o.ok());
        EXPECT_EQ(nlink(*o.value()), 0u);
        EXPECT_EQ(names.count(fid_name(f).c_str()), 0u) << "pending and named";
    }
}

}  // namespace

TEST(FidName, RoundTrip)
{
    for (Fid f : {kRootFid, fid(1), Fid{~0ull, ~0u, ~0u}, Fid{}})
        EXPECT_EQ(parse_fid_name(fid_name(f)).value(), f);
    for (const char* bad :
         {"", "0x1", "0x1:0x2", "1:2:3", "0x1:0x2:0x3:0x4", "0x1:0x100000000:0x0", "0x:0x1:0x1"})
        EXPECT_FALSE(parse_fid_name(bad).ok()) << bad;
}

TEST(Store, RefusesAForeignDevice)
{
    sim::World world(1);
    sim::Host& host = world.host("a");
    sim::make_disk(world, "d").attach(host, "/dev/d");
    auto* t = host.spawn("t", [&] {
        Text<200> why;
        EXPECT_TRUE(Store::mount(host.net(), "/dev/d", &why).is(kEINVAL));
        EXPECT_NE(std::string(why.c_str()).find("mkfs.lull"), std::string::npos);
    });
    ASSERT_TRUE(world.run_to_end(t, 100 * kSec));
    host.shutdown_clean();
}

TEST(Store, Operations)
{
    Lab l(1);
    l.mount();
    l.on([&] {
        Ref<Object> root = l.root();
        EXPECT_TRUE(l.create(*root, "f", 1, KBFS_FILE | 0640).ok());
        EXPECT_TRUE(l.create(*root, "f", 2, KBFS_FILE | 0640).is(kEEXIST));
        EXPECT_TRUE(l.create(*root, "g", 1, KBFS_FILE | 0640).is(kEEXIST)) << "FID in use";
        EXPECT_TRUE(l.create(*root, "d", 3, KBFS_DIR | 0755).ok());
        EXPECT_TRUE(l.create(*root, "s", 4, KBFS_SYMLINK | 0777, "some/where").ok());
        EXPECT_TRUE(l.create(*root, "..", 5, KBFS_FILE).is(kEINVAL));
        EXPECT_TRUE(l.create(*root, "a/b", 5, KBFS_FILE).is(kEINVAL));
        auto f = l.at("f"), d = l.at("d");
        Attr a;
        EXPECT_TRUE(l.store->getattr(*f, &a).ok());
        EXPECT_EQ(a.mode, KBFS_FILE | 0640u);
        EXPECT_EQ(a.uid, 7u);
        EXPECT_EQ(a.mtime_ns, 5 * kSec);
        EXPECT_EQ(l.store->version(*f).value(), 101u);
        EXPECT_TRUE(l.store->set_version(*f, 777).ok());
        auto target = make<Text<kSymlinkMax>>();
        EXPECT_TRUE(l.store->readlink(*l.at("s"), target.get()).ok());
        EXPECT_STREQ(target->c_str(), "some/where");

        Layout layout;
        EXPECT_TRUE(l.store->get_layout(*f, &layout).ok());
        EXPECT_FALSE(layout.is_set());
        layout.stripe_bytes = 65536;
        StripeObject so;
        so.ost_index = 3;
        so.fid = fid(9);
        EXPECT_TRUE(layout.objects.push_back(so).ok());
        EXPECT_TRUE(l.store->set_layout(*f, layout).ok());
        Layout back;
        EXPECT_TRUE(l.store->get_layout(*f, &back).ok());
        EXPECT_EQ(back.objects.size(), 1u);
        EXPECT_EQ(back.objects[0].fid, fid(9));

        bool pending;
        EXPECT_TRUE(l.store->link(*f, *d, "hard").ok());
        EXPECT_EQ(l.nlink(*f), 2u);
        EXPECT_TRUE(l.store->unlink(*root, "f", *f, &pending).ok());
        EXPECT_FALSE(pending);
        EXPECT_TRUE(l.store->unlink(*root, "d", *d, &pending).is(kENOTEMPTY));
        EXPECT_TRUE(l.store->unlink(*d, "hard", *f, &pending).ok());
        EXPECT_TRUE(pending);
        EXPECT_EQ(l.nlink(*f), 0u);
        EXPECT_TRUE(l.store->link(*f, *root, "again").is(kENOENT));
        EXPECT_TRUE(l.store->unlink(*root, "d", *d, &pending).ok());
        EXPECT_TRUE(l.store->find(fid(3)).is(kESTALE));
        l.check();
    });
    l.on([&] { l.store.reset(); });
    l.mount();
    l.on([&] {
        EXPECT_EQ(l.store->version(*l.store->find(fid(1)).value()).value(), 777u);
        EXPECT_TRUE(l.store->destroy_pending(fid(1)).ok());
        EXPECT_TRUE(l.store->find(fid(1)).is(kESTALE));
        l.check();
    });
    l.on([&] { l.store.reset(); });
    l.host.shutdown_clean();
    l.host.boot();
}

TEST(Store, AncestorsAndDirectoryMoves)
{
    Lab l(1);
    l.mount();
    l.on([&] {
        auto root = l.root();
        bool pending;
        EXPECT_TRUE(l.create(*root, "a", 1, KBFS_DIR | 0755).ok());
        EXPECT_TRUE(l.create(*l.at("a"), "b", 2, KBFS_DIR | 0755).ok());
        EXPECT_TRUE(l.create(*root, "c", 3, KBFS_DIR | 0755).ok());
        auto a = l.at("a"), b = l.store->find(fid(2)).release_value(), c = l.at("c");
        EXPECT_TRUE(l.store->is_ancestor(*a, *b));
        EXPECT_TRUE(l.store->is_ancestor(*root, *b));
        EXPECT_TRUE(l.store->is_ancestor(*b, *b));
        EXPECT_FALSE(l.store->is_ancestor(*b, *a));
        EXPECT_TRUE(l.store->rename(*a, "b", *c, "b", *b, nullptr, &pending).ok());
        EXPECT_FALSE(l.store->is_ancestor(*a, *b));
        EXPECT_TRUE(l.store->is_ancestor(*c, *b));
    });
    l.on([&] { l.store.reset(); });
    l.mount();
    l.on([&] { EXPECT_TRUE(l.store->is_ancestor(*l.at("c"), *l.store->find(fid(2)).value())); });
}

TEST(Store, RecordsAndConfigs)
{
    Lab l(1);
    l.mount();
    l.on([&] {
        uint8_t v[] = {1, 2, 3};
        using A = Store::Area;
        EXPECT_TRUE(l.store->get_record(A::kClients, "c1", "client").is(kENOENT));
        EXPECT_TRUE(l.store->put_record(A::kClients, "c1", "client", v).ok());
        EXPECT_TRUE(l.store->get_record(A::kClients, "c1", "slot0").is(kENODATA));
        EXPECT_EQ(l.store->get_record(A::kClients, "c1", "client").value().size(), 3u);
        EXPECT_TRUE(l.store->put_record(A::kClients, "../x", "client", v).is(kEINVAL));
        EXPECT_TRUE(l.store->put_record(A::kServer, "", "instance", v).ok());
        EXPECT_EQ(l.store->get_record(A::kServer, "", "instance").value()[2], 3);
        Vec<UuidText> clients;
        EXPECT_TRUE(l.store->list_clients(&clients).ok());
        ASSERT_EQ(clients.size(), 1u);
        EXPECT_TRUE(l.store->remove_client("c1").ok());
        EXPECT_TRUE(l.store->remove_client("c1").ok());

        Bytes big;
        EXPECT_TRUE(big.resize(100000).ok());
        big[99999] = 42;
        EXPECT_TRUE(l.store->write_config("x", big).ok());
        EXPECT_TRUE(l.store->write_config("x", big).ok());
        EXPECT_EQ(l.store->read_config("x").value()[99999], 42);
        Vec<NameText> names;
        EXPECT_TRUE(l.store->list_configs(&names).ok());
        EXPECT_EQ(names.size(), 2u);
        EXPECT_TRUE(l.store->read_config("../last_rcvd").is(kEINVAL));
        EXPECT_TRUE(l.store->remove_config("x").ok());
        EXPECT_TRUE(l.store->read_config("x").is(kENOENT));
    });
}

TEST(Store, OstObjects)
{
    Lab l(1);
    l.mount();
    Fid o{kFidSeqOstBase + 1, 300, 0};
    l.on([&] {
        EXPECT_TRUE(l.store->ost_find(o, false, 0, 0).is(kENOENT));
        auto obj = l.store->ost_find(o, true, 5, 6).release_value();
        uint8_t data[100] = {1};
        data[99] = 9;
        EXPECT_TRUE(l.store->ost_write(*obj, 1000, data).ok());
        uint8_t back[200];
        EXPECT_EQ(l.store->ost_read(*obj, 1050, back).value(), 50u);
        EXPECT_EQ(back[49], 9);
        EXPECT_TRUE(l.store->ost_truncate(*obj, 10).ok());
        Attr a;
        EXPECT_TRUE(l.store->getattr(*obj, &a).ok());
        EXPECT_EQ(a.size, 10u);
        EXPECT_EQ(a.uid, 5u);
    });
    l.on([&] { l.store.reset(); });
    l.mount();
    l.on([&] {
        EXPECT_EQ(l.store->ost_find(o, false, 0, 0).value()->fid(), o);
        EXPECT_TRUE(l.store->ost_destroy(o).ok());
        EXPECT_TRUE(l.store->ost_destroy(o).ok());
        EXPECT_TRUE(l.store->ost_find(o, false, 0, 0).is(kENOENT));
    });
}

namespace {

// Runs op with a crash after each of its steps; then recovers, repeats it as a replay would (op
// must see what is done) and compares.
void crash_everywhere(std::function<void(Lab&)> prepare, std::function<void(Lab&)> op,
                      std::function<void(Lab&)> expect)
{
    bool crashed = true;
    uint64_t n = 1;
    for (; crashed; n++) {
        SCOPED_TRACE("crash after step " + std::to_string(n));
        Lab l(n);
        l.mount();
        l.on([&] {
            (void)l.root();
            prepare(l);
            ASSERT_TRUE(l.store->sync().ok());
        });
        l.disk.crash_at_step(n);
        crashed = !l.on([&] { op(l); });
        l.disk.crash_at_step(0);
        if (crashed) {
            l.crash_and_mount();
            l.on([&] { l.check(); });
            l.on([&] { op(l); });
        }
        l.on([&] {
            l.check();
            expect(l);
        });
        if (testing::Test::HasFailure()) return;
        ASSERT_LT(n, 100u);
    }
    EXPECT_GT(n, 2u);
}

}  // namespace

TEST(StoreCrash, Create)
{
    for (uint32_t mode : {KBFS_FILE | 0600, KBFS_DIR | 0700}) {
        crash_everywhere([](Lab&) {},
                         [=](Lab& l) {
                             Status s = l.create(*l.root(), "x", 1, mode);
                             EXPECT_TRUE(s.ok() || (s.is(kEEXIST) && l.at("x")->fid() == fid(1)));
                         },
                         [](Lab& l) { EXPECT_TRUE(l.at("x")); });
    }
}

TEST(StoreCrash, Unlink)
{
    crash_everywhere([](Lab&
                            l) { EXPECT_TRUE(l.create(*l.root(), "x", 1, KBFS_FILE | 0600).ok()); },
                     [](Lab& l) {
                         bool pending;
                         if (auto x = l.at("x")) {
                             EXPECT_TRUE(l.store->unlink(*l.root(), "x", *x, &pending).ok());
                         }
                         EXPECT_TRUE(l.store->destroy_pending(fid(1)).ok());
                     },
                     [](Lab& l) {
                         EXPECT_FALSE(l.at("x"));
                         EXPECT_TRUE(l.store->find(fid(1)).is(kESTALE));
                     });
}

TEST(StoreCrash, Rmdir)
{
    crash_everywhere([](Lab& l) { EXPECT_TRUE(l.create(*l.root(), "x", 1, KBFS_DIR | 0700).ok()); },
                     [](Lab& l) {
                         bool pending;
                         if (auto x = l.at("x")) {
                             EXPECT_TRUE(l.store->unlink(*l.root(), "x", *x, &pending).ok());
                         }
                     },
                     [](Lab& l) { EXPECT_TRUE(l.store->find(fid(1)).is(kESTALE)); });
}

TEST(StoreCrash, Link)
{
    crash_everywhere([](Lab&
                            l) { EXPECT_TRUE(l.create(*l.root(), "x", 1, KBFS_FILE | 0600).ok()); },
                     [](Lab& l) {
                         Status s = l.store->link(*l.at("x"), *l.root(), "y");
                         EXPECT_TRUE(s.ok() || s.is(kEEXIST));
                     },
                     [](Lab& l) { EXPECT_EQ(l.nlink(*l.at("y")), 2u); });
}

TEST(StoreCrash, RenameReplaces)
{
    for (uint32_t type : {KBFS_FILE | 0600, KBFS_DIR | 0700}) {
        crash_everywhere(
            [=](Lab& l) {
                EXPECT_TRUE(l.create(*l.root(), "d", 3, KBFS_DIR | 0700).ok());
                EXPECT_TRUE(l.create(*l.root(), "x", 1, type).ok());
                EXPECT_TRUE(l.create(*l.at("d"), "y", 2, type).ok());
            },
            [](Lab& l) {
                bool pending;
                auto x = l.at("x"), d = l.at("d");
                auto y = l.store->lookup(*d, "y");
                ASSERT_TRUE(y.ok()) << "never without a name";
                if (x) {
                    EXPECT_TRUE(
                        l.store->rename(*l.root(), "x", *d, "y", *x, y.value().get(), &pending)
                            .ok());
                }
            },
            [=](Lab& l) {
                EXPECT_FALSE(l.at("x"));
                EXPECT_EQ(l.store->lookup(*l.at("d"), "y").value()->fid(), fid(1));
                Vec<Fid> pending;
                EXPECT_TRUE(l.store->list_pending(&pending).ok());
                EXPECT_EQ(pending.size(), (type & 0170000) == KBFS_FILE ? 1u : 0u);
                bool is_dir = (type & 0170000) == KBFS_DIR;
                if (is_dir) {
                    EXPECT_TRUE(l.store->is_ancestor(*l.at("d"), *l.store->find(fid(1)).value()));
                }
            });
    }
}

// A prefix of everything since the last sync survives: many operations, any prefix, always
// consistent.
TEST(StoreCrash, AnyPrefixIsConsistent)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        SCOPED_TRACE(seed);
        Lab l(seed);
        l.disk.set_cut(sim::Disk::Cut::kBySeed);
        l.mount();
        l.on([&] {
            bool pending;
            auto root = l.root();
            EXPECT_TRUE(l.store->sync().ok());
            for (uint32_t i = 1; i <= 6; i++) {
                std::string name = "f" + std::to_string(i);
                EXPECT_TRUE(
                    l.create(*root, name.c_str(), i, (i % 2 ? KBFS_FILE : KBFS_DIR) | 0700).ok());
            }
            EXPECT_TRUE(
                l.store->rename(*root, "f1", *root, "f3", *l.at("f1"), l.at("f3").get(), &pending)
                    .ok());
            EXPECT_TRUE(
                l.store->rename(*root, "f2", *l.at("f4"), "in", *l.at("f2"), nullptr, &pending)
                    .ok());
            EXPECT_TRUE(l.store->unlink(*root, "f5", *l.at("f5"), &pending).ok());
            EXPECT_TRUE(l.store->unlink(*root, "f6", *l.at("f6"), &pending).ok());
        });
        l.crash_and_mount();
        l.on([&] { l.check(); });
        if (testing::Test::HasFailure()) return;
    }
}

namespace {

constexpr size_t kOldConfig = 9000, kNewConfig = 13000;

Bytes config_of(size_t size)
{
    Bytes b;
    EXPECT_TRUE(b.resize(size).ok());
    for (auto& c : b) c = static_cast<uint8_t>(size / 1000);
    return b;
}

bool config_is(Lab& l, size_t size)
{
    auto now = l.store->read_config("x");
    Bytes all = config_of(size);
    return now.ok() && std::equal(now.value().begin(), now.value().end(), all.begin(), all.end());
}

}  // namespace

// A configuration is the old one or the new one, whole, wherever its writer crashes.
TEST(StoreCrash, ConfigIsOldOrNew)
{
    for (bool had_one : {false, true}) {
        crash_everywhere(
            [=](Lab& l) {
                if (!had_one) return;
                EXPECT_TRUE(l.store->write_config("x", config_of(kOldConfig)).ok());
            },
            [=](Lab& l) {
                bool old =
                    had_one ? config_is(l, kOldConfig) : l.store->read_config("x").is(kENOENT);
                EXPECT_TRUE(old || config_is(l, kNewConfig));
                EXPECT_TRUE(l.store->write_config("x", config_of(kNewConfig)).ok());
            },
            [](Lab& l) { EXPECT_TRUE(config_is(l, kNewConfig)); });
    }
}

// Once its writer has been told, it is on the disk.
TEST(StoreCrash, WrittenConfigStays)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Lab l(seed);
        l.disk.set_cut(sim::Disk::Cut::kNone);
        l.mount();
        l.on([&] { EXPECT_TRUE(l.store->write_config("x", config_of(kNewConfig)).ok()); });
        l.crash_and_mount();
        l.on([&] { EXPECT_TRUE(config_is(l, kNewConfig)); });
    }
}
