// SPDX-License-Identifier: GPL-2.0-only
// Who is in whose way.
#include <gtest/gtest.h>

#include "ldlm/policy.h"

using namespace lull;

namespace {

constexpr LockMode kModes[] = {LockMode::kNL, LockMode::kCR, LockMode::kCW,
                               LockMode::kPR, LockMode::kPW, LockMode::kEX};

LockTerms extent(LockMode mode, uint64_t start, uint64_t end)
{
    return {LockType::kExtent, mode, {start, end, 0}};
}
LockTerms ibits(LockMode mode, uint32_t bits)
{
    return {LockType::kIbits, mode, {0, UINT64_MAX, bits}};
}

}  // namespace

TEST(LdlmPolicy, ConflictMatrix)
{
    // Rows and columns NL CR CW PR PW EX; x: compatible.
    const char* kExpected[] = {"xxxxxx", "xxxxx.", "xxx...", "xx.x..", "xx....", "x....."};
    for (size_t a = 0; a < 6; a++)
        for (size_t b = 0; b < 6; b++) {
            EXPECT_EQ(modes_compatible(kModes[a], kModes[b]), kExpected[a][b] == 'x') << a << b;
            LockTerms x{LockType::kPlain, kModes[a], {}}, y{LockType::kPlain, kModes[b], {}};
            EXPECT_EQ(terms_conflict(x, y), kExpected[a][b] != 'x') << a << b;
            EXPECT_EQ(terms_conflict(x, y), terms_conflict(y, x)) << a << b;
        }
}

TEST(LdlmPolicy, ExtentsConflictWhereTheyOverlap)
{
    EXPECT_TRUE(terms_conflict(extent(LockMode::kPW, 0, 99), extent(LockMode::kPR, 99, 200)));
    EXPECT_FALSE(terms_conflict(extent(LockMode::kPW, 0, 99), extent(LockMode::kPR, 100, 200)));
    EXPECT_TRUE(terms_conflict(extent(LockMode::kPW, 0, UINT64_MAX),
                               extent(LockMode::kPW, UINT64_MAX, UINT64_MAX)));
    EXPECT_FALSE(terms_conflict(extent(LockMode::kPR, 0, 99), extent(LockMode::kPR, 0, 99)));
}

TEST(LdlmPolicy, BitsConflictWhereTheyIntersect)
{
    EXPECT_TRUE(terms_conflict(ibits(LockMode::kEX, kIbitLookup | kIbitUpdate),
                               ibits(LockMode::kPR, kIbitUpdate)));
    EXPECT_FALSE(
        terms_conflict(ibits(LockMode::kEX, kIbitLookup), ibits(LockMode::kPR, kIbitUpdate)));
    EXPECT_TRUE(terms_conflict(ibits(LockMode::kEX, kIbitLookup), extent(LockMode::kPR, 5, 6)))
        << "types differ";
}

TEST(LdlmPolicy, Covers)
{
    EXPECT_TRUE(terms_cover(extent(LockMode::kPW, 0, 100), extent(LockMode::kPR, 10, 100)));
    EXPECT_FALSE(terms_cover(extent(LockMode::kPW, 0, 100), extent(LockMode::kPR, 10, 101)));
    EXPECT_FALSE(terms_cover(extent(LockMode::kPR, 0, 100), extent(LockMode::kPW, 10, 20)));
    EXPECT_TRUE(terms_cover(ibits(LockMode::kPR, kIbitAll), ibits(LockMode::kCR, kIbitUpdate)));
    EXPECT_FALSE(terms_cover(ibits(LockMode::kPR, kIbitLookup),
                             ibits(LockMode::kPR, kIbitLookup | kIbitUpdate)));
    for (LockMode a : kModes)
        for (LockMode b : kModes)
            if (mode_covers(a, b))
                for (LockMode c : kModes)
                    if (!modes_compatible(b, c)) {
                        EXPECT_FALSE(modes_compatible(a, c));
                    }
}

TEST(LdlmPolicy, NonsenseIsRefused)
{
    auto extents = static_cast<uint8_t>(LockType::kExtent),
         bits = static_cast<uint8_t>(LockType::kIbits);
    EXPECT_EQ(check_terms(extents, 3, {0, 10, 0}).error(), 0);
    EXPECT_EQ(check_terms(extents, 3, {11, 10, 0}).error(), -kEINVAL);
    EXPECT_EQ(check_terms(extents, 0, {0, 10, 0}).error(), -kEINVAL);
    EXPECT_EQ(check_terms(extents, 6, {0, 10, 0}).error(), -kEINVAL);
    EXPECT_EQ(check_terms(bits, 3, {0, 10, 0}).error(), -kEINVAL);
    EXPECT_EQ(check_terms(static_cast<uint8_t>(LockType::kFlock), 3, {}).error(), -kEOPNOTSUPP);
    EXPECT_EQ(check_terms(9, 3, {}).error(), -kEINVAL);
}
