/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * File locks as data: who has locked which range of which file, and who waits. Owners are (client,
 * owner); a client's name is its uuid, so that locks survive the export they came through (B1:
 * reserved until the client is back after a clean halt). The server keeps one table for all
 * clients; a client keeps one of its own locks, to replay them.
 *
 * A lock replaces what its owner has in the range; what is left of it on either side stays;
 * neighbours of one mode become one. Waiters are granted first come first served, as far as nobody
 * is in their way. Deadlocks are looked for among posix locks, as the system calls promise: through
 * all waiters of all holders in the way.
 *
 * Every change happens entirely or, without memory, not at all. No lock of its own.
 */
#pragma once
#include "include/lull/ops_ldlm.h"
#include "kapi/memory.h"

namespace lull {

struct Flock {
    UuidText client;
    FlockRange range;
    bool reserved = false;
    // clean record
    template <class Io> void io(Io& x)
    {
        x.text(client);
        x.sub(range);
    }
};

struct FlockFile;

// A request in the way of which somebody is. Whoever waits owns it.
struct FlockWaiter {
    ListHook hook;  // in its file's queue, or among those that were answered
    UuidText client;
    FlockRange want;
    uint64_t cookie = 0;
    FlockFile* file = nullptr;  // null: not waiting any more
    Status answer;
};
using FlockWaiters = List<FlockWaiter, &FlockWaiter::hook>;

struct FlockFile {
    SetHook hook;
    Fid fid;
    uint8_t kind = 0;
    Vec<Flock> held;
    FlockWaiters waiting;
};

class FlockTable {
public:
    static constexpr size_t kPerFileMax = 8192;  // ranges of one file
    static constexpr size_t kWaitingMax = 4096;  // requests
    // owners looked at for a deadlock; beyond it none is found
    static constexpr size_t kSearchMax = 1024;

    FlockTable() = default;
    ~FlockTable();
    FlockTable(const FlockTable&) = delete;

    static Status check(const FlockRange& range);  // -EINVAL: makes no sense
    // Mode kNL unlocks. -EAGAIN: *other (may be null) is in the way; -ENOLCK: too many ranges;
    // -ENOMEM. Waiters that can be granted now, or failed, are moved to *answered.
    Status set(const UuidText& client, const FlockRange& want, bool reserved, Flock* other,
               FlockWaiters* answered);
    // Who would be in the way; false: nobody.
    bool test(const UuidText& client, const FlockRange& want, Flock* other) const;
    // After set() said -EAGAIN. -EDEADLK; -ENOLCK: too many wait.
    Status wait(FlockWaiter& waiter);
    FlockWaiter* find_waiter(Str client, uint64_t cookie) const;
    void cancel(FlockWaiter& waiter);
    void cancel_all(Str client, FlockWaiters* cancelled);  // empty: everybody's
    // Everything of a client, or what is still reserved for it. Needs no memory.
    void drop(Str client, bool only_reserved, FlockWaiters* answered);
    Status save(Vec<Flock>* out) const;
    struct Counts {
        size_t files = 0, held = 0, waiting = 0;
    };
    Counts counts() const;

private:
    struct Key {
        Fid fid;
        uint8_t kind;
        friend bool operator<(const Key& a, const Key& b)
        {
            return a.fid == b.fid ? a.kind < b.kind : a.fid < b.fid;
        }
    };
    struct KeyOf {
        using type = Key;
        type operator()(const FlockFile& f) const { return {f.fid, f.kind}; }
    };
    using Files = bi::set<FlockFile, bi::member_hook<FlockFile, SetHook, &FlockFile::hook>,
                          bi::key_of_value<KeyOf>>;
    // A client has ranges in a file: what is its is found without a walk over all files (S15).
    struct Link {
        UuidText client;
        FlockFile* file = nullptr;
        SetHook hook;
    };
    struct LinkKey {
        Str client;
        Key file;
        friend bool operator<(const LinkKey& a, const LinkKey& b)
        {
            return a.client == b.client ? a.file < b.file : a.client < b.client;
        }
    };
    struct LinkKeyOf {
        using type = LinkKey;
        type operator()(const Link& l) const { return {l.client, KeyOf()(*l.file)}; }
    };
    using Links =
        bi::set<Link, bi::member_hook<Link, SetHook, &Link::hook>, bi::key_of_value<LinkKeyOf>>;
    struct Owner {
        UuidText client;
        uint64_t owner = 0;
        bool is(const UuidText& c, uint64_t o) const { return owner == o && client == c.str(); }
    };
    const FlockFile* find(const FlockRange& range) const;
    Result<FlockFile*> get(const FlockRange& range);
    void free_if_empty(FlockFile& file);
    static const Flock* blocker(const FlockFile& file, const UuidText& client,
                                const FlockRange& want);
    Status apply(FlockFile& file, const UuidText& client, const FlockRange& want, bool reserved);
    void grant_waiters(FlockFile& file, FlockWaiters* answered);
    void unlink(FlockWaiter& waiter);
    bool would_deadlock(const FlockWaiter& waiter) const;
    static Status add_holders(const FlockFile& file, const FlockWaiter& waiter, Vec<Owner>* owners);
    static bool holds(const FlockFile& file, Str client);
    Status link(FlockFile& file, const UuidText& client);
    void unlink_if_free(FlockFile& file, Str client);
    Files files_;
    Links links_;
    size_t waiting_ = 0;
};

}  // namespace lull
