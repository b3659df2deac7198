// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/doing.h"

namespace lull {

namespace {
Text<16> record_name(ServerRequest& request) { return text_format<16>("doing%u", request.slot()); }
}

Status note_doing(Store& store, ServerRequest& request, uint64_t transno, const Fid& fid, const Fid& fid2)
{
    DoingRecord record{request.xid(), transno, fid, fid2};
    Encoder out(kProtocol2);
    record.io(out);
    TRY(out.status());
    return store.put_record(Store::Area::kClients, request.exp->client_uuid(), record_name(request).c_str(), out.output());
}

bool find_doing(Store& store, ServerRequest& request, DoingRecord* out)
{
    if (!request.is_resend()) return false;
    Result<Bytes> stored = store.get_record(Store::Area::kClients, request.exp->client_uuid(), record_name(request).c_str());
    if (!stored.ok()) return false;
    Decoder in(kProtocol2, stored.value());
    out->io(in);
    return in.finish().ok() && out->xid == request.xid();
}

}  // namespace lull
