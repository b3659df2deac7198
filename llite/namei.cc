// SPDX-License-Identifier: GPL-2.0-only
#include "llite/namei.h"

#include "llite/gated.h"

namespace lull {

// The gate is held until the grant is noted: what a drain gives back is all there is.
Result<Ref<Inode>> lookup(Inode& dir, Str name)
{
    Mount& mount = dir.mount;
    if (dir.is_gone()) return -kENOENT;
    TRY(dir.settle());
    mount.stats.lookups++;
    auto call = make_ref<Call<LdlmEnqueueOp>>();
    if (!call) return -kENOMEM;
    call->op.type = static_cast<uint8_t>(LockType::kIbits);
    call->op.mode = static_cast<uint8_t>(LockMode::kPR);
    call->op.policy = {0, UINT64_MAX, kIbitLookup | kIbitUpdate};
    call->op.intent = static_cast<uint8_t>(Intent::kLookup);
    call->op.fid = dir.fid;
    TRY(call->op.name.assign(name));
    call->admitted = true;
    Gate* gate = &mount.mdc().import().gate();
    uint64_t asked_at = 0;
    LockUse use;
    TRY(run_gated({&gate, 1}, [&]() -> Status {
        asked_at = mount.change_counter();
        return mount.mdc().locks().lock_intent(*call, &use);
    }));
    if (call->reply.intent_status < 0) return Status(call->reply.intent_status);
    Ref<Inode> inode = TRY(mount.inode(call->reply.object.fid));
    TRY(inode->adopt(call->reply.object, use, asked_at));
    return inode;
}

static Result<Ref<Call<MdsCreateOp>>> new_create(Inode& dir, Str name, const struct llc_create& how)
{
    auto call = make_ref<Call<MdsCreateOp>>();
    if (!call) return -kENOMEM;
    call->op.parent = dir.fid;
    TRY(call->op.name.assign(name));
    call->op.mode = how.mode;
    call->op.uid = how.uid;
    call->op.gid = how.gid;
    call->op.rdev = how.rdev;
    call->op.time_ns = kapi_realtime_ns();
    if (how.symlink_target) TRY(call->op.target.assign(Str(how.symlink_target)));
    call->admitted = true;
    return call;
}

// What was made and, before its answer could be made again, removed by another client.
static Attr removed_again(const struct llc_create& how)
{
    Attr a;
    a.valid = kAttrMode | kAttrUid | kAttrGid | kAttrNlink;
    a.mode = how.mode;
    a.uid = how.uid;
    a.gid = how.gid;
    a.rdev = how.rdev;
    return a;
}

Result<Ref<Inode>> create(Inode& dir, Str name, const struct llc_create& how)
{
    Mount& mount = dir.mount;
    Gate* gate = &mount.mdc().import().gate();
    Ref<Call<MdsCreateOp>> call;
    uint64_t asked_at = 0;
    Fid chosen;
    TRY(dir.settle());
    OwnChange change(&dir);
    TRY(run_gated({&gate, 1}, [&]() -> Status {
        asked_at = mount.change_counter();
        return with_new_fid(mount.mdc(), [&](const Fid& fid) -> Status {
            call = TRY(new_create(dir, name, how));
            call->op.fid = chosen = fid;
            change.is_made_by(*call);
            return mount.mdc().import().call(*call);
        });
    }));
    TRY(change.done(call->reply.parent));
    mount.stats.creates++;
    MdsGetattrReply& made = call->reply.object;
    if (!chosen.is_zero() && !(made.fid == chosen)) return -kEPROTO;
    if (!made.attr.valid) made.attr = removed_again(how);
    if ((made.attr.mode & kTypeMask) != (how.mode & kTypeMask)) return -kESTALE;
    Ref<Inode> inode = TRY(mount.inode(made.fid));
    TRY(inode->adopt(made, LockUse(), asked_at));
    return inode;
}

Status unlink(Inode& dir, Str name, bool rmdir, Inode* victim)
{
    TRY(dir.settle());
    if (victim) TRY(victim->settle());
    auto call = make_ref<Call<MdsUnlinkOp>>();
    if (!call) return -kENOMEM;
    call->op.parent = dir.fid;
    TRY(call->op.name.assign(name));
    call->op.rmdir = rmdir;
    call->op.time_ns = kapi_realtime_ns();
    OwnChange parent(&dir, call.get()), object(victim, call.get());
    TRY(dir.mount.mdc().import().call(*call));
    TRY(parent.done(call->reply.parent));
    if (victim && victim->fid == call->reply.fid) {
        TRY(object.done(call->reply.object));
        victim->name_removed(call->reply.object);
    } else if (Ref<Inode> other = dir.mount.find_inode(call->reply.fid))
        OwnChange changed(other.get());  // the name had become another object's
    return kOk;
}

Status link(Inode& inode, Inode& dir, Str name)
{
    TRY(inode.settle());
    TRY(dir.settle());
    auto call = make_ref<Call<MdsLinkOp>>();
    if (!call) return -kENOMEM;
    call->op.fid = inode.fid;
    call->op.parent = dir.fid;
    TRY(call->op.name.assign(name));
    call->op.time_ns = kapi_realtime_ns();
    OwnChange object(&inode, call.get()), parent(&dir, call.get());
    TRY(inode.mount.mdc().import().call(*call));
    TRY(object.done(call->reply.object));
    return parent.done(call->reply.parent);
}

Status rename(Inode& from_dir, Str from, Inode& to_dir, Str to, bool no_replace, Inode* moved,
              Inode* replaced)
{
    for (Inode* inode : {&from_dir, &to_dir, moved, replaced})
        if (inode) TRY(inode->settle());
    auto call = make_ref<Call<MdsRenameOp>>();
    if (!call) return -kENOMEM;
    call->op.from_parent = from_dir.fid;
    call->op.to_parent = to_dir.fid;
    TRY(call->op.from.assign(from));
    TRY(call->op.to.assign(to));
    call->op.no_replace = no_replace;
    call->op.time_ns = kapi_realtime_ns();
    bool two = &from_dir != &to_dir;
    Request* request = call.get();
    OwnChange old_parent(&from_dir, request), new_parent(two ? &to_dir : nullptr, request);
    OwnChange object(moved, request), gone(replaced == moved ? nullptr : replaced, request);
    TRY(from_dir.mount.mdc().import().call(*call));
    const MdsRenameReply& reply = call->reply;
    TRY(old_parent.done(two ? reply.from_parent : reply.to_parent));
    if (two) TRY(new_parent.done(reply.to_parent));
    if (moved && moved->fid == reply.fid) TRY(object.done(reply.object));
    if (replaced && replaced->fid == reply.replaced) {
        TRY(gone.done(reply.replaced_attr));
        replaced->name_removed(reply.replaced_attr);
    }
    return kOk;
}

Result<size_t> readlink(Inode& inode, char* out, size_t bytes)
{
    auto call = make_ref<Call<MdsReadlinkOp>>();
    if (!call) return -kENOMEM;
    call->op.fid = inode.fid;
    TRY(inode.mount.mdc().import().call(*call));
    Str target = call->reply.target;
    if (target.size() > bytes) return -kENAMETOOLONG;
    memcpy(out, target.data(), target.size());
    return target.size();
}

Status readdir(Inode& dir, uint64_t cookie, llc_emit emit, void* arg)
{
    TRY(dir.settle());
    for (;;) {
        auto call = make_ref<Call<MdsReaddirOp>>();
        if (!call) return -kENOMEM;
        call->op.fid = dir.fid;
        call->op.cookie = cookie;
        TRY(dir.mount.mdc().import().call(*call));
        for (const DirEntry& e : call->reply.entries) {
            if (!emit(arg, e.name.c_str(), e.name.size(), e.fid.flatten(), e.type, e.cookie))
                return kOk;
            cookie = e.cookie;
        }
        if (call->reply.end) return kOk;
        // neither entries nor the end: no progress
        if (call->reply.entries.empty()) return -kEPROTO;
    }
}

}  // namespace lull
