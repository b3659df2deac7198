/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An I/O scope: the gates of all OSTs of a file, and extent locks on every stripe from a file
 * offset to the end. Stripes are locked in their order by everybody, so that two clients cannot
 * hold what the other waits for.
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
    void give_back(Inode::Stripe& stripe) { uses[stripe.index] = LockUse(); }
    // its lock, and the gate of its OST
    void keep_only(Inode::FileLayout& layout, Inode::Stripe& stripe);
};

// Of a scope that need not keep more than one stripe, should that one's OST be away (B3).
class NarrowScope final : public OscHolder {
public:
    NarrowScope(IoScope& scope, Inode::FileLayout& layout, Inode::Stripe& stripe)
        : scope_(scope), layout_(layout), stripe_(stripe)
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
