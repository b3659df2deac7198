// SPDX-License-Identifier: GPL-2.0-only
/*
 * For the stories on a simulated cluster: seeds, data, and applications that work all day and check
 * what they get.
 */
#pragma once
#include <gtest/gtest.h>

#include <cstdlib>

#include "kapi/errno.h"
#include "kapi/sync.h"
#include "tests/sim/fs_world.h"

namespace lull::sim {

inline constexpr uint64_t kSeeds = 2;
template <class F> void for_seeds(F story, uint64_t seeds = kSeeds)
{
    const char* more = getenv("LULL_SEEDS");  // how many, instead
    const char* first = getenv("LULL_SEED");  // the first one
    uint64_t from = first ? strtoull(first, nullptr, 0) : 1;
    if (more) seeds = strtoull(more, nullptr, 0);
    for (uint64_t seed = from; seed < from + seeds; seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        story(seed);
        if (testing::Test::HasFailure()) return;
    }
}

inline std::string pattern(size_t n, unsigned salt = 0)
{
    std::string s(n, 0);
    for (size_t i = 0; i < n; i++)
        s[i] = static_cast<char>('a' + (i * 7 + i / 251 + salt * 13) % 26);
    return s;
}

// Writes a new file until there is no space. Its descriptor.
inline int fill_disk(SimMount& c, const std::string& path)
{
    int fd = c.open(path, SimMount::kWrite | SimMount::kCreate);
    std::string data = pattern(65536);
    int64_t n = 1;
    for (uint64_t at = 0; n > 0; at += 65536) n = c.pwrite(fd, at, data.data(), data.size());
    EXPECT_EQ(n, -kENOSPC);
    return fd;
}

using Names = std::vector<std::string>;

// What an application does all day, checking that the file system keeps its word; stops when told.
struct Load {
    FsWorld& w;
    bool stop = false;
    uint64_t operations = 0;
    explicit Load(FsWorld& w) : w(w) {}

    void start(int tasks_per_client = 2)
    {
        for (size_t client = 0; client < w.mounts.size(); client++)
            for (int t = 0; t < tasks_per_client; t++)
                w.spawn(client, "load" + std::to_string(t), [this, client, t] { run(client, t); });
    }
    void run(size_t client, int task)
    {
        SimMount& c = w.c(client);
        std::string dir = "/load" + std::to_string(client) + "_" + std::to_string(task);
        ASSERT_EQ(c.mkdir(dir), 0);
        std::string held_name = dir + "/held";
        int held = c.open(held_name, SimMount::kRead | SimMount::kWrite | SimMount::kCreate);
        ASSERT_GE(held, 0);
        ASSERT_EQ(c.unlink(held_name), 0);
        std::string held_data;
        for (unsigned i = 0; !stop; i++) {
            round(c, dir, i);
            std::string more = pattern(500, i);
            ASSERT_EQ(c.pwrite(held, held_data.size(), more.data(), more.size()), 500);
            held_data += more;
            operations++;
        }
        std::string got(held_data.size(), 0);
        ASSERT_EQ(c.pread(held, 0, got.data(), got.size()), static_cast<int64_t>(got.size()));
        ASSERT_TRUE(got == held_data);
        ASSERT_EQ(c.close(held), 0);
    }
    void round(SimMount& c, const std::string& dir, unsigned i)
    {
        std::string a = dir + "/a" + std::to_string(i % 5), b = dir + "/b" + std::to_string(i % 3);
        std::string data = pattern(1000 + i * 997 % 150000, i);
        ASSERT_EQ(c.put(a, data), 0);
        if (i % 4 == 0) {
            int fd = c.open(a, SimMount::kRead | SimMount::kWrite);
            ASSERT_GE(fd, 0);
            ASSERT_EQ(c.fsync(fd), 0);
            ASSERT_EQ(c.close(fd), 0);
        }
        ASSERT_EQ(c.rename(a, b), 0);
        llc_attr attr;
        ASSERT_EQ(c.stat(a, &attr), -kENOENT);
        ASSERT_EQ(c.stat(b, &attr), 0);
        ASSERT_EQ(attr.size, data.size());
        if (i % 3 == 0) c.drop_pages(b);
        int err;
        ASSERT_TRUE(c.get(b, &err) == data) << err;
        ASSERT_EQ(c.mkdir(dir + "/sub"), 0);
        ASSERT_EQ(c.rmdir(dir + "/sub"), 0);
        Names names;
        ASSERT_EQ(c.readdir(dir, &names), 0);
    }
};

struct Counters {
    uint64_t replays, resends, evictions;
    static Counters of(FsWorld& w)
    {
        return {w.client_counter("replays"), w.client_counter("resends"),
                w.client_counter("evictions")};
    }
    // Nothing was recovered since then.
    void expect_unchanged(FsWorld& w) const
    {
        Counters after = of(w);
        EXPECT_EQ(after.replays, replays);
        EXPECT_EQ(after.resends, resends);
        EXPECT_EQ(after.evictions, evictions);
    }
};

}  // namespace lull::sim
