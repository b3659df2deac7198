// SPDX-License-Identifier: GPL-2.0-only
// The simulated world itself: same seed, same schedule; crashes; the network.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "kapi/containers.h"
#include "kapi/log.h"
#include "kapi/sim/network.h"
#include "kapi/sim/world.h"
#include "kapi/sync.h"

using namespace lull;

namespace {

constexpr uint16_t kPort = 988;
using Sock = kapi_sock*;

int send_all(Sock s, const std::string& text)
{
    kapi_iov iov{const_cast<char*>(text.data()), text.size()};
    return kapi_sock_send(s, &iov, 1);
}

// Some tasks on two hosts that talk and lock: enough to have many schedules.
std::string trace_of(uint64_t seed, uint64_t* hash)
{
    std::string trace;
    sim::WorldOptions options;
    options.trace = [&](const char* line) { (trace += line) += '\n'; };
    sim::World w(seed, options);
    sim::Host &server = w.host("server"), &client = w.host("client");
    server.spawn("echo", [&] {
        Sock listener, s;
        uint32_t peer;
        ASSERT_EQ(kapi_sock_listen(server.net(), kPort, &listener), 0);
        for (int i = 0; i < 3; i++) {
            ASSERT_EQ(kapi_sock_accept(listener, &s, &peer), 0);
            char buf[5];
            EXPECT_EQ(kapi_sock_recv(s, buf, 5), 0);
            EXPECT_EQ(send_all(s, std::string(buf, 5)), 0);
            log_info("echoed to %x at %p", peer, static_cast<void*>(buf));
            kapi_sock_close(s);
        }
        kapi_sock_close(listener);
    });
    Mutex m(LockRank::kLeaf);
    for (int i = 0; i < 3; i++)
        client.spawn("caller", [&] {
            Sock s;
            while (sim::dial(client.net(), server.address(), kPort, now_ns() + kSec, &s) != 0)
                kapi_sleep_ns(kMsec);
            EXPECT_EQ(send_all(s, "hello"), 0);
            char buf[5];
            EXPECT_EQ(kapi_sock_recv(s, buf, 5), 0);
            EXPECT_EQ(memcmp(buf, "hello", 5), 0);
            MutexLock l(m);
            kapi_yield();
            l.unlock();
            kapi_sock_close(s);
        });
    EXPECT_TRUE(w.run_until_idle()) << w.report();
    EXPECT_EQ(server.leftovers(), "");
    EXPECT_EQ(client.leftovers(), "");
    *hash = w.trace_hash();
    return trace;
}

}  // namespace

// B7.
TEST(World, SameSeedSameTrace)
{
    std::set<uint64_t> hashes;
    for (uint64_t seed = 0; seed < 30; seed++) {
        uint64_t h1, h2;
        std::string first = trace_of(seed, &h1);
        EXPECT_EQ(first, trace_of(seed, &h2));
        EXPECT_EQ(h1, h2);
        EXPECT_GT(first.size(), 1000u);
        hashes.insert(h1);
    }
    EXPECT_EQ(hashes.size(), 30u);
}

TEST(World, TimeMovesOnlyWhenNothingCanRun)
{
    sim::World w(1);
    std::vector<int> order;
    uint64_t start = w.now_ns();
    w.after(5 * kSec, [&] { order.push_back(5); });
    w.host("a").spawn("x", [&] {
        kapi_sleep_ns(3 * kSec);
        order.push_back(3);
    });
    EXPECT_FALSE(w.run_until([] { return false; }, start + 4 * kSec));
    EXPECT_EQ(w.now_ns(), start + 4 * kSec);
    EXPECT_TRUE(w.run_until_idle());
    EXPECT_EQ(order, (std::vector<int>{3, 5}));
    EXPECT_EQ(w.now_ns(), start + 5 * kSec);
}

TEST(World, APausedHostDoesNothing)
{
    sim::World w(1);
    sim::Host& h = w.host("a");
    int done = 0;
    auto* t = h.spawn("x", [&] {
        for (int i = 0; i < 3; i++) kapi_sleep_ns(kSec), done++;
    });
    w.run_for(kSec + kSec / 2);
    EXPECT_EQ(done, 1);
    h.pause();
    w.run_for(10 * kSec);
    EXPECT_EQ(done, 1);
    h.resume();
    EXPECT_TRUE(w.run_to_end(t, w.now_ns() + 2 * kSec));
    h.spawn("y", [] { kapi_sleep_ns(kSec); });
    h.pause();
    h.crash();
    h.boot();
    EXPECT_FALSE(h.paused());
    EXPECT_TRUE(w.run_until_idle());
    h.shutdown_clean();
}

TEST(World, CrashDropsTasksAndMemory)
{
    for (uint64_t seed = 0; seed < 30; seed++) {
        sim::World w(seed);
        sim::Host& h = w.host("mds");
        int after_crash = 0;
        for (int i = 0; i < 5; i++)
            h.spawn("worker", [&] {
                Vec<int> v;
                Mutex m(LockRank::kLeaf);
                MutexLock l(m);
                std::string hosted(1000, 'x');
                ASSERT_TRUE(v.resize(100).ok());
                kapi_sleep_ns(kSec);
                after_crash++;
            });
        w.run_for(kMsec);
        EXPECT_EQ(h.live_allocations(), 5u);
        h.crash();
        EXPECT_EQ(h.live_allocations(), 0u);
        w.run_for(5 * kSec);
        EXPECT_EQ(after_crash, 0);
        h.boot();
        bool again = false;
        h.spawn("worker", [&] { again = true; });
        EXPECT_TRUE(w.run_until_idle());
        EXPECT_TRUE(again);
        h.shutdown_clean();
    }
}

TEST(World, ATaskMayCrashItsOwnHost)
{
    sim::World w(2);
    sim::Host& h = w.host("mds");
    bool survived = false;
    sim::TaskHandle t = h.spawn("suicide", [&] {
        (void)kapi_alloc(10);
        h.crash();
        survived = true;
    });
    EXPECT_TRUE(w.run_to_end(t, kForever));
    EXPECT_FALSE(survived);
    EXPECT_FALSE(h.up());
}

TEST(World, AllocationsFailOnDemand)
{
    sim::run(1, [] {
        sim::Host& h = *sim::world().current_host();
        h.fail_allocation_nth(2);
        void* a = kapi_alloc(1);
        void* b = kapi_alloc(1);
        void* c = kapi_zalloc(1);
        EXPECT_TRUE(a && !b && c);
        kapi_free(a);
        kapi_free(c);
        h.fail_allocations(500);
        int failed = 0;
        for (int i = 0; i < 1000; i++) {
            void* p = kapi_alloc(8);
            failed += !p;
            kapi_free(p);
        }
        EXPECT_GT(failed, 400);
        EXPECT_LT(failed, 600);
    });
}

class Net : public ::testing::Test {
protected:
    explicit Net(uint64_t seed = 7) : w(seed) {}

    // A connection between the two hosts.
    void join()
    {
        server.spawn("accept", [&] {
            uint32_t peer;
            ASSERT_EQ(kapi_sock_listen(server.net(), kPort, &listener), 0);
            ASSERT_EQ(kapi_sock_accept(listener, &s, &peer), 0);
            EXPECT_EQ(peer, client.address());
        });
        client.spawn("connect", [&] {
            kapi_sleep_ns(kMsec);
            ASSERT_EQ(sim::dial(client.net(), server.address(), kPort, now_ns() + kSec, &c), 0);
        });
        ASSERT_TRUE(w.run_until([&] { return c && s; }, w.now_ns() + 2 * kSec)) << w.report();
        w.run_for(kMsec);
    }
    int connect_now(uint64_t timeout_ns)
    {
        int rc = 1;
        auto* t = client.spawn("connect", [&] {
            rc = sim::dial(client.net(), server.address(), kPort, now_ns() + timeout_ns, &c);
        });
        EXPECT_TRUE(w.run_to_end(t, w.now_ns() + timeout_ns + kSec));
        return rc;
    }
    int recv_on(sim::Host& h, Sock sock, size_t bytes, std::string* out,
                uint64_t within_ns = 1000 * kSec)
    {
        int rc = 1;
        out->assign(bytes, 0);
        auto* t = h.spawn("recv", [&] { rc = kapi_sock_recv(sock, out->data(), bytes); });
        EXPECT_TRUE(w.run_to_end(t, w.now_ns() + within_ns)) << w.report();
        return rc;
    }
    int send_on(sim::Host& h, Sock sock, const std::string& text)
    {
        int rc = 1;
        auto* t = h.spawn("send", [&] { rc = send_all(sock, text); });
        EXPECT_TRUE(w.run_to_end(t, w.now_ns() + 1000 * kSec)) << w.report();
        return rc;
    }
    void close_on(sim::Host& h, Sock sock)
    {
        auto* t = h.spawn("close", [&] { kapi_sock_close(sock); });
        EXPECT_TRUE(w.run_to_end(t, w.now_ns() + kSec));
    }

    sim::World w;
    sim::Host& server = w.host("server");
    sim::Host& client = w.host("client");
    Sock listener = nullptr, s = nullptr, c = nullptr;
    std::string got;
};

TEST_F(Net, BytesComeInOrderAndThenTheEnd)
{
    join();
    std::string text;
    for (int i = 0; i < 50000; i++) text += std::to_string(i);
    int sent = 1;
    client.spawn("send", [&] {
        sent = send_all(c, text);
        kapi_sock_shutdown(c);
        kapi_sock_close(c);
    });
    EXPECT_EQ(recv_on(server, s, text.size(), &got), 0);
    EXPECT_EQ(sent, 0);
    EXPECT_TRUE(got == text);
    EXPECT_EQ(recv_on(server, s, 1, &got), -kECONNRESET);
    EXPECT_NE(send_on(server, s, "x"), 0);
    close_on(server, s);
    close_on(server, listener);
    client.shutdown_clean();
    server.shutdown_clean();
}

TEST_F(Net, TheWindowMakesSendersWait)
{
    join();
    bool sent = false;
    client.spawn("send", [&] {
        EXPECT_EQ(send_all(c, std::string(1 << 20, 'x')), 0);
        sent = true;
    });
    w.run_for(10 * kSec);
    EXPECT_FALSE(sent);
    EXPECT_EQ(recv_on(server, s, 1 << 20, &got), 0);
    w.run_for(kSec);
    EXPECT_TRUE(sent);
}

TEST_F(Net, ShutdownWakesEverybodyInside)
{
    join();
    int received = 1, sent = 1, accepted = 1;
    client.spawn("recv", [&] {
        char b;
        received = kapi_sock_recv(c, &b, 1);
    });
    client.spawn("send", [&] { sent = send_all(c, std::string(1 << 20, 'x')); });
    server.spawn("accept", [&] {
        Sock other;
        uint32_t peer;
        accepted = kapi_sock_accept(listener, &other, &peer);
    });
    w.run_for(kSec);
    client.spawn("shutdown", [&] { kapi_sock_shutdown(c); });
    server.spawn("shutdown", [&] { kapi_sock_shutdown(listener); });
    w.run_for(kSec);
    EXPECT_EQ(received, -kESHUTDOWN);
    EXPECT_EQ(sent, -kESHUTDOWN);
    EXPECT_EQ(accepted, -kESHUTDOWN);
}

TEST_F(Net, ConnectErrors)
{
    EXPECT_EQ(connect_now(5 * kSec), -kECONNREFUSED);
    server.crash();
    uint64_t before = w.now_ns();
    EXPECT_EQ(connect_now(5 * kSec), -kETIMEDOUT);
    EXPECT_EQ(w.now_ns() - before, 5 * kSec);
    server.boot();
    w.network().cut(client, server);
    EXPECT_EQ(connect_now(5 * kSec), -kETIMEDOUT);
    w.network().heal_all();
    EXPECT_EQ(connect_now(5 * kSec), -kECONNREFUSED);
    join();
    EXPECT_EQ(server.name(), "server");
    server.spawn("again", [&] {
        Sock second;
        EXPECT_EQ(kapi_sock_listen(server.net(), kPort, &second), -kEADDRINUSE);
    });
    EXPECT_TRUE(w.run_until_idle());
}

TEST_F(Net, ACutHoldsBytesUntilItHeals)
{
    join();
    w.network().cut(client, server, sim::Network::Way::kThere);
    EXPECT_EQ(send_on(client, c, "ping"), 0);
    EXPECT_EQ(send_on(server, s, "pong"), 0);
    EXPECT_EQ(recv_on(client, c, 4, &got), 0);
    bool arrived = false;
    server.spawn("recv", [&] {
        char buf[4];
        EXPECT_EQ(kapi_sock_recv(s, buf, 4), 0);
        arrived = true;
    });
    w.run_for(20 * kSec);
    EXPECT_FALSE(arrived);
    w.network().heal(client, server);
    w.run_for(5 * kSec);
    EXPECT_TRUE(arrived);
}

TEST_F(Net, ALongCutEndsTheConnectionOfTheSender)
{
    join();
    w.network().cut(client, server);
    EXPECT_EQ(send_on(client, c, "ping"), 0);
    w.run_for(100 * kSec);
    EXPECT_EQ(send_on(client, c, "ping"), -kETIMEDOUT);
}

TEST_F(Net, PeersOfACrashedHostSeeAReset)
{
    join();
    server.crash(sim::CrashNet::kReset);
    EXPECT_EQ(recv_on(client, c, 1, &got, kSec), -kECONNRESET);
    close_on(client, c);
    client.shutdown_clean();
}

TEST_F(Net, ASilentCrashIsNoticedOnlyBySendingToTheNextIncarnation)
{
    join();
    int received = 1;
    client.spawn("recv", [&] {
        char b;
        received = kapi_sock_recv(c, &b, 1);
    });
    server.crash(sim::CrashNet::kSilent);
    w.run_for(30 * kSec);
    server.boot();
    w.run_for(30 * kSec);
    EXPECT_EQ(received, 1);
    EXPECT_EQ(send_on(client, c, "x"), 0);
    w.run_for(5 * kSec);
    EXPECT_EQ(received, -kECONNRESET);
}

TEST_F(Net, ResetAndRefuse)
{
    join();
    w.network().reset_connections(client, server);
    EXPECT_EQ(recv_on(client, c, 1, &got), -kECONNRESET);
    EXPECT_EQ(recv_on(server, s, 1, &got), -kECONNRESET);
    server.refuse_connections(true);
    EXPECT_EQ(connect_now(kSec), -kECONNREFUSED);
}

TEST_F(Net, ALostSegmentTakesItsConnectionAlong)
{
    join();
    w.network().lose(server, client, 1000, 1);
    EXPECT_EQ(send_on(client, c, "ask"), 0);
    EXPECT_EQ(recv_on(server, s, 3, &got), 0);
    EXPECT_EQ(send_on(server, s, "told"), 0);
    EXPECT_EQ(recv_on(client, c, 4, &got), -kECONNRESET);
    EXPECT_EQ(recv_on(server, s, 1, &got), -kECONNRESET);
    close_on(client, c);
    close_on(server, s);
    close_on(server, listener);
    client.shutdown_clean();
    server.shutdown_clean();
}

TEST(NetFuzz, CrashesAndCutsKeepPrefixes)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        sim::World w(seed);
        sim::Host &a = w.host("a"), &b = w.host("b");
        std::string sent, got;
        for (int i = 0; i < 2000; i++) sent += std::to_string(i * 7919);
        b.spawn("server", [&] {
            Sock l, s;
            uint32_t peer;
            if (kapi_sock_listen(b.net(), kPort, &l) || kapi_sock_accept(l, &s, &peer)) return;
            char byte[37];
            while (kapi_sock_recv(s, byte, sizeof byte) == 0) got.append(byte, sizeof byte);
            kapi_sock_close(s);
            kapi_sock_close(l);
        });
        a.spawn("client", [&] {
            Sock s;
            while (sim::dial(a.net(), b.address(), kPort, now_ns() + kSec, &s))
                kapi_sleep_ns(kMsec);
            for (size_t at = 0; at < sent.size(); at += 100)
                if (send_all(s, sent.substr(at, 100))) break;
            kapi_sock_close(s);
        });
        w.run_for(w.user_rng().below(3 * kMsec));
        switch (w.user_rng().below(4)) {
        case 0: a.crash(); break;
        case 1: w.network().cut(a, b); break;
        case 2: w.network().reset_connections(a, b); break;
        default: break;
        }
        w.run_for(kSec);
        w.network().heal_all();
        w.run_for(100 * kSec);
        EXPECT_TRUE(sent.compare(0, got.size(), got) == 0) << seed;
    }
}

TEST(Crc, KnownValue)
{
    EXPECT_EQ(kapi_crc32c(0, "123456789", 9), 0xe3069283u);
    std::string text(1001, 'q');
    EXPECT_EQ(kapi_crc32c(kapi_crc32c(1, text.data(), 500), text.data() + 500, 501),
              kapi_crc32c(1, text.data(), 1001));
}
