// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated network: stream connections with delays, cuts, resets. In order within a
 * connection, bytes or an error, never corruption; connections overtake each other.
 */
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kapi/sim/world.h"

namespace lull::sim {

struct Segment {
    enum Kind { kData, kFin, kReset } kind = kData;
    int error = 0;  // of a reset
    uint64_t when_ns = 0, sent_ns = 0;
    std::string bytes;
};

// One direction's receiving end of a connection, and its owner's state.
struct ConnEnd {
    Host* host = nullptr;
    uint64_t boot = 0;          // of the host, when it was made
    kapi_sock* sock = nullptr;  // null: closed, or its host crashed
    std::deque<Segment> wire;   // on the way to this end
    uint64_t wire_bytes = 0;
    std::deque<std::string> inbox;
    size_t inbox_offset = 0;  // read already of the first
    uint64_t inbox_bytes = 0;
    uint64_t last_when_ns = 0;
    uint64_t timer_ns = kNever;    // of the armed delivery
    uint64_t timeout_ns = kNever;  // when the sender gives up, if nothing gets through
    bool fin = false;              // the peer has ended its stream
    int error = 0;
    TaskQueue readers{}, writers{};  // writers: of this end's owner, waiting for room at the peer
};

struct Connection {
    uint64_t id;
    ConnEnd end[2];  // 0 connected, 1 accepted
};

class Network {
public:
    explicit Network(World& world);
    ~Network();
    struct Attempt;  // to connect

    // ---- for scenarios
    enum class Way { kBoth, kThere };  // kThere: only what a sends to b vanishes
    void cut(Host& a, Host& b, Way way = Way::kBoth);
    void heal(Host& a, Host& b);
    void heal_all();
    void partition(const std::vector<Host*>& side_a, const std::vector<Host*>& side_b);
    void reset_connections(Host& a, Host& b);
    // Of the next segments of data from a to b each is lost with this chance, and its connection
    // with it: what b asked for is done, and b does not know. Ends after so many losses; 0: now.
    void lose(Host& a, Host& b, unsigned permille, unsigned losses);
    void set_delay(Host& a, Host& b, uint64_t min_ns, uint64_t max_ns);  // both ways
    void clear_delay(Host& a, Host& b);
    void set_default_delay(uint64_t min_ns, uint64_t max_ns) { default_delay_ = {min_ns, max_ns}; }
    void set_window_bytes(uint64_t bytes)
    {
        window_bytes_ = bytes;
    }  // in flight and unread, per direction
    void set_tcp_timeout_ns(uint64_t ns)
    {
        tcp_timeout_ns_ = ns;
    }  // a sender gives up when nothing gets through
    size_t live_sockets(const Host& host) const;
    // Told the first bytes of whatever is sent, for traces.
    std::function<void(Host& from, Host& to, const std::string& head)> on_message;
    // Asked for each segment of data that is about to arrive: from the first one it picks nothing
    // gets that way any more (a cut).
    std::function<bool(Host& from, Host& to, const std::string& bytes)> cut_at;

    // ---- for kapi/sim
    int listen(Host& host, uint16_t port, kapi_sock** out);
    int create(Host& host, kapi_sock** out);
    int connect(kapi_sock* s, uint32_t addr, uint16_t port, uint64_t deadline_ns);
    int accept(kapi_sock* listener, kapi_sock** out, uint32_t* peer_addr);
    int send(kapi_sock* s, const kapi_iov* iov, unsigned count);
    int recv(kapi_sock* s, char* buf, size_t bytes);
    void shutdown(kapi_sock* s);
    void close(kapi_sock* s);
    void host_crashed(Host& host, CrashNet mode);
    void host_booted(Host& host);

private:
    using Pair = std::pair<unsigned, unsigned>;
    struct Loss {
        unsigned permille, left;
    };
    bool is_cut(const Host& from, const Host& to) const;
    bool is_lost(const Host& from, const Host& to, const Segment& segment);
    uint64_t delay(const Host& a, const Host& b);
    kapi_sock* new_sock(Host& host);
    void syn_arrives(std::shared_ptr<Attempt> attempt);
    void answer(std::shared_ptr<Attempt> attempt, int error, Connection* made);
    int await_answer(kapi_sock* s, Host* to, uint16_t port, uint64_t deadline_ns);
    void put_on_wire(Connection& c, unsigned to, Segment segment);
    void arm(Connection& c, unsigned to);
    void deliver(uint64_t id, unsigned to);
    void deliver_one(Connection& c, unsigned to, Segment segment);
    void give_up(uint64_t id, unsigned to);
    void reset_end(Connection& c, unsigned which, int error);
    void drop_if_dead(uint64_t id);
    int send_piece(kapi_sock* s, const char* from, size_t bytes);
    void say_end(kapi_sock* s);
    void detach(kapi_sock* s);

    World& world_;
    uint64_t next_id_ = 1;
    std::map<uint64_t, std::unique_ptr<Connection>> connections_;
    std::map<uint64_t, kapi_sock*> socks_;  // by id, which grows
    std::map<std::pair<unsigned, uint16_t>, kapi_sock*> listeners_;
    std::map<Pair, bool> cuts_;
    std::map<Pair, Loss> losses_;
    std::map<Pair, std::pair<uint64_t, uint64_t>> delays_;
    std::pair<uint64_t, uint64_t> default_delay_{50000, 500000};
    uint64_t window_bytes_ = 256 << 10;
    uint64_t tcp_timeout_ns_ = 60ull * 1000000000;
};

// For stories: a socket that is connected, or none.
int dial(kapi_net* net, uint32_t addr, uint16_t port, uint64_t deadline_ns, kapi_sock** out);

}  // namespace lull::sim
