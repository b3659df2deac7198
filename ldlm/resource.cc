// SPDX-License-Identifier: GPL-2.0-only
#include "ldlm/resource.h"

#include "kapi/walks.h"

namespace lull {

namespace {

bool any_incompatible(const uint32_t (&modes)[kLockModes], LockMode mode)
{
    for (size_t i = 0; i < kLockModes; i++)
        if (modes[i] && !modes_compatible(mode, static_cast<LockMode>(i))) return true;
    return false;
}

// A granted lock in the way of a request. A client's own lock is not in the way of what the server
// does for that client,
// once the client knows of the lock; until then it may still be reading what is about to change.
bool blocks(const ServerLock& holder, const ServerLock& request)
{
    if (&holder == &request || !terms_conflict(holder.terms, request.terms)) return false;
    if (request.in_recovery && !holder.is_local()) return false;
    return !(request.on_behalf_of && holder.exp == request.on_behalf_of && holder.answered);
}

void shrink_to_miss(LockPolicy* grown, const LockPolicy& want, const LockPolicy& other)
{
    if (other.end < want.start) {
        if (other.end + 1 > grown->start) grown->start = other.end + 1;
    } else if (other.start > want.end) {
        if (other.start - 1 < grown->end) grown->end = other.start - 1;
    } else {
        *grown = want;  // in the way already (a re-established lock): do not grow
    }
}

}  // namespace

void Resource::add_granted(ServerLock& lock)
{
    lock.state = ServerLock::State::kGranted;
    granted.push_back(lock);
    granted_modes[static_cast<size_t>(lock.terms.mode)]++;
}

void Resource::add_waiting(ServerLock& lock)
{
    lock.state = ServerLock::State::kWaiting;
    waiting.push_back(lock);
    waiting_modes[static_cast<size_t>(lock.terms.mode)]++;
}

void Resource::remove(ServerLock& lock)
{
    bool was_granted = lock.state == ServerLock::State::kGranted;
    auto& list = was_granted ? granted : waiting;
    auto& modes = was_granted ? granted_modes : waiting_modes;
    list.erase(list.iterator_to(lock));
    modes[static_cast<size_t>(lock.terms.mode)]--;
}

ServerLock* Resource::find_blocker(const ServerLock& request, ServerLock* from)
{
    if (!any_incompatible(granted_modes, request.terms.mode)) return nullptr;
    for (auto i = from ? granted.iterator_to(*from) : granted.begin(); i != granted.end(); ++i) {
        count_walk();
        if (blocks(*i, request)) return &*i;
    }
    return nullptr;
}

bool Resource::waits_behind(const ServerLock& request)
{
    if (!any_incompatible(waiting_modes, request.terms.mode)) return false;
    for (const ServerLock& other : waiting) {
        count_walk();
        if (&other == &request) return false;
        if (terms_conflict(other.terms, request.terms)) return true;
    }
    return false;
}

bool Resource::replay_conflicts(const ServerLock& lock)
{
    if (!any_incompatible(granted_modes, lock.terms.mode)) return false;
    for (const ServerLock& other : granted) {
        count_walk();
        if (!other.is_local() && other.exp != lock.exp && terms_conflict(other.terms, lock.terms))
            return true;
    }
    return false;
}

bool Resource::is_wanted(const ServerLock& lock)
{
    if (!any_incompatible(waiting_modes, lock.terms.mode)) return false;
    for (const ServerLock& request : waiting) {
        count_walk();
        if (blocks(lock, request)) return true;
    }
    return false;
}

LockPolicy Resource::grown_extent(const ServerLock& lock)
{
    LockPolicy grown{0, UINT64_MAX, lock.terms.policy.bits};
    for (auto* list : {&granted, &waiting}) {
        const auto& modes = list == &granted ? granted_modes : waiting_modes;
        if (!any_incompatible(modes, lock.terms.mode)) continue;
        for (const ServerLock& other : *list) {
            if (&other == &lock || modes_compatible(other.terms.mode, lock.terms.mode)) continue;
            if (other.terms.type != LockType::kExtent) return lock.terms.policy;
            shrink_to_miss(&grown, lock.terms.policy, other.terms.policy);
        }
    }
    return grown;
}

}  // namespace lull
