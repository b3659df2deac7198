// SPDX-License-Identifier: GPL-2.0-only
// Processes that are killed while the MDT works on what they asked for.
#include "tests/sim/fs_load.h"

using namespace lull::sim;
using lull::kSec;

namespace {

// A process of client 0 runs call, and is killed when its request waits at the MDT for a lock on
// /e, which client 1 cannot give back while it stands still. Then next runs on client 0. At the
// moment of the signal beside is called.
void kill_in_the_middle(FsWorld& w, const std::function<void(SimMount&)>& prepare,
                        const std::function<int(SimMount&)>& call,
                        const std::function<void(SimMount&)>& next,
                        const std::function<void()>& beside = [] {})
{
    SimMount& c = w.c(0);
    w.on(0, [&] {
        EXPECT_EQ(c.mkdir("/e"), 0);  // of the two the first one to be locked
        EXPECT_EQ(c.mkdir("/d"), 0);
        prepare(c);
    });
    w.on(1, [&] {
        Names names;
        EXPECT_EQ(w.c(1).readdir("/e", &names), 0);
        llc_attr a;
        EXPECT_EQ(w.c(1).stat("/e", &a), 0);
        EXPECT_EQ(w.c(1).stat("/e/none", &a), -kENOENT);
    });
    w.c(1).host().pause();
    int killed = 1;
    auto victim = c.host().spawn("victim", [&] { killed = call(c); });
    w.run_for_ms(200);
    EXPECT_EQ(killed, 1);
    w.world.signal(victim, true);
    beside();
    w.run_for_ms(200);
    EXPECT_EQ(killed, -kERESTARTNOINTR) << "it goes at once";
    bool over = false;
    auto after = c.host().spawn("next", [&] { next(c), over = true; });
    w.run_for_ms(3000);
    w.c(1).host().resume();
    EXPECT_TRUE(w.world.run_to_end(after, w.world.now_ns() + 100 * kSec));
    EXPECT_TRUE(over);
}

}  // namespace

// What a killed process asked for is done before anything that is asked for after its death, as on
// a local file system: never later, and to what others made meanwhile (A7, A9, invariant 9).
TEST(FsKill, ARenameDoesNotTakeWhatWasMadeAfterIt)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        kill_in_the_middle(
            w, [](SimMount& c) { EXPECT_EQ(c.put("/d/f", "old"), 0); },
            [](SimMount& c) { return c.rename("/d/f", "/e/g"); },
            [](SimMount& c) { EXPECT_EQ(c.put("/d/f", "new"), 0); });
        for (size_t i : {size_t{0}, size_t{1}})
            w.on(i, [&] {
                EXPECT_EQ(w.c(i).get("/d/f"), "new");
                EXPECT_EQ(w.c(i).get("/e/g"), "old");
            });
        w.finish();
    });
}

// Nor is what it changes seen as it was for good: our own changes do not take our own locks away.
TEST(FsKill, WhatItChangedIsLookedAtAgain)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        llc_attr a = {};
        int there = 1;
        kill_in_the_middle(
            w, [](SimMount& c) { EXPECT_EQ(c.put("/d/f", "old"), 0); },
            [](SimMount& c) { return c.link("/d/f", "/e/g"); },
            [&](SimMount& c) {
                EXPECT_EQ(c.stat("/d/f", &a), 0);
                llc_attr second;
                there = c.stat("/e/g", &second);
            });
        EXPECT_EQ(there, 0);
        EXPECT_EQ(a.nlink, 2u);
        w.on(0, [&] { EXPECT_EQ(w.c(0).get("/e/g"), "old"); });
        w.finish();
    });
}

// Who asks just when another is killed may be answered before what that one left is done: what it
// hears is not kept.
TEST(FsKill, WhatIsAskedInThatMomentIsNotKept)
{
    for_seeds(
        [](uint64_t seed) {
            FsOptions o;
            o.world.preempt_permille = 500;
            FsWorld w(seed, o);
            SimMount& c = w.c(0);
            llc_attr a = {};
            int asked = 1;
            kill_in_the_middle(
                w, [](SimMount& c) { EXPECT_EQ(c.put("/d/f", "old"), 0); },
                [](SimMount& c) { return c.link("/d/f", "/e/g"); }, [](SimMount&) {},
                [&] { c.host().spawn("asks", [&] { asked = c.stat("/d/f", &a); }); });
            w.run_for_ms(1000);
            EXPECT_EQ(asked, 0);
            w.on(0, [&] { EXPECT_EQ(c.stat("/d/f", &a), 0); });
            EXPECT_EQ(a.nlink, 2u);
            w.finish();
        },
        100);
}

// A server that is away keeps nobody from the directories that the killed process had nothing to do
// with, once it is back; and who waits can be killed, too.
TEST(FsKill, WhoWaitsForItCanBeKilled)
{
    FsWorld w(1);
    SimMount& c = w.c(0);
    int second = 1;
    kill_in_the_middle(
        w, [](SimMount& c) { EXPECT_EQ(c.put("/d/f", "old"), 0); },
        [](SimMount& c) { return c.rename("/d/f", "/e/g"); },
        [&](SimMount& c) {
            auto waiter = c.host().spawn("waiter", [&] { second = c.put("/d/f", "never"); });
            world().sleep_until(world().now_ns() + kSec / 10);
            EXPECT_EQ(second, 1);
            world().signal(waiter, true);
            world().sleep_until(world().now_ns() + kSec / 10);
            EXPECT_EQ(second, -kERESTARTNOINTR);
            EXPECT_EQ(c.put("/other", "else"), 0);
        });
    w.on(0, [&] {
        EXPECT_EQ(c.get("/other"), "else");
        llc_attr a;
        EXPECT_EQ(c.stat("/d/f", &a), -kENOENT);
    });
    w.finish();
}
