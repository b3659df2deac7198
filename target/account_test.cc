// SPDX-License-Identifier: GPL-2.0-only
// What an administrator asks a target before, during and after a controlled shutdown, and clients
// that know nothing of such a thing.
#include "target/tiny_target_test.h"

#include <cstdlib>

using namespace lull;
using namespace lull::test;

namespace {

// The number behind "name " in a line of text; -1: not there.
long number_after(const std::string& text, const std::string& name)
{
    size_t at = text.find(name + " ");
    return at == std::string::npos ? -1 : std::atol(text.c_str() + at + name.size() + 1);
}

}  // namespace

// B5: what it would cost is told, and nothing has begun.
TEST(TargetAccount, EstimateWithoutStarting)
{
    TinyLab l(1);
    ASSERT_TRUE(l.start(l.a).ok());
    TinyClient &c = l.mount(), &d = l.mount();
    l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("x", 1).ok()); });
    std::string told = l.param("controlled_shutdown_estimate");
    EXPECT_NE(told.find("clients: 2\n"), std::string::npos) << told;
    EXPECT_NE(told.find("clients_away: 0\n"), std::string::npos) << told;
    EXPECT_GE(number_after(told, "locks:"), 2) << told;
    EXPECT_NE(told.find("uncommitted_transactions: yes\n"), std::string::npos) << told;
    EXPECT_EQ(l.set_param("commit", "1"), 0);
    told = l.param("controlled_shutdown_estimate");
    EXPECT_NE(told.find("uncommitted_transactions: no\n"), std::string::npos) << told;
    EXPECT_EQ(l.server->target->shutdown().state(), ShutdownState::kRunning);
    EXPECT_EQ(c.active->grants() + d.active->grants(), 2u);  // nobody was asked for anything
    l.finish();
}

// T2: everything answered is on the disk when the command returns, and the client is told with its
// next answer.
TEST(TargetAccount, CommitOnDemand)
{
    TinyLab l(1);
    ASSERT_TRUE(l.start(l.a).ok());
    TinyClient& c = l.mount();
    EXPECT_EQ(l.set_param("commit_interval_ms", "600000"), 0);
    l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("x", 1).ok()); });
    EXPECT_LT(l.server->target->last_committed(), l.server->target->last_transno());
    EXPECT_EQ(c.import->replay_count(false), 1u);
    EXPECT_EQ(l.set_param("commit", "1"), 0);
    EXPECT_EQ(l.server->target->last_committed(), l.server->target->last_transno());
    l.on(l.host_of(c), [&] { EXPECT_TRUE(c.stat("x").ok()); });
    EXPECT_EQ(c.import->replay_count(false), 0u);
    l.finish();
}

// B4: the halted instance and the next one tell the same times of the same shutdown; T6: nothing
// was configured in between.
TEST(TargetAccount, PhasesOnBothSidesOfTheRestart)
{
    for_seeds(
        [](uint64_t seed) {
            TinyLab l(seed);
            ASSERT_TRUE(l.start(l.a).ok());
            TinyClient& c = l.mount();
            l.on(l.host_of(c), [&] {
                EXPECT_TRUE(c.create("x", 1).ok());
                EXPECT_TRUE(c.import->gate().enter().ok());  // an operation that takes two seconds
            });
            EXPECT_EQ(l.set_param("controlled_shutdown", "1"), 0);
            l.world.run_for(2 * kSec);
            l.on(l.host_of(c), [&] { c.import->gate().leave(); });
            l.until([&] { return l.server->target->halted(); });
            l.until([&] { return l.server->target->shutdown().state() == ShutdownState::kHalted; });
            std::string before = l.param("controlled_shutdown_status");
            EXPECT_GE(number_after(before, "drain"), 1000) << before;
            l.stop_server();
            l.world.run_for(3 * kSec);
            ASSERT_TRUE(l.start(l.b).ok());
            l.on(l.host_of(c), [&] { EXPECT_TRUE(c.create("y", 2).ok()); });
            std::string after = l.param("controlled_shutdown_status");
            ASSERT_NE(after.find("previous: "), std::string::npos) << after;
            after = after.substr(after.find("previous: "));
            for (const char* phase : {"warm", "notify", "drain"})
                EXPECT_EQ(number_after(before, phase), number_after(after, phase)) << phase;
            EXPECT_GE(number_after(after, "down"), 3000) << after;
            EXPECT_GE(number_after(after, "start"), 0) << after;
            EXPECT_GE(number_after(after, "reconnect"), 0) << after;
            l.finish();
        },
        10);
}

// S1: a client without the connect flag holds nothing up, is named, loses nothing and is not
// evicted: it sees a restart.
TEST(TargetAccount, ClientWithoutTheFeature)
{
    for_seeds(
        [](uint64_t seed) {
            TinyLab l(seed);
            ASSERT_TRUE(l.start(l.a).ok());
            TinyClient &old = l.mount(2, 0), &c = l.mount();
            Load load(l, old, 1000);
            l.world.run_for(500 * kMsec);
            ASSERT_TRUE(l.halt(60000));
            std::string status = l.param("controlled_shutdown_status");
            EXPECT_NE(status.find("clients_told: 1\n"), std::string::npos) << status;
            EXPECT_NE(status.find("clients_without_update_lock: 1\nnot_told: c0"),
                      std::string::npos)
                << status;
            l.stop_server();
            ASSERT_TRUE(l.start(l.b).ok());
            unsigned before = load.done;
            l.until([&] { return load.done > before + 10; });
            load.end();
            EXPECT_EQ(old.evicted + c.evicted, 0u);
            l.finish();
        },
        20);
}

// T4 S14: once the shutdown commits, nothing is executed any more, whoever sends it; here a client
// that cannot be told goes on sending.
TEST(TargetAccount, NothingIsExecutedOnceQuiesced)
{
    for_seeds([](uint64_t seed) {
        TinyLab l(seed);
        ASSERT_TRUE(l.start(l.a).ok());
        TinyClient& old = l.mount(2, 0);
        Load load(l, old, 1000);
        l.world.run_for(500 * kMsec);
        l.disk.set_slow_ns(300 * kMsec, 300 * kMsec);  // there is time to send in
        EXPECT_EQ(l.set_param("controlled_shutdown", "1"), 0);
        Shutdown& shutdown = l.server->target->shutdown();
        l.until([&] { return shutdown.state() == ShutdownState::kClean; });
        uint64_t last = l.server->target->last_transno();
        l.until([&] { return shutdown.state() == ShutdownState::kHalted; });
        EXPECT_EQ(l.server->target->last_transno(), last);
        EXPECT_EQ(l.server->target->last_committed(), last);
        l.disk.set_slow_ns(0, 500000);
        l.stop_server();
        ASSERT_TRUE(l.start(l.a).ok());
        unsigned before = load.done;
        l.until([&] { return load.done > before + 5; });
        load.end();
        EXPECT_EQ(old.evicted, 0u);
        l.finish();
    });
}
