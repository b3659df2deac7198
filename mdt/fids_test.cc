// SPDX-License-Identifier: GPL-2.0-only
// Identities that a client may give and name: FIDs of its own sequences, each once, over restarts;
// the objects of a replayed file; what may be locked. Issue 12, fault 19; S9, invariant 11.
#include "mdt/identities.h"
#include "mdt/raw_client_test.h"

using namespace lull;
using namespace lull::mdt_test;

namespace {

Ref<Call<MdsCreateOp>> create_call(const Fid& fid, const char* name, uint32_t mode)
{
    auto call = make_ref<Call<MdsCreateOp>>();
    call->op.parent = kRootFid;
    call->op.name = name;
    call->op.mode = mode;
    call->op.fid = fid;
    return call;
}

Status mkdir_as(TestClient& c, const Fid& fid, const char* name)
{
    return c.call(create_call(fid, name, KBFS_DIR | 0755));
}

Status open_as(TestClient& c, const Fid& fid, const char* name)
{
    auto call = c.open_call(kRootFid, name, kOpenWrite | kOpenCreate);
    call->op.fid = fid;
    return c.call(call);
}

Fid far_ahead(TestClient& c)
{
    Fid fid = c.next_fid();
    fid.oid = kFidsPerSequence;
    return fid;
}

}  // namespace

TEST(Fids, AreOfASequenceOfTheClient)
{
    MdtCluster cluster(1, 1);
    TestClient &a = cluster.client(), &b = cluster.client();
    Fid of_a;
    a.on([&] { of_a = a.next_fid(); });
    b.on([&] {
        Fid of_b = b.next_fid();
        EXPECT_TRUE(mkdir_as(b, of_a, "x").is(kEINVAL));
        EXPECT_TRUE(open_as(b, of_a, "x").is(kEINVAL));
        EXPECT_TRUE(mkdir_as(b, {of_b.seq + 1, 1, 0}, "x").is(kEINVAL));  // nobody's
        EXPECT_TRUE(mkdir_as(b, {of_b.seq, kFidsPerSequence + 1, 0}, "x").is(kEINVAL));
        EXPECT_TRUE(mkdir_as(b, far_ahead(b), "mine").ok());
        EXPECT_EQ(std::vector<std::string>{"mine"}, b.list(kRootFid));
    });
    a.on([&] { EXPECT_TRUE(mkdir_as(a, of_a, "x").ok()); });
}

TEST(Fids, AreUsedOnce)
{
    MdtCluster cluster(2, 1);
    TestClient& c = cluster.client();
    c.on([&] {
        Fid dir = c.next_fid(), replaced = c.next_fid(), file = c.next_fid();
        EXPECT_TRUE(mkdir_as(c, dir, "d").ok());
        EXPECT_TRUE(mkdir_as(c, replaced, "replaced").ok());
        EXPECT_TRUE(c.rename(kRootFid, "d", kRootFid, "replaced").ok());
        EXPECT_TRUE(c.unlink(kRootFid, "replaced", true).ok());
        Ref<Call<MdsOpenOp>> open = c.open_call(kRootFid, "f", kOpenWrite | kOpenCreate);
        open->op.fid = file;
        EXPECT_TRUE(c.call(open).ok());
        EXPECT_TRUE(c.close(open).ok());
        EXPECT_TRUE(c.unlink(kRootFid, "f").ok());
        EXPECT_TRUE(c.sync().ok());
        MdsGetattrReply gone;
        while (c.getattr(file, "", &gone).ok()) kapi_sleep_ns(kSec);  // until it is destroyed
        for (const Fid& fid : {dir, replaced, file}) {
            EXPECT_TRUE(mkdir_as(c, fid, "again").is(kEEXIST)) << fid.oid;
            EXPECT_TRUE(open_as(c, fid, "again").is(kEEXIST)) << fid.oid;
        }
        EXPECT_TRUE(c.list(kRootFid).empty());
    });
}

// A create that fails has used nothing up: it may be sent again.
TEST(Fids, OfACreateThatFailedIsFree)
{
    MdtCluster cluster(3, 1);
    TestClient& c = cluster.client();
    c.on([&] {
        Fid fid = c.next_fid();
        Layout nonsense;
        nonsense.stripe_bytes = 65536;
        auto call = create_call(fid, "x", KBFS_DIR | 0755);
        EXPECT_TRUE(call->op.layout.copy_from(nonsense).ok());
        EXPECT_TRUE(c.call(call).is(kEINVAL));
        EXPECT_TRUE(mkdir_as(c, fid, "x").ok());
    });
}

// The grant is the client's over a crash at once and over a clean halt; and nobody else's. What was
// there before and is removed now does not come back either.
TEST(Fids, ASequenceOutlivesTheServer)
{
    for (bool clean : {false, true}) {
        MdtCluster cluster(4, 1);
        TestClient &a = cluster.client(), &b = cluster.client();
        Fid old, seen, file;
        a.on([&] {
            EXPECT_TRUE(a.mkdir(kRootFid, "old", &old).ok());
            Ref<Call<MdsOpenOp>> open = a.open_call(kRootFid, "f", kOpenWrite | kOpenCreate);
            open->op.fid = file = a.next_fid();
            EXPECT_TRUE(a.call(open).ok());
            EXPECT_TRUE(a.close(open).ok());
            EXPECT_TRUE(a.sync().ok());
        });
        b.on([&] { seen = b.next_fid(); });
        if (clean) cluster.mds.halt_clean();
        else cluster.mds.crash();
        cluster.mds.start();
        a.on([&] {
            EXPECT_TRUE(mkdir_as(a, seen, "taken").is(kEINVAL));
            EXPECT_TRUE(a.unlink(kRootFid, "old", true).ok());
            EXPECT_TRUE(mkdir_as(a, old, "again").is(kEEXIST));
            EXPECT_TRUE(a.unlink(kRootFid, "f").ok());
            EXPECT_TRUE(a.sync().ok());
            MdsGetattrReply gone;
            while (a.getattr(file, "", &gone).ok()) kapi_sleep_ns(kSec);  // until it is destroyed
            EXPECT_TRUE(mkdir_as(a, file, "again").is(kEEXIST));
            EXPECT_TRUE(a.mkdir(kRootFid, "new").ok());
        });
        b.on([&] { EXPECT_TRUE(mkdir_as(b, seen, "x").ok()); });
        EXPECT_EQ(a.mdt.evictions + b.mdt.evictions, 0);
    }
}

// A sequence is told when no crash takes it away any more.
TEST(Fids, ASequenceIsDurableBeforeItIsTold)
{
    MdtCluster cluster(5, 1);
    TestClient& c = cluster.client();
    Fid fid;
    c.on([&] { fid = c.next_fid(); });
    cluster.mds.crash();
    cluster.mds.start();
    c.on([&] { EXPECT_TRUE(mkdir_as(c, fid, "d").ok()); });
    EXPECT_EQ(c.mdt.evictions, 0);
}

// Flags do not make it another's; only the last sequences are kept.
TEST(Fids, RawRequests)
{
    MdtCluster cluster(6, 1);
    TestClient &c = cluster.client(), &other = cluster.client();
    c.on([&] {
        Fid theirs = c.next_fid();
        RawClient raw(other, cluster.mds.host.address());
        std::vector<uint64_t> seqs;
        for (int i = 0; i < 9; i++) {
            MdsGetSeqOp ask;
            ASSERT_EQ(0, raw.send(ask, 0));
            seqs.push_back(raw.reply<MdsGetSeqOp>().seq);
        }
        auto create = [&](const Fid& fid, uint32_t flags) {
            auto call = create_call(fid, "raw", KBFS_DIR | 0755);
            int status = raw.send(call->op, flags, (uint64_t{1} << 40) | 1000);
            MdsUnlinkOp unlink;
            unlink.parent = kRootFid;
            unlink.name = "raw";
            unlink.rmdir = true;
            EXPECT_EQ(status ? -kENOENT : 0, raw.send(unlink, 0));
            return status;
        };
        for (uint32_t flags : {0u, uint32_t{kRpcResend}}) {
            Fid mine{seqs[3], 1 + flags, 0};
            EXPECT_EQ(-kEINVAL, create(theirs, flags));
            EXPECT_EQ(-kEINVAL, create({seqs[0], 1 + flags, 0}, flags));
            EXPECT_EQ(0, create(mine, flags));
            EXPECT_EQ(-kEEXIST, create(mine, flags));
        }
        EXPECT_TRUE(mkdir_as(c, theirs, "c").ok());
    });
}

// Objects of a file are named by the MDT, and told by a client only in a replay.
TEST(Fids, AClientNamesNoObjects)
{
    MdtCluster cluster(7, 1);
    TestClient& c = cluster.client();
    c.on([&] {
        Ref<Call<MdsOpenOp>> victim;
        ASSERT_TRUE(c.open(kRootFid, "victim", kOpenWrite | kOpenCreate, &victim).ok());
        auto open = c.open_call(kRootFid, "x", kOpenWrite | kOpenCreate);
        ASSERT_TRUE(open->op.layout.copy_from(victim->reply.object.layout).ok());
        EXPECT_TRUE(c.call(open).is(kEINVAL));
        auto create = create_call(c.next_fid(), "x", KBFS_FILE | 0644);
        ASSERT_TRUE(create->op.layout.copy_from(victim->reply.object.layout).ok());
        EXPECT_TRUE(c.call(create).is(kEINVAL));
        EXPECT_TRUE(c.close(victim).ok());
        EXPECT_EQ(std::vector<std::string>{"victim"}, c.list(kRootFid));
    });
}

// A replay that lies: of objects that no MDT has named, or of an identity that is not its own. It
// is refused, and its client lost.
TEST(Fids, AReplayIsLookedAt)
{
    using Lie = std::function<void(MdsCreateOp&)>;
    Fid theirs;
    const std::vector<std::pair<const char*, Lie>> lies = {
        {"unnamed", [](MdsCreateOp& op) { op.layout.objects[0].fid.oid = 1u << 30; }},
        {"none", [](MdsCreateOp& op) { op.layout.objects[0].fid = Fid{}; }},
        {"other OST", [](MdsCreateOp& op) { op.layout.objects[0].fid.seq++; }},
        {"no stripes", [](MdsCreateOp& op) { op.layout.objects.clear(); }},
        {"twice",
         [](MdsCreateOp& op) {
             StripeObject twin = op.layout.objects[0];
             EXPECT_TRUE(op.layout.objects.push_back(twin).ok());
         }},
        {"theirs", [&](MdsCreateOp& op) { op.fid = theirs; }},
        {"version 1",
         [](MdsCreateOp& op) {
             op.fid = Fid{op.fid.seq & 0xff, 7, 0};
         }},
        {"version 1, known",
         [](MdsCreateOp& op) {
             op.fid = Fid{Identities::kFirstIno, 7, 0};
         }},
    };
    for (auto& [what, lie] : lies) {
        SCOPED_TRACE(what);
        MdtCluster cluster(8, 1);
        TestClient &c = cluster.client(), &other = cluster.client(), &old = cluster.client(1);
        old.on([&] { EXPECT_TRUE(old.mkdir(kRootFid, "old").ok()); });
        other.on([&] { theirs = other.next_fid(); });
        Ref<Call<MdsCreateOp>> create;
        c.on([&] {
            EXPECT_TRUE(c.sync().ok());
            create = create_call(c.next_fid(), "x", KBFS_FILE | 0644);
            ASSERT_TRUE(c.call(create).ok());
        });
        lie(create->op);
        cluster.mds.disk.set_cut(sim::Disk::Cut::kNone);  // the create is lost, and replayed
        cluster.mds.crash();
        cluster.mds.start();
        EXPECT_TRUE(cluster.until([&] { return c.mdt.evictions == 1; }));
        other.on([&] {
            EXPECT_EQ(std::vector<std::string>{"old"}, other.list(kRootFid));
            EXPECT_TRUE(mkdir_as(other, theirs, "y").ok());
        });
        EXPECT_EQ(other.mdt.evictions, 0);
    }
}

// The locks of the server's own are not a client's: renames would wait for it.
TEST(Fids, OnlyObjectsAreLocked)
{
    MdtCluster cluster(9, 1);
    TestClient& c = cluster.client();
    c.on([&] {
        LdlmEnqueueReply reply;
        for (Fid fid : {Fid{kFidSeqStart + 4, 1, 0}, Fid{kFidSeqOstBase, 1, 0}, Fid{},
                        Fid{kFidSeqNormal, 1, 7}})
            EXPECT_TRUE(c.enqueue(fid, Intent::kNone, "", &reply).is(kEINVAL)) << fid.oid;
        EXPECT_TRUE(c.enqueue(kRootFid, Intent::kNone, "", &reply).ok());
    });
}
