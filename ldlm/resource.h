/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A resource: who holds it, who waits for it, first come first served. A request waits while a
 * granted lock is in its way, or one
 * that waits already. Counters per mode spare most walks over the lists (S15: the active lock has
 * as many
 * holders as there are clients). Protected by the namespace's lock.
 */
#pragma once
#include "ldlm/server_lock.h"

namespace lull {

struct Resource {
    explicit Resource(const ResourceId& name) : id(name) {}
    bool is_active_lock() const { return id == ResourceId::active_server_lock(); }
    bool empty() const { return granted.empty() && waiting.empty(); }

    void add_granted(ServerLock& lock);
    void add_waiting(ServerLock& lock);
    void remove(ServerLock& lock);  // by its state

    // The first granted lock in the way of the request, at or after from (null: none).
    ServerLock* find_blocker(const ServerLock& request, ServerLock* from = nullptr);
    // A waiting lock before the request (which need not wait yet) that it must not overtake.
    bool waits_behind(const ServerLock& request);
    // A granted lock of another client is in the way of a lock that is re-established.
    bool replay_conflicts(const ServerLock& lock);
    bool is_wanted(const ServerLock& granted_lock);  // a waiting request needs it gone
    // The largest extent around the lock's that is in nobody's way.
    LockPolicy grown_extent(const ServerLock& lock);

    const ResourceId id;
    SetHook hook;
    List<ServerLock, &ServerLock::resource_hook> granted, waiting;
    uint32_t granted_modes[kLockModes] = {}, waiting_modes[kLockModes] = {};
};

struct ResourceIdOf {
    using type = ResourceId;
    const type& operator()(const Resource& r) const { return r.id; }
};
using Resources = bi::set<Resource, bi::member_hook<Resource, SetHook, &Resource::hook>,
                          bi::key_of_value<ResourceIdOf>>;

}  // namespace lull
