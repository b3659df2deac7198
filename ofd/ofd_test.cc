// SPDX-License-Identifier: GPL-2.0-only
// The object service behind real imports, on simulated hosts and disks.
#include "mdt/mdt_cluster_test.h"

using namespace lull;
using namespace lull::mdt_test;

namespace {

constexpr Fid kObject{kFidSeqOstBase, 4711, 0};

template <class Op> Ref<Call<Op>> object_call(const Fid& fid)
{
    auto c = make_ref<Call<Op>>();
    c->op.object.fid = fid;
    return c;
}

Status punch(TestClient& c, const Fid& fid, uint64_t size)
{
    auto call = object_call<OstPunchOp>(fid);
    call->op.size = size;
    return c.osts[0]->import->call(*call);
}

TEST(Ofd, ObjectsFromFirstWriteToDestroy)
{
    MdtCluster cluster(1);
    TestClient& c = cluster.client();
    c.on([&] {
        std::string data;
        uint64_t size = 1;
        ASSERT_TRUE(c.read(0, kObject, 0, 100, &data, &size).ok());  // not made yet
        EXPECT_EQ("", data);
        EXPECT_EQ(0u, size);
        ASSERT_TRUE(punch(c, kObject, 0).ok());
        ASSERT_TRUE(c.write(0, kObject, 3, "abcdef").ok());
        ASSERT_TRUE(c.read(0, kObject, 0, 100, &data, &size).ok());
        EXPECT_EQ(std::string("\0\0\0abcdef", 9), data);
        EXPECT_EQ(9u, size);
        ASSERT_TRUE(c.read(0, kObject, 5, 2, &data).ok());
        EXPECT_EQ("cd", data);
        ASSERT_TRUE(c.read(0, kObject, 9, 10, &data).ok());
        EXPECT_EQ("", data);
        ASSERT_TRUE(punch(c, kObject, 5).ok());
        ASSERT_TRUE(punch(c, kObject, 7).ok());
        ASSERT_TRUE(c.read(0, kObject, 3, 100, &data).ok());
        EXPECT_EQ(std::string("ab\0\0", 4), data);

        auto set = object_call<OstSetattrOp>(kObject);
        set->op.attr.valid = kAttrUid | kAttrMtime;
        set->op.attr.uid = 5;
        set->op.attr.mtime_ns = 55 * kSec;
        ASSERT_TRUE(c.osts[0]->import->call(*set).ok());
        auto get = object_call<OstGetattrOp>(kObject);
        ASSERT_TRUE(c.osts[0]->import->call(*get).ok());
        EXPECT_EQ(7u, get->reply.attr.size);
        EXPECT_EQ(5u, get->reply.attr.uid);
        EXPECT_EQ(55 * kSec, get->reply.attr.mtime_ns);

        auto destroy = make_ref<Call<OstDestroyOp>>();
        ASSERT_TRUE(destroy->op.objects.push_back(OstFid{kObject}).ok());
        // never was
        ASSERT_TRUE(destroy->op.objects.push_back(OstFid{{kFidSeqOstBase, 1, 0}}).ok());
        ASSERT_TRUE(c.osts[0]->import->call(*destroy).ok());
        ASSERT_TRUE(c.read(0, kObject, 0, 100, &data, &size).ok());
        EXPECT_EQ(0u, size);
    });
}

// An object named twice is locked once; two requests for the same objects in another order do not
// wait for each other.
TEST(Ofd, DestroyNamesObjectsTwiceAndInAnyOrder)
{
    MdtCluster cluster(2);
    TestClient& c = cluster.client();
    constexpr uint32_t kObjects = 8;
    auto fid = [](uint32_t i) { return Fid{kFidSeqOstBase, 100 + i, 0}; };
    auto destroy = [&](bool backwards) {
        auto call = make_ref<Call<OstDestroyOp>>();
        for (uint32_t i = 0; i < kObjects; i++) {
            OstFid object{fid(backwards ? kObjects - 1 - i : i)};
            EXPECT_TRUE(call->op.objects.push_back(object).ok());
            EXPECT_TRUE(call->op.objects.push_back(object).ok());
        }
        return c.osts[0]->import->call(*call);
    };
    c.on([&] {
        for (uint32_t i = 0; i < kObjects; i++) ASSERT_TRUE(c.write(0, fid(i), 0, "abc").ok());
    });
    uint64_t before = cluster.world.now_ns();
    unsigned done = 0;
    for (int i = 0; i < 6; i++)
        c.host.spawn("destroyer", [&, i] {
            EXPECT_TRUE(destroy(i % 2).ok());
            done++;
        });
    EXPECT_TRUE(cluster.world.run_until([&] { return done == 6; }, before + 10 * kSec))
        << cluster.world.report();
    c.on([&] {
        std::string data;
        for (uint32_t i = 0; i < kObjects; i++) {
            ASSERT_TRUE(c.read(0, fid(i), 0, 100, &data).ok());
            EXPECT_EQ("", data);
        }
    });
}

TEST(Ofd, BadInput)
{
    MdtCluster cluster(2);
    TestClient& c = cluster.client();
    c.on([&] {
        std::string data;
        // of another OST
        EXPECT_TRUE(c.read(0, {kFidSeqOstBase + 1, 1, 0}, 0, 10, &data).is(kEINVAL));
        EXPECT_TRUE(c.read(0, kRootFid, 0, 10, &data).is(kEINVAL));
        EXPECT_TRUE(c.read(0, kObject, 0, kBulkMaxBytes + 1, &data).is(kEPROTO));
        EXPECT_TRUE(c.write(0, kObject, 0, "").is(kEPROTO));
        EXPECT_TRUE(c.write(0, kObject, UINT64_MAX - 1, "abc").is(kEFBIG));
        EXPECT_TRUE(c.write(0, kObject, 1ull << 44, "abc").is(kEFBIG));
        EXPECT_TRUE(punch(c, kObject, UINT64_MAX).is(kEFBIG));
        auto lies = object_call<OstWriteOp>(kObject);
        lies->op.bytes = 100;
        ASSERT_TRUE(lies->bulk.resize(10).ok());
        EXPECT_TRUE(c.osts[0]->import->call(*lies).is(kEPROTO));
    });
}

TEST(Ofd, LockTellsSizeAndTimes)
{
    MdtCluster cluster(3);
    TestClient& c = cluster.client();
    c.on([&] {
        for (uint64_t want : {0u, 6u}) {
            auto lock = make_ref<Call<LdlmEnqueueOp>>();
            lock->op.resource = ResourceId::of(kObject);
            lock->op.type = static_cast<uint8_t>(LockType::kExtent);
            lock->op.mode = static_cast<uint8_t>(LockMode::kPR);
            lock->op.client_handle = 100 + want;
            ASSERT_TRUE(c.osts[0]->import->call(*lock).ok());
            EXPECT_EQ(want, lock->reply.lvb.size);
            EXPECT_EQ(want != 0, lock->reply.lvb.mtime_ns != 0);
            auto cancel = make_ref<Call<LdlmCancelOp>>();
            ASSERT_TRUE(cancel->op.server_handles.push_back(lock->reply.server_handle).ok());
            ASSERT_TRUE(c.osts[0]->import->call(*cancel).ok());
            if (want) continue;
            ASSERT_TRUE(c.write(0, kObject, 0, "abcdef").ok());
        }
    });
}

TEST(Ofd, WrittenDataSurvivesACrash)
{
    for (auto cut : {sim::Disk::Cut::kNone, sim::Disk::Cut::kAll, sim::Disk::Cut::kBySeed}) {
        MdtCluster cluster(4);
        TestClient& c = cluster.client();
        c.on([&] {
            ASSERT_TRUE(c.write(0, kObject, 0, "aaaaaaaa").ok());
            ASSERT_TRUE(punch(c, kObject, 4).ok());
            ASSERT_TRUE(c.write(0, kObject, 2, "bbbb").ok());
        });
        TestServer& oss = *cluster.oss[0];
        oss.disk.set_cut(cut);
        oss.crash();
        oss.start();
        c.on([&] {
            std::string data;
            ASSERT_TRUE(c.read(0, kObject, 0, 100, &data).ok());
            EXPECT_EQ("aabbbb", data);
            EXPECT_EQ(0, c.osts[0]->evictions);
        });
    }
}

// What was promised is there when it is claimed, though others filled the disk.
TEST(Ofd, GrantsHoldOnAFullDisk)
{
    MdtCluster cluster(5);
    TestClient& c = cluster.client();
    c.on([&] {
        std::string mib(1 << 20, 'x');
        Status s;
        uint64_t n = 0;
        for (; s.ok() && n < 1024; n++) s = c.write(0, kObject, n << 20, mib);
        EXPECT_TRUE(s.is(kENOSPC));
        EXPECT_GT(n, 32u);
        for (uint64_t i = 0; i < 8; i++)
            EXPECT_TRUE(c.write(0, {kFidSeqOstBase, 1, 0}, i << 20, mib, mib.size()).ok()) << i;
        EXPECT_TRUE(c.write(0, kObject, n << 20, mib).is(kENOSPC));
        // What is there can be written again where a new megabyte finds no place.
        std::string data, other(1 << 20, 'y');
        EXPECT_TRUE(c.write(0, kObject, 5 << 20, other).ok());
        ASSERT_TRUE(c.read(0, kObject, (5 << 20) - 4096, 8192, &data).ok());
        EXPECT_TRUE(data == std::string(4096, 'x') + std::string(4096, 'y'));
        ASSERT_TRUE(c.read(0, kObject, (6 << 20) - 4096, 8192, &data).ok());
        EXPECT_TRUE(data == std::string(4096, 'y') + std::string(4096, 'x'));
        EXPECT_TRUE(c.write(0, kObject, ((n - 1) << 20) - 1, mib).is(kENOSPC));
    });
    cluster.oss[0]->on([&] {
        std::string granted;
        ASSERT_TRUE(cluster.oss[0]->param("obdfilter.lull-OST0000.tot_granted", &granted).ok());
        EXPECT_LT(std::stoull(granted.substr(granted.find('=') + 1)), 8u << 20) << granted;
    });
}

uint64_t granted(TestServer& oss)
{
    std::string text;
    oss.on([&] { ASSERT_TRUE(oss.param("obdfilter.lull-OST0000.tot_granted", &text).ok()); });
    return std::stoull(text.substr(text.find('=') + 1));
}

// What a client is promised when it comes back after a crash is beside what it writes again: its
// dirty pages need it.
TEST(Ofd, ReplaysTakeNoGrant)
{
    MdtCluster cluster(6);
    TestClient& c = cluster.client();
    TestServer& oss = *cluster.oss[0];
    uint64_t promised = granted(oss);
    std::string data(64 << 10, 'x');
    c.on([&] {
        for (uint64_t i = 0; i < 4; i++)
            ASSERT_TRUE(c.write(0, kObject, i * data.size(), data, data.size()).ok());
    });
    EXPECT_EQ(promised - 4 * data.size(), granted(oss));
    oss.disk.set_cut(sim::Disk::Cut::kNone);
    oss.crash();
    oss.start();
    c.on([&] {
        std::string found;
        ASSERT_TRUE(c.read(0, kObject, 0, data.size(), &found).ok());
        EXPECT_EQ(data, found);
    });
    EXPECT_EQ(promised, granted(oss));
}

}  // namespace
