// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unlink and rmdir. The last name of a file moves it to PENDING; it is destroyed when nobody has it
 * open.
 */
#include "mdt/mdt.h"
#include "mdt/names.h"

namespace lull {

Status MdtService::unlink_steps(const MdsUnlinkOp& op, Object& parent, Object& object,
                                uint64_t transno, MdsUnlinkReply* reply)
{
    bool pending = false;
    TRY(store().unlink(parent, op.name, object, &pending));
    TRY(touch(parent, kAttrMtime | kAttrCtime, op.time_ns, transno));
    if (op.rmdir) return kOk;  // gone for good
    TRY(touch(object, kAttrCtime, op.time_ns, transno));
    if (pending) became_pending(object.fid(), transno);
    return fill_attr(object, &reply->object);
}

Status MdtService::unlink_again(ServerRequest& request, const MdsUnlinkOp& op, Object& parent,
                                const Fid& fid, uint64_t transno)
{
    TRY(touch_again(request, parent, kAttrMtime | kAttrCtime, op.time_ns, transno));
    if (!is_leaf(fid)) return kOk;
    return touch_again(request, *TRY(find(fid)), kAttrCtime, op.time_ns, transno);
}

Status MdtService::do_unlink(Ref<ServerRequest>& request)
{
    Owned<MdsUnlinkOp> op = make<MdsUnlinkOp>();
    if (!op) return -kENOMEM;
    TRY(request->decode(op.get()));
    TRY(check_name(op->name));
    OpLocks locks(target_, *request);
    TRY(locks.lock(op->parent));
    Ref<Object> parent = TRY(find_dir(op->parent));
    Result<Ref<Object>> found = store().lookup(*parent, op->name);
    if (!found.ok() && !found.is(kENOENT)) return found.status();

    // Done before? A replay says what it removed; a resend may have left a note.
    MdsUnlinkReply reply;
    reply.fid = request->is_replay() ? op->fid : Fid();
    bool done = is_done(*request, *parent);
    DoingRecord note;
    if (request->is_replay() && !done && found.ok() && !(found.value()->fid() == op->fid))
        return -kEOVERFLOW;
    if (request->is_replay() && !found.ok()) done = true;
    if (!done && find_doing(store(), *request, &note) &&
        (!found.ok() || !(found.value()->fid() == note.fid))) {
        done = true;
        reply.fid = note.fid;
    }
    if (!done && !found.ok()) return found.status();
    // A directory that is there is not what was removed, whatever a peer says.
    if (done && is_leaf(reply.fid)) TRY(locks.lock(reply.fid));
    Ref<Object> object;
    uint64_t before = request->version_before(0);
    if (!done) {
        object = found.value();
        bool is_dir = object->type() == KBFS_DIR;
        if (is_dir != op->rmdir) return is_dir ? -kEISDIR : -kENOTDIR;
        TRY(locks.lock(object->fid()));
        if (is_dir) TRY(is_empty_dir(*object));
        if (is_dir) TRY(identities_.note_removed(object->fid()));
        TRY(match_version(*request, *object, 0, &before));
        reply.fid = object->fid();
    }

    Transaction tx(target_, request);
    if (!begin_or_fail(tx)) return kOk;
    Status s;
    if (!done) s = note_doing(store(), *request, tx.transno(), reply.fid, Fid());
    if (!done && s.ok()) s = unlink_steps(*op, *parent, *object, tx.transno(), &reply);
    if (s.ok() && done) s = unlink_again(*request, *op, *parent, reply.fid, tx.transno());
    if (s.ok() && done) fill_if_there(reply.fid, &reply.object);
    tell_unused(*request, reply.fid, &reply.object);
    if (s.ok()) s = fill_attr(*parent, &reply.parent);
    if (!s.ok()) {
        tx.fail(s);
        return kOk;
    }
    tx.slot.fid = reply.fid;
    tx.slot.versions[0] = before;
    tx.reply(reply);
    return kOk;
}

}  // namespace lull
