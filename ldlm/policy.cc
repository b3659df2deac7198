// SPDX-License-Identifier: GPL-2.0-only
#include "ldlm/policy.h"

namespace lull {

bool policies_intersect(const LockTerms& a, const LockTerms& b)
{
    if (a.type != b.type) return true;
    switch (a.type) {
    case LockType::kExtent: return a.policy.start <= b.policy.end && b.policy.start <= a.policy.end;
    case LockType::kIbits: return (a.policy.bits & b.policy.bits) != 0;
    default: return true;
    }
}

bool policy_covers(LockType type, const LockPolicy& have, const LockPolicy& want)
{
    switch (type) {
    case LockType::kExtent: return have.start <= want.start && have.end >= want.end;
    case LockType::kIbits: return (have.bits & want.bits) == want.bits;
    default: return true;
    }
}

bool terms_conflict(const LockTerms& a, const LockTerms& b)
{
    return !modes_compatible(a.mode, b.mode) && policies_intersect(a, b);
}

bool terms_cover(const LockTerms& have, const LockTerms& want)
{
    return have.type == want.type && mode_covers(have.mode, want.mode) &&
           policy_covers(have.type, have.policy, want.policy);
}

bool terms_exclude_all(const LockTerms& t)
{
    if (t.mode != LockMode::kEX) return false;
    switch (t.type) {
    case LockType::kExtent: return t.policy.start == 0 && t.policy.end == UINT64_MAX;
    case LockType::kIbits: return false;
    default: return true;
    }
}

Status check_terms(uint8_t type, uint8_t mode, const LockPolicy& policy)
{
    if (mode <= static_cast<uint8_t>(LockMode::kNL) || mode > static_cast<uint8_t>(LockMode::kEX))
        return -kEINVAL;
    switch (static_cast<LockType>(type)) {
    case LockType::kPlain: return kOk;
    case LockType::kExtent: return policy.start <= policy.end ? kOk : Status(-kEINVAL);
    case LockType::kIbits: return policy.bits != 0 ? kOk : Status(-kEINVAL);
    case LockType::kFlock: return -kEOPNOTSUPP;
    }
    return -kEINVAL;
}

}  // namespace lull
