// SPDX-License-Identifier: GPL-2.0-only
/*
 * Close. Exempt from the gate: a drain needs it. So it never fails for a lock: the attributes that
 * came with it are set without one when the server parks all waiters, which it does when no client
 * caches anything any more.
 */
#include "mdt/mdt.h"

namespace lull {

Status MdtService::do_close(Ref<ServerRequest>& request)
{
    Owned<MdsCloseOp> op = make<MdsCloseOp>();
    if (!op) return -kENOMEM;
    TRY(request->decode(op.get()));
    bool known = opens_.has(request->exp->client_uuid(), op->handle, op->fid);
    // A replay after the open was closed for good, or lost: nothing is left to do.
    if (!known && !request->is_replay() && !request->is_resend()) return -kESTALE;
    if (known) target_.note_progress(*request->exp);

    uint32_t times = op->attr.valid & (kAttrAtime | kAttrMtime | kAttrCtime);
    OpLocks locks(target_, *request);
    if (known && times) {
        Status s = locks.lock(op->fid, kIbitUpdate);
        if (!s.ok() && !s.is(kEPark) && !s.is(kETIMEDOUT)) return s;
    }
    Transaction tx(target_, request);
    if (!begin_or_fail(tx)) return kOk;
    if (known && times) {
        op->attr.valid = times;
        Result<Ref<Object>> object = find(op->fid);
        if (object.ok() && !is_done(*request, *object.value())) {
            // Nobody looks at the result of a close for this; the times of an unlinked file may be
            // lost.
            if (store().setattr(*object.value(), op->attr).ok())
                (void)bump_version(*object.value(), tx.transno());
        }
    }
    if (known) drop_open(*request, op->handle, tx.transno());
    tx.slot.fid = op->fid;
    tx.slot.handle = op->handle;
    Empty reply;
    tx.reply(reply);
    return kOk;
}

}  // namespace lull
