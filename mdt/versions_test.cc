// SPDX-License-Identifier: GPL-2.0-only
// Version-based recovery: when a client is missing after a crash, replays that do not build on what
// it did go on.
#include "mdt/mdt_cluster_test.h"

using namespace lull;
using namespace lull::mdt_test;

namespace {

using Names = std::vector<std::string>;

// A gets lost with the MDS; what was not committed is gone, unless it survived on the disk by
// chance.
struct Lab {
    MdtCluster cluster;
    TestClient &a, &b;

    explicit Lab(uint64_t seed = 1, uint32_t protocol = 2)
        : cluster(seed, 1, protocol), a(cluster.client(protocol)), b(cluster.client(protocol))
    {}
    void commit()
    {
        b.on([&] { ASSERT_TRUE(b.sync().ok()); });
    }
    void crash(sim::Disk::Cut cut = sim::Disk::Cut::kNone)
    {
        cluster.mds.disk.set_cut(cut);
        cluster.mds.crash();
        a.crash();
        cluster.mds.start();
        cluster.world.run_for(150 * kSec);  // the window's soft limit is a minute
    }
    std::string recovery_status()
    {
        std::string text;
        cluster.mds.on([&] { (void)cluster.mds.param("mdt.lull-MDT0000.recovery_status", &text); });
        return text;
    }
    // The client was thrown out, knows it, and goes on.
    void expect_evicted(TestClient& c)
    {
        c.on([&] {
            EXPECT_TRUE(c.mkdir(kRootFid, "new life").ok());
            EXPECT_EQ(1, c.mdt.evictions);
        });
    }
};

Attr mode_of(uint32_t mode)
{
    Attr a;
    a.valid = kAttrMode;
    a.mode = mode;
    return a;
}

uint32_t mode_at(TestClient& c, const Fid& f)
{
    MdsGetattrReply r;
    EXPECT_TRUE(c.getattr(f, "", &r).ok());
    return r.attr.mode & 07777;
}

// A7 R2.
TEST(Versions, WhatBuildsOnAMissingClientIsLostAlone)
{
    for (uint32_t protocol : {1u, 2u}) {
        Lab lab(1, protocol);
        Fid d, e;
        Ref<Call<MdsOpenOp>> o;
        lab.b.on([&] { ASSERT_TRUE(lab.b.mkdir(kRootFid, "e", &e).ok()); });
        lab.commit();
        lab.a.on([&] { ASSERT_TRUE(lab.a.mkdir(kRootFid, "d", &d).ok()); });
        lab.b.on([&] {
            ASSERT_TRUE(lab.b.touch(e, "before").ok());
            ASSERT_TRUE(lab.b.touch(d, "in d").ok());
            ASSERT_TRUE(lab.b.rename(e, "before", kRootFid, "moved").ok());
            ASSERT_TRUE(lab.b.touch(e, "after").ok());
        });
        lab.crash();
        EXPECT_NE(std::string::npos, lab.recovery_status().find("evicted_clients: 2"))
            << lab.recovery_status();
        lab.expect_evicted(lab.b);
        lab.b.on([&] {
            EXPECT_EQ((Names{"e", "moved", "new life"}), lab.b.list(kRootFid));
            EXPECT_EQ((Names{"after"}), lab.b.list(e));
        });
    }
}

// Working in one directory is no dependence.
TEST(Versions, OtherNamesInTheSameDirectoryGoOn)
{
    Lab lab;
    Fid f;
    lab.b.on([&] { ASSERT_TRUE(lab.b.touch(kRootFid, "old", &f).ok()); });
    lab.commit();
    lab.a.on([&] {
        ASSERT_TRUE(lab.a.touch(kRootFid, "a1").ok());
        ASSERT_TRUE(lab.a.mkdir(kRootFid, "a2").ok());
    });
    lab.b.on([&] {
        ASSERT_TRUE(lab.b.touch(kRootFid, "b1").ok());
        ASSERT_TRUE(lab.b.link(f, kRootFid, "b2").ok());
        ASSERT_TRUE(lab.b.rename(kRootFid, "b1", kRootFid, "b3").ok());
        ASSERT_TRUE(lab.b.unlink(kRootFid, "old").ok());
        ASSERT_TRUE(lab.b.setattr(f, mode_of(0600)).ok());
    });
    lab.crash();
    lab.b.on([&] {
        EXPECT_EQ((Names{"b2", "b3"}), lab.b.list(kRootFid));
        EXPECT_EQ(0600u, mode_at(lab.b, f));
        EXPECT_EQ(0, lab.b.mdt.evictions);
    });
}

TEST(Versions, AChangeOfAChangedObjectFails)
{
    Lab lab;
    Fid f, g;
    lab.b.on([&] {
        ASSERT_TRUE(lab.b.touch(kRootFid, "f", &f).ok());
        ASSERT_TRUE(lab.b.touch(kRootFid, "g", &g).ok());
        ASSERT_TRUE(lab.b.setattr(f, mode_of(0111)).ok());
        ASSERT_TRUE(lab.b.setattr(g, mode_of(0111)).ok());
    });
    lab.commit();
    lab.a.on([&] { ASSERT_TRUE(lab.a.setattr(f, mode_of(0222)).ok()); });
    lab.b.on([&] {
        ASSERT_TRUE(lab.b.setattr(f, mode_of(0333)).ok());
        ASSERT_TRUE(lab.b.setattr(g, mode_of(0333)).ok());
        ASSERT_TRUE(lab.b.rename(kRootFid, "f", kRootFid, "f2").ok());
    });
    lab.crash();
    lab.expect_evicted(lab.b);
    lab.b.on([&] {
        EXPECT_EQ((Names{"f", "g", "new life"}), lab.b.list(kRootFid));
        EXPECT_EQ(0111u, mode_at(lab.b, f));
        EXPECT_EQ(0333u, mode_at(lab.b, g));
    });
}

// What the missing client did is on the disk, though it was not committed: nothing is missing.
TEST(Versions, WhatSurvivedIsNotMissing)
{
    Lab lab;
    Fid d, f;
    lab.b.on([&] { ASSERT_TRUE(lab.b.touch(kRootFid, "f", &f).ok()); });
    lab.commit();
    lab.a.on([&] {
        ASSERT_TRUE(lab.a.mkdir(kRootFid, "d", &d).ok());
        ASSERT_TRUE(lab.a.setattr(f, mode_of(0222)).ok());
    });
    lab.b.on([&] {
        ASSERT_TRUE(lab.b.touch(d, "x").ok());
        ASSERT_TRUE(lab.b.setattr(f, mode_of(0333)).ok());
        ASSERT_TRUE(lab.b.rename(kRootFid, "f", d, "f").ok());
    });
    lab.crash(sim::Disk::Cut::kAll);
    lab.b.on([&] {
        EXPECT_EQ((Names{"d"}), lab.b.list(kRootFid));
        EXPECT_EQ((Names{"f", "x"}), lab.b.list(d));
        EXPECT_EQ(0333u, mode_at(lab.b, f));
        EXPECT_EQ(0, lab.b.mdt.evictions);
    });
}

// A name that the missing client had made, moved or removed.
TEST(Versions, NamesThatAreNotWhatTheyWere)
{
    struct Case {
        const char* name;
        std::function<void(TestClient&)> a, b;
        Names left;  // besides "new life"
        bool evicted;
    };
    const Case cases[] = {
        {"create where something was removed",
         [](TestClient& c) { (void)c.unlink(kRootFid, "f"); },
         [](TestClient& c) { ASSERT_TRUE(c.mkdir(kRootFid, "f").ok()); },
         {"f", "g"},
         true},
        {"rename onto what was removed",
         [](TestClient& c) { (void)c.unlink(kRootFid, "f"); },
         [](TestClient& c) { ASSERT_TRUE(c.rename(kRootFid, "g", kRootFid, "f").ok()); },
         {"f", "g"},
         true},
        {"rename of what was moved",
         [](TestClient& c) { (void)c.rename(kRootFid, "f", kRootFid, "h"); },
         [](TestClient& c) { ASSERT_TRUE(c.rename(kRootFid, "h", kRootFid, "i").ok()); },
         {"f", "g"},
         true},
        {"rename of what was made",
         [](TestClient& c) { (void)c.touch(kRootFid, "h"); },
         [](TestClient& c) { ASSERT_TRUE(c.rename(kRootFid, "h", kRootFid, "i").ok()); },
         {"f", "g"},
         true},
        {"unlink of what took another's place",
         [](TestClient& c) { (void)c.rename(kRootFid, "f", kRootFid, "g"); },
         [](TestClient& c) { ASSERT_TRUE(c.unlink(kRootFid, "g").ok()); },
         {"f", "g"},
         true},
        {"unlink of what was made",
         [](TestClient& c) { (void)c.touch(kRootFid, "h"); },
         [](TestClient& c) { ASSERT_TRUE(c.unlink(kRootFid, "h").ok()); },
         {"f", "g"},
         false},
        {"open of what was made",
         [](TestClient& c) { (void)c.touch(kRootFid, "h"); },
         [](TestClient& c) {
             Ref<Call<MdsOpenOp>> o;
             ASSERT_TRUE(c.open(kRootFid, "h", kOpenRead, &o).ok());
         },
         {"f", "g"},
         true},
    };
    for (const Case& k : cases) {
        SCOPED_TRACE(k.name);
        Lab lab;
        lab.b.on([&] {
            ASSERT_TRUE(lab.b.touch(kRootFid, "f").ok());
            ASSERT_TRUE(lab.b.touch(kRootFid, "g").ok());
        });
        lab.commit();
        lab.a.on([&] { k.a(lab.a); });
        lab.b.on([&] { k.b(lab.b); });
        lab.crash();
        Names left = k.left;
        if (k.evicted) {
            lab.expect_evicted(lab.b);
            left.push_back("new life");
        }
        lab.b.on([&] {
            EXPECT_EQ(left, lab.b.list(kRootFid));
            EXPECT_EQ(k.evicted ? 1 : 0, lab.b.mdt.evictions);
        });
    }
}

// The versions come through a resend that is answered from the slot of the instance before, too.
TEST(Versions, SurviveAResend)
{
    for (uint64_t steps = 1; steps < 40; steps++) {
        SCOPED_TRACE(steps);
        Lab lab(steps);
        Fid f;
        lab.b.on([&] {
            ASSERT_TRUE(lab.b.touch(kRootFid, "f", &f).ok());
            ASSERT_TRUE(lab.b.setattr(f, mode_of(0111)).ok());
        });
        lab.commit();
        lab.a.on([&] { ASSERT_TRUE(lab.a.setattr(f, mode_of(0222)).ok()); });
        lab.cluster.mds.disk.set_cut(sim::Disk::Cut::kAll);
        bool crashed = lab.cluster.run_with_crash(lab.b, steps, [&] {
            ASSERT_TRUE(lab.b.setattr(f, mode_of(0333)).ok());
        });
        lab.crash(sim::Disk::Cut::kAll);
        lab.b.on([&] {
            EXPECT_EQ(0333u, mode_at(lab.b, f));
            EXPECT_EQ(0, lab.b.mdt.evictions);
        });
        if (!crashed) break;
    }
}

}  // namespace
