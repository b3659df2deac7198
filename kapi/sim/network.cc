// SPDX-License-Identifier: GPL-2.0-only
#include "kapi/sim/network.h"

#include <algorithm>

#include "kapi/errno.h"
#include "kapi/sim/task.h"

struct kapi_sock {
    uint64_t id;
    lull::sim::Host* host;
    bool listening = false;
    bool shut = false;
    int inside = 0;  // tasks within a call
    uint16_t port = 0;
    std::deque<std::pair<uint64_t, unsigned>> backlog{};  // connection and end
    lull::sim::TaskQueue acceptors{};
    std::shared_ptr<lull::sim::Network::Attempt> attempt{};  // to connect
    lull::sim::Connection* conn = nullptr;
    unsigned end = 0;

    lull::sim::ConnEnd& mine() { return conn->end[end]; }
    lull::sim::ConnEnd& peer() { return conn->end[1 - end]; }
};

namespace lull::sim {
namespace {

constexpr uint64_t kMs = 1000000;
constexpr uint64_t kSecond = 1000 * kMs;
constexpr uint64_t kFirstSynRetryNs = kSecond;
constexpr uint64_t kNoRouteNs = 3 * kSecond;
constexpr size_t kMaxBacklog = 128;
constexpr uint32_t kLoopback = (127u << 24) + 1;
constexpr uint64_t kMaxSegmentBytes = 64 << 10;

constexpr size_t kHeadBytes = 256;

constexpr int kEpipe = 32;

Segment control(Segment::Kind kind)
{
    Segment s;
    s.kind = kind;
    s.error = kind == Segment::kReset ? -kECONNRESET : 0;
    return s;
}

class Inside {
public:
    explicit Inside(kapi_sock* s) : s_(s) { s_->inside++; }
    ~Inside() { s_->inside--; }

private:
    kapi_sock* s_;
};

}  // namespace

struct Network::Attempt {
    Host* from;
    uint64_t boot;
    Host* to;
    uint16_t port;
    bool waiting = true;  // the connecting task still wants an answer
    bool answered = false;
    int error = 0;
    uint64_t connection = 0;
    TaskQueue waiter{};
};

Network::Network(World& world) : world_(world) {}

Network::~Network()
{
    for (auto& [id, s] : socks_) delete s;
}

// ---- scenarios

void Network::cut(Host& a, Host& b, Way way)
{
    if (world_.tracing())
        world_.trace("cut %s %s %s", a.name().c_str(), way == Way::kBoth ? "-" : ">",
                     b.name().c_str());
    cuts_[{a.index(), b.index()}] = true;
    if (way == Way::kBoth) cuts_[{b.index(), a.index()}] = true;
}

void Network::heal(Host& a, Host& b)
{
    if (world_.tracing()) world_.trace("heal %s %s", a.name().c_str(), b.name().c_str());
    cuts_.erase({a.index(), b.index()});
    cuts_.erase({b.index(), a.index()});
    // What waited is sent again at the next retransmission.
    for (auto& [id, c] : connections_)
        for (unsigned to = 0; to < 2; to++) {
            ConnEnd& e = c->end[to];
            bool ours = (e.host == &a && c->end[1 - to].host == &b) ||
                        (e.host == &b && c->end[1 - to].host == &a);
            if (!ours || e.wire.empty() || e.wire.front().when_ns > world_.now_ns()) continue;
            uint64_t resent_ns = world_.now_ns() + world_.net_rng().between(kMs, kSecond);
            for (Segment& s : e.wire) s.when_ns = std::max(s.when_ns, resent_ns);
            e.last_when_ns = std::max(e.last_when_ns, resent_ns);
            arm(*c, to);
        }
}

void Network::heal_all()
{
    auto cuts = cuts_;
    for (auto& [pair, on] : cuts)
        if (cuts_.count(pair)) heal(*world_.hosts()[pair.first], *world_.hosts()[pair.second]);
}

void Network::partition(const std::vector<Host*>& side_a, const std::vector<Host*>& side_b)
{
    for (Host* a : side_a)
        for (Host* b : side_b) cut(*a, *b);
}

void Network::reset_connections(Host& a, Host& b)
{
    std::vector<uint64_t> ids;
    for (auto& [id, c] : connections_) {
        Host *x = c->end[0].host, *y = c->end[1].host;
        if ((x == &a && y == &b) || (x == &b && y == &a)) ids.push_back(id);
    }
    for (uint64_t id : ids)
        for (unsigned which = 0; which < 2; which++) {
            auto it = connections_.find(id);
            if (it != connections_.end()) reset_end(*it->second, which, -kECONNRESET);
        }
}

void Network::lose(Host& a, Host& b, unsigned permille, unsigned losses)
{
    if (losses) losses_[{a.index(), b.index()}] = {permille, losses};
    else losses_.erase({a.index(), b.index()});
}

bool Network::is_lost(const Host& from, const Host& to, const Segment& segment)
{
    if (losses_.empty() || segment.kind != Segment::kData) return false;
    auto it = losses_.find({from.index(), to.index()});
    if (it == losses_.end() || !world_.net_rng().chance(it->second.permille)) return false;
    if (--it->second.left == 0) losses_.erase(it);
    return true;
}

void Network::clear_delay(Host& a, Host& b)
{
    delays_.erase({a.index(), b.index()});
    delays_.erase({b.index(), a.index()});
}

void Network::set_delay(Host& a, Host& b, uint64_t min_ns, uint64_t max_ns)
{
    delays_[{a.index(), b.index()}] = delays_[{b.index(), a.index()}] = {min_ns, max_ns};
}

size_t Network::live_sockets(const Host& host) const
{
    return static_cast<size_t>(std::count_if(socks_.begin(), socks_.end(),
                                             [&](auto& s) { return s.second->host == &host; }));
}

bool Network::is_cut(const Host& from, const Host& to) const
{
    return !cuts_.empty() && cuts_.count({from.index(), to.index()});
}

uint64_t Network::delay(const Host& a, const Host& b)
{
    auto range = default_delay_;
    if (!delays_.empty())
        if (auto it = delays_.find({a.index(), b.index()}); it != delays_.end()) range = it->second;
    return world_.net_rng().between(range.first, range.second);
}

// ---- connecting

kapi_sock* Network::new_sock(Host& host)
{
    auto* s = new kapi_sock{.id = next_id_++, .host = &host};
    socks_[s->id] = s;
    return s;
}

int Network::listen(Host& host, uint16_t port, kapi_sock** out)
{
    world_.point();
    if (host.allocation_fails()) return -kENOMEM;
    auto& slot = listeners_[{host.index(), port}];
    if (slot) return -kEADDRINUSE;
    kapi_sock* s = new_sock(host);
    s->listening = true;
    s->port = port;
    slot = s;
    *out = s;
    if (world_.tracing()) world_.trace("listens on port %u", port);
    return 0;
}

int Network::create(Host& host, kapi_sock** out)
{
    if (host.allocation_fails()) return -kENOMEM;
    *out = new_sock(host);
    return 0;
}

int Network::connect(kapi_sock* s, uint32_t addr, uint16_t port, uint64_t deadline_ns)
{
    Inside inside(s);
    world_.point();
    Host* to = addr == kLoopback ? s->host : world_.host_at(addr);
    uint64_t no_route_ns = world_.now_ns() + kNoRouteNs;
    int error = await_answer(s, to, port, to ? deadline_ns : std::min(deadline_ns, no_route_ns));
    s->attempt.reset();
    if (!to && error == -kETIMEDOUT && world_.now_ns() >= no_route_ns) return -kEHOSTUNREACH;
    return error;
}

// to: null: nobody answers.
int Network::await_answer(kapi_sock* s, Host* to, uint16_t port, uint64_t deadline_ns)
{
    Host& host = *s->host;
    auto attempt = s->attempt = std::make_shared<Attempt>(
        Attempt{.from = &host, .boot = host.boots(), .to = to, .port = port});
    for (uint64_t retry_ns = kFirstSynRetryNs; !attempt->answered; retry_ns *= 2) {
        if (s->shut || world_.now_ns() >= deadline_ns) {
            attempt->waiting = false;
            return s->shut ? -kESHUTDOWN : -kETIMEDOUT;
        }
        if (to) world_.after(delay(host, *to), [this, attempt] { syn_arrives(attempt); });
        uint64_t until_ns = std::min(deadline_ns, world_.now_ns() + retry_ns);
        world_.block(attempt->waiter, {.what = "connection to",
                                       .name = to ? to->name().c_str() : "nowhere",
                                       .deadline_ns = until_ns});
    }
    if (attempt->error) return attempt->error;
    auto it = connections_.find(attempt->connection);
    if (it == connections_.end()) return -kECONNRESET;
    s->conn = it->second.get();
    s->end = 0;
    s->mine().sock = s;
    if (world_.tracing())
        world_.trace("connection %llu to %s", static_cast<unsigned long long>(s->conn->id),
                     to->name().c_str());
    if (!s->shut) return 0;
    say_end(s);
    return -kESHUTDOWN;
}

// In the scheduler. Lost when the way is cut or the host down: the caller sends it again.
void Network::syn_arrives(std::shared_ptr<Attempt> attempt)
{
    Attempt& a = *attempt;
    if (!a.waiting || a.answered || a.connection || !a.from->up() || a.from->boots() != a.boot)
        return;
    if (!a.to->up() || is_cut(*a.from, *a.to) || is_cut(*a.to, *a.from)) return;
    auto it = listeners_.find({a.to->index(), a.port});
    if (it == listeners_.end() || !it->second || a.to->refuses_connections()) {
        return answer(attempt, -kECONNREFUSED, nullptr);
    }
    kapi_sock* listener = it->second;
    if (listener->backlog.size() >= kMaxBacklog) return;
    auto made = std::make_unique<Connection>();
    made->id = next_id_++;
    made->end[0].host = a.from;
    made->end[0].boot = a.from->boots();
    made->end[1].host = a.to;
    made->end[1].boot = a.to->boots();
    Connection* c = made.get();
    connections_[c->id] = std::move(made);
    a.connection = c->id;
    listener->backlog.emplace_back(c->id, 1);
    world_.wake_random(listener->acceptors);
    answer(attempt, 0, c);
}

void Network::answer(std::shared_ptr<Attempt> attempt, int error, Connection* made)
{
    uint64_t id = made ? made->id : 0;
    world_.after(delay(*attempt->to, *attempt->from), [this, attempt, error, id] {
        Attempt& a = *attempt;
        bool there = a.from->up() && a.from->boots() == a.boot;
        if (there && a.waiting && !a.answered) {
            a.answered = true;
            a.error = error;
            world_.wake_all(a.waiter);
            return;
        }
        // Nobody wants it any more: the accepting side finds out.
        auto it = connections_.find(id);
        if (it != connections_.end() && !it->second->end[0].sock) {
            it->second->end[0].error = -kECONNRESET;
            reset_end(*it->second, 1, -kECONNRESET);
            drop_if_dead(id);
        }
    });
}

int Network::accept(kapi_sock* listener, kapi_sock** out, uint32_t* peer_addr)
{
    Inside inside(listener);
    world_.point();
    while (true) {
        if (listener->shut) return -kESHUTDOWN;
        if (listener->backlog.empty()) {
            world_.block(listener->acceptors, {.what = "a connection"});
            continue;
        }
        if (listener->host->allocation_fails())
            return -kENOMEM;  // the connection stays in the backlog
        auto [id, end] = listener->backlog.front();
        listener->backlog.pop_front();
        auto it = connections_.find(id);
        if (it == connections_.end()) continue;
        kapi_sock* s = new_sock(*listener->host);
        s->conn = it->second.get();
        s->end = end;
        s->mine().sock = s;
        *out = s;
        *peer_addr = s->peer().host->address();
        if (world_.tracing())
            world_.trace("accepts connection %llu", static_cast<unsigned long long>(id));
        return 0;
    }
}

// ---- bytes

int Network::send(kapi_sock* s, const kapi_iov* iov, unsigned count)
{
    Inside inside(s);
    world_.point();
    if (on_message) {
        std::string head;
        for (unsigned i = 0; i < count && head.size() < kHeadBytes; i++)
            head.append(static_cast<const char*>(iov[i].base),
                        std::min(iov[i].bytes, kHeadBytes - head.size()));
        on_message(*s->host, *s->peer().host, head);
    }
    for (unsigned i = 0; i < count; i++) {
        const char* from = static_cast<const char*>(iov[i].base);
        for (size_t done = 0; done < iov[i].bytes;) {
            int n = send_piece(s, from + done, iov[i].bytes - done);
            if (n < 0) return n;
            done += static_cast<size_t>(n);
        }
    }
    return 0;
}

int Network::send_piece(kapi_sock* s, const char* from, size_t bytes)
{
    while (true) {
        if (s->shut) return -kESHUTDOWN;
        if (s->mine().error) return s->mine().error == -kETIMEDOUT ? -kETIMEDOUT : -kECONNRESET;
        if (s->mine().fin) return -kEpipe;
        uint64_t outstanding = s->peer().wire_bytes + s->peer().inbox_bytes;
        if (outstanding < window_bytes_) {
            bytes = std::min<uint64_t>({bytes, window_bytes_ - outstanding, kMaxSegmentBytes});
            break;
        }
        world_.block(s->mine().writers, {.what = "room to send"});
    }
    Rng& rng = world_.net_rng();
    if (bytes > 1 && rng.chance(100)) bytes = rng.between(1, bytes - 1);
    Segment segment;
    segment.bytes.assign(from, bytes);
    put_on_wire(*s->conn, 1 - s->end, std::move(segment));
    return static_cast<int>(bytes);
}

void Network::put_on_wire(Connection& c, unsigned to, Segment segment)
{
    ConnEnd& e = c.end[to];
    segment.sent_ns = world_.now_ns();
    segment.when_ns =
        std::max(e.last_when_ns, world_.now_ns() + delay(*c.end[1 - to].host, *e.host));
    e.last_when_ns = segment.when_ns;
    e.wire_bytes += segment.bytes.size();
    e.wire.push_back(std::move(segment));
    arm(c, to);
}

void Network::arm(Connection& c, unsigned to)
{
    ConnEnd& e = c.end[to];
    if (e.wire.empty()) return;
    uint64_t when_ns = std::max(e.wire.front().when_ns, world_.now_ns());
    if (e.timer_ns <= when_ns) return;
    e.timer_ns = when_ns;
    world_.after(when_ns - world_.now_ns(), [this, id = c.id, to] { deliver(id, to); });
}

// In the scheduler: what is due arrives, unless the way is cut or the host is gone.
void Network::deliver(uint64_t id, unsigned to)
{
    auto it = connections_.find(id);
    if (it == connections_.end()) return;
    Connection& c = *it->second;
    ConnEnd& e = c.end[to];
    ConnEnd& sender = c.end[1 - to];
    e.timer_ns = kNever;
    while (!e.wire.empty() && e.wire.front().when_ns <= world_.now_ns()) {
        if (cut_at && e.wire.front().kind == Segment::kData &&
            cut_at(*sender.host, *e.host, e.wire.front().bytes))
            cut(*sender.host, *e.host, Way::kThere);
        if (!e.host->up() || is_cut(*sender.host, *e.host)) {
            if (e.timeout_ns == kNever) {
                e.timeout_ns = world_.now_ns() + tcp_timeout_ns_;
                world_.after(tcp_timeout_ns_, [this, id, to] { give_up(id, to); });
            }
            return;
        }
        e.timeout_ns = kNever;
        Segment segment = std::move(e.wire.front());
        e.wire.pop_front();
        e.wire_bytes -= segment.bytes.size();
        if (is_lost(*sender.host, *e.host, segment)) {
            if (world_.tracing())
                world_.trace("connection %llu: %zu bytes to %s are lost, and the connection",
                             static_cast<unsigned long long>(c.id), segment.bytes.size(),
                             e.host->name().c_str());
            reset_end(c, 1 - to, -kECONNRESET);
            auto still = connections_.find(id);
            if (still != connections_.end()) reset_end(*still->second, to, -kECONNRESET);
            return;
        }
        deliver_one(c, to, std::move(segment));
    }
    arm(c, to);
    drop_if_dead(id);
}

void Network::deliver_one(Connection& c, unsigned to, Segment segment)
{
    ConnEnd& e = c.end[to];
    bool rebooted = e.host->boots() != e.boot;
    bool gone = rebooted || e.error || (e.sock && e.sock->shut);
    if (gone) {
        // A live host answers data for a connection it does not have with a reset.
        if (segment.kind == Segment::kData && !c.end[1 - to].error)
            put_on_wire(c, 1 - to, control(Segment::kReset));
        world_.wake_all(c.end[1 - to].writers);
        return;
    }
    if (world_.tracing())
        world_.trace("connection %llu: %s %s gets %zu bytes", static_cast<unsigned long long>(c.id),
                     e.host->name().c_str(),
                     segment.kind == Segment::kData  ? ""
                     : segment.kind == Segment::kFin ? "end"
                                                     : "reset",
                     segment.bytes.size());
    if (segment.kind == Segment::kReset) return reset_end(c, to, segment.error);
    if (segment.kind == Segment::kFin) {
        e.fin = true;
        world_.wake_all(e.writers);
    } else {
        e.inbox_bytes += segment.bytes.size();
        e.inbox.push_back(std::move(segment.bytes));
    }
    world_.wake_all(e.readers);
}

// The sender toward `to` waited too long for a sign of life.
void Network::give_up(uint64_t id, unsigned to)
{
    auto it = connections_.find(id);
    if (it == connections_.end()) return;
    ConnEnd& e = it->second->end[to];
    if (e.timeout_ns == kNever || world_.now_ns() < e.timeout_ns) return;
    reset_end(*it->second, 1 - to, -kETIMEDOUT);
    e.wire.clear();
    e.wire_bytes = 0;
    drop_if_dead(id);
}

void Network::reset_end(Connection& c, unsigned which, int error)
{
    ConnEnd& e = c.end[which];
    if (!e.error) e.error = error;
    if (world_.net_rng().chance(500)) {
        e.inbox.clear();
        e.inbox_bytes = e.inbox_offset = 0;
    }
    world_.wake_all(e.readers);
    world_.wake_all(e.writers);
}

int Network::recv(kapi_sock* s, char* buf, size_t bytes)
{
    Inside inside(s);
    world_.point();
    while (bytes) {
        ConnEnd& e = s->mine();
        if (s->shut) return -kESHUTDOWN;
        if (e.inbox.empty()) {
            if (e.error || e.fin) return e.error == -kETIMEDOUT ? -kETIMEDOUT : -kECONNRESET;
            world_.block(e.readers, {.what = "bytes from", .name = s->peer().host->name().c_str()});
            continue;
        }
        std::string& first = e.inbox.front();
        size_t n = std::min(bytes, first.size() - e.inbox_offset);
        first.copy(buf, n, e.inbox_offset);
        buf += n;
        bytes -= n;
        e.inbox_offset += n;
        e.inbox_bytes -= n;
        if (e.inbox_offset == first.size()) {
            e.inbox.pop_front();
            e.inbox_offset = 0;
        }
        world_.wake_all(s->peer().writers);
    }
    return 0;
}

// ---- the end of it

void Network::shutdown(kapi_sock* s)
{
    if (s->shut) return;
    s->shut = true;
    if (world_.tracing()) world_.trace("shuts socket %llu", static_cast<unsigned long long>(s->id));
    if (s->listening) {
        listeners_.erase({s->host->index(), s->port});
        for (auto [id, end] : std::exchange(s->backlog, {})) {
            auto it = connections_.find(id);
            if (it == connections_.end()) continue;
            it->second->end[end].error = -kECONNRESET;
            put_on_wire(*it->second, 1 - end, control(Segment::kReset));
        }
        world_.wake_all(s->acceptors);
    } else if (s->conn) {
        say_end(s);
        world_.wake_all(s->mine().readers);
        world_.wake_all(s->mine().writers);
        world_.wake_all(s->peer().writers);
    } else if (s->attempt) {
        world_.wake_all(s->attempt->waiter);
    }
    if (world_.current_or_null()) world_.point();
}

void Network::say_end(kapi_sock* s)
{
    ConnEnd& e = s->mine();
    if (e.error || !s->peer().host->up()) return;
    // With unread data the kernel resets instead of ending in order.
    bool rude = e.inbox_bytes != 0;
    put_on_wire(*s->conn, 1 - s->end, control(rude ? Segment::kReset : Segment::kFin));
}

void Network::detach(kapi_sock* s)
{
    socks_.erase(s->id);
    if (s->conn) {
        uint64_t id = s->conn->id;
        ConnEnd& e = s->mine();
        e.sock = nullptr;
        if (!e.error) e.error = -kECONNRESET;
        e.inbox.clear();
        e.inbox_bytes = e.inbox_offset = 0;
        drop_if_dead(id);
    }
    delete s;
}

void Network::close(kapi_sock* s)
{
    shutdown(s);
    if (s->inside)
        world_.fail("a socket is closed while " + std::to_string(s->inside) + " tasks are inside");
    detach(s);
}

void Network::drop_if_dead(uint64_t id)
{
    auto it = connections_.find(id);
    if (it == connections_.end()) return;
    for (ConnEnd& e : it->second->end) {
        // Not accepted, or its connect() has not returned yet: still wanted.
        bool wanted = e.sock || (!e.error && e.host->up() && e.host->boots() == e.boot);
        if (wanted) return;
    }
    connections_.erase(it);
}

void Network::host_crashed(Host& host, CrashNet mode)
{
    Rng& rng = world_.net_rng();
    std::vector<uint64_t> ids;
    for (auto& [id, c] : connections_)
        if (c->end[0].host == &host || c->end[1].host == &host) ids.push_back(id);
    for (uint64_t id : ids) {
        Connection& c = *connections_.at(id);
        for (unsigned which = 0; which < 2; which++) {
            if (c.end[which].host != &host || c.end[which].boot != host.boots()) continue;
            ConnEnd& peer = c.end[1 - which];
            // Of what is on its way some prefix arrives.
            size_t keep = rng.below(peer.wire.size() + 1);
            while (peer.wire.size() > keep) {
                peer.wire_bytes -= peer.wire.back().bytes.size();
                peer.wire.pop_back();
            }
            bool reset = mode == CrashNet::kReset || (mode == CrashNet::kBySeed && rng.chance(500));
            if (reset && peer.host != &host) put_on_wire(c, 1 - which, control(Segment::kReset));
            c.end[which].error = -kECONNRESET;
        }
    }
    for (auto it = listeners_.begin(); it != listeners_.end();)
        it = it->first.first == host.index() ? listeners_.erase(it) : std::next(it);
    std::vector<kapi_sock*> ours;
    for (auto& [id, s] : socks_)
        if (s->host == &host) ours.push_back(s);
    for (kapi_sock* s : ours) detach(s);
    for (uint64_t id : ids) drop_if_dead(id);
}

// What peers keep sending to the old incarnation is answered with a reset.
void Network::host_booted(Host& host)
{
    for (auto& [id, c] : connections_)
        for (unsigned to = 0; to < 2; to++) {
            ConnEnd& e = c->end[to];
            if (e.host != &host || e.wire.empty()) continue;
            uint64_t resent_ns = world_.now_ns() + world_.net_rng().between(200 * kMs, 3 * kSecond);
            for (Segment& s : e.wire) s.when_ns = std::max(s.when_ns, resent_ns);
            e.last_when_ns = std::max(e.last_when_ns, resent_ns);
            arm(*c, to);
        }
}

int dial(kapi_net* net, uint32_t addr, uint16_t port, uint64_t deadline_ns, kapi_sock** out)
{
    int error = kapi_sock_create(net, out);
    if (error) return error;
    error = kapi_sock_connect(*out, addr, port, deadline_ns);
    if (error) kapi_sock_close(std::exchange(*out, nullptr));
    return error;
}

}  // namespace lull::sim

using namespace lull::sim;

extern "C" {

int kapi_sock_listen(kapi_net* net, uint16_t port, kapi_sock** out)
{
    return world().network().listen(*net->host, port, out);
}

int kapi_sock_create(kapi_net* net, kapi_sock** out)
{
    return world().network().create(*net->host, out);
}

int kapi_sock_connect(kapi_sock* s, uint32_t addr, uint16_t port, uint64_t deadline_ns)
{
    return world().network().connect(s, addr, port, deadline_ns);
}

int kapi_sock_accept(kapi_sock* listener, kapi_sock** out, uint32_t* peer_addr)
{
    return world().network().accept(listener, out, peer_addr);
}

int kapi_sock_send(kapi_sock* s, const kapi_iov* iov, unsigned count)
{
    return world().network().send(s, iov, count);
}
int kapi_sock_recv(kapi_sock* s, void* buf, size_t bytes)
{
    return world().network().recv(s, static_cast<char*>(buf), bytes);
}
uint32_t kapi_sock_local_addr(kapi_sock* s) { return s->host->address(); }
void kapi_sock_shutdown(kapi_sock* s) { world().network().shutdown(s); }
void kapi_sock_close(kapi_sock* s) { world().network().close(s); }
uint32_t kapi_net_default_addr(kapi_net* net) { return net->host->address(); }

}  // extern "C"
