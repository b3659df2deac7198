// SPDX-License-Identifier: GPL-2.0-only
#include "llite/stripe_calls.h"

#include "osc/osc.h"

namespace lull {

Status StripeCalls::add(Inode::Stripe& stripe, Ref<Request> call)
{
    if (!call) return -kENOMEM;
    Item item;
    item.stripe = &stripe;
    item.call = std::move(call);
    TRY(items_.push_back(std::move(item)));
    left_++;
    return kOk;
}

// The host has dropped its pages by now: what only lacks memory, here or there, is tried again.
Status StripeCalls::step(Item& item)
{
    Status s = try_once(item);
    if (!s.is(kENOMEM) || ++item.refused == kMemoryTries) return s;
    item.sent = false;
    kapi_sleep_ns(kLookNs);
    return -kEINPROGRESS;
}

// The last one has no gate but its own: it waits as long as it takes.
Status StripeCalls::try_once(Item& item)
{
    Import& import = item.stripe->osc->import();
    bool last = left_ == 1;
    Status s;
    if (!item.sent) {
        item.call->gives_way = !last;
        s = import.call(*item.call);
        item.sent = s.is(kEGiveWay) && item.call->track.state != Request::Track::State::kNew;
        return s.is(kEGiveWay) ? Status(-kEINPROGRESS) : s;
    }
    s = import.await(*item.call, last ? kForever : now_ns());
    return s.is(kETIMEDOUT) ? Status(-kEINPROGRESS) : s;
}

void StripeCalls::finish(Item& item)
{
    item.done = true;
    left_--;
    give_back(*item.stripe);
}

void StripeCalls::give_back_others()
{
    for (Inode::Stripe& stripe : layout_.stripes) {
        bool changes = false;
        for (const Item& item : items_) changes = changes || item.stripe == &stripe;
        if (!changes) give_back(stripe);
    }
}

// Several stripes may lie on one OST: its gate goes with the last of them.
void StripeCalls::give_back(Inode::Stripe& stripe)
{
    scope_.give_back(stripe);
    for (const Item& item : items_)
        if (!item.done && item.stripe->osc == stripe.osc) return;
    scope_.gates.leave(stripe.osc->import().gate());
}

}  // namespace lull
