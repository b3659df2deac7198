// SPDX-License-Identifier: GPL-2.0-only
// Every row of the table in gate.h, signals, GateScope's all or nothing.
#include "ptlrpc/gate.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "kapi/sim/world.h"

using namespace lull;

namespace {

// Runs the same story under several schedules.
void with_gate(uint32_t closed_for, const std::function<void(Gate&)>& story)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        auto result = sim::run(seed, [&] {
            auto gate = Gate::create(closed_for);
            ASSERT_TRUE(gate.ok());
            story(*gate.value());
        });
        ASSERT_TRUE(result.ok) << result.failure;
    }
}

// A task that enters, stays until told, and leaves.
struct Visitor {
    sim::TaskHandle task;
    bool inside = false, go = false, done = false;
    Status status;
    explicit Visitor(Gate& gate, WaitMode mode = WaitMode::kInterruptible)
    {
        task = sim::world().current_host()->spawn("visitor", [this, &gate, mode] {
            status = gate.enter(mode);
            if (status.ok()) {
                inside = true;
                while (!go) kapi_sleep_ns(kMsec);
                gate.leave();
                inside = false;
            }
            done = true;
        });
    }
    ~Visitor()
    {
        go = true;
        wait([this] { return done; });
    }
    static void wait(const std::function<bool()>& p, uint64_t ms = 10000)
    {
        for (uint64_t end = now_ns() + ms * kMsec; !p() && now_ns() < end;) kapi_sleep_ns(kMsec);
    }
};

}  // namespace

TEST(Gate, OpenLetsEverybodyIn)
{
    with_gate(0, [](Gate& g) {
        EXPECT_EQ(g.state(), Gate::State::kOpen);
        EXPECT_TRUE(g.enter().ok());
        EXPECT_TRUE(g.try_enter().ok());
        g.leave();
        g.leave();
    });
}

TEST(Gate, NewGateIsParkedForItsReason)
{
    with_gate(Gate::kActiveLock, [](Gate& g) {
        EXPECT_EQ(g.state(), Gate::State::kParked);
        EXPECT_EQ(g.reasons(), Gate::kActiveLock);
        EXPECT_TRUE(g.try_enter().is(kEPark));
        Visitor v(g);
        Visitor::wait([&] { return g.waiting() == 1; });
        EXPECT_EQ(g.waiting(), 1u);
        kapi_sleep_ns(50 * kMsec);
        g.reopen(Gate::kActiveLock);
        Visitor::wait([&] { return v.inside; });
        EXPECT_TRUE(v.inside);
        EXPECT_GE(g.longest_wait_ns(), 50 * kMsec);
        g.reset_longest_wait();
        EXPECT_EQ(g.longest_wait_ns(), 0u);
    });
}

// A8 A11.
TEST(Gate, CloseWaitsForThoseInside)
{
    with_gate(0, [](Gate& g) {
        Visitor v(g);
        Visitor::wait([&] { return v.inside; });
        g.close(Gate::kActiveLock);
        EXPECT_EQ(g.state(), Gate::State::kClosing);
        EXPECT_TRUE(g.wait_parked(deadline_after_ms(100)).is(kETIMEDOUT));
        EXPECT_TRUE(g.try_enter().is(kEPark));
        v.go = true;
        EXPECT_TRUE(g.wait_parked(deadline_after_ms(1000)).ok());
        EXPECT_EQ(g.state(), Gate::State::kParked);
    });
}

TEST(Gate, ReopenWhileClosingCancels)
{
    with_gate(0, [](Gate& g) {
        Visitor inside(g);
        Visitor::wait([&] { return inside.inside; });
        g.close(Gate::kActiveLock);
        Visitor waiting(g);
        Visitor::wait([&] { return g.waiting() == 1; });
        bool ended = false;
        Status s;
        sim::world().current_host()->spawn("closer", [&] {
            s = g.wait_parked(kForever);
            ended = true;
        });
        kapi_sleep_ns(5 * kMsec);
        g.reopen(Gate::kActiveLock);
        Visitor::wait([&] { return waiting.inside && ended; });
        EXPECT_TRUE(waiting.inside);
        EXPECT_TRUE(s.is(kECANCELED)) << s.error();
        EXPECT_EQ(g.state(), Gate::State::kOpen);
    });
}

// T1.
TEST(Gate, ReasonsAreIndependent)
{
    with_gate(0, [](Gate& g) {
        g.close(Gate::kActiveLock);
        g.close(Gate::kBarrier);
        g.reopen(Gate::kActiveLock);
        EXPECT_TRUE(g.try_enter().is(kEPark));
        EXPECT_EQ(g.reasons(), Gate::kBarrier);
        EXPECT_TRUE(g.wait_parked(deadline_after_ms(100)).ok());
        g.reopen(Gate::kBarrier);
        EXPECT_TRUE(g.try_enter().ok());
        g.leave();
    });
}

TEST(Gate, ShutFailsEverybody)
{
    with_gate(0, [](Gate& g) {
        g.close(Gate::kActiveLock);
        Visitor v(g);
        Visitor::wait([&] { return g.waiting() == 1; });
        g.shut(-kESHUTDOWN);
        Visitor::wait([&] { return v.done; });
        EXPECT_TRUE(v.status.is(kESHUTDOWN));
        EXPECT_TRUE(g.enter().is(kESHUTDOWN));
        EXPECT_TRUE(g.try_enter().is(kESHUTDOWN));
        g.reopen(Gate::kActiveLock);
        EXPECT_EQ(g.state(), Gate::State::kShut);
        EXPECT_TRUE(g.wait_parked(kForever).is(kESHUTDOWN));
    });
}

// A9.
TEST(Gate, SignalsByMode)
{
    with_gate(Gate::kActiveLock, [](Gate& g) {
        Visitor interruptible(g, WaitMode::kInterruptible), killable(g, WaitMode::kKillable);
        Visitor::wait([&] { return g.waiting() == 2; });
        sim::world().signal(interruptible.task, false);
        sim::world().signal(killable.task, false);
        Visitor::wait([&] { return interruptible.done; });
        EXPECT_TRUE(interruptible.status.is(kERESTARTSYS));
        kapi_sleep_ns(10 * kMsec);
        EXPECT_FALSE(killable.done);
        sim::world().signal(killable.task, true);
        Visitor::wait([&] { return killable.done; });
        EXPECT_TRUE(killable.status.is(kERESTARTSYS));
        EXPECT_EQ(g.waiting(), 0u);
    });
}

// Who waits, and who comes, is sent away; the other reasons go on as ever.
TEST(Gate, NobodyWaitsForWhatIsInactive)
{
    with_gate(Gate::kActiveLock, [](Gate& gate) {
        Visitor waits(gate, WaitMode::kUninterruptible);
        kapi_sleep_ns(5 * kMsec);
        EXPECT_FALSE(waits.done);
        gate.close(Gate::kInactive);
        kapi_sleep_ns(5 * kMsec);
        EXPECT_TRUE(waits.done && waits.status.is(kEIO));
        EXPECT_TRUE(gate.try_enter().is(kEIO));
        EXPECT_TRUE(gate.wait_open(WaitMode::kInterruptible, false).is(kEIO));
        Gate* const both[] = {&gate, nullptr};
        GateScope scope;
        EXPECT_TRUE(scope.enter(both).is(kEIO));
        EXPECT_TRUE(gate.wait_parked(now_ns() + kSec).ok());
        gate.reopen(Gate::kActiveLock);
        EXPECT_TRUE(gate.enter().is(kEIO));
        gate.reopen(Gate::kInactive);
        EXPECT_TRUE(gate.try_enter().ok());
        gate.leave();
    });
}

// A8.
TEST(GateScope, AllOrNothing)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        auto result = sim::run(seed, [] {
            auto a = Gate::create(0), b = Gate::create(Gate::kActiveLock);
            ASSERT_TRUE(a.ok() && b.ok());
            bool entered = false, go = false, done = false;
            sim::world().current_host()->spawn("operation", [&] {
                GateScope scope;
                Gate* gates[] = {a.value().get(), nullptr, b.value().get(), a.value().get()};
                EXPECT_TRUE(scope.enter(gates).ok());
                entered = true;
                while (!go) kapi_sleep_ns(kMsec);
                scope.leave();
                done = true;
            });
            Visitor::wait([&] { return b.value()->waiting() == 1; });
            // It waits at b and does not hold a: a can be closed.
            a.value()->close(Gate::kBarrier);
            EXPECT_TRUE(a.value()->wait_parked(deadline_after_ms(100)).ok());
            b.value()->reopen(Gate::kActiveLock);
            kapi_sleep_ns(10 * kMsec);
            EXPECT_FALSE(entered);
            EXPECT_TRUE(b.value()->try_enter().ok());
            b.value()->leave();
            a.value()->reopen(Gate::kBarrier);
            Visitor::wait([&] { return entered; });
            EXPECT_TRUE(entered);
            a.value()->close(Gate::kBarrier);
            EXPECT_TRUE(a.value()->wait_parked(deadline_after_ms(10)).is(kETIMEDOUT));
            go = true;
            Visitor::wait([&] { return done; });
            EXPECT_TRUE(a.value()->wait_parked(deadline_after_ms(100)).ok());
        });
        ASSERT_TRUE(result.ok) << result.failure;
    }
}

TEST(GateScope, ShutAndTooMany)
{
    with_gate(0, [](Gate& g) {
        std::vector<Gate*> many(GateScope::kGatesMax + 1, &g);
        GateScope scope;
        EXPECT_TRUE(scope.enter(many).is(kEINVAL));
        g.shut(-kEIO);
        Gate* one[] = {&g};
        EXPECT_TRUE(scope.enter(one).is(kEIO));
    });
}

// Nobody is ever inside a gate that says it is parked, whatever the schedule.
TEST(Gate, ParkedMeansEmpty)
{
    for (uint64_t seed = 1; seed <= 100; seed++) {
        auto result = sim::run(seed, [] {
            auto made = Gate::create(0);
            ASSERT_TRUE(made.ok());
            Gate& g = *made.value();
            int inside = 0, running = 4;
            bool stop = false;
            for (int i = 0; i < 4; i++)
                sim::world().current_host()->spawn("worker", [&] {
                    while (!stop && g.enter().ok()) {
                        inside++;
                        kapi_yield();
                        inside--;
                        g.leave();
                        kapi_sleep_ns(kMsec / 10);
                    }
                    running--;
                });
            for (int i = 0; i < 20; i++) {
                g.close(Gate::kActiveLock);
                ASSERT_TRUE(g.wait_parked(deadline_after_ms(1000)).ok());
                EXPECT_EQ(inside, 0);
                kapi_yield();
                EXPECT_EQ(inside, 0);
                g.reopen(Gate::kActiveLock);
                kapi_sleep_ns(kMsec / 5);
            }
            stop = true;
            Visitor::wait([&] { return running == 0; });
            EXPECT_EQ(running, 0);
        });
        ASSERT_TRUE(result.ok) << result.failure;
    }
}
