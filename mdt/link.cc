// SPDX-License-Identifier: GPL-2.0-only
/* A further name of a file. */
#include "mdt/mdt.h"
#include "mdt/names.h"

namespace lull {

Status MdtService::do_link(Ref<ServerRequest>& request)
{
    Owned<MdsLinkOp> op = make<MdsLinkOp>();
    if (!op) return -kENOMEM;
    TRY(request->decode(op.get()));
    TRY(check_name(op->name));
    OpLocks locks(target_, *request);
    TRY(locks.lock(op->parent));
    Ref<Object> parent = TRY(find_dir(op->parent));
    // A directory is no leaf of the order of locks; no FID ever changes its type.
    if (Result<Ref<Object>> o = find(op->fid); o.ok() && o.value()->type() == KBFS_DIR)
        return -kEPERM;
    TRY(locks.lock(op->fid));
    bool done = is_done(*request, *parent);
    Result<Ref<Object>> object = find(op->fid);
    if (!object.ok() && !done) return object.status();
    if (!done) {
        Attr attr;
        TRY(store().getattr(*object.value(), &attr));
        Result<Ref<Object>> found = store().lookup(*parent, op->name);
        if (!found.ok() && !found.is(kENOENT)) return found.status();
        // The name for the same file, in a request that was sent before: made by itself.
        done = found.ok() && found.value()->fid() == op->fid &&
               (request->is_replay() || request->is_resend());
        if (found.ok() && !done) return -kEEXIST;
        if (attr.nlink == 0) return -kENOENT;  // unlinked, only open
    }
    uint64_t before = request->version_before(0);
    if (object.ok() && !done) TRY(match_version(*request, *object.value(), 0, &before));

    Transaction tx(target_, request);
    if (!begin_or_fail(tx)) return kOk;
    Status s;
    if (!done) {
        s = store().link(*object.value(), *parent, op->name);
        if (s.ok()) s = touch(*parent, kAttrMtime | kAttrCtime, op->time_ns, tx.transno());
        if (s.ok()) s = touch(*object.value(), kAttrCtime, op->time_ns, tx.transno());
    }
    if (done)
        s = touch_again(*request, *parent, kAttrMtime | kAttrCtime, op->time_ns, tx.transno());
    if (done && s.ok() && object.ok())
        s = touch_again(*request, *object.value(), kAttrCtime, op->time_ns, tx.transno());
    MdsLinkReply reply;
    if (s.ok()) s = fill_attr(*parent, &reply.parent);
    if (s.ok() && object.ok()) s = fill_attr(*object.value(), &reply.object);
    if (!s.ok()) {
        tx.fail(s);
        return kOk;
    }
    tx.slot.fid = op->fid;
    tx.slot.versions[0] = before;
    tx.reply(reply);
    return kOk;
}

}  // namespace lull
