/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A change of several objects of a file, inside an I/O scope: every OST gets its request, whichever
 * of them can be reached, and what is answered gives back its gate and its lock. So no drain waits
 * for another target that is down (B3), and nobody sees half of the change: everybody locks all
 * stripes, and the lock of the one that is still missing is held.
 *
 * One task; no lock.
 */
#pragma once
#include "llite/io.h"

namespace lull {

class StripeCalls {
public:
    // for an answer, while more than one OST is missing
    static constexpr uint64_t kLookNs = 20 * kMsec;
    static constexpr unsigned kMemoryTries = 250;

    StripeCalls(Inode::FileLayout& layout, IoScope& scope) : layout_(layout), scope_(scope) {}
    Status add(Inode::Stripe& stripe, Ref<Request> call);  // admitted, not interruptible
    // Not interruptible. done(stripe, status): for each, before its lock goes.
    template <class Done> void run(Done done)
    {
        give_back_others();
        while (left_) {
            for (Item& item : items_) {
                if (item.done) continue;
                Status s = step(item);
                if (s.is(kEINPROGRESS)) continue;
                done(*item.stripe, s);
                finish(item);
            }
            if (left_ > 1) kapi_sleep_ns(kLookNs);
        }
    }

private:
    struct Item {
        Inode::Stripe* stripe = nullptr;
        Ref<Request> call;
        bool sent = false, done = false;
        unsigned refused = 0;  // for want of memory
    };
    Status step(Item& item);  // -EINPROGRESS: its OST cannot be reached, or has no memory
    Status try_once(Item& item);
    void finish(Item& item);
    void give_back_others();
    void give_back(Inode::Stripe& stripe);

    Inode::FileLayout& layout_;
    IoScope& scope_;
    Vec<Item> items_;
    size_t left_ = 0;
};

}  // namespace lull
