// SPDX-License-Identifier: GPL-2.0-only
// The metadata service over crashes, clean halts and contention: replays and resends bring about
// what clients were told.
#include "mdt/mdt_cluster_test.h"

using namespace lull;
using namespace lull::mdt_test;

namespace {

using Names = std::vector<std::string>;

// A name of d or root, as the client was told.
struct Model {
    std::map<std::string, Fid> root, d;
};

void expect_model(TestClient& c, const Fid& d, const Model& m)
{
    Names root{"d"}, in_d;
    for (auto& e : m.root) root.push_back(e.first);
    for (auto& e : m.d) in_d.push_back(e.first);
    std::sort(root.begin(), root.end());
    EXPECT_EQ(root, c.list(kRootFid));
    EXPECT_EQ(in_d, c.list(d));
    for (auto& e : m.root) EXPECT_EQ(e.second, c.lookup(kRootFid, e.first.c_str())) << e.first;
    for (auto& e : m.d) EXPECT_EQ(e.second, c.lookup(d, e.first.c_str())) << e.first;
}

// Every operation once; no call may fail, whatever happens to the server.
void crash_story(TestClient& c, const Fid& d)
{
    Model m;
    Fid f;
    ASSERT_TRUE(c.touch(d, "f", &f).ok());
    m.d["f"] = f;
    ASSERT_TRUE(c.mkdir(kRootFid, "x", &m.root["x"]).ok());
    ASSERT_TRUE(c.link(f, kRootFid, "f2").ok());
    m.root["f2"] = f;
    ASSERT_TRUE(c.create(d, "s", KBFS_SYMLINK | 0777, &m.d["s"], "t").ok());
    ASSERT_TRUE(c.rename(d, "f", kRootFid, "f3").ok());
    m.d.erase("f");
    m.root["f3"] = f;
    ASSERT_TRUE(c.touch(d, "g", &m.d["g"]).ok());
    ASSERT_TRUE(c.rename(kRootFid, "f3", d, "g").ok());
    m.root.erase("f3");
    m.d["g"] = f;
    Attr a;
    a.valid = kAttrMode;
    a.mode = 0600;
    ASSERT_TRUE(c.setattr(f, a).ok());
    Ref<Call<MdsOpenOp>> o;
    Status s = c.open(d, "h", kOpenCreate | kOpenExcl | kOpenWrite, &o);
    ASSERT_TRUE(s.ok()) << s.error();
    StripeObject stripe = o->reply.object.layout.objects[0];
    s = c.unlink(d, "h");
    ASSERT_TRUE(s.ok()) << s.error();
    ASSERT_TRUE(c.unlink(kRootFid, "f2").ok());
    m.root.erase("f2");
    ASSERT_TRUE(c.unlink(kRootFid, "x", true).ok());
    m.root.erase("x");
    MdsGetattrReply r;
    ASSERT_TRUE(c.getattr(o->reply.object.fid, "", &r).ok());  // still open
    ASSERT_EQ(1u, r.layout.objects.size());
    EXPECT_EQ(stripe.fid, r.layout.objects[0].fid);  // a replayed create keeps its objects
    ASSERT_TRUE(c.getattr(f, "", &r).ok());
    EXPECT_EQ(1u, r.attr.nlink);
    EXPECT_EQ(0600u, r.attr.mode & 07777);
    expect_model(c, d, m);
    s = c.close(o);
    ASSERT_TRUE(s.ok()) << s.error();
    EXPECT_EQ(0, c.mdt.evictions);
}

void run_crash_story(uint64_t seed, uint32_t protocol, uint64_t steps, bool* crashed)
{
    SCOPED_TRACE(testing::Message()
                 << "seed " << seed << " protocol " << protocol << " crash after step " << steps);
    MdtCluster cluster(seed, 1, protocol);
    TestClient& c = cluster.client();
    Fid d;
    c.on([&] {
        ASSERT_TRUE(c.mkdir(kRootFid, "d", &d).ok());
        ASSERT_TRUE(c.sync().ok());
    });
    *crashed = cluster.run_with_crash(c, steps, [&] { crash_story(c, d); });
}

// After a crash behind every single step of the disk: replays and resends bring about what the
// client was told, exactly once. Invariants 1 and 5.
TEST(Mdt, CrashAfterEveryStep)
{
    for (uint64_t round = 0; round < seed_factor(); round++)
        for (uint32_t protocol : {1u, 2u}) {
            bool crashed = true;
            for (uint64_t n = 1; crashed && !testing::Test::HasFailure(); n++)
                run_crash_story(1000 * round + 100 + n, protocol, n, &crashed);
        }
}

// Everything executed survived, though nothing was committed: all of it is replayed over itself.
// Invariant 5.
TEST(Mdt, ReplayOverWhatSurvived)
{
    for (uint64_t seed = 1; seed <= 10 * seed_factor() && !testing::Test::HasFailure(); seed++)
        for (auto cut : {sim::Disk::Cut::kAll, sim::Disk::Cut::kNone, sim::Disk::Cut::kBySeed}) {
            MdtCluster cluster(seed, 1);
            TestClient& c = cluster.client();
            Fid d, f;
            Ref<Call<MdsOpenOp>> o, u;
            c.on([&] {
                ASSERT_TRUE(c.mkdir(kRootFid, "d", &d).ok());
                ASSERT_TRUE(c.touch(d, "f", &f).ok());
                ASSERT_TRUE(c.rename(d, "f", kRootFid, "g").ok());
                ASSERT_TRUE(c.touch(d, "f").ok());
                ASSERT_TRUE(c.unlink(d, "f").ok());
                ASSERT_TRUE(c.open(d, "u", kOpenCreate | kOpenWrite, &u).ok());
                ASSERT_TRUE(c.unlink(d, "u").ok());
                ASSERT_TRUE(c.unlink(kRootFid, "d", true).ok());
                ASSERT_TRUE(c.open(kRootFid, "g", kOpenRead, &o).ok());
            });
            cluster.mds.disk.set_cut(cut);
            cluster.mds.crash();
            cluster.mds.start();
            c.on([&] {
                EXPECT_EQ((Names{"g"}), c.list(kRootFid));
                EXPECT_EQ(f, c.lookup(kRootFid, "g"));
                EXPECT_TRUE(c.close(o).ok());
                MdsGetattrReply r;
                ASSERT_TRUE(c.getattr(u->reply.object.fid, "", &r).ok());
                // the objects that may have been written to
                ASSERT_EQ(1u, r.layout.objects.size());
                EXPECT_EQ(u->reply.object.layout.objects[0].fid, r.layout.objects[0].fid);
                EXPECT_TRUE(c.close(u).ok());
                EXPECT_EQ(0, c.mdt.evictions);
            });
        }
}

// The replay of one client does not undo what another did later, who is not there to replay it.
TEST(Mdt, ReplayRespectsVersions)
{
    MdtCluster cluster(12, 1);
    TestClient& c = cluster.client();
    TestClient& gone = cluster.client();
    Fid f, d;
    c.on([&] {
        ASSERT_TRUE(c.mkdir(kRootFid, "d", &d).ok());
        ASSERT_TRUE(c.touch(kRootFid, "f", &f).ok());
        ASSERT_TRUE(c.touch(kRootFid, "g").ok());
        Attr a;
        a.valid = kAttrMode;
        a.mode = 0600;
        ASSERT_TRUE(c.setattr(f, a).ok());
    });
    gone.on([&] {
        ASSERT_TRUE(gone.unlink(kRootFid, "d", true).ok());
        ASSERT_TRUE(gone.unlink(kRootFid, "g").ok());
        Attr a;
        a.valid = kAttrMode;
        a.mode = 0644;
        ASSERT_TRUE(gone.setattr(f, a).ok());
    });
    cluster.mds.disk.set_cut(sim::Disk::Cut::kAll);
    cluster.mds.crash();
    gone.crash();
    cluster.mds.start();
    c.on([&] {
        EXPECT_EQ((Names{"f"}), c.list(kRootFid));
        MdsGetattrReply r;
        ASSERT_TRUE(c.getattr(f, "", &r).ok());
        EXPECT_EQ(0644u, r.attr.mode & 07777);
        EXPECT_EQ(0, c.mdt.evictions);
    });
}

// A5 S8 B1.
TEST(Mdt, OpensSurviveACleanHalt)
{
    for (uint32_t protocol : {1u, 2u}) {
        MdtCluster cluster(11, 1, protocol);
        TestClient& c = cluster.client();
        TestClient& gone = cluster.client();
        Ref<Call<MdsOpenOp>> named, unlinked;
        Fid theirs;
        c.on([&] {
            ASSERT_TRUE(c.open(kRootFid, "f", kOpenCreate | kOpenWrite, &named).ok());
            ASSERT_TRUE(c.open(kRootFid, "u", kOpenCreate | kOpenWrite, &unlinked).ok());
            ASSERT_TRUE(c.unlink(kRootFid, "u").ok());
        });
        gone.on([&] {
            Ref<Call<MdsOpenOp>> o;
            ASSERT_TRUE(gone.open(kRootFid, "t", kOpenCreate | kOpenWrite, &o).ok());
            theirs = o->reply.object.fid;
            ASSERT_TRUE(gone.unlink(kRootFid, "t").ok());
            (void)o.leak();
        });
        uint64_t handle = named->reply.handle;
        cluster.mds.halt_clean();
        gone.crash();
        cluster.mds.protocol = 2;  // 1 → 2 in the first round
        cluster.mds.start();
        c.on([&] {
            EXPECT_EQ((Names{"f"}), c.list(kRootFid));
            EXPECT_EQ(2u, c.mdt.import->protocol());
            MdsGetattrReply r;
            EXPECT_TRUE(c.getattr(theirs, "", &r).ok());  // reserved for a client that is away
            EXPECT_EQ(handle, named->reply.handle);
            EXPECT_TRUE(c.close(named).ok());
            EXPECT_TRUE(c.getattr(unlinked->reply.object.fid, "", &r).ok());
            Fid u = unlinked->reply.object.fid;
            EXPECT_TRUE(c.close(unlinked).ok());
            EXPECT_EQ(0, c.mdt.evictions);
            EXPECT_EQ(0u, c.mdt.import->stats().replays);
            // In the end both are destroyed: closed, and given up.
            for (int i = 0;
                 i < 600 && (c.getattr(u, "", &r).ok() || c.getattr(theirs, "", &r).ok()); i++)
                kapi_sleep_ns(kSec);
            EXPECT_TRUE(c.getattr(u, "", &r).is(kESTALE));
            EXPECT_TRUE(c.getattr(theirs, "", &r).is(kESTALE));
        });
    }
}

// Whoever was faster after a clean halt may remove what another one, who is still away, has open:
// it stays until that one is done with it. B1, A5.
TEST(Mdt, ReservedOpenKeepsWhatIsRemovedMeanwhile)
{
    MdtCluster cluster(13, 1);
    TestClient& c = cluster.client();
    TestClient& away = cluster.client();
    Ref<Call<MdsOpenOp>> o;
    away.on([&] { ASSERT_TRUE(away.open(kRootFid, "f", kOpenCreate | kOpenWrite, &o).ok()); });
    Fid f = o->reply.object.fid;
    cluster.mds.halt_clean();
    away.host.pause();
    cluster.mds.start();
    c.on([&] {
        ASSERT_TRUE(c.unlink(kRootFid, "f").ok());
        ASSERT_TRUE(c.sync().ok());
        kapi_sleep_ns(8 * kSec);  // the destroyer has looked
    });
    away.host.resume();
    away.on([&] {
        MdsGetattrReply r;
        EXPECT_TRUE(away.getattr(f, "", &r).ok());
        EXPECT_TRUE(away.close(o).ok());
        EXPECT_EQ(0, away.mdt.evictions);
        for (int i = 0; i < 600 && away.getattr(f, "", &r).ok(); i++) kapi_sleep_ns(kSec);
        EXPECT_TRUE(away.getattr(f, "", &r).is(kESTALE));
    });
}

// Two clients rename to and fro between directories, remove and create: nobody gets stuck, nothing
// is lost or doubled.
TEST(Mdt, RenamesDoNotDeadlock)
{
    for (uint64_t seed = 1; seed <= 5 * seed_factor(); seed++) {
        SCOPED_TRACE(seed);
        MdtCluster cluster(seed, 1);
        std::vector<TestClient*> cs{&cluster.client(), &cluster.client(), &cluster.client()};
        Fid dirs[4];
        cs[0]->on([&] {
            ASSERT_TRUE(cs[0]->mkdir(kRootFid, "0", &dirs[0]).ok());
            ASSERT_TRUE(cs[0]->mkdir(dirs[0], "1", &dirs[1]).ok());
            ASSERT_TRUE(cs[0]->mkdir(kRootFid, "2", &dirs[2]).ok());
            ASSERT_TRUE(cs[0]->mkdir(dirs[2], "3", &dirs[3]).ok());
            for (auto& d : dirs) ASSERT_TRUE(cs[0]->touch(d, "f").ok());
        });
        std::vector<sim::TaskHandle> tasks;
        for (size_t k = 0; k < 9; k++) {
            TestClient* c = cs[k % 3];
            tasks.push_back(c->host.spawn("worker", [c, k, seed, &dirs] {
                sim::Rng rng(seed * 100 + k);
                const char* names[] = {"f", "g", "1", "3", "x"};
                for (int i = 0; i < 40; i++) {
                    const Fid& a = dirs[rng.below(4)];
                    const Fid& b = dirs[rng.below(4)];
                    const char* from = names[rng.below(5)];
                    const char* to = names[rng.below(5)];
                    Status s;
                    switch (rng.below(5)) {
                    case 0: s = c->touch(a, from); break;
                    case 1: s = c->unlink(a, from, from[0] == '1'); break;
                    default: s = c->rename(a, from, b, to); break;
                    }
                    int e = -s.error();
                    EXPECT_TRUE(s.ok() || e == kENOENT || e == kEEXIST || e == kEINVAL ||
                                e == kENOTEMPTY || e == kEISDIR || e == kENOTDIR || e == kESTALE)
                        << e;
                }
            }));
        }
        for (auto t : tasks)
            ASSERT_TRUE(cluster.world.run_to_end(t, cluster.world.now_ns() + 3600 * kSec))
                << cluster.world.report();
        EXPECT_LT(cluster.world.now_ns(), 600 * kSec);
    }
}

// Each of two clients moves a directory below the other's, at once: one of them is refused, or both
// would be cut off the tree.
TEST(Mdt, TwoRenamesMakeNoLoop)
{
    for (uint64_t seed = 1; seed <= 10 * seed_factor(); seed++) {
        SCOPED_TRACE(seed);
        MdtCluster cluster(seed, 1);
        TestClient *one = &cluster.client(), *two = &cluster.client();
        Fid l, a, c, r, b, d;
        one->on([&] {
            ASSERT_TRUE(one->mkdir(kRootFid, "l", &l).ok());
            ASSERT_TRUE(one->mkdir(l, "a", &a).ok());
            ASSERT_TRUE(one->mkdir(a, "c", &c).ok());
            ASSERT_TRUE(one->mkdir(kRootFid, "r", &r).ok());
            ASSERT_TRUE(one->mkdir(r, "b", &b).ok());
            ASSERT_TRUE(one->mkdir(b, "d", &d).ok());
        });
        cluster.mds.disk.set_slow_ns(kMsec, kMsec);
        Status first, second;
        auto t = one->host.spawn("rename", [&] { first = one->rename(l, "a", d, "a"); });
        auto u = two->host.spawn("rename", [&] { second = two->rename(r, "b", c, "b"); });
        for (auto task : {t, u})
            ASSERT_TRUE(cluster.world.run_to_end(task, cluster.world.now_ns() + 3600 * kSec));
        EXPECT_NE(first.ok(), second.ok());
        EXPECT_TRUE(first.ok() ? second.is(kEINVAL) : first.is(kEINVAL));
    }
}

// What is still to be destroyed when the MDT halts, while the OST is down, is destroyed by the next
// instance; the drain does not wait for it (B3). The OST's own controlled shutdown is obeyed by the
// MDT like by any client (T11). T11 B3.
TEST(Mdt, DestroysAcrossHalts)
{
    MdtCluster cluster(13, 1);
    TestClient& c = cluster.client();
    StripeObject stripe;
    c.on([&] {
        Ref<Call<MdsOpenOp>> o;
        ASSERT_TRUE(c.open(kRootFid, "f", kOpenCreate | kOpenWrite, &o).ok());
        stripe = o->reply.object.layout.objects[0];
        ASSERT_TRUE(c.write(0, stripe.fid, 0, "hello").ok());
        ASSERT_TRUE(c.close(o).ok());
    });
    cluster.oss[0]->halt_clean();
    c.on([&] {
        ASSERT_TRUE(c.unlink(kRootFid, "f").ok());
        ASSERT_TRUE(c.sync().ok());
        kapi_sleep_ns(5 * kSec);
    });
    uint64_t before = cluster.world.now_ns();
    cluster.mds.halt_clean();
    EXPECT_LT(cluster.world.now_ns() - before, 10 * kSec);
    cluster.mds.start();
    cluster.oss[0]->start();
    c.on([&] {
        std::string data = "x";
        uint64_t size = 1;
        for (int i = 0; i < 120 && size; i++) {
            kapi_sleep_ns(kSec);
            ASSERT_TRUE(c.read(0, stripe.fid, 0, 100, &data, &size).ok());
        }
        EXPECT_EQ(0u, size);
        EXPECT_EQ(0, c.mdt.evictions + c.osts[0]->evictions);
    });
}

// The list of OSTs is kept: no restart of an MDT needs the MGS for it.
TEST(Mdt, KnowsItsOstsWithoutTheMgs)
{
    MdtCluster cluster(14, 1);
    TestClient& c = cluster.client();
    cluster.mds.on([&] {
        auto targets = cluster.mds.target().store().read_config("lull-MDT0000-osts");
        ASSERT_TRUE(targets.ok());
        auto registration = cluster.mds.target().store().write_config("lull-OST0000", {});
        ASSERT_TRUE(registration.ok());  // the MGS forgets it
    });
    cluster.oss[0]->stop();
    cluster.mds.halt_clean();
    cluster.mds.start();
    c.on([&] {
        uint64_t before = now_ns();
        EXPECT_TRUE(c.touch(kRootFid, "f").ok());
        EXPECT_LT(now_ns() - before, 5 * kSec);
    });
}

// A new OST is used as soon as it has registered: the MDT hears of it from the MGS (R5), and a file
// that is to have two stripes is not narrowed for the ten seconds to the next look at the list.
TEST(Mdt, UsesANewOstAtOnce)
{
    MdtCluster cluster(17, 1, 2, "stripecount=2\n");
    TestClient& c = cluster.client();
    cluster.add_oss();
    uint64_t registered = cluster.world.now_ns();
    size_t stripes = 0;
    c.on([&] {
        for (int i = 0; i < 100 && stripes < 2; i++) {
            if (i) kapi_sleep_ns(100 * kMsec);
            Ref<Call<MdsOpenOp>> o;
            auto name = text_format<20>("f%d", i);
            ASSERT_TRUE(c.open(kRootFid, name.c_str(), kOpenCreate | kOpenWrite, &o).ok());
            stripes = o->reply.object.layout.objects.size();
            ASSERT_TRUE(c.close(o).ok());
        }
    });
    EXPECT_EQ(2u, stripes);
    EXPECT_LT(cluster.world.now_ns() - registered, kSec);
}

// A server that crashes while it destroys, or whose OST does, leaves nothing behind.
TEST(Mdt, DestroysAcrossCrashes)
{
    for (uint64_t seed = 1; seed <= 12 * seed_factor(); seed++) {
        SCOPED_TRACE(seed);
        MdtCluster cluster(seed, 2, 2, "stripecount=2\n");
        TestClient& c = cluster.client();
        std::vector<StripeObject> stripes;
        c.on([&] {
            for (const char* name : {"a", "b", "c", "d"}) {
                Ref<Call<MdsOpenOp>> o;
                ASSERT_TRUE(c.open(kRootFid, name, kOpenCreate | kOpenWrite, &o).ok());
                for (auto& s : o->reply.object.layout.objects) {
                    ASSERT_TRUE(c.write(s.ost_index, s.fid, 0, "hello").ok());
                    stripes.push_back(s);
                }
                ASSERT_TRUE(c.unlink(kRootFid, name).ok());
                ASSERT_TRUE(c.close(o).ok());
            }
        });
        cluster.world.run_for(cluster.world.user_rng().below(14000) * kMsec);
        TestServer& victim = seed % 2 ? cluster.mds : *cluster.oss[0];
        victim.crash();
        cluster.world.run_for(cluster.world.user_rng().below(5000) * kMsec);
        victim.start();
        c.on([&] {
            uint64_t left = 1;
            for (int i = 0; i < 300 && left; i++) {
                kapi_sleep_ns(kSec);
                left = 0;
                for (auto& s : stripes) {
                    std::string data;
                    uint64_t size = 0;
                    ASSERT_TRUE(c.read(s.ost_index, s.fid, 0, 100, &data, &size).ok());
                    left += size;
                }
            }
            EXPECT_EQ(0u, left);
        });
        size_t pending = 1;
        for (int i = 0; i < 60 && pending; i++) {
            cluster.world.run_for(kSec);
            cluster.mds.on([&] {
                Vec<Fid> fids;
                ASSERT_TRUE(cluster.mds.target().store().list_pending(&fids).ok());
                pending = fids.size();
            });
        }
        EXPECT_EQ(0u, pending);
    }
}

// The MDT is one client of its OSTs over all its lives: they neither evict the former one nor wait
// for it (R2).
TEST(Mdt, OstKnowsTheNextLifeOfTheMdt)
{
    for (bool mdt_first : {true, false})
        for (bool ost_too : {true, false}) {
            SCOPED_TRACE(testing::Message()
                         << "MDT first " << mdt_first << ", OST too " << ost_too);
            MdtCluster cluster(21 + mdt_first, 1);
            TestClient& c = cluster.client();
            c.on([&] {
                Ref<Call<MdsOpenOp>> o;
                ASSERT_TRUE(c.open(kRootFid, "f", kOpenCreate | kOpenWrite, &o).ok());
                ASSERT_TRUE(c.write(0, o->reply.object.layout.objects[0].fid, 0, "hello").ok());
                ASSERT_TRUE(c.close(o).ok());
            });
            TestServer& ost = *cluster.oss[0];
            cluster.mds.crash();
            if (ost_too) ost.crash();
            uint64_t before = cluster.world.now_ns();
            if (mdt_first) cluster.mds.start();
            if (ost_too) ost.start();
            if (!mdt_first) cluster.mds.start();
            auto full = [&] {
                std::string mine, theirs;
                bool ok = false;
                cluster.mds.on([&] { ok = cluster.mds.param("osp.*.import", &mine).ok(); });
                ost.on([&] { ok = ok && ost.param("obdfilter.*.exports", &theirs).ok(); });
                return ok && mine.find("state: FULL") != std::string::npos &&
                       theirs.find("lull-MDT0000 ") != std::string::npos;
            };
            for (int i = 0; i < 100 && !full(); i++) cluster.world.run_for(100 * kMsec);
            EXPECT_TRUE(full());
            EXPECT_LT(cluster.world.now_ns() - before, 10 * kSec);
            std::string status;
            ost.on([&] { ASSERT_TRUE(ost.param("obdfilter.*.recovery_status", &status).ok()); });
            if (ost_too) {
                EXPECT_NE(std::string::npos, status.find("completed_clients: 1/2")) << status;
                EXPECT_NE(std::string::npos, status.find("left_clients: 1")) << status;
                EXPECT_NE(std::string::npos, status.find("evicted_clients: 0")) << status;
            }
            c.on([&] {
                ASSERT_TRUE(c.unlink(kRootFid, "f").ok());
                EXPECT_EQ(0, c.mdt.evictions + c.osts[0]->evictions);
            });
            EXPECT_LT(cluster.world.now_ns() - before, 15 * kSec);
        }
}

// Without memory an operation fails; the server stays whole.
TEST(Mdt, NoMemory)
{
    for (uint64_t seed = 1; seed <= 10 * seed_factor(); seed++) {
        SCOPED_TRACE(seed);
        MdtCluster cluster(seed, 1);
        TestClient& c = cluster.client();
        c.on([&] {
            Fid d;
            ASSERT_TRUE(c.mkdir(kRootFid, "d", &d).ok());
            cluster.mds.host.fail_allocations(20);
            for (int i = 0; i < 30; i++) {
                Text<8> name = text_format<8>("%d", i);
                Ref<Call<MdsOpenOp>> o;
                if (c.open(d, name.c_str(), kOpenCreate | kOpenWrite, &o).ok()) (void)c.close(o);
                (void)c.rename(d, name.c_str(), kRootFid, name.c_str());
                (void)c.unlink(i % 2 ? d : kRootFid, name.c_str());
            }
            cluster.mds.host.fail_allocations(0);
            ASSERT_TRUE(c.touch(d, "after").ok());
            Names names = c.list(d);
            for (auto& n : names) ASSERT_TRUE(c.unlink(d, n.c_str()).ok());
            ASSERT_TRUE(c.unlink(kRootFid, "d", true).ok());
        });
    }
}

}  // namespace
