/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who has what open. Handles belong to clients (by uuid), so that an open survives the export it
 * came through: after a clean halt it stands here as reserved until its client replays it (B1), and
 * no peer can touch another's handle. Objects are counted: the last close of an unlinked one, and
 * nothing else, lets it be destroyed.
 *
 *   object   opened n times  →  unlinked (mark_pending)  →  closed n times: an orphan  →
 *            dying (begin_destroy; from then on it cannot be opened)  →  forgotten
 *
 * Thread-safe, takes no other lock. Requirements: S8 B1.
 */
#pragma once
#include "target/target.h"

namespace lull {

struct OpenHandle {
    SetHook hook;
    ListHook of_object;
    UuidText client;
    uint64_t handle = 0;
    Fid fid;
    uint32_t flags = 0;  // OpenFlags
    bool reserved = false;
};

struct OpenObject {
    SetHook hook;
    Fid fid;
    bi::list<OpenHandle, bi::member_hook<OpenHandle, ListHook, &OpenHandle::of_object>> handles;
    uint32_t writers = 0, programs = 0;  // opens with kOpenWrite, with kOpenExec
    bool pending = false;                // unlinked
    bool dying = false;
};

class OpenTable {
public:
    static constexpr size_t kOpensMax = 4u << 20;

    OpenTable() = default;
    ~OpenTable();
    enum class Kind : uint8_t { kNew, kKnown, kReserved };
    // -ESTALE: the object is being destroyed; -ETXTBSY: a new open to write while a program runs,
    // or the other way round (what was granted before is granted again); -EINVAL: the client has
    // this handle for another object; -ENFILE; -ENOMEM. The same open again is fine and takes over
    // a reservation.
    Status add(const ReservedOpen& open, Kind kind);
    // -ESTALE: no such handle. *orphan: it was the last open of an object marked pending.
    Status remove(Str client, uint64_t handle, Fid* fid, bool* orphan);
    // Removes one open of the client; false when there is none (call it until then).
    bool remove_any(Str client, bool only_reserved, Fid* fid, bool* orphan);
    // The object lost its last name. False: nobody has it open, so that no close will report it.
    bool mark_pending(const Fid& fid);
    bool is_open(const Fid& fid) const;
    bool is_open_by(Str client, const Fid& fid) const { return any(client, true, fid); }
    bool is_open_by_others(Str client, const Fid& fid) const { return any(client, false, fid); }
    bool has(Str client, uint64_t handle, const Fid& fid) const;
    // -EBUSY: somebody has it open; -EALREADY: it is dying; -ENOMEM
    Status begin_destroy(const Fid& fid);
    void forget(const Fid& fid);  // destroyed
    Status save(Vec<ReservedOpen>* out) const;
    struct Counts {
        size_t opens, reserved, objects;
    };
    Counts counts() const;

private:
    struct HandleKey {
        Str client;
        uint64_t handle;
        friend bool operator<(const HandleKey& a, const HandleKey& b)
        {
            return a.client == b.client ? a.handle < b.handle : a.client < b.client;
        }
    };
    struct KeyOfHandle {
        using type = HandleKey;
        type operator()(const OpenHandle& h) const { return {h.client, h.handle}; }
    };
    struct KeyOfObject {
        using type = Fid;
        const type& operator()(const OpenObject& o) const { return o.fid; }
    };
    using Handles = bi::set<OpenHandle, bi::member_hook<OpenHandle, SetHook, &OpenHandle::hook>,
                            bi::key_of_value<KeyOfHandle>>;
    using Objects = bi::set<OpenObject, bi::member_hook<OpenObject, SetHook, &OpenObject::hook>,
                            bi::key_of_value<KeyOfObject>>;
    struct State {
        Handles handles;
        Objects objects;
        size_t reserved = 0;
    };
    bool any(Str client, bool by_it, const Fid& fid) const;
    static OpenObject* find_object(State& s, const Fid& fid);
    static Result<OpenObject*> get_object(State& s, const Fid& fid);
    static void remove_handle(State& s, OpenHandle& h, Fid* fid, bool* orphan);
    mutable Guarded<State> state_{LockRank::kLeaf};
};

}  // namespace lull
