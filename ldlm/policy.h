/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When two locks of one resource are in each other's way: incompatible modes on intersecting parts
 * of the resource. Plain locks
 * and locks of different types cover the whole resource.
 */
#pragma once
#include "include/lull/ops_ldlm.h"

namespace lull {

inline constexpr size_t kLockModes = 6;

// What a lock asks for or has.
struct LockTerms {
    LockType type = LockType::kPlain;
    LockMode mode = LockMode::kNL;
    LockPolicy policy;
};

bool policies_intersect(const LockTerms& a, const LockTerms& b);
bool policy_covers(LockType type, const LockPolicy& have, const LockPolicy& want);
bool terms_conflict(const LockTerms& a, const LockTerms& b);
// The holder of have may do all that want allows.
bool terms_cover(const LockTerms& have, const LockTerms& want);
// Nothing is compatible with it: who comes later can only wait behind.
bool terms_exclude_all(const LockTerms& t);
// What a peer asks for makes sense: -EINVAL, -EOPNOTSUPP (file locks are no locks of the namespace:
// flock.h).
Status check_terms(uint8_t type, uint8_t mode, const LockPolicy& policy);

}  // namespace lull
