// SPDX-License-Identifier: GPL-2.0-only
#include "target/slots.h"

namespace lull {

Result<Slots::Seen> Slots::look(uint16_t slot, uint64_t xid, Answer* out)
{
    if (slot >= kCount) return -kEPROTO;
    auto table = slots_.lock();
    const Answer* known = (*table)[slot].get();
    if (!known || known->record.xid < xid) return Seen::kNever;
    if (known->record.xid > xid) return Seen::kPassed;
    out->record = known->record;
    out->has_reply = known->has_reply;
    TRY(out->reply.assign(known->reply.data(), known->reply.size()));
    return Seen::kAnswered;
}

Status Slots::prepare(uint16_t slot)
{
    if (slot >= kCount) return -kEPROTO;
    auto table = slots_.lock();
    if ((*table)[slot]) return kOk;
    (*table)[slot] = make<Answer>();
    return (*table)[slot] ? kOk : Status(-kENOMEM);
}

bool Slots::put(uint16_t slot, const SlotRecord& record, const Bytes* reply)
{
    LULL_ASSERT(slot < kCount);
    auto table = slots_.lock();
    Answer* answer = (*table)[slot].get();
    LULL_ASSERT(answer);
    if (answer->record.xid > record.xid) return false;
    answer->record = record;
    answer->reply.clear();
    // Without memory for the reply it is reconstructed when it is asked for.
    answer->has_reply = !reply || answer->reply.assign(reply->data(), reply->size()).ok();
    return true;
}

void Slots::put_loaded(uint16_t slot, const SlotRecord& record)
{
    LULL_ASSERT(slot < kCount);
    auto table = slots_.lock();
    LULL_ASSERT((*table)[slot]);
    (*table)[slot]->record = record;
    (*table)[slot]->has_reply = false;
}

}  // namespace lull
