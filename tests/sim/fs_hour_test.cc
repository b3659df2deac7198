// SPDX-License-Identifier: GPL-2.0-only
// One OST is away for an hour while people work: nobody waits who does not need it, and nothing
// floods the network or the log.
#include "kapi/sim/network.h"
#include "tests/sim/fs_load.h"

using namespace lull::sim;
using lull::kSec;

namespace {

constexpr unsigned kOldFiles = 9, kRounds = 100;
constexpr uint64_t kPauseNs = 36 * kSec;

std::string old_name(unsigned i) { return "/old" + std::to_string(i); }

class Hour {
public:
    Hour() : w(1, options())
    {
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).set_layout("/", "stripe_count=1 stripe_size=65536"), 0);
            for (unsigned i = 0; i < kOldFiles; i++)
                EXPECT_EQ(w.c(0).put(old_name(i), pattern(100000, i)), 0);
            EXPECT_EQ(w.c(0).sync(), 0);
        });
        for (unsigned i = 0; i < kOldFiles; i++) at_[is_on_1(old_name(i))].push_back(i);
    }
    bool is_on_1(const std::string& name)
    {
        std::string text;
        w.on(0, [&] { EXPECT_EQ(w.c(0).get_layout(name, &text), 0); });
        return text.find("objects=1:") != std::string::npos;
    }
    const std::vector<unsigned>& there() { return at_[0]; }
    const std::vector<unsigned>& away() { return at_[1]; }
    // A day's work of one person. Each round is over soon, but while the MDT moves.
    void work(size_t client)
    {
        SimMount& c = w.c(client);
        std::string dir = "/home" + std::to_string(client);
        EXPECT_EQ(c.mkdir(dir), 0);
        for (unsigned i = 0; i < kRounds; i++) {
            uint64_t began = lull::now_ns();
            round(c, dir, i);
            longest = std::max(longest, lull::now_ns() - began);
            kapi_sleep_ns(kPauseNs);
        }
    }
    FsWorld w;
    uint64_t longest = 0;

private:
    static FsOptions options()
    {
        FsOptions o;
        o.osts = 3;
        o.unmounted = 1;
        return o;
    }
    void round(SimMount& c, const std::string& dir, unsigned i)
    {
        std::string name = dir + "/f" + std::to_string(i), data = pattern(1000 + i * 997, i);
        EXPECT_EQ(c.put(name, data), 0);
        c.drop_pages(name);
        EXPECT_TRUE(c.get(name) == data);
        unsigned old = there()[i % there().size()];
        EXPECT_TRUE(c.get(old_name(old)) == pattern(100000, old));
        Names names;
        EXPECT_EQ(c.readdir(dir, &names), 0);
        for (const std::string& n : names) {
            llc_attr a;
            EXPECT_EQ(c.stat(dir + "/" + n, &a), 0) << n;
        }
        struct llc_statfs df;
        EXPECT_EQ(c.statfs(&df), 0);
        EXPECT_EQ(df.total_bytes, 512ull << 20);
        EXPECT_EQ(c.rename(name, dir + "/g"), 0);
        EXPECT_EQ(i % 2 ? c.unlink(dir + "/g") : 0, 0);
        EXPECT_EQ(c.sync(), 0);
    }
    std::vector<unsigned> at_[2];
};

}  // namespace

TEST(FsHour, OneOstIsAwayWhilePeopleWork)
{
    Hour hour;
    FsWorld& w = hour.w;
    ASSERT_GT(hour.away().size(), 2u);
    const unsigned waited_for = hour.away()[0], removed = hour.away()[1], kept = hour.away()[2];
    w.crash(w.oss2);
    w.run_for_ms(60000);  // everybody knows
    uint64_t messages = 0, lines = 0;
    w.world.network().on_message = [&](Host&, Host&, const std::string&) { messages++; };
    w.world.on_log = [&](Host*, const std::string&) { lines++; };
    unsigned running = 0;
    auto begin = [&](size_t client, const std::string& name, const std::function<void()>& fn) {
        running++;
        w.spawn(client, name, [&running, fn] { fn(), running--; });
    };
    bool read = false;
    w.spawn(1, "reader", [&] {  // waits, and does no harm
        EXPECT_TRUE(w.c(1).get(old_name(waited_for)) == pattern(100000, waited_for));
        read = true;
    });
    for (size_t client : {0, 1}) begin(client, "work", [&hour, client] { hour.work(client); });
    w.run_for_ms(20 * 60000);
    uint64_t began = w.world.now_ns();
    EXPECT_EQ(w.mount(2), 0);
    EXPECT_LT(w.world.now_ns() - began, 10 * kSec);
    w.on(2, [&] {
        began = lull::now_ns();
        EXPECT_EQ(w.c(2).put("/late", "comer"), 0);
        EXPECT_EQ(w.c(2).unlink(old_name(removed)), 0);
        EXPECT_EQ(w.c(2).sync(), 0);
        EXPECT_LT(lull::now_ns() - began, 2 * kSec);
    });
    w.run_for_ms(10 * 60000);
    EXPECT_LT(hour.longest, 2 * kSec);
    began = w.world.now_ns();
    ASSERT_TRUE(w.controlled_shutdown(w.mdt(), 20000));
    EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
    EXPECT_LT(w.world.now_ns() - began, 20 * kSec);
    w.boot(w.oss2);  // the node is back, its disk is not
    EXPECT_TRUE(w.world.run_until([&] { return running == 0; }, w.world.now_ns() + 3600 * kSec))
        << w.world.report();
    EXPECT_LT(hour.longest, 20 * kSec);
    EXPECT_FALSE(read);
    RecordProperty("messages", std::to_string(messages));
    RecordProperty("lines", std::to_string(lines));
    EXPECT_LT(messages, 80000u);  // of 5 nodes, that is 4 a second for each
    EXPECT_LT(lines, 70u);
    w.world.network().on_message = nullptr;
    w.world.on_log = nullptr;
    EXPECT_EQ(w.start(w.ost(1), w.oss2), 0);
    EXPECT_TRUE(w.join(120 * kSec));
    EXPECT_TRUE(read);
    w.on(1, [&] {
        EXPECT_TRUE(w.c(1).get(old_name(kept)) == pattern(100000, kept));
        struct llc_statfs df;
        EXPECT_EQ(w.c(1).statfs(&df), 0);
        EXPECT_EQ(df.total_bytes, 768ull << 20);
        EXPECT_EQ(w.c(1).get("/late"), "comer");
    });
    w.run_for_ms(30000);
    EXPECT_EQ(w.get_param(w.mds2, "mdt.lull-MDT0000.pending_destroys"),
              "mdt.lull-MDT0000.pending_destroys=0\n");
    w.finish();
}
