// SPDX-License-Identifier: GPL-2.0-only
/*
 * Three tasks beside one for each connection: accept; the watchdog, which only closes what is
 * silent and buries what is closed, so it never blocks; and the prober, whose pings may block until
 * the watchdog frees it.
 */
#include "kapi/log.h"
#include "kapi/walks.h"
#include "lnet/connection.h"

namespace lull {

namespace {

constexpr size_t kConnectionsMax = 1u << 18;
constexpr size_t kBatch = 16;       // connections looked after in one go without the lock
constexpr size_t kLooksMax = 1024;  // connections looked at in one go with it
constexpr uint64_t kAcceptBackoffMs = 100;

struct NumberOf {
    using type = uint64_t;
    type operator()(const TcpConnection& c) const { return c.number; }
};
using Connections =
    bi::set<TcpConnection, bi::member_hook<TcpConnection, SetHook, &TcpConnection::hook>,
            bi::key_of_value<NumberOf>>;

struct Table {
    Connections connections;                              // one reference each
    List<TcpConnection, &TcpConnection::done_hook> done;  // of them: to be buried
    uint64_t next_number = 1;
    kapi_sock* listener = nullptr;
    unsigned pings = 0;  // calls of ping()
    bool stopping = false;
    bool stopped = false;  // no connection is left: the watchdog may end
};

class TransportImpl final : public Transport, public ConnectionOwner {
public:
    TransportImpl(kapi_net* net, const TransportOptions& options) : net_(net), options_(options) {}
    ~TransportImpl() override { shutdown(); }

    Status start();
    Status listen(Acceptor* acceptor) override;
    Result<Ref<Connection>> dial(Nid nid, ConnectionSink* sink, uint64_t deadline_ns) override;
    Result<uint64_t> ping(Nid nid, uint64_t deadline_ns) override;
    Nid own_nid() const override { return Nid{kapi_net_default_addr(net_)}; }
    void shutdown() override;
    void on_receive_task_done(TcpConnection& connection) override;

private:
    using Batch = Ref<TcpConnection>[kBatch];
    Result<Ref<TcpConnection>> begin(Nid nid, ConnectionSink* sink, uint64_t deadline_ns);
    Result<uint64_t> dial_and_ping(Nid nid, uint64_t deadline_ns);
    Status add(Ref<TcpConnection> connection);
    void drop(TcpConnection& connection);
    void accept_task();
    void accept_one(kapi_sock* sock, uint32_t addr);
    void watchdog_task();
    void prober_task();
    void bury();
    void close_expired();
    void probe_quiet();
    template <class P, class A> void for_each(P wanted, A act);
    template <class P> size_t collect(uint64_t* after, Batch& batch, P wanted);
    uint64_t tick_ms() const;

    kapi_net* const net_;
    const TransportOptions options_;
    Acceptor* acceptor_ = nullptr;
    Guarded<Table> table_{LockRank::kLnet};
    CondVar changed_;
    Task accept_task_, watchdog_task_, prober_task_;
};

}  // namespace

Result<Owned<Transport>> Transport::create(kapi_net* net, const TransportOptions& options)
{
    Owned<TransportImpl> transport = make<TransportImpl>(net, options);
    if (!transport) return -kENOMEM;
    TRY(transport->start());
    return Owned<Transport>(std::move(transport));
}

Status TransportImpl::start()
{
    TRY(watchdog_task_.start<&TransportImpl::watchdog_task>(this, "lull_watchdog"));
    return prober_task_.start<&TransportImpl::prober_task>(this, "lull_prober");
}

uint64_t TransportImpl::tick_ms() const
{
    uint64_t ms = options_.keepalive_ms / 4;
    return ms < 50 ? 50 : ms > 1000 ? 1000 : ms;
}

// ---- table

Status TransportImpl::add(Ref<TcpConnection> connection)
{
    {
        auto table = table_.lock();
        if (table->stopping) return -kESHUTDOWN;
        if (table->connections.size() >= kConnectionsMax) return -kENFILE;
        connection->ref();
        connection->number = table->next_number++;
        table->connections.insert(table->connections.end(), *connection);
    }
    Status s = connection->start();
    if (!s.ok()) drop(*connection);
    return s;
}

void TransportImpl::drop(TcpConnection& connection)
{
    {
        auto table = table_.lock();
        table->connections.erase(table->connections.iterator_to(connection));
        if (connection.done_hook.is_linked())
            table->done.erase(table->done.iterator_to(connection));
        changed_.wake_all();
    }
    Ref<TcpConnection>::adopt(&connection).reset();
}

// Those after the given one that are wanted, as many as fit. *after: where to go on; UINT64_MAX:
// that was all.
template <class P> size_t TransportImpl::collect(uint64_t* after, Batch& batch, P wanted)
{
    size_t n = 0, looks = 0;
    auto table = table_.lock();
    for (auto i = table->connections.upper_bound(*after); i != table->connections.end(); ++i) {
        if (n == kBatch || looks++ == kLooksMax) return n;
        count_walk();
        *after = i->number;
        if (wanted(*i)) batch[n++] = Ref<TcpConnection>(&*i);
    }
    *after = UINT64_MAX;
    return n;
}

// Each once, in a walk that never holds the lock for long.
template <class P, class A> void TransportImpl::for_each(P wanted, A act)
{
    for (uint64_t after = 0; after != UINT64_MAX;) {
        Batch batch;
        size_t n = collect(&after, batch, wanted);
        for (size_t i = 0; i < n; i++) act(*batch[i]);
    }
}

void TransportImpl::on_receive_task_done(TcpConnection& connection)
{
    auto table = table_.lock();
    table->done.push_back(connection);
    changed_.wake_all();
}

// ---- outgoing

Result<Ref<Connection>> TransportImpl::dial(Nid nid, ConnectionSink* sink, uint64_t deadline_ns)
{
    return Ref<Connection>(TRY(begin(nid, sink, deadline_ns)));
}

Result<Ref<TcpConnection>> TransportImpl::begin(Nid nid, ConnectionSink* sink, uint64_t deadline_ns)
{
    kapi_sock* sock = nullptr;
    TRY(Status(kapi_sock_create(net_, &sock)));
    auto connection = make_ref<TcpConnection>(*this, sock, nid, sink, deadline_ns, options_);
    if (!connection) {
        kapi_sock_close(sock);
        return -kENOMEM;
    }
    TRY(add(connection));
    return connection;
}

Result<uint64_t> TransportImpl::ping(Nid nid, uint64_t deadline_ns)
{
    {
        auto table = table_.lock();
        if (table->stopping) return -kESHUTDOWN;
        table->pings++;
    }
    auto result = dial_and_ping(nid, deadline_ns);
    auto table = table_.lock();
    table->pings--;
    changed_.wake_all();
    return result;
}

Result<uint64_t> TransportImpl::dial_and_ping(Nid nid, uint64_t deadline_ns)
{
    Ref<TcpConnection> connection = TRY(begin(nid, nullptr, deadline_ns));
    TRY(connection->wait_open(WaitMode::kInterruptible));
    auto result = connection->round_trip(deadline_ns);
    connection->close();
    return result;
}

// ---- incoming

Status TransportImpl::listen(Acceptor* acceptor)
{
    kapi_sock* listener = nullptr;
    TRY(Status(kapi_sock_listen(net_, options_.port, &listener)));
    {
        auto table = table_.lock();
        if (!table->listener && !table->stopping) {
            table->listener = listener;
            acceptor_ = acceptor;
            listener = nullptr;
        }
    }
    if (listener) {
        kapi_sock_close(listener);
        return -kEALREADY;
    }
    return accept_task_.start<&TransportImpl::accept_task>(this, "lull_accept");
}

void TransportImpl::accept_task()
{
    kapi_sock* listener = table_.lock()->listener;
    for (;;) {
        kapi_sock* sock = nullptr;
        uint32_t addr = 0;
        int rc = kapi_sock_accept(listener, &sock, &addr);
        if (table_.lock()->stopping) {
            if (rc == 0) kapi_sock_close(sock);
            return;
        }
        if (rc == 0) {
            accept_one(sock, addr);
            continue;
        }
        if (bad_peer_log.allow()) log_warn("cannot accept a connection: error %d", rc);
        kapi_sleep_ns(kAcceptBackoffMs * kMsec);
    }
}

void TransportImpl::accept_one(kapi_sock* sock, uint32_t addr)
{
    auto connection = make_ref<TcpConnection>(*this, sock, Nid{addr}, *acceptor_, options_);
    if (!connection) {
        kapi_sock_close(sock);
        return;
    }
    Status s = add(connection);
    if (!s.ok() && bad_peer_log.allow())
        log_warn("connection from %s refused: error %d", to_text(Nid{addr}).c_str(), s.error());
}

// ---- care

void TransportImpl::close_expired()
{
    uint64_t now = now_ns();
    for_each([now](TcpConnection& c) { return c.is_expired(now); },
             [](TcpConnection& c) { c.close_because(-kETIMEDOUT); });
}

void TransportImpl::bury()
{
    for (;;) {
        Ref<TcpConnection> done;
        {
            auto table = table_.lock();
            if (table->done.empty()) return;
            done = Ref<TcpConnection>(&table->done.front());
            table->done.pop_front();
        }
        done->join();
        drop(*done);
    }
}

void TransportImpl::watchdog_task()
{
    for (uint64_t next_look = 0;;) {
        {
            auto table = table_.lock();
            (void)table.wait_until(
                changed_, [&] { return !table->done.empty() || table->stopped; }, next_look);
            if (table->stopped) return;
        }
        bury();
        if (now_ns() < next_look) continue;  // not at all of them because one is gone
        close_expired();
        next_look = deadline_after_ms(tick_ms());
    }
}

void TransportImpl::prober_task()
{
    for (;;) {
        {
            auto table = table_.lock();
            (void)table.wait_until(
                changed_, [&] { return table->stopped; }, deadline_after_ms(tick_ms()));
            if (table->stopped) return;
        }
        probe_quiet();
    }
}

void TransportImpl::probe_quiet()
{
    uint64_t now = now_ns();
    for_each([now](TcpConnection& c) { return c.wants_probe(now); },
             [](TcpConnection& c) { c.probe(); });
}

void TransportImpl::shutdown()
{
    kapi_sock* listener;
    {
        auto table = table_.lock();
        if (table->stopped) return;
        table->stopping = true;
        listener = table->listener;
    }
    if (listener) kapi_sock_shutdown(listener);
    accept_task_.join();
    if (listener) kapi_sock_close(listener);
    for_each([](TcpConnection& c) { return !c.is_closed(); }, [](TcpConnection& c) { c.close(); });
    for (;;) {  // no connection is added any more
        auto table = table_.lock();
        if (table->connections.empty() && table->pings == 0) {
            table->stopped = true;
            changed_.wake_all();
            break;
        }
        (void)table.wait(changed_, deadline_after_ms(tick_ms()));
    }
    watchdog_task_.join();
    prober_task_.join();
}

}  // namespace lull
