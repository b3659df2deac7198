// SPDX-License-Identifier: GPL-2.0-only
#include "tests/posix/compare.h"

#include <cerrno>
#include <fcntl.h>
#include <functional>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/posix/executor.h"
#include "tests/posix/minimize.h"

namespace lull::posix {

namespace {

using Answer = std::function<std::optional<Outcome>(const Step&)>;

class Fake : public Doer {
public:
    explicit Fake(Answer answer) : answer_(std::move(answer)) {}
    std::optional<Outcome> run(const Step& step) override
    {
        done.push_back(step);
        return answer_(step);
    }
    Program done;

private:
    Answer answer_;
};

Step step(Op op, int64_t off = 0, int actor = 0)
{
    Step s;
    s.op = op, s.off = off, s.actor = actor;
    return s;
}

Outcome fine(const Step&) { return {}; }

Sides sides(const Answer& lull, const Answer& ext4 = fine, int actors = 1)
{
    Sides made;
    for (int i = 0; i < actors; i++) {
        made.lull.push_back(std::make_unique<Fake>(lull));
        made.ext4.push_back(std::make_unique<Fake>(ext4));
    }
    return made;
}

Comparison run(const Program& program, Sides& s)
{
    Exceptions exceptions(1);
    return compare(program, s, exceptions);
}

}  // namespace

TEST(PosixCompare, TheSameIsTheSame)
{
    Sides s = sides(fine);
    Comparison c = run({step(Op::k_fsync), step(Op::k_getcwd)}, s);
    EXPECT_FALSE(c.divergence);
    EXPECT_EQ(c.answers.size(), 2u);
    EXPECT_EQ(c.succeeded, 2u);
}

TEST(PosixCompare, EveryPartOfAnOutcomeCounts)
{
    for (Outcome wrong : {Outcome::failed(EIO), Outcome{1, 0, ""}, Outcome{0, 0, "x"}}) {
        Sides s = sides([&](const Step& at) { return at.op == Op::k_fstat ? wrong : Outcome{}; });
        Comparison c = run({step(Op::k_fsync), step(Op::k_fstat), step(Op::k_getcwd)}, s);
        ASSERT_TRUE(c.divergence);
        EXPECT_EQ(c.divergence->index, 1u);
        EXPECT_EQ(static_cast<Fake&>(*s.ext4[0]).done.size(), 2u);  // nothing after it
    }
    Sides s = sides([](const Step&) { return Outcome::failed(EIO); },
                    [](const Step&) { return Outcome::failed(EPERM); });
    EXPECT_EQ(run({step(Op::k_chmod)}, s).divergence->what, "error of chmod (EIO, ext4: EPERM)");
}

TEST(PosixCompare, ActorsDoTheirOwnSteps)
{
    Sides s = sides(fine, fine, 2);
    run({step(Op::k_fsync, 1, 0), step(Op::k_fsync, 2, 1)}, s);
    EXPECT_EQ(static_cast<Fake&>(*s.lull[1]).done, (Program{step(Op::k_fsync, 2, 1)}));
    EXPECT_EQ(static_cast<Fake&>(*s.ext4[1]).done, (Program{step(Op::k_fsync, 2, 1)}));
}

TEST(PosixCompare, WhatIsRefusedIsNotDoneByTheOther)
{
    Sides s = sides([](const Step&) { return Outcome::failed(EOPNOTSUPP); });
    EXPECT_FALSE(run({step(Op::k_setxattr)}, s).divergence);
    EXPECT_TRUE(static_cast<Fake&>(*s.ext4[0]).done.empty());
}

TEST(PosixCompare, SilenceIsADifference)
{
    Sides s = sides([](const Step&) { return std::nullopt; });
    EXPECT_TRUE(run({step(Op::k_fsync)}, s).divergence);
}

TEST(PosixCompare, ListingEndsWithBothAnswersAndTheSteps)
{
    Sides s = sides([](const Step&) { return Outcome::saw("a\nb\n"); },
                    [](const Step&) { return Outcome::saw("a\nc\n"); });
    Program program = {step(Op::k_list), step(Op::k_fsync)};
    std::string text = listing(program, run(program, s));
    for (const char* part : {"list(openat(", "Lull: b\n", "ext4: c\n", "\nlist\n"})
        EXPECT_NE(text.find(part), text.npos) << text;
    EXPECT_EQ(text.find("fsync"), text.npos);
}

TEST(PosixOutcome, IsPackedAndUnpacked)
{
    for (Outcome o : {Outcome{}, Outcome::failed(EIO), Outcome{123456789012, 0, " a b\n\n"}})
        EXPECT_EQ(unpack(pack(o)), o);
    for (const char* bad : {"", "x", "1", "1 ", "1 2", "1 x "}) EXPECT_FALSE(unpack(bad)) << bad;
}

TEST(PosixOutcome, DataIsDescribed)
{
    std::string data(20, 'a');
    EXPECT_NE(describe(data), describe(std::string(20, 'b')));
    EXPECT_EQ(describe(std::string(3, '\0') + "ab"), "5 bytes [0,3) zero [3,5) 6162");
    // Beyond the runs that are shown one by one, too.
    std::string many;
    for (int i = 0; i < 100; i++) many += std::string("x\0", 2);
    std::string other = many;
    other[198] = 'y';
    EXPECT_NE(describe(many), describe(other));
}

TEST(PosixMinimizer, KeepsOnlyWhatIsNeeded)
{
    // Fails when a write comes after a truncate, both of client 2.
    auto attempt = [](const Program& p) -> Minimizer::Attempt {
        bool truncated = false;
        for (size_t i = 0; i < p.size(); i++) {
            if (p[i].actor != 1) continue;
            truncated |= p[i].op == Op::k_ftruncate && p[i].off > 10;
            if (truncated && p[i].op == Op::k_pwrite) return {"wrong", i};
        }
        return {};
    };
    Program program;
    for (int i = 0; i < 200; i++) program.push_back(step(Op::k_fsync, i, i % 2));
    program[51] = step(Op::k_ftruncate, 77, 1);
    program[101] = step(Op::k_pwrite, 55, 1);
    program[101].user = true;
    Minimizer m(attempt, std::chrono::hours(1));
    Program small = m.minimize(program, "wrong");
    EXPECT_TRUE(m.repeats());
    EXPECT_EQ(small, (Program{step(Op::k_ftruncate, 77, 1), step(Op::k_pwrite, 0, 1)}));
}

TEST(PosixMinimizer, AnotherFaultIsNotTakenForIt)
{
    auto attempt = [](const Program& p) -> Minimizer::Attempt {
        for (auto& s : p)
            if (s.op == Op::k_fsync) return {"fsync", 0};
        return {"no fsync", 0};
    };
    Minimizer m(attempt, std::chrono::hours(1));
    Program small = m.minimize({step(Op::k_fsync), step(Op::k_read)}, "fsync");
    ASSERT_EQ(small.size(), 1u);
    EXPECT_EQ(small[0].op, Op::k_fsync);
}

TEST(PosixMinimizer, WhatDoesNotRepeatStaysWhole)
{
    Minimizer m([](const Program&) { return Minimizer::Attempt{}; }, std::chrono::hours(1));
    EXPECT_EQ(m.minimize({step(Op::k_fsync), step(Op::k_read)}, "x").size(), 2u);
    EXPECT_FALSE(m.repeats());
}

// The executor against what POSIX says, in a directory of this machine.
class PosixExecutor : public testing::Test {
protected:
    void SetUp() override
    {
        ASSERT_TRUE(mkdtemp(dir_));
        ASSERT_EQ(symlink("target", path("l").c_str()), 0);
    }
    void TearDown() override
    {
        for (const char* name : {"a", "l"}) unlink(path(name).c_str());
        rmdir(dir_);
    }
    std::string path(const std::string& name) const { return std::string(dir_) + "/" + name; }
    Outcome run(std::string text)
    {
        if (size_t at = text.find('@'); at != text.npos)
            text.replace(at, 1, std::string(dir_) + "/");
        std::optional<Step> step = parse_step(text);
        EXPECT_TRUE(step) << text;
        return executor_.run(*step);
    }

    char dir_[32] = "/tmp/lull-posix-XXXXXX";
    Executor executor_{false};
};

TEST_F(PosixExecutor, WritesAndReads)
{
    ASSERT_EQ(run("open flags=66 mode=420 path=@a"), Outcome{});
    EXPECT_EQ(run("pwrite off=3 len=4 fill=1").ret, 4);
    EXPECT_EQ(run("pread len=100").seen.substr(0, 18), "7 bytes [0,3) zero");
    EXPECT_EQ(run("fstat").seen, "file 0644 links 1 owner " + std::to_string(geteuid()) + ":" +
                                     std::to_string(getegid()) + " size 7 mtime now");
    EXPECT_EQ(run("futimens off2=-5 len=7").seen, "atime 0.000000007 mtime -5.000000007");
    EXPECT_EQ(run("close"), Outcome{});
    EXPECT_EQ(run("close").err, EBADF);
}

TEST_F(PosixExecutor, MapsAndFaults)
{
    run("open flags=66 mode=420 path=@a");
    run("pwrite len=100 fill=1");
    EXPECT_EQ(run("map len=8192 mode=1"), Outcome{});
    EXPECT_EQ(run("store off=10 len=5 fill=9"), Outcome{});
    EXPECT_EQ(run("load off=0 len=200").seen, run("pread len=200").seen);
    EXPECT_EQ(run("load off=5000 len=1").seen, "SIGBUS");
    EXPECT_EQ(run("map len=4096"), Outcome{});
    EXPECT_EQ(run("store len=1").seen, "SIGSEGV");
}

TEST_F(PosixExecutor, ListsAndSeesLinks)
{
    EXPECT_EQ(run("list path=@").seen, "dir .\ndir ..\nsymlink l\n");
    EXPECT_EQ(run("readlink len=100 path=@l"), (Outcome{6, 0, "target"}));
    EXPECT_EQ(run("stat path=@l").err, ENOENT);
    EXPECT_NE(scan_tree(dir_).seen.find("l symlink 0777"), std::string::npos);
}

}  // namespace lull::posix
