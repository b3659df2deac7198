/* SPDX-License-Identifier: GPL-2.0-only */
/* What a peer may name: entries of directories, and objects of the namespace. Pure checks. */
#pragma once
#include "include/lull/ops_ldlm.h"

namespace lull {

// -EINVAL for what no directory can hold: nothing, "." and "..", '/' or a NUL inside.
inline Status check_name(Str name)
{
    if (name.empty() || name == "." || name == "..") return -kEINVAL;
    for (size_t i = 0; i < name.size(); i++)
        if (name[i] == '/' || name[i] == '\0') return -kEINVAL;
    return kOk;
}

// The FID of a file or directory, of version 1 or 2; anything else (lock resources, OST objects)
// never reaches store or locks.
inline bool is_namespace_fid(const Fid& f)
{
    if (f.ver != 0 || f.oid == 0) return false;
    return f == kRootFid || f.is_igif() || f.seq >= kFidSeqNormal;
}

// Renames that could form a circle of lock waiters go one at a time; see rename.cc.
inline constexpr ResourceId kRenameResource{{kFidSeqStart + 4, 1}};

}  // namespace lull
