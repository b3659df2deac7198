/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which FIDs a client may give to what it makes (S9): those of the sequences that were granted to
 * it, each once. Else a peer could take another's FID, whose owner's create fails then, or let one
 * come back as an object of another type.
 *
 * On disk, with the client's record and gone with it (eviction, umount): its last sequences. They
 * are durable before they are told, so that no crash, takeover or upgrade takes them away. In
 * memory: which FIDs were used, or belonged to an object that was removed, in this life. Objects of
 * former lives tell by being there. A replay is not refused for being used: within its window it
 * may come more than once.
 *
 * Sequences below the first that was ever recorded belong to whoever got them from a former
 * version of this software.
 *
 * Thread-safe; the lock is held over reading and writing a client's record, not over a sync.
 */
#pragma once
#include "mdt/used_fids.h"
#include "osd/store.h"
#include "ptlrpc/server_request.h"

namespace lull {

class FidGrants {
public:
    // A client asks for another sequence when it has used one up: of former ones only what is on
    // its way is still to come.
    static constexpr size_t kKept = 8;
    // Sequences of clients that have made nothing in this life, or are gone, of which removed FIDs
    // are remembered.
    static constexpr size_t kUnownedMax = 1024;

    explicit FidGrants(Store& store) : store_(store), state_(LockRank::kMdtObject) {}
    ~FidGrants();
    // first: this software has granted no lower one when it starts here for the first time. Not
    // synced.
    Status load(uint64_t first);
    Status add(const UuidText& client, uint64_t seq);  // not synced
    // For an object that is about to be made. -EINVAL: not this client's; -EEXIST: it was used.
    // false: it was used, by what is replayed again.
    Result<bool> take(const UuidText& client, const Fid& fid, bool replay);
    void give_back(const Fid& fid);  // it was not made
    Status note_removed(const Fid& fid);
    void forget(const UuidText& client);  // its record is gone

private:
    struct Sequence {
        uint64_t seq = 0;
        UuidText owner;  // empty: not known
        UsedFids used;
        SetHook seq_hook, owner_hook;
    };
    struct SeqOf {
        using type = uint64_t;
        type operator()(const Sequence& s) const { return s.seq; }
    };
    struct OwnerOf {
        using type = Str;
        Str operator()(const Sequence& s) const { return s.owner; }
    };
    struct State {
        bi::set<Sequence, bi::member_hook<Sequence, SetHook, &Sequence::seq_hook>,
                bi::key_of_value<SeqOf>>
            all;
        bi::multiset<Sequence, bi::member_hook<Sequence, SetHook, &Sequence::owner_hook>,
                     bi::key_of_value<OwnerOf>>
            owned;
    };
    static Result<Sequence*> get_locked(State& s, uint64_t seq);
    static void own_locked(State& s, Sequence& sequence, const UuidText& client);
    static void erase_locked(State& s, Sequence& sequence);
    Result<Sequence*> granted_locked(State& s, const UuidText& client, uint64_t seq);
    Store& store_;
    uint64_t recorded_from_ = 0;
    Guarded<State> state_;
};

// A FID taken for one create, given back unless the object was made.
class FidClaim {
public:
    FidClaim() = default;
    FidClaim(const FidClaim&) = delete;
    ~FidClaim()
    {
        if (grants_) grants_->give_back(fid_);
    }
    Status take(FidGrants& grants, const UuidText& client, const Fid& fid, bool replay)
    {
        bool fresh = TRY(grants.take(client, fid, replay));
        grants_ = fresh ? &grants : nullptr;
        fid_ = fid;
        return kOk;
    }
    void keep() { grants_ = nullptr; }

private:
    FidGrants* grants_ = nullptr;
    Fid fid_;
};

}  // namespace lull
