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

}  // namespace

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
