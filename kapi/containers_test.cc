// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include "kapi/containers.h"
#include "kapi/sim/world.h"

using namespace lull;

namespace {

Result<int> half(int n)
{
    if (n % 2) return Status(-kEINVAL);
    return n / 2;
}

Result<int> quarter(int n)
{
    int h = TRY(half(n));
    return TRY(half(h));
}

Status check(int n)
{
    TRY(half(n));
    return kOk;
}

struct Counted {
    static inline int live = 0;
    explicit Counted(int n = 0) : n_(n) { live++; }
    Counted(Counted&& o) : n_(o.n_) { live++; }
    Counted(const Counted& o) : n_(o.n_) { live++; }
    Counted& operator=(Counted&& o) = default;
    ~Counted() { live--; }
    int n_;
};

struct Shared : RefCounted {
    Counted counted;
    virtual int kind() const { return 1; }
};
struct MoreShared : Shared {
    int kind() const override { return 2; }
};

}  // namespace

TEST(Result, TryPassesErrorsOn)
{
    EXPECT_EQ(quarter(8).value(), 2);
    EXPECT_EQ(quarter(6).error(), -kEINVAL);
    EXPECT_TRUE(quarter(1).is(kEINVAL));
    EXPECT_TRUE(check(2).ok());
    EXPECT_TRUE(check(3).is(kEINVAL));
}

TEST(Result, MovesItsValue)
{
    auto f = []() -> Result<Owned<Counted>> { return make<Counted>(7); };
    {
        auto r = f();
        ASSERT_TRUE(r.ok());
        Owned<Counted> o = r.release_value();
        EXPECT_EQ(o->n_, 7);
    }
    EXPECT_EQ(Counted::live, 0);
}

TEST(Vec, GrowsShrinksAndErases)
{
    {
        Vec<Counted> v;
        for (int i = 0; i < 100; i++) ASSERT_TRUE(v.push_back(Counted(i)).ok());
        EXPECT_EQ(v.size(), 100u);
        v.erase_at(10);
        EXPECT_EQ(v[10].n_, 11);
        EXPECT_EQ(v.back().n_, 99);
        ASSERT_TRUE(v.resize(5).ok());
        EXPECT_EQ(Counted::live, 5);
        Vec<Counted> w(std::move(v));
        EXPECT_EQ(w.size(), 5u);
        EXPECT_TRUE(v.empty());
    }
    EXPECT_EQ(Counted::live, 0);
}

TEST(Vec, BytesAreFilledCopiedAndKept)
{
    const uint8_t text[] = {1, 2, 3};
    Bytes b;
    ASSERT_TRUE(b.assign(text, 0).ok());
    EXPECT_TRUE(b.empty());
    ASSERT_TRUE(b.assign(text, 3).ok());
    ASSERT_TRUE(b.resize(100).ok());  // grows, in a new place
    for (size_t i = 0; i < 100; i++) EXPECT_EQ(b[i], i < 3 ? text[i] : 0) << i;
    b[2] = 9;
    ASSERT_TRUE(b.resize(2).ok());
    ASSERT_TRUE(b.resize(4).ok());  // what was cut off does not come back
    EXPECT_EQ(b[2], 0);
    EXPECT_EQ(b[3], 0);
    ASSERT_TRUE(b.push_back(7).ok());
    EXPECT_EQ(b[4], 7);
}

TEST(Vec, SurvivesAllocationFailure)
{
    sim::run(1, [] {
        Vec<int> v;
        for (int i = 0; i < 4; i++) ASSERT_TRUE(v.push_back(i).ok());
        sim::world().current_host()->fail_allocation_nth(1);
        EXPECT_TRUE(v.push_back(4).is(kENOMEM));
        EXPECT_EQ(v.size(), 4u);
        EXPECT_TRUE(v.push_back(4).ok());
        EXPECT_EQ(v[4], 4);
    });
}

TEST(Vec, TooLargeIsAnError)
{
    Bytes b;
    EXPECT_TRUE(b.reserve(KAPI_ALLOC_MAX_BYTES + 1).is(kENOMEM));
    EXPECT_TRUE(b.reserve(KAPI_ALLOC_MAX_BYTES).ok());
}

TEST(Text, TruncatesAndTerminates)
{
    Text<4> t;
    EXPECT_TRUE(t.assign("abcd").ok());
    EXPECT_TRUE(t.append("e").is(kENAMETOOLONG));
    EXPECT_STREQ(t.c_str(), "abcd");
    EXPECT_TRUE(t.assign("abcdef").is(kENAMETOOLONG));
    EXPECT_EQ(t.size(), 4u);
    auto f = text_format<16>("%s-%04x", "OST", 0x1fu);
    EXPECT_TRUE(f == Str("OST-001f"));
}

TEST(Str, FindsAndCompares)
{
    Str s("10.0.0.1@tcp");
    size_t at = s.find('@');
    EXPECT_TRUE(s.substr(0, at) == Str("10.0.0.1"));
    EXPECT_TRUE(s.substr(at + 1) == Str("tcp"));
    EXPECT_TRUE(s.starts_with("10."));
    EXPECT_TRUE(Str("a") < Str("ab"));
    EXPECT_EQ(s.find('#'), SIZE_MAX);
}

TEST(Ref, CountsAndDestroysDerived)
{
    {
        Ref<MoreShared> m = make_ref<MoreShared>();
        Ref<Shared> s = m;
        EXPECT_EQ(s->kind(), 2);
        EXPECT_EQ(s->ref_count_for_tests(), 2u);
        m.reset();
        EXPECT_EQ(Counted::live, 1);
        EXPECT_TRUE(s->try_ref());
        EXPECT_FALSE(s->unref());
        Ref<Shared> other = s;
        s = nullptr;
        EXPECT_EQ(other->ref_count_for_tests(), 1u);
    }
    EXPECT_EQ(Counted::live, 0);
}

TEST(Owned, MovesAndResets)
{
    {
        Owned<Counted> a = make<Counted>(3);
        Owned<Counted> b(std::move(a));
        EXPECT_FALSE(a);
        EXPECT_EQ(b->n_, 3);
        b = make<Counted>(4);
        EXPECT_EQ(Counted::live, 1);
    }
    EXPECT_EQ(Counted::live, 0);
}

TEST(Owned, MakeGivesNullWithoutMemory)
{
    sim::run(1, [] {
        sim::world().current_host()->fail_allocations(1000);
        EXPECT_FALSE(make<Counted>(1));
        EXPECT_FALSE(make_ref<Shared>());
        sim::world().current_host()->fail_allocations(0);
    });
    EXPECT_EQ(Counted::live, 0);
}
