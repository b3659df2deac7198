// SPDX-License-Identifier: GPL-2.0-only
// umount -f of a client. What asks for it is told before the VFS knows whether the mount is busy:
// what is refused has changed nothing. What ends by force waits for nobody, and yet loses nothing
// that can be kept.
#include "tests/sim/fs_load.h"

using namespace lull::sim;
using lull::kMsec;
using lull::kSec;

namespace {

// One OST on each server, a file on each: "/on0", "/on1".
class TwoServers {
public:
    explicit TwoServers(uint64_t seed) : w(seed)
    {
        EXPECT_TRUE(w.controlled_shutdown(w.ost(1)));
        EXPECT_EQ(w.start(w.ost(1), w.oss2), 0);
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).set_layout("/", "stripe_count=1 stripe_size=65536"), 0);
            for (std::string name : {"/a", "/b"}) {
                EXPECT_EQ(w.c(0).put(name, "old"), 0);
                std::string text;
                EXPECT_EQ(w.c(0).get_layout(name, &text), 0);
                bool first = text.find("objects=0:") != std::string::npos;
                EXPECT_EQ(w.c(0).rename(name, first ? "/on0" : "/on1"), 0) << text;
            }
            EXPECT_EQ(w.c(0).sync(), 0);
        });
    }
    void write_both()
    {
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).put("/on0", pattern(100000)), 0);
            EXPECT_EQ(w.c(0).put("/on1", pattern(200000)), 0);
            EXPECT_GT(w.c(0).dirty_pages(), 0u);
        });
    }
    // Until client 0 knows that it is not connected.
    void wait_lost(const std::string& import)
    {
        auto lost = [&] {
            return w.get_param(*w.client_nodes[0], import).find("state: FULL") == std::string::npos;
        };
        for (int i = 0; i < 240 && !lost(); i++) w.run_for_ms(500);
        ASSERT_TRUE(lost()) << w.world.report();
    }
    void interrupt()
    {
        w.on(0, [&] { llc_mount_interrupt(w.c(0).core()); });
        w.run_for_ms(100);
    }
    FsWorld w;
};

}  // namespace

TEST(FsForce, WhatWaitsForAnMdtThatIsAwayFailsAndTheMountStays)
{
    for_seeds([](uint64_t seed) {
        TwoServers lab(seed);
        FsWorld& w = lab.w;
        w.crash(w.mdt());
        int made = 1, seen = 1, opened = 1;
        llc_attr a;
        w.spawn(0, "mkdir", [&] { made = w.c(0).mkdir("/d"); });
        lab.wait_lost("mdc.*.import");
        w.spawn(0, "stat", [&] { seen = w.c(0).stat("/new", &a); });
        w.spawn(0, "open", [&] { opened = w.c(0).open("/on1", SimMount::kRead); });
        w.run_for_ms(1000);
        EXPECT_EQ(made, 1);
        for (int i = 0; i < 3; i++) lab.interrupt();  // the others wait for the first one, maybe
        EXPECT_EQ(made, -kEIO);
        EXPECT_EQ(seen, -kEIO);
        EXPECT_EQ(opened, -kEIO);
        EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).mkdir("/e"), 0);
            EXPECT_EQ(w.c(0).get("/on1"), "old");
        });
        w.on(1, [&] { EXPECT_EQ(w.c(1).stat("/e", &a), 0); });
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        EXPECT_EQ(w.client_counter("open_replays", "mdc"), 0u);  // nobody has it open
        w.finish();
    });
}

TEST(FsForce, WhatWaitsAtTheGateFailsAndTheMountStays)
{
    TwoServers lab(1);
    FsWorld& w = lab.w;
    ASSERT_TRUE(w.controlled_shutdown(w.mdt()));
    int made = 1;
    w.spawn(0, "mkdir", [&] { made = w.c(0).mkdir("/d"); });
    w.run_for_ms(5000);
    EXPECT_EQ(made, 1);
    lab.interrupt();
    EXPECT_EQ(made, -kEIO);
    EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
    w.on(0, [&] { EXPECT_EQ(w.c(0).mkdir("/d"), 0); });
    w.finish();
}

TEST(FsForce, DataOfAnOstThatIsAwayIsKept)
{
    for_seeds([](uint64_t seed) {
        TwoServers lab(seed);
        FsWorld& w = lab.w;
        lab.write_both();
        w.crash(w.ost(1));
        int synced = 1;
        w.spawn(0, "fsync", [&] {
            int fd = w.c(0).open("/on1", SimMount::kRead);
            synced = w.c(0).fsync(fd);
            EXPECT_EQ(w.c(0).close(fd), 0);
        });
        lab.wait_lost("osc.lull-OST0001-*.import");
        lab.interrupt();
        EXPECT_EQ(synced, 1);
        w.boot(w.oss2);
        EXPECT_EQ(w.start(w.ost(1), w.oss2), 0);
        w.join();
        EXPECT_EQ(synced, 0);
        w.on(1, [&] { EXPECT_TRUE(w.c(1).get("/on1") == pattern(200000)); });
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.finish();
    });
}

TEST(FsForce, WhatAConnectedTargetDoesGoesOn)
{
    TwoServers lab(1);
    FsWorld& w = lab.w;
    int done = 0;
    w.spawn(0, "work", [&] {
        for (; done < 100; done++) {
            EXPECT_EQ(w.c(0).mkdir("/d"), 0);
            EXPECT_EQ(w.c(0).rmdir("/d"), 0);
        }
    });
    while (done < 100) {
        w.on(0, [&] { llc_mount_interrupt(w.c(0).core()); });
        w.world.run_for(kMsec / 10);
    }
    w.join();
    w.finish();
}

TEST(FsForce, EndsWithoutTheOstThatIsAwayAndWritesTheRest)
{
    for_seeds([](uint64_t seed) {
        TwoServers lab(seed);
        FsWorld& w = lab.w;
        lab.write_both();
        w.crash(w.ost(1));
        lab.wait_lost("osc.lull-OST0001-*.import");
        EXPECT_TRUE(w.on(0, [&] { w.c(0).umount(true); }));
        w.on(1, [&] { EXPECT_TRUE(w.c(1).get("/on0") == pattern(100000)); });
        w.boot(w.oss2);
        EXPECT_EQ(w.start(w.ost(1), w.oss2), 0);
        w.finish();
    });
}

TEST(FsForce, EndsWhenAnOstGoesAwayMeanwhile)
{
    for_seeds(
        [](uint64_t seed) {
            TwoServers lab(seed);
            FsWorld& w = lab.w;
            lab.write_both();
            w.crash(w.ost(1));  // and client 0 does not know it yet
            EXPECT_TRUE(w.on(0, [&] { w.c(0).umount(true); }));
            w.on(1, [&] { EXPECT_TRUE(w.c(1).get("/on0") == pattern(100000)); });
            w.boot(w.oss2);
            EXPECT_EQ(w.start(w.ost(1), w.oss2), 0);
            w.finish();
        },
        8);  // with some seeds client 0 hears of the crash before it looks
}

TEST(FsForce, EndsWithEverythingAway)
{
    TwoServers lab(1);
    FsWorld& w = lab.w;
    lab.write_both();
    for (auto* t : {&w.mdt(), &w.ost(0), &w.ost(1)}) w.crash(*t);
    lab.wait_lost("mdc.*.import");
    EXPECT_TRUE(w.on(0, [&] { w.c(0).umount(true); }));
    EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
    for (auto* n : {&w.oss1, &w.oss2}) w.boot(*n);
    EXPECT_EQ(w.start(w.ost(0), w.oss1), 0);
    EXPECT_EQ(w.start(w.ost(1), w.oss2), 0);
    w.finish();
}
