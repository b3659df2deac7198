// SPDX-License-Identifier: GPL-2.0-only
// While one OST is halted, or gone: who does not need it does not wait for it.
#include "tests/sim/fs_load.h"

using namespace lull::sim;
using lull::kMsec;
using lull::kSec;

namespace {

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

// One that is full gets nothing while another one has space.
TEST(FsAway, NewFilesGoWhereThereIsSpace)
{
    FsOptions options;
    options.disk_bytes = 48ull << 20;
    FsWorld w(1, options);
    w.on(0, [&] {
        SimMount& c = w.c(0);
        EXPECT_EQ(c.set_layout("/", "stripe_count=1 stripe_size=65536"), 0);
        std::string text, piece = pattern(1 << 20);
        int fd = c.open("/large", SimMount::kWrite | SimMount::kCreate);
        EXPECT_EQ(c.get_layout("/large", &text), 0);
        std::string full = text.substr(text.find("objects="), 10);
        for (uint64_t at = 0; c.pwrite(fd, at, piece.data(), piece.size()) > 0;) at += piece.size();
        EXPECT_EQ(c.close(fd), 0);
        EXPECT_EQ(c.sync(), 0);
        kapi_sleep_ns(21 * kSec);  // the MDT looks every ten
        for (unsigned i = 0; i < 6; i++) {
            std::string name = "/f" + std::to_string(i);
            EXPECT_EQ(c.put(name, piece), 0);
            EXPECT_EQ(c.get_layout(name, &text), 0);
            EXPECT_EQ(text.find(full), std::string::npos) << text;
        }
    });
    w.finish();
}
