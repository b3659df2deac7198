// SPDX-License-Identifier: GPL-2.0-only
// Lock server and clients together over a simulated network: coherency, fairness, eviction,
// recovery, park, the active lock.
#include <cstdlib>

#include "ldlm/cluster_test.h"

using namespace lull;
using namespace lull::test;

namespace {

constexpr ResourceId kA{{100, 1}}, kB{{100, 2}};

// LULL_TEST_SEEDS=n: n times as many.
template <class F> void for_seeds(F story, uint64_t seeds = 8)
{
    const char* factor = getenv("LULL_TEST_SEEDS");
    if (factor) seeds *= strtoull(factor, nullptr, 10);
    const char* first = getenv("LULL_TEST_SEED");  // only this one
    for (uint64_t seed = first ? strtoull(first, nullptr, 10) : 1; seed <= seeds; seed++) {
        SCOPED_TRACE(seed);
        story(seed);
        if (testing::Test::HasFailure()) return;
    }
}

Ref<Call<LdlmEnqueueOp>> intent(Intent what, const char* name, uint32_t oid = 1)
{
    auto call = make_ref<Call<LdlmEnqueueOp>>();
    call->op.type = static_cast<uint8_t>(LockType::kIbits);
    call->op.mode = static_cast<uint8_t>(LockMode::kPR);
    call->op.policy.bits = kIbitLookup | kIbitUpdate;
    call->op.intent = static_cast<uint8_t>(what);
    call->op.fid = {100, oid, 0};
    call->op.resource = kA;
    call->op.name = NameText(name);
    return call;
}

}  // namespace

TEST(LdlmCluster, CachedUntilAskedFor)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed);
        c.mount();
        c.mount();
        c.on(*c.hosts[0], [&] {
            EXPECT_EQ(c.peer(0).add(kA, 5).value(), 5);
            for (int i = 0; i < 10; i++) EXPECT_EQ(c.peer(0).add(kA, 1).value(), 6 + i);
            EXPECT_EQ(c.target->enqueues, 1u);
            EXPECT_EQ(c.target->values[kA], 0) << "still in the client's cache";
        });
        c.on(*c.hosts[1], [&] { EXPECT_EQ(c.peer(1).read(kA).value(), 15); });
        EXPECT_EQ(c.peer(0).asts, 1u);
        EXPECT_EQ(c.peer(0).flushes, 1u);
        c.on(*c.hosts[0], [&] { EXPECT_EQ(c.peer(0).read(kA).value(), 15); });  // PR beside PR
        EXPECT_EQ(c.peer(1).asts, 0u);
        c.unmount(0);
        c.unmount(1);
        EXPECT_EQ(c.ldlm().counts().resources, 0u);
        EXPECT_EQ(c.ldlm().counts().granted, 0u);
    });
}

TEST(LdlmCluster, ClientsContend)
{
    for_seeds(
        [](uint64_t seed) {
            LockCluster c(seed);
            constexpr int kClients = 4, kTasks = 2, kRounds = 10;
            for (int i = 0; i < kClients; i++) c.mount();
            int done = 0;
            for (int i = 0; i < kClients * kTasks; i++)
                c.spawn(i % kClients, [&, i] {
                    for (int n = 0; n < kRounds; n++) {
                        EXPECT_TRUE(c.peer(i % kClients).add(n % 2 ? kA : kB, 1).ok());
                        if (n % 3 == 0) {
                            EXPECT_TRUE(c.peer(i % kClients).read(kA).ok());
                        }
                    }
                    done++;
                });
            EXPECT_TRUE(c.until([&] { return done == kClients * kTasks; })) << c.world.report();
            c.on(*c.hosts[0], [&] {
                int sum = c.peer(0).read(kA).value() + c.peer(0).read(kB).value();
                EXPECT_EQ(sum, kClients * kTasks * kRounds);
            });
            EXPECT_TRUE(c.target->evicted.empty());
        },
        15);
}

TEST(LdlmCluster, ConnectionsBreakUnderContention)
{
    for_seeds(
        [](uint64_t seed) {
            LockCluster c(seed);
            for (int i = 0; i < 3; i++) c.mount();
            int done = 0;
            for (int i = 0; i < 3; i++)
                c.spawn(i, [&, i] {
                    for (int n = 0; n < 20; n++) {
                        EXPECT_TRUE(c.peer(i).add(kA, 1).ok());
                        kapi_sleep_ns(30 * kMsec);
                    }
                    done++;
                });
            for (int n = 0; n < 6; n++) {
                c.world.run_for(150 * kMsec);
                c.world.network().reset_connections(c.server, *c.hosts[n % 3]);
            }
            EXPECT_TRUE(c.until([&] { return done == 3; })) << c.world.report();
            c.on(*c.hosts[0], [&] { EXPECT_EQ(c.peer(0).read(kA).value(), 60); });
            EXPECT_TRUE(c.target->evicted.empty());
            for (int i = 0; i < 3; i++) EXPECT_EQ(c.peer(i).evictions, 0u);
        },
        15);
}

// Errors may come out of it, nothing else.
TEST(LdlmCluster, MemoryIsShort)
{
    for_seeds(
        [](uint64_t seed) {
            LockCluster c(seed, {.callback_timeout_ms = 20000});
            for (int i = 0; i < 3; i++) c.mount();
            int done = 0, sum = 0, failed = 0;
            for (int i = 0; i < 6; i++)
                c.spawn(i % 3, [&, i] {
                    for (int n = 0; n < 20; n++) {
                        Result<int> r = c.peer(i % 3).add(n % 2 ? kA : kB, 1);
                        if (r.ok()) sum++;
                        else failed++;
                        kapi_sleep_ns(10 * kMsec);
                    }
                    done++;
                });
            sim::Host* poor = seed % 2 ? &c.server : c.hosts[0];
            poor->fail_allocations(30);
            EXPECT_TRUE(c.until([&] { return done == 6; }, 600000)) << c.world.report();
            poor->fail_allocations(0);
            EXPECT_TRUE(c.until([&] { return c.peer(0).import->state() == ImportState::kFull; }));
            if (c.target->evicted.empty())
                c.on(*c.hosts[1], [&] {
                    EXPECT_EQ(c.peer(1).read(kA).value() + c.peer(1).read(kB).value(), sum);
                });
        },
        12);
}

TEST(LdlmCluster, ExtentsGrowAndShrink)
{
    for_seeds(
        [](uint64_t seed) {
            LockCluster c(seed);
            c.mount();
            c.mount();
            auto lock = [&](size_t i, uint64_t start, uint64_t end, LockPolicy* got) {
                c.on(*c.hosts[i], [&] {
                    LockUse use;
                    EXPECT_TRUE(c.peer(i)
                                    .locks
                                    ->lock(kA, LockType::kExtent, LockMode::kPW, {start, end, 0},
                                           GatesHeld::kNone, &use)
                                    .ok());
                    *got = use.lock()->policy;
                });
            };
            LockPolicy got;
            lock(0, 1000, 1999, &got);
            EXPECT_EQ(got.start, 0u);
            EXPECT_EQ(got.end, UINT64_MAX);
            lock(1, 5000, 5999, &got);  // the other one goes, so all of it again
            EXPECT_EQ(got.end, UINT64_MAX);
            // In use, it cannot go: the next one gets what is left.
            bool release = false, held = false;
            c.spawn(1, [&] {
                LockUse use;
                EXPECT_TRUE(c.peer(1)
                                .locks
                                ->lock(kB, LockType::kExtent, LockMode::kPW, {0, 99, 0},
                                       GatesHeld::kNone, &use)
                                .ok());
                held = true;
                while (!release) kapi_sleep_ns(kMsec);
            });
            EXPECT_TRUE(c.until([&] { return held; }));
            int waiting = 0;
            c.spawn(0, [&] {
                LockUse use;
                EXPECT_TRUE(c.peer(0)
                                .locks
                                ->lock(kB, LockType::kExtent, LockMode::kPW, {200, 299, 0},
                                       GatesHeld::kNone, &use)
                                .ok());
                waiting = 1;
            });
            c.world.run_for(kSec);
            EXPECT_EQ(waiting, 0);
            release = true;
            EXPECT_TRUE(c.until([&] { return waiting == 1; }));
        },
        4);
}

TEST(LdlmCluster, FirstComeFirstServed)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed);
        for (int i = 0; i < 4; i++) c.mount();
        c.peer(0).hold_ns = 500 * kMsec;
        std::string order;
        auto go = [&](size_t i, bool write, char name) {
            c.spawn(i, [&c, i, write, name, &order] {
                Result<int> r = write ? c.peer(i).add(kA, 1) : c.peer(i).read(kA);
                EXPECT_TRUE(r.ok());
                order += name;
            });
            c.world.run_for(50 * kMsec);
        };
        go(0, false, 'a');  // holds PR for a while
        go(1, true, 'b');   // must wait
        go(2, false, 'c');  // could be granted, but does not overtake
        go(3, false, 'd');
        EXPECT_TRUE(c.until([&] { return order.size() == 4; }));
        EXPECT_EQ(order.substr(0, 2), "ab");
    });
}

TEST(LdlmCluster, SameLockIsEnqueuedOnce)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed);
        c.mount();
        int done = 0;
        for (int i = 0; i < 5; i++)
            c.spawn(0, [&] {
                EXPECT_TRUE(c.peer(0).read(kA).ok());
                done++;
            });
        EXPECT_TRUE(c.until([&] { return done == 5; }));
        EXPECT_EQ(c.target->enqueues, 1u);
    });
}

TEST(LdlmCluster, SilentHolderIsEvicted)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed, {.callback_timeout_ms = 3000});
        c.mount();
        c.mount();
        c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).add(kA, 7).ok()); });
        c.peer(0).deaf = true;
        uint64_t began = c.world.now_ns();
        c.on(*c.hosts[1], [&] {
            EXPECT_EQ(c.peer(1).add(kA, 1).value(), 1) << "what the evicted one wrote is lost";
        });
        uint64_t took = c.world.now_ns() - began;
        EXPECT_GE(took, 3000 * kMsec);
        EXPECT_LT(took, 3500 * kMsec);
        EXPECT_EQ(c.target->evicted, std::vector<std::string>{"client0"});
        EXPECT_TRUE(c.until([&] { return c.peer(0).evictions == 1; }));
        c.world.run_for(100 * kMsec);
        c.peer(0).deaf = false;
        c.on(*c.hosts[0], [&] { EXPECT_EQ(c.peer(0).read(kA).value(), 1); });
    });
}

TEST(LdlmCluster, DeadHolderIsEvicted)
{
    LockCluster c(3, {.callback_timeout_ms = 3000});
    c.mount();
    c.mount();
    c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).add(kA, 7).ok()); });
    c.world.network().cut(c.server, *c.hosts[0]);
    c.on(*c.hosts[1], [&] { EXPECT_EQ(c.peer(1).add(kA, 1).value(), 1); });
    c.world.network().heal_all();
    EXPECT_TRUE(c.until([&] { return c.peer(0).evictions == 1; }));
}

TEST(LdlmCluster, ProgressPostponesEviction)
{
    for_seeds(
        [](uint64_t seed) {
            LockCluster c(seed, {.callback_timeout_ms = 3000});
            c.mount();
            c.mount();
            c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).add(kA, 7).ok()); });
            c.peer(0).flush_ns = 10 * kSec;
            bool stop = false;
            c.spawn(0, [&] {
                while (!stop) {
                    auto sync = make_ref<Call<OstSyncOp>>();
                    EXPECT_TRUE(c.peer(0).import->call(*sync).ok());
                    kapi_sleep_ns(kSec);
                }
            });
            c.on(*c.hosts[1], [&] { EXPECT_EQ(c.peer(1).add(kA, 1).value(), 8); });
            stop = true;
            EXPECT_TRUE(c.target->evicted.empty());
            c.world.run_for(2 * kSec);
        },
        4);
}

// The holder's data is in the hands of a slow server.
namespace {

constexpr LdlmServerOptions kSoftAndHard{.callback_timeout_ms = 3000, .callback_limit_ms = 30000};

// The first client has a lock that it will never give back, and does every so often something that
// may look like work; the second wants it. How long that took, and that it was got in the end.
uint64_t wait_for_hostile(LockCluster& c, const std::function<void()>& work, uint64_t every_ms)
{
    c.peer(0).deaf = true;
    bool stop = false;
    auto at_work = c.spawn(0, [&] {
        while (!stop) {
            work();
            kapi_sleep_ns(every_ms * kMsec);
        }
    });
    uint64_t began = c.world.now_ns();
    c.on(*c.hosts[1], [&] { EXPECT_EQ(c.peer(1).add(kA, 1).value(), 1); });
    uint64_t took = c.world.now_ns() - began;
    EXPECT_EQ(c.target->evicted, std::vector<std::string>{"client0"});
    stop = true;
    EXPECT_TRUE(c.until([&] { return sim::World::finished(at_work); }));
    c.peer(0).deaf = false;
    EXPECT_TRUE(c.until([&] { return c.peer(0).evictions == 1; }));
    return took;
}

void cancel(LockPeer& peer, std::initializer_list<uint64_t> handles)
{
    auto call = make_ref<Call<LdlmCancelOp>>();
    for (uint64_t handle : handles) EXPECT_TRUE(call->op.server_handles.push_back(handle).ok());
    (void)peer.import->call(*call);  // fails in the end: it is evicted
}

}  // namespace

// Invariant 11: what asks for nothing is no progress, however often it comes.
TEST(LdlmCluster, EmptyCancelsAreNoProgress)
{
    for_seeds(
        [](uint64_t seed) {
            LockCluster c(seed, kSoftAndHard);
            c.mount();
            c.mount();
            c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).add(kA, 7).ok()); });
            unsigned n = 0;
            uint64_t took = wait_for_hostile(
                c,
                [&] {
                    if (n++ % 2) cancel(c.peer(0), {});
                    else cancel(c.peer(0), {1, 4711});  // known to nobody
                },
                100);
            EXPECT_LT(took, 4000 * kMsec);
        },
        4);
}

// Nor is giving back what nobody asks for.
TEST(LdlmCluster, CancelsOfUnwantedLocksAreNoProgress)
{
    LockCluster c(1, kSoftAndHard);
    c.mount();
    c.mount();
    c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).add(kA, 7).ok()); });
    uint64_t n = 100;
    uint64_t took = wait_for_hostile(
        c,
        [&] {
            ResourceId unwanted{{n++, 3}};
            (void)c.peer(0).read(unwanted);
            (void)c.peer(0).locks->cancel_resource(unwanted);
        },
        500);
    EXPECT_LT(took, 4500 * kMsec);
}

// Progress postpones the end, but not for ever; and neither does connecting again.
TEST(LdlmCluster, WhoHoldsOnToALockIsEvictedInTheEnd)
{
    for (bool connects : {false, true}) {
        LockCluster c(1, kSoftAndHard);
        c.mount();
        c.mount();
        c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).add(kA, 7).ok()); });
        uint64_t took = wait_for_hostile(
            c,
            [&] {
                if (connects) return c.world.network().reset_connections(*c.hosts[0], c.server);
                auto sync = make_ref<Call<OstSyncOp>>();
                (void)c.peer(0).import->call(*sync);
            },
            1000);
        EXPECT_GE(took, 30000 * kMsec);
        EXPECT_LT(took, 34000 * kMsec);
    }
}

// A server that is stuck itself blames nobody, even beyond the limit.
TEST(LdlmCluster, StuckServerEvictsNobody)
{
    LockCluster c(1, kSoftAndHard);
    c.mount();
    c.mount();
    c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).add(kA, 7).ok()); });
    c.peer(0).flush_ns = 101 * kSec;
    c.target->sync_ns = 100 * kSec;
    c.spawn(0, [&] {
        auto sync = make_ref<Call<OstSyncOp>>();
        EXPECT_TRUE(c.peer(0).import->call(*sync).ok());
    });
    c.on(*c.hosts[1], [&] { EXPECT_EQ(c.peer(1).add(kA, 1).value(), 8); });
    EXPECT_TRUE(c.target->evicted.empty());
    c.world.run_for(2 * kSec);
}

TEST(LdlmCluster, SlowServerEvictsNobody)
{
    for_seeds(
        [](uint64_t seed) {
            LockCluster c(seed, {.callback_timeout_ms = 3000});
            c.mount();
            c.mount();
            c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).add(kA, 7).ok()); });
            c.peer(0).flush_ns = 21 * kSec;
            c.target->sync_ns = 20 * kSec;
            c.spawn(0, [&] {
                auto sync = make_ref<Call<OstSyncOp>>();
                EXPECT_TRUE(c.peer(0).import->call(*sync).ok());
            });
            c.on(*c.hosts[1], [&] { EXPECT_EQ(c.peer(1).add(kA, 1).value(), 8); });
            EXPECT_TRUE(c.target->evicted.empty());
            c.world.run_for(2 * kSec);
        },
        4);
}

TEST(LdlmCluster, CallbackTimeIsLearned)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed, {.callback_timeout_ms = 3000});
        c.mount();
        c.mount();
        c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).add(kA, 7).ok()); });
        for (uint64_t ms : {2500u, 4500u, 8000u}) {
            c.peer(0).flush_ns = ms * kMsec;
            c.on(*c.hosts[1], [&] { EXPECT_TRUE(c.peer(1).add(kA, 1).ok()); });
            c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).add(kA, 1).ok()); });
        }
        EXPECT_TRUE(c.target->evicted.empty());
        c.peer(0).deaf = true;  // and still somebody who never answers is evicted
        uint64_t began = c.world.now_ns();
        c.on(*c.hosts[1], [&] { EXPECT_TRUE(c.peer(1).add(kA, 1).ok()); });
        EXPECT_LT(c.world.now_ns() - began, 20 * kSec);
        EXPECT_EQ(c.target->evicted, std::vector<std::string>{"client0"});
    });
}

TEST(LdlmCluster, ReconnectPostsBlAstAgain)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed);
        c.mount();
        c.mount();
        c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).add(kA, 7).ok()); });
        c.peer(0).deaf = true;  // the message is lost
        int done = 0;
        c.spawn(1, [&] {
            EXPECT_EQ(c.peer(1).read(kA).value(), 7);
            done = 1;
        });
        EXPECT_TRUE(c.until([&] { return c.peer(0).asts == 1; }));
        c.world.run_for(2 * kSec);
        EXPECT_EQ(c.peer(0).asts, 1u);
        c.peer(0).deaf = false;
        c.world.network().reset_connections(c.server, *c.hosts[0]);
        EXPECT_TRUE(c.until([&] { return done == 1; }));
        EXPECT_TRUE(c.target->evicted.empty());
    });
}

// Granted, the answer lost, a blocking AST on the way, and the enqueue that is sent again meets a
// server without memory: the client gives back what it never got. Invariant 4.
TEST(LdlmCluster, RefusedResendLosesNoLock)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed);
        size_t a = c.mount(), b = c.mount();
        bool killed = seed % 2;
        c.world.network().lose(c.server, *c.hosts[a], 1000, 1);
        Status first;
        auto asks = c.spawn(a, [&] { first = c.peer(a).read(kA).status(); });
        ASSERT_TRUE(c.until([&] { return c.peer(a).import->state() != ImportState::kFull; }));
        c.world.network().cut(*c.hosts[a], c.server);
        if (killed) c.world.signal(asks, true);
        Status second(-kEIO);
        auto waits = c.spawn(b, [&] { second = c.peer(b).add(kA, 1).status(); });
        ASSERT_TRUE(c.until([&] { return c.target->enqueues == 2; }));
        c.target->refuse_resends = 1;
        c.world.network().heal_all();
        EXPECT_TRUE(c.until([&] { return sim::World::finished(waits); }));
        EXPECT_TRUE(c.world.run_to_end(asks, c.world.now_ns() + kSec)) << c.world.report();
        EXPECT_TRUE(second.ok()) << second.error();
        EXPECT_TRUE(first.is(killed ? kERESTARTSYS : kENOMEM)) << first.error();
        EXPECT_EQ(c.target->refuse_resends, 0u);
        EXPECT_TRUE(c.target->evicted.empty());
    });
}

TEST(LdlmCluster, LocksSurviveACrashOfTheServer)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed);
        c.mount();
        c.mount();
        c.on(*c.hosts[0], [&] {
            EXPECT_TRUE(c.peer(0).add(kA, 7).ok());
            EXPECT_TRUE(c.peer(0).read(kB).ok());
        });
        c.on(*c.hosts[1], [&] { EXPECT_TRUE(c.peer(1).read(kB).ok()); });
        int done = 0;
        if (seed % 2) {  // somebody waits across the crash
            c.peer(0).deaf = true;
            c.spawn(1, [&] {
                EXPECT_EQ(c.peer(1).read(kA).value(), 8);
                done = 1;
            });
            EXPECT_TRUE(c.until([&] { return c.peer(0).asts == 1; }));
            c.peer(0).deaf = false;
        }
        c.crash_server();
        c.world.run_for(seed * 100 * kMsec);
        c.on(*c.hosts[0], [&] { EXPECT_EQ(c.peer(0).add(kA, 1).value(), 8) << "from the cache"; });
        c.start_server(2);
        EXPECT_TRUE(c.until([&] {
            return c.peer(0).import->state() == ImportState::kFull &&
                   c.peer(1).import->state() == ImportState::kFull;
        }));
        EXPECT_TRUE(c.until([&] { return c.ldlm().counts().granted >= (seed % 2 ? 2u : 3u); }));
        c.on(*c.hosts[1], [&] { EXPECT_EQ(c.peer(1).read(kA).value(), 8); });
        if (seed % 2) {
            EXPECT_TRUE(c.until([&] { return done == 1; }));
        }
        EXPECT_EQ(c.peer(0).evictions + c.peer(1).evictions, 0u);
    });
}

namespace {

// A peer's import, for its locks: an enqueue's caller is preempted for so long after the answer.
class LateImport final : public Import {
public:
    uint64_t late_ns = 0;
    void put_between(LockCluster& c, size_t i)
    {
        at_ = c.peer(i).import.get();
        c.on(*c.hosts[i], [&, this] {
            c.peer(i).locks->shutdown();
            c.peer(i).locks = LdlmClient::create(*c.nodes[i], *this, c.peer(i)).release_value();
        });
    }
    Status call(Request& r) override
    {
        Status s = at_->call(r);
        if (r.opcode() == Opcode::kLdlmEnqueue && !r.in_recovery && s.ok())
            if (uint64_t ns = std::exchange(late_ns, 0)) kapi_sleep_ns(ns);
        return s;
    }
    Status connect(uint64_t until, WaitMode mode) override { return at_->connect(until, mode); }
    Status await(Request& r, uint64_t until, WaitMode mode) override
    {
        return at_->await(r, until, mode);
    }
    bool goes_on(const Request& r) const override { return at_->goes_on(r); }
    void forget(Request& open) override { at_->forget(open); }
    Gate& gate() override { return at_->gate(); }
    ImportState state() const override { return at_->state(); }
    uint64_t instance() const override { return at_->instance(); }
    uint16_t protocol() const override { return at_->protocol(); }
    uint64_t last_committed() const override { return at_->last_committed(); }
    const ImportOptions& options() const override { return at_->options(); }
    uint64_t cookie() const override { return at_->cookie(); }
    ImportStats stats() const override { return at_->stats(); }
    size_t replay_count(bool opens) const override { return at_->replay_count(opens); }
    uint64_t replay_bulk_bytes() const override { return at_->replay_bulk_bytes(); }
    bool is_owed_a_commit() const override { return at_->is_owed_a_commit(); }
    Status quiesce(uint64_t until) override { return at_->quiesce(until); }
    void resume() override { at_->resume(); }
    void expect_restart(uint32_t spread_ms) override { at_->expect_restart(spread_ms); }
    void ping() override { at_->ping(); }
    Status recover_now(Nid nid, uint64_t until) override { return at_->recover_now(nid, until); }
    void target_is_at(Nid nid, uint64_t n) override { at_->target_is_at(nid, n); }
    Status wait_full(uint64_t until, WaitMode mode) override { return at_->wait_full(until, mode); }
    void set_active(bool yes) override { at_->set_active(yes); }
    bool is_active() const override { return at_->is_active(); }
    void interrupt_waits() override { at_->interrupt_waits(); }
    void close() override { at_->close(); }
    void describe(TextSink& out) const override { at_->describe(out); }
    void describe_timeouts(TextSink& out) const override { at_->describe_timeouts(out); }

private:
    Import* at_ = nullptr;
};

}  // namespace

// I9: a grant that is noted only when the instance that gave it is gone was not replayed to the
// next one: others do not know of it, so it is none.
TEST(LdlmCluster, GrantOfAGoneInstanceIsVoid)
{
    LateImport late;
    LockCluster c(1);
    c.mount();
    c.mount();
    late.put_between(c, 0);
    late.late_ns = 60 * kSec;
    int status = 1;
    LockUse use;
    c.spawn(0, [&] {
        status =
            c.peer(0)
                .locks
                ->lock(kA, LockType::kExtent, LockMode::kPR, LockPolicy(), GatesHeld::kNone, &use)
                .error();
    });
    EXPECT_TRUE(c.until([&] { return late.late_ns == 0; }));
    c.crash_server();
    c.start_server(2);
    EXPECT_TRUE(c.until([&] { return status != 1; }));
    EXPECT_EQ(status, -kEPark);
    EXPECT_FALSE(use);
    c.on(*c.hosts[1], [&] { EXPECT_EQ(c.peer(1).add(kA, 5).value(), 5); });
    c.on(*c.hosts[0], [&] { EXPECT_EQ(c.peer(0).read(kA).value(), 5); });
}

TEST(LdlmCluster, LruIsBounded)
{
    for_seeds(
        [](uint64_t seed) {
            LockCluster c(seed);
            c.mount();
            c.on(*c.hosts[0], [&] {
                c.peer(0).locks->set_lru_size(10);
                for (uint64_t i = 0; i < 100; i++) EXPECT_TRUE(c.peer(0).read({{7, i}}).ok());
                EXPECT_TRUE(c.peer(0).read({{7, 99}}).ok());
                EXPECT_EQ(c.target->enqueues, 100u);
            });
            EXPECT_TRUE(c.until([&] { return c.peer(0).locks->lock_count() == 10; }));
            EXPECT_EQ(c.ldlm().counts().granted, 10u);
            EXPECT_LT(c.target->cancels, 91u);
        },
        3);
}

TEST(LdlmCluster, FlushAllInFewMessages)
{
    for_seeds(
        [](uint64_t seed) {
            LockCluster c(seed);
            c.mount();
            c.on(*c.hosts[0], [&] {
                for (uint64_t i = 0; i < 300; i++) EXPECT_TRUE(c.peer(0).add({{7, i}}, 1).ok());
                EXPECT_EQ(c.ldlm().counts().granted, 300u);
                EXPECT_TRUE(c.peer(0).locks->flush_all(deadline_after_ms(60000)).ok());
                EXPECT_EQ(c.peer(0).locks->lock_count(), 0u);
            });
            EXPECT_EQ(c.ldlm().counts().granted, 0u);
            for (uint64_t i = 0; i < 300; i++) EXPECT_EQ((c.target->values[{{7, i}}]), 1);
            EXPECT_LT(c.target->cancels, 100u);
        },
        3);
}

TEST(LdlmCluster, CancelOfOneResource)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed);
        c.mount();
        c.on(*c.hosts[0], [&] {
            EXPECT_TRUE(c.peer(0).add(kA, 1).ok());
            EXPECT_TRUE(c.peer(0).add(kB, 1).ok());
            EXPECT_TRUE(c.peer(0).locks->cancel_resource(kA).ok());
        });
        EXPECT_TRUE(c.until([&] { return c.ldlm().counts().granted == 1; }));
        EXPECT_EQ(c.target->values[kA], 1);
        EXPECT_EQ(c.target->values[kB], 0);
    });
}

TEST(LdlmCluster, FlushAllTimesOut)
{
    LockCluster c(1);
    c.mount();
    c.peer(0).hold_ns = 5 * kSec;
    c.spawn(0, [&] { EXPECT_TRUE(c.peer(0).add(kA, 1).ok()); });
    c.world.run_for(kSec);
    c.on(*c.hosts[0], [&] {
        EXPECT_EQ(c.peer(0).locks->flush_all(deadline_after_ms(1000)).error(), -kETIMEDOUT);
        EXPECT_TRUE(c.peer(0).locks->flush_all(deadline_after_ms(10000)).ok());
    });
    EXPECT_EQ(c.target->values[kA], 1);
}

TEST(LdlmCluster, Intents)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed);
        c.mount();
        c.mount();
        c.target->names["file"] = kA;
        c.target->values[kA] = 33;
        c.on(*c.hosts[0], [&] {
            LockUse use;
            auto found = intent(Intent::kLookup, "file");
            EXPECT_TRUE(c.peer(0).locks->lock_intent(*found, &use).ok());
            ASSERT_TRUE(use);
            EXPECT_EQ(found->reply.intent_status, 0);
            EXPECT_EQ(found->reply.object.attr.size, 33u);
            EXPECT_EQ(use.lock()->resource, kA);
            use.release();
            EXPECT_TRUE(c.peer(0).locks->match(kA, LockType::kIbits, LockMode::kPR,
                                               {0, 0, kIbitUpdate}, &use));
            use.release();
            auto none = intent(Intent::kLookup, "nothing");
            EXPECT_TRUE(c.peer(0).locks->lock_intent(*none, &use).ok());
            EXPECT_FALSE(use);
            EXPECT_EQ(none->reply.intent_status, -kENOENT);
            auto error = intent(Intent::kGetattr, "", 404);
            error->op.resource = kB;
            EXPECT_TRUE(c.peer(0).locks->lock_intent(*error, &use).ok());
            EXPECT_FALSE(use);
            EXPECT_EQ(error->reply.intent_status, -kENOENT);
        });
        EXPECT_EQ(c.ldlm().counts().granted, 1u);
        EXPECT_EQ(c.peer(0).locks->lock_count(), 1u);
    });
}

// The intent runs late, after a wait for the server's own lock; meanwhile the name leads elsewhere.
TEST(LdlmCluster, IntentAfterRename)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed);
        c.mount();
        c.target->names["file"] = kA;
        c.target->values[kA] = 33;
        c.target->values[kB] = 44;
        LocalLock own;
        c.on(c.server, [&] {
            EXPECT_TRUE(c.ldlm()
                            .lock_local(&own, kA, LockType::kIbits, LockMode::kEX, {0, 0, kIbitAll},
                                        nullptr)
                            .ok());
        });
        int done = 0;
        c.spawn(0, [&] {
            LockUse use;
            auto found = intent(Intent::kLookup, "file");
            EXPECT_TRUE(c.peer(0).locks->lock_intent(*found, &use).ok());
            EXPECT_TRUE(use);
            EXPECT_EQ(found->reply.object.attr.size, 44u);
            EXPECT_EQ(found->reply.resource, kB);
            done = 1;
        });
        EXPECT_TRUE(c.until([&] { return c.ldlm().counts().waiting == 1; }));
        c.on(c.server, [&] {
            c.target->names["file"] = kB;
            own.release();
        });
        EXPECT_TRUE(c.until([&] { return done == 1; }));
        EXPECT_EQ(c.ldlm().counts().granted, 1u);
    });
}

TEST(LdlmCluster, LocalLocksAndTheClientTheyServe)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed);
        c.mount();
        c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).read(kA).ok()); });
        c.on(c.server, [&] {
            LocalLock own;
            Ref<Export> exp = c.target->only_export();
            EXPECT_TRUE(
                c.ldlm().lock_local(&own, kA, LockType::kPlain, LockMode::kEX, {}, exp.get()).ok());
            EXPECT_TRUE(own.held());
            kapi_sleep_ns(kSec);
        });
        EXPECT_EQ(c.peer(0).asts, 0u) << "the client updates its own cache";
        c.on(c.server, [&] {
            LocalLock own;
            EXPECT_TRUE(
                c.ldlm().lock_local(&own, kA, LockType::kPlain, LockMode::kEX, {}, nullptr).ok());
            EXPECT_EQ(c.ldlm().counts().granted, 1u);
        });
        EXPECT_EQ(c.peer(0).asts, 1u);
        EXPECT_EQ(c.ldlm().counts().granted, 0u);
    });
}

TEST(LdlmCluster, OwnChangeWaitsForTheIntentBeingAnswered)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed);
        c.mount();
        c.target->names["file"] = kA;
        c.target->intent_ns = kSec;
        int done = 0;
        c.spawn(0, [&] {
            LockUse use;
            auto found = intent(Intent::kLookup, "file");
            EXPECT_TRUE(c.peer(0).locks->lock_intent(*found, &use).ok());
            EXPECT_EQ(found->reply.object.attr.size, 0u);
            done = 1;
        });
        EXPECT_TRUE(c.until([&] { return c.target->intents == 1; }));
        c.on(c.server, [&] {
            LocalLock own;
            Ref<Export> exp = c.target->only_export();
            EXPECT_TRUE(c.ldlm()
                            .lock_local(&own, kA, LockType::kIbits, LockMode::kEX,
                                        {0, 0, kIbitUpdate}, exp.get())
                            .ok());
            c.target->values[kA] = 1;
        });
        EXPECT_TRUE(c.until([&] { return done == 1; }));
    });
}

TEST(LdlmCluster, ReplayDoesNotWaitForClients)
{
    LockCluster c(1);
    c.mount();
    c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).add(kA, 1).ok()); });
    c.on(c.server, [&] {
        c.ldlm().set_recovering(true);
        LocalLock own;
        EXPECT_TRUE(
            c.ldlm().lock_local(&own, kA, LockType::kPlain, LockMode::kEX, {}, nullptr).ok());
        c.ldlm().set_recovering(false);
    });
    EXPECT_EQ(c.peer(0).asts, 0u);
}

TEST(LdlmCluster, ParkedWaitersGoBack)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed);
        c.mount();
        c.mount();
        c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).add(kA, 1).ok()); });
        c.peer(0).deaf = true;
        int admitted = 1, local = 1, later = 1;
        c.spawn(1, [&] { admitted = c.peer(1).read(kA, true).error(); });
        c.server.spawn("own", [&] {
            LocalLock own;
            local =
                c.ldlm().lock_local(&own, kA, LockType::kPlain, LockMode::kEX, {}, nullptr).error();
        });
        EXPECT_TRUE(c.until([&] { return c.ldlm().counts().waiting == 2; }));
        c.on(c.server, [&] { c.ldlm().park_waiters(true); });
        EXPECT_TRUE(c.until([&] { return admitted != 1 && local != 1; }));
        EXPECT_EQ(admitted, -kEPark);
        EXPECT_EQ(local, -kEPark);
        c.spawn(1, [&] { later = c.peer(1).read(kA, true).error(); });
        EXPECT_TRUE(c.until([&] { return later != 1; }));
        EXPECT_EQ(later, -kEPark);
        EXPECT_EQ(c.ldlm().counts().waiting, 0u);
        EXPECT_EQ(c.peer(1).locks->lock_count(), 0u);
        c.peer(0).deaf = false;
        c.world.network().reset_connections(c.server, *c.hosts[0]);  // told again
        c.on(c.server, [&] { c.ldlm().park_waiters(false); });
        c.on(*c.hosts[1], [&] { EXPECT_EQ(c.peer(1).read(kA, true).value(), 1); });
    });
}

TEST(LdlmCluster, KilledCallerLeavesNothingBehind)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed);
        c.mount();
        c.mount();
        c.on(*c.hosts[0], [&] { EXPECT_TRUE(c.peer(0).add(kA, 1).ok()); });
        c.peer(0).flush_ns = 2 * kSec;
        int status = 1;
        auto victim = c.spawn(1, [&] { status = c.peer(1).read(kA).error(); });
        EXPECT_TRUE(c.until([&] { return c.ldlm().counts().waiting == 1; }));
        c.world.signal(victim, true);
        EXPECT_TRUE(c.until([&] { return status != 1; }));
        EXPECT_EQ(status, -kERESTARTSYS);
        EXPECT_TRUE(c.until([&] { return c.peer(1).locks->lock_count() == 0; }));
        EXPECT_TRUE(c.until([&] { return c.ldlm().counts().granted == 0; }));
        EXPECT_EQ(c.ldlm().counts().waiting, 0u);
    });
}

TEST(LdlmCluster, ObjectWithoutValueBlock)
{
    LockCluster c(1);
    c.mount();
    c.target->lvb_fails = true;
    c.on(*c.hosts[0], [&] { EXPECT_EQ(c.peer(0).read(kA).error(), -kENOENT); });
    EXPECT_EQ(c.ldlm().counts().granted, 0u);
    EXPECT_EQ(c.ldlm().counts().resources, 0u);
}

TEST(LdlmCluster, FlockIsRefused)
{
    LockCluster c(1);
    c.mount();
    c.on(*c.hosts[0], [&] {
        LockUse use;
        EXPECT_EQ(c.peer(0)
                      .locks->lock(kA, LockType::kFlock, LockMode::kPR, {}, GatesHeld::kNone, &use)
                      .error(),
                  -kEOPNOTSUPP);
        // A peer that sends nonsense gets errors.
        for (unsigned type = 0; type < 256; type += 5)
            for (uint8_t mode = 0; mode < 8; mode++) {
                auto call = make_ref<Call<LdlmEnqueueOp>>();
                call->op.type = static_cast<uint8_t>(type);
                call->op.mode = mode;
                call->op.resource = ResourceId::active_server_lock();
                call->op.client_handle = 5000;
                EXPECT_FALSE(c.peer(0).import->call(*call).ok());
            }
    });
    EXPECT_EQ(c.ldlm().counts().granted, 0u);
}

// ---- the active server lock

TEST(LdlmCluster, ExclusiveWithManyHolders)
{
    for_seeds(
        [](uint64_t seed) {
            LockCluster c(seed);
            constexpr size_t kClients = 100;
            for (size_t i = 0; i < kClients; i++) c.mount(true);
            EXPECT_TRUE(c.until([&] {
                Vec<Ref<Export>> holders;
                return c.ldlm().active_holders(&holders).ok() && holders.size() == kClients;
            }));
            EXPECT_EQ(c.ldlm().active_holder_count(), kClients);
            Vec<Ref<Export>> some;
            EXPECT_TRUE(c.ldlm().active_holders(&some, 3).ok());
            EXPECT_EQ(some.size(), 3u);
            some.clear();
            c.on(c.server, [&] {
                EXPECT_FALSE(c.ldlm().exclusive_granted());
                EXPECT_TRUE(c.ldlm().begin_exclusive().ok());
                EXPECT_EQ(c.ldlm().begin_exclusive().error(), -kEALREADY);
                EXPECT_TRUE(c.ldlm().wait_exclusive(deadline_after_ms(60000)).ok());
                EXPECT_TRUE(c.ldlm().exclusive_granted());
                EXPECT_EQ(c.ldlm().active_holder_count(), 0u) << "EX is no client's";
                EXPECT_FALSE(c.ldlm().holds_active(*c.target->exports.begin()->second));
            });
            EXPECT_TRUE(c.until([&] { return c.ldlm().counts().waiting == kClients; }))
                << "one request each waits behind EX";
            c.on(c.server, [&] { c.ldlm().end_exclusive(); });
            EXPECT_TRUE(c.until([&] {
                for (auto& p : c.peers)
                    if (p->active->state() != ActiveLockState::kHeld) return false;
                return true;
            }));
            for (auto& p : c.peers) EXPECT_EQ(p->asts, 1u) << "one message per client";
        },
        1);
}

TEST(LdlmCluster, ControlledRestart)
{
    for_seeds(
        [](uint64_t seed) {
            LockCluster c(seed);
            constexpr size_t kClients = 3;
            for (size_t i = 0; i < kClients; i++) c.mount(true);
            bool stop = false;
            int running = 0;
            int total = 0;
            for (size_t i = 0; i < kClients; i++)
                c.spawn(i, [&, i] {
                    running++;
                    while (!stop) {
                        Result<int> r = c.peer(i).add(i % 2 ? kA : kB, 1);
                        EXPECT_TRUE(r.ok()) << r.error();
                        if (r.ok()) total++;
                        kapi_sleep_ns(5 * kMsec);
                    }
                    running--;
                });
            c.world.run_for(kSec);
            bool cancelled = seed % 4 == 0;
            c.on(c.server, [&] {
                c.target->withhold = true;
                c.target->park = true;
                c.ldlm().park_waiters(true);
                EXPECT_TRUE(c.ldlm().begin_exclusive().ok());
                Status s = c.ldlm().wait_exclusive(deadline_after_ms(60000));
                EXPECT_TRUE(s.ok()) << s.error();
                EXPECT_EQ(c.ldlm().counts().granted, 1u) << "nothing but EX";
                EXPECT_EQ(c.target->values[kA] + c.target->values[kB], total)
                    << "all was written back";
            });
            EXPECT_TRUE(c.until([&] { return c.target->withheld.size() == kClients; }));
            if (cancelled) {
                c.on(c.server, [&] {
                    c.target->park = false;
                    c.ldlm().end_exclusive();
                    c.ldlm().park_waiters(false);
                    c.target->release_cancels(false);
                });
            } else {
                c.on(c.server, [&] { c.target->release_cancels(true); });
                c.world.run_for((seed % 3) * 100 * kMsec);
                c.stop_server();
                c.start_server(kClients);
            }
            int before = total;
            EXPECT_TRUE(c.until([&] { return total > before + 30; })) << c.world.report();
            stop = true;
            EXPECT_TRUE(c.until([&] { return running == 0; })) << c.world.report();
            for (auto& p : c.peers) {
                EXPECT_EQ(p->evictions, 0u);
                EXPECT_EQ(p->active->grants(), cancelled ? 2u : p->active->grants());
            }
        },
        24);
}

// A cancel sent again after the connection broke is withheld as well, and answered once.
TEST(LdlmCluster, WithheldCancelSurvivesAReconnect)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed);
        c.mount(true);
        EXPECT_TRUE(c.until([&] { return c.peer(0).active->state() == ActiveLockState::kHeld; }));
        c.on(c.server, [&] {
            c.target->withhold = true;
            EXPECT_TRUE(c.ldlm().begin_exclusive().ok());
        });
        EXPECT_TRUE(c.until([&] { return c.target->withheld.size() >= 1; }));
        c.world.network().reset_connections(c.server, *c.hosts[0]);
        c.world.run_for(3 * kSec);
        EXPECT_EQ(c.peer(0).active->state(), ActiveLockState::kCancelling);
        c.on(c.server, [&] {
            c.ldlm().end_exclusive();
            c.target->release_cancels(false);
        });
        EXPECT_TRUE(c.until([&] { return c.peer(0).active->state() == ActiveLockState::kHeld; }));
    });
}

TEST(LdlmCluster, HolderThatDisconnectsFreesTheExclusive)
{
    for_seeds([](uint64_t seed) {
        LockCluster c(seed, {.callback_timeout_ms = 2000});
        c.mount(true);
        c.mount(true);
        EXPECT_TRUE(c.until([&] { return c.ldlm().counts().granted == 2; }));
        c.peer(0).deaf = true;
        c.on(c.server, [&] {
            EXPECT_TRUE(c.ldlm().begin_exclusive().ok());
            EXPECT_EQ(c.ldlm().wait_exclusive(deadline_after_ms(10000)).error(), -kETIMEDOUT);
            Vec<Ref<Export>> holders;
            EXPECT_TRUE(c.ldlm().active_holders(&holders).ok());
            ASSERT_EQ(holders.size(), 1u);
            c.target->evict(*holders[0], "late");  // as the controlled shutdown does
            EXPECT_TRUE(c.ldlm().wait_exclusive(deadline_after_ms(1000)).ok());
            c.ldlm().end_exclusive();
        });
        EXPECT_EQ(c.target->evicted.size(), 1u);
        EXPECT_TRUE(c.until([&] { return c.peer(0).evictions == 1; }));
    });
}
