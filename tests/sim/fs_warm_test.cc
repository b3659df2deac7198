// SPDX-License-Identifier: GPL-2.0-only
// The warm-up before a controlled shutdown of an OST, while clients write without pause (B2).
#include <gtest/gtest.h>

#include <cstring>

#include "kapi/sim/network.h"
#include "tests/sim/fs_load.h"
#include "tests/sim/fs_world.h"

namespace lull::sim {
namespace {

constexpr uint64_t kMiB = 1 << 20;

FsOptions one_ost(unsigned clients)
{
    FsOptions o;
    o.osts = o.stripe_count = 1;
    o.clients = clients;
    o.disk_bytes = 4096 * kMiB;
    return o;
}

// Each client writes a file of its own, again and again; so far no page twice before it is clean.
struct Streams {
    static constexpr uint64_t kFileBytes = 64 * kMiB;
    FsWorld& w;
    bool stop = false;

    explicit Streams(FsWorld& w) : w(w)
    {
        for (size_t i = 0; i < w.mounts.size(); i++) {
            // one way, not in step; so a client writes some 32 MB/s, 64 KiB at a time
            const uint64_t ns = kMsec + i * kMsec / 16;
            w.world.network().set_delay(*w.client_nodes[i]->host, *w.oss1.host, ns, ns);
            w.spawn(i, "stream", [this, i] { run(this->w.c(i), "/stream" + std::to_string(i)); });
        }
    }
    void run(SimMount& c, const std::string& path)
    {
        const std::string piece = pattern(64 << 10);
        int fd = c.open(path, SimMount::kWrite | SimMount::kCreate);
        for (uint64_t at = 0; !stop; at = (at + piece.size()) % kFileBytes)
            ASSERT_EQ(c.pwrite(fd, at, piece.data(), piece.size()),
                      static_cast<int64_t>(piece.size()));
        EXPECT_EQ(c.close(fd), 0);
    }
    bool end()
    {
        stop = true;
        return w.join();
    }
};

uint64_t dirty(FsWorld& w)
{
    uint64_t sum = 0;
    for (auto& n : w.client_nodes) {
        std::string text = w.get_param(*n, "osc.*.cur_dirty_bytes");
        for (size_t at = 0; (at = text.find("cur_dirty_bytes=", at)) != std::string::npos;) {
            at += strlen("cur_dirty_bytes=");
            sum += strtoull(text.c_str() + at, nullptr, 10);
        }
    }
    return sum;
}

std::string state(FsWorld& w)
{
    return w.get_param(*w.ost(0).at, w.ost(0).param + "controlled_shutdown");
}

struct WarmUp {
    uint64_t ms = 0;           // virtual
    uint64_t dirty_bytes = 0;  // when the drain began
};

// Begins when so much is dirty.
WarmUp warm_up(FsWorld& w, uint64_t dirty_bytes = 0)
{
    for (unsigned i = 0; i < 2000 && dirty(w) < dirty_bytes; i++) w.run_for_ms(5);
    EXPECT_GE(dirty(w), dirty_bytes);
    const uint64_t began = w.world.now_ns();
    EXPECT_EQ(w.set_param(*w.ost(0).at, w.ost(0).param + "controlled_shutdown", "1"), 0);
    while (state(w).find("warming") != std::string::npos) w.run_for_ms(1);
    WarmUp r{(w.world.now_ns() - began) / kMsec, dirty(w)};
    printf("warm-up: %llu ms; dirty then: %llu KiB\n", static_cast<unsigned long long>(r.ms),
           static_cast<unsigned long long>(r.dirty_bytes >> 10));
    return r;
}

void restart(FsWorld& w)
{
    for (unsigned i = 0; i < 3000 && state(w).find("halted") == std::string::npos; i++)
        w.run_for_ms(10);
    FsWorld::Node& at = *w.ost(0).at;
    w.stop(w.ost(0));
    EXPECT_EQ(w.start(w.ost(0), at), 0);
}

// The OST comes back, and the streams have noticed nothing.
void go_on_and_end(FsWorld& w, Streams& streams)
{
    restart(w);
    EXPECT_TRUE(streams.end());
    EXPECT_EQ(w.client_counter("evictions"), 0u);
    w.finish();
}

}  // namespace

// It ends by what is dirty: not by silence, which a stream never grants, and not before the drain
// would find little.
TEST(FsWarm, EndsForAStream)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed, one_ost(1));
        Streams streams(w);
        WarmUp r = warm_up(w, 24 * kMiB);
        EXPECT_LT(r.ms, 3000u);
        EXPECT_LE(r.dirty_bytes, 5 * kMiB);
        go_on_and_end(w, streams);
    });
}

// Many together never have little; then it ends when there is no less for a while.
TEST(FsWarm, EndsForManyStreams)
{
    for_seeds([](uint64_t seed) {
        constexpr unsigned kClients = 12;
        FsWorld w(seed, one_ost(kClients));
        Streams streams(w);
        WarmUp r = warm_up(w, kClients * 16 * kMiB);
        EXPECT_LT(r.ms, 4000u);
        EXPECT_LE(r.dirty_bytes, kClients * 3 * kMiB);
        go_on_and_end(w, streams);
    });
}

// Clients that have nothing to write back are not waited for.
TEST(FsWarm, NothingDirtyTakesNoTime)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed, one_ost(2));
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).put("/a", pattern(100000)), 0);
            EXPECT_EQ(w.c(0).sync(), 0);
        });
        EXPECT_LT(warm_up(w).ms, 150u);
        restart(w);
        w.finish();
    });
}

// The next instance finds clients that cache as much as ever; so does one whose shutdown was
// cancelled, in a while.
TEST(FsWarm, ItsLimitEnds)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed, one_ost(1));
        SimMount& c = w.c(0);
        const std::string data = pattern(8 * kMiB);
        auto dirtied = [&] {
            w.on(0, [&] { EXPECT_EQ(c.put("/a", data), 0); });
            uint64_t bytes = dirty(w);
            w.on(0, [&] { EXPECT_EQ(c.drop_pages("/a"), 0); });
            return bytes;
        };
        EXPECT_GE(dirtied(), 8 * kMiB);
        (void)warm_up(w);
        restart(w);
        EXPECT_GE(dirtied(), 8 * kMiB);
        EXPECT_EQ(w.set_param(*w.ost(0).at, w.ost(0).param + "controlled_shutdown", "1"), 0);
        EXPECT_EQ(w.set_param(*w.ost(0).at, w.ost(0).param + "controlled_shutdown", "0"), 0);
        w.run_for_ms(1000);
        EXPECT_LE(dirtied(), 4 * kMiB);
        w.run_for_ms(40000);
        EXPECT_GE(dirtied(), 8 * kMiB);
        w.finish();
    });
}

}  // namespace lull::sim
