// SPDX-License-Identifier: GPL-2.0-only
// An operation that fails in the middle of its steps: its client does not go on believing in the
// names it knew before.
#include "tests/sim/fs_load.h"

using namespace lull::sim;

namespace {

// What a listing shows can be looked up, and nothing else.
void expect_names_agree(SimMount& c, const std::string& dir, const Names& candidates)
{
    Names listed;
    ASSERT_EQ(c.readdir(dir, &listed), 0);
    for (const std::string& name : candidates) {
        bool there = std::find(listed.begin(), listed.end(), name) != listed.end();
        llc_attr attr;
        EXPECT_EQ(c.stat(dir + "/" + name, &attr), there ? 0 : -kENOENT) << name;
    }
}

// Each allocation of the MDT fails once while one operation runs, until one needs no more of them.
void each_allocation_fails(const std::function<int(SimMount&, const std::string& dir)>& operation,
                           const Names& names)
{
    int failures = 0;
    for (unsigned nth = 1; nth < 400; nth++) {
        SCOPED_TRACE("allocation " + std::to_string(nth));
        FsOptions options;
        options.clients = 1;
        FsWorld w(nth, options);
        bool done = false;
        w.on(0, [&] {
            SimMount& c = w.c(0);
            ASSERT_EQ(c.mkdir("/d"), 0);
            ASSERT_EQ(c.put("/d/a", "x"), 0);
            llc_attr attr;
            for (auto& name : names) (void)c.stat("/d/" + name, &attr);  // known, also as not there
            w.mdt().at->host->fail_allocation_nth(nth);
            int error = operation(c, "/d");
            done = error == 0;
            failures += !done;
            w.mdt().at->host->fail_allocation_nth(0);
            expect_names_agree(c, "/d", names);
        });
        w.finish();
        if (testing::Test::HasFailure()) return;
        if (done && nth > 60) break;
    }
    EXPECT_GT(failures, 3);  // else nothing was tried
}

llc_attr attr(SimMount& c, const char* path)
{
    llc_attr found = {};
    EXPECT_EQ(c.stat(path, &found), 0) << path;
    return found;
}

void crash_and_start(FsWorld& w, FsWorld::Node& next)
{
    FsWorld::Node& old = *w.mdt().at;
    w.crash(old);
    std::string why;
    ASSERT_EQ(w.start(w.mdt(), next, "", &why), 0) << why;
    w.boot(old);
}

// The MDT crashes after each step of one operation, keeping so many: a resend finds them done and
// finishes. That instance crashes, too, perhaps with what it did: a replay finds that.
void each_step_crashes(const std::function<int(SimMount&)>& operation,
                       const std::function<void(SimMount&)>& check)
{
    for (unsigned step = 1; step < 60; step++) {
        SCOPED_TRACE("step " + std::to_string(step));
        FsOptions options;
        options.clients = 1;
        FsWorld w(step, options);
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).mkdir("/d"), 0);
            EXPECT_EQ(w.c(0).mkdir("/e"), 0);
            EXPECT_EQ(w.c(0).put("/d/a", "x"), 0);
            EXPECT_EQ(w.c(0).put("/e/b", "yy"), 0);
            EXPECT_EQ(w.c(0).mkdir("/last"), 0);
            EXPECT_EQ(w.c(0).sync(), 0);
        });
        w.mdt().disk->crash_at_step(step);
        w.spawn(0, "operation", [&] { EXPECT_EQ(operation(w.c(0)), 0); });
        Host& host = *w.mdt().at->host;
        bool down =
            w.world.run_until([&] { return !host.up(); }, w.world.now_ns() + 100 * lull::kMsec);
        w.mdt().disk->crash_at_step(0);
        if (down) crash_and_start(w, w.mds2);
        EXPECT_TRUE(w.join());
        if (down) crash_and_start(w, w.mds1);
        w.on(0, [&] {
            w.c(0).drop_caches();
            check(w.c(0));
        });
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.finish();
        if (testing::Test::HasFailure()) return;
        if (!down) {
            EXPECT_GT(step, 4u);  // else nothing was tried
            return;
        }
    }
}

}  // namespace

// Invariant 5. The last steps are those that set the times.
TEST(FsHalfDone, RenameIsFinishedByItsResendAndFoundByItsReplay)
{
    each_step_crashes([](SimMount& c) { return c.rename("/d/a", "/e/b"); },
                      [](SimMount& c) {
                          expect_names_agree(c, "/d", {"a"});
                          EXPECT_EQ(c.get("/e/b"), "x");
                          EXPECT_GT(attr(c, "/d").mtime_ns, attr(c, "/last").mtime_ns);
                          EXPECT_EQ(attr(c, "/d").mtime_ns, attr(c, "/e").mtime_ns);
                      });
}

// Invariant 5.
TEST(FsHalfDone, LinkAndUnlinkAreFinishedByTheirResendAndFoundByTheirReplay)
{
    each_step_crashes([](SimMount& c) { return c.link("/d/a", "/e/l"); },
                      [](SimMount& c) {
                          EXPECT_EQ(attr(c, "/d/a").nlink, 2u);
                          EXPECT_GT(attr(c, "/e").mtime_ns, attr(c, "/last").mtime_ns);
                      });
    each_step_crashes(
        [](SimMount& c) {
            int err = c.link("/d/a", "/e/l");
            return err ? err : c.unlink("/d/a");
        },
        [](SimMount& c) {
            expect_names_agree(c, "/d", {"a"});
            EXPECT_EQ(attr(c, "/e/l").nlink, 1u);
            EXPECT_GT(attr(c, "/d").mtime_ns, attr(c, "/last").mtime_ns);
        });
}

// Invariant 9.
TEST(FsMemory, RenameThatFailedHalfWay)
{
    each_allocation_fails([](SimMount& c,
                             const std::string& dir) { return c.rename(dir + "/a", dir + "/b"); },
                          {"a", "b"});
}

// Invariant 9.
TEST(FsMemory, CreateAndRemoveThatFailedHalfWay)
{
    each_allocation_fails([](SimMount& c, const std::string& dir) { return c.mkdir(dir + "/n"); },
                          {"a", "n"});
    each_allocation_fails([](SimMount& c,
                             const std::string& dir) { return c.link(dir + "/a", dir + "/l"); },
                          {"a", "l"});
    each_allocation_fails([](SimMount& c, const std::string& dir) { return c.unlink(dir + "/a"); },
                          {"a"});
}
