// SPDX-License-Identifier: GPL-2.0-only
// A target with real connections, locks and a simulated disk: recovery, exactly once, controlled
// shutdown, start-up check.
#include "target/server_mount.h"
#include "target/tiny_target_test.h"

using namespace lull;
using namespace lull::test;

TEST(Target, ConnectWorkDisconnect)
{
    for_seeds([](uint64_t seed) {
        TinyLab l(seed);
        ASSERT_TRUE(l.start(l.a).ok());
        TinyClient& c = l.mount();
        l.until([&] { return c.last_result == static_cast<uint8_t>(ConnectResult::kNew); });
        l.on(l.host_of(c), [&] {
            EXPECT_TRUE(c.create("x", 1).ok());
            EXPECT_TRUE(c.create("x", 2).is(kEEXIST));
            EXPECT_TRUE(c.stat("x").ok());
            EXPECT_TRUE(c.sync().ok());
            EXPECT_EQ(c.import->replay_count(false), 0u);
        });
        EXPECT_EQ(l.param("num_exports"), "mdt.lull-MDT0000.num_exports=1\n");
        EXPECT_NE(l.param("exports").find("nodename=c0 locks=1 connected=1"), std::string::npos)
            << l.param("exports");
        EXPECT_EQ(l.param("open_files"), "mdt.lull-MDT0000.open_files=0\n");
        EXPECT_NE(l.param("recovery_status").find("INACTIVE"), std::string::npos);
        l.finish();
    });
}

TEST(Target, NobodyLeftIsACleanStop)
{
    TinyLab l(1);
    ASSERT_TRUE(l.start(l.a, 1).ok());
    TinyClient& c = l.mount();
    l.on(l.host_of(c), [&] {
        EXPECT_TRUE(c.create("x", 1).ok());
        c.stop();
    });
    l.until([&] { return l.param("num_exports") == "mdt.lull-MDT0000.num_exports=0\n"; });
    l.stop_server();
    ASSERT_TRUE(l.start(l.b, 2).ok());  // another version: only after a clean stop
    l.finish();
}

// T8 R3.
TEST(Target, CrashAndReplay)
{
    for_seeds(
        [](uint64_t seed) {
            TinyLab l(seed);
            ASSERT_TRUE(l.start(l.a).ok());
            TinyClient& c = l.mount();
            l.on(l.host_of(c), [&] {
                for (uint32_t i = 0; i < 10; i++)
                    EXPECT_TRUE(c.create("f" + std::to_string(i), i + 1).ok());
                EXPECT_TRUE(c.unlink("f3").ok());
            });
            l.crash_server();
            ASSERT_TRUE(l.start(seed % 2 ? l.a : l.b).ok());
            l.until([&] { return c.last_result == static_cast<uint8_t>(ConnectResult::kRecover); });
            l.on(l.host_of(c), [&] {
                for (uint32_t i = 0; i < 10; i++)
                    EXPECT_EQ(c.stat("f" + std::to_string(i)).error(), i == 3 ? -kENOENT : 0) << i;
                EXPECT_TRUE(c.create("new", 100).ok());
            });
            EXPECT_EQ(c.evicted, 0u);
            EXPECT_EQ(l.server->service().recovery_done, 1u);
            EXPECT_NE(l.param("recovery_status").find("completed_clients: 1/1"), std::string::npos)
                << l.param("recovery_status");
            l.finish();
        },
        20);
}

// Connections are reset and the server crashes again and again under load: no call fails, nothing
// is done twice. Invariant 5.
TEST(Target, ExactlyOnceUnderResetsAndCrashes)
{
    for_seeds(
        [](uint64_t seed) {
            TinyLab l(seed);
            ASSERT_TRUE(l.start(l.a).ok());
            TinyClient &c = l.mount(), &d = l.mount();
            Load load(l, c, 1000), other(l, d, 100000);
            for (int round = 0; round < 6; round++) {
                l.world.run_for((50 + seed * 37 % 400) * kMsec);
                if (round % 3 == 2) {
                    l.crash_server();
                    ASSERT_TRUE(l.start(round % 2 ? l.a : l.b).ok());
                    unsigned before = load.done;
                    l.until([&] { return load.done > before + 3; });
                } else {
                    l.world.network().reset_connections(l.server->host, l.host_of(c));
                }
            }
            load.end();
            other.end();
            EXPECT_EQ(c.evicted + d.evicted, 0u);
            l.finish();
        },
        10);
}

// A2 A12 A13 S7 S8 T10 invariants 2 and 4: by one parameter of the server; nothing but opens is
// replayed.
TEST(Target, ControlledShutdownAndResume)
{
    for_seeds(
        [](uint64_t seed) {
            TinyLab l(seed);
            ASSERT_TRUE(l.start(l.a, 1).ok());
            TinyClient &c = l.mount(), &d = l.mount();
            Ref<Call<MdsOpenOp>> open;
            l.on(l.host_of(c), [&] {
                EXPECT_TRUE(c.create("held", 1).ok());
                open = c.open("held");
                EXPECT_TRUE(c.unlink("held").ok());
            });
            Load load(l, c, 1000), other(l, d, 100000);
            l.world.run_for(500 * kMsec);
            uint64_t last = 0;
            ASSERT_TRUE(l.halt());
            last = l.server->target->last_transno();
            EXPECT_EQ(l.server->target->last_committed(), last);
            // The replies are on their way.
            l.until(
                [&] { return c.import->replay_count(false) + d.import->replay_count(false) == 0; },
                1000);
            EXPECT_EQ(l.param("controlled_shutdown"),
                      "mdt.lull-MDT0000.controlled_shutdown=halted\n");
            EXPECT_NE(l.param("controlled_shutdown_status").find("clients_told: 2"),
                      std::string::npos)
                << l.param("controlled_shutdown_status");
            EXPECT_EQ(l.param("open_files"), "error -108");
            // The partner takes over while the halted target is still there for its status.
            std::unique_ptr<TinyServer> halted = std::move(l.server);
            ASSERT_TRUE(l.start(l.b, 2).ok());
            unsigned before = load.done, other_before = other.done;
            l.until([&] { return load.done > before + 5 && other.done > other_before + 5; });
            EXPECT_EQ(c.last_result, static_cast<uint8_t>(ConnectResult::kResume));
            EXPECT_EQ(c.import->protocol(), 2);
            EXPECT_EQ(c.import->stats().replays, 0u);
            EXPECT_EQ(c.import->stats().open_replays, 1u);
            EXPECT_EQ(c.import->stats().resends, 0u);
            EXPECT_EQ(c.evicted + d.evicted, 0u);
            EXPECT_EQ(l.server->service().reserved(), 0u);
            EXPECT_EQ(l.server->service().opens(), 1u);
            EXPECT_EQ(l.param("recovery_status"),
                      "mdt.lull-MDT0000.recovery_status=status: INACTIVE\n");
            load.end();
            other.end();
            l.on(l.host_of(c), [&] {
                EXPECT_TRUE(c.close(open).ok());
                open.reset();
            });
            l.on(l.a, [&] { halted->stop(); });
            l.finish();
        },
        20);
}

// E2 S7 S14.
TEST(Target, CancelWhileDraining)
{
    for_seeds([](uint64_t seed) {
        TinyLab l(seed);
        ASSERT_TRUE(l.start(l.a).ok());
        TinyClient &c = l.mount(), &d = l.mount();
        Load load(l, c, 1000);
        // an operation that takes its time
        l.on(l.host_of(d), [&] { EXPECT_TRUE(d.import->gate().enter().ok()); });
        l.world.run_for(100 * kMsec);
        EXPECT_EQ(l.set_param("controlled_shutdown", "1"), 0);
        EXPECT_EQ(l.set_param("controlled_shutdown", "1"), -kEALREADY);
        l.world.run_for(5 * kSec);
        EXPECT_EQ(l.server->target->shutdown().state(), ShutdownState::kDraining);
        unsigned before = load.done;
        l.world.run_for(kSec);
        EXPECT_LE(load.done, before + 1);
        EXPECT_NE(l.param("controlled_shutdown_status").find("clients_drained: 1"),
                  std::string::npos)
            << l.param("controlled_shutdown_status");
        EXPECT_EQ(l.set_param("controlled_shutdown", "0"), 0);
        l.until([&] { return load.done > before + 10; });
        EXPECT_EQ(l.server->target->shutdown().state(), ShutdownState::kRunning);
        l.on(l.host_of(d), [&] { d.import->gate().leave(); });
        load.end();
        EXPECT_EQ(c.import->stats().reconnects, 0u);
        EXPECT_EQ(c.evicted + d.evicted, 0u);
        // And for good now.
        ASSERT_TRUE(l.halt());
        l.stop_server();
        ASSERT_TRUE(l.start(l.a).ok());
        l.on(l.host_of(d), [&] { EXPECT_TRUE(d.create("after", 7).ok()); });
        l.finish();
    });
}

// S12 T3.
TEST(Target, LateClientIsEvictedAndNamed)
{
    for_seeds([](uint64_t seed) {
        TinyLab l(seed);
        ASSERT_TRUE(l.start(l.a).ok());
        TinyClient &c = l.mount(), &d = l.mount();
        d.barred = true;
        l.on(l.host_of(d), [&] { EXPECT_TRUE(d.create("x", 1).ok()); });
        EXPECT_EQ(l.set_param("controlled_shutdown_soft_ms", "3000"), 0);
        ASSERT_TRUE(l.halt(20000));
        std::string status = l.param("controlled_shutdown_status");
        EXPECT_NE(status.find("clients_late: 1"), std::string::npos) << status;
        EXPECT_NE(status.find("late: c1"), std::string::npos) << status;
        l.stop_server();
        ASSERT_TRUE(l.start(l.a).ok());
        l.until([&] { return d.evicted == 1; });
        l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("y", 2).ok()); });
        EXPECT_EQ(c.evicted, 0u);
        l.finish();
    });
}

namespace {

// Cached as a client caches anything; how many the target says it has given.
Result<uint64_t> take_lock(TinyClient& c, uint64_t n)
{
    auto call = make_ref<Call<LdlmEnqueueOp>>();
    call->op.resource = ResourceId{{n, 5}};
    call->op.type = static_cast<uint8_t>(LockType::kPlain);
    call->op.mode = static_cast<uint8_t>(LockMode::kPR);
    call->op.client_handle = n;
    TRY(c.import->call(*call));
    return call->reply.server_handle;
}

Status give_back(TinyClient& c, uint64_t handle)
{
    auto call = make_ref<Call<LdlmCancelOp>>();
    if (handle) TRY(call->op.server_handles.push_back(handle));
    return c.import->call(*call);
}

}  // namespace

// Invariant 11: cancels of nothing are no progress; a drain that waits for them takes minutes.
TEST(Target, EmptyCancelsDoNotExtendTheDrain)
{
    for_seeds([](uint64_t seed) {
        TinyLab l(seed);
        ASSERT_TRUE(l.start(l.a).ok());
        TinyClient& c = l.mount();
        l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("w", 2).ok()); });
        c.barred = true;
        bool stop = false;
        auto hostile = l.host_of(c).spawn("hostile", [&] {
            for (uint64_t n = 0; !stop; n++) {
                (void)give_back(c, n % 2);  // nothing, or what it never had
                kapi_sleep_ns(200 * kMsec);
            }
        });
        EXPECT_EQ(l.set_param("controlled_shutdown_soft_ms", "3000"), 0);
        ASSERT_TRUE(l.halt(10000));
        std::string status = l.param("controlled_shutdown_status");
        EXPECT_NE(status.find("clients_late: 1"), std::string::npos) << status;
        stop = true;
        l.stop_server();
        ASSERT_TRUE(l.start(l.a).ok());
        l.until([&] { return sim::World::finished(hostile); });
        l.finish();
    });
}

// S12: who is busy with its drain is waited for beyond the soft limit.
TEST(Target, ProgressExtendsTheDrain)
{
    for_seeds([](uint64_t seed) {
        TinyLab l(seed);
        ASSERT_TRUE(l.start(l.a).ok());
        TinyClient& c = l.mount();
        c.barred = true;
        std::vector<uint64_t> locks;
        l.on(l.host_of(c), [&] {
            EXPECT_TRUE(c.create("w", 2).ok());
            for (uint64_t n = 1; n <= 8; n++) locks.push_back(take_lock(c, n).value());
        });
        EXPECT_EQ(l.set_param("controlled_shutdown_soft_ms", "3000"), 0);
        EXPECT_EQ(l.set_param("controlled_shutdown", "1"), 0);
        Shutdown& shutdown = l.server->target->shutdown();
        l.until([&] { return shutdown.state() == ShutdownState::kDraining; });
        l.on(l.host_of(c), [&] {
            for (uint64_t handle : locks) {
                kapi_sleep_ns(1500 * kMsec);
                EXPECT_TRUE(give_back(c, handle).ok());
            }
        });
        EXPECT_EQ(shutdown.state(), ShutdownState::kDraining);
        c.barred = false;
        l.world.network().reset_connections(l.a, l.host_of(c));  // told again
        l.until([&] { return l.server->target->halted(); });
        std::string status = l.param("controlled_shutdown_status");
        EXPECT_NE(status.find("clients_late: 0"), std::string::npos) << status;
        l.stop_server();
        ASSERT_TRUE(l.start(l.a).ok());
        l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("x", 1).ok()); });
        EXPECT_EQ(c.evicted, 0u);
        l.finish();
    });
}

// T7: who is away when the shutdown begins, with nothing but what is committed by the end of it,
// resumes at the next instance, and has nothing to replay.
TEST(Target, AbsentClientResumes)
{
    for_seeds([](uint64_t seed) {
        TinyLab l(seed);
        ASSERT_TRUE(l.start(l.a).ok());
        TinyClient &c = l.mount(), &away = l.mount();
        sim::Host& host = l.host_of(away);
        l.on(host, [&] { EXPECT_TRUE(away.create("x", 1).ok()); });
        EXPECT_EQ(l.set_param("controlled_shutdown_soft_ms", "3000"), 0);
        l.world.network().cut(host, l.a);
        l.world.network().reset_connections(host, l.a);
        ASSERT_TRUE(l.halt(20000));
        l.stop_server();
        l.world.network().heal(host, l.a);
        ASSERT_TRUE(l.start(l.a).ok());
        l.on(host, [&] {
            EXPECT_TRUE(away.stat("x").ok());
            EXPECT_TRUE(away.create("y", 2).ok());
        });
        EXPECT_EQ(c.evicted + away.evicted, 0u);
        EXPECT_EQ(away.last_result, static_cast<uint8_t>(ConnectResult::kResume));
        EXPECT_EQ(away.import->stats().replays, 0u);
        l.finish();
    });
}

// T9: who comes while the target halts waits, and succeeds at the next instance.
TEST(Target, NewClientDuringShutdown)
{
    for_seeds([](uint64_t seed) {
        TinyLab l(seed);
        ASSERT_TRUE(l.start(l.a).ok());
        TinyClient& c = l.mount();
        l.on(l.host_of(c), [&] { EXPECT_TRUE(c.import->gate().enter().ok()); });
        EXPECT_EQ(l.set_param("controlled_shutdown", "1"), 0);
        l.until([&] { return l.server->target->shutdown().state() == ShutdownState::kDraining; });
        auto late = std::make_unique<TinyClient>();
        sim::Host& host = l.world.host("late");
        Status s = -kEINPROGRESS;
        auto* task =
            host.spawn("mount", [&] { s = late->start(host.net(), "late", {l.a.address()}); });
        l.world.run_for(2 * kSec);
        EXPECT_TRUE(s.is(kEINPROGRESS));
        l.on(l.host_of(c), [&] { c.import->gate().leave(); });
        l.until([&] { return l.server->target->halted(); });
        l.stop_server();
        ASSERT_TRUE(l.start(l.a).ok());
        l.until([&] { return sim::World::finished(task); });
        EXPECT_TRUE(s.ok()) << s.error();
        l.on(host, [&] { late->stop(); });
        l.finish();
    });
}

// B1: a client that died before the halt delays nobody after it; what it had is given up at its
// deadline.
TEST(Target, DeadClientAfterCleanHalt)
{
    for_seeds([](uint64_t seed) {
        TinyLab l(seed);
        ASSERT_TRUE(l.start(l.a).ok());
        TinyClient &c = l.mount(), &d = l.mount();
        l.on(l.host_of(d), [&] {
            EXPECT_TRUE(d.create("x", 1).ok());
            EXPECT_TRUE(d.open("x"));
        });
        ASSERT_TRUE(l.halt());
        l.drop(d);
        l.stop_server();
        ASSERT_TRUE(l.start(l.a).ok());
        EXPECT_FALSE(l.server->target->recovering());
        uint64_t began = l.world.now_ns();
        l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("y", 2).ok()); });
        EXPECT_LT(l.world.now_ns() - began, 10 * kSec);
        EXPECT_EQ(l.server->service().reserved(), 1u);
        EXPECT_TRUE(l.server->target->is_expected(UuidText(Str())) == false);
        EXPECT_NE(l.param("recovery_status").find("reserved_clients: 1"), std::string::npos);
        EXPECT_EQ(l.server->service().recovery_done, 0u);
        EXPECT_EQ(l.set_param("reservation_ms", "30000"), 0);
        l.until([&] { return l.server->service().reserved() == 0; });
        EXPECT_EQ(l.server->service().recovery_done, 1u);
        l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("z", 3).ok()); });
        l.finish();
    });
}

// R2 R3 R4 A7.
TEST(Target, RecoveryWindowWithADeadClient)
{
    for_seeds([](uint64_t seed) {
        TinyLab l(seed);
        ASSERT_TRUE(l.start(l.a).ok());
        TinyClient &c = l.mount(), &d = l.mount();
        l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("x", 1).ok()); });
        l.on(l.host_of(d), [&] { EXPECT_TRUE(d.create("y", 2).ok()); });
        std::string lost = str(d.import->options().client_uuid);
        l.drop(d);
        l.crash_server();
        ASSERT_TRUE(l.start(l.a).ok());
        uint64_t began = l.world.now_ns();
        EXPECT_EQ(l.set_param("controlled_shutdown", "1"), -kEBUSY);
        l.world.run_for(5 * kSec);
        EXPECT_NE(l.param("recovery_status").find("connected_clients: 1/2"), std::string::npos)
            << l.param("recovery_status");
        EXPECT_NE(l.param("recovery_status").find("missing: " + lost + " (c1)"), std::string::npos);
        bool by_hand = seed % 2;
        if (by_hand) {
            EXPECT_EQ(l.set_param("abort_recov", "1"), 0);
        }
        l.on(l.host_of(c), [&] { EXPECT_TRUE(c.stat("x").ok()); });
        uint64_t took = (l.world.now_ns() - began) / kSec;
        if (by_hand) {
            EXPECT_LT(took, 30u);
        } else {
            EXPECT_GE(took, 59u);
            EXPECT_LT(took, 70u);
        }
        EXPECT_EQ(c.evicted, 0u);
        EXPECT_NE(l.param("recovery_status").find("status: COMPLETE"), std::string::npos);
        EXPECT_NE(l.param("recovery_status").find("evicted: " + lost), std::string::npos);
        EXPECT_FALSE(l.server->target->recovering());
        l.finish();
    });
}

// The connection breaks while the window waits for another client: whoever was not done goes on
// with its recovery. R2, invariant 1.
TEST(Target, ConnectionsBreakInTheWindow)
{
    for_seeds([](uint64_t seed) {
        TinyLab l(seed);
        ASSERT_TRUE(l.start(l.a).ok());
        TinyClient &c = l.mount(), &late = l.mount();
        l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("x", 1).ok()); });
        l.on(l.host_of(late), [&] { EXPECT_TRUE(late.create("y", 2).ok()); });
        l.world.network().cut(l.a, l.host_of(late));
        l.crash_server();
        ASSERT_TRUE(l.start(l.a).ok());
        for (int i = 0; i < 3; i++) {
            l.world.run_for(5 * kSec);
            EXPECT_NE(l.param("recovery_status").find("connected_clients: 1/2"), std::string::npos)
                << l.param("recovery_status");
            l.world.network().reset_connections(l.a, l.host_of(c));
        }
        l.world.network().heal(l.a, l.host_of(late));
        l.on(l.host_of(c), [&] { EXPECT_TRUE(c.stat("x").ok()); });
        l.on(l.host_of(late), [&] { EXPECT_TRUE(late.stat("y").ok()); });
        EXPECT_EQ(c.evicted + late.evicted, 0u);
        l.finish();
    });
}

TEST(Target, SilentClientIsEvicted)
{
    TinyLab l(3);
    ASSERT_TRUE(l.start(l.a).ok());
    TinyClient &c = l.mount(), &d = l.mount();
    l.drop(d);
    l.until([&] { return l.param("num_exports") == "mdt.lull-MDT0000.num_exports=1\n"; }, 60000);
    EXPECT_EQ(l.set_param("evict_client", "nid:10.0.0.99@tcp"), -kENOENT);
    EXPECT_EQ(l.set_param("evict_client", str(c.import->options().client_uuid)), 0);
    l.until([&] { return c.evicted == 1 && c.import->state() == ImportState::kFull; });
    l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("x", 1).ok()); });
    l.finish();
}

// One client's record takes the disk for longer than anybody may be silent; another one, who comes
// back meanwhile, waits behind it.
TEST(Target, SlowDiskEvictsNobody)
{
    for_seeds([](uint64_t seed) {
        TinyLab l(seed);
        ASSERT_TRUE(l.start(l.a).ok());
        TinyClient& c = l.mount();
        l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("x", 1).ok()); });
        l.disk.set_slow_ns(15 * kSec, 15 * kSec);
        sim::Host& host = l.world.host("late");
        TinyClient d;
        auto* mounting = host.spawn("mount", [&] {
            EXPECT_TRUE(d.start(host.net(), "late", {l.a.address(), l.b.address()}).ok());
        });
        l.world.run_for(kSec);
        l.world.network().reset_connections(l.a, l.host_of(c));
        EXPECT_TRUE(l.until([&] { return sim::World::finished(mounting); }));
        l.world.run_for(10 * kSec);
        l.disk.set_slow_ns(0, 500000);
        EXPECT_TRUE(l.until([&] { return c.import->state() == ImportState::kFull; }));
        EXPECT_EQ(c.evicted, 0u);
        l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("y", 2).ok()); });
        l.on(host, [&] { d.stop(); });
        l.finish();
    });
}

// A4 A13 S10 invariant 7.
TEST(Target, VersionCheck)
{
    TinyLab l(1);
    Text<200> why;
    ASSERT_TRUE(l.start(l.a, 1).ok());
    TinyClient& c = l.mount();
    l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("x", 1).ok()); });
    l.crash_server();
    EXPECT_TRUE(l.start(l.a, 2, {}, &why).is(kEPROTONOSUPPORT));
    EXPECT_NE(std::string(why.c_str()).find("-o force"), std::string::npos) << why.c_str();
    EXPECT_EQ(c.evicted, 0u);
    StartOptions force;
    force.force = true;
    ASSERT_TRUE(l.start(l.a, 2, force).ok());
    // It had a create to replay: that cannot be carried over (A13).
    l.until([&] { return c.evicted == 1 && c.import->state() == ImportState::kFull; });
    EXPECT_EQ(c.import->protocol(), 2);
    // A clean downgrade evicts (S10).
    ASSERT_TRUE(l.halt());
    l.stop_server();
    ASSERT_TRUE(l.start(l.a, 1).ok());
    l.until([&] { return c.evicted == 2 && c.import->state() == ImportState::kFull; });
    EXPECT_EQ(c.import->protocol(), 1);
    l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("y", 2).ok()); });
    l.finish();
}

TEST(Target, ForcedUmountEvicts)
{
    TinyLab l(1);
    ASSERT_TRUE(l.start(l.a).ok());
    TinyClient& c = l.mount();
    l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("x", 1).ok()); });
    l.stop_server(true);
    ASSERT_TRUE(l.start(l.a).ok());
    EXPECT_FALSE(l.server->target->recovering());
    l.until([&] { return c.evicted == 1 && c.import->state() == ImportState::kFull; });
    l.on(l.host_of(c), [&] { EXPECT_TRUE(c.stat("x").ok()); });
    l.finish();
}

// Invariant 8: a crash after any disk step of a controlled shutdown, or of the start after it, is
// an ordinary crash. T8 invariant 8.
TEST(Target, CrashAtEveryStepOfAShutdownAndRestart)
{
    bool crashed = true;
    for (uint64_t n = 1; crashed; n++) {
        SCOPED_TRACE(n);
        TinyLab l(n);
        ASSERT_TRUE(l.start(l.a).ok());
        TinyClient& c = l.mount();
        Ref<Call<MdsOpenOp>> open;
        l.on(l.host_of(c), [&] {
            EXPECT_TRUE(c.create("x", 1).ok());
            open = c.open("x");
        });
        Load load(l, c, 1000);
        // The steps shall be the shutdown's: the tiny service cannot repeat half an operation.
        EXPECT_EQ(l.set_param("controlled_shutdown_warm_ms", "0"), 0);
        l.world.run_for(30 * kMsec);
        l.disk.crash_at_step(n);
        (void)l.a.spawn("halt", [&] { (void)l.server->target->begin_shutdown(); });
        l.until([&] { return !l.a.up() || l.server->target->halted(); });
        if (l.a.up()) {
            auto* t = l.a.spawn("restart", [&] {
                l.server->stop();
                Text<200> why;
                EXPECT_TRUE(l.server->start(2, {}, &why).ok());
            });
            l.until([&] { return !l.a.up() || sim::World::finished(t); });
        }
        crashed = !l.a.up();
        if (crashed) {
            l.crash_server();
            l.disk.crash_at_step(0);
            ASSERT_TRUE(l.start(l.a).ok());
        }
        l.disk.crash_at_step(0);
        unsigned before = load.done;
        l.until([&] { return load.done > before + 3; });
        load.end();
        l.on(l.host_of(c), [&] {
            EXPECT_TRUE(c.close(open).ok());
            open.reset();
        });
        EXPECT_EQ(c.evicted, 0u);
        l.finish();
        if (testing::Test::HasFailure()) return;
        ASSERT_LT(n, 200u);
    }
}

TEST(Target, CommitErrorGoesBackToService)
{
    TinyLab l(5);
    ASSERT_TRUE(l.start(l.a).ok());
    TinyClient& c = l.mount();
    l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("x", 1).ok()); });
    l.disk.fail_next_sync(-kENOMEM);
    EXPECT_EQ(l.set_param("controlled_shutdown", "1"), 0);
    l.until([&] { return !l.server->target->shutdown().last_error().empty(); });
    EXPECT_EQ(l.server->target->shutdown().state(), ShutdownState::kRunning);
    l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("y", 2).ok()); });
    EXPECT_EQ(c.import->stats().reconnects, 0u);
    ASSERT_TRUE(l.halt());
    l.stop_server();
    ASSERT_TRUE(l.start(l.a).ok());
    l.finish();
}

// After a failed sync nobody knows what is durable: no answer may be given, the next instance gets
// everything again.
TEST(Target, LostStoreAnswersNobody)
{
    TinyLab l(5);
    ASSERT_TRUE(l.start(l.a).ok());
    TinyClient& c = l.mount();
    l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("x", 1).ok()); });
    l.disk.fail_next_sync(-kEIO);
    EXPECT_NE(l.set_param("commit", "1"), 0);
    EXPECT_EQ(l.param("store_lost"), "mdt.lull-MDT0000.store_lost=1\n");
    Status made = -kEINVAL;
    l.host_of(c).spawn("create", [&] { made = c.create("y", 2); });
    l.world.run_for(5 * kSec);
    EXPECT_EQ(made.error(), -kEINVAL);
    l.stop_server();
    ASSERT_TRUE(l.start(l.a).ok());
    l.until([&] { return made.ok(); });
    l.on(l.host_of(c), [&] { EXPECT_TRUE(c.stat("x").ok()); });
    l.finish();
}

// Each allocation of a start fails once: an error and nothing left, or it goes on without.
TEST(Target, StartWithoutMemory)
{
    TinyLab l(1);
    unsigned failed = 0, n = 1;
    for (;; n++) {
        SCOPED_TRACE(n);
        l.a.fail_allocation_nth(n);
        Text<200> why;
        bool ok = l.start(l.a, 2, {}, &why).ok();
        l.a.fail_allocation_nth(0);
        failed += !ok;
        l.stop_server();
        l.a.shutdown_clean();
        l.a.boot();
        if (ok && n > 200) break;
        ASSERT_LT(n, 1000u);
    }
    EXPECT_GT(failed, 20u);
}

// The same for a shutdown: it goes through, or service goes on and the next attempt goes through.
TEST(Target, ShutdownWithoutMemory)
{
    unsigned failed = 0;
    for (unsigned n = 1; n <= 120; n++) {
        SCOPED_TRACE(n);
        TinyLab l(n);
        ASSERT_TRUE(l.start(l.a).ok());
        TinyClient& c = l.mount();
        Ref<Call<MdsOpenOp>> open;
        l.on(l.host_of(c), [&] {
            EXPECT_TRUE(c.create("x", 1).ok());
            open = c.open("x");
        });
        l.on(l.a, [&] {
            l.a.fail_allocation_nth(n);
            (void)l.server->target->begin_shutdown();
        });
        Shutdown& machine = l.server->target->shutdown();
        l.until([&] {
            return machine.state() == ShutdownState::kHalted ||
                   machine.state() == ShutdownState::kRunning;
        });
        l.a.fail_allocation_nth(0);
        if (machine.state() == ShutdownState::kRunning) {
            failed++;
            ASSERT_TRUE(l.halt());
        }
        l.stop_server();
        ASSERT_TRUE(l.start(l.a).ok());
        l.on(l.host_of(c), [&] {
            EXPECT_TRUE(c.stat("x").ok());
            EXPECT_TRUE(c.close(open).ok());
            open.reset();
        });
        EXPECT_EQ(c.evicted, 0u);
        l.finish();
        if (testing::Test::HasFailure()) return;
    }
    EXPECT_GT(failed, 5u);
}

TEST(Target, MountErrors)
{
    TinyLab l(1);
    Text<200> why;
    ASSERT_TRUE(l.start(l.a).ok());
    std::unique_ptr<TinyServer> running = std::move(l.server);
    EXPECT_TRUE(l.start(l.b, 2, {}, &why).is(kEBUSY));
    EXPECT_NE(std::string(why.c_str()).find("in use"), std::string::npos) << why.c_str();
    l.on(l.a, [&] { running->stop(); });
    StartOptions options;
    EXPECT_TRUE(parse_start_options("force,abort_recov,rw", &options, &why).ok());
    EXPECT_TRUE(options.force && options.abort_recov);
    EXPECT_TRUE(
        parse_start_options("recovery_time_soft=30,recovery_time_hard=90", &options, &why).ok());
    EXPECT_EQ(options.recovery_soft_ms, 30000u);
    EXPECT_EQ(options.recovery_hard_ms, 90000u);
    EXPECT_TRUE(parse_start_options("recovery_time_soft=0", &options, &why).is(kEINVAL));
    EXPECT_TRUE(parse_start_options("recovery_time_hard=abc", &options, &why).is(kEINVAL));
    EXPECT_TRUE(parse_start_options("nonsense", &options, &why).is(kEINVAL));
    EXPECT_NE(std::string(why.c_str()).find("nonsense"), std::string::npos);
}
