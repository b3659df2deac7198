// SPDX-License-Identifier: GPL-2.0-only
/* Attributes of an object (not the size of a regular file), default layout of a directory. */
#include "mdt/mdt.h"

namespace lull {

namespace {

constexpr uint32_t kPermissions = 07777, kSetUid = 04000, kSetGid = 02000, kGroupExec = 010;

// Who writes to a file or gives it away takes its set-id bits, of the mode that it has by now.
void kill_set_ids(Attr& a, uint32_t mode, bool is_dir)
{
    if (is_dir || !(a.valid & (kAttrKillSuid | kAttrKillSgid))) return;
    if (a.valid & kAttrMode) mode = a.mode;
    uint32_t left = mode;
    if (a.valid & kAttrKillSuid) left &= mode & kGroupExec ? ~(kSetUid | kSetGid) : ~kSetUid;
    if (a.valid & kAttrKillSgid) left &= ~kSetGid;
    if (left == mode) return;
    a.valid |= kAttrMode;
    a.mode = left;
}

// What a client may set, with "now" replaced by this server's time.
Attr settable(const Attr& wanted, uint32_t mode, bool is_dir)
{
    Attr a = wanted;
    kill_set_ids(a, mode, is_dir);
    uint64_t now = kapi_realtime_ns();
    if (a.valid & kAttrAtimeNow) a.valid |= kAttrAtime, a.atime_ns = now;
    if (a.valid & kAttrMtimeNow) a.valid |= kAttrMtime, a.mtime_ns = now;
    a.valid &= kAttrMode | kAttrUid | kAttrGid | kAttrAtime | kAttrMtime | kAttrCtime;
    a.mode &= kPermissions;
    return a;
}

}  // namespace

Status MdtService::do_setattr(Ref<ServerRequest>& request)
{
    Owned<MdsSetattrOp> op = make<MdsSetattrOp>();
    if (!op) return -kENOMEM;
    TRY(request->decode(op.get()));
    if (op->attr.valid & kAttrSize) return -kEINVAL;  // OstPunch
    OpLocks locks(target_, *request);
    TRY(locks.lock(op->fid, kIbitLookup | kIbitUpdate));
    Ref<Object> object = TRY(find(op->fid));
    bool done = is_done(*request, *object);
    uint64_t before;
    TRY(match_version(*request, *object, 0, &before));
    Attr now;
    TRY(store().getattr(*object, &now));
    Attr attr = settable(op->attr, now.mode, object->type() == KBFS_DIR);
    attr.mode |= object->type();

    Transaction tx(target_, request);
    if (!begin_or_fail(tx)) return kOk;
    Status s;
    if (!done) s = store().setattr(*object, attr);
    if (!done && s.ok()) s = bump_version(*object, tx.transno());
    MdsSetattrReply reply;
    if (s.ok()) s = fill_attr(*object, &reply.attr);
    if (!s.ok()) {
        tx.fail(s);
        return kOk;
    }
    tx.slot.fid = op->fid;
    tx.slot.versions[0] = before;
    tx.reply(reply);
    return kOk;
}

Status MdtService::do_set_layout(Ref<ServerRequest>& request)
{
    Owned<MdsSetLayoutOp> op = make<MdsSetLayoutOp>();
    if (!op) return -kENOMEM;
    TRY(request->decode(op.get()));
    TRY(check_default_layout(op->layout));
    if (!op->layout.is_set()) op->layout = Layout();
    OpLocks locks(target_, *request);
    TRY(locks.lock(op->fid, kIbitUpdate | kIbitLayout));
    Ref<Object> dir = TRY(find_dir(op->fid));
    bool done = is_done(*request, *dir);

    Transaction tx(target_, request);
    if (!begin_or_fail(tx)) return kOk;
    Status s;
    if (!done) s = store().set_layout(*dir, op->layout);
    if (!done && s.ok()) s = bump_version(*dir, tx.transno());
    if (!s.ok()) {
        tx.fail(s);
        return kOk;
    }
    tx.slot.fid = op->fid;
    Empty reply;
    tx.reply(reply);
    return kOk;
}

}  // namespace lull
