// SPDX-License-Identifier: GPL-2.0-only
// The client's side of the active server lock, alone: each row of its table, races, and storms of
// events.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kapi/sim/world.h"
#include "ldlm/active_lock.h"

using namespace lull;

namespace {

// Each blocking call waits until the test ends it, or ends by itself in automatic mode.
class FakeEnv final : public ActiveLockEnv {
public:
    void close_gate() override
    {
        MutexLock l(mutex_);
        EXPECT_TRUE(gate_open);
        gate_open = false;
        closes++;
    }
    void open_gate() override
    {
        MutexLock l(mutex_);
        EXPECT_FALSE(gate_open);
        gate_open = true;
        opens++;
    }
    Status wait_gate_parked(uint64_t deadline_ns) override { return step("park", deadline_ns); }
    Status flush_all(uint64_t deadline_ns) override { return step("flush", deadline_ns); }
    Status enqueue(uint64_t* handle) override
    {
        Status s = step("enqueue", kForever);
        if (automatic) grant_handle++;
        *handle = grant_handle;
        return s;
    }
    Status cancel(uint64_t handle, bool* committed) override
    {
        {
            MutexLock l(mutex_);
            EXPECT_FALSE(gate_open);
        }
        cancelled_handle = handle;
        Status s = step("cancel", kForever);
        *committed = reply_committed;
        return s;
    }
    void expect_restart() override { restarts_expected++; }

    // ---- for tests
    void wait_inside(const std::string& what)
    {
        MutexLock l(mutex_);
        Status s = cond_.wait_until(
            l, [&] { return inside == what; }, deadline_after_ms(20000));
        EXPECT_TRUE(s.ok()) << "not in " << what << " but in " << inside;
    }
    void finish(const std::string& what, Status result = kOk)
    {
        wait_inside(what);
        MutexLock l(mutex_);
        result_ = result;
        done_ = true;
        cond_.wake_all();
        Status s = cond_.wait_until(
            l, [&] { return !done_; }, deadline_after_ms(20000));
        EXPECT_TRUE(s.ok());
    }
    void set_automatic(bool on)
    {
        MutexLock l(mutex_);
        automatic = on;
        cond_.wake_all();
    }
    bool gate()
    {
        MutexLock l(mutex_);
        return gate_open;
    }

    bool gate_open = false, automatic = false;
    int opens = 0, closes = 0, restarts_expected = 0;
    uint64_t grant_handle = 7, cancelled_handle = 0;
    bool reply_committed = false;
    std::string inside;
    std::vector<std::string> calls;

private:
    Status step(const char* what, uint64_t deadline_ns)
    {
        MutexLock l(mutex_);
        inside = what;
        calls.push_back(what);
        cond_.wake_all();
        Status s = cond_.wait_until(
            l, [&] { return done_ || automatic; }, deadline_ns);
        inside.clear();
        if (!done_) return automatic ? kOk : s;
        done_ = false;
        cond_.wake_all();
        return result_;
    }
    Mutex mutex_{LockRank::kLeaf};
    CondVar cond_;
    bool done_ = false;
    Status result_;
};

struct Fixture {
    Fixture() { lock = ActiveLock::create(env, "test").release_value(); }
    ~Fixture()
    {
        env.set_automatic(true);
        lock->shutdown();
    }
    void wait_state(ActiveLockState s)
    {
        for (int i = 0; i < 100000 && lock->state() != s; i++) kapi_sleep_ns(100000);
        EXPECT_EQ(to_string(lock->state()), std::string(to_string(s)));
    }
    void hold(uint64_t handle = 7)
    {
        lock->on_full(true, true);
        env.grant_handle = handle;
        env.finish("enqueue");
        wait_state(ActiveLockState::kHeld);
        EXPECT_TRUE(env.gate());
    }
    FakeEnv env;
    Owned<ActiveLock> lock;
};

void each_seed(const std::function<void()>& fn, uint64_t seeds = 20)
{
    for (uint64_t seed = 1; seed <= seeds; seed++) ASSERT_TRUE(sim::run(seed, fn).ok) << seed;
}

using S = ActiveLockState;

}  // namespace

// A10 A11 S4 S11 E3: asked for once at a time; nothing is sent twice.
TEST(ActiveLock, OneWholeRound)
{
    each_seed([] {
        Fixture f;
        EXPECT_EQ(f.lock->state(), S::kIdle);
        f.hold(7);
        EXPECT_EQ(f.lock->grants(), 1u);
        f.lock->on_bl_ast(7);
        EXPECT_EQ(f.lock->state(), S::kClosing) << "the gate is closed before the event returns";
        EXPECT_FALSE(f.env.gate());
        f.env.finish("park");
        f.wait_state(S::kFlushing);
        f.env.finish("flush");
        f.env.wait_inside("cancel");
        EXPECT_EQ(f.lock->state(), S::kCancelling);
        EXPECT_EQ(f.env.cancelled_handle, 7u);
        f.env.reply_committed = true;
        f.env.finish("cancel");
        f.env.wait_inside("enqueue");
        EXPECT_EQ(f.lock->state(), S::kEnqueuing);
        EXPECT_EQ(f.env.restarts_expected, 1);
        EXPECT_FALSE(f.env.gate());
        // The new instance answers the request that waits; nothing is sent twice.
        f.lock->on_full(true, true);
        f.env.grant_handle = 9;
        f.env.finish("enqueue");
        f.wait_state(S::kHeld);
        EXPECT_TRUE(f.env.gate());
        EXPECT_EQ(f.env.calls,
                  (std::vector<std::string>{"enqueue", "park", "flush", "cancel", "enqueue"}));
    });
}

// E2 S13.
TEST(ActiveLock, CancelledShutdownGrantsAgain)
{
    each_seed([] {
        Fixture f;
        f.hold(7);
        f.lock->on_bl_ast(7);
        f.env.finish("park");
        f.env.finish("flush");
        f.env.reply_committed = false;
        f.env.finish("cancel");
        f.env.grant_handle = 8;
        f.env.finish("enqueue");
        f.wait_state(S::kHeld);
        EXPECT_EQ(f.env.restarts_expected, 0);
        EXPECT_EQ(f.lock->grants(), 2u);
        EXPECT_TRUE(f.env.gate());
    });
}

// S4 S13.
TEST(ActiveLock, ParkAnswerBeforeBlAst)
{
    each_seed([] {
        Fixture f;
        f.hold(7);
        f.lock->on_parked();
        EXPECT_FALSE(f.env.gate());
        f.lock->on_bl_ast(7);
        f.lock->on_parked();
        f.env.finish("park");
        f.env.finish("flush");
        f.env.finish("cancel");
        f.env.grant_handle = 8;
        f.env.wait_inside("enqueue");
        f.lock->on_bl_ast(7);  // a late one, of a lock that is gone
        f.env.finish("enqueue");
        f.wait_state(S::kHeld);
        EXPECT_EQ(f.env.closes, 1);
    });
}

TEST(ActiveLock, BlAstBeforeTheGrantIsSeen)
{
    each_seed([] {
        Fixture f;
        f.lock->on_full(true, true);
        f.env.wait_inside("enqueue");
        f.lock->on_bl_ast(7);
        EXPECT_EQ(f.lock->state(), S::kEnqueuing);
        f.env.finish("enqueue");
        f.env.wait_inside("park");
        EXPECT_EQ(f.env.opens, 0) << "nobody may pass in between";
    });
}

TEST(ActiveLock, BlAstOfAnotherLockIsIgnored)
{
    each_seed([] {
        Fixture f;
        f.hold(7);
        f.lock->on_bl_ast(6);
        EXPECT_EQ(f.lock->state(), S::kHeld);
    });
}

TEST(ActiveLock, NewInstanceInEveryState)
{
    const char* kSteps[] = {"enqueue", "park", "flush", "cancel"};
    for (int at = 0; at < 4; at++)
        each_seed(
            [at, &kSteps] {
                Fixture f;
                if (at == 0) {
                    f.lock->on_full(true, true);
                } else {
                    f.hold(7);
                    f.lock->on_bl_ast(7);
                }
                for (int i = 1; i < at; i++) f.env.finish(kSteps[i]);
                f.env.wait_inside(kSteps[at]);
                f.lock->on_full(true, true);
                EXPECT_EQ(f.lock->state(), S::kEnqueuing);
                EXPECT_FALSE(f.env.gate());
                f.env.finish(kSteps[at]);  // void: it was meant for the old instance
                f.env.wait_inside("enqueue");
                EXPECT_FALSE(f.env.gate());
                f.env.grant_handle = 20;
                f.env.finish("enqueue");
                f.wait_state(S::kHeld);
            },
            5);
}

TEST(ActiveLock, HeldLockDiesWithItsInstance)
{
    each_seed([] {
        Fixture f;
        f.hold(7);
        f.lock->on_full(false, true);  // the same instance: it is still ours
        EXPECT_EQ(f.lock->state(), S::kHeld);
        f.lock->on_full(true, true);
        EXPECT_EQ(f.lock->state(), S::kEnqueuing);
        EXPECT_FALSE(f.env.gate());
        f.env.finish("enqueue");
        f.wait_state(S::kHeld);
        EXPECT_TRUE(f.env.gate());
    });
}

// A7.
TEST(ActiveLock, EvictedInEveryState)
{
    const char* kSteps[] = {"enqueue", "park", "flush", "cancel"};
    for (int at = 0; at < 4; at++)
        each_seed(
            [at, &kSteps] {
                Fixture f;
                if (at == 0) {
                    f.lock->on_full(true, true);
                } else {
                    f.hold(7);
                    f.lock->on_bl_ast(7);
                }
                for (int i = 1; i < at; i++) f.env.finish(kSteps[i]);
                f.env.wait_inside(kSteps[at]);
                f.lock->on_evicted();
                EXPECT_EQ(f.lock->state(), S::kIdle);
                EXPECT_FALSE(f.env.gate());
                f.env.finish(kSteps[at], -kEIO);
                kapi_sleep_ns(kSec);
                EXPECT_EQ(f.lock->state(), S::kIdle);
                f.lock->on_full(false, true);  // idle: any connection will do
                f.env.grant_handle = 20;
                f.env.finish("enqueue");
                f.wait_state(S::kHeld);
            },
            5);
}

// S1.
TEST(ActiveLock, ServerWithoutTheFeature)
{
    each_seed([] {
        Fixture f;
        f.lock->on_full(true, false);
        EXPECT_TRUE(f.env.gate());
        EXPECT_EQ(f.lock->state(), S::kHeld);
        f.lock->on_parked();
        f.lock->on_bl_ast(0);
        EXPECT_EQ(f.lock->state(), S::kHeld);
        f.lock->on_full(true, true);  // upgraded
        EXPECT_FALSE(f.env.gate());
        f.env.finish("enqueue");
        f.wait_state(S::kHeld);
        EXPECT_TRUE(f.env.calls == std::vector<std::string>{"enqueue"});
    });
}

TEST(ActiveLock, FailedStepsAreTriedAgain)
{
    each_seed([] {
        Fixture f;
        f.lock->on_full(true, true);
        f.env.finish("enqueue", -kENOMEM);
        f.env.finish("enqueue");
        f.wait_state(S::kHeld);
        f.lock->on_bl_ast(7);
        f.env.finish("park", -kETIMEDOUT);
        f.env.finish("park");
        f.env.finish("flush", -kETIMEDOUT);
        f.env.finish("flush", -kEIO);
        f.env.finish("flush");
        f.env.finish("cancel", -kEIO);
        f.env.finish("cancel");
        f.env.wait_inside("enqueue");
    });
}

TEST(ActiveLock, ShutdownInEveryState)
{
    for (int at = 0; at < 6; at++)
        each_seed(
            [at] {
                Fixture f;
                if (at == 1) f.lock->on_full(true, true);
                if (at >= 2) f.hold(7);
                if (at >= 3) f.lock->on_bl_ast(7);
                if (at >= 4) f.env.finish("park");
                if (at >= 5) f.env.finish("flush");
                f.env.set_automatic(true);
                f.lock->shutdown();
                EXPECT_EQ(f.lock->state(), S::kStopped);
                f.lock->on_full(true, true);
                f.lock->on_bl_ast(7);
                f.lock->on_evicted();
                f.lock->on_parked();
                EXPECT_EQ(f.lock->state(), S::kStopped);
                EXPECT_FALSE(f.env.gate());
            },
            5);
}

// Whatever happens in whatever order: in the end it holds the lock, and the gate was never open
// without it. S13: any order of events.
TEST(ActiveLock, StormOfEvents)
{
    each_seed(
        [] {
            Fixture f;
            f.env.set_automatic(true);
            auto& rng = sim::world().user_rng();
            for (int i = 0; i < 200; i++) {
                switch (rng.below(6)) {
                case 0: f.lock->on_full(true, true); break;
                case 1: f.lock->on_full(false, true); break;
                case 2: f.lock->on_bl_ast(f.env.grant_handle); break;
                case 3: f.lock->on_parked(); break;
                case 4: f.lock->on_evicted(); break;
                case 5: f.env.reply_committed = rng.chance(500); break;
                }
                if (rng.chance(500)) kapi_sleep_ns(rng.below(3 * kMsec));
            }
            f.lock->on_evicted();
            f.lock->on_full(false, true);
            f.wait_state(S::kHeld);
            EXPECT_TRUE(f.env.gate());
        },
        60);
}
