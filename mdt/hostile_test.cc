// SPDX-License-Identifier: GPL-2.0-only
// A peer that names objects as no client does, with flags of a replay or a resend: it is answered
// at once, and nobody waits for it. Invariant 11.
#include "mdt/mdt_cluster_test.h"
#include "ptlrpc/message.h"
#include "ptlrpc/node.h"

using namespace lull;
using namespace lull::mdt_test;

namespace {

constexpr uint64_t kAnswerMs = 5000;  // what no honest operation takes here

// Speaks the protocol by hand. One request at a time.
class RawClient : ConnectionSink {
public:
    explicit RawClient(TestClient& at, uint32_t mds_address) : node_(*at.node)
    {
        auto dialled = node_.transport().dial(Nid{mds_address}, this, deadline_after_ms(1000));
        EXPECT_TRUE(dialled.ok());
        connection_ = dialled.release_value();
        EXPECT_TRUE(connection_->wait_open(WaitMode::kUninterruptible).ok());
        ConnectOp op;
        op.target = "lull-MDT0000";
        op.client_uuid = "a-raw-client";
        op.protocol_min = 1;
        op.protocol_max = 2;
        op.import_cookie = 77;
        EXPECT_EQ(0, send(op, 0));
        Decoder in(2, {body_.data(), body_.size()});
        ConnectReply reply;
        reply.io(in);
        EXPECT_TRUE(in.finish().ok());
        cookie_ = reply.export_cookie;
    }
    ~RawClient()
    {
        connection_->close();
        EXPECT_TRUE(until([&] { return closed_; }));
    }
    // The answer's status; 1: none came in time.
    template <class Op> int send(Op& op, uint32_t flags, uint64_t transno = 0)
    {
        Encoder out(2);
        EXPECT_TRUE(begin_message(out).ok());
        op.io(out);
        RpcHeader header;
        header.kind = static_cast<uint16_t>(RpcKind::kRequest);
        header.opcode = static_cast<uint16_t>(Op::kOpcode);
        header.flags = flags;
        header.xid = ++xid_;
        header.export_cookie = cookie_;
        header.transno = transno;
        EXPECT_TRUE(finish_message(out, header, 0).ok());
        EXPECT_TRUE(connection_->send(out.output(), {}).ok());
        return until([&] { return answered_ == xid_; }) ? status_ : 1;
    }

private:
    static bool until(const std::function<bool()>& p)
    {
        for (uint64_t end = now_ns() + kAnswerMs * kMsec; !p() && now_ns() < end;)
            kapi_sleep_ns(kMsec);
        return p();
    }
    void on_message(Connection&, Message&& m) override
    {
        RpcHeader header;
        std::span<const uint8_t> body;
        ASSERT_TRUE(parse_header(m.body, m.bulk.size(), &header, &body).ok());
        if (header.kind != static_cast<uint16_t>(RpcKind::kReply)) return;
        body_.assign(body.begin(), body.end());
        status_ = peer_status(header).error();
        answered_ = header.xid;
    }
    void on_closed(Connection&, Status) override { closed_ = true; }

    Node& node_;
    Ref<Connection> connection_;
    std::vector<uint8_t> body_;
    uint64_t cookie_ = 0, xid_ = 0, answered_ = 0;
    int status_ = 0;
    bool closed_ = false;
};

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
