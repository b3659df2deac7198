// SPDX-License-Identifier: GPL-2.0-only
// A peer that names objects as no client does, with flags of a replay or a resend: it is answered
// at once, and nobody waits for it. Invariant 11.
#include "mdt/raw_client_test.h"

using namespace lull;
using namespace lull::mdt_test;

namespace {

// A small tree, and every object of it under every name.
struct Tree {
    Fid d, e, f, g;  // d/e, d/f, d/e/g
    explicit Tree(TestClient& c)
    {
        EXPECT_TRUE(c.mkdir(kRootFid, "d", &d).ok());
        EXPECT_TRUE(c.mkdir(d, "e", &e).ok());
        EXPECT_TRUE(c.touch(d, "f", &f).ok());
        EXPECT_TRUE(c.touch(e, "g", &g).ok());
    }
    std::vector<Fid> fids() const
    {
        return {kRootFid,
                d,
                e,
                f,
                g,
                Fid{},
                Fid{kFidSeqOstBase, 1, 0},
                Fid{kFidSeqNormal + 77, 5, 0}};
    }
};

const char* const kNames[] = {"d", "e", "f", "g", "new"};

void try_all(RawClient& raw, const Tree& t, uint32_t flags)
{
    const uint64_t transno = (uint64_t{1} << 40) | 1000;
    for (const Fid& parent : t.fids())
        for (const Fid& fid : t.fids())
            for (const char* name : kNames) {
                SCOPED_TRACE(testing::Message() << "flags " << flags << " parent " << parent.oid
                                                << " fid " << fid.oid << " name " << name);
                MdsLinkOp link;
                link.fid = fid;
                link.parent = parent;
                link.name = name;
                EXPECT_NE(1, raw.send(link, flags, transno));
                MdsRenameOp rename;
                rename.from_parent = parent;
                rename.to_parent = fid;
                rename.from = name;
                rename.to = "g";
                rename.fid = fid;
                rename.replaced = parent;
                EXPECT_NE(1, raw.send(rename, flags, transno));
                MdsUnlinkOp unlink;
                unlink.parent = parent;
                unlink.name = name;
                unlink.fid = fid;
                for (bool rmdir : {true, false}) {
                    unlink.rmdir = rmdir;
                    EXPECT_NE(1, raw.send(unlink, flags, transno));
                }
                if (testing::Test::HasFailure()) return;
            }
}

}  // namespace

TEST(Hostile, OddNamesAndFlagsAreAnsweredAtOnce)
{
    for (uint32_t flags : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u}) {
        MdtCluster cluster(flags + 1, 1);
        TestClient &c = cluster.client(), &other = cluster.client();
        c.on([&] {
            Tree tree(c);
            RawClient raw(other, cluster.mds.host.address());
            try_all(raw, tree, flags);
        });
        c.on([&] { EXPECT_TRUE(c.mkdir(kRootFid, "still fine").ok()); });
        if (testing::Test::HasFailure()) return;
    }
}

// A lock is its holder's alone: whoever else cancels it cancels nothing.
TEST(Hostile, AnothersLockIsNotCanceled)
{
    MdtCluster cluster(9, 1);
    TestClient &c = cluster.client(), &other = cluster.client();
    Fid f;
    LdlmEnqueueReply held;
    c.on([&] {
        ASSERT_TRUE(c.touch(kRootFid, "f", &f).ok());
        ASSERT_TRUE(c.enqueue(kRootFid, Intent::kLookup, "f", &held).ok());
    });
    other.on([&] { EXPECT_TRUE(other.cancel(held.server_handle).ok()); });
    bool canceled = false;
    c.cancel_what_is_asked_for(&canceled);
    other.on([&] { EXPECT_TRUE(other.chmod(f, 0640).ok()); });
    EXPECT_TRUE(cluster.until([&] { return canceled; }, 10000));
}

// A connection's name is no key: what names it comes over that connection.
TEST(Hostile, AnothersConnectionIsNotUsed)
{
    MdtCluster cluster(10, 1);
    TestClient& c = cluster.client();
    c.on([&] {
        RawClient victim(c, cluster.mds.host.address(), "a-victim");
        RawClient thief(c, cluster.mds.host.address(), "a-thief");
        MdsUnlinkOp unlink;
        unlink.parent = kRootFid;
        unlink.name = "f";
        Fid f;
        ASSERT_TRUE(c.touch(kRootFid, "f", &f).ok());
        thief.pretend(victim.cookie());
        EXPECT_NE(0, thief.send(unlink, 0));
        EXPECT_TRUE(c.lookup(kRootFid, "f") == f);
    });
}
