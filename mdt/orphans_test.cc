// SPDX-License-Identifier: GPL-2.0-only
// MDT and OSTs agree after crashes: no object without a file, no file that lost its objects.
#include <set>

#include "mdt/mdt_cluster_test.h"

using namespace lull;
using namespace lull::mdt_test;

namespace {

using Objects = std::set<std::pair<uint64_t, uint64_t>>;  // sequence, serial

void add(Objects* to, const Fid& f)
{
    to->insert({f.seq, static_cast<uint64_t>(f.ver) << 32 | f.oid});
}

Objects on_osts(MdtCluster& cluster)
{
    Objects all;
    for (size_t i = 0; i < cluster.oss.size(); i++)
        cluster.oss[i]->on([&] {
            OstCursor cursor;
            Vec<OstObject> found;
            while (cursor.bucket < OstCursor::kBuckets)
                ASSERT_TRUE(
                    cluster.oss[i]
                        ->target()
                        .store()
                        .ost_list(kFidSeqOstBase + i, 0, UINT64_MAX, 1u << 20, &cursor, &found)
                        .ok());
            for (OstObject& o : found) add(&all, o.fid);
        });
    return all;
}

// Of every file with a name. data: of the client's writes, what must still be there.
void collect_files(TestClient& c, const Fid& dir, Objects* out)
{
    for (const std::string& name : c.list(dir, 100)) {
        MdsGetattrReply r;
        ASSERT_TRUE(c.getattr(dir, name.c_str(), &r).ok()) << name;
        for (auto& stripe : r.layout.objects) add(out, stripe.fid);
        if ((r.attr.mode & 0170000) == KBFS_DIR) collect_files(c, r.fid, out);
    }
}

std::string orphans_param(MdtCluster& cluster)
{
    std::string text;
    cluster.mds.on([&] { (void)cluster.mds.param("mdt.lull-MDT0000.orphans", &text); });
    return text;
}

bool is_settled(MdtCluster& cluster)
{
    size_t pending = 1;
    cluster.mds.on([&] {
        Vec<Fid> fids;
        ASSERT_TRUE(cluster.mds.target().store().list_pending(&fids).ok());
        pending = fids.size();
    });
    return pending == 0 && orphans_param(cluster).find("in_doubt: 0\n") != std::string::npos;
}

void wait_settled(MdtCluster& cluster)
{
    for (int i = 0; i < 100; i++) {
        if (is_settled(cluster)) return;
        cluster.world.run_for(10 * kSec);
    }
    ADD_FAILURE() << orphans_param(cluster);
}

// A file with data in it, open.
Status make_file(TestClient& c, const Fid& dir, const char* name, Ref<Call<MdsOpenOp>>* o)
{
    TRY(c.open(dir, name, kOpenCreate | kOpenWrite | kOpenExcl, o));
    for (auto& s : (*o)->reply.object.layout.objects)
        TRY(c.write(s.ost_index, s.fid, 0, std::string("data of ") + name, 0,
                    (*o)->reply.object.fid));
    return kOk;
}

void crash_mds(MdtCluster& cluster, sim::Disk::Cut cut)
{
    cluster.mds.disk.set_cut(cut);
    cluster.mds.crash();
    cluster.mds.start();
}

TEST(Orphans, OfACreateThatNobodyReplays)
{
    MdtCluster cluster(1, 2, 2, "stripecount=2\n");
    TestClient& c = cluster.client();
    TestClient& gone = cluster.client();
    Ref<Call<MdsOpenOp>> kept, mine, lost;
    c.on([&] {
        Status s = make_file(c, kRootFid, "kept", &kept);
        ASSERT_TRUE(s.ok()) << s.error();
        ASSERT_TRUE(c.sync().ok());
        ASSERT_TRUE(make_file(c, kRootFid, "mine", &mine).ok());
    });
    gone.on([&] { ASSERT_TRUE(make_file(gone, kRootFid, "lost", &lost).ok()); });
    EXPECT_EQ(6u, on_osts(cluster).size());
    gone.crash();
    (void)lost.leak();
    crash_mds(cluster, sim::Disk::Cut::kNone);
    wait_settled(cluster);
    EXPECT_NE(std::string::npos, orphans_param(cluster).find("removed: 2\n"))
        << orphans_param(cluster);
    c.on([&] {
        Objects named;
        collect_files(c, kRootFid, &named);
        EXPECT_EQ(4u, named.size());
        EXPECT_EQ(named, on_osts(cluster));
        EXPECT_TRUE(c.close(kept).ok());
        EXPECT_TRUE(c.close(mine).ok());
        EXPECT_EQ(0, c.mdt.evictions);
    });
}

// While the window is open, a create may still be replayed: nothing is removed, whatever the others
// do.
TEST(Orphans, NothingGoesBeforeTheWindowCloses)
{
    MdtCluster cluster(2, 1);
    TestClient& c = cluster.client();
    TestClient& late = cluster.client();
    Ref<Call<MdsOpenOp>> o, mine;
    c.on([&] { ASSERT_TRUE(make_file(c, kRootFid, "mine", &mine).ok()); });
    late.on([&] { ASSERT_TRUE(make_file(late, kRootFid, "f", &o).ok()); });
    cluster.world.network().cut(late.host, cluster.mds.host);
    crash_mds(cluster, sim::Disk::Cut::kNone);
    cluster.world.run_for(40 * kSec);  // the window's soft limit is a minute
    EXPECT_EQ(2u, on_osts(cluster).size());
    cluster.world.network().heal(late.host, cluster.mds.host);
    late.on([&] {
        EXPECT_TRUE(late.close(o).ok());
        EXPECT_EQ(0, late.mdt.evictions);
    });
    wait_settled(cluster);
    c.on([&] {
        EXPECT_EQ(2u, c.list(kRootFid).size());
        EXPECT_TRUE(c.close(mine).ok());
    });
    EXPECT_EQ(2u, on_osts(cluster).size());
}

// An unlink that was answered, but not committed when the MDT and its client died: the file is
// there again, and so is its data. Invariant 1.
TEST(Orphans, LostUnlinkLosesNothingElse)
{
    MdtCluster cluster(5, 2, 2, "stripecount=2\n");
    cluster.mds.on([&] {
        ASSERT_TRUE(cluster.mds.set("mdt.lull-MDT0000.commit_interval_ms", "3600000").ok());
    });
    TestClient& c = cluster.client();
    TestClient& gone = cluster.client();
    cluster.world.run_for(10 * kSec);  // the interval under way was an ordinary one
    Ref<Call<MdsOpenOp>> o;
    gone.on([&] {
        ASSERT_TRUE(make_file(gone, kRootFid, "f", &o).ok());
        ASSERT_TRUE(gone.close(o).ok());
        ASSERT_TRUE(gone.sync().ok());
    });
    Objects before = on_osts(cluster);
    EXPECT_EQ(2u, before.size());
    gone.on([&] { ASSERT_TRUE(gone.unlink(kRootFid, "f").ok()); });
    cluster.world.run_for(20 * kSec);
    gone.crash();
    crash_mds(cluster, sim::Disk::Cut::kNone);
    wait_settled(cluster);
    c.on([&] {
        Objects named;
        collect_files(c, kRootFid, &named);
        EXPECT_EQ(before, named);
        EXPECT_EQ(before, on_osts(cluster));
    });
}

// A client that lost its file and has not noticed writes back what it has cached.
TEST(Orphans, LateWriteBackOfAnEvictedClient)
{
    MdtCluster cluster(3, 1);
    TestClient& c = cluster.client();
    TestClient& late = cluster.client();
    Ref<Call<MdsOpenOp>> o;
    late.on([&] { ASSERT_TRUE(late.open(kRootFid, "f", kOpenCreate | kOpenWrite, &o).ok()); });
    cluster.world.network().cut(late.host, cluster.mds.host);
    crash_mds(cluster, sim::Disk::Cut::kNone);
    cluster.world.run_for(120 * kSec);  // without it, after the soft limit
    StripeObject stripe = o->reply.object.layout.objects[0];
    late.on([&] {
        EXPECT_TRUE(late.write(0, stripe.fid, 0, "too late", 0, o->reply.object.fid).ok());
    });
    EXPECT_EQ(1u, on_osts(cluster).size());
    cluster.world.network().heal(late.host, cluster.mds.host);
    wait_settled(cluster);
    EXPECT_EQ(0u, on_osts(cluster).size());
    late.on([&] { EXPECT_EQ(1, late.mdt.evictions); });
    c.on([&] { EXPECT_EQ(0u, c.list(kRootFid).size()); });
}

// What is unlinked and open is gone when its owner is: evicted in one life, or missing after a
// crash.
TEST(Orphans, OpenUnlinkedFilesGoWithTheirOwner)
{
    for (bool crash : {false, true}) {
        SCOPED_TRACE(crash);
        MdtCluster cluster(4, 1);
        TestClient& c = cluster.client();
        TestClient& gone = cluster.client();
        Ref<Call<MdsOpenOp>> o, mine;
        gone.on([&] {
            ASSERT_TRUE(make_file(gone, kRootFid, "u", &o).ok());
            ASSERT_TRUE(gone.unlink(kRootFid, "u").ok());
            ASSERT_TRUE(gone.sync().ok());
        });
        c.on([&] {
            ASSERT_TRUE(make_file(c, kRootFid, "v", &mine).ok());
            ASSERT_TRUE(c.unlink(kRootFid, "v").ok());
            ASSERT_TRUE(c.sync().ok());
        });
        gone.crash();
        (void)o.leak();
        if (crash) crash_mds(cluster, sim::Disk::Cut::kBySeed);
        cluster.world.run_for(300 * kSec);
        EXPECT_EQ(1u, on_osts(cluster).size());
        c.on([&] {
            MdsGetattrReply r;
            EXPECT_TRUE(c.getattr(mine->reply.object.fid, "", &r).ok());
            EXPECT_TRUE(c.close(mine).ok());
        });
        wait_settled(cluster);
        EXPECT_EQ(0u, on_osts(cluster).size());
    }
}

// Creates, writes, closes, renames and unlinks at random, until the MDS crashes; errors are the
// business of other tests.
void wander(TestClient& c, sim::Rng rng, const std::vector<Fid>& dirs,
            std::vector<Ref<Call<MdsOpenOp>>>* open)
{
    for (int i = 0; i < 60; i++) {
        const Fid& d = dirs[rng.below(dirs.size())];
        std::string name(1, static_cast<char>('a' + rng.below(6)));
        Ref<Call<MdsOpenOp>> o;
        switch (rng.below(6)) {
        case 0: (void)c.unlink(d, name.c_str()); break;
        case 1: (void)c.rename(d, name.c_str(), dirs[rng.below(dirs.size())], "r"); break;
        case 2:
            if (!open->empty()) {
                (void)c.close(open->back());
                open->pop_back();
            }
            break;
        case 3:
            if (rng.below(5) == 0) (void)c.sync();
            break;
        default:
            if (make_file(c, d, name.c_str(), &o).ok()) open->push_back(std::move(o));
        }
    }
}

TEST(Orphans, CrashCampaign)
{
    for (uint64_t seed = 1; seed <= 12 * seed_factor() && !testing::Test::HasFailure(); seed++) {
        SCOPED_TRACE(seed);
        MdtCluster cluster(seed, 2, seed % 3 ? 2 : 1, "stripecount=2\n");
        sim::Rng rng(seed);
        std::vector<TestClient*> cs{&cluster.client(), &cluster.client(), &cluster.client()};
        std::vector<std::vector<Ref<Call<MdsOpenOp>>>> open(cs.size());
        std::vector<Fid> dirs{kRootFid, {}};
        cs[0]->on([&] {
            ASSERT_TRUE(cs[0]->mkdir(kRootFid, "d", &dirs[1]).ok());
            ASSERT_TRUE(cs[0]->sync().ok());
        });
        for (unsigned round = 0; round < 2; round++) {
            std::vector<sim::TaskHandle> tasks;
            for (size_t i = 0; i < cs.size(); i++) {
                sim::Rng own(seed * 1000 + round * 10 + i);
                if (cs[i]->host.up())
                    tasks.push_back(cs[i]->host.spawn("wander", [&, i, own] {
                        wander(*cs[i], own, dirs, &open[i]);
                    }));
            }
            cluster.mds.disk.crash_at_step(50 + rng.below(1500));
            uint64_t deadline = cluster.world.now_ns() + 100 * kSec;
            (void)cluster.world.run_until([&] { return !cluster.mds.host.up(); }, deadline);
            cluster.mds.disk.crash_at_step(0);
            if (cluster.mds.host.up()) cluster.mds.crash();
            else cluster.mds.forget();
            if (rng.below(2)) cluster.oss[rng.below(2)]->crash();
            size_t victim = rng.below(2) + 1;
            if (cs[victim]->host.up()) {
                cs[victim]->crash();
                for (auto& o : open[victim]) (void)o.leak();
                open[victim].clear();
                tasks.clear();  // some of them died
            }
            cluster.mds.start();
            for (auto& s : cluster.oss)
                if (!s->host.up()) {
                    s->forget();
                    s->start();
                }
            cluster.world.run_for(200 * kSec);
        }
        for (size_t i = 0; i < cs.size(); i++)
            if (cs[i]->host.up())
                cs[i]->on([&] {
                    while (!open[i].empty()) {
                        (void)cs[i]->close(open[i].back());
                        open[i].pop_back();
                    }
                });
        wait_settled(cluster);
        Objects named, there = on_osts(cluster);
        cs[0]->on([&] { collect_files(*cs[0], kRootFid, &named); });
        for (auto& o : there)
            EXPECT_TRUE(named.count(o)) << "object without file: " << o.first << " " << o.second;
    }
}

}  // namespace
