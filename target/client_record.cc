// SPDX-License-Identifier: GPL-2.0-only
#include "target/client_record.h"

namespace lull {

namespace {
Text<8> slot_name(uint16_t slot) { return text_format<8>("slot%u", static_cast<unsigned>(slot)); }
}  // namespace

Status write_client_record(Store& store, const UuidText& client, const ClientRecord& record)
{
    ClientRecord copy = record;
    Encoder out(kProtocol2);
    copy.io(out);
    TRY(out.status());
    return store.put_record(Store::Area::kClients, client, "client", out.output());
}

Result<ClientRecord> read_client_record(Store& store, const UuidText& client)
{
    Bytes raw = TRY(store.get_record(Store::Area::kClients, client, "client"));
    ClientRecord record;
    Decoder in(kProtocol2, raw);
    record.io(in);
    if (!in.finish().ok() || record.format != ClientRecord::kFormat) return -kEIO;
    return record;
}

Status write_slot(Store& store, const UuidText& client, uint16_t slot, const SlotRecord& record)
{
    SlotRecord copy = record;
    Encoder out(kProtocol2);
    copy.io(out);
    TRY(out.status());
    return store.put_record(Store::Area::kClients, client, slot_name(slot).c_str(), out.output());
}

Status load_slots(Store& store, const UuidText& client, Slots* slots)
{
    for (uint16_t i = 0; i < Slots::kCount; i++) {
        auto raw = store.get_record(Store::Area::kClients, client, slot_name(i).c_str());
        if (raw.is(kENODATA)) continue;
        TRY(raw.status());
        SlotRecord record;
        Decoder in(kProtocol2, raw.value());
        record.io(in);
        if (!in.finish().ok()) return -kEIO;
        TRY(slots->prepare(i));
        slots->put_loaded(i, record);
    }
    return kOk;
}

}  // namespace lull
