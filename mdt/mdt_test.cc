// SPDX-License-Identifier: GPL-2.0-only
// The metadata service behind real imports, on simulated hosts and disks.
#include "mdt/mdt_cluster_test.h"

using namespace lull;
using namespace lull::mdt_test;

namespace {

using Names = std::vector<std::string>;

class MdtProtocol : public testing::TestWithParam<uint32_t> {};

TEST_P(MdtProtocol, EveryOperation)
{
    MdtCluster cluster(1, 1, GetParam());
    TestClient& c = cluster.client();
    c.on([&] {
        ASSERT_EQ(GetParam(), c.mdt.import->protocol());
        Fid d, f, l;
        ASSERT_TRUE(c.mkdir(kRootFid, "d", &d).ok());
        EXPECT_EQ(GetParam() == 1, d.is_igif());
        EXPECT_TRUE(c.mkdir(kRootFid, "d").is(kEEXIST));
        ASSERT_TRUE(c.touch(d, "f", &f).ok());
        EXPECT_TRUE(c.touch(d, "f").is(kEEXIST));
        ASSERT_TRUE(c.create(d, "l", KBFS_SYMLINK | 0777, &l, "../target").ok());
        ASSERT_TRUE(c.create(d, "p", 0010000 | 0600).ok());
        ASSERT_TRUE(c.create(d, "m", KBFS_FILE | 0600).ok());
        EXPECT_EQ((Names{"f", "l", "m", "p"}), c.list(d));
        EXPECT_EQ((Names{"d"}), c.list(kRootFid));
        EXPECT_TRUE(c.create(f, "x", KBFS_FILE | 0600).is(kENOTDIR));

        auto readlink = c.make_call<MdsReadlinkOp>();
        readlink->op.fid = l;
        ASSERT_TRUE(c.call(readlink).ok());
        EXPECT_EQ("../target", str(readlink->reply.target));

        MdsGetattrReply a;
        ASSERT_TRUE(c.getattr(d, "f", &a).ok());
        EXPECT_EQ(f, a.fid);
        EXPECT_EQ(KBFS_FILE | 0644u, a.attr.mode);
        EXPECT_EQ(1u, a.attr.nlink);
        EXPECT_EQ(0u, a.attr.valid & kAttrSize);
        EXPECT_EQ(1u, a.layout.objects.size());
        EXPECT_TRUE(c.getattr(d, "nothing", &a).is(kENOENT));
        EXPECT_TRUE(c.getattr({kFidSeqNormal + 900, 1, 0}, "", &a).is(kESTALE));

        ASSERT_TRUE(c.link(f, kRootFid, "f2").ok());
        EXPECT_TRUE(c.link(f, kRootFid, "f2").is(kEEXIST));
        EXPECT_TRUE(c.link(d, kRootFid, "d2").is(kEPERM));
        ASSERT_TRUE(c.getattr(f, "", &a).ok());
        EXPECT_EQ(2u, a.attr.nlink);

        Attr want;
        want.valid = kAttrMode | kAttrUid | kAttrMtime;
        want.mode = 0600;
        want.uid = 7;
        want.mtime_ns = 77 * kSec;
        Attr got;
        ASSERT_TRUE(c.setattr(f, want, &got).ok());
        EXPECT_EQ(KBFS_FILE | 0600u, got.mode);
        EXPECT_EQ(7u, got.uid);
        EXPECT_EQ(77 * kSec, got.mtime_ns);
        want.valid = kAttrSize;
        EXPECT_TRUE(c.setattr(f, want).is(kEINVAL));

        EXPECT_TRUE(c.unlink(kRootFid, "d").is(kEISDIR));
        EXPECT_TRUE(c.unlink(kRootFid, "f2", true).is(kENOTDIR));
        EXPECT_TRUE(c.unlink(kRootFid, "d", true).is(kENOTEMPTY));
        EXPECT_TRUE(c.unlink(kRootFid, "none").is(kENOENT));
        ASSERT_TRUE(c.unlink(kRootFid, "f2").ok());
        for (const char* name : {"f", "l", "m", "p"}) ASSERT_TRUE(c.unlink(d, name).ok()) << name;
        ASSERT_TRUE(c.unlink(kRootFid, "d", true).ok());
        EXPECT_TRUE(c.list(kRootFid).empty());
        EXPECT_TRUE(c.touch(d, "x").is(kESTALE));

        EXPECT_TRUE(c.sync().ok());
        auto statfs = c.make_call<MdsStatfsOp>();
        ASSERT_TRUE(c.call(statfs).ok());
        EXPECT_GT(statfs->reply.total_bytes, 0u);
    });
}

TEST_P(MdtProtocol, Renames)
{
    MdtCluster cluster(2, 1, GetParam());
    TestClient& c = cluster.client();
    c.on([&] {
        Fid a, b, sub, f, g;
        ASSERT_TRUE(c.mkdir(kRootFid, "a", &a).ok());
        ASSERT_TRUE(c.mkdir(kRootFid, "b", &b).ok());
        ASSERT_TRUE(c.mkdir(a, "sub", &sub).ok());
        ASSERT_TRUE(c.touch(a, "f", &f).ok());
        ASSERT_TRUE(c.touch(b, "g", &g).ok());
        EXPECT_TRUE(c.rename(kRootFid, "a", sub, "x").is(kEINVAL));
        EXPECT_TRUE(c.rename(kRootFid, "a", a, "x").is(kEINVAL));
        EXPECT_TRUE(c.rename(a, "f", kRootFid, "a").is(kENOTEMPTY));
        EXPECT_TRUE(c.rename(sub, "none", kRootFid, "x").is(kENOENT));
        EXPECT_TRUE(c.rename(a, "f", kRootFid, "b").is(kEISDIR));
        EXPECT_TRUE(c.rename(a, "sub", b, "g").is(kENOTDIR));
        EXPECT_TRUE(c.rename(a, "sub", kRootFid, "b").is(kENOTEMPTY));
        EXPECT_TRUE(c.rename(a, "sub", kRootFid, "a").is(kENOTEMPTY));  // its own parent
        EXPECT_TRUE(c.rename(a, "f", b, "g", true).is(kEEXIST));

        Ref<Call<MdsRenameOp>> r;
        ASSERT_TRUE(c.rename(a, "f", b, "g", false, &r).ok());
        EXPECT_EQ(f, r->reply.fid);
        EXPECT_EQ(g, r->reply.replaced);
        EXPECT_EQ(0u, r->reply.replaced_attr.nlink);
        EXPECT_EQ(f, c.lookup(b, "g"));
        ASSERT_TRUE(c.rename(b, "g", b, "h").ok());
        ASSERT_TRUE(c.link(f, b, "h2").ok());
        ASSERT_TRUE(c.rename(b, "h", b, "h2").ok());  // two names of one file: nothing happens
        EXPECT_EQ((Names{"h", "h2"}), c.list(b));
        ASSERT_TRUE(c.rename(b, "h", b, "h").ok());
        // A directory over an empty one, in the same directory and elsewhere.
        ASSERT_TRUE(c.mkdir(a, "empty").ok());
        ASSERT_TRUE(c.rename(a, "sub", a, "empty").ok());
        EXPECT_EQ(sub, c.lookup(a, "empty"));
        ASSERT_TRUE(c.mkdir(b, "e2").ok());
        ASSERT_TRUE(c.rename(a, "empty", b, "e2").ok());
        EXPECT_EQ((Names{"e2", "h", "h2"}), c.list(b));
        EXPECT_TRUE(c.list(a).empty());
        EXPECT_TRUE(c.rename(kRootFid, "b", sub, "x").is(kEINVAL));  // knows where sub is now
    });
}
INSTANTIATE_TEST_SUITE_P(Both, MdtProtocol, testing::Values(1u, 2u));

TEST(Mdt, BadInput)
{
    MdtCluster cluster(3, 0);
    TestClient& c = cluster.client();
    c.on([&] {
        for (const char* bad : {"", ".", "..", "a/b"})
            EXPECT_TRUE(c.mkdir(kRootFid, bad).is(kEINVAL)) << bad;
        auto create = [&](const Fid& fid, uint32_t mode) {
            auto call = c.make_call<MdsCreateOp>();
            call->op.parent = kRootFid;
            call->op.name = "x";
            call->op.mode = mode;
            call->op.fid = fid;
            return c.call(call);
        };
        for (Fid fid : {kRootFid, Fid{kFidSeqNormal + 5000, 1, 0}, Fid{4711, 1, 0},
                        Fid{kFidSeqUpdateLock, kFidOidUpdateLock, 0}})
            EXPECT_TRUE(create(fid, KBFS_DIR | 0755).is(kEINVAL));
        Fid d;
        ASSERT_TRUE(c.mkdir(kRootFid, "d", &d).ok());
        EXPECT_TRUE(create(d, KBFS_DIR | 0755).is(kEEXIST));  // a FID names one object
        EXPECT_TRUE(create(c.next_fid(), 0755).is(kEINVAL));
        auto unlink = c.make_call<MdsUnlinkOp>();
        unlink->op.parent = {kFidSeqUpdateLock, kFidOidUpdateLock, 0};
        unlink->op.name = "x";
        EXPECT_TRUE(c.call(unlink).is(kEINVAL));
        auto close = c.make_call<MdsCloseOp>();
        close->op.handle = 4711;
        close->op.fid = d;
        EXPECT_TRUE(c.call(close).is(kESTALE));
        // No OST has registered: directories work, files do not.
        Ref<Call<MdsOpenOp>> o;
        EXPECT_TRUE(c.open(d, "f", kOpenCreate | kOpenWrite, &o).is(kENODEV));
        EXPECT_TRUE(c.list(d).empty());
    });
}

TEST(Mdt, Opens)
{
    MdtCluster cluster(4);
    TestClient& c = cluster.client();
    c.on([&] {
        Ref<Call<MdsOpenOp>> a, b, x;
        ASSERT_TRUE(c.open(kRootFid, "f", kOpenCreate | kOpenWrite, &a).ok());
        EXPECT_TRUE(a->reply.created);
        EXPECT_NE(0u, a->reply.parent.valid);
        ASSERT_TRUE(c.open(kRootFid, "f", kOpenCreate | kOpenRead, &b).ok());
        EXPECT_FALSE(b->reply.created);
        EXPECT_EQ(a->reply.object.fid, b->reply.object.fid);
        EXPECT_NE(a->reply.handle, b->reply.handle);
        EXPECT_TRUE(c.open(kRootFid, "f", kOpenCreate | kOpenExcl | kOpenRead, &x).is(kEEXIST));
        EXPECT_TRUE(c.open(kRootFid, "g", kOpenRead, &x).is(kENOENT));
        ASSERT_TRUE(c.mkdir(kRootFid, "d").ok());
        EXPECT_TRUE(c.open(kRootFid, "d", kOpenWrite, &x).is(kEISDIR));
        ASSERT_TRUE(c.open(kRootFid, "d", kOpenRead, &x).ok());
        ASSERT_TRUE(c.close(x).ok());
        ASSERT_TRUE(c.create(kRootFid, "l", KBFS_SYMLINK | 0777, nullptr, "f").ok());
        EXPECT_TRUE(c.open(kRootFid, "l", kOpenRead, &x).is(kELOOP));

        // Unlinked while open: lives on until the last close.
        Fid f = a->reply.object.fid;
        Ref<Call<MdsUnlinkOp>> u;
        ASSERT_TRUE(c.unlink(kRootFid, "f", false, &u).ok());
        EXPECT_EQ(f, u->reply.fid);
        EXPECT_EQ(0u, u->reply.object.nlink);
        MdsGetattrReply attr;
        ASSERT_TRUE(c.getattr(f, "", &attr).ok());
        EXPECT_EQ(0u, attr.attr.nlink);
        EXPECT_TRUE(c.link(f, kRootFid, "back").is(kENOENT));
        auto by_fid = c.open_call({}, "", kOpenRead | kOpenByFid);
        by_fid->op.fid = f;
        ASSERT_TRUE(c.call(by_fid).ok());
        ASSERT_TRUE(c.close(a).ok());
        ASSERT_TRUE(c.close(b).ok());
        ASSERT_TRUE(c.sync().ok());
        kapi_sleep_ns(20 * kSec);
        EXPECT_TRUE(c.getattr(f, "", &attr).ok());
        ASSERT_TRUE(c.close(by_fid).ok());
        ASSERT_TRUE(c.sync().ok());
        for (int i = 0; i < 60 && c.getattr(f, "", &attr).ok(); i++) kapi_sleep_ns(kSec);
        EXPECT_TRUE(c.getattr(f, "", &attr).is(kESTALE));
        by_fid = c.open_call({}, "", kOpenRead | kOpenByFid);
        by_fid->op.fid = f;
        EXPECT_TRUE(c.call(by_fid).is(kESTALE));
    });
}

TEST(Mdt, DestroysWhatIsOnTheOsts)
{
    MdtCluster cluster(5, 2, 2, "stripecount=2\n");
    TestClient& c = cluster.client();
    c.on([&] {
        Ref<Call<MdsOpenOp>> o;
        ASSERT_TRUE(c.open(kRootFid, "f", kOpenCreate | kOpenWrite, &o).ok());
        auto& objects = o->reply.object.layout.objects;
        ASSERT_EQ(2u, objects.size());
        StripeObject s[2] = {objects[0], objects[1]};
        std::string data;
        for (auto& x : s) {
            ASSERT_TRUE(c.write(x.ost_index, x.fid, 0, "hello").ok());
            ASSERT_TRUE(c.read(x.ost_index, x.fid, 1, 100, &data).ok());
            EXPECT_EQ("ello", data);
        }
        ASSERT_TRUE(c.unlink(kRootFid, "f").ok());
        ASSERT_TRUE(c.close(o).ok());
        for (int i = 0; i < 60; i++) {
            kapi_sleep_ns(kSec);
            uint64_t size = 0, sum = 0;
            for (auto& x : s) {
                ASSERT_TRUE(c.read(x.ost_index, x.fid, 0, 100, &data, &size).ok());
                sum += size;
            }
            if (sum == 0) break;
        }
        for (auto& x : s) {
            ASSERT_TRUE(c.read(x.ost_index, x.fid, 0, 100, &data).ok());
            EXPECT_EQ("", data);
        }
    });
    cluster.until([&] { return false; }, 30000);
    cluster.mds.on([&] {
        std::string n;
        ASSERT_TRUE(cluster.mds.param("mdt.lull-MDT0000.pending_destroys", &n).ok());
        EXPECT_NE(std::string::npos, n.find("=0")) << n;
        Vec<Fid> pending;
        ASSERT_TRUE(cluster.mds.target().store().list_pending(&pending).ok());
        EXPECT_TRUE(pending.empty());
    });
}

TEST(Mdt, LayoutsOfDirectories)
{
    MdtCluster cluster(6, 2);
    TestClient& c = cluster.client();
    c.on([&] {
        Fid d, sub;
        ASSERT_TRUE(c.mkdir(kRootFid, "d", &d).ok());
        auto set = [&](const Fid& fid, uint32_t bytes, uint32_t count) {
            auto call = c.make_call<MdsSetLayoutOp>();
            call->op.fid = fid;
            call->op.layout.stripe_bytes = bytes;
            call->op.layout.stripe_count = count;
            return c.call(call);
        };
        EXPECT_TRUE(set(d, 4096, 1).is(kEINVAL));
        ASSERT_TRUE(set(d, 128 << 10, UINT32_MAX).ok());
        ASSERT_TRUE(c.mkdir(d, "sub", &sub).ok());
        Ref<Call<MdsOpenOp>> o;
        ASSERT_TRUE(c.open(sub, "f", kOpenCreate | kOpenWrite, &o).ok());
        EXPECT_EQ(128u << 10, o->reply.object.layout.stripe_bytes);
        EXPECT_EQ(2u, o->reply.object.layout.objects.size());
        ASSERT_TRUE(c.close(o).ok());
        ASSERT_TRUE(set(d, 0, 0).ok());
        ASSERT_TRUE(c.open(d, "f", kOpenCreate | kOpenWrite, &o).ok());
        EXPECT_EQ(1u << 20, o->reply.object.layout.stripe_bytes);
        EXPECT_EQ(1u, o->reply.object.layout.objects.size());
        ASSERT_TRUE(c.close(o).ok());
        EXPECT_TRUE(set(c.lookup(d, "f"), 0, 0).is(kENOTDIR));
    });
}

TEST(Mdt, SetGidDirectories)
{
    MdtCluster cluster(7);
    TestClient& c = cluster.client();
    c.on([&] {
        Fid d;
        ASSERT_TRUE(c.mkdir(kRootFid, "d", &d).ok());
        Attr a;
        a.valid = kAttrMode | kAttrGid;
        a.mode = 02775;
        a.gid = 42;
        ASSERT_TRUE(c.setattr(d, a).ok());
        ASSERT_TRUE(c.mkdir(d, "sub").ok());
        ASSERT_TRUE(c.touch(d, "f").ok());
        MdsGetattrReply r;
        ASSERT_TRUE(c.getattr(d, "sub", &r).ok());
        EXPECT_EQ(42u, r.attr.gid);
        EXPECT_EQ(02000u, r.attr.mode & 02000);
        ASSERT_TRUE(c.getattr(d, "f", &r).ok());
        EXPECT_EQ(42u, r.attr.gid);
        EXPECT_EQ(0u, r.attr.mode & 02000);
    });
}

TEST(Mdt, IntentsLockWhatTheyTell)
{
    MdtCluster cluster(8);
    TestClient& c = cluster.client();
    TestClient& other = cluster.client();
    Fid f;
    LdlmEnqueueReply held;
    c.on([&] {
        ASSERT_TRUE(c.touch(kRootFid, "f", &f).ok());
        LdlmEnqueueReply r;
        ASSERT_TRUE(c.enqueue(kRootFid, Intent::kLookup, "none", &r).ok());
        EXPECT_EQ(-kENOENT, r.intent_status);
        EXPECT_EQ(0u, r.server_handle);
        ASSERT_TRUE(c.enqueue(kRootFid, Intent::kLookup, "f", &held).ok());
        EXPECT_EQ(0, held.intent_status);
        EXPECT_EQ(ResourceId::of(f), held.resource);
        EXPECT_EQ(f, held.object.fid);
        EXPECT_EQ(1u, held.object.layout.objects.size());
        // Our own operation does not take our own lock away.
        ASSERT_TRUE(c.chmod(f, 0600).ok());
        EXPECT_TRUE(c.mdt.asts.empty());
    });
    bool canceled = false;
    c.cancel_what_is_asked_for(&canceled);
    other.on([&] { ASSERT_TRUE(other.chmod(f, 0640).ok()); });
    // The other's answer may overtake that of the cancel.
    EXPECT_TRUE(cluster.until([&] { return canceled; }));
    EXPECT_EQ(1u, c.mdt.asts.size());
}

}  // namespace
