// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/open_table.h"

#include <gtest/gtest.h>

using namespace lull;

namespace {

using Kind = OpenTable::Kind;

constexpr Fid kFile{kFidSeqNormal, 7, 0}, kOther{kFidSeqNormal, 8, 0};

ReservedOpen open_of(const char* client, uint64_t handle, const Fid& fid = kFile)
{
    return {client, fid, handle, kOpenRead};
}

TEST(OpenTable, LastCloseOfAnUnlinkedFileIsAnOrphan)
{
    OpenTable t;
    Fid fid;
    bool orphan = true;
    ASSERT_TRUE(t.add(open_of("a", 1), Kind::kNew).ok());
    ASSERT_TRUE(t.add(open_of("b", 1), Kind::kNew).ok());
    EXPECT_TRUE(t.is_open(kFile));
    EXPECT_FALSE(t.mark_pending(kOther));
    EXPECT_TRUE(t.mark_pending(kFile));
    EXPECT_TRUE(t.begin_destroy(kFile).is(kEBUSY));
    ASSERT_TRUE(t.remove("a", 1, &fid, &orphan).ok());
    EXPECT_FALSE(orphan);
    EXPECT_TRUE(t.remove("a", 1, &fid, &orphan).is(kESTALE));
    ASSERT_TRUE(t.remove("b", 1, &fid, &orphan).ok());
    EXPECT_TRUE(orphan);
    EXPECT_EQ(kFile, fid);
    EXPECT_EQ(0u, t.counts().objects);
}

TEST(OpenTable, LastCloseOfANamedFileIsNone)
{
    OpenTable t;
    Fid fid;
    bool orphan = true;
    ASSERT_TRUE(t.add(open_of("a", 1), Kind::kNew).ok());
    ASSERT_TRUE(t.remove("a", 1, &fid, &orphan).ok());
    EXPECT_FALSE(orphan);
}

TEST(OpenTable, DyingCannotBeOpened)
{
    OpenTable t;
    ASSERT_TRUE(t.begin_destroy(kFile).ok());
    ASSERT_TRUE(t.begin_destroy(kFile).is(kEALREADY));
    EXPECT_TRUE(t.add(open_of("a", 1), Kind::kNew).is(kESTALE));
    EXPECT_EQ(0u, t.counts().opens);
    t.forget(kFile);
    EXPECT_TRUE(t.add(open_of("a", 1), Kind::kNew).ok());
    t.forget(kFile);  // not dying: stays
    EXPECT_TRUE(t.is_open(kFile));
}

TEST(OpenTable, HandlesBelongToTheirClient)
{
    OpenTable t;
    Fid fid;
    bool orphan;
    ASSERT_TRUE(t.add(open_of("a", 1), Kind::kNew).ok());
    EXPECT_TRUE(t.remove("b", 1, &fid, &orphan).is(kESTALE));
    EXPECT_TRUE(t.add(open_of("a", 1), Kind::kNew).ok());  // replayed twice
    EXPECT_TRUE(t.add(open_of("a", 1, kOther), Kind::kNew).is(kEINVAL));
    EXPECT_EQ(1u, t.counts().opens);
    EXPECT_TRUE(t.has("a", 1, kFile));
    EXPECT_FALSE(t.has("a", 1, kOther));
}

TEST(OpenTable, ReservationIsTakenOverOrDropped)
{
    OpenTable t;
    Fid fid;
    bool orphan;
    ASSERT_TRUE(t.add(open_of("a", 1), Kind::kReserved).ok());
    ASSERT_TRUE(t.add(open_of("a", 2), Kind::kReserved).ok());
    ASSERT_TRUE(t.add(open_of("b", 1), Kind::kReserved).ok());
    EXPECT_EQ(3u, t.counts().reserved);
    EXPECT_TRUE(t.mark_pending(kFile));
    ASSERT_TRUE(t.add(open_of("a", 1), Kind::kNew).ok());
    EXPECT_EQ(2u, t.counts().reserved);
    EXPECT_TRUE(t.remove_any("a", true, &fid, &orphan));
    EXPECT_FALSE(orphan);
    EXPECT_FALSE(t.remove_any("a", true, &fid, &orphan));
    EXPECT_TRUE(t.remove_any("b", true, &fid, &orphan));
    EXPECT_TRUE(t.remove_any("a", false, &fid, &orphan));
    EXPECT_TRUE(orphan);
    EXPECT_EQ(0u, t.counts().reserved);
}

TEST(OpenTable, WritersAndProgramsExcludeEachOther)
{
    OpenTable t;
    auto of = [](uint64_t handle, uint32_t flags) {
        return ReservedOpen{UuidText("a"), kFile, handle, flags};
    };
    Fid fid;
    bool orphan;
    ASSERT_TRUE(t.add(of(1, kOpenRead | kOpenExec), Kind::kNew).ok());
    EXPECT_TRUE(t.add(of(2, kOpenWrite), Kind::kNew).is(kETXTBSY));
    EXPECT_TRUE(t.add(of(2, kOpenRead), Kind::kNew).ok());
    // granted before this instance: granted again, in whatever order the replays come
    EXPECT_TRUE(t.add(of(3, kOpenWrite), Kind::kKnown).ok());
    EXPECT_TRUE(t.add(of(4, kOpenRead | kOpenExec), Kind::kNew).is(kETXTBSY));
    EXPECT_TRUE(t.remove("a", 3, &fid, &orphan).ok());
    EXPECT_TRUE(t.add(of(4, kOpenRead | kOpenExec), Kind::kNew).ok());
    EXPECT_TRUE(t.remove("a", 1, &fid, &orphan).ok());
    EXPECT_TRUE(t.add(of(5, kOpenWrite), Kind::kNew).is(kETXTBSY));
    EXPECT_TRUE(t.remove("a", 4, &fid, &orphan).ok());
    EXPECT_TRUE(t.add(of(5, kOpenWrite), Kind::kNew).ok());
    EXPECT_EQ(2u, t.counts().opens);
}

TEST(OpenTable, SavesWhatIsOpenAndWhatIsReserved)
{
    OpenTable t;
    ASSERT_TRUE(t.add(open_of("a", 1), Kind::kReserved).ok());
    ASSERT_TRUE(t.add(open_of("b", 5, kOther), Kind::kNew).ok());
    Vec<ReservedOpen> saved;
    ASSERT_TRUE(t.save(&saved).ok());
    ASSERT_EQ(2u, saved.size());
    OpenTable next;
    for (const ReservedOpen& o : saved) ASSERT_TRUE(next.add(o, Kind::kReserved).ok());
    EXPECT_TRUE(next.has("b", 5, kOther));
}

}  // namespace
