// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the disk knows of a client, CLIENTS/<uuid>: "client", written and synced before its first
 * connect is answered, and "slot<N>". They go when it disconnects or is evicted. Who has a record
 * is expected back after a restart (A13, R3, T3).
 */
#pragma once
#include "target/slots.h"

namespace lull {

struct ClientRecord {
    static constexpr uint32_t kFormat = 2;
    uint32_t format = kFormat;
    Text<65> nodename;
    uint32_t flags = 0;          // ConnectFlags
    uint64_t instance = 0;       // of the target, at its first connect
    uint64_t import_cookie = 0;  // which life of the client this is
    template <class Io> void io(Io& x)
    {
        x.u32(format);
        x.text(nodename);
        x.u32(flags);
        x.u64(instance);
        x.u64(import_cookie);
    }
};

Status write_client_record(Store& store, const UuidText& client, const ClientRecord& record);
Result<ClientRecord> read_client_record(Store& store, const UuidText& client);

Status write_slot(Store& store, const UuidText& client, uint16_t slot, const SlotRecord& record);
// Every slot on disk into memory, without replies. Damaged ones are an error.
Status load_slots(Store& store, const UuidText& client, Slots* slots);

}  // namespace lull
