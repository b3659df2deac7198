// SPDX-License-Identifier: GPL-2.0-only
// The file-system-wide active lock at the MGS (T5).
#include "kapi/sim/network.h"
#include "tests/sim/fs_load.h"

using namespace lull::sim;
using lull::kSec;

namespace {

bool wait_state(FsWorld& w, FsWorld::Node& mgs, const std::string& state,
                uint64_t limit_ms = 120000)
{
    for (uint64_t waited = 0; waited < limit_ms; waited += 20) {
        if (w.get_param(mgs, "mgs.MGS.fs_state").find("lull: " + state + "\n") != std::string::npos)
            return true;
        w.run_for_ms(20);
    }
    ADD_FAILURE() << "not " << state << ": " << w.get_param(mgs, "mgs.MGS.fs_state")
                  << w.world.report();
    return false;
}

bool goes_on(FsWorld& w, Load& load, uint64_t more = 8)
{
    uint64_t done = load.operations;
    bool ok = w.world.run_until([&] { return load.operations > done + more; },
                                w.world.now_ns() + 120 * kSec);
    EXPECT_TRUE(ok) << w.world.report();
    return ok;
}

void expect_still(FsWorld& w, Load& load)
{
    uint64_t done = load.operations;
    w.run_for_ms(3000);
    EXPECT_EQ(load.operations, done);
    for (auto& m : w.mounts) EXPECT_EQ(m->dirty_pages(), 0u);
}

}  // namespace

// T5 A1: all servers restarted at once; each has nothing to wait for, nobody notices more than one
// pause.
TEST(FsFreeze, WholeFileSystemRestarts)
{
    for_seeds(
        [](uint64_t seed) {
            FsWorld w(seed);
            Load load(w);
            load.start();
            w.run_for_ms(300 + seed * 41);
            Counters before = Counters::of(w);
            FsWorld::Node& mgs = *w.mdt().at;
            EXPECT_EQ(w.set_param(mgs, "mgs.MGS.fs_freeze", "nonsense"), -kENOENT);
            EXPECT_EQ(w.set_param(mgs, "mgs.MGS.fs_thaw", "lull"), -kEALREADY);
            EXPECT_EQ(w.set_param(mgs, "mgs.MGS.fs_freeze", "lull"), 0);
            EXPECT_EQ(w.set_param(mgs, "mgs.MGS.fs_freeze", "lull"), -kEALREADY);
            ASSERT_TRUE(wait_state(w, mgs, "frozen"));
            expect_still(w, load);
            for (auto& t : w.targets())  // everything is committed already
                EXPECT_EQ(
                    w.get_param(*t->at, t->param + "last_committed").substr(t->param.size() + 14),
                    w.get_param(*t->at, t->param + "last_transno").substr(t->param.size() + 12))
                    << t->name;
            // the MGS last
            for (size_t i = w.targets().size(); i-- > 0;)
                ASSERT_TRUE(w.controlled_shutdown(*w.targets()[i]));
            for (auto& t : w.targets()) EXPECT_EQ(w.start(*t, *t->partner), 0);
            goes_on(w, load);
            load.stop = true;
            ASSERT_TRUE(w.join());
            before.expect_unchanged(w);
            w.finish();
        },
        4);
}

// T5: frozen means committed. Whatever dies from then on, with the client that wrote it and all
// that a disk has not been told to keep, nothing is lost.
TEST(FsFreeze, IsCommittedWhenItSaysSo)
{
    for_seeds(
        [](uint64_t seed) {
            FsWorld w(seed);
            const std::string data = pattern(300000, static_cast<unsigned>(seed));
            w.run_for_ms(seed * 700);
            w.on(0, [&] {
                EXPECT_EQ(w.c(0).mkdir("/d"), 0);
                EXPECT_EQ(w.c(0).put("/d/f", data), 0);
            });
            FsWorld::Node& mgs = *w.mdt().at;
            EXPECT_EQ(w.set_param(mgs, "mgs.MGS.fs_freeze", "lull"), 0);
            ASSERT_TRUE(wait_state(w, mgs, "frozen"));
            for (auto& t : w.targets()) t->disk->set_cut(Disk::Cut::kNone);
            w.crash_client(0);
            for (auto& t : w.targets())
                if (t->at) w.crash(*t->at);
            for (auto& t : w.targets()) EXPECT_EQ(w.start(*t, *t->home), 0);
            w.run_for_ms(150000);  // the windows are over
            w.on(1, [&] { EXPECT_TRUE(w.c(1).get("/d/f") == data); });
            w.finish();
        },
        4);
}

// T5 E2: thawed before anything was shut down, also while it is still freezing.
TEST(FsFreeze, Thaw)
{
    for_seeds(
        [](uint64_t seed) {
            FsWorld w(seed);
            Load load(w);
            load.start();
            FsWorld::Node& mgs = *w.mdt().at;
            for (int round = 0; round < 4; round++) {
                w.run_for_ms(100 + seed * 13);
                EXPECT_EQ(w.set_param(mgs, "mgs.MGS.fs_freeze", "lull"), 0);
                if (round % 2) w.run_for_ms(seed * 3);
                else ASSERT_TRUE(wait_state(w, mgs, "frozen"));
                EXPECT_EQ(w.set_param(mgs, "mgs.MGS.fs_thaw", "lull"), 0);
                goes_on(w, load, 4);
            }
            load.stop = true;
            ASSERT_TRUE(w.join());
            EXPECT_EQ(w.client_counter("evictions") + w.client_counter("resends"), 0u);
            w.finish();
        },
        4);
}

// T5: an MGS that dies stops nobody; one that dies while the file system is frozen lets it go on
// when it is back.
TEST(FsFreeze, DeadMgs)
{
    for_seeds(
        [](uint64_t seed) {
            FsOptions options;
            FsWorld w(seed, options);
            Load load(w);
            load.start();
            w.run_for_ms(300);
            EXPECT_EQ(w.set_param(*w.mdt().at, "mgs.MGS.fs_freeze", "lull"), 0);
            ASSERT_TRUE(wait_state(w, *w.mdt().at, "frozen"));
            w.crash(w.mdt());
            ASSERT_EQ(w.start(w.mdt(), w.mds2), 0);
            goes_on(w, load);
            ASSERT_TRUE(wait_state(w, w.mds2, "open"));
            load.stop = true;
            ASSERT_TRUE(w.join());
            EXPECT_EQ(w.client_counter("evictions"), 0u);
            w.finish();
        },
        4);
}

// T5: frozen is what no client sends anything to, also when the MGS has just restarted and does not
// know of them, or when one of them mounts meanwhile.
TEST(FsFreeze, ClientsThatTheMgsDoesNotKnowOf)
{
    for_seeds(
        [](uint64_t seed) {
            FsOptions options;
            options.unmounted = 1;
            FsWorld w(seed, options);
            Load load(w);
            for (size_t i : {size_t{0}, size_t{1}})
                w.spawn(i, "load", [&w, &load, i] { load.run(static_cast<int>(i), 0); });
            w.run_for_ms(300);
            ASSERT_TRUE(w.controlled_shutdown(w.mdt()));
            ASSERT_EQ(w.start(w.mdt(), w.mds2), 0);
            EXPECT_EQ(w.set_param(w.mds2, "mgs.MGS.fs_freeze", "lull"), 0);
            w.run_for_ms(3000);  // both are back by now, but that is not for the MGS to know
            EXPECT_NE(w.get_param(w.mds2, "mgs.MGS.fs_state").find("lull: freezing\n"),
                      std::string::npos);
            ASSERT_TRUE(wait_state(w, w.mds2, "frozen"));
            expect_still(w, load);
            bool made = false;
            auto newcomer = w.c(2).host().spawn("newcomer", [&] {
                EXPECT_EQ(w.c(2).mount(w.source(), ""), 0);
                EXPECT_EQ(w.c(2).mkdir("/new"), 0);
                made = true;
            });
            w.run_for_ms(2000);
            ASSERT_TRUE(wait_state(w, w.mds2, "frozen"));
            bool was_made = made;
            w.run_for_ms(3000);
            EXPECT_EQ(made, was_made) << "frozen means still";
            EXPECT_EQ(w.set_param(w.mds2, "mgs.MGS.fs_thaw", "lull"), 0);
            EXPECT_TRUE(w.world.run_to_end(newcomer, w.world.now_ns() + 60 * kSec));
            goes_on(w, load);
            load.stop = true;
            ASSERT_TRUE(w.join());
            EXPECT_EQ(w.client_counter("evictions"), 0u);
            w.finish();
        },
        4);
}

// T5 T3: a client that died is not waited for longer than the MGS takes to notice.
TEST(FsFreeze, DeadClient)
{
    for_seeds(
        [](uint64_t seed) {
            FsOptions options;
            options.clients = 2;
            FsWorld w(seed, options);
            w.on(0, [&] { EXPECT_EQ(w.c(0).put("/a", "before"), 0); });
            w.crash_client(1);
            FsWorld::Node& mgs = *w.mdt().at;
            EXPECT_EQ(w.set_param(mgs, "mgs.MGS.fs_freeze", "lull"), 0);
            ASSERT_TRUE(wait_state(w, mgs, "frozen"));
            int wrote = 1;
            w.c(0).host().spawn("write", [&] { wrote = w.c(0).put("/b", "after"); });
            w.run_for_ms(3000);
            EXPECT_EQ(wrote, 1);
            EXPECT_EQ(w.set_param(mgs, "mgs.MGS.fs_thaw", "lull"), 0);
            EXPECT_TRUE(
                w.world.run_until([&] { return wrote == 0; }, w.world.now_ns() + 60 * kSec));
            w.on(0, [&] { EXPECT_EQ(w.c(0).get("/b"), "after"); });
            w.finish();
        },
        4);
}

// T5 B3: a read inside the gate of an OST that is down, and what is dirty there, keep the file
// system from no freeze. What the OST owes is done when it is back.
TEST(FsFreeze, OstThatIsDown)
{
    for_seeds([](uint64_t seed) {
        FsOptions options;
        options.stripe_count = 1;
        FsWorld w(seed, options);
        const Names files = {"/f0", "/f1", "/f2", "/f3"};
        w.on(0, [&] {
            for (auto& f : files) EXPECT_EQ(w.c(0).put(f, pattern(100000)), 0);
            EXPECT_EQ(w.c(0).sync(), 0);
            for (auto& f : files) EXPECT_EQ(w.c(0).put(f + "dirty", pattern(70000)), 0);
        });
        w.crash(*w.ost(0).at);
        w.run_for_ms(100);
        unsigned ended = 0;
        for (auto& f : files)
            w.spawn(1, "read" + f, [&] {
                EXPECT_TRUE(w.c(1).get(f) == pattern(100000));
                ended++;
            });
        w.run_for_ms(30000);  // all clients have seen that it is down
        EXPECT_LT(ended, files.size()) << "no read waits for the OST";
        FsWorld::Node& mgs = *w.mdt().at;
        EXPECT_EQ(w.set_param(mgs, "mgs.MGS.fs_freeze", "lull"), 0);
        EXPECT_TRUE(wait_state(w, mgs, "frozen", 10000));
        EXPECT_EQ(w.set_param(mgs, "mgs.MGS.fs_thaw", "lull"), 0);
        EXPECT_EQ(w.start(w.ost(0), w.oss1), 0);
        EXPECT_TRUE(w.join());
        w.on(1, [&] {
            for (auto& f : files) EXPECT_TRUE(w.c(1).get(f + "dirty") == pattern(70000));
        });
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.finish();
    });
}
