/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An I/O scope: the gates of all OSTs of a file, and extent locks on every stripe from a file
 * offset to the end, all at one time: an append or a truncation is one change for everybody.
 *
 * Stripes are locked in their order by everybody, so that two clients do not hold what the other
 * waits for. But who holds the lock that is waited for may hang until it is evicted, and what is
 * held meanwhile is wanted by others, whose OSTs know nothing of that wait: they would evict us
 * (invariant 11), or could not be drained (B3). So a scope that waits longer than its patience
 * gives back the other stripes' locks, which stay cached as long as nobody asks for them, and the
 * gates of their OSTs; once it has got what it waited for it begins again. Each such round has
 * twice the patience of the one before, lest two clients take each other's locks for ever, but
 * never so much that a server might lose its own.
 *
 * Locks always reach the end of the object: it makes the size known inside the scope, at the price
 * of conflicts between writers of different parts of one file. (A finer scheme can come with
 * glimpses.)
 */
#pragma once
#include "ldlm/client.h"
#include "llite/inode.h"
#include "osc/osc.h"
#include "ptlrpc/gate.h"

namespace lull {

struct IoScope {
    GateScope gates;  // destroyed after the locks
    Vec<LockUse> uses;
    uint64_t pos = 0;
    uint64_t evictions = 0;
    uint32_t given_up = 0;
    unsigned rounds = 0;  // in which a lock was long in coming
    void give_back(Inode::Stripe& stripe) { uses[stripe.index] = LockUse(); }
    // its lock, and the gate of its OST
    void keep_only(Inode::FileLayout& layout, Inode::Stripe& stripe);
};

// Of a scope that need not keep more than one stripe, should that one's OST be away (B3), or its
// lock be long in coming.
class NarrowScope final : public Holder {
public:
    NarrowScope(IoScope& scope, Inode::FileLayout& layout, Inode::Stripe& stripe,
                uint64_t patience = kForever)
        : Holder(patience), scope_(scope), layout_(layout), stripe_(stripe)
    {}
    void give_back_others() override;
    bool given_back() const { return given_back_; }

private:
    IoScope& scope_;
    Inode::FileLayout& layout_;
    Inode::Stripe& stripe_;
    bool given_back_ = false;
};

}  // namespace lull
