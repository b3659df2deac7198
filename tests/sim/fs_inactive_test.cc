// SPDX-License-Identifier: GPL-2.0-only
// An OST without inodes gets nothing, and one that is inactive is owed its destroys.
#include "kapi/sim/network.h"
#include "tests/sim/fs_load.h"

using namespace lull::sim;

namespace {

// With "/on0" and "/on1", a file on each of its two OSTs, both committed.
class TwoOsts {
public:
    TwoOsts() : w(1)
    {
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).set_layout("/", "stripe_count=1 stripe_size=65536"), 0);
            for (std::string name : {"/a", "/b"}) {
                EXPECT_EQ(w.c(0).put(name, pattern(1000)), 0);
                EXPECT_EQ(w.c(0).rename(name, is_on(name, 0) ? "/on0" : "/on1"), 0);
            }
            EXPECT_EQ(w.c(0).sync(), 0);
        });
    }
    bool is_on(const std::string& path, unsigned ost)
    {
        std::string text;
        EXPECT_EQ(w.c(0).get_layout(path, &text), 0);
        return text.find("objects=" + std::to_string(ost) + ":") != std::string::npos;
    }
    // How many of six new files lie on OST 1, after the MDT has looked at the space.
    unsigned new_on_1(const std::string& prefix)
    {
        unsigned n = 0;
        w.run_for_ms(11000);
        w.on(0, [&] {
            for (unsigned i = 0; i < 6; i++) {
                std::string name = prefix + std::to_string(i);
                EXPECT_EQ(w.c(0).mknod(name, 0100644), 0);
                n += is_on(name, 1);
            }
        });
        return n;
    }
    void set_active(bool yes)
    {
        std::string setting = "lull-OST0001.osc.active=" + std::to_string(yes);
        EXPECT_EQ(w.set_param(*w.mdt().at, "mgs.MGS.conf_param", setting), 0);
        w.run_for_ms(1000);  // everybody is told
    }
    std::string pending() { return w.get_param(w.mds1, "mdt.lull-MDT0000.pending_destroys"); }
    FsWorld w;
};

}  // namespace

// An OST that has space and no inodes gets nothing, and nothing before it has twice as many as
// when that began.
TEST(FsInactive, InodesCountAsSpaceDoes)
{
    TwoOsts lab;
    lull::sim::Disk& disk = *lab.w.ost(1).disk;
    disk.leave_inodes(50);
    EXPECT_GT(lab.new_on_1("/enough"), 0u);
    disk.leave_inodes(20);
    EXPECT_EQ(lab.new_on_1("/few"), 0u);
    disk.leave_inodes(50);
    EXPECT_EQ(lab.new_on_1("/not-yet"), 0u);
    disk.leave_inodes(100);
    EXPECT_GT(lab.new_on_1("/again"), 0u);
    lab.w.finish();
}

// What is removed while an OST is inactive is destroyed there when it is active again.
TEST(FsInactive, DestroysWaitForIt)
{
    TwoOsts lab;
    FsWorld& w = lab.w;
    uint64_t objects = w.ost(1).disk->files_below("O");
    EXPECT_GT(objects, 0u);
    lab.set_active(false);
    w.on(0, [&] {
        EXPECT_EQ(w.c(0).unlink("/on1"), 0);
        EXPECT_EQ(w.c(0).unlink("/on0"), 0);
        EXPECT_EQ(w.c(0).sync(), 0);
    });
    w.run_for_ms(10000);
    EXPECT_EQ(lab.pending(), "mdt.lull-MDT0000.pending_destroys=1\n");
    EXPECT_EQ(w.ost(1).disk->files_below("O"), objects);
    lab.set_active(true);
    w.run_for_ms(15000);
    EXPECT_EQ(lab.pending(), "mdt.lull-MDT0000.pending_destroys=0\n");
    EXPECT_EQ(w.ost(1).disk->files_below("O"), objects - 1);
    w.finish();
}

// What it had answered and not committed is lost then, and the next syncfs says so, once; whether
// it is active again by then or not.
TEST(FsInactive, SyncTellsOnceWhatIsLost)
{
    for (bool active_again : {false, true}) {
        TwoOsts lab;
        FsWorld& w = lab.w;
        w.on(0, [&] { EXPECT_EQ(w.c(0).truncate("/on1", 500), 0); });
        lab.set_active(false);
        if (active_again) lab.set_active(true);
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).sync(), -kEIO);
            EXPECT_EQ(w.c(0).sync(), 0);
            EXPECT_EQ(w.c(0).put("/on0", "else"), 0);
            EXPECT_EQ(w.c(0).sync(), 0);
        });
        w.on(1, [&] { EXPECT_EQ(w.c(1).sync(), 0); });
        lab.set_active(!active_again);  // with nothing owed
        lab.set_active(active_again);
        w.on(0, [&] { EXPECT_EQ(w.c(0).sync(), 0); });
        w.finish();
    }
}

// To an OST that heard no good-bye a client that has it active again is another one: the OST holds
// no lock for it any more, and asks it for none.
TEST(FsInactive, ActiveAgainHoldsNothing)
{
    TwoOsts lab;
    FsWorld& w = lab.w;
    auto& network = w.world.network();
    int fd = -1;
    w.on(0, [&] {
        EXPECT_GE(fd = w.c(0).open("/on1", SimMount::kWrite), 0);
        EXPECT_EQ(w.c(0).pwrite(fd, 0, "dirty", 5), 5);
    });
    network.cut(*w.client_nodes[0]->host, *w.oss2.host);
    lab.set_active(false);
    w.run_for_ms(5000);  // the good-bye is given up
    network.heal_all();
    lab.set_active(true);
    w.run_for_ms(3000);
    network.cut(*w.client_nodes[0]->host, *w.oss2.host);
    w.on(1, [&] {
        uint64_t began = lull::now_ns();
        EXPECT_EQ(w.c(1).get("/on1"), pattern(1000));
        EXPECT_LT(lull::now_ns() - began, 2 * lull::kSec);
    });
    network.heal_all();
    w.on(0, [&] { (void)w.c(0).close(fd); });
    w.finish();
}
