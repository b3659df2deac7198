// SPDX-License-Identifier: GPL-2.0-only
// The server's own locks: those of its operations, and EX on the active server lock.
#include "kapi/walks.h"
#include "ldlm/server_impl.h"

namespace lull {

Status LdlmServerImpl::place_local_locked(S& s, Ref<ServerLock> lock, const ResourceId& id)
{
    if (s.closed) return -kERetryLater;
    Resource* r = TRY(get_resource_locked(s, id));
    if (!r->find_blocker(*lock) && !r->waits_behind(*lock)) {
        grant_locked(s, *r, std::move(lock));
        return kOk;
    }
    if (s.parked && !r->is_active_lock()) return -kEPark;  // not empty: somebody is in the way
    tell_blockers_locked(s, *r, *lock);
    wait_locked(s, *r, std::move(lock));
    return kOk;
}

Status LdlmServerImpl::lock_local(LocalLock* out, const ResourceId& resource, LockType type,
                                  LockMode mode, const LockPolicy& policy, Export* on_behalf_of)
{
    TRY(check_terms(static_cast<uint8_t>(type), static_cast<uint8_t>(mode), policy));
    auto lock = make_ref<ServerLock>();
    if (!lock) return -kENOMEM;
    lock->server = this;
    lock->terms = {type, mode, policy};
    lock->on_behalf_of = Ref<Export>(on_behalf_of);
    {
        auto s = state.lock();
        lock->in_recovery = s->recovering;
        TRY(place_local_locked(*s, lock, resource));
        s->busy++;
    }
    uint64_t wait = kLocalWaitMs * kMsec, twice = 2 * limit_ns();
    if (Status status = wait_local(*lock, now_ns() + (wait > twice ? wait : twice)); !status.ok())
        return status;
    LocalLock held;
    held.server_ = this;
    held.lock_ = lock.leak();
    *out = std::move(held);
    return kOk;
}

Status LdlmServerImpl::wait_local(ServerLock& lock, uint64_t deadline_ns)
{
    using State = ServerLock::State;
    CondVar cond;
    Outbox out;
    auto s = state.lock();
    lock.waiter = &cond;
    Status waited = s.wait_until(
        cond, [&] { return lock.state != State::kWaiting; }, deadline_ns);
    lock.waiter = nullptr;
    if (lock.state == State::kGranted) return kOk;
    Status why = lock.status;
    if (lock.state == State::kWaiting) {
        why = waited.ok() ? Status(-kETIMEDOUT) : waited;
        ResourceId id = lock.resource->id;
        drop_locked(*s, lock, why, out);
        process_waiters_locked(*s, id, out);
    }
    s->busy--;
    idle_cond.wake_all();
    return why;
}

void LdlmServerImpl::release_local(ServerLock* lock)
{
    Ref<ServerLock> ours = Ref<ServerLock>::adopt(lock);
    Outbox out;
    auto s = state.lock();
    ResourceId id = lock->resource->id;
    drop_locked(*s, *lock, kOk, out);
    process_waiters_locked(*s, id, out);
    s->busy--;
    idle_cond.wake_all();
}

Status LdlmServerImpl::begin_exclusive()
{
    auto lock = make_ref<ServerLock>();
    if (!lock) return -kENOMEM;
    lock->server = this;
    lock->terms = {LockType::kPlain, LockMode::kEX, LockPolicy()};
    auto s = state.lock();
    if (s->exclusive) return -kEALREADY;
    TRY(place_local_locked(*s, lock, ResourceId::active_server_lock()));
    s->exclusive = std::move(lock);
    return kOk;
}

bool LdlmServerImpl::exclusive_granted() const
{
    auto s = state.lock();
    return s->exclusive && s->exclusive->state == ServerLock::State::kGranted;
}

Status LdlmServerImpl::wait_exclusive(uint64_t deadline_ns)
{
    auto s = state.lock();
    Ref<ServerLock> lock = s->exclusive;
    if (!lock) return -kECANCELED;
    Status waited = s.wait_until(
        exclusive_cond, [&] { return lock->state != ServerLock::State::kWaiting; }, deadline_ns);
    if (lock->state == ServerLock::State::kGranted) return kOk;
    return lock->state == ServerLock::State::kDropped ? Status(-kECANCELED) : waited;
}

void LdlmServerImpl::end_exclusive()
{
    Outbox out;
    auto s = state.lock();
    Ref<ServerLock> lock = std::move(s->exclusive);
    s->exclusive = Ref<ServerLock>();
    if (!lock) return;
    drop_locked(*s, *lock, -kECANCELED, out);
    process_waiters_locked(*s, ResourceId::active_server_lock(), out);
    exclusive_cond.wake_all();
}

bool LdlmServerImpl::holds_active(const Export& exp) const
{
    auto s = state.lock();
    ExportLocks* mine = locks_of(exp);
    return mine && mine->active && mine->active->state == ServerLock::State::kGranted;
}

// Only clients hold it in another mode than EX, which is ours.
size_t LdlmServerImpl::active_holder_count() const
{
    auto s = state.lock();
    auto found = s->resources.find(ResourceId::active_server_lock());
    if (found == s->resources.end()) return 0;
    size_t n = 0;
    for (size_t mode = 0; mode < kLockModes; mode++)
        if (mode != static_cast<size_t>(LockMode::kEX)) n += found->granted_modes[mode];
    return n;
}

Status LdlmServerImpl::active_holders(Vec<Ref<Export>>* out, size_t most) const
{
    auto s = state.lock();
    auto found = s->resources.find(ResourceId::active_server_lock());
    if (found == s->resources.end()) return kOk;
    for (const ServerLock& lock : found->granted) {
        if (out->size() >= most) break;
        count_walk();
        if (!lock.is_local()) TRY(out->push_back(lock.exp));
    }
    return kOk;
}

}  // namespace lull
