// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/persistent_counter.h"

#include "include/lull/le.h"

namespace lull {

Status PersistentCounter::load()
{
    auto s = state_.lock();
    uint64_t from = first_;
    Result<Bytes> stored = store_.get_record(Store::Area::kServer, "", record_);
    if (stored.ok()) {
        if (stored.value().size() != sizeof(le64)) return -kEPROTO;
        le64 value;
        memcpy(&value, stored.value().data(), sizeof value);
        if (value > from) from = value;
    } else if (!stored.is(kENODATA) && !stored.is(kENOENT)) {
        return stored.status();
    }
    return reserve_locked(*s, from);
}

// The state's lock is held: whoever needs a number meanwhile has to wait for the block anyway.
Status PersistentCounter::reserve_locked(State& s, uint64_t from)
{
    le64 value = from + block_;
    TRY(store_.put_record(Store::Area::kServer, "", record_,
                          {reinterpret_cast<const uint8_t*>(&value), sizeof value}));
    s.next = from;
    s.end = from + block_;
    return kOk;
}

Result<uint64_t> PersistentCounter::next()
{
    auto s = state_.lock();
    if (s->end == 0) return -kEIO;  // never loaded
    if (s->next == s->end) {
        State before = *s;
        Status status = reserve_locked(*s, s->end);
        if (status.ok()) status = store_.sync();
        if (!status.ok()) {
            *s = before;
            return status;
        }
    }
    return s->next++;
}

uint64_t PersistentCounter::upper() const
{
    auto s = state_.lock();
    return s->next;
}

}  // namespace lull
