// SPDX-License-Identifier: GPL-2.0-only
// The MDT connects back to an OST that is new; whoever mounts one that nobody can reach is told.
#include <cstring>

#include "include/lull/opcode.h"
#include "include/lull/rpc_header.h"
#include "kapi/sim/network.h"
#include "lnet/lnet_header.h"
#include "tests/sim/fs_load.h"

using namespace lull::sim;
using lull::kSec;

namespace {

// What an administrator reads on a node.
class Journal {
public:
    explicit Journal(FsWorld& w) : w_(w)
    {
        w.world.on_log = [this](Host* where, const std::string& text) {
            lines_.push_back((where ? where->name() : "") + ": " + text);
        };
    }
    ~Journal() { w_.world.on_log = nullptr; }
    unsigned count(const std::string& host, const std::string& what) const
    {
        unsigned n = 0;
        for (const std::string& line : lines_)
            n += line.starts_with(host + ": ") && line.find(what) != std::string::npos;
        return n;
    }

private:
    FsWorld& w_;
    std::vector<std::string> lines_;
};

bool tells_what_is_used(const std::string& bytes)
{
    for (size_t at : {size_t{0}, sizeof(lull::LnetHeader)}) {
        lull::RpcHeader h;
        if (bytes.size() < at + sizeof h) return false;
        memcpy(&h, bytes.data() + at, sizeof h);
        if (h.magic == lull::kRpcMagic)
            return h.opcode == static_cast<uint16_t>(lull::Opcode::kMgsOstsUsed);
    }
    return false;
}

FsOptions with_one_more_ost(unsigned lost)
{
    FsOptions options;
    options.osts = 3;
    options.lost_osts = lost;
    return options;
}

void start_all_but_the_new_one(FsWorld& w)
{
    for (size_t i = 0; i < 3; i++) EXPECT_EQ(w.start(*w.targets()[i], *w.targets()[i]->home), 0);
}

void stripe_over_all(FsWorld& w)
{
    w.on(0, [&] { EXPECT_EQ(w.c(0).set_layout("/", "stripe_count=-1 stripe_size=65536"), 0); });
}

// Of a new file: "stripe_count=N".
std::string stripes_of(FsWorld& w, const std::string& name)
{
    std::string text;
    w.on(0, [&] {
        EXPECT_EQ(w.c(0).put(name, pattern(200000)), 0);
        EXPECT_EQ(w.c(0).get_layout(name, &text), 0);
    });
    return text.substr(0, text.find(' '));
}

}  // namespace

// The mount says so, and the logs of the OST, of the MGS and of the MDT, each once. The OST gets
// nothing; when it is unmounted nobody waits for it, and it can be taken out without force.
TEST(FsReach, WhatNobodyReachesIsToldSoAtItsMount)
{
    FsWorld w(1, with_one_more_ost(1));
    Journal journal(w);
    stripe_over_all(w);
    std::string why;
    uint64_t began = w.world.now_ns();
    EXPECT_EQ(w.start(w.ost(2), w.oss1, "", &why), 0);
    EXPECT_LT(w.world.now_ns() - began, 20 * kSec);
    EXPECT_NE(why.find("lull-OST0002: the MDT does not reach it at 10.99.0.1@tcp (not this node): "
                       "it gets no files"),
              std::string::npos)
        << why;
    EXPECT_NE(why.find("lctl del_ost"), std::string::npos) << why;
    w.run_for_ms(60000);
    EXPECT_EQ(journal.count("oss1", "does not reach it at 10.99.0.1@tcp"), 1u);
    EXPECT_EQ(journal.count("mds1", "MGS: lull-OST0002 has started at "), 1u);
    EXPECT_EQ(journal.count("mds1", "lull-OST0002 is registered, and cannot be reached at"), 1u);
    w.stop(w.ost(2));
    w.umount(1);
    EXPECT_EQ(w.mount(1), 0);  // knows it
    for (size_t client : {0, 1})
        w.on(client, [&] {
            SimMount& c = w.c(client);
            uint64_t began = lull::now_ns();
            struct llc_statfs all;
            llc_attr a;
            std::string name = "/f" + std::to_string(client), text;
            EXPECT_EQ(c.put(name, pattern(200000)), 0);
            EXPECT_EQ(c.get_layout(name, &text), 0);
            EXPECT_EQ(text.find("stripe_count=2"), 0u) << text;
            EXPECT_EQ(c.statfs(&all), 0);
            EXPECT_EQ(all.total_bytes, 512ull << 20);
            EXPECT_EQ(c.stat(name, &a), 0);
            EXPECT_EQ(c.sync(), 0);
            EXPECT_LT(lull::now_ns() - began, kSec);
        });
    EXPECT_EQ(w.set_param(w.mds1, "mgs.MGS.del_ost", "lull-OST0002"), 0);
    w.run_for_ms(1000);
    EXPECT_EQ(w.get_param(w.mds1, "mgs.MGS.targets").find("lull-OST0002"), std::string::npos);
    w.finish();
}

// One that the MDT can reach is mounted at once, without a word, and gets files.
TEST(FsReach, WhatIsReachedIsMountedWithoutAWord)
{
    FsWorld w(1, with_one_more_ost(0), false);
    start_all_but_the_new_one(w);
    EXPECT_EQ(w.mount(0), 0);
    Journal journal(w);
    std::string why;
    uint64_t began = w.world.now_ns();
    EXPECT_EQ(w.start(w.ost(2), *w.ost(2).home, "", &why), 0);
    EXPECT_LT(w.world.now_ns() - began, kSec);
    EXPECT_EQ(why, "");
    stripe_over_all(w);
    EXPECT_EQ(stripes_of(w, "/f"), "stripe_count=3");
    w.run_for_ms(60000);
    EXPECT_EQ(journal.count("oss1", "reach") + journal.count("mds1", "reach"), 0u);
    w.finish();
}

// Nobody waits for an MDT where there is none yet; and one that is down is said to be so, perhaps.
// When it is back, all is as it should be.
TEST(FsReach, AnMdtThatIsDown)
{
    FsWorld w(1, with_one_more_ost(0), false);
    start_all_but_the_new_one(w);
    w.run_for_ms(2000);
    Journal journal(w);
    w.crash(w.mds1);
    std::string why;
    uint64_t began = w.world.now_ns();
    EXPECT_EQ(w.start(w.ost(2), *w.ost(2).home, "", &why), 0);  // there is no MGS either
    EXPECT_LT(w.world.now_ns() - began, 15 * kSec);
    w.boot(w.mds1);
    EXPECT_EQ(w.start(w.mdt(), w.mds1), 0);
    w.run_for_ms(60000);
    EXPECT_EQ(journal.count("oss1", "does not reach it"), 0u);
    EXPECT_EQ(journal.count("mds1", "does not reach it"), 0u);
    EXPECT_EQ(w.mount(0), 0);
    stripe_over_all(w);
    EXPECT_EQ(stripes_of(w, "/f"), "stripe_count=3");
    w.finish();
}

// The MDT has reached an OST, and cannot tell the MGS: who says lctl del_ost then would lose what
// is placed there, so nothing is.
TEST(FsReach, NothingIsPlacedBeforeTheMgsKnows)
{
    FsWorld w(1, with_one_more_ost(0), false);
    start_all_but_the_new_one(w);
    EXPECT_EQ(w.mount(0), 0);
    stripe_over_all(w);
    EXPECT_EQ(w.set_param(w.mds1, "mgs.MGS.imperative_recovery", "0"), 0);
    (void)w.oss1.host->spawn("mount", [&] {
        (void)lull_server_start(w.oss1.node, w.ost(2).device.c_str(), "", &w.ost(2).server, nullptr,
                                0);
    });
    w.run_for_ms(200);
    w.crash(w.oss1);      // registered, and the MDT has not looked
    w.run_for_ms(12000);  // it has
    w.world.network().cut_at = [&](Host& from, Host& to, const std::string& bytes) {
        return &from == w.mds1.host && &to == w.mds1.host && tells_what_is_used(bytes);
    };
    w.boot(w.oss1);
    for (size_t i : {0, 2}) EXPECT_EQ(w.start(w.ost(i), w.oss1), 0);
    auto import = [&] { return w.get_param(w.mds1, "osp.lull-OST0002*.import"); };
    uint64_t end = w.world.now_ns() + 60 * kSec;
    while (import().find("state: FULL") == std::string::npos && w.world.now_ns() < end)
        w.run_for_ms(100);
    EXPECT_NE(import().find("state: FULL"), std::string::npos) << import();
    w.run_for_ms(1000);
    EXPECT_EQ(stripes_of(w, "/before"), "stripe_count=2");
    w.world.network().cut_at = nullptr;
    w.world.network().heal_all();
    w.run_for_ms(40000);
    EXPECT_EQ(w.set_param(w.mds1, "mgs.MGS.del_ost", "lull-OST0002"), -kEBUSY);
    EXPECT_EQ(stripes_of(w, "/after"), "stripe_count=3");
    w.finish();
}

// A known OST that is started while the MGS is away serves at once: only its mount asks a second
// long whether it may, and comes back later.
TEST(FsReach, AnMgsThatIsAwayDelaysNoService)
{
    FsWorld w(1);
    int fd = -1;
    w.on(0, [&] {
        EXPECT_EQ(w.c(0).set_layout("/", "stripe_count=1 stripe_size=65536"), 0);
        for (std::string name : {"/a", "/b"}) EXPECT_EQ(w.c(0).put(name, pattern(1000)), 0);
        std::string text;
        EXPECT_EQ(w.c(0).get_layout("/a", &text), 0);
        bool on_0 = text.find("objects=0:") != std::string::npos;
        EXPECT_GE(fd = w.c(0).open(on_0 ? "/a" : "/b", SimMount::kRead | SimMount::kWrite), 0);
        EXPECT_EQ(w.c(0).sync(), 0);
    });
    ASSERT_TRUE(w.controlled_shutdown(w.mdt()));  // and the MGS with it
    ASSERT_TRUE(w.controlled_shutdown(w.ost(0)));
    uint64_t answered = 0, mounted = 0;
    w.spawn(0, "reader", [&] {
        std::string got(1000, 0);
        EXPECT_EQ(w.c(0).pread(fd, 0, got.data(), got.size()), 1000);
        EXPECT_EQ(got, pattern(1000));
        answered = lull::now_ns();
    });
    w.run_for_ms(3000);
    EXPECT_EQ(answered, 0u);
    uint64_t began = w.world.now_ns();
    EXPECT_EQ(w.start(w.ost(0), w.oss1), 0);
    mounted = w.world.now_ns();
    EXPECT_TRUE(w.join(60 * kSec));
    EXPECT_LT(answered, mounted);
    EXPECT_LT(mounted - began, 1500000000u);
    EXPECT_EQ(w.start(w.mdt(), w.mds1), 0);
    w.on(0, [&] { EXPECT_EQ(w.c(0).close(fd), 0); });
    w.finish();
}
