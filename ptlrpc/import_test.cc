// SPDX-License-Identifier: GPL-2.0-only
// An import against a fake target on another simulated host: calls, resends, replays, open replay,
// eviction, park, kills.
#include <cstdlib>

#include "ptlrpc/fake_target_test.h"
#include "ptlrpc/message.h"
#include "ptlrpc/restart_spread.h"

using namespace lull;
using namespace lull::test;

namespace {
constexpr uint64_t kSeeds = 8;
// LULL_TEST_SEEDS=n: n times as many; LULL_TEST_SEED=n: only this one.
uint64_t from_environment(const char* name, uint64_t otherwise)
{
    const char* text = getenv(name);
    return text ? strtoull(text, nullptr, 10) : otherwise;
}
template <class F> void for_seeds(F story, uint64_t seeds = kSeeds)
{
    uint64_t only = from_environment("LULL_TEST_SEED", 0);
    uint64_t last = only ? only : seeds * from_environment("LULL_TEST_SEEDS", 1);
    for (uint64_t seed = only ? only : 1; seed <= last; seed++) {
        SCOPED_TRACE(seed);
        story(seed);
        if (testing::Test::HasFailure()) return;
    }
}
}  // namespace

TEST(Import, ConnectsAndStaysWhileIdle)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        EXPECT_EQ(c.import->protocol(), 2);
        EXPECT_TRUE(c.until([&] { return c.client.first_full == 1; }));
        EXPECT_EQ(c.client.last_result, static_cast<uint8_t>(ConnectResult::kNew));
        c.world.run_for(60 * kSec);
        EXPECT_TRUE(c.full());
        EXPECT_EQ(c.client.disconnected, 0);
        EXPECT_GT(c.target->pings, 50u);
        EXPECT_LT(c.target->pings, 200u);
        c.on(c.client_host, [&] {
            TextSink out(4096);
            c.import->describe(out);
            EXPECT_NE(str(out.text()).find("state: FULL"), std::string::npos);
        });
    });
}

// A3.
TEST(Import, ProtocolIsNegotiated)
{
    for (uint32_t theirs : {1u, 2u})
        for (uint32_t ours : {1u, 2u}) {
            Cluster c(5, ours);
            c.stop_server();
            c.server_protocol = theirs;
            c.start_server();
            c.mount();
            EXPECT_EQ(c.import->protocol(), std::min(ours, theirs));
            c.on(c.client_host, [&] { EXPECT_TRUE(c.create("a").ok()); });
        }
}

TEST(Import, KeepsUntilCommitted)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        c.on(c.client_host, [&] {
            for (const char* name : {"a", "b", "c"}) EXPECT_TRUE(c.create(name).ok());
            EXPECT_EQ(c.import->replay_count(false), 3u);
            auto write = make_ref<Call<OstWriteOp>>();
            ASSERT_TRUE(write->bulk.resize(5000).ok());
            write->op.bytes = 5000;
            EXPECT_TRUE(c.import->call(*write).ok());
            EXPECT_EQ(c.import->replay_bulk_bytes(), 5000u);
            c.disk.commit();
            EXPECT_TRUE(soon([&] { return c.import->replay_count(false) == 0; }));  // by a ping
            EXPECT_EQ(c.import->last_committed(), 4u);
            EXPECT_EQ(c.import->replay_bulk_bytes(), 0u);
        });
    });
}

TEST(Import, ManyCallersFewSlots)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.target->slots = 3;
        c.mount();
        int status[40];
        for (int i = 0; i < 40; i++) c.create_async("f" + std::to_string(i), &status[i]);
        EXPECT_TRUE(c.until([&] { return c.target->executed.size() == 40; }));
        c.world.run_for(kSec);
        for (int s : status) EXPECT_EQ(s, 0);
        EXPECT_EQ(c.disk.log.size(), 40u);
    });
}

// The reply is lost with the connection; the same instance answers the resend from the slot.
TEST(Import, ResendAfterReset)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        c.target->withhold = true;
        int a, b;
        c.create_async("a", &a);
        c.create_async("b", &b);
        EXPECT_TRUE(c.until([&] { return c.target->withheld.size() == 2; }));
        bool while_away = seed % 2;
        c.world.network().cut(c.server, c.client_host);
        c.world.network().reset_connections(c.server, c.client_host);
        c.world.run_for(seed * 100 * kMsec);
        if (while_away)
            c.on(c.server, [&] { c.target->release(); });  // executed, the reply goes nowhere
        c.world.network().heal_all();
        EXPECT_TRUE(c.until_full_again(1));
        c.world.run_for(500 * kMsec);
        if (!while_away) c.on(c.server, [&] { c.target->release(); });
        EXPECT_TRUE(c.until([&] { return a == 0 && b == 0; })) << c.world.report();
        EXPECT_EQ(c.target->count("create a"), 1u);
        EXPECT_EQ(c.target->count("create b"), 1u);
        EXPECT_EQ(c.import->stats().resends, 2u);
        EXPECT_EQ(c.client.last_result, static_cast<uint8_t>(ConnectResult::kReconnect));
        EXPECT_EQ(c.client.first_full, 1);
        EXPECT_EQ(c.client.disconnected, 1);
    });
}

TEST(Import, SilentServerIsGivenUp)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        int status;
        c.world.network().cut(c.server, c.client_host);
        c.create_async("a", &status);
        EXPECT_TRUE(c.until([&] { return c.import->state() != ImportState::kFull; }, 4000));
        c.world.network().heal_all();
        EXPECT_TRUE(c.until([&] { return status == 0; }));
        EXPECT_EQ(c.disk.log.size(), 1u);
    });
}

// All tasks that execute requests are in the hands of a slow disk (adaptive_timeout.h).
TEST(Import, SlowServerIsNotTakenForDead)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        c.target->before = [](ServerRequest& r) {
            if (r.opcode() != Opcode::kPing) kapi_sleep_ns(20 * kSec);
            return false;
        };
        std::vector<sim::TaskHandle> tasks;
        for (int i = 0; i < 40; i++)
            tasks.push_back(c.client_host.spawn("io", [&c, i] {
                auto read = make_ref<Call<MdsGetattrOp>>();
                auto write = make_ref<Call<OstWriteOp>>();
                Status s = i % 2 ? c.import->call(*read) : c.import->call(*write);
                EXPECT_TRUE(s.ok()) << s.error();
            }));
        for (auto t : tasks)
            ASSERT_TRUE(c.world.run_to_end(t, c.world.now_ns() + 600 * kSec)) << c.world.report();
        c.target->before = nullptr;
        EXPECT_EQ(c.import->stats().reconnects, 0u);
        EXPECT_EQ(c.import->stats().resends, 0u);
        EXPECT_EQ(c.client.disconnected, 0);
    });
}

// A Connect that takes long is waited for longer at each attempt.
TEST(Import, SlowConnectSucceedsInTheEnd)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.target->connect_ns = 7 * kSec;  // timeout_ms is 2 s
        c.on(c.client_host, [&] {
            c.make_import(0, kConnectUpdateLock);
            EXPECT_TRUE(c.import->connect(deadline_after_ms(40000), WaitMode::kKillable).ok());
        });
        c.target->connect_ns = 0;
    });
}

TEST(Import, DeadServerIsNoticedSoon)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        c.client_node->adaptive().min_ms.store(400);
        c.world.run_for(3 * kSec);
        int status;
        c.world.network().cut(c.server, c.client_host);
        c.create_async("a", &status);
        EXPECT_TRUE(c.until([&] { return c.import->state() != ImportState::kFull; }, 700));
        c.world.network().heal_all();
        EXPECT_TRUE(c.until([&] { return status == 0; }));
    });
}

// A server that is only far away is given up at most twice.
TEST(Import, PatienceIsLearned)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        c.world.network().set_delay(c.server, c.client_host, 300 * kMsec, 300 * kMsec);
        c.client_node->adaptive().min_ms.store(200);
        c.world.run_for(30 * kSec);
        uint64_t reconnects = c.import->stats().reconnects;
        EXPECT_GE(reconnects, 1u);
        EXPECT_LE(reconnects, 2u);
        c.world.run_for(30 * kSec);
        EXPECT_EQ(c.import->stats().reconnects, reconnects);
        c.client_node->adaptive().max_ms.store(0);  // not adaptive: timeout_ms
        c.world.run_for(10 * kSec);
        EXPECT_EQ(c.import->stats().reconnects, reconnects);
    });
}

// T8 invariant 1.
TEST(Import, ReplayAfterCrash)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        Ref<Call<MdsOpenOp>> kept, fresh;
        c.on(c.client_host, [&] {
            EXPECT_TRUE(c.create("old").ok());
            kept = c.open("kept");
            c.disk.commit();
            EXPECT_TRUE(soon([&] { return c.import->replay_count(false) == 0; }));
            EXPECT_TRUE(c.create("a").ok());
            fresh = c.open("fresh");
            EXPECT_TRUE(c.create("b").ok());
            EXPECT_EQ(c.import->replay_count(false), 2u);
            EXPECT_EQ(c.import->replay_count(true), 2u);
        });
        c.target->withhold = true;
        int pending;
        c.create_async("pending", &pending);
        EXPECT_TRUE(c.until([&] { return c.target->withheld.size() == 1; }));
        c.crash_server();
        c.world.run_for(seed * 300 * kMsec);
        c.start_server();
        c.target->window_open = true;
        EXPECT_TRUE(c.until([&] { return c.import->state() == ImportState::kReplayWait; }));
        c.world.run_for(5 * kSec);  // pings go on while it waits
        EXPECT_EQ(c.import->state(), ImportState::kReplayWait);
        EXPECT_EQ(pending, kEINPROGRESS);
        c.on(c.server, [&] { c.target->close_window(); });
        EXPECT_TRUE(c.until([&] { return c.full() && pending == 0; })) << c.world.report();
        std::vector<std::string> expected = {"reopen kept", "replay create a", "replay open fresh",
                                             "replay create b", "create pending"};
        EXPECT_EQ(c.target->executed, expected);
        EXPECT_EQ(c.client.lock_replays, 1);
        EXPECT_EQ(c.client.evicted, 0);
        EXPECT_EQ(c.client.first_full, 2);
        ImportStats s = c.import->stats();
        EXPECT_EQ(s.replays, 2u);
        EXPECT_EQ(s.open_replays, 2u);
        EXPECT_EQ(s.resends, 1u);
        EXPECT_EQ(c.target->connects.begin()->second.replays, 2u);
        EXPECT_EQ(c.target->connects.begin()->second.resends, 1u);
        c.on(c.client_host, [&] {
            kept.reset();
            fresh.reset();
        });
    });
}

// The server had executed and committed it, but the client saw no reply.
TEST(Import, ResendOfSomethingCommitted)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        c.world.network().cut(c.server, c.client_host,
                              sim::Network::Way::kThere);  // only replies vanish
        int status;
        c.create_async("a", &status);
        EXPECT_TRUE(c.until([&] { return c.target->count("create a") == 1; }));
        c.disk.commit();
        c.world.network().heal_all();
        c.crash_server();
        c.start_server();
        EXPECT_TRUE(c.until([&] { return status == 0; })) << c.world.report();
        EXPECT_EQ(c.target->count("create a"), 0u);  // not again
        EXPECT_EQ(c.disk.log.size(), 1u);
    });
}

// A13 S8 T7.
TEST(Import, OpenReplayAfterCleanRestart)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        std::vector<Ref<Call<MdsOpenOp>>> opens;
        c.on(c.client_host, [&] {
            for (int i = 0; i < 50; i++) opens.push_back(c.open("f" + std::to_string(i)));
            EXPECT_TRUE(c.create("a").ok());
        });
        bool moved = seed % 2;
        c.on(c.client_host, [&] { c.import->expect_restart(); });
        c.restart_clean(moved ? &c.server2 : nullptr);
        EXPECT_TRUE(c.until([&] { return c.client.first_full == 2 && c.full(); }));
        EXPECT_EQ(c.target->executed.size(), 50u);
        EXPECT_EQ(c.target->count("reopen f7"), 1u);
        EXPECT_EQ(c.import->stats().replays, 0u);  // T7: the rest was committed
        EXPECT_EQ(c.import->stats().resends, 0u);
        EXPECT_EQ(c.client.lock_replays, 0);
        EXPECT_EQ(c.client.last_result, static_cast<uint8_t>(ConnectResult::kResume));
        c.on(c.client_host, [&] {
            for (auto& o : opens) c.close(o);
            opens.clear();
            EXPECT_EQ(c.import->replay_count(true),
                      50u);  // a close is not committed yet: its replay would need the open
            c.disk.commit();
            EXPECT_TRUE(soon([&] {
                return c.import->replay_count(true) == 0 && c.import->replay_count(false) == 0;
            }));
        });
    });
}

// S15: no thundering herd after a controlled shutdown.
TEST(RestartSpread, HintAndPlaces)
{
    EXPECT_EQ(restart_spread_ms(0), 0u);
    EXPECT_EQ(restart_spread_ms(999), 0u);
    EXPECT_EQ(restart_spread_ms(1000), 100u);
    EXPECT_EQ(restart_spread_ms(10000), 1000u);
    EXPECT_EQ(restart_spread_ms(100000), 10000u);
    EXPECT_EQ(restart_spread_ms(SIZE_MAX / 1000), kSpreadMaxMs);
    sim::run(1, [] {
        RestartSpread s;
        EXPECT_FALSE(s.on());
        s.target_runs(77);
        EXPECT_EQ(s.not_before_ns(), 0u);
        EXPECT_EQ(s.pause_ms(50), 50u);
        constexpr unsigned kTenths = 10, kTries = 1000;
        unsigned in_tenth[kTenths] = {};
        for (unsigned i = 0; i < kTries; i++) {
            uint64_t now = now_ns();
            s.told(1000, kapi_random_u64());
            ASSERT_GE(s.not_before_ns(), now);
            ASSERT_LT(s.not_before_ns(), now + 1000 * kMsec);
            in_tenth[(s.not_before_ns() - now) / (100 * kMsec)]++;
        }
        for (unsigned n : in_tenth) EXPECT_NEAR(n, kTries / kTenths, 40);
        EXPECT_EQ(s.pause_ms(50), 1000u);
        EXPECT_EQ(s.attempt_ms(500, 3000), 1000u);
        EXPECT_EQ(s.attempt_ms(1500, 3000), 1500u);
        EXPECT_EQ(s.attempt_ms(500, 700), 700u);
        kapi_sleep_ns(5 * kSec);
        s.target_runs(500 * kMsec);
        EXPECT_EQ(s.not_before_ns(), now_ns() + 500 * kMsec);
        s.told(UINT32_MAX, 0);
        EXPECT_EQ(s.pause_ms(0), kSpreadMaxMs);
        s.over();
        EXPECT_FALSE(s.on());
    });
}

// It waits for its place, tries no oftener than the spread is long, and does not hurry when the MGS
// says that the target runs.
TEST(Import, ReturnsInItsPlace)
{
    constexpr uint32_t kSpreadMs = 10000;
    uint64_t at_once = 0, seeds = 0;
    for_seeds([&](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        uint64_t began = c.world.now_ns();
        c.on(c.client_host, [&] { c.import->expect_restart(kSpreadMs); });
        c.restart_clean();
        c.on(c.client_host,
             [&] { c.import->target_is_at(Nid{c.server.address()}, c.disk.instance); });
        uint64_t told = c.world.now_ns();
        EXPECT_TRUE(c.until([&] { return c.import->instance() == c.disk.instance && c.full(); }));
        uint64_t took = c.world.now_ns() - told;
        EXPECT_LT(took, (kSpreadMs + 1000) * kMsec);
        EXPECT_LT(c.world.now_ns() - began, (kSpreadMs + 3000) * kMsec);
        at_once += took < kSpreadMs / 10 * kMsec;
        seeds++;
        // It is over: the next loss of the connection is repaired at once.
        c.world.network().reset_connections(c.client_host, c.server);
        uint64_t lost = c.world.now_ns();
        EXPECT_TRUE(c.until([&] { return !c.full(); }));
        EXPECT_TRUE(c.until([&] { return c.full(); }));
        EXPECT_LT(c.world.now_ns() - lost, 2000 * kMsec);
    });
    EXPECT_LT(at_once, seeds / 2);
}

TEST(Import, SpreadDoesNotHoldUpAnybodyElse)
{
    constexpr uint32_t kSpreadMs = 50000;
    Cluster c(3);
    c.mount();
    c.on(c.client_host, [&] { c.import->expect_restart(kSpreadMs); });
    c.restart_clean();
    uint64_t began = c.world.now_ns();
    // the administrator
    c.on(c.client_host,
         [&] { EXPECT_TRUE(c.import->recover_now(Nid{}, deadline_after_ms(5000)).ok()); });
    EXPECT_LT(c.world.now_ns() - began, 5000 * kMsec);
    c.on(c.client_host, [&] { c.import->expect_restart(kSpreadMs); });
    began = c.world.now_ns();
    c.on(c.client_host, [&] { c.import->close(); });  // an unmount
    EXPECT_LT(c.world.now_ns() - began, 5000 * kMsec);
}

TEST(Import, ReplayOfACloseFindsItsOpen)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        c.on(c.client_host, [&] {
            auto o = c.open("f");
            if (seed % 2) {
                c.disk.commit();
                EXPECT_TRUE(soon([&] { return c.import->last_committed() == 1; }));
            }
            c.close(o);
        });
        c.crash_server();
        c.start_server();
        EXPECT_TRUE(c.until([&] { return c.client.first_full == 2; }));
        std::vector<std::string> expected = {seed % 2 ? "reopen f" : "replay open f",
                                             "replay close"};
        EXPECT_EQ(c.target->executed, expected);
    });
}

// What is closed by a committed transaction is not opened again: nobody would close it. Others may
// have been answered before the task that closed it runs on.
TEST(Import, AnOpenGoesWithTheTransactionOfItsClose)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        c.on(c.client_host, [&] {
            auto o = c.open("f");
            c.disk.commit();
            int status[4];
            for (int i = 0; i < 2; i++) c.create_async("before", &status[i]);
            auto call = make_ref<Call<MdsCloseOp>>();
            call->op.handle = o->reply.handle;
            call->ends = o;
            for (int i = 2; i < 4; i++) c.create_async("after", &status[i]);
            EXPECT_TRUE(c.import->call(*call).ok());
            EXPECT_TRUE(soon([&] { return !status[0] && !status[1] && !status[2] && !status[3]; }));
            c.disk.committed = call->transno;
            EXPECT_TRUE(c.create("tells").ok());
            EXPECT_EQ(c.import->last_committed(), call->transno);
            EXPECT_EQ(c.import->replay_count(true), 0u);
        });
    });
}

// A7.
TEST(Import, Eviction)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        Ref<Call<MdsOpenOp>> open;
        c.on(c.client_host, [&] {
            open = c.open("f");
            EXPECT_TRUE(c.create("x").ok());
        });
        c.target->withhold = true;
        int status;
        c.create_async("a", &status);
        EXPECT_TRUE(c.until([&] { return c.target->withheld.size() == 1; }));
        c.on(c.server, [&] {
            c.disk.clients.clear();
            for (auto& e : c.target->exports) e.second->kill();
            c.target->withhold = false;
        });
        EXPECT_TRUE(
            c.until([&] { return c.client.evicted == 1 && c.full(); }));  // a ping finds out
        EXPECT_TRUE(c.until([&] { return status != kEINPROGRESS; }));
        EXPECT_EQ(status, -kEIO);
        EXPECT_EQ(c.import->replay_count(false) + c.import->replay_count(true), 0u);
        c.on(c.client_host, [&] {
            EXPECT_TRUE(c.create("b").ok());
            c.import->forget(*open);
            open.reset();
        });
        EXPECT_EQ(c.import->stats().evictions, 1u);
        c.on(c.server, [&] { c.target->withheld.clear(); });
    });
}

TEST(Import, LightImportsAreNotEvicted)
{
    Cluster c(3);
    c.mount(0, kConnectLight);
    c.target->withhold = true;
    int status;
    c.create_async("a", &status);
    EXPECT_TRUE(c.until([&] { return c.target->withheld.size() == 1; }));
    c.crash_server();
    c.disk.clients.clear();
    c.start_server();
    EXPECT_TRUE(c.until([&] { return status != kEINPROGRESS; }));
    EXPECT_EQ(status, 0);
    EXPECT_EQ(c.client.evicted, 0);
}

// B3 S14.
TEST(Import, ParkedRequestsGoBackBehindTheGate)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        c.target->park = true;
        int status;
        c.create_async("a", &status);
        EXPECT_TRUE(c.until([&] { return c.target->parked >= 2; }));
        c.import->gate().close(Gate::kActiveLock);
        EXPECT_TRUE(c.until([&] { return c.import->gate().waiting() == 1; }));
        unsigned parked = c.target->parked;
        EXPECT_EQ(c.import->gate().state(), Gate::State::kParked);
        c.world.run_for(5 * kSec);
        EXPECT_EQ(c.target->parked, parked);
        c.target->park = false;
        c.import->gate().reopen(Gate::kActiveLock);
        EXPECT_TRUE(c.until([&] { return status == 0; }));
        EXPECT_EQ(c.target->count("create a"), 1u);
        EXPECT_EQ(c.import->stats().parked, parked);
        // Whoever holds the gate himself has to let go himself.
        c.target->park = true;
        c.on(c.client_host, [&] {
            auto call = make_ref<Call<MdsGetattrOp>>();
            call->admitted = true;
            EXPECT_TRUE(c.import->call(*call).is(kEPark));
            c.import->gate().close(Gate::kBarrier);
            auto other = make_ref<Call<MdsGetattrOp>>();
            other->try_gate = true;
            EXPECT_TRUE(c.import->call(*other).is(kEPark));
        });
    });
}

// A9 invariant 4.
TEST(Import, SignalAtTheGate)
{
    Cluster c(2);
    c.mount(Gate::kActiveLock);
    int status;
    auto task = c.create_async("a", &status);
    EXPECT_TRUE(c.until([&] { return c.import->gate().waiting() == 1; }));
    c.world.signal(task, false);
    EXPECT_TRUE(c.until([&] { return status == -kERESTARTSYS; }));
    EXPECT_TRUE(c.target->executed.empty());
}

TEST(Import, KilledCallerLetsGo)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.target->slots = 1;
        c.mount();
        c.target->withhold = true;
        int a, b;
        auto task = c.create_async("a", &a);
        EXPECT_TRUE(c.until([&] { return c.target->withheld.size() == 1; }));
        c.world.signal(task, false);
        c.world.run_for(kSec);
        EXPECT_EQ(a, kEINPROGRESS);
        c.world.signal(task, true);
        EXPECT_TRUE(c.until([&] { return a == -kERESTARTSYS; }));
        c.create_async("b", &b);
        c.world.run_for(kSec);
        EXPECT_EQ(b, kEINPROGRESS);  // the slot is still taken
        c.on(c.server, [&] { c.target->release(); });
        EXPECT_TRUE(c.until([&] { return b == 0; }));
        EXPECT_EQ(c.import->replay_count(false), 2u);  // it counts, nobody waits for it or not
    });
}

// A wake-up goes to one of those who wait for a slot. Should that one be killed before it has run,
// it must take the slot all the same, or nobody would wake the next.
TEST(Import, KilledWaiterPassesItsSlotOn)
{
    unsigned passed_on = 0;
    for_seeds(
        [&](uint64_t seed) {
            Cluster c(seed);
            c.target->slots = 1;
            c.mount();
            c.target->withhold = true;
            int a, b, d;
            c.create_async("a", &a);
            EXPECT_TRUE(c.until([&] { return c.target->withheld.size() == 1; }));
            auto killed = c.create_async("b", &b);
            c.create_async("d", &d);
            c.world.run_for(kSec);
            EXPECT_EQ(b, kEINPROGRESS);
            EXPECT_EQ(d, kEINPROGRESS);
            c.on(c.server, [&] { c.target->release(); });
            // The slot is free and somebody has been woken; who runs first is the seed's choice.
            EXPECT_TRUE(c.until([&] { return a == 0; }));
            c.world.signal(killed, true);
            EXPECT_TRUE(c.until([&] { return b != kEINPROGRESS && d == 0; })) << c.world.report();
            passed_on += b == -kERESTARTSYS;
        },
        40);
    EXPECT_GT(passed_on, 0u);
}

TEST(Import, CallsWaitUntilFull)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        c.crash_server();
        EXPECT_TRUE(c.until([&] { return !c.full(); }));
        int a, b;
        c.create_async("a", &a);
        auto killed = c.create_async("b", &b);
        c.world.run_for(10 * kSec);
        EXPECT_EQ(a, kEINPROGRESS);
        c.world.signal(killed, true);
        EXPECT_TRUE(c.until([&] { return b == -kERESTARTSYS; }));
        c.start_server();
        EXPECT_TRUE(c.until([&] { return a == 0; }));
        EXPECT_EQ(c.target->count("create b"), 0u);
    });
}

TEST(Import, CloseFailsWhatIsPending)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount(seed % 3 == 0 ? uint32_t{Gate::kActiveLock} : 0u);
        c.target->withhold = true;
        int status;
        c.create_async("a", &status);
        c.world.run_for(seed % 2 ? kSec : kMsec / 10);
        if (seed % 4 == 1) c.world.network().cut(c.server, c.client_host);
        c.on(c.client_host, [&] { c.import->close(); });
        EXPECT_TRUE(c.until([&] { return status == -kESHUTDOWN; }));
        EXPECT_EQ(c.import->state(), ImportState::kClosed);
        c.world.network().heal_all();
        c.on(c.server, [&] { c.target->withheld.clear(); });
    });
}

TEST(Import, CloseDuringTheRecoveryWindow)
{
    Cluster c(4);
    c.mount();
    c.on(c.client_host, [&] { EXPECT_TRUE(c.create("a").ok()); });
    c.crash_server();
    c.start_server();
    c.target->window_open = true;
    EXPECT_TRUE(c.until([&] { return c.import->state() == ImportState::kReplayWait; }));
    uint64_t began = c.world.now_ns();
    c.on(c.client_host, [&] { c.import->close(); });
    EXPECT_LT(c.world.now_ns() - began, 3 * kSec);
    c.on(c.server, [&] { c.target->withheld.clear(); });
}

TEST(Import, WhyAFirstConnectFails)
{
    Cluster c(1);
    c.on(c.client_host, [&] {
        auto attempt = [&](uint64_t ms) {
            c.make_import(0, kConnectUpdateLock);
            uint64_t began = now_ns();
            Status s = c.import->connect(deadline_after_ms(ms), WaitMode::kKillable);
            EXPECT_LE(now_ns() - began, (ms + 100) * kMsec);
            c.import->close();
            c.import.reset();
            return s;
        };
        c.target->connect_status = -kEPROTONOSUPPORT;
        EXPECT_TRUE(attempt(60000).is(kETIMEDOUT) == false);
        c.target->connect_status = 0;
        c.target->retry_later = true;
        EXPECT_TRUE(attempt(3000).is(kETIMEDOUT));
        c.make_import(0, kConnectUpdateLock);  // T9: waited out
        kapi_net* net = c.client_host.net();
        (void)net;
        c.client_host.spawn("later", [&] {
            kapi_sleep_ns(5 * kSec);
            c.target->retry_later = false;
        });
        EXPECT_TRUE(c.import->connect(deadline_after_ms(60000), WaitMode::kKillable).ok());
        c.import->close();
        c.import.reset();
    });
    c.on(c.server, [&] { c.target->stop(); });
    c.on(c.client_host, [&] {
        c.make_import(0, kConnectUpdateLock);
        Status s = c.import->connect(deadline_after_ms(500), WaitMode::kKillable);
        EXPECT_FALSE(s.ok());
    });
    c.on(c.server, [&] { c.target->start(); });
}

// T9: its node answers and says "not here". That is so while it is being restarted, too.
TEST(Import, ATargetThatIsNowhereIsNotWaitedFor)
{
    for (bool comes : {false, true}) {
        Cluster c(1);
        c.one_node = true;
        c.nowhere_ms = 3000;
        c.on(c.server, [&] { c.target->stop(); });
        c.server.spawn("later", [&] {
            kapi_sleep_ns(2 * kSec);
            if (comes) c.target->start();
        });
        c.on(c.client_host, [&] {
            c.make_import(0, kConnectUpdateLock);
            uint64_t began = now_ns();
            Status s = c.import->connect(deadline_after_ms(20000), WaitMode::kKillable);
            EXPECT_EQ(s.error(), comes ? 0 : -kENODEV);
            EXPECT_GE(now_ns() - began, 2 * kSec);
            EXPECT_LT(now_ns() - began, 5 * kSec);
        });
        if (!comes) c.on(c.server, [&] { c.target->start(); });
    }
}

// A2 R1 E3.
TEST(Import, FailoverAndRecoverNow)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        c.on(c.client_host, [&] { EXPECT_TRUE(c.create("a").ok()); });
        c.crash_server();
        c.start_server(c.server2);
        c.on(c.client_host, [&] {
            EXPECT_TRUE(
                c.import->recover_now(Nid{c.server2.address()}, deadline_after_ms(60000)).ok());
            EXPECT_TRUE(c.create("b").ok());
        });
        EXPECT_EQ(c.target->count("replay create a"), 1u);
    });
}

// R1 as an administrator does it: success only when FULL again, where it was told to look.
TEST(Import, RecoverAsTold)
{
    Cluster c(5);
    c.mount();
    std::string here = to_text(Nid{c.server.address()}).c_str(),
                there = to_text(Nid{c.server2.address()}).c_str();
    auto tell = [&](const std::string& text) {
        return recover_as_told(*c.import, Str(text.data(), text.size())).error();
    };
    c.on(c.client_host, [&] {
        EXPECT_EQ(tell("1"), 0);
        EXPECT_EQ(tell(here + " 5"), 0);
        EXPECT_EQ(c.import->stats().reconnects, 2u);
        EXPECT_EQ(tell("10.99.0.1@tcp"), -kEINVAL);
        EXPECT_EQ(tell("nonsense"), -kEINVAL);
        EXPECT_EQ(tell("1 0"), -kERANGE);
        EXPECT_EQ(tell(there), -kENODEV);  // FULL again, but it does not run there
        EXPECT_EQ(c.import->state(), ImportState::kFull);
    });
    c.crash_server();
    int status = 1;
    auto task = c.client_host.spawn("lctl", [&] { status = tell("1 600"); });
    c.on(c.client_host, [&] { EXPECT_EQ(tell("1 3"), -kETIMEDOUT); });
    c.world.signal(task, false);
    EXPECT_TRUE(c.until([&] { return status == -kERESTARTSYS; }));
    c.start_server(c.server2);
    c.on(c.client_host, [&] { EXPECT_EQ(tell(there), 0); });
}

// R5: a takeover is noticed without any timeout; old news and wrong ones do no harm.
TEST(Import, GoesWhereTheTargetHasStarted)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        uint64_t before = c.import->instance();
        c.on(c.client_host, [&] {
            EXPECT_TRUE(c.create("a").ok());
            c.import->target_is_at(Nid{c.server.address()}, before);
            c.import->target_is_at(Nid{c.server2.address()}, before - 1);
            c.import->target_is_at(Nid{}, before + 1);
        });
        c.world.run_for(kSec);
        EXPECT_EQ(c.import->stats().reconnects, 0u);
        c.world.network().cut(c.server, c.client_host);  // nothing says that it is dead
        c.crash_server();
        uint64_t back = 0;
        c.world.on_log = [&](sim::Host*, const std::string& text) {
            if (text.find(", instance 2 at ") != std::string::npos) back = c.world.now_ns();
        };
        c.start_server(c.server2);
        uint64_t began = c.world.now_ns();
        c.on(c.client_host, [&] { c.import->target_is_at(Nid{c.server2.address()}, before + 1); });
        EXPECT_TRUE(c.until_full_again(1));
        EXPECT_TRUE(c.until([&] { return back != 0; }));
        EXPECT_LT(back, began + 100 * kMsec);
        c.world.on_log = nullptr;
        c.world.network().heal_all();
        // wrong
        c.on(c.client_host, [&] { c.import->target_is_at(Nid{c.server.address()}, before + 9); });
        EXPECT_TRUE(c.until_full_again(2));
        c.on(c.client_host, [&] { EXPECT_TRUE(c.create("b").ok()); });
        EXPECT_EQ(c.client.evicted, 0);
    });
}

// R5: an attempt to reach a dead node holds up neither the way to the next one nor an unmount.
TEST(Import, NobodyWaitsForADeadNode)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        uint64_t before = c.import->instance();
        auto dies = [&](sim::Host& server) {
            c.world.network().cut(server, c.client_host);
            c.world.network().reset_connections(server, c.client_host);
            c.world.run_for((100 + c.world.user_rng().below(2500)) * kMsec);
        };
        c.crash_server();
        dies(c.server);
        uint64_t back = 0;
        c.world.on_log = [&](sim::Host*, const std::string& text) {
            if (text.find(", instance 2 at ") != std::string::npos) back = c.world.now_ns();
        };
        c.start_server(c.server2);
        uint64_t began = c.world.now_ns();
        c.on(c.client_host, [&] { c.import->target_is_at(Nid{c.server2.address()}, before + 1); });
        EXPECT_TRUE(c.until_full_again(1));
        EXPECT_TRUE(c.until([&] { return back != 0; }));
        EXPECT_LT(back, began + 100 * kMsec);
        c.world.on_log = nullptr;
        dies(c.server2);
        c.on(c.client_host, [&] {
            uint64_t closing = now_ns();
            c.import->close();
            EXPECT_LT(now_ns() - closing, 100 * kMsec);
        });
    });
}

// One line when the target goes away, one every ten minutes, one when it is back; not one for each
// attempt, though its nodes fail in different ways.
TEST(Import, AnOutageIsSevenLinesAnHour)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        std::vector<std::string> lines;
        c.world.on_log = [&](sim::Host* where, const std::string& text) {
            if (where == &c.client_host) lines.push_back(text);
        };
        c.crash_server();  // refuses, while server2 does not answer
        c.world.network().cut(c.server2, c.client_host);
        c.world.run_for(3600 * kSec);
        EXPECT_EQ(lines.size(), 6u) << testing::PrintToString(lines);
        EXPECT_NE(lines.back().find("trying for 5"), std::string::npos) << lines.back();
        c.start_server(c.server);
        EXPECT_TRUE(c.until([&] { return lines.size() == 7; })) << testing::PrintToString(lines);
        EXPECT_TRUE(c.full());
        c.world.on_log = nullptr;
    });
}

// Issue 19, 11. An MDT hears of every OST every ten seconds.
TEST(Import, WhatTheMgsSaysAgainIsNoNews)
{
    Cluster c(1);
    c.mount();
    unsigned lines = 0;
    c.world.on_log = [&](sim::Host*, const std::string& text) {
        lines += text.find("says the MGS") != std::string::npos;
    };
    uint64_t instance = c.import->instance();
    c.crash_server();
    c.world.run_for(kSec);
    for (uint64_t more : {0, 0, 0, 1, 1})
        c.on(c.client_host,
             [&] { c.import->target_is_at(Nid{c.server.address()}, instance + more); });
    EXPECT_EQ(lines, 2u);
    c.world.on_log = nullptr;
    c.start_server(c.server);
    EXPECT_TRUE(c.until_full_again(1));
}

TEST(Import, CallbacksArrive)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        c.on(c.server, [&] {
            auto call = make_ref<Call<LdlmBlAst>>();
            for (uint64_t i = 1; i <= 20; i++) {
                call->op.client_handle = i;
                EXPECT_TRUE(c.target->exports.begin()->second->post(*call).ok());
            }
        });
        EXPECT_TRUE(c.until([&] { return c.client.blasts.size() == 20; }));
    });
}

// The import's own task calls; the connection breaks meanwhile; it must not wait for itself.
TEST(Import, OwnTaskDoesNotWaitForItself)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        std::vector<int> results;
        c.client.at_full = [&] {
            auto call = make_ref<Call<MdsGetattrOp>>();
            call->in_recovery = true;
            results.push_back(c.import->call(*call).error());
        };
        c.target->withhold = true;
        c.on(c.client_host, [&] {
            c.make_import(0, kConnectUpdateLock);
            EXPECT_TRUE(c.import->connect(deadline_after_ms(5000), WaitMode::kKillable).ok());
        });
        EXPECT_TRUE(c.until([&] { return c.target->withheld.size() == 1; }));
        c.world.network().reset_connections(c.server, c.client_host);
        c.target->withhold = false;
        EXPECT_TRUE(c.until([&] { return results.size() == 2; }));
        EXPECT_EQ(results[0], -kENOTCONN);
        EXPECT_EQ(results[1], 0);
        c.on(c.server, [&] { c.target->withheld.clear(); });
        c.on(c.client_host, [&] { c.import->close(); });
    });
}

// A connection of a test to the server, without an import. In a task of the client's host.
struct RawClient : ConnectionSink {
    std::vector<Message> replies;
    int closed = 0;
    Ref<Connection> connection;
    void on_message(Connection&, Message&& m) override { replies.push_back(std::move(m)); }
    void on_closed(Connection&, Status) override { closed++; }

    bool dial(Cluster& c)
    {
        auto dialled =
            c.client_node->transport().dial(Nid{c.server.address()}, this, deadline_after_ms(1000));
        if (!dialled.ok()) return false;
        connection = dialled.release_value();
        return connection->wait_open(WaitMode::kUninterruptible).ok();
    }
    // The header of the answer.
    RpcHeader ask(std::span<const uint8_t> bytes)
    {
        RpcHeader h;
        size_t before = replies.size();
        EXPECT_TRUE(connection->send(bytes, {}).ok());
        EXPECT_TRUE(soon([&] { return replies.size() > before; }));
        EXPECT_GE(replies.back().body.size(), sizeof h);
        memcpy(&h, replies.back().body.data(), sizeof h);
        return h;
    }
};

// What a client that does not follow the protocol gets.
TEST(Server, BadRequests)
{
    Cluster c(7);
    c.mount();
    c.on(c.client_host, [&] {
        RawClient raw;
        ASSERT_TRUE(raw.dial(c));
        auto send = [&](uint16_t opcode, uint16_t protocol, uint64_t cookie, size_t body) {
            std::vector<uint8_t> bytes(sizeof(RpcHeader) + body, 0xff);
            RpcHeader h;
            h.magic = kRpcMagic;
            h.header_bytes = sizeof h;
            h.protocol = protocol;
            h.kind = static_cast<uint16_t>(RpcKind::kRequest);
            h.opcode = opcode;
            h.xid = 5;
            h.export_cookie = cookie;
            h.body_bytes = static_cast<uint32_t>(body);
            memcpy(bytes.data(), &h, sizeof h);
            RpcHeader reply = raw.ask(bytes);
            EXPECT_EQ(reply.xid, 5u);
            return static_cast<int32_t>(static_cast<uint32_t>(reply.status));
        };
        EXPECT_EQ(send(1, 1, 0, 10), -kEPROTO);
        EXPECT_EQ(send(999, 1, 0, 0), -kEOPNOTSUPP);
        EXPECT_EQ(send(15, 1, 0, 0), -kEPROTO);
        EXPECT_EQ(send(3, 7, 0, 0), -kEPROTONOSUPPORT);
        EXPECT_EQ(send(3, 1, 12345, 0), -kEEvicted);
        uint8_t junk[200] = {};
        EXPECT_TRUE(raw.connection->send(junk, {}).ok());
        EXPECT_TRUE(soon([&] { return raw.closed == 1; }));
        EXPECT_TRUE(c.create("still fine").ok());
    });
}

// S10: each side reads what the other one writes by the version that they agreed on at the connect,
// also when a node speaks both.
TEST(Server, RequestsAreOfTheNegotiatedVersion)
{
    Cluster c(7);
    c.mount();
    c.on(c.client_host, [&] {
        RawClient raw;
        ASSERT_TRUE(raw.dial(c));
        uint64_t cookie = 0, xid = 0;
        auto send = [&](auto& op, uint16_t protocol, RpcHeader* reply,
                        std::span<const uint8_t>* body) {
            RpcHeader h;
            h.kind = static_cast<uint16_t>(RpcKind::kRequest);
            h.opcode = static_cast<uint16_t>(std::remove_reference_t<decltype(op)>::kOpcode);
            h.xid = ++xid;
            h.export_cookie = cookie;
            Encoder out(protocol);
            EXPECT_TRUE(begin_message(out).ok());
            op.io(out);
            EXPECT_TRUE(finish_message(out, h, 0).ok());
            (void)raw.ask(out.output());
            EXPECT_TRUE(parse_header(raw.replies.back().body, 0, reply, body).ok());
            return static_cast<int32_t>(reply->status);
        };
        RpcHeader header;
        std::span<const uint8_t> body;
        ConnectOp connect;
        connect.target = Str("lull-MDT0000");
        connect.client_uuid = "another";
        connect.nodename = "another";
        connect.protocol_min = kProtocol1;
        connect.protocol_max = kProtocol2;
        ASSERT_EQ(send(connect, kProtocol1, &header, &body), 0);
        ConnectReply reply;
        Decoder in(header.protocol, body);
        reply.io(in);
        cookie = reply.export_cookie;
        ASSERT_EQ(reply.protocol, kProtocol2);
        MdsCloseOp close;
        EXPECT_EQ(send(close, kProtocol1, &header, &body), -kEPROTO);
        PingOp ping;
        EXPECT_EQ(send(ping, kProtocol2, &header, &body), 0);
        raw.connection->close();
        EXPECT_TRUE(soon([&] { return raw.closed == 1; }));
    });
}

TEST(Server, StatusOutOfRangeIsAProtocolError)
{
    Cluster c(8);
    c.mount();
    for (int status : {-4096, 1, 2000000000}) {
        c.target->before = [status](ServerRequest& r) {
            if (r.opcode() != Opcode::kMdsGetattr) return false;
            r.reply_error(status);
            return true;
        };
        c.on(c.client_host, [&] {
            auto call = make_ref<Call<MdsGetattrOp>>();
            EXPECT_TRUE(c.import->call(*call).is(kEPROTO));
        });
    }
}

// Crashes, cuts and resets at any moment; every create that was acknowledged is there once, and
// everybody comes to an end.
TEST(Import, StormsOfFaults)
{
    for_seeds(
        [](uint64_t seed) {
            Cluster c(seed);
            c.target->slots = static_cast<uint16_t>(1 + seed % 5);
            c.mount();
            constexpr int kCallers = 6, kEach = 15;
            int done = 0;
            for (int i = 0; i < kCallers; i++)
                c.client_host.spawn("caller", [&, i] {
                    for (int j = 0; j < kEach; j++) {
                        std::string name = std::to_string(i) + "/" + std::to_string(j);
                        Status s = c.create(name);
                        EXPECT_TRUE(s.ok()) << s.error();
                        kapi_sleep_ns(kapi_random_u64() % (300 * kMsec));
                    }
                    done++;
                });
            sim::Rng& rng = c.world.user_rng();
            for (int round = 0; round < 8; round++) {
                c.world.run_for(rng.below(1500) * kMsec);
                switch (rng.below(4)) {
                case 0:
                    c.crash_server();
                    c.world.run_for(rng.below(3000) * kMsec);
                    c.start_server(rng.below(2) ? c.server : c.server2);
                    break;
                case 1: c.world.network().reset_connections(*c.active, c.client_host); break;
                case 2:
                    c.world.network().cut(*c.active, c.client_host);
                    c.world.run_for(rng.below(5000) * kMsec);
                    c.world.network().heal_all();
                    break;
                default: c.disk.commit(); break;
                }
            }
            EXPECT_TRUE(c.until([&] {
                return done == kCallers && c.full() && c.import->instance() == c.disk.instance;
            })) << c.world.report();
            std::map<std::string, int> times;
            for (auto& [transno, what] : c.disk.log) times[what]++;
            EXPECT_EQ(times.size(), static_cast<size_t>(kCallers * kEach));
            for (auto& [what, n] : times) EXPECT_EQ(n, 1) << what;
            EXPECT_EQ(c.client.evicted, 0);
        },
        60);
}

// A11: nothing but what the active lock itself needs is on its way when it is given back.
TEST(Import, Quiesce)
{
    for_seeds([](uint64_t seed) {
        Cluster c(seed);
        c.mount();
        c.target->withhold = true;
        int a, b;
        c.create_async("a", &a);
        EXPECT_TRUE(c.until([&] { return c.target->withheld.size() == 1; }));
        c.on(c.client_host,
             [&] { EXPECT_TRUE(c.import->quiesce(deadline_after_ms(500)).is(kETIMEDOUT)); });
        c.create_async("b", &b);
        c.world.run_for(kSec);
        EXPECT_EQ(c.target->withheld.size(), 1u);
        c.on(c.server, [&] { c.target->release(); });
        c.on(c.client_host, [&] {
            EXPECT_TRUE(c.import->quiesce(deadline_after_ms(5000)).ok());
            auto call = make_ref<Call<MdsGetattrOp>>();
            call->in_recovery = true;
            EXPECT_TRUE(c.import->call(*call).ok());
        });
        EXPECT_EQ(a, 0);
        EXPECT_EQ(b, kEINPROGRESS);
        if (seed % 2) c.world.network().reset_connections(c.server, c.client_host);
        c.world.run_for(kSec);
        EXPECT_EQ(b, kEINPROGRESS);
        c.import->resume();
        EXPECT_TRUE(c.until([&] { return b == 0; }));
    });
}

// Files held open over crashes, clean restarts and takeovers: whoever closes finds a handle that
// the server knows.
TEST(Import, StormsWithOpenFiles)
{
    for_seeds(
        [](uint64_t seed) {
            Cluster c(seed);
            c.mount();
            int done = 0;
            for (int i = 0; i < 5; i++)
                c.client_host.spawn("caller", [&, i] {
                    for (int j = 0; j < 10; j++) {
                        auto file = c.open(std::to_string(i) + "/" + std::to_string(j));
                        kapi_sleep_ns(kapi_random_u64() % (1500 * kMsec));
                        c.close(file);
                    }
                    done++;
                });
            sim::Rng& rng = c.world.user_rng();
            for (int round = 0; round < 8; round++) {
                c.world.run_for(rng.below(2000) * kMsec);
                switch (rng.below(5)) {
                case 0:
                    c.crash_server();
                    c.start_server(rng.below(2) ? c.server : c.server2);
                    break;
                case 1: c.restart_clean(rng.below(2) ? &c.server : &c.server2); break;
                case 2: c.world.network().reset_connections(*c.active, c.client_host); break;
                default: c.disk.commit(); break;
                }
            }
            EXPECT_TRUE(c.until([&] {
                return done == 5 && c.full() && c.import->instance() == c.disk.instance;
            })) << c.world.report();
            std::map<std::string, int> times;
            for (auto& [transno, what] : c.disk.log) times[what]++;
            EXPECT_EQ(times["close"], 50);
            EXPECT_EQ(times.size(), 51u);
            c.disk.commit();
            EXPECT_TRUE(c.until(
                [&] { return c.import->replay_count(true) + c.import->replay_count(false) == 0; }));
        },
        40);
}

// No memory now and then, on both sides: errors, but no hang, leak or crash.
TEST(Import, LittleMemory)
{
    for_seeds(
        [](uint64_t seed) {
            Cluster c(seed);
            c.mount();
            c.client_host.fail_allocations(seed % 2 ? 20 : 0);
            c.server.fail_allocations(seed % 3 ? 20 : 0);
            int done = 0;
            for (int i = 0; i < 4; i++)
                c.client_host.spawn("caller", [&, i] {
                    for (int j = 0; j < 30; j++) {
                        Status s = c.create(std::to_string(i) + "/" + std::to_string(j));
                        EXPECT_TRUE(s.ok() || s.is(kENOMEM)) << s.error();
                    }
                    done++;
                });
            EXPECT_TRUE(c.until([&] { return done == 4; })) << c.world.report();
            c.client_host.fail_allocations(0);
            c.server.fail_allocations(0);
            std::map<std::string, int> times;
            for (auto& [transno, what] : c.disk.log) times[what]++;
            for (auto& [what, n] : times) EXPECT_EQ(n, 1) << what;
        },
        30);
}

TEST(Node, Control)
{
    auto result = sim::run(1, [] {
        auto made = Node::create(sim::world().current_host()->net(), lull_node_options{});
        ASSERT_TRUE(made.ok());
        Node& node = *made.value();
        static uint64_t value;
        value = 5;
        static const Param params[] = {
            {"limit",
             [](void* o, TextSink& out) {
                 out.printf("%llu\n", static_cast<unsigned long long>(*static_cast<uint64_t*>(o)));
                 return out.status();
             },
             [](void* o, Str v) {
                 *static_cast<uint64_t*>(o) = TRY(parse_u64(v));
                 return kOk;
             }},
            {"text",
             [](void*, TextSink& out) {
                 out.append("a: 1\nb: 2\n");
                 return out.status();
             },
             nullptr},
            {"poke", nullptr, [](void*, Str) { return kOk; }},
        };
        Device mdt("mdt", "lull-MDT0000", params, &value),
            osc("osc", "lull-OST0000-osc", params, &value);
        ASSERT_TRUE(node.add_device(mdt).ok());
        EXPECT_TRUE(node.add_device(mdt).is(kEEXIST));
        ASSERT_TRUE(node.add_device(osc).ok());
        auto run = [&](uint32_t command, const char* in, int* error) {
            TextSink out(1000);
            *error = node.control(command, in, out).error();
            return str(out.text());
        };
        int e;
        EXPECT_EQ(run(1, "mdt.*", &e),
                  "mdt.lull-MDT0000.limit\nmdt.lull-MDT0000.text\nmdt.lull-MDT0000.poke\n");
        EXPECT_EQ(run(2, "mdt.*.limit", &e), "mdt.lull-MDT0000.limit=5\n");
        EXPECT_EQ(run(2, "mdt.*.text", &e), "mdt.lull-MDT0000.text=\na: 1\nb: 2\n");
        EXPECT_EQ(run(3, "*.*.limit=77", &e),
                  "mdt.lull-MDT0000.limit\nosc.lull-OST0000-osc.limit\n");
        EXPECT_EQ(value, 77u);
        run(3, "mdt.*.limit=x", &e);
        EXPECT_EQ(e, -kEINVAL);
        run(3, "mdt.*.text=x", &e);
        EXPECT_EQ(e, -kEACCES);
        run(2, "mdt.*.poke", &e);
        EXPECT_EQ(e, -kEACCES);
        run(2, "nothing.*", &e);
        EXPECT_EQ(e, -kENOENT);
        EXPECT_EQ(run(4, "", &e), "  0 UP mdt lull-MDT0000 - 1\n  1 UP osc lull-OST0000-osc - 1\n");
        EXPECT_EQ(run(1, "at_*", &e), "at_min\nat_max\nat_history\n");
        EXPECT_EQ(run(2, "at_min", &e), "at_min=20\n");
        EXPECT_EQ(run(3, "at_max=60", &e), "at_max\n");
        EXPECT_EQ(node.adaptive().max_ms.load(), 60000u);
        run(3, "at_min=0", &e);
        EXPECT_EQ(e, -kERANGE);
        run(5, "no nid", &e);
        EXPECT_EQ(e, -kEINVAL);
        run(9, "", &e);
        EXPECT_EQ(e, -kEINVAL);
        EXPECT_TRUE(node.listen().ok());
        NidText own = to_text(node.transport().own_nid());
        EXPECT_EQ(run(5, own.c_str(), &e).substr(0, 6), "12345-");
        EXPECT_EQ(e, 0);
        node.remove_device(mdt);
        node.remove_device(osc);
        EXPECT_EQ(node.make_uuid().size(), 36u);
    });
    ASSERT_TRUE(result.ok) << result.failure;
}
