// SPDX-License-Identifier: GPL-2.0-only
// Mutex, CondVar, Guarded, Task, drain references, time; and that kapi/sim finds what is wrong with
// their use.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kapi/sim/world.h"
#include "kapi/sync.h"

using namespace lull;

namespace {

sim::WorldOptions quiet()
{
    sim::WorldOptions o;
    o.abort_on_failure = false;
    return o;
}

std::string failure_of(const std::function<void()>& fn, uint64_t seed = 1)
{
    return sim::run(seed, fn, quiet()).failure;
}

bool contains(const std::string& text, const std::string& part)
{
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST(Sync, MutexExcludes)
{
    for (uint64_t seed = 0; seed < 50; seed++)
        sim::run(seed, [] {
            struct Shared {
                Mutex mutex{LockRank::kLeaf};
                int inside = 0, total = 0;
                void work()
                {
                    for (int i = 0; i < 20; i++) {
                        MutexLock l(mutex);
                        EXPECT_EQ(inside++, 0);
                        kapi_yield();
                        inside--;
                        total++;
                        mutex.assert_held();
                    }
                }
            } shared;
            Task tasks[4];
            for (Task& t : tasks) ASSERT_TRUE((t.start<&Shared::work>(&shared, "worker").ok()));
            for (Task& t : tasks) t.join();
            EXPECT_EQ(shared.total, 80);
        });
}

TEST(Sync, CondVarDeliversAndTimesOut)
{
    for (uint64_t seed = 0; seed < 50; seed++)
        sim::run(seed, [] {
            struct Queue {
                Guarded<int> filled{LockRank::kLeaf, 0};
                CondVar more;
                int taken = 0;
                void consume()
                {
                    for (int i = 0; i < 10; i++) {
                        auto n = filled.lock();
                        EXPECT_TRUE(n.wait_until(more, [&] { return *n > 0; }).ok());
                        --*n;
                        taken++;
                    }
                }
            } q;
            Task consumer;
            ASSERT_TRUE((consumer.start<&Queue::consume>(&q, "consumer").ok()));
            for (int i = 0; i < 10; i++) {
                auto n = q.filled.lock();
                ++*n;
                q.more.wake_one();
            }
            consumer.join();
            EXPECT_EQ(q.taken, 10);
            uint64_t before = now_ns();
            auto n = q.filled.lock();
            EXPECT_TRUE(n.wait_until(
                             q.more, [] { return false; }, deadline_after_ms(50))
                            .is(kETIMEDOUT));
            EXPECT_EQ(now_ns() - before, 50 * kMsec);
        });
}

TEST(Sync, WorksWithoutAWorld)
{
    Mutex m(LockRank::kLeaf);
    CondVar c;
    MutexLock l(m);
    uint64_t before = now_ns();
    EXPECT_TRUE(c.wait(l, before + 5 * kMsec).is(kETIMEDOUT));
    EXPECT_GE(now_ns(), before + 5 * kMsec);
    uint64_t first = now_ns();
    EXPECT_LT(first, now_ns());
    l.unlock();
    struct Setter {
        int value = 0;
        void run() { value = 7; }
    } setter;
    Task t;
    ASSERT_TRUE((t.start<&Setter::run>(&setter, "setter").ok()));
    t.join();
    EXPECT_EQ(setter.value, 7);
}

TEST(Sync, SignalsInterruptByMode)
{
    sim::World w(3);
    sim::Host& h = w.host("client");
    Mutex m(LockRank::kLeaf);
    CondVar c;
    int results[3] = {1, 1, 1};
    bool stop = false;
    sim::TaskHandle tasks[3];
    for (int mode = 0; mode < 3; mode++)
        tasks[mode] = h.spawn("waiter", [&, mode] {
            MutexLock l(m);
            results[mode] = c.wait_until(
                                 l, [&] { return stop; }, kForever, static_cast<WaitMode>(mode))
                                .error();
        });
    w.run_until_idle();
    for (auto* t : tasks) w.signal(t, false);
    w.run_until_idle();
    EXPECT_EQ(results[0], 1);
    EXPECT_EQ(results[1], 1);
    EXPECT_EQ(results[2], -kERESTARTSYS);
    for (auto* t : tasks) w.signal(t, true);
    w.run_until_idle();
    EXPECT_EQ(results[0], 1);
    EXPECT_EQ(results[1], -kERESTARTSYS);
    stop = true;
    c.wake_all();
    w.run_until_idle();
    EXPECT_EQ(results[0], 0);
    h.shutdown_clean();
}

TEST(Sync, PendingSignalEndsAnInterruptibleWaitAtOnce)
{
    sim::World w(4);
    sim::Host& h = w.host("client");
    int result = 1;
    sim::TaskHandle t = h.spawn("waiter", [&] {
        kapi_sleep_ns(10);
        EXPECT_TRUE(kapi_signal_pending());
        EXPECT_FALSE(kapi_fatal_signal_pending());
        Mutex m(LockRank::kLeaf);
        CondVar c;
        MutexLock l(m);
        result = c.wait(l, kForever, WaitMode::kInterruptible).error();
    });
    w.signal(t, false);
    EXPECT_TRUE(w.run_to_end(t, w.now_ns() + kSec));
    EXPECT_EQ(result, -kERESTARTSYS);
}

TEST(Sync, DrainrefDrainsAndRevives)
{
    for (uint64_t seed = 0; seed < 50; seed++)
        sim::run(seed, [] {
            struct Gate {
                kapi_drainref ref;
                int inside = 0;
                int passed = 0;
                bool drained = false;
                void pass()
                {
                    for (int i = 0; i < 30; i++) {
                        if (!kapi_drainref_tryget(&ref)) return;
                        EXPECT_FALSE(drained);
                        inside++;
                        kapi_yield();
                        inside--;
                        passed++;
                        kapi_drainref_put(&ref);
                    }
                }
            } gate;
            ASSERT_EQ(kapi_drainref_init(&gate.ref), 0);
            Task tasks[3];
            for (Task& t : tasks) ASSERT_TRUE((t.start<&Gate::pass>(&gate, "passer").ok()));
            kapi_sleep_ns(1000);
            kapi_drainref_kill(&gate.ref);
            EXPECT_EQ(kapi_drainref_wait(&gate.ref, kForever), 0);
            gate.drained = true;
            EXPECT_EQ(gate.inside, 0);
            for (Task& t : tasks) t.join();
            kapi_drainref_revive(&gate.ref);
            EXPECT_TRUE(kapi_drainref_tryget(&gate.ref));
            kapi_drainref_kill(&gate.ref);
            EXPECT_EQ(kapi_drainref_wait(&gate.ref, now_ns() + 1000), -kETIMEDOUT);
            kapi_drainref_put(&gate.ref);
            EXPECT_EQ(kapi_drainref_wait(&gate.ref, kForever), 0);
            kapi_drainref_destroy(&gate.ref);
        });
}

TEST(SimChecks, LockRankViolation)
{
    std::string f = failure_of([] {
        Mutex outer(LockRank::kImport), inner(LockRank::kTarget);
        MutexLock a(outer);
        MutexLock b(inner);
    });
    EXPECT_TRUE(contains(f, "lock rank violation")) << f;
    EXPECT_TRUE(contains(f, "'Target'") && contains(f, "'Import'")) << f;
}

TEST(SimChecks, UnlockByAnother)
{
    std::string f = failure_of([] {
        Mutex m(LockRank::kLeaf);
        m.lock();
        Task t;
        (void)t.start([](void* p) { static_cast<Mutex*>(p)->unlock(); }, &m, "thief");
        t.join();
    });
    EXPECT_TRUE(
        contains(f, "task 'thief' of host1 unlocks 'Leaf', which task 'run' of host1 holds"))
        << f;
}

TEST(SimChecks, DeadlockIsReportedWithItsWaiters)
{
    std::string f = failure_of([] {
        Mutex m(LockRank::kLeaf);
        CondVar never;
        MutexLock l(m);
        (void)never.wait_until(l, [] { return false; });
    });
    EXPECT_TRUE(contains(f, "cannot end")) << f;
    EXPECT_TRUE(contains(f, "host1/run: waits for condition with Leaf")) << f;
}

TEST(SimChecks, LeaksAreNamed)
{
    EXPECT_TRUE(contains(failure_of([] { (void)kapi_alloc(123); }), "123 bytes"));
    EXPECT_TRUE(contains(failure_of([] {
                             kapi_task* t;
                             (void)kapi_task_start(
                                 &t, [](void*) {}, nullptr, "orphan");
                         }),
                         "orphan"));
    EXPECT_TRUE(contains(failure_of([] {
                             kapi_sock* s;
                             (void)kapi_sock_listen(sim::world().current_host()->net(), 988, &s);
                         }),
                         "1 sockets"));
}

TEST(SimChecks, PanicNamesTheCondition)
{
    EXPECT_TRUE(contains(failure_of([] { LULL_ASSERT(1 + 1 == 3); }), "1 + 1 == 3"));
}

TEST(SimChecks, LivelockIsFound)
{
    sim::WorldOptions o = quiet();
    o.livelock_steps = 1000;
    auto spin = [] {
        Task t;
        bool stop = false;
        (void)t.start(
            [](void* p) {
                while (!*static_cast<bool*>(p)) kapi_yield();
            },
            &stop, "spinner");
        while (!stop) kapi_yield();
    };
    EXPECT_TRUE(contains(sim::run(1, spin, o).failure, "livelock"));
}

TEST(SimChecks, MissedDeadlineIsReported)
{
    sim::World w(1, quiet());
    w.host("a").spawn(
        "slow", [] { kapi_sleep_ns(10 * kSec); }, w.now_ns() + kSec);
    EXPECT_FALSE(w.run_until_idle());
    EXPECT_TRUE(contains(w.failure(), "'slow' of a missed its deadline"));
}
