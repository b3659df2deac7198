/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One TCP connection. Private to lnet.
 *
 *   phase      event                              next
 *   greeting   hello seen (and sink accepted it)  open       messages flow
 *   greeting   error, close(), its deadline       closed     the sink never hears of it
 *   open       error, close()                     closed     on_closed(), once the receive task
 *                                                            ended
 *
 * The receive task connects and does the greeting, too. Whoever sends holds the send token (one
 * sender at a time; others queue for it, at most timeout_ms beyond the last progress of the one
 * that sends). What the watchdog needs to decide is atomic: it takes no lock to look.
 */
#pragma once
#include "lnet/lnet_header.h"
#include "lnet/log_limit.h"
#include "lnet/transport.h"

namespace lull {

class TcpConnection;

// The transport, as its connections see it.
class ConnectionOwner {
public:
    virtual void on_receive_task_done(TcpConnection& connection) = 0;
    LogLimit bad_peer_log;

protected:
    ~ConnectionOwner() = default;
};

class TcpConnection final : public Connection {
public:
    // Take over the socket: of an incoming connection, or not connected yet. sink: may be null for
    // one that only pings.
    TcpConnection(ConnectionOwner& owner, kapi_sock* sock, Nid peer, Acceptor& acceptor,
                  const TransportOptions& options);
    TcpConnection(ConnectionOwner& owner, kapi_sock* sock, Nid peer, ConnectionSink* sink,
                  uint64_t open_until_ns, const TransportOptions& options);
    ~TcpConnection() override;

    Nid peer() const override { return peer_; }
    Status send(std::span<const uint8_t> body, std::span<const uint8_t> bulk) override;
    void close() override { close_because(-kESHUTDOWN); }
    bool is_open() const override { return phase_.load() == Phase::kOpen; }

    Status wait_open(WaitMode mode) override;

    Status start();  // the receive task
    Result<uint64_t> round_trip(uint64_t deadline_ns);
    void close_because(Status why);

    // For the transport's tasks.
    bool is_closed() const { return phase_.load() == Phase::kClosed; }
    bool is_expired(uint64_t now) const;  // silent, or sending without progress, for timeout_ms
    bool wants_probe(uint64_t now) const;
    void probe();
    void join() { receive_task_.join(); }

    uint64_t number = 0;  // in the transport's table: in the order they came
    SetHook hook;
    ListHook done_hook;  // the receive task has ended

private:
    enum class Phase : uint8_t { kGreeting, kOpen, kClosed };
    struct State {
        Status why;               // of being closed
        bool sink_knows = false;  // of this connection, so it must hear of its end
        bool sending = false;     // somebody holds the send token
        unsigned small_waiting = 0, bulk_waiting = 0;  // for it, without and with bulk
        unsigned overtakes = 0;                        // messages that went before bulk that waited
        bool pong_due = false;
        uint64_t pong_cookie = 0;
        uint64_t pongs = 0;  // seen
    };
    using Locked = Guarded<State>::Access;

    void receive_task();
    Status greet();
    Status receive_header(LnetHeader* header);
    Status receive_one();
    Status receive_data(const LnetHeader& header);
    Status receive_bulk(std::span<uint8_t> bulk);
    void answer_ping(uint64_t cookie);
    void finish_receiving(Status why);
    Status check_header(const LnetHeader& header) const;
    Status wait_token(Locked& state, bool is_small);  // -ENOTCONN, -ETIMEDOUT
    Status transmit(LnetType type, uint64_t cookie, std::span<const uint8_t> body,
                    std::span<const uint8_t> bulk);
    Status transmit_and_release(Locked& state, LnetType type, uint64_t cookie,
                                std::span<const uint8_t> body, std::span<const uint8_t> bulk);
    void close_locked(State& state, Status why);

    ConnectionOwner& owner_;
    kapi_sock* const sock_;
    const Nid peer_;
    ConnectionSink* sink_;
    Acceptor* const acceptor_;      // null: we dialled
    const uint64_t open_until_ns_;  // of one that was dialled
    const TransportOptions options_;
    Guarded<State> state_{LockRank::kLnetConn};
    CondVar token_free_;                          // also: no longer open
    CondVar changed_;                             // greeted, closed, pong
    std::atomic<Phase> phase_{Phase::kGreeting};  // written with state_ locked
    std::atomic<uint64_t> last_received_ns_;
    std::atomic<uint64_t> send_progress_ns_{0};  // of what is being sent; 0: nobody sends
    std::atomic<uint64_t> probed_ns_{0};         // first ping since something was received
    std::atomic<uint64_t> last_probe_ns_{0};
    Task receive_task_;
};

}  // namespace lull
