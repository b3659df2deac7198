/* SPDX-License-Identifier: GPL-2.0-only */
/* A client of the MDT that speaks the protocol by hand: what no honest one would say. */
#pragma once
#include "mdt/mdt_cluster_test.h"
#include "ptlrpc/message.h"
#include "ptlrpc/node.h"

namespace lull::mdt_test {

inline constexpr uint64_t kAnswerMs = 5000;  // what no honest operation takes here

// Speaks the protocol by hand. One request at a time.
class RawClient : ConnectionSink {
public:
    RawClient(TestClient& at, uint32_t mds_address, const char* uuid = "a-raw-client")
        : node_(*at.node)
    {
        auto dialled = node_.transport().dial(Nid{mds_address}, this, deadline_after_ms(1000));
        EXPECT_TRUE(dialled.ok());
        connection_ = dialled.release_value();
        EXPECT_TRUE(connection_->wait_open(WaitMode::kUninterruptible).ok());
        ConnectOp op;
        op.target = "lull-MDT0000";
        op.client_uuid = uuid;
        op.protocol_min = 1;
        op.protocol_max = 2;
        op.import_cookie = 77;
        EXPECT_EQ(0, send(op, 0));
        cookie_ = reply<ConnectOp>().export_cookie;
    }
    ~RawClient()
    {
        connection_->close();
        EXPECT_TRUE(until([&] { return closed_; }));
    }
    uint64_t cookie() const { return cookie_; }
    void pretend(uint64_t cookie) { cookie_ = cookie; }  // to be who was given that one
    // Of what was answered last.
    template <class Op> typename Op::Reply reply()
    {
        typename Op::Reply r;
        Decoder in(2, {body_.data(), body_.size()});
        r.io(in);
        EXPECT_TRUE(in.finish().ok());
        return r;
    }
    // The answer's status; 1: none came in time.
    template <class Op> int send(Op& op, uint32_t flags, uint64_t transno = 0)
    {
        Encoder out(2);
        EXPECT_TRUE(begin_message(out).ok());
        op.io(out);
        RpcHeader header{};
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

}  // namespace lull::mdt_test
