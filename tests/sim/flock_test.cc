// SPDX-License-Identifier: GPL-2.0-only
// File locks of two clients, over crashes, controlled restarts, evictions and signals.
#include <gtest/gtest.h>

#include <cstdlib>

#include "kapi/errno.h"
#include "kapi/sim/network.h"
#include "kapi/sync.h"
#include "tests/sim/fs_world.h"

using namespace lull::sim;
using lull::kSec;

namespace {

constexpr unsigned kUn = LLC_FLOCK_UNLOCK, kSh = LLC_FLOCK_SHARED, kEx = LLC_FLOCK_EXCLUSIVE;
constexpr unsigned kRw = SimMount::kRead | SimMount::kWrite | SimMount::kCreate;
constexpr uint64_t kAll = UINT64_MAX;

// Two clients with "/f" open on each.
struct Lab {
    FsWorld w;
    int fd[2] = {-1, -1};

    explicit Lab(uint64_t seed, FsOptions options = {}) : w(seed, options)
    {
        for (size_t i = 0; i < 2; i++) w.on(i, [&, i] { fd[i] = w.c(i).open("/f", kRw); });
        EXPECT_GE(fd[0], 0);
        EXPECT_GE(fd[1], 0);
        // nobody's open builds on what is not committed
        w.on(1, [&] { EXPECT_EQ(w.c(1).sync(), 0); });
    }
    int setlk(size_t c, unsigned type, uint64_t start, uint64_t end, bool wait = false,
              uint64_t owner = 1)
    {
        int err = 1;
        w.on(c, [&] { err = w.c(c).setlk(fd[c], owner, type, start, end, wait); });
        return err;
    }
    int flock(size_t c, unsigned type, bool wait = false)
    {
        int err = 1;
        w.on(c, [&] { err = w.c(c).flock(fd[c], type, wait); });
        return err;
    }
    // In the background; *err stays 1 while it waits.
    TaskHandle start_lock(size_t c, unsigned type, int* err)
    {
        *err = 1;
        return w.c(c).host().spawn("locker", [this, c, type, err] {
            *err = w.c(c).setlk(fd[c], 1, type, 0, kAll, true);
        });
    }
    void close(size_t c)
    {
        w.on(c, [&] { EXPECT_EQ(w.c(c).close(fd[c]), 0); });
    }
    bool until(const std::function<bool()>& p, uint64_t seconds = 300)
    {
        return w.world.run_until(p, w.world.now_ns() + seconds * kSec);
    }
    void crash_mdt()
    {
        w.crash(w.mdt());
        w.run_for_ms(500);
        ASSERT_EQ(w.start(w.mdt(), w.mds2), 0);
    }
    void finish()
    {
        close(0);
        close(1);
        w.finish();
    }
};

TEST(Flock, AcrossClients)
{
    Lab lab(1);
    EXPECT_EQ(0, lab.setlk(0, kEx, 0, 9));
    EXPECT_EQ(-kEAGAIN, lab.setlk(1, kSh, 5, 5));
    EXPECT_EQ(0, lab.setlk(1, kEx, 10, 19));
    EXPECT_EQ(0, lab.setlk(0, kSh, 0, 4));  // downgrade of a part
    EXPECT_EQ(0, lab.setlk(1, kSh, 0, 4));
    EXPECT_EQ(-kEAGAIN, lab.setlk(0, kEx, 0, 4));
    EXPECT_EQ(-kEAGAIN, lab.setlk(0, kSh, 0, 9, false, 2));  // another process of the same client
    lab.w.on(1, [&] {
        llc_flock other;
        EXPECT_EQ(0, lab.w.c(1).getlk(lab.fd[1], 77, kEx, 5, 100, &other));
        EXPECT_EQ(kEx, other.type);
        EXPECT_EQ(5u, other.start);
        EXPECT_EQ(9u, other.end);
        EXPECT_FALSE(other.same_client);
        EXPECT_EQ(0, lab.w.c(1).getlk(lab.fd[1], 77, kSh, 0, 4, &other));
        EXPECT_EQ(kUn, other.type);
    });
    EXPECT_EQ(0, lab.setlk(0, kUn, 0, kAll));
    EXPECT_EQ(0, lab.setlk(1, kEx, 0, kAll));
    lab.close(1);  // releases
    EXPECT_EQ(0, lab.setlk(0, kEx, 0, kAll));
    EXPECT_EQ(0, lab.flock(0, kEx));  // knows nothing of the other kind
    lab.w.on(1, [&] { lab.fd[1] = lab.w.c(1).open("/f", kRw); });
    EXPECT_EQ(-kEAGAIN, lab.flock(1, kSh));
    EXPECT_EQ(0, lab.flock(0, kSh));
    EXPECT_EQ(0, lab.flock(1, kSh));
    lab.finish();
}

TEST(Flock, WaitsAndIsWoken)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        Lab lab(seed);
        int err;
        EXPECT_EQ(0, lab.setlk(0, kEx, 0, kAll));
        auto t = lab.start_lock(1, kEx, &err);
        lab.w.run_for_ms(30000);
        EXPECT_EQ(1, err);
        EXPECT_EQ(0, lab.setlk(0, kUn, 0, kAll));
        EXPECT_TRUE(lab.until([&] { return World::finished(t); }));
        EXPECT_EQ(0, err);
        EXPECT_EQ(-kEAGAIN, lab.setlk(0, kSh, 0, 0));
        lab.finish();
    }
}

// Two owners of one client: the second one may hear of the first one's downgrade before the first
// one does.
TEST(Flock, ADowngradeLetsItsNeighbourIn)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        SCOPED_TRACE(seed);
        Lab lab(seed);
        int err = 1;
        EXPECT_EQ(0, lab.setlk(0, kEx, 0, kAll));
        lab.w.spawn(0, "neighbour",
                    [&] { err = lab.w.c(0).setlk(lab.fd[0], 2, kSh, 0, kAll, true); });
        lab.w.run_for_ms(100);
        EXPECT_EQ(1, err);
        EXPECT_EQ(0, lab.setlk(0, kSh, 0, kAll));
        EXPECT_TRUE(lab.w.join());
        EXPECT_EQ(0, err);
        lab.finish();
    }
}

TEST(Flock, DeadlockIsNoticed)
{
    Lab lab(1);
    int err;
    EXPECT_EQ(0, lab.setlk(0, kSh, 0, kAll));
    EXPECT_EQ(0, lab.setlk(1, kSh, 0, kAll));
    auto t = lab.start_lock(0, kEx, &err);
    lab.w.run_for_ms(1000);
    EXPECT_EQ(-kEDEADLK, lab.setlk(1, kEx, 0, kAll, true));
    EXPECT_EQ(0, lab.setlk(1, kUn, 0, kAll));
    EXPECT_TRUE(lab.until([&] { return World::finished(t); }));
    EXPECT_EQ(0, err);
    lab.finish();
}

// An interrupted wait leaves nothing behind, and what the owner had before.
TEST(Flock, SignalEndsTheWait)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        SCOPED_TRACE(seed);
        Lab lab(seed);
        int err;
        EXPECT_EQ(0, lab.setlk(0, kSh, 0, kAll));
        EXPECT_EQ(0, lab.setlk(1, kSh, 0, 9));
        auto t = lab.start_lock(1, kEx, &err);
        lab.w.run_for_ms(seed % 3 ? 1000 : 0);
        int unlocked = 0;
        // Sometimes the lock is granted at this very moment.
        if (seed % 2)
            lab.w.spawn(0, "unlock",
                        [&] { unlocked = lab.w.c(0).setlk(lab.fd[0], 1, kUn, 0, kAll, false); });
        if (seed % 4 == 1) lab.w.run_for_ms(1);
        if (!World::finished(t)) lab.w.world.signal(t, false);
        EXPECT_TRUE(lab.until([&] { return World::finished(t); }, 20));
        EXPECT_TRUE(lab.w.join());
        EXPECT_EQ(0, unlocked);
        EXPECT_TRUE(err == 0 || err == -kERESTARTSYS) << err;
        EXPECT_EQ(err == 0 ? -kEAGAIN : 0, lab.setlk(0, kEx, 10, kAll));
        EXPECT_EQ(-kEAGAIN, lab.setlk(0, kEx, 0, 0));  // the shared one stayed
        lab.finish();
    }
}

TEST(Flock, SurvivesACrash)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        Lab lab(seed);
        int err;
        EXPECT_EQ(0, lab.setlk(0, kEx, 0, 9));
        EXPECT_EQ(0, lab.setlk(0, kSh, 20, 29));
        EXPECT_EQ(0, lab.setlk(0, kUn, 5, 9));
        EXPECT_EQ(0, lab.flock(0, kEx));
        auto t = lab.start_lock(1, kEx, &err);
        lab.w.run_for_ms(500);
        lab.crash_mdt();
        lab.w.run_for_ms(20000);
        EXPECT_EQ(1, err);  // still waits
        EXPECT_EQ(0, lab.setlk(0, kUn, 0, kAll));
        EXPECT_TRUE(lab.until([&] { return World::finished(t); }));
        EXPECT_EQ(0, err);
        EXPECT_EQ(-kEAGAIN, lab.flock(1, kSh));
        EXPECT_EQ(0u, lab.w.client_counter("evictions"));
        lab.finish();
    }
}

// The answer is lost, and the MDT has no memory for what is sent again: whatever the application is
// told holds, and nobody else is kept out by a lock that nobody has.
TEST(Flock, RefusedResendLeavesNothing)
{
    unsigned refused = 0;
    for (uint64_t n = 1; n <= 60; n++) {
        SCOPED_TRACE(n);
        Lab lab(n);
        EXPECT_EQ(0, lab.setlk(0, kSh, 0, 4));
        Host& mds = *lab.w.mds1.host;
        lab.w.world.network().lose(mds, lab.w.c(0).host(), 1000, 1);
        mds.fail_allocation_nth(n);
        int err = lab.setlk(0, kEx, 0, kAll);
        mds.fail_allocation_nth(0);
        refused += err == -kENOMEM;
        lab.w.run_for_ms(5000);
        EXPECT_EQ(-kEAGAIN, lab.setlk(1, kEx, 0, 4));
        EXPECT_EQ(err ? 0 : -kEAGAIN, lab.setlk(1, kEx, 5, kAll)) << err;
        EXPECT_EQ(lab.w.client_counter("evictions"), 0u);
        lab.finish();
    }
    EXPECT_GT(refused, 0u);
}

// A controlled restart: held locks are not given back, waiting requests park and wait on.
TEST(Flock, SurvivesAControlledRestart)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Lab lab(seed);
        int err;
        EXPECT_EQ(0, lab.setlk(0, kEx, 0, 9));
        EXPECT_EQ(0, lab.flock(0, kEx));
        auto t = lab.start_lock(1, kEx, &err);
        lab.w.run_for_ms(500);
        ASSERT_TRUE(lab.w.controlled_shutdown(lab.w.mdt(), 20000));
        EXPECT_EQ(1, err);
        ASSERT_EQ(lab.w.start(lab.w.mdt(), lab.w.mds2), 0);
        lab.w.run_for_ms(20000);
        EXPECT_EQ(1, err);
        EXPECT_EQ(-kEAGAIN, lab.flock(1, kSh));
        EXPECT_EQ(0, lab.setlk(0, kUn, 0, kAll));
        EXPECT_TRUE(lab.until([&] { return World::finished(t); }));
        EXPECT_EQ(0, err);
        EXPECT_EQ(0u, lab.w.client_counter("evictions"));
        EXPECT_EQ(0u, lab.w.client_counter("resends"));
        lab.finish();
    }
}

// B1, A5. A conversion that was sent back to the gate has given up nothing: whoever is back first
// after the restart finds the lock held.
TEST(Flock, ADowngradeUnderWayKeepsItsLock)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        SCOPED_TRACE(seed);
        Lab lab(seed);
        int downgraded = 1;
        EXPECT_EQ(0, lab.flock(0, kEx));
        lab.w.spawn(0, "downgrade", [&] {
            kapi_sleep_ns(seed * 40000);
            downgraded = lab.w.c(0).flock(lab.fd[0], kSh, true);
        });
        ASSERT_TRUE(lab.w.controlled_shutdown(lab.w.mdt(), 20000));
        ASSERT_EQ(lab.w.start(lab.w.mdt(), lab.w.mds1), 0);
        do EXPECT_EQ(-kEAGAIN, lab.flock(1, kEx));
        while (downgraded == 1 && !testing::Test::HasFailure());
        EXPECT_TRUE(lab.w.join());
        EXPECT_EQ(0, downgraded);
        EXPECT_EQ(-kEAGAIN, lab.flock(1, kEx));
        EXPECT_EQ(0, lab.flock(1, kSh));
        lab.finish();
    }
}

// B3, E2. A shutdown is cancelled while a request for a lock is on its way: its client is still
// asked to drain, and the MDT parks nobody any more. What it waits for may be behind its own gate.
TEST(Flock, ACancelledShutdownIsNotHeldUpByAWait)
{
    for (uint64_t seed = 1; seed <= 150; seed++) {
        SCOPED_TRACE(seed);
        Lab lab(seed);
        FsWorld::Target& mdt = lab.w.mdt();
        int waited = 1;
        EXPECT_EQ(0, lab.setlk(1, kEx, 0, kAll, false, 2));
        lab.w.spawn(1, "waiter", [&] {
            kapi_sleep_ns(seed % 21 * 40000);
            waited = lab.w.c(1).setlk(lab.fd[1], 1, kEx, 0, kAll, true);
        });
        lab.w.world.run_for(seed % 5 * 60000);
        EXPECT_EQ(lab.w.set_param(*mdt.at, mdt.param + "controlled_shutdown", "1"), 0);
        lab.w.world.run_for(seed % 11 * 60000);
        int err = lab.w.set_param(*mdt.at, mdt.param + "controlled_shutdown", "0");
        if (err) {  // too late
            EXPECT_TRUE(lab.until([&] {
                return lab.w.get_param(*mdt.at, mdt.param + "controlled_shutdown").find("halted") !=
                       std::string::npos;
            }));
            lab.w.stop(mdt);
            ASSERT_EQ(lab.w.start(mdt, lab.w.mds1), 0);
        }
        EXPECT_EQ(0, lab.setlk(1, kUn, 0, kAll, false, 2));
        EXPECT_TRUE(lab.w.join(60 * kSec)) << lab.w.world.report();
        EXPECT_EQ(0, waited);
        EXPECT_EQ(0u, lab.w.client_counter("evictions"));
        lab.finish();
    }
}

// T1. A wait for a lock does not keep a client from being stopped, and goes on afterwards.
TEST(Flock, TheBarrierIsNotHeldUpByAWait)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        SCOPED_TRACE(seed);
        Lab lab(seed);
        FsWorld::Node& node = *lab.w.client_nodes[1];
        int err;
        EXPECT_EQ(0, lab.setlk(0, kEx, 0, kAll));
        auto t = lab.start_lock(1, kEx, &err);
        lab.w.run_for_ms(seed % 2 * 100);
        EXPECT_EQ(lab.w.set_param(node, "mdc.*.barrier", "1"), 0);
        EXPECT_EQ(0, lab.setlk(0, kUn, 0, kAll));
        EXPECT_EQ(0, lab.setlk(0, kSh, 0, kAll));  // nobody waits at the MDT
        lab.w.run_for_ms(1000);
        EXPECT_EQ(1, err);
        EXPECT_EQ(lab.w.set_param(node, "mdc.*.barrier", "0"), 0);
        EXPECT_EQ(0, lab.setlk(0, kUn, 0, kAll));
        EXPECT_TRUE(lab.until([&] { return World::finished(t); }));
        EXPECT_EQ(0, err);
        lab.finish();
    }
}

// T5. Nor the freeze of the file system.
TEST(Flock, AFreezeIsNotHeldUpByAWait)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        SCOPED_TRACE(seed);
        Lab lab(seed);
        FsWorld::Node& mgs = *lab.w.mdt().at;
        int err;
        EXPECT_EQ(0, lab.setlk(0, kEx, 0, kAll));
        auto t = lab.start_lock(1, kEx, &err);
        lab.w.run_for_ms(seed % 2 * 100);
        auto is = [&](const char* state) {
            return lab.w.get_param(mgs, "mgs.MGS.fs_state").find(state) != std::string::npos;
        };
        EXPECT_EQ(lab.w.set_param(mgs, "mgs.MGS.fs_freeze", "lull"), 0);
        for (int i = 0; i < 500 && !is("lull: frozen"); i++) lab.w.run_for_ms(10);
        EXPECT_TRUE(is("lull: frozen")) << lab.w.world.report();
        EXPECT_EQ(lab.w.set_param(mgs, "mgs.MGS.fs_thaw", "lull"), 0);
        lab.w.run_for_ms(1000);
        EXPECT_EQ(1, err);
        EXPECT_EQ(0, lab.setlk(0, kUn, 0, kAll));
        EXPECT_TRUE(lab.until([&] { return World::finished(t); }));
        EXPECT_EQ(0, err);
        lab.finish();
    }
}

// After a clean halt nobody waits for a missing client; what it had locked stays locked until it is
// given up.
TEST(Flock, ReservedForAMissingClient)
{
    Lab lab(1);
    EXPECT_EQ(0, lab.setlk(0, kEx, 0, 9));
    EXPECT_EQ(0, lab.setlk(1, kEx, 20, 29));
    ASSERT_TRUE(lab.w.controlled_shutdown(lab.w.mdt(), 20000));
    lab.w.crash_client(0);
    ASSERT_EQ(lab.w.start(lab.w.mdt(), lab.w.mds1), 0);
    EXPECT_EQ(-kEAGAIN, lab.setlk(1, kSh, 0, 0));
    EXPECT_EQ(0, lab.setlk(1, kEx, 20, 40));
    EXPECT_EQ(0, lab.setlk(1, kEx, 0, 0, true));  // until the reservation is given up
    EXPECT_GT(lab.w.world.now_ns(), 250 * kSec);
    lab.close(1);
    lab.w.finish();
}

// B1, A5. What is reserved for a client that is away stays so over a second clean halt: when it
// comes back, it has its lock and its open file still.
TEST(Flock, ReservedOverASecondHalt)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        Lab lab(seed);
        FsWorld& w = lab.w;
        EXPECT_EQ(0, lab.setlk(0, kEx, 0, 9));
        EXPECT_EQ(0, lab.setlk(1, kEx, 20, 29));
        int open = -1;
        w.on(0, [&] {
            open = w.c(0).open("/gone", kRw);
            EXPECT_EQ(1, w.c(0).pwrite(open, 0, "x", 1));
        });
        ASSERT_TRUE(w.controlled_shutdown(w.mdt(), 20000));
        for (FsWorld::Node* mds : {&w.mds1, &w.mds2})
            w.world.network().cut(*w.client_nodes[0]->host, *mds->host);
        ASSERT_EQ(w.start(w.mdt(), w.mds2), 0);
        EXPECT_EQ(-kEAGAIN, lab.setlk(1, kSh, 0, 0));
        ASSERT_TRUE(w.controlled_shutdown(w.mdt(), 60000));
        ASSERT_EQ(w.start(w.mdt(), w.mds1), 0);
        EXPECT_EQ(-kEAGAIN, lab.setlk(1, kSh, 0, 0)) << "given away while its holder is away";
        w.on(1, [&] { EXPECT_EQ(0, w.c(1).unlink("/gone")); });
        w.run_for_ms(20000);
        w.world.network().heal_all();
        w.run_for_ms(20000);
        EXPECT_EQ(-kEAGAIN, lab.setlk(1, kSh, 0, 0));
        EXPECT_EQ(0, lab.setlk(0, kUn, 0, kAll));
        EXPECT_EQ(0, lab.setlk(1, kEx, 0, 0));
        w.on(0, [&] {
            char x = 0;
            w.c(0).drop_caches();
            EXPECT_EQ(1, w.c(0).pread(open, 0, &x, 1));
            EXPECT_EQ('x', x);
            EXPECT_EQ(0, w.c(0).close(open));
        });
        EXPECT_EQ(0u, w.client_counter("evictions"));
        lab.finish();
    }
}

TEST(Flock, GoesWithItsClient)
{
    for (bool crash_server : {false, true}) {
        Lab lab(2);
        int err;
        EXPECT_EQ(0, lab.setlk(0, kEx, 0, kAll));
        auto t = lab.start_lock(1, kEx, &err);
        lab.w.run_for_ms(500);
        lab.w.crash_client(0);
        if (crash_server) lab.crash_mdt();
        EXPECT_TRUE(lab.until([&] { return World::finished(t); }));
        EXPECT_EQ(0, err);
        lab.close(1);
        lab.w.finish();
    }
}

// A close while the MDT is away does not wait; its unlock comes before what is asked for later.
TEST(Flock, ReleasedWhileTheGateIsClosed)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        Lab lab(seed);
        EXPECT_EQ(0, lab.setlk(0, kEx, 0, kAll));
        ASSERT_TRUE(lab.w.controlled_shutdown(lab.w.mdt(), 20000));
        uint64_t before = lab.w.world.now_ns();
        lab.close(0);
        EXPECT_LT(lab.w.world.now_ns() - before, kSec);
        ASSERT_EQ(lab.w.start(lab.w.mdt(), lab.w.mds1), 0);
        lab.w.on(0, [&] {
            lab.fd[0] = lab.w.c(0).open("/f", kRw);
            // the same owner as before
            EXPECT_EQ(0, lab.w.c(0).setlk(lab.fd[0], 1, kEx, 0, 9, true));
        });
        EXPECT_EQ(0, lab.setlk(1, kEx, 10, kAll, true));
        lab.w.run_for_ms(5000);
        EXPECT_EQ(-kEAGAIN, lab.setlk(1, kEx, 0, 9));
        lab.finish();
    }
}

// Both clients lock, change and unlock a counter, while the MDT crashes and is restarted: nobody
// ever sees another inside.
TEST(Flock, MutualExclusionOverRestarts)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        SCOPED_TRACE(seed);
        Lab lab(seed);
        int inside = 0, rounds = 0;
        bool stop = false;
        for (size_t c = 0; c < 2; c++)
            for (uint64_t owner = 1; owner <= 2; owner++)
                lab.w.spawn(c, "locker", [&, c, owner] {
                    while (!stop) {
                        ASSERT_EQ(0, lab.w.c(c).setlk(lab.fd[c], owner, kEx, 0, kAll, true));
                        EXPECT_EQ(0, inside++);
                        kapi_sleep_ns(20000000);
                        inside--;
                        rounds++;
                        ASSERT_EQ(0, lab.w.c(c).setlk(lab.fd[c], owner, kUn, 0, kAll, false));
                    }
                });
        for (int i = 0; i < 3; i++) {
            lab.w.run_for_ms(700 + 37 * seed);
            if ((seed + i) % 2) {
                lab.crash_mdt();
            } else {
                ASSERT_TRUE(lab.w.controlled_shutdown(lab.w.mdt(), 20000));
                ASSERT_EQ(lab.w.start(lab.w.mdt(), lab.w.mds1), 0);
            }
            int before = rounds;
            EXPECT_TRUE(lab.until([&] { return rounds > before + 4; }));
        }
        stop = true;
        ASSERT_TRUE(lab.w.join());
        EXPECT_EQ(0u, lab.w.client_counter("evictions"));
        lab.finish();
    }
}

}  // namespace
