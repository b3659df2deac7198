/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A request as the server sees it, from its arrival to its one reply. reply() may be called later
 * and from another task than the handler's (the withheld cancel reply, E1): keep a reference.
 */
#pragma once
#include "ptlrpc/export.h"

namespace lull {

class Node;

class ServerRequest : public RefCounted {
public:
    ServerRequest(Node& node, Ref<Connection> connection, Message&& message);
    ~ServerRequest() override;

    // Header checks. -EBADMSG: not a request at all, cannot be answered; else an error to answer:
    // -EPROTO, -EPROTONOSUPPORT, -EOPNOTSUPP (unknown opcode).
    Status parse();
    // Marks it as in progress for exp, until the reply; errors as Export::begin_request().
    Status begin();
    const OpcodeInfo& info() const { return *info_; }
    Opcode opcode() const { return info_->opcode; }
    uint64_t xid() const { return header_.xid; }
    uint16_t slot() const { return header_.slot; }
    uint32_t flags() const { return header_.flags; }
    bool is_replay() const { return flags() & (kRpcReplay | kRpcReplayOpen); }
    bool is_resend() const { return flags() & kRpcResend; }
    uint64_t replay_transno() const { return header_.transno; }
    uint64_t version_before(unsigned i) const { return header_.versions[i]; }  // of a replay
    uint16_t protocol() const { return header_.protocol; }
    const RpcHeader& header() const { return header_; }
    Bytes& bulk() { return message_.bulk; }
    Connection& connection() { return *connection_; }
    Node& node() { return node_; }

    // Decodes the body in the version of the message; -EPROTO also for bytes left over.
    template <class Op> Status decode(Op* op)
    {
        Decoder in(protocol(), body());
        op->io(in);
        return in.finish();
    }
    std::span<const uint8_t> body() const;

    // Answers. transno 0: nothing changed. last_committed is put in by the target layer through
    // set_last_committed().
    template <class Reply> void reply(Reply& body, Bytes&& bulk = {})
    {
        Encoder out(protocol());
        body.io(out);
        Status encoded = out.status();
        // What was done is done, and an error would deny it: without memory the client has to ask
        // again.
        if (!encoded.ok() && !encoded.is(kENOMEM)) return reply_error(encoded);
        finish(kOk, encoded, out.output(), static_cast<Bytes&&>(bulk));
    }
    void reply_error(Status status)
    {
        Bytes none;
        finish(status, kOk, none, Bytes());
    }
    bool replied() const { return replied_; }
    Status replied_status() const { return replied_status_; }
    void set_transno(uint64_t t) { transno_ = t; }
    void set_versions(const uint64_t (&v)[kVersionsMax])
    {
        for (unsigned i = 0; i < kVersionsMax; i++) versions_[i] = v[i];
    }
    void set_last_committed(uint64_t t) { last_committed_ = t; }
    void set_reply_flags(uint32_t f) { reply_flags_ |= f; }

    Ref<Export> exp;  // null for Connect

private:
    bool is_owed() const;
    void finish(Status status, Status encoded, Bytes& body, Bytes&& bulk);
    Node& node_;
    Ref<Connection> connection_;
    Message message_;
    RpcHeader header_;
    const OpcodeInfo* info_ = nullptr;
    uint64_t transno_ = 0, last_committed_ = 0;
    uint64_t versions_[kVersionsMax] = {};
    Status replied_status_;
    uint32_t reply_flags_ = 0;
    bool replied_ = false, begun_ = false;

public:
    ListHook queue_hook;
};

// A target (or the MGS) as ptlrpc knows it. Registered with the node under its name.
class RequestHandler {
public:
    virtual const TargetName& target_name() const = 0;
    // Connect, for this target. Replies itself.
    virtual void handle_connect(Ref<ServerRequest> request) = 0;
    // Anything else, with request->exp set and alive. Runs in a service task: the pool for exempt
    // requests is never blocked by gated ones. The handler replies, or keeps the reference and
    // replies later.
    virtual void handle(Ref<ServerRequest> request) = 0;
    virtual void on_export_disconnected(Export& /*exp*/) {}
    // False: what this handler did must not be told (it lost its store); the connection is closed
    // instead, and the client looks for the next instance.
    virtual bool may_answer(Status /*status*/) { return true; }

protected:
    ~RequestHandler() = default;
};

}  // namespace lull
