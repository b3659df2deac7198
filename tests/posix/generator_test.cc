// SPDX-License-Identifier: GPL-2.0-only
#include "tests/posix/generator.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <set>
#include <sys/file.h>

#include "tests/posix/exceptions.h"

namespace lull::posix {

namespace {

constexpr uint64_t kSeeds = 50;

Program make(uint64_t seed, int actors = 2) { return Generator({seed, 300, actors, true}).make(); }

}  // namespace

TEST(PosixGenerator, OneSeedOneProgram)
{
    EXPECT_EQ(make(7), make(7));
    EXPECT_NE(make(7), make(8));
}

TEST(PosixGenerator, EveryOperationComesAndEveryActorTakesPart)
{
    std::set<Op> ops;
    for (uint64_t seed = 1; seed <= kSeeds; seed++) {
        std::set<int> actors;
        for (auto& step : make(seed)) ops.insert(step.op), actors.insert(step.actor);
        EXPECT_EQ(actors, (std::set<int>{0, 1})) << "seed " << seed;
    }
    EXPECT_EQ(ops.size(), static_cast<size_t>(Op::kCount));
}

// An open of a FIFO, or a lock that another holds, would wait for a process that takes no turn.
TEST(PosixGenerator, NothingWaitsForAnotherProcess)
{
    for (uint64_t seed = 1; seed <= kSeeds; seed++) {
        for (auto& step : make(seed)) {
            bool never = (step.op != Op::k_open || step.flags & (O_NONBLOCK | O_PATH)) &&
                         (step.op != Op::k_flock || step.flags & LOCK_NB);
            EXPECT_TRUE(never) << to_c(step);
        }
    }
}

TEST(PosixGenerator, EveryActorLooksAtTheWholeTreeAtTheEnd)
{
    Program program = make(3);
    EXPECT_EQ(program[program.size() - 2].op, Op::k_scan);
    EXPECT_EQ(program.back().op, Op::k_scan);
    EXPECT_NE(program[program.size() - 2].actor, program.back().actor);
}

TEST(PosixStep, TextIsReadBack)
{
    for (uint64_t seed = 1; seed <= kSeeds; seed++)
        for (auto& step : make(seed)) EXPECT_EQ(parse_step(to_text(step)), step) << to_text(step);
    Step odd;
    odd.op = Op::k_mkdir;
    odd.path = "a b%20=\n\xff";
    EXPECT_EQ(parse_step(to_text(odd)), odd);
}

TEST(PosixStep, NonsenseIsNoStep)
{
    for (const char* text :
         {"", "nosuchcall", "open fd", "open fd=x", "open color=3", "open fd=1x"})
        EXPECT_FALSE(parse_step(text)) << text;
}

TEST(PosixStep, IsShownAsC)
{
    auto c = [](const char* text) { return to_c(*parse_step(text)); };
    EXPECT_EQ(c("open fd=2 flags=66 mode=420 path=/a"),
              "fd[2] = openat(AT_FDCWD, \"/a\", O_RDWR | O_CREAT, 0644)");
    EXPECT_EQ(c("mkdir at=1 mode=511 path=d"), "mkdirat(fd[1], \"d\", 0777)");
    EXPECT_EQ(c("lseek fd=1 off=5 flags=3"), "lseek(fd[1], 5, SEEK_DATA)");
    EXPECT_EQ(c("utimens off=1 len=2 off2=-3 path=x"),
              "utimensat(AT_FDCWD, \"x\", {{1, 2}, {-3, 2}}, 0)");
    for (uint64_t seed = 1; seed <= kSeeds; seed++)
        for (auto& step : make(seed)) EXPECT_NE(to_c(step), "");
}

TEST(PosixExceptions, EachHasAReason)
{
    std::set<std::string> names;
    for (auto& e : Exceptions::all()) {
        EXPECT_GT(std::string(e.reason).size(), 20u) << e.name;
        EXPECT_TRUE(names.insert(e.name).second) << e.name;
    }
}

// An exception is for what it names, and not for other errors or other calls.
TEST(PosixExceptions, AreNarrow)
{
    Exceptions exceptions(1);
    Step step;
    step.op = Op::k_setxattr;
    EXPECT_TRUE(exceptions.refused(step, Outcome::failed(EOPNOTSUPP)));
    EXPECT_FALSE(exceptions.refused(step, Outcome::failed(EIO)));
    EXPECT_FALSE(exceptions.refused(step, {}));
    step.op = Op::k_pwrite;
    EXPECT_FALSE(exceptions.refused(step, Outcome::failed(EOPNOTSUPP)));
    EXPECT_EQ(exceptions.used().at("xattr"), 1u);
}

}  // namespace lull::posix
