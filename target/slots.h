// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reply slots of one client (exactly once): of each slot the last request that changed
 * something is remembered, in memory with its encoded reply, on disk as a SlotRecord. A client has
 * one request at a time in a slot, with growing xids, so one is enough.
 */
#pragma once
#include "target/target.h"

namespace lull {

class Slots {
public:
    static constexpr uint16_t kCount = 16;

    enum class Seen {
        kNever,     // to be executed
        kAnswered,  // this very request: answer as before
        kPassed,    // the client has used the slot for a later one since
    };
    struct Answer {
        SlotRecord record;
        bool has_reply = false;  // else it was executed by an earlier instance: reconstruct
        Bytes reply;
    };
    // -EPROTO: no such slot; -ENOMEM.
    Result<Seen> look(uint16_t slot, uint64_t xid, Answer* out);
    // Makes room, so that put() cannot fail.
    Status prepare(uint16_t slot);
    // False: the slot holds a later request (a replayed open of long ago), keep that one.
    bool put(uint16_t slot, const SlotRecord& record, const Bytes* reply);
    void put_loaded(uint16_t slot, const SlotRecord& record);  // from disk, without its reply

private:
    using Table = Owned<Answer>[kCount];
    Guarded<Table> slots_{LockRank::kReply};
};

}  // namespace lull
