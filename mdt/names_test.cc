// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/names.h"

#include <gtest/gtest.h>

using namespace lull;

TEST(MdtNames, What_a_directory_can_hold)
{
    for (const char* fine : {"a", "...", ".git", "with space", "\xc3\xa4"})
        EXPECT_TRUE(check_name(fine).ok()) << fine;
    for (const char* bad : {"", ".", "..", "a/b", "/"})
        EXPECT_TRUE(check_name(bad).is(kEINVAL)) << bad;
    EXPECT_TRUE(check_name(Str("a\0b", 3)).is(kEINVAL));
}

TEST(MdtNames, Which_fids_name_files)
{
    EXPECT_TRUE(is_namespace_fid(kRootFid));
    EXPECT_TRUE(is_namespace_fid({kFidSeqNormal, 1, 0}));
    EXPECT_TRUE(is_namespace_fid({4711, 1, 0}));
    EXPECT_FALSE(is_namespace_fid({}));
    EXPECT_FALSE(is_namespace_fid({kFidSeqNormal, 0, 0}));
    EXPECT_FALSE(is_namespace_fid({kFidSeqNormal, 1, 1}));
    EXPECT_FALSE(is_namespace_fid({kFidSeqUpdateLock, kFidOidUpdateLock, 0}));
    EXPECT_FALSE(is_namespace_fid(
        {kRenameResource.name[0], static_cast<uint32_t>(kRenameResource.name[1]), 0}));
    EXPECT_FALSE(is_namespace_fid({kFidSeqOstBase, 1, 0}));
    EXPECT_FALSE(is_namespace_fid({kFidSeqRoot, 2, 0}));
}
