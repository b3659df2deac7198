// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/doing.h"

#include "target/slots.h"

namespace lull {

namespace {
Text<16> record_name(ServerRequest& request) { return text_format<16>("doing%u", request.slot()); }
}

Status note_doing(Store& store, ServerRequest& request, uint64_t transno, const Fid& fid,
                  const Fid& fid2)
{
    DoingRecord record{request.xid(), transno, fid, fid2};
    Encoder out(kProtocol2);
    record.io(out);
    TRY(out.status());
    return store.put_record(Store::Area::kClients, request.exp->client_uuid(),
                            record_name(request).c_str(), out.output());
}

namespace {

template <class Record>
Status look_at(Store& store, const UuidText& client, const char* kind, unsigned slot,
               uint64_t* highest)
{
    auto name = text_format<16>("%s%u", kind, slot);
    Result<Bytes> stored = store.get_record(Store::Area::kClients, client, name.c_str());
    if (stored.is(kENODATA) || stored.is(kENOENT)) return kOk;
    TRY(stored.status());
    Record record;
    Decoder in(kProtocol2, stored.value());
    record.io(in);
    if (in.finish().ok() && record.transno > *highest) *highest = record.transno;
    return kOk;
}

}  // namespace

Result<uint64_t> highest_survivor(Store& store)
{
    Vec<UuidText> clients;
    TRY(store.list_clients(&clients));
    uint64_t highest = 0;
    for (const UuidText& client : clients)
        for (unsigned slot = 0; slot < Slots::kCount; slot++) {
            TRY(look_at<DoingRecord>(store, client, "doing", slot, &highest));
            TRY(look_at<SlotRecord>(store, client, "slot", slot, &highest));
        }
    return highest;
}

bool find_doing(Store& store, ServerRequest& request, DoingRecord* out)
{
    if (!request.is_resend()) return false;
    Result<Bytes> stored = store.get_record(Store::Area::kClients, request.exp->client_uuid(),
                                            record_name(request).c_str());
    if (!stored.ok()) return false;
    Decoder in(kProtocol2, stored.value());
    out->io(in);
    return in.finish().ok() && out->xid == request.xid();
}

}  // namespace lull
