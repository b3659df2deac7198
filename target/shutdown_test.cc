// SPDX-License-Identifier: GPL-2.0-only
// The state machine of shutdown.h alone, with an environment that remembers what it was asked:
// every row, cancel and failure.
#include "target/shutdown.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "kapi/sim/world.h"

using namespace lull;
using S = ShutdownState;

namespace {

struct FakeEnv final : ShutdownEnv {
    Shutdown* machine = nullptr;
    std::vector<std::string> calls;
    std::string fail_in, cancel_in;
    size_t clients = 0;   // that hold the lock
    size_t dirty = 0;     // looks until they have nothing more to write back
    bool silent = false;  // one of them has not said that it is there
    bool grants = true;   // EX comes once nobody holds
    bool exclusive = false, ended = false;
    bool refused = false, parked = false, clean_on_disk = false, halted = false,
         erase_fails = false;
    int cancel_result = 1;

    Status note(const char* what)
    {
        if (calls.empty() || calls.back() != what) calls.push_back(what);
        if (cancel_in == what) cancel_result = machine->cancel().error();
        kapi_yield();
        return fail_in == what ? Status(-kEIO) : kOk;
    }
    bool called(const char* what) const
    {
        return std::find(calls.begin(), calls.end(), what) != calls.end();
    }

    void begin_warm() override { (void)note("warm"); }
    bool is_warm() override { return dirty == 0 || --dirty == 0; }
    bool all_heard() override { return !silent; }
    void evict_unheard() override
    {
        if (silent) (void)note("evict-unheard");
    }
    void refuse_connections(bool on) override
    {
        refused = on;
        (void)note("refuse");
    }
    void park(bool on) override
    {
        parked = on;
        (void)note("park");
    }
    Status begin_exclusive() override
    {
        ended = false;
        Status s = note("begin");
        exclusive = s.ok();
        return s;
    }
    Status wait_exclusive(uint64_t deadline_ns) override
    {
        if (Status s = note("wait"); !s.ok()) return s;
        for (;;) {
            if (ended || !exclusive) return -kECANCELED;
            if (grants && clients == 0) return kOk;
            if (now_ns() >= deadline_ns) return -kETIMEDOUT;
            kapi_sleep_ns(10 * kMsec);
        }
    }
    void end_exclusive() override
    {
        ended = true;
        exclusive = false;
    }
    size_t evict_late(uint64_t since) override
    {
        (void)note(since ? "evict-soft" : "evict-all");
        if (!since) clients = 0;
        return clients;
    }
    size_t holders() override { return clients; }
    Status commit_all() override { return note("commit"); }
    Status write_clean_record(const ShutdownPhases&) override
    {
        clean_on_disk = true;
        return note("record");
    }
    Status erase_clean_record() override
    {
        if (erase_fails) return -kEIO;
        clean_on_disk = false;
        return note("erase");
    }
    void release_cancels(bool committed) override
    {
        (void)note(committed ? "committed" : "released");
    }
    void halt() override
    {
        halted = true;
        (void)note("halt");
    }
};

struct Fixture {
    FakeEnv env;
    ShutdownTunables tunables;
    Owned<Shutdown> machine;
    Fixture()
    {
        machine = Shutdown::create(env, "t", tunables).release_value();
        env.machine = machine.get();
    }
    void expect_running_again()
    {
        EXPECT_TRUE(machine->wait(S::kRunning, deadline_after_ms(1000000)).ok());
        EXPECT_FALSE(env.refused);
        EXPECT_FALSE(env.parked);
        EXPECT_FALSE(env.exclusive);
        EXPECT_FALSE(env.clean_on_disk);
        EXPECT_FALSE(env.halted);
        EXPECT_TRUE(env.called("released"));
        EXPECT_FALSE(env.called("committed"));
        EXPECT_FALSE(machine->last_error().empty());
    }
};

void each_seed(void (*story)())
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        SCOPED_TRACE(seed);
        sim::run(seed, [&] { story(); });
        if (testing::Test::HasFailure()) return;
    }
}

}  // namespace

// A12 S5 S13 invariant 2: in this order and no other.
TEST(Shutdown, StraightThrough)
{
    each_seed([] {
        Fixture f;
        EXPECT_EQ(f.machine->state(), S::kRunning);
        EXPECT_TRUE(f.machine->cancel().is(kEALREADY));
        EXPECT_TRUE(f.machine->begin().ok());
        EXPECT_TRUE(f.machine->wait(S::kHalted, deadline_after_ms(10000)).ok());
        EXPECT_EQ(f.env.calls, (std::vector<std::string>{"warm", "refuse", "park", "begin", "wait",
                                                         "commit", "record", "committed", "halt"}));
        EXPECT_TRUE(f.env.clean_on_disk);
        EXPECT_TRUE(f.machine->cancel().is(kEBUSY));
        EXPECT_TRUE(f.machine->begin().is(kEALREADY));
    });
}

// E2 S13.
TEST(Shutdown, CancelInEveryStateBeforeClean)
{
    for (const char* where : {"warm", "refuse", "begin", "wait", "commit", "record"}) {
        SCOPED_TRACE(where);
        static const char* at;
        at = where;
        each_seed([] {
            Fixture f;
            f.env.cancel_in = at;
            EXPECT_TRUE(f.machine->begin().ok());
            f.expect_running_again();
            EXPECT_EQ(f.env.cancel_result, 0);
            // And a second attempt goes through.
            f.env.cancel_in.clear();
            f.env.calls.clear();
            EXPECT_TRUE(f.machine->begin().ok());
            EXPECT_TRUE(f.machine->wait(S::kHalted, deadline_after_ms(10000)).ok());
        });
    }
    for (const char* where : {"committed", "halt"}) {
        static const char* at;
        at = where;
        each_seed([] {
            Fixture f;
            f.env.cancel_in = at;
            EXPECT_TRUE(f.machine->begin().ok());
            EXPECT_TRUE(f.machine->wait(S::kHalted, deadline_after_ms(10000)).ok());
            EXPECT_EQ(f.env.cancel_result, -kEBUSY);
        });
    }
}

// B2: service goes on until the clients have written back, but not for ever.
TEST(Shutdown, WarmUpEndsWhenClientsAreQuietOrAtItsLimit)
{
    each_seed([] {
        Fixture f;
        f.env.dirty = 10;
        EXPECT_TRUE(f.machine->begin().ok());
        EXPECT_TRUE(f.machine->wait(S::kWarming, deadline_after_ms(1000)).ok());
        EXPECT_FALSE(f.env.called("refuse"));
        EXPECT_TRUE(f.machine->wait(S::kHalted, deadline_after_ms(10000)).ok());
        EXPECT_GE(f.machine->phases().warm, 400 * kMsec);
        EXPECT_LE(f.machine->phases().warm, 600 * kMsec);
    });
    each_seed([] {
        Fixture f;
        f.env.dirty = 1000000;
        f.tunables.warm_ms = 2000;
        EXPECT_TRUE(f.machine->begin().ok());
        EXPECT_TRUE(f.machine->wait(S::kHalted, deadline_after_ms(10000)).ok());
        EXPECT_GE(f.machine->phases().warm, 2000 * kMsec);
        EXPECT_LE(f.machine->phases().warm, 2200 * kMsec);
    });
}

// B1 T3: who may be dead is waited for while service goes on, and not again when nobody can work.
TEST(Shutdown, SilentClientsAreWaitedForBeforeTheDrain)
{
    each_seed([] {
        Fixture f;
        f.env.silent = true;
        EXPECT_TRUE(f.machine->begin().ok());
        kapi_sleep_ns(20 * kSec);
        EXPECT_EQ(f.machine->state(), S::kWarming);
        EXPECT_FALSE(f.env.called("refuse"));
        f.env.silent = false;
        EXPECT_TRUE(f.machine->wait(S::kHalted, deadline_after_ms(1000)).ok());
        EXPECT_FALSE(f.env.called("evict-unheard"));
    });
    each_seed([] {
        Fixture f;
        f.env.silent = true;
        f.tunables.soft_ms = 8000;
        EXPECT_TRUE(f.machine->begin().ok());
        EXPECT_TRUE(f.machine->wait(S::kHalted, deadline_after_ms(9000)).ok());
        EXPECT_TRUE(f.env.called("evict-unheard"));
        EXPECT_GE(f.machine->phases().warm, 8000 * kMsec);
        EXPECT_LT(f.machine->phases().drain, 100 * kMsec);
    });
}

TEST(Shutdown, CancelWhileWarming)
{
    each_seed([] {
        Fixture f;
        f.env.dirty = 1000000;
        EXPECT_TRUE(f.machine->begin().ok());
        EXPECT_TRUE(f.machine->wait(S::kWarming, deadline_after_ms(1000)).ok());
        EXPECT_TRUE(f.machine->cancel().ok());
        f.expect_running_again();
        EXPECT_FALSE(f.env.called("begin"));
    });
}

TEST(Shutdown, CancelWhileDraining)
{
    each_seed([] {
        Fixture f;
        f.env.clients = 1;
        EXPECT_TRUE(f.machine->begin().ok());
        EXPECT_TRUE(f.machine->wait(S::kDraining, deadline_after_ms(10000)).ok());
        kapi_sleep_ns(3 * kSec);
        uint64_t before = now_ns();
        EXPECT_TRUE(f.machine->cancel().ok());
        f.expect_running_again();
        EXPECT_LT(now_ns() - before, kSec);
    });
}

// S13.
TEST(Shutdown, EveryFailureGoesBackToRunning)
{
    for (const char* where : {"begin", "wait", "commit", "record"}) {
        SCOPED_TRACE(where);
        static const char* at;
        at = where;
        each_seed([] {
            Fixture f;
            f.env.fail_in = at;
            EXPECT_TRUE(f.machine->begin().ok());
            EXPECT_TRUE(f.machine->wait(S::kHalted, deadline_after_ms(10000)).is(kECANCELED));
            f.expect_running_again();
        });
    }
}

// A running server must not be marked clean: then it has to halt.
TEST(Shutdown, CleanRecordThatCannotBeErased)
{
    each_seed([] {
        Fixture f;
        f.env.erase_fails = true;
        f.env.cancel_in = "record";
        EXPECT_TRUE(f.machine->begin().ok());
        EXPECT_TRUE(f.machine->wait(S::kHalted, deadline_after_ms(10000)).ok());
        EXPECT_TRUE(f.env.halted);
        EXPECT_TRUE(f.env.called("committed"));
    });
}

// S12 T3.
TEST(Shutdown, LateClientsAreEvictedAndTheDrainIsBounded)
{
    each_seed([] {
        Fixture f;
        f.tunables.soft_ms = 2000;
        f.tunables.hard_ms = 9000;
        f.env.clients = 2;
        uint64_t began = now_ns();
        EXPECT_TRUE(f.machine->begin().ok());
        EXPECT_TRUE(f.machine->wait(S::kHalted, deadline_after_ms(100000)).ok());
        EXPECT_TRUE(f.env.called("evict-soft"));
        EXPECT_TRUE(f.env.called("evict-all"));
        EXPECT_LT(now_ns() - began, 11 * kSec);
        EXPECT_GE(f.machine->phases().drain, 8 * kSec);
    });
}

TEST(Shutdown, ExclusiveNeverComes)
{
    each_seed([] {
        Fixture f;
        f.tunables.soft_ms = 1000;
        f.tunables.hard_ms = 3000;
        f.env.grants = false;
        EXPECT_TRUE(f.machine->begin().ok());
        f.expect_running_again();
    });
}

TEST(Shutdown, StopCancels)
{
    each_seed([] {
        Fixture f;
        f.env.clients = 1;
        EXPECT_TRUE(f.machine->begin().ok());
        kapi_sleep_ns(kSec);
        f.machine->stop();
        EXPECT_EQ(f.machine->state(), S::kRunning);
        EXPECT_TRUE(f.machine->begin().is(kESHUTDOWN));
    });
}

// S13.
TEST(Shutdown, CancelRacesWithEverything)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        SCOPED_TRACE(seed);
        sim::run(seed, [&] {
            Fixture f;
            EXPECT_TRUE(f.machine->begin().ok());
            for (uint64_t i = 0; i < seed % 23; i++) kapi_yield();
            Status c = f.machine->cancel();
            (void)f.machine->wait(S::kHalted, deadline_after_ms(100000));
            if (c.ok()) f.expect_running_again();
            else EXPECT_TRUE(f.env.halted && f.env.clean_on_disk && c.is(kEBUSY)) << c.error();
        });
        if (testing::Test::HasFailure()) return;
    }
}
