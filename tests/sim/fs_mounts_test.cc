// SPDX-License-Identifier: GPL-2.0-only
// Two mounts on one client node: they share its connections' endpoint and its workers, and nothing
// else. To the servers they are two clients.
#include "tests/sim/fs_load.h"

using namespace lull::sim;

namespace {

constexpr int kReadWriteCreate = SimMount::kRead | SimMount::kWrite | SimMount::kCreate;

// A client's node with a second mount.
struct TwoMounts {
    FsWorld& w;
    SimMount& first;
    std::unique_ptr<SimMount> own;
    SimMount& second;

    explicit TwoMounts(FsWorld& world)
        : w(world), first(w.c(0)),
          own(std::make_unique<SimMount>(first.host(), w.client_nodes[0]->node)), second(*own)
    {
        std::string why;
        w.on(0, [&] { EXPECT_EQ(second.mount(w.source(), "", &why), 0) << why; });
    }
    ~TwoMounts()
    {
        if (second.mounted()) (void)own.release();  // after a failure, as FsWorld's own
    }
    void umount_second()
    {
        w.on(0, [&] { second.umount(); });
    }
};

// Files made through one mount and read through the other, until told to stop.
void work(SimMount& here, SimMount& there, const std::string& dir, const bool& stop,
          unsigned* rounds)
{
    EXPECT_EQ(here.mkdir(dir), 0);
    while (!stop) {
        std::string path = dir + "/f" + std::to_string(*rounds % 5);
        std::string data = pattern(1000 + *rounds * 37 % 70000, *rounds);
        EXPECT_EQ(here.put(path, data), 0);
        EXPECT_EQ(there.get(path), data);
        ++*rounds;
        kapi_sleep_ns(20 * lull::kMsec);
    }
}

}  // namespace

// B3, invariants 1, 2 and 9: upgrades of every server beside what both of them do.
TEST(FsMounts, TwoOnANodeSeeTheSameOverUpgrades)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        TwoMounts m(w);
        bool stop = false;
        unsigned first = 0, second = 0;
        w.spawn(0, "first", [&] { work(m.first, m.second, "/a", stop, &first); });
        w.spawn(0, "second", [&] { work(m.second, m.first, "/b", stop, &second); });
        w.run_for_ms(1000);
        for (auto& t : w.targets()) {
            unsigned before = first + second;
            ASSERT_TRUE(w.controlled_shutdown(*t));
            EXPECT_EQ(w.start(*t, *t->partner), 0);
            w.run_for_ms(5000);
            EXPECT_GT(first + second, before + 2) << t->name;
        }
        stop = true;
        w.join();
        EXPECT_EQ(w.client_counter("resends"), 0u);
        m.umount_second();
        w.finish();
    });
}

// One goes, what it wrote is there, and the other one works on.
TEST(FsMounts, OneIsUnmountedWhileTheOtherWorks)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        TwoMounts m(w);
        bool stop = false;
        unsigned rounds = 0;
        w.spawn(0, "first", [&] { work(m.first, m.first, "/a", stop, &rounds); });
        w.on(0, [&] { EXPECT_EQ(m.second.put("/left", "behind"), 0); });
        m.umount_second();
        unsigned before = rounds;
        w.run_for_ms(2000);
        EXPECT_GT(rounds, before + 2);
        ASSERT_TRUE(w.controlled_shutdown(w.mdt()));
        EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
        w.run_for_ms(5000);
        stop = true;
        w.join();
        w.on(0, [&] { EXPECT_EQ(m.first.get("/left"), "behind"); });
        w.finish();
    });
}

// A7: an eviction is of one mount, not of its node.
TEST(FsMounts, OneIsEvictedAndTheOtherIsNot)
{
    FsWorld w(1);
    TwoMounts m(w);
    int fds[2];
    SimMount* both[2] = {&m.first, &m.second};
    w.on(0, [&] {
        for (int i = 0; i < 2; i++) {
            fds[i] = both[i]->open("/f" + std::to_string(i), kReadWriteCreate);
            ASSERT_GE(fds[i], 0);
            EXPECT_EQ(both[i]->pwrite(fds[i], 0, "data", 4), 4);
            EXPECT_EQ(both[i]->fsync(fds[i]), 0);
        }
    });
    auto& t = w.mdt();
    std::string exports = w.get_param(*t.at, t.param + "exports");
    size_t at = exports.find("nodename=c1");
    ASSERT_NE(at, std::string::npos) << exports;
    EXPECT_NE(exports.find("nodename=c1", at + 1), std::string::npos) << exports;
    size_t line = exports.rfind('\n', at) + 1;
    std::string uuid = exports.substr(line, exports.find(' ', line) - line);
    if (size_t eq = uuid.rfind('='); eq != std::string::npos) uuid = uuid.substr(eq + 1);
    ASSERT_EQ(w.set_param(*t.at, t.param + "evict_client", uuid), 0) << uuid;
    w.run_for_ms(30000);
    w.on(0, [&] {
        int dead = 0;
        for (int i = 0; i < 2; i++) {
            int64_t n = both[i]->pwrite(fds[i], 4, "more", 4);
            dead += n == -kEIO;
            EXPECT_TRUE(n == 4 || n == -kEIO) << n;
            (void)both[i]->close(fds[i]);
            EXPECT_EQ(both[i]->put("/g" + std::to_string(i), "new life"), 0);
        }
        EXPECT_EQ(dead, 1);
        for (int i = 0; i < 2; i++)
            EXPECT_EQ(both[i]->get("/g" + std::to_string(1 - i)), "new life");
    });
    m.umount_second();
    w.finish();
}
