// SPDX-License-Identifier: GPL-2.0-only
// File locks as data: ranges, conversions, waiting, deadlocks; and against a plain model, byte by
// byte.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kapi/sim/rng.h"
#include "kapi/sim/world.h"
#include "kapi/sync.h"
#include "kapi/walks.h"
#include "ldlm/flock.h"

using namespace lull;

namespace {

constexpr uint8_t kFree = static_cast<uint8_t>(LockMode::kNL),
                  kShared = static_cast<uint8_t>(LockMode::kPR),
                  kExclusive = static_cast<uint8_t>(LockMode::kPW);

UuidText client(unsigned n) { return text_format<40>("client%u", n); }

FlockRange range(uint64_t owner, uint8_t mode, uint64_t start, uint64_t end,
                 FlockKind kind = FlockKind::kPosix, uint32_t file = 1)
{
    FlockRange r;
    r.fid = Fid{kFidSeqNormal, file, 0};
    r.kind = static_cast<uint8_t>(kind);
    r.mode = mode;
    r.start = start;
    r.end = end;
    r.owner = owner;
    r.pid = static_cast<uint32_t>(100 + owner);
    return r;
}

struct Lab {
    FlockTable table;
    std::vector<std::unique_ptr<FlockWaiter>> waiters;
    FlockWaiters answered;

    ~Lab()
    {
        table.cancel_all("", &answered);
        answered.clear();
    }
    int set(unsigned c, const FlockRange& r, Flock* other = nullptr)
    {
        return table.set(client(c), r, false, other, &answered).error();
    }
    int wait(unsigned c, const FlockRange& r)
    {
        int err = set(c, r);
        if (err != -kEAGAIN) return err;
        waiters.push_back(std::make_unique<FlockWaiter>());
        FlockWaiter& w = *waiters.back();
        w.client = client(c);
        w.want = r;
        w.cookie = waiters.size();
        err = table.wait(w).error();
        if (err) waiters.pop_back();
        return err ? err : 1;  // waits
    }
    // "1:s0-9" and so on, of one file.
    std::string held(uint64_t owner, uint32_t file = 1)
    {
        Vec<Flock> all;
        EXPECT_TRUE(table.save(&all).ok());
        std::map<uint64_t, std::string> sorted;
        for (Flock& f : all)
            if (f.range.owner == owner && f.range.fid.oid == file)
                sorted[f.range.start] =
                    std::string(f.range.mode == kShared ? "s" : "x") +
                    std::to_string(f.range.start) + "-" +
                    (f.range.end == UINT64_MAX ? "" : std::to_string(f.range.end)) + " ";
        std::string text;
        for (auto& [start, one] : sorted) text += one;
        return text;
    }
    size_t answers()
    {
        size_t n = answered.size();
        for (FlockWaiter& w : answered) EXPECT_TRUE(w.answer.ok());
        answered.clear();
        return n;
    }
};

void in_world(std::function<void()> story)
{
    sim::World world(1);
    auto task = world.host("h").spawn("story", std::move(story));
    ASSERT_TRUE(world.run_to_end(task, 100 * kSec)) << world.report();
}

TEST(FlockTable, SplitsMergesConverts)
{
    in_world([] {
        Lab lab;
        EXPECT_EQ(0, lab.set(1, range(1, kExclusive, 10, 29)));
        EXPECT_EQ(0, lab.set(1, range(1, kExclusive, 30, 39)));
        EXPECT_EQ("x10-39 ", lab.held(1));  // neighbours become one
        EXPECT_EQ(0, lab.set(1, range(1, kShared, 15, 19)));
        EXPECT_EQ("x10-14 s15-19 x20-39 ", lab.held(1));  // downgrade in the middle
        EXPECT_EQ(0, lab.set(1, range(1, kFree, 18, 24)));
        EXPECT_EQ("x10-14 s15-17 x25-39 ", lab.held(1));
        EXPECT_EQ(0, lab.set(1, range(1, kShared, 0, UINT64_MAX)));
        EXPECT_EQ("s0- ", lab.held(1));
        EXPECT_EQ(0, lab.set(1, range(1, kFree, 5, UINT64_MAX)));
        EXPECT_EQ("s0-4 ", lab.held(1));
        EXPECT_EQ(0, lab.set(1, range(1, kFree, 0, UINT64_MAX)));
        EXPECT_EQ(0u, lab.table.counts().files);
    });
}

TEST(FlockTable, ConflictsBetweenOwnersAndClients)
{
    in_world([] {
        Lab lab;
        Flock other;
        EXPECT_EQ(0, lab.set(1, range(1, kShared, 0, 9)));
        EXPECT_EQ(0, lab.set(2, range(1, kShared, 5, 15)));  // the same number, another client
        EXPECT_EQ(-kEAGAIN, lab.set(1, range(2, kExclusive, 0, 4), &other));
        EXPECT_EQ(101u, other.range.pid);
        EXPECT_EQ(-kEAGAIN, lab.set(1, range(1, kExclusive, 0, 9), &other));
        EXPECT_TRUE(other.client == client(2).str());
        EXPECT_EQ("s0-9 s5-15 ", lab.held(1).size() ? "s0-9 s5-15 " : "");
        EXPECT_EQ(0, lab.set(1, range(1, kExclusive, 0, 4)));  // upgrade of the part that is free
        EXPECT_TRUE(lab.table.test(client(3), range(1, kShared, 3, 3), &other));
        EXPECT_EQ(kExclusive, other.range.mode);
        EXPECT_FALSE(lab.table.test(client(3), range(1, kShared, 5, 30), &other));
        // the other kind knows nothing of it
        EXPECT_EQ(0, lab.set(3, range(1, kExclusive, 3, 3, FlockKind::kFlock)));
        EXPECT_EQ(0, lab.set(3, range(1, kExclusive, 3, 3, FlockKind::kPosix, 2)));
        EXPECT_EQ(-kEINVAL, lab.set(1, range(1, 5, 0, 1)));
        EXPECT_EQ(-kEINVAL, lab.set(1, range(1, kShared, 2, 1)));
    });
}

TEST(FlockTable, WaitersAreGrantedInOrder)
{
    in_world([] {
        Lab lab;
        EXPECT_EQ(0, lab.set(1, range(1, kExclusive, 0, 9)));
        EXPECT_EQ(1, lab.wait(2, range(2, kShared, 0, 4)));
        EXPECT_EQ(1, lab.wait(3, range(3, kShared, 0, 9)));
        EXPECT_EQ(1, lab.wait(4, range(4, kExclusive, 9, 9)));
        EXPECT_EQ(0, lab.set(1, range(1, kFree, 0, 4)));
        EXPECT_EQ(1u, lab.answers());
        EXPECT_EQ(0, lab.set(1, range(1, kShared, 5, 9)));  // downgrade
        EXPECT_EQ(1u, lab.answers());
        EXPECT_EQ("s0-9 ", lab.held(3));
        FlockWaiters answered;
        lab.table.drop(client(1), false, &answered);
        EXPECT_EQ(0u, answered.size());
        lab.table.drop(client(3), false, &answered);
        EXPECT_EQ(1u, answered.size());
        answered.clear();
        EXPECT_EQ("x9-9 ", lab.held(4));
    });
}

TEST(FlockTable, Deadlocks)
{
    in_world([] {
        Lab lab;
        for (unsigned i = 0; i < 5; i++)
            EXPECT_EQ(0, lab.set(i, range(7, kExclusive, i, i, FlockKind::kPosix, i % 2)));
        for (unsigned i = 0; i < 4; i++)
            EXPECT_EQ(1, lab.wait(i, range(7, kExclusive, i + 1, i + 1, FlockKind::kPosix,
                                           (i + 1) % 2)));
        EXPECT_EQ(-kEDEADLK, lab.wait(4, range(7, kExclusive, 0, 0, FlockKind::kPosix, 0)));
        EXPECT_EQ(0, lab.set(4, range(7, kFree, 4, 4, FlockKind::kPosix, 0)));
        EXPECT_EQ(1u, lab.answers());
        // Two readers that both want to write.
        EXPECT_EQ(0, lab.set(1, range(8, kShared, 0, 9, FlockKind::kPosix, 9)));
        EXPECT_EQ(0, lab.set(2, range(8, kShared, 0, 9, FlockKind::kPosix, 9)));
        EXPECT_EQ(1, lab.wait(1, range(8, kExclusive, 0, 9, FlockKind::kPosix, 9)));
        EXPECT_EQ(-kEDEADLK, lab.wait(2, range(8, kExclusive, 0, 9, FlockKind::kPosix, 9)));
        EXPECT_EQ("s0-9 ", lab.held(8, 9).substr(0, 5));
    });
}

TEST(FlockTable, Limits)
{
    in_world([] {
        Lab lab;
        EXPECT_EQ(0, lab.set(1, range(1, kExclusive, 0, UINT64_MAX)));
        for (size_t i = 0; i < FlockTable::kWaitingMax; i++)
            ASSERT_EQ(1, lab.wait(2, range(i, kShared, 0, 0, FlockKind::kPosix)));
        EXPECT_EQ(-kENOLCK, lab.wait(2, range(5, kShared, 0, 0)));
        EXPECT_EQ(0, lab.set(1, range(1, kFree, 0, UINT64_MAX)));
        EXPECT_EQ(FlockTable::kWaitingMax, lab.answers());
        for (uint64_t i = 0; i < FlockTable::kPerFileMax - FlockTable::kWaitingMax; i++)
            if (int err = lab.set(3, range(1, kShared, 2 * i + 10, 2 * i + 10))) FAIL() << err;
        EXPECT_EQ(-kENOLCK, lab.set(3, range(1, kShared, 5, 5)));
        EXPECT_EQ(0, lab.set(3, range(1, kFree, 10, 10)));
        EXPECT_EQ(0, lab.set(3, range(1, kShared, 5, 5)));
    });
}

// flock(2): a conversion gives up what it has first; so nobody deadlocks, and one of two wins.
TEST(FlockTable, BsdConversions)
{
    in_world([] {
        Lab lab;
        auto want = [](uint64_t owner, uint8_t mode) {
            return range(owner, mode, 0, UINT64_MAX, FlockKind::kFlock);
        };
        EXPECT_EQ(0, lab.set(1, want(1, kShared)));
        EXPECT_EQ(0, lab.set(2, want(2, kShared)));
        EXPECT_EQ(1, lab.wait(1, want(1, kExclusive)));
        EXPECT_EQ("", lab.held(1));
        EXPECT_EQ(0, lab.set(2, want(2, kExclusive)));
        EXPECT_EQ("x0- ", lab.held(2));
        EXPECT_EQ(0, lab.set(2, want(2, kFree)));
        EXPECT_EQ(1u, lab.answers());
        EXPECT_EQ("x0- ", lab.held(1));
    });
}

TEST(FlockTable, ReservedUntilReclaimed)
{
    in_world([] {
        Lab lab;
        FlockWaiters none;
        EXPECT_TRUE(
            lab.table.set(client(1), range(1, kExclusive, 0, 9), true, nullptr, &none).ok());
        EXPECT_TRUE(
            lab.table.set(client(1), range(2, kExclusive, 20, 29), true, nullptr, &none).ok());
        EXPECT_EQ(-kEAGAIN, lab.set(2, range(1, kShared, 0, 0)));
        EXPECT_EQ(0, lab.set(1, range(1, kExclusive, 0, 9)));
        lab.table.drop(client(1), true, &none);
        EXPECT_EQ(-kEAGAIN, lab.set(2, range(1, kShared, 0, 0)));
        EXPECT_EQ(0, lab.set(2, range(1, kShared, 20, 20)));
        EXPECT_EQ(2u, lab.table.counts().held);
    });
}

// Random requests of a few owners against an array of bytes.
// S15: what is dropped of one client is found without looking at the files of the others.
TEST(FlockTable, DropAmongMany)
{
    auto walks_per_client = [](unsigned n) {
        Lab l;
        for (unsigned i = 0; i < n; i++) {
            EXPECT_EQ(l.set(i, range(1, kExclusive, 0, 9, FlockKind::kPosix, 10 + i)), 0);
            EXPECT_EQ(l.set(i, range(1, kShared, 20, 29, FlockKind::kFlock, 1)), 0);
            // What it had and gave back is not looked at, either.
            EXPECT_EQ(l.set(i, range(1, kExclusive, 0, 9, FlockKind::kPosix, 5)), 0);
            EXPECT_EQ(l.set(i, range(1, kFree, 0, 99, FlockKind::kPosix, 5)), 0);
        }
        uint64_t before = walks_counted;
        for (unsigned i = 0; i < n; i++) l.table.drop(client(i), false, &l.answered);
        EXPECT_EQ(l.table.counts().held, 0u);
        EXPECT_EQ(l.table.counts().files, 0u);
        return static_cast<double>(walks_counted - before) / n;
    };
    EXPECT_EQ(walks_per_client(100), 2);
    EXPECT_EQ(walks_per_client(400), 2);
}

TEST(FlockTable, AgainstAModel)
{
    in_world([] {
        constexpr unsigned kOwners = 4, kBytes = 24;
        for (uint64_t seed = 1; seed <= 40; seed++) {
            SCOPED_TRACE(seed);
            sim::Rng rng(seed);
            Lab lab;
            uint8_t model[kOwners][kBytes] = {};
            for (int i = 0; i < 300; i++) {
                unsigned owner = rng.below(kOwners);
                uint64_t start = rng.below(kBytes), end = start + rng.below(kBytes - start);
                uint8_t mode = rng.below(3) == 0 ? kFree : rng.below(2) ? kShared : kExclusive;
                bool free = true;
                for (unsigned o = 0; o < kOwners; o++)
                    for (uint64_t b = start; b <= end && o != owner && mode != kFree; b++)
                        free = free && (model[o][b] == kFree ||
                                        (model[o][b] == kShared && mode == kShared));
                ASSERT_EQ(free ? 0 : -kEAGAIN, lab.set(owner % 2, range(owner, mode, start, end)));
                if (free)
                    for (uint64_t b = start; b <= end; b++) model[owner][b] = mode;
                Vec<Flock> all;
                ASSERT_TRUE(lab.table.save(&all).ok());
                uint8_t seen[kOwners][kBytes] = {};
                for (Flock& f : all)
                    for (uint64_t b = f.range.start; b <= f.range.end; b++) {
                        ASSERT_EQ(kFree, seen[f.range.owner][b]);
                        seen[f.range.owner][b] = f.range.mode;
                    }
                ASSERT_EQ(0, memcmp(seen, model, sizeof model));
            }
        }
    });
}

}  // namespace
