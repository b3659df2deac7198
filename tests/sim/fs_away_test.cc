// SPDX-License-Identifier: GPL-2.0-only
// While one OST is halted, or gone: who does not need it does not wait for it.
#include "kapi/sim/network.h"
#include "tests/sim/fs_load.h"

using namespace lull::sim;
using lull::kMsec;
using lull::kSec;

namespace {

// The index of the OST that a file of one stripe lies on.
std::string ost_of(SimMount& c, const std::string& path)
{
    std::string text;
    EXPECT_EQ(c.get_layout(path, &text), 0);
    size_t at = text.find("objects=") + 8;
    return text.substr(at, text.find(':', at) - at);
}

// How many of so many new files lie on that OST.
unsigned count_on(SimMount& c, const std::string& ost, const std::string& prefix, unsigned files)
{
    unsigned n = 0;
    for (unsigned i = 0; i < files; i++) {
        std::string name = prefix + std::to_string(i);
        EXPECT_EQ(c.mknod(name, 0100644), 0);
        n += ost_of(c, name) == ost;
    }
    return n;
}

// With one of its two OSTs away, and a file on each of them: "/on0", "/on1".
class OneIsAway {
public:
    explicit OneIsAway(const char* options = "") : w(1)
    {
        w.umount(0);
        EXPECT_EQ(w.mount(0, options), 0);
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).set_layout("/", "stripe_count=1 stripe_size=65536"), 0);
            for (std::string name : {"/a", "/b"}) {
                EXPECT_EQ(w.c(0).put(name, pattern(1000)), 0);
                std::string text;
                EXPECT_EQ(w.c(0).get_layout(name, &text), 0);
                bool first = text.find("objects=0:") != std::string::npos;
                EXPECT_EQ(w.c(0).rename(name, first ? "/on0" : "/on1"), 0) << text;
            }
            EXPECT_EQ(w.c(0).sync(), 0);
        });
    }
    // fn runs to its end, and takes no time.
    template <class F> void at_once(F fn)
    {
        w.on(0, [&] {
            uint64_t began = lull::now_ns();
            fn(w.c(0));
            EXPECT_LT(lull::now_ns() - began, 500 * kMsec);
        });
    }
    FsWorld w;
};

}  // namespace

TEST(FsAway, NobodyWaitsForWhatItDoesNotNeed)
{
    OneIsAway lab;
    FsWorld& w = lab.w;
    struct llc_statfs all, rest;
    lab.at_once([&](SimMount& c) { EXPECT_EQ(c.statfs(&all), 0); });
    ASSERT_TRUE(w.controlled_shutdown(w.ost(1)));
    lab.at_once([&](SimMount& c) {
        llc_attr a;
        EXPECT_EQ(c.statfs(&rest), 0);
        EXPECT_EQ(rest.total_bytes, all.total_bytes / 2);
        EXPECT_EQ(rest.files, all.files);
        EXPECT_EQ(c.stat("/on0", &a), 0);
        EXPECT_EQ(c.put("/on0", "else"), 0);
        EXPECT_EQ(c.sync(), 0);
    });
    EXPECT_EQ(w.start(w.ost(1), w.oss1), 0);
    w.on(0, [&] {
        EXPECT_EQ(w.c(0).get("/on1"), pattern(1000));
        EXPECT_EQ(w.c(0).statfs(&rest), 0);
        EXPECT_EQ(rest.total_bytes, all.total_bytes);
    });
    w.finish();
}

TEST(FsAway, WithNolazystatfsItIsWaitedFor)
{
    OneIsAway lab("nolazystatfs");
    FsWorld& w = lab.w;
    ASSERT_TRUE(w.controlled_shutdown(w.ost(1)));
    struct llc_statfs all = {};
    bool answered = false;
    w.spawn(0, "df", [&] {
        EXPECT_EQ(w.c(0).statfs(&all), 0);
        answered = true;
    });
    w.run_for_ms(30000);
    EXPECT_FALSE(answered);
    EXPECT_EQ(w.start(w.ost(1), w.oss1), 0);
    EXPECT_TRUE(w.join());
    EXPECT_EQ(all.total_bytes, 512ull << 20);
    w.finish();
}

// A target is asked to commit only when it owes this client a commit: sync(2), and with it a
// suspend, ends while one that owes nothing is away; with something owed it is waited for.
TEST(FsAway, SyncIsForWhoOwesACommit)
{
    OneIsAway lab;
    FsWorld& w = lab.w;
    ASSERT_TRUE(w.controlled_shutdown(w.mdt()));
    lab.at_once([&](SimMount& c) { EXPECT_EQ(c.sync(), 0); });
    EXPECT_EQ(w.start(w.mdt(), w.mds1), 0);
    int fd = -1;
    w.on(0, [&] { EXPECT_GE(fd = w.c(0).open("/owed", SimMount::kWrite | SimMount::kCreate), 0); });
    w.crash(w.mds1);
    bool synced = false;
    w.spawn(0, "sync", [&] {
        EXPECT_EQ(w.c(0).sync(), 0);
        synced = true;
    });
    w.run_for_ms(20000);
    EXPECT_FALSE(synced);
    w.boot(w.mds1);
    EXPECT_EQ(w.start(w.mdt(), w.mds1), 0);
    EXPECT_TRUE(w.join());
    w.on(0, [&] {
        llc_attr a;
        EXPECT_EQ(w.c(0).stat("/owed", &a), 0);
        EXPECT_EQ(w.c(0).close(fd), 0);
    });
    w.finish();
}

// New files go to OSTs that are there, and striped ones take fewer stripes; when none is there, the
// data waits and not the names.
TEST(FsAway, NewFilesGoWhereTheyCanBeWritten)
{
    FsWorld w(1);
    auto stripes_of = [&](const std::string& path) {
        std::string text;
        EXPECT_EQ(w.c(0).get_layout(path, &text), 0);
        return text.substr(0, text.find(' '));
    };
    ASSERT_TRUE(w.controlled_shutdown(w.ost(1)));
    w.on(0, [&] {
        uint64_t began = lull::now_ns();
        for (unsigned i = 0; i < 6; i++) {
            std::string name = "/f" + std::to_string(i);
            EXPECT_EQ(w.c(0).put(name, pattern(200000, i)), 0);
            EXPECT_EQ(stripes_of(name), "stripe_count=1");
        }
        EXPECT_LT(lull::now_ns() - began, 5 * kSec);
    });
    ASSERT_TRUE(w.controlled_shutdown(w.ost(0)));
    w.on(0, [&] { EXPECT_EQ(w.c(0).mknod("/later", 0100644), 0); });
    EXPECT_EQ(w.start(w.ost(0), w.oss1), 0);
    EXPECT_EQ(w.start(w.ost(1), w.oss1), 0);
    w.run_for_ms(3000);
    w.on(0, [&] {
        EXPECT_EQ(stripes_of("/later"), "stripe_count=2");
        EXPECT_EQ(w.c(0).put("/both", pattern(200000)), 0);
        EXPECT_EQ(stripes_of("/both"), "stripe_count=2");
    });
    w.finish();
}

// One that is full gets nothing while another one has space; and not when the other one is only
// away for a while.
TEST(FsAway, NewFilesGoWhereThereIsSpace)
{
    FsOptions options;
    options.disk_bytes = 48ull << 20;
    FsWorld w(1, options);
    std::string full;
    w.on(0, [&] {
        SimMount& c = w.c(0);
        EXPECT_EQ(c.set_layout("/", "stripe_count=1 stripe_size=65536"), 0);
        std::string piece = pattern(1 << 20);
        int fd = c.open("/large", SimMount::kWrite | SimMount::kCreate);
        full = ost_of(c, "/large");
        for (uint64_t at = 0; c.pwrite(fd, at, piece.data(), piece.size()) > 0;) at += piece.size();
        EXPECT_EQ(c.close(fd), 0);
        EXPECT_EQ(c.sync(), 0);
        kapi_sleep_ns(11 * kSec);  // the MDT looks every ten
        for (unsigned i = 0; i < 6; i++) {
            std::string name = "/f" + std::to_string(i);
            EXPECT_EQ(c.put(name, piece), 0);
            EXPECT_NE(ost_of(c, name), full);
        }
    });
    FsWorld::Target& other = w.ost(full == "0" ? 1 : 0);
    ASSERT_TRUE(w.controlled_shutdown(other));
    w.on(0, [&] { EXPECT_EQ(count_on(w.c(0), full, "/later", 6), 0u); });
    EXPECT_EQ(w.start(other, w.oss1), 0);
    w.on(0, [&] { EXPECT_EQ(w.c(0).put("/later0", pattern(1000)), 0); });
    w.finish();
}

// Of two OSTs the one with more space gets more, beyond the threshold: also right after the MDT has
// been restarted.
TEST(FsAway, FreeSpaceWeighs)
{
    FsOptions options;
    options.clients = 1;
    options.disk_bytes = 128ull << 20;
    FsWorld w(1, options);
    std::string fuller;
    w.on(0, [&] {
        SimMount& c = w.c(0);
        EXPECT_EQ(c.set_layout("/", "stripe_count=1 stripe_size=65536"), 0);
        EXPECT_EQ(count_on(c, "0", "/even", 20), 10u);
        EXPECT_EQ(c.put("/large", pattern(64 << 20)), 0);
        EXPECT_EQ(c.sync(), 0);
        fuller = ost_of(c, "/large");
        kapi_sleep_ns(11 * kSec);
        unsigned n = count_on(c, fuller, "/a", 40);
        EXPECT_GT(n, 4u);
        EXPECT_LT(n, 16u);
    });
    const std::string threshold = "mdt.lull-MDT0000.qos_threshold_rr";
    EXPECT_EQ(w.get_param(w.mds1, threshold), threshold + "=17%\n");
    EXPECT_EQ(w.set_param(w.mds1, threshold, "101"), -kERANGE);
    EXPECT_EQ(w.set_param(w.mds1, threshold, "100%"), 0);
    w.on(0, [&] { EXPECT_EQ(count_on(w.c(0), fuller, "/b", 40), 20u); });
    ASSERT_TRUE(w.controlled_shutdown(w.mdt()));
    EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
    w.on(0, [&] {
        EXPECT_EQ(w.c(0).mknod("/first", 0100644), 0);
        kapi_sleep_ns(2 * kSec);
        EXPECT_LT(count_on(w.c(0), fuller, "/c", 40), 16u);
    });
    w.finish();
}

// An OST that was added by mistake, with a service node that is nowhere: nobody waits for it, while
// it is mounted, after it was, and after the MDT has been restarted.
TEST(FsAway, OneThatNobodyReachesGetsNothing)
{
    FsOptions options;
    options.osts = 3;
    options.lost_osts = 1;
    FsWorld w(1, options);
    auto create_for = [&](unsigned seconds, const std::string& prefix) {
        w.on(0, [&] {
            SimMount& c = w.c(0);
            for (unsigned i = 0; i < seconds; i++) {
                uint64_t began = lull::now_ns();
                std::string name = prefix + std::to_string(i), text;
                EXPECT_EQ(c.put(name, pattern(200000)), 0);
                EXPECT_EQ(c.get_layout(name, &text), 0);
                EXPECT_EQ(text.find("stripe_count=2"), 0u) << text;
                EXPECT_LT(lull::now_ns() - began, kSec);
                kapi_sleep_ns(kSec);
            }
        });
    };
    w.on(0, [&] { EXPECT_EQ(w.c(0).set_layout("/", "stripe_count=-1 stripe_size=65536"), 0); });
    EXPECT_EQ(w.set_param(w.mds1, "mgs.MGS.imperative_recovery", "0"), 0);
    std::string why;
    EXPECT_EQ(w.start(w.ost(2), w.oss1, "", &why), 0);
    EXPECT_NE(why.find("does not reach it at 10.99.0.1@tcp (not this node)"), std::string::npos);
    w.stop(w.ost(2));
    EXPECT_EQ(w.start(w.ost(2), w.oss1, "", &why), 0);
    EXPECT_NE(why.find("is none of its service nodes (10.99.0.1@tcp first)"), std::string::npos);
    create_for(25, "/mounted");
    EXPECT_NE(w.get_param(w.mds1, "mgs.MGS.targets").find("OST0002"), std::string::npos);
    std::string import = w.get_param(w.mds1, "osp.lull-OST0002*.import");
    EXPECT_NE(import.find("new_objects: no, never reached"), std::string::npos) << import;
    w.stop(w.ost(2));
    create_for(5, "/unmounted");
    ASSERT_TRUE(w.controlled_shutdown(w.mdt()));
    EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
    create_for(15, "/restarted");
    w.finish();
}

namespace {

int conf_param(FsWorld& w, const std::string& setting)
{
    int rc = w.set_param(*w.mdt().at, "mgs.MGS.conf_param", setting);
    w.run_for_ms(1000);  // everybody is told
    return rc;
}

}  // namespace

// An OST that will not be back soon is told to be inactive: what waits for it, and what comes, gets
// EIO at once, new files go elsewhere, and nobody waits for it any more, at a mount either. Nothing
// of what it had committed is lost when it is back.
TEST(FsAway, InactiveIsToldAtOnce)
{
    OneIsAway lab;
    FsWorld& w = lab.w;
    int fd = -1, err = 0;
    w.on(0, [&] {
        EXPECT_GE(fd = w.c(0).open("/on1", SimMount::kWrite), 0);
        EXPECT_EQ(w.c(0).pwrite(fd, 5000, "lost", 4), 4);
    });
    struct llc_statfs all, rest;
    lab.at_once([&](SimMount& c) { EXPECT_EQ(c.statfs(&all), 0); });
    w.crash(w.ost(1));
    bool answered = false;
    w.spawn(1, "reader", [&] {
        (void)w.c(1).get("/on1", &err);
        answered = true;
    });
    int synced = 0;
    w.spawn(0, "fsync", [&] { synced = w.c(0).fsync(fd); });
    w.run_for_ms(30000);
    EXPECT_FALSE(answered);
    EXPECT_EQ(conf_param(w, "lull-OST0009.osc.active=0"), -kENOENT);
    EXPECT_EQ(conf_param(w, "lull-MDT0000.osc.active=0"), -kEINVAL);
    EXPECT_EQ(conf_param(w, "lull-OST0001.osc.active=2"), -kEINVAL);
    EXPECT_EQ(conf_param(w, "lull-OST0001.osc.active=0"), 0);
    EXPECT_TRUE(w.join(5 * kSec));
    EXPECT_EQ(err, -kEIO);
    EXPECT_EQ(synced, -kEIO);
    auto look = [&](SimMount& c) {
        EXPECT_EQ(c.statfs(&rest), 0);
        EXPECT_EQ(rest.total_bytes, all.total_bytes / 2);
        EXPECT_EQ(c.sync(), 0);
        (void)c.get("/on1", &err);
        EXPECT_EQ(err, -kEIO);
        llc_attr a;
        EXPECT_EQ(c.stat("/on1", &a), -kEIO);
        EXPECT_EQ(c.put("/on0", "else"), 0);
    };
    lab.at_once(look);
    lab.at_once([&](SimMount& c) {
        EXPECT_EQ(c.fsync(fd), -kEIO);
        EXPECT_EQ(c.pwrite(fd, 0, "x", 1), -kEIO);
        (void)c.close(fd);
    });
    w.umount(0);
    uint64_t began = w.world.now_ns();
    EXPECT_EQ(w.mount(0), 0);
    EXPECT_LT(w.world.now_ns() - began, kSec);
    lab.at_once(look);
    ASSERT_TRUE(w.controlled_shutdown(w.mdt()));
    EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
    w.on(0, [&] {
        EXPECT_EQ(count_on(w.c(0), "1", "/n", 6), 0u);
        EXPECT_EQ(w.c(0).link("/on1", "/second"), 0);
        EXPECT_EQ(w.c(0).unlink("/on1"), 0);
    });
    std::string told = w.get_param(w.mds2, "mgs.MGS.conf_param");
    EXPECT_NE(told.find("lull-OST0001.osc.active=0"), std::string::npos) << told;
    w.boot(w.oss2);
    EXPECT_EQ(w.start(w.ost(1), w.oss2), 0);
    w.run_for_ms(10000);
    lab.at_once([&](SimMount& c) {
        (void)c.get("/second", &err);
        EXPECT_EQ(err, -kEIO);
    });
    EXPECT_EQ(conf_param(w, "osp.lull-OST0001*.active=1"), 0);
    w.on(0, [&] {
        EXPECT_EQ(w.c(0).get("/second"), pattern(1000));
        EXPECT_EQ(w.c(0).statfs(&rest), 0);
        EXPECT_EQ(rest.total_bytes, all.total_bytes);
        EXPECT_GT(count_on(w.c(0), "1", "/m", 6), 0u);
    });
    w.finish();
}

// A live OST, too, that hears no good-bye: what a client had there and was not committed is told by
// fsync, and when it is active again that client is a stranger to it, with no lock of the life
// before.
TEST(FsAway, ActiveAgainIsAnotherLife)
{
    OneIsAway lab;
    FsWorld& w = lab.w;
    int fd = -1;
    w.on(0, [&] {
        EXPECT_GE(fd = w.c(0).open("/on1", SimMount::kWrite), 0);
        EXPECT_EQ(w.c(0).pwrite(fd, 0, "dirty", 5), 5);
    });
    w.world.network().cut(*w.client_nodes[0]->host, *w.oss2.host);
    EXPECT_EQ(conf_param(w, "lull-OST0001.active=0"), 0);
    w.run_for_ms(5000);  // it is not said later, either
    w.world.network().heal_all();
    EXPECT_EQ(conf_param(w, "lull-OST0001.active=1"), 0);
    w.on(1, [&] {
        uint64_t began = lull::now_ns();
        EXPECT_EQ(w.c(1).get("/on1"), pattern(1000));
        EXPECT_EQ(w.c(1).put("/on1", "theirs"), 0);
        EXPECT_EQ(w.c(1).sync(), 0);
        EXPECT_LT(lull::now_ns() - began, 2 * kSec);
    });
    w.on(0, [&] {
        EXPECT_EQ(w.c(0).get("/on1"), "theirs");
        EXPECT_EQ(w.c(0).fsync(fd), -kEIO);
        EXPECT_EQ(w.c(0).pwrite(fd, 0, "ours", 4), 4);
        EXPECT_EQ(w.c(0).fsync(fd), 0);
        EXPECT_EQ(w.c(0).close(fd), 0);
    });
    w.on(1, [&] { EXPECT_EQ(w.c(1).get("/on1"), "oursrs"); });
    w.finish();
}

// max_create_count=0: nothing new, and everything else as ever. With no OST left that is ENOSPC.
TEST(FsAway, NothingNewWhereAnAdministratorWantsNothing)
{
    OneIsAway lab;
    FsWorld& w = lab.w;
    EXPECT_EQ(conf_param(w, "lull-OST0001.osc.max_create_count=0"), 0);
    w.on(0, [&] {
        EXPECT_EQ(count_on(w.c(0), "1", "/a", 6), 0u);
        EXPECT_EQ(w.c(0).get("/on1"), pattern(1000));
        EXPECT_EQ(w.c(0).put("/on1", "written"), 0);
    });
    EXPECT_EQ(conf_param(w, "osp.lull-OST0000.max_create_count=0"), 0);
    w.on(0, [&] { EXPECT_EQ(w.c(0).mknod("/none", 0100644), -kENOSPC); });
    EXPECT_EQ(conf_param(w, "osp.lull-OST0001.max_create_count=20000"), 0);
    w.on(0, [&] { EXPECT_EQ(count_on(w.c(0), "1", "/b", 6), 6u); });
    w.finish();
}
