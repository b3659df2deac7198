// SPDX-License-Identifier: GPL-2.0-only
// Connections between two simulated hosts: order, both ways, bulk, bad peers, silence, cuts,
// shutdown.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "kapi/sim/network.h"
#include "kapi/sim/world.h"
#include "lnet/lnet_header.h"
#include "lnet/transport.h"

using namespace lull;

namespace {

std::string text_of(const Bytes& b)
{
    return std::string(reinterpret_cast<const char*>(b.data()), b.size());
}
std::span<const uint8_t> bytes_of(const std::string& s)
{
    return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}

struct Recorder : ConnectionSink, Acceptor {
    std::vector<std::string> bodies, bulks;
    int closed = 0;
    Status why;
    bool refuse = false, echo = false;
    Ref<lull::Connection> accepted;
    std::function<void()> in_message;

    void on_message(lull::Connection& from, Message&& m) override
    {
        bodies.push_back(text_of(m.body));
        bulks.push_back(text_of(m.bulk));
        if (in_message) in_message();
        if (echo) (void)from.send(m.body, m.bulk);
    }
    void on_closed(lull::Connection&, Status s) override
    {
        closed++;
        why = s;
    }
    ConnectionSink* on_accept(lull::Connection& c) override
    {
        if (refuse) return nullptr;
        accepted = Ref<lull::Connection>(&c);
        return this;
    }
};

TransportOptions quick()
{
    TransportOptions o;
    o.timeout_ms = 2000;
    o.keepalive_ms = 500;
    return o;
}

// Two hosts with a transport each; the server listens. Stories run in a task of the client's host.
struct Pair {
    sim::World world;
    sim::Host &server, &client;
    Recorder at_server, at_client;
    Owned<Transport> server_transport, client_transport;
    explicit Pair(uint64_t seed)
        : world(seed), server(world.host("server")), client(world.host("client"))
    {
        on(server, [&] {
            auto t = Transport::create(server.net(), quick());
            ASSERT_TRUE(t.ok());
            server_transport = t.release_value();
            ASSERT_TRUE(server_transport->listen(&at_server).ok());
        });
        on(client, [&] {
            auto t = Transport::create(client.net(), quick());
            ASSERT_TRUE(t.ok());
            client_transport = t.release_value();
        });
    }
    ~Pair()
    {
        on(client, [&] { client_transport.reset(); });
        client.shutdown_clean();
        if (!server.up()) return;
        on(server, [&] {
            at_server.accepted.reset();
            server_transport.reset();
        });
        server.shutdown_clean();
    }
    void on(sim::Host& host, std::function<void()> fn)
    {
        auto task = host.spawn("story", std::move(fn));
        ASSERT_TRUE(world.run_to_end(task, world.now_ns() + 600 * kSec)) << world.report();
    }
    Nid nid() const { return Nid{server.address()}; }
    static Result<Ref<lull::Connection>> dial(Transport& from, Nid nid, ConnectionSink* sink,
                                              uint64_t within_ms = 1000)
    {
        auto connection = TRY(from.dial(nid, sink, deadline_after_ms(within_ms)));
        TRY(connection->wait_open(WaitMode::kUninterruptible));
        return connection;
    }
    Result<Ref<lull::Connection>> connect() { return dial(*client_transport, nid(), &at_client); }
    static bool soon(const std::function<bool()>& p, uint64_t ms = 20000)
    {
        for (uint64_t end = now_ns() + ms * kMsec; !p() && now_ns() < end;) kapi_sleep_ns(kMsec);
        return p();
    }
};

}  // namespace

TEST(Nid, TextBothWays)
{
    EXPECT_EQ(parse_nid("10.0.0.1@tcp").value().addr, 0x0a000001u);
    EXPECT_EQ(parse_nid("192.168.255.3").value().addr, 0xc0a8ff03u);
    EXPECT_STREQ(to_text(Nid{0xc0a8ff03}).c_str(), "192.168.255.3@tcp");
    for (const char* bad : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.x", "a", "1.2.3.4@o2ib",
                            "1..2.3", "0.0.0.0", "1.2.3.4 "})
        EXPECT_TRUE(parse_nid(bad).is(kEINVAL)) << bad;
    Vec<Nid> nids;
    EXPECT_TRUE(parse_nids("10.0.0.1@tcp:10.0.0.2@tcp,10.0.0.3", &nids).ok());
    EXPECT_EQ(nids.size(), 3u);
    EXPECT_TRUE(parse_nids("10.0.0.1:", &nids).is(kEINVAL));
    EXPECT_TRUE(parse_nids("1.1.1.1:1.1.1.2:1.1.1.3:1.1.1.4:1.1.1.5:1.1.1.6", &nids).is(kENOSPC));
}

TEST(Lnet, MessagesInOrderBothWays)
{
    for (uint64_t seed = 1; seed <= 10; seed++) {
        Pair p(seed);
        p.at_server.echo = true;
        p.on(p.client, [&] {
            auto c = p.connect();
            ASSERT_TRUE(c.ok()) << c.error();
            std::string bulk(100000, 'b');
            for (int i = 0; i < 50; i++)
                ASSERT_TRUE(c.value()
                                ->send(bytes_of("message " + std::to_string(i)),
                                       i % 10 ? bytes_of("") : bytes_of(bulk))
                                .ok());
            EXPECT_TRUE(Pair::soon([&] { return p.at_client.bodies.size() == 50; }));
            for (int i = 0; i < 50; i++)
                EXPECT_EQ(p.at_client.bodies[i], "message " + std::to_string(i));
            EXPECT_EQ(p.at_client.bulks[10], bulk);
            EXPECT_EQ(p.at_client.bulks[11], "");
            c.value()->close();
            EXPECT_TRUE(
                Pair::soon([&] { return p.at_client.closed == 1 && p.at_server.closed == 1; }));
            EXPECT_TRUE(c.value()->send(bytes_of("x"), {}).is(kENOTCONN));
        });
    }
}

TEST(Lnet, ManySendersOneConnection)
{
    Pair p(3);
    p.on(p.client, [&] {
        auto c = p.connect();
        ASSERT_TRUE(c.ok());
        for (int i = 0; i < 20; i++)
            p.client.spawn("sender", [&] {
                EXPECT_TRUE(c.value()->send(bytes_of(std::string(200000, 'x')), {}).ok());
            });
        EXPECT_TRUE(Pair::soon([&] { return p.at_server.bodies.size() == 20; }));
        for (auto& b : p.at_server.bodies) EXPECT_EQ(b, std::string(200000, 'x'));
    });
}

TEST(Lnet, OwnAddress)
{
    Pair p(4);
    p.on(p.server, [&] {
        Recorder r;
        auto c = Pair::dial(*p.server_transport, p.server_transport->own_nid(), &r);
        ASSERT_TRUE(c.ok()) << c.error();
        EXPECT_TRUE(c.value()->send(bytes_of("to myself"), {}).ok());
        EXPECT_TRUE(Pair::soon([&] { return p.at_server.bodies.size() == 1; }));
        c.value()->close();
        EXPECT_TRUE(Pair::soon([&] { return r.closed == 1; }));
    });
}

TEST(Lnet, Ping)
{
    Pair p(5);
    p.on(p.client, [&] {
        auto rtt = p.client_transport->ping(p.nid(), deadline_after_ms(1000));
        ASSERT_TRUE(rtt.ok()) << rtt.error();
        EXPECT_GT(rtt.value(), 0u);
        EXPECT_TRUE(p.client_transport->ping(Nid{p.client.address()}, deadline_after_ms(1000))
                        .is(kECONNREFUSED));
        EXPECT_FALSE(p.client_transport->ping(Nid{0x0a0000c8}, deadline_after_ms(500)).ok());
    });
}

TEST(Lnet, SignalEndsAPing)
{
    Pair p(5);
    p.world.network().cut(p.client, p.server);
    Status status;
    auto task = p.client.spawn("lctl", [&] {
        status = p.client_transport->ping(p.nid(), deadline_after_ms(5000)).status();
    });
    p.world.run_for(100 * kMsec);
    p.world.signal(task, false);
    EXPECT_TRUE(p.world.run_to_end(task, p.world.now_ns() + 10 * kMsec));
    EXPECT_TRUE(status.is(kERESTARTSYS));
}

TEST(Lnet, RefusedByAcceptor)
{
    Pair p(6);
    p.at_server.refuse = true;
    p.on(p.client, [&] {
        EXPECT_FALSE(p.connect().ok());
        EXPECT_EQ(p.at_client.closed, 0);
    });
}

TEST(Lnet, SilentPeerIsNoticed)
{
    for (uint64_t seed = 1; seed <= 5; seed++) {
        Pair p(seed);
        p.on(p.client, [&] {
            auto c = p.connect();
            ASSERT_TRUE(c.ok());
            kapi_sleep_ns(10 * kSec);  // idle, but both are there
            EXPECT_EQ(p.at_client.closed, 0);
            EXPECT_EQ(p.at_server.closed, 0);
            uint64_t cut_at = now_ns();
            p.world.network().cut(p.server, p.client);
            EXPECT_TRUE(
                Pair::soon([&] { return p.at_client.closed == 1 && p.at_server.closed == 1; }));
            EXPECT_TRUE(p.at_client.why.is(kETIMEDOUT));
            EXPECT_GE(now_ns() - cut_at, 1500 * kMsec);
            EXPECT_LE(now_ns() - cut_at, 4000 * kMsec);
            EXPECT_FALSE(p.connect().ok());
            p.world.network().heal_all();
            EXPECT_TRUE(p.connect().ok());
        });
    }
}

// Everybody who sends to a peer that does not read comes back in time.
TEST(Lnet, SendersDoNotHangOnASilentPeer)
{
    Pair p(7);
    p.on(p.client, [&] {
        auto c = p.connect();
        ASSERT_TRUE(c.ok());
        p.world.network().cut(p.client, p.server);
        uint64_t began = now_ns();
        int back = 0;
        for (int i = 0; i < 5; i++)
            p.client.spawn("sender", [&] {
                EXPECT_FALSE(
                    c.value()->send(bytes_of("x"), bytes_of(std::string(1 << 20, 'x'))).ok());
                back++;
            });
        EXPECT_TRUE(Pair::soon([&] { return back == 5; }));
        EXPECT_LE(now_ns() - began, 5 * kSec);
        p.world.network().heal_all();
    });
}

// A connection without a transport behind it that has greeted the server.
struct RawPeer {
    kapi_sock* sock = nullptr;
    explicit RawPeer(Pair& p)
    {
        EXPECT_EQ(sim::dial(p.client.net(), p.server.address(), kLnetPort, deadline_after_ms(1000),
                            &sock),
                  0);
        send(header(LnetType::kHello, 0, 0), {});
        LnetHeader hello;
        EXPECT_EQ(kapi_sock_recv(sock, &hello, sizeof hello), 0);
        EXPECT_TRUE(
            Pair::soon([&] { return p.at_server.accepted && p.at_server.accepted->is_open(); }));
    }
    ~RawPeer() { kapi_sock_close(sock); }
    static LnetHeader header(LnetType type, size_t body, size_t bulk)
    {
        LnetHeader h;
        h.magic = kLnetMagic;
        h.version = kLnetVersion;
        h.type = static_cast<uint16_t>(type);
        h.body_bytes = static_cast<uint32_t>(body);
        h.bulk_bytes = static_cast<uint32_t>(bulk);
        h.crc = kapi_crc32c(~0u, &h, sizeof h);
        return h;
    }
    void send(LnetHeader h, const std::string& more) const
    {
        kapi_iov iov[2] = {{&h, sizeof h}, {const_cast<char*>(more.data()), more.size()}};
        EXPECT_EQ(kapi_sock_send(sock, iov, more.empty() ? 1 : 2), 0);
    }
    void send_slowly(std::string bytes, size_t at_once, uint64_t pause_ns) const
    {
        for (size_t at = 0; at < bytes.size(); at += at_once) {
            kapi_sleep_ns(pause_ns);
            kapi_iov iov{bytes.data() + at, std::min(at_once, bytes.size() - at)};
            if (kapi_sock_send(sock, &iov, 1)) return;
        }
    }
    // The next message with data, slowly; its bulk's size. -1: the connection has ended.
    long receive_slowly(size_t at_once, uint64_t pause_ns) const
    {
        LnetHeader h;
        do
            if (kapi_sock_recv(sock, &h, sizeof h)) return -1;
        while (h.type != static_cast<uint16_t>(LnetType::kData));
        std::string into(at_once, 0);
        for (size_t left = h.body_bytes + h.bulk_bytes; left;) {
            kapi_sleep_ns(pause_ns);
            size_t part = std::min(at_once, left);
            if (kapi_sock_recv(sock, into.data(), part)) return -1;
            left -= part;
        }
        return h.bulk_bytes;
    }
};

constexpr size_t kMegabyte = 1 << 20, kSlowPart = 64 << 10;

// A slow wire is no dead peer: a send that makes progress is not cut off, however long it takes.
TEST(Lnet, SlowBulkIsSent)
{
    Pair p(9);
    p.world.network().set_window_bytes(kSlowPart);
    p.on(p.client, [&] {
        RawPeer peer(p);
        Status sent(-kEAGAIN);
        int back = 0;
        for (int i = 0; i < 3; i++)  // two of them wait for the first for longer than timeout_ms
            p.server.spawn("sender", [&] {
                sent = p.at_server.accepted->send(bytes_of("b"),
                                                  bytes_of(std::string(kMegabyte, 'x')));
                EXPECT_TRUE(sent.ok()) << sent.error();
                back++;
            });
        uint64_t began = now_ns();
        for (int i = 0; i < 3; i++)
            EXPECT_EQ(peer.receive_slowly(kSlowPart, kSec), static_cast<long>(kMegabyte));
        EXPECT_GT(now_ns() - began, 30 * kSec);
        EXPECT_TRUE(Pair::soon([&] { return back == 3; }));
        EXPECT_EQ(p.at_server.closed, 0);
    });
}

TEST(Lnet, SlowBulkIsReceived)
{
    Pair p(10);
    p.on(p.client, [&] {
        RawPeer peer(p);
        peer.send(RawPeer::header(LnetType::kData, 0, kMegabyte), "");
        peer.send_slowly(std::string(kMegabyte, 'x'), kSlowPart, kSec);
        EXPECT_TRUE(Pair::soon([&] { return p.at_server.bulks.size() == 1; }));
        EXPECT_EQ(p.at_server.closed, 0);
    });
}

// Who takes a byte now and then makes no progress.
TEST(Lnet, TricklingPeerIsGivenUp)
{
    Pair p(11);
    p.world.network().set_window_bytes(kSlowPart);
    p.on(p.client, [&] {
        RawPeer peer(p);
        bool back = false;
        uint64_t began = now_ns();
        p.server.spawn("sender", [&] {
            EXPECT_FALSE(
                p.at_server.accepted->send(bytes_of("b"), bytes_of(std::string(kMegabyte, 'x')))
                    .ok());
            back = true;
        });
        char byte;
        while (!back && kapi_sock_recv(peer.sock, &byte, 1) == 0) kapi_sleep_ns(100 * kMsec);
        EXPECT_LE(now_ns() - began, 10 * kSec);
    });
}

// A ping waits for one bulk at most, and bulk is not kept waiting for ever by what overtakes it.
TEST(Lnet, SmallMessagesOvertakeBulk)
{
    Pair p(12);
    p.world.network().set_window_bytes(kSlowPart);
    p.on(p.client, [&] {
        RawPeer peer(p);
        int back = 0;
        auto send = [&](size_t bulk) {
            p.server.spawn("sender", [&, bulk] {
                EXPECT_TRUE(
                    p.at_server.accepted->send(bytes_of("m"), bytes_of(std::string(bulk, 'x')))
                        .ok());
                back++;
            });
        };
        for (int i = 0; i < 3; i++) send(kMegabyte);
        kapi_sleep_ns(kSec);  // the first is on its way, the others wait
        for (int i = 0; i < 20; i++) send(0);
        std::vector<long> order;
        for (int i = 0; i < 23; i++) order.push_back(peer.receive_slowly(kSlowPart, 10 * kMsec));
        EXPECT_GT(order[0], 0);
        for (int i = 1; i <= 16; i++) EXPECT_EQ(order[i], 0) << i;
        EXPECT_GT(order[17], 0);
        EXPECT_TRUE(Pair::soon([&] { return back == 23; }));
    });
}

TEST(Lnet, PeerCrash)
{
    Pair p(8);
    p.on(p.client, [&] {
        auto c = p.connect();
        ASSERT_TRUE(c.ok());
        (void)p.server_transport.release();
        (void)p.at_server.accepted.leak();
        p.server.crash();
        EXPECT_TRUE(Pair::soon([&] { return p.at_client.closed == 1; }));
    });
}

TEST(Lnet, GarbageClosesOnlyItsConnection)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        Pair p(seed);
        p.on(p.client, [&] {
            auto good = p.connect();
            ASSERT_TRUE(good.ok());
            kapi_sock* bad = nullptr;
            ASSERT_EQ(sim::dial(p.client.net(), p.server.address(), kLnetPort,
                                deadline_after_ms(1000), &bad),
                      0);
            LnetHeader h;
            h.magic = kLnetMagic;
            h.version = kLnetVersion;
            h.type = static_cast<uint16_t>(LnetType::kHello);
            h.crc = kapi_crc32c(~0u, &h, sizeof h);
            kapi_iov iov{&h, sizeof h};
            if (seed % 2) {
                ASSERT_EQ(kapi_sock_send(bad, &iov, 1), 0);
            }
            h.type = static_cast<uint16_t>(LnetType::kData);
            h.body_bytes = seed % 4 ? static_cast<uint32_t>(seed * 7) : 0xffffffffu;
            (void)kapi_sock_send(bad, &iov, 1);
            uint8_t junk[1000];
            for (uint8_t& b : junk) b = static_cast<uint8_t>(kapi_random_u64());
            kapi_iov more{junk, sizeof junk};
            (void)kapi_sock_send(bad, &more, 1);
            uint8_t byte;
            while (kapi_sock_recv(bad, &byte, 1) == 0) {}
            kapi_sock_close(bad);
            EXPECT_TRUE(good.value()->send(bytes_of("still here"), {}).ok());
            EXPECT_TRUE(Pair::soon([&] { return p.at_server.bodies.size() == 1; }));
        });
    }
}

// Whoever dials a dead node need not wait for it: a close ends the attempt at once.
TEST(Lnet, CloseEndsAnAttempt)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        Pair p(seed);
        p.world.network().cut(p.client, p.server);
        p.on(p.client, [&] {
            auto dialled =
                p.client_transport->dial(p.nid(), &p.at_client, deadline_after_ms(10000));
            ASSERT_TRUE(dialled.ok());
            uint64_t began = now_ns();
            p.client.spawn("closer", [&] {
                kapi_sleep_ns(p.world.user_rng().below(1500) * kMsec);
                dialled.value()->close();
            });
            EXPECT_TRUE(dialled.value()->wait_open(WaitMode::kUninterruptible).is(kESHUTDOWN));
            EXPECT_LT(now_ns() - began, 2 * kSec);
            EXPECT_EQ(p.at_client.closed, 0);
        });
        p.world.network().heal_all();
        p.on(p.client, [&] { EXPECT_TRUE(p.connect().ok()); });
    }
}

// A stranger who connects and says nothing is not kept for ever.
TEST(Lnet, GreetingHasADeadline)
{
    Pair p(9);
    p.on(p.client, [&] {
        kapi_sock* s = nullptr;
        ASSERT_EQ(sim::dial(p.client.net(), p.server.address(), kLnetPort, deadline_after_ms(1000),
                            &s),
                  0);
        uint64_t began = now_ns();
        uint8_t byte;
        EXPECT_NE(kapi_sock_recv(s, &byte, 1), 0);
        EXPECT_LE(now_ns() - began, 4 * kSec);
        kapi_sock_close(s);
    });
}

TEST(Lnet, ShutdownWithTrafficUnderWay)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Pair p(seed);
        p.at_server.echo = true;
        p.on(p.client, [&] {
            int back = 0;
            for (int i = 0; i < 3; i++)
                p.client.spawn("user", [&] {
                    auto c = p.connect();
                    while (
                        c.ok() &&
                        c.value()->send(bytes_of("hello"), bytes_of(std::string(5000, 'x'))).ok())
                        kapi_sleep_ns(kMsec / 10);
                    back++;
                });
            kapi_sleep_ns(seed * kMsec);
            p.client_transport->shutdown();
            EXPECT_TRUE(Pair::soon([&] { return back == 3; }));
            EXPECT_TRUE(p.connect().status().is(kESHUTDOWN));
        });
    }
}
