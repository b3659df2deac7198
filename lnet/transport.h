/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages over TCP. A Connection carries whole messages (a body and optional bulk data) in order,
 * both ways, until it closes; then everything not yet delivered is lost and on_closed() is called
 * once. One import owns one connection.
 *
 * Framing: LnetHeader, body, bulk; crc32c over header and body; limits on every length; a peer that
 * breaks the rules is disconnected (logged with its NID). Keepalive: a connection on which nothing
 * came for keepalive_ms is probed by a LNet ping; no sign of life for timeout_ms closes it with
 * -ETIMEDOUT. Bulk data is a sign of life while it comes, and a send goes on while the peer takes
 * some of it in each timeout_ms: bulk over a slow wire is not cut off. Messages without bulk
 * overtake bulk that waits to be sent.
 */
#pragma once
#include "kapi/sync.h"
#include "lnet/nid.h"

namespace lull {

inline constexpr uint16_t kLnetPort = 988;

struct Message {
    Bytes body;  // RpcHeader and body of ptlrpc
    Bytes bulk;
};

class Connection;

// Called from the connection's receive task: must not block for long (queue the work).
class ConnectionSink {
public:
    virtual void on_message(Connection& from, Message&& message) = 0;
    // once, after the last on_message
    virtual void on_closed(Connection& connection, Status why) = 0;

protected:
    ~ConnectionSink() = default;
};

class Connection : public RefCounted {
public:
    virtual Nid peer() const = 0;
    // Of one that was dialled: until it is greeted (hello both ways). -ETIMEDOUT, -ECONNREFUSED…,
    // -ESHUTDOWN (closed meanwhile), -ERESTARTSYS (a signal): it is closed then, and the sink never
    // hears of it.
    virtual Status wait_open(WaitMode mode) = 0;
    // body and bulk are copied or sent before it returns. -ENOTCONN, -ENOMEM, -ETIMEDOUT.
    virtual Status send(std::span<const uint8_t> body, std::span<const uint8_t> bulk) = 0;
    // Asynchronous and idempotent; on_closed() follows (or has been called).
    virtual void close() = 0;
    virtual bool is_open() const = 0;

    // Whose it is, for the room above: 0 nobody's, else a key of its choice; kManyUsers when a
    // second one comes.
    static constexpr uint64_t kManyUsers = ~uint64_t{0};
    void add_user(uint64_t key)
    {
        uint64_t none = 0;
        if (!user_.compare_exchange_strong(none, key) && none != key) user_.store(kManyUsers);
    }
    uint64_t user() const { return user_.load(); }

private:
    std::atomic<uint64_t> user_{0};
};

class Acceptor {
public:
    // Gives the sink of a new incoming connection (on_message is called only after this returns);
    // null refuses it.
    virtual ConnectionSink* on_accept(Connection& connection) = 0;

protected:
    ~Acceptor() = default;
};

struct TransportOptions {
    uint16_t port = kLnetPort;
    uint32_t timeout_ms = 20000;
    uint32_t keepalive_ms = 5000;
};

class Transport {
public:
    static Result<Owned<Transport>> create(kapi_net* net, const TransportOptions& options);
    virtual ~Transport() = default;
    virtual Status listen(Acceptor* acceptor) = 0;  // -EADDRINUSE
    // Begins to connect; wait_open() says how it went, close() ends it at once. The sink must
    // outlive on_closed().
    virtual Result<Ref<Connection>> dial(Nid nid, ConnectionSink* sink, uint64_t deadline_ns) = 0;
    // round trip in ns; needs no target (lctl ping)
    virtual Result<uint64_t> ping(Nid nid, uint64_t deadline_ns) = 0;
    virtual Nid own_nid() const = 0;  // zero when the node has no address yet
    // Closes everything and waits until no task of the transport runs. on_closed() has been called
    // for all.
    virtual void shutdown() = 0;
};

}  // namespace lull
