// SPDX-License-Identifier: GPL-2.0-only
// A target is drained while another one is down: operations that use both must not hold it up (B3).
#include <gtest/gtest.h>

#include <functional>

#include "tests/sim/fs_load.h"
#include "tests/sim/fs_world.h"

namespace lull::sim {
namespace {

constexpr uint64_t kDrainLimitMs = 20000;  // with everything up it takes less than one

// Operations that use the MDT and both OSTs, under way when one goes down.
class Straddlers {
public:
    explicit Straddlers(FsWorld& w) : w_(w)
    {
        for (const char* path :
             {"/truncated", "/touched", "/replaced", "/looked_at", "/read", "/appended"})
            w.on(0, [&] {
                EXPECT_EQ(w.c(0).put(path, pattern(300000)), 0);
                EXPECT_EQ(w.c(0).sync(), 0);
            });
        w.on(0, [&] { EXPECT_EQ(w.c(0).put("/touched", pattern(400000)), 0); });  // dirty
    }
    void start()
    {
        change();
        lock();
    }
    // These change something at once.
    void change()
    {
        changing_ = true;
        begin(0, "truncate", [this] { return w_.c(0).truncate("/truncated", 1000); });
        begin(0, "utimes", [this] { return w_.c(0).utimes("/touched", kOld, kOld); });
        begin(0, "put", [this] { return w_.c(0).put("/replaced", "short"); });
    }
    // These ask for locks first.
    void lock()
    {
        begin(1, "stat", [this] {
            llc_attr a;
            return w_.c(1).stat("/looked_at", &a);
        });
        begin(1, "read", [this] {
            int err = 0;
            EXPECT_TRUE(w_.c(1).get("/read", &err) == pattern(300000));
            return err;
        });
        begin(1, "append", [this] {
            int fd = w_.c(1).open("/appended", SimMount::kWrite | SimMount::kAppend);
            if (fd < 0) return fd;
            EXPECT_EQ(w_.c(1).append(fd, "more", 4), 4);
            return w_.c(1).close(fd);
        });
    }
    void finish()
    {
        EXPECT_TRUE(
            w_.world.run_until([&] { return running_ == 0; }, w_.world.now_ns() + 300 * kSec))
            << w_.world.report();
        w_.on(1, [&] { EXPECT_TRUE(w_.c(1).get("/appended") == pattern(300000) + "more"); });
        EXPECT_EQ(w_.client_counter("evictions"), 0u);
        if (!changing_) return;
        w_.on(1, [&] {
            llc_attr a;
            EXPECT_EQ(w_.c(1).get("/truncated"), pattern(300000).substr(0, 1000));
            EXPECT_EQ(w_.c(1).stat("/touched", &a), 0);
            EXPECT_EQ(a.mtime_ns, kOld);
            EXPECT_TRUE(w_.c(1).get("/touched") == pattern(400000));
            EXPECT_EQ(w_.c(1).get("/replaced"), "short");
        });
    }

private:
    static constexpr uint64_t kOld = 1000000000;
    void begin(size_t client, const std::string& name, const std::function<int()>& fn)
    {
        running_++;
        w_.spawn(client, name, [this, name, fn] {
            EXPECT_EQ(fn(), 0) << name;
            running_--;
        });
    }

    FsWorld& w_;
    unsigned running_ = 0;
    bool changing_ = false;
};

// No client believes any more that it is there.
void wait_noticed(FsWorld& w, const std::string& target)
{
    auto noticed = [&] {
        for (auto& n : w.client_nodes) {
            std::string text = w.get_param(*n, "osc." + target + "-*.import");
            if (text.find("state: ") == std::string::npos ||
                text.find("state: FULL") != std::string::npos)
                return false;
        }
        return true;
    };
    uint64_t end = w.world.now_ns() + 120 * kSec;
    while (!noticed() && w.world.now_ns() < end) w.run_for_ms(500);
    ASSERT_TRUE(noticed()) << w.world.report();
}

// False: it was not drained in time.
bool drain_and_restart(FsWorld& w, bool of_mdt)
{
    FsWorld::Target& drained = of_mdt ? w.mdt() : w.ost(1);
    if (!w.controlled_shutdown(drained, kDrainLimitMs)) return false;
    EXPECT_EQ(w.start(drained, of_mdt ? w.mds2 : w.oss2), 0);
    EXPECT_EQ(w.start(w.ost(0), w.oss1), 0);
    return true;
}

void drain_beside_a_dead_ost(FsWorld& w, Straddlers& ops, bool of_mdt)
{
    ASSERT_TRUE(drain_and_restart(w, of_mdt));
    ops.finish();
    w.finish();
}

void drain_beside_an_ost_that_dies(uint64_t seed, void (Straddlers::*begin)())
{
    FsWorld w(seed);
    Straddlers ops(w);
    (ops.*begin)();
    w.run_for_ms(1 + seed * 7 % 40);
    w.crash(*w.ost(0).at);
    wait_noticed(w, w.ost(0).name);
    drain_beside_a_dead_ost(w, ops, false);
}

void drain_beside_an_ost_known_to_be_dead(uint64_t seed, bool of_mdt)
{
    FsWorld w(seed);
    Straddlers ops(w);
    w.crash(*w.ost(0).at);
    wait_noticed(w, w.ost(0).name);
    ops.start();
    w.run_for_ms(1 + seed * 3 % 40);
    drain_beside_a_dead_ost(w, ops, of_mdt);
}

}  // namespace

// B3.
TEST(FsDown, OstIsDrainedWithDirtyPagesForAnotherThatIsDown)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        // Dirty pages for both OSTs.
        w.on(0, [&] { EXPECT_EQ(w.c(0).put("/f", pattern(500000)), 0); });
        w.crash(*w.ost(0).at);
        w.run_for_ms(100);
        ASSERT_TRUE(drain_and_restart(w, false));
        w.on(1, [&] { EXPECT_TRUE(w.c(1).get("/f") == pattern(500000)); });
        w.finish();
    });
}

// B3.
TEST(FsDown, MdtIsDrainedBesideAnOstThatWentDownBefore)
{
    for_seeds([](uint64_t seed) { drain_beside_an_ost_known_to_be_dead(seed, true); });
}

// B3.
TEST(FsDown, OstIsDrainedBesideAnOstThatWentDownBefore)
{
    for_seeds([](uint64_t seed) { drain_beside_an_ost_known_to_be_dead(seed, false); });
}

// B3. Requests for locks were on their way: they go on alone.
TEST(FsDown, OstIsDrainedBesideAnOstThatDiesWithRequestsForLocks)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        Straddlers ops(w);
        w.crash(*w.ost(0).at);
        ops.lock();
        wait_noticed(w, w.ost(0).name);
        drain_beside_a_dead_ost(w, ops, false);
    });
}

// B3. Reads were on their way, some pages were there already: they are given up, and read when it
// is back.
TEST(FsDown, OstIsDrainedBesideAnOstThatDiesUnderReads)
{
    for_seeds([](uint64_t seed) { drain_beside_an_ost_that_dies(seed, &Straddlers::lock); });
}

// B3. Changes were on their way: what is done elsewhere is done, and only the dead one's gate is
// held.
TEST(FsDown, OstIsDrainedBesideAnOstThatDiesUnderChanges)
{
    for_seeds([](uint64_t seed) { drain_beside_an_ost_that_dies(seed, &Straddlers::start); });
}

// B3. A pass over a whole file waits for it: no page of another OST is locked meanwhile.
TEST(FsDown, OstIsDrainedBesideAPassOfWriteBack)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        w.on(0, [&] { EXPECT_EQ(w.c(0).put("/f", pattern(500000)), 0); });
        w.crash(*w.ost(0).at);
        w.spawn(0, "sync", [&] {
            int fd = w.c(0).open("/f", SimMount::kRead | SimMount::kWrite);
            EXPECT_GE(fd, 0);
            EXPECT_EQ(w.c(0).fsync(fd), 0);
            EXPECT_EQ(w.c(0).close(fd), 0);
        });
        w.run_for_ms(100);
        ASSERT_TRUE(drain_and_restart(w, false));
        EXPECT_TRUE(w.join());
        w.on(1, [&] { EXPECT_TRUE(w.c(1).get("/f") == pattern(500000)); });
        w.finish();
    });
}

// B3. What finds no grant is written through, with the writer waiting inside its scope.
TEST(FsDown, OstIsDrainedBesideAnOstThatDiesUnderAWriteThrough)
{
    FsOptions small;
    small.disk_bytes = 8 << 20;
    auto fill = [](FsWorld& w, uint64_t* ended_ns) {
        int fd = fill_disk(w.c(0), "/big");
        *ended_ns = w.world.now_ns();
        (void)w.c(0).close(fd);
    };
    for_seeds([&](uint64_t seed) {
        uint64_t full_ns = 0, ended_ns = 0;
        {
            FsWorld w(seed, small);  // the same schedule, to know when it ends
            w.spawn(0, "fill", [&] { fill(w, &full_ns); });
            EXPECT_TRUE(w.join());
            w.finish();
        }
        FsWorld w(seed, small);
        w.spawn(0, "fill", [&] { fill(w, &ended_ns); });
        w.world.run_for(full_ns - seed * 5 * kMsec / 3 - w.world.now_ns());
        w.crash(*w.ost(0).at);
        wait_noticed(w, w.ost(0).name);
        ASSERT_TRUE(drain_and_restart(w, false));
        EXPECT_TRUE(w.join());
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.finish();
    });
}

TEST(FsDown, ClientsMountWhileAnOstIsDown)
{
    FsOptions one;
    one.clients = 1;
    one.unmounted = 1;
    one.stripe_count = 1;
    FsWorld w(1, one);
    for (int i = 0; i < 4; i++)
        w.on(0, [&] { EXPECT_EQ(w.c(0).put("/f" + std::to_string(i), "data"), 0); });
    w.crash(*w.ost(1).at);
    EXPECT_EQ(w.mount(1), 0);
    unsigned read = 0;
    for (int i = 0; i < 4; i++)
        w.spawn(1, "reads", [&, i] {
            int err = 0;
            EXPECT_EQ(w.c(1).get("/f" + std::to_string(i), &err), "data");
            EXPECT_EQ(err, 0);
            read++;
        });
    w.run_for_ms(1000);
    EXPECT_EQ(read, 2u);
    w.on(1, [&] { EXPECT_EQ(w.c(1).put("/new", "data"), 0); });
    EXPECT_EQ(w.start(w.ost(1), *w.ost(1).partner), 0);
    EXPECT_TRUE(w.join());
    EXPECT_EQ(read, 4u);
    w.finish();
}

// B3. The client asks the MGS about it, and waits for it to answer.
TEST(FsDown, MdtIsDrainedBesideAClientThatMeetsANewOst)
{
    FsWorld w(1, {}, false);
    for (FsWorld::Target* t : {&w.mdt(), &w.ost(0)}) EXPECT_EQ(w.start(*t, *t->home), 0);
    w.run_for_ms(2000);  // registrations
    for (size_t i : {0, 1}) EXPECT_EQ(w.mount(i), 0);
    EXPECT_EQ(w.start(w.ost(1), w.oss2), 0);
    w.run_for_ms(2000);
    w.on(0, [&] { EXPECT_EQ(w.c(0).put("/f", std::string(200000, 'x')), 0); });
    w.crash(w.oss2);
    std::string got;
    w.spawn(1, "meets it", [&] {
        int err = 0;
        got = w.c(1).get("/f", &err);
        EXPECT_EQ(err, 0);
    });
    w.run_for_ms(500);
    EXPECT_TRUE(w.controlled_shutdown(w.mdt(), 5000));
    EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
    EXPECT_EQ(w.start(w.ost(1), w.oss1), 0);
    EXPECT_TRUE(w.join());
    EXPECT_EQ(got, std::string(200000, 'x'));
    w.finish();
}

// B3. Operations wait for its answer, and nobody knows yet that there will be none.
TEST(FsDown, MdtIsDrainedBesideAnOstThatGoesDownUnderOperations)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        Straddlers ops(w);
        ops.start();
        w.run_for_ms(1 + seed * 3 % 40);
        w.crash(*w.ost(0).at);
        w.run_for_ms(100);
        drain_beside_a_dead_ost(w, ops, true);
    });
}

}  // namespace lull::sim
