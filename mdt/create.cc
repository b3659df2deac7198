// SPDX-License-Identifier: GPL-2.0-only
/* Create: directories, symlinks, devices and such; and what open shares with it. */
#include "kapi/log.h"
#include "mdt/mdt.h"
#include "mdt/names.h"

namespace lull {

namespace {

constexpr uint32_t kTypeMask = 0170000, kSetGid = 02000, kPermissions = 07777;
constexpr uint32_t kFifo = 0010000, kChar = 0020000, kBlock = 0060000, kSocket = 0140000;

Status check_type(const MdsCreateOp& op)
{
    switch (op.mode & kTypeMask) {
    case KBFS_SYMLINK: return op.target.empty() ? Status(-kENOENT) : kOk;
    case KBFS_FILE:
    case KBFS_DIR:
    case kFifo:
    case kChar:
    case kBlock:
    case kSocket: return kOk;
    default: return -kEINVAL;
    }
}

}  // namespace

bool MdtService::made_by(ServerRequest& request, const Fid& chosen, const Fid& found)
{
    if (!request.is_replay() && !request.is_resend()) return false;
    if (!chosen.is_zero()) return chosen == found;
    return found.is_igif() &&
           found.oid == Identities::generation_of(request.exp->client_uuid(), request.xid());
}

// A FID names one object, and the client that has been granted its sequence makes it.
Status MdtService::take_identity(ServerRequest& request, const Fid& chosen, NewObject* out)
{
    if (chosen.is_zero()) {
        out->fid = TRY(identities_.next_igif(
            Identities::generation_of(request.exp->client_uuid(), request.xid())));
        return kOk;
    }
    out->fid = chosen;
    Status s = identities_.claim(request, chosen, &out->claim);
    if (s.ok() && store().find(chosen).ok()) s = -kEEXIST;
    if (s.is(kEINVAL) || s.is(kEEXIST))
        log_warn("%s: client %s may not make " FID_FMT ": %s", target_.target_name().c_str(),
                 request.exp->client_uuid().c_str(), FID_ARG(chosen),
                 s.is(kEEXIST) ? "it was used before" : "its sequence was not granted to it");
    return s;
}

Status MdtService::plan(ServerRequest& request, Object& parent, const Fid& chosen,
                        const Layout& replayed, NewObject* out)
{
    if (replayed.is_set() && !request.is_replay()) return -kEINVAL;
    TRY(take_identity(request, chosen, out));
    Attr attr;
    TRY(store().getattr(parent, &attr));
    if (attr.mode & kSetGid) {
        out->gid = attr.gid;
        if ((out->mode & kTypeMask) == KBFS_DIR) out->mode |= kSetGid;
    }
    return plan_layout(parent, replayed, out);
}

Status MdtService::plan_layout(Object& parent, const Layout& replayed, NewObject* out)
{
    uint32_t type = out->mode & kTypeMask;
    if (type != KBFS_FILE && type != KBFS_DIR) return kOk;
    if (replayed.is_set()) {
        TRY(type == KBFS_FILE ? identities_.check_stripes(replayed)
                              : check_default_layout(replayed));
        return out->layout.copy_from(replayed);
    }
    Layout of_parent;
    TRY(store().get_layout(parent, &of_parent));
    if (type == KBFS_DIR) return out->layout.copy_from(of_parent);  // inherited
    Vec<OstSpace> osts;
    TRY(osts_.for_new_objects(&osts));
    if (osts.empty()) return -kENOSPC;  // an administrator wants it so
    Layout wanted = effective_default(of_parent, stripe_bytes_, stripe_count_);
    return place_stripes(wanted, osts, next_turn_.fetch_add(1), qos_threshold_rr_, &out->layout);
}

Status MdtService::name_stripes(NewObject* what)
{
    for (StripeObject& stripe : what->layout.objects)
        if (stripe.fid.is_zero()) stripe.fid = TRY(identities_.next_stripe(stripe.ost_index));
    return kOk;
}

Result<Ref<Object>> MdtService::make_object(Object& parent, Str name, NewObject& what,
                                            uint64_t transno)
{
    TRY(name_stripes(&what));
    CreateSpec spec;
    spec.fid = what.fid;
    spec.mode = what.mode & (kTypeMask | kPermissions);
    spec.uid = what.uid;
    spec.gid = what.gid;
    spec.rdev = what.rdev;
    spec.time_ns = what.time_ns;
    spec.transno = transno;
    spec.symlink_target = what.symlink_target;
    spec.layout = what.layout.is_set() ? &what.layout : nullptr;
    Ref<Object> object = TRY(store().create(parent, name, spec));
    what.claim.keep();
    TRY(touch(parent, kAttrMtime | kAttrCtime, what.time_ns, transno));
    return object;
}

Status MdtService::do_create(Ref<ServerRequest>& request)
{
    Owned<MdsCreateOp> op = make<MdsCreateOp>();
    if (!op) return -kENOMEM;
    TRY(request->decode(op.get()));
    TRY(check_name(op->name));
    TRY(check_type(*op));
    bool needs_ost = (op->mode & kTypeMask) == KBFS_FILE && !op->layout.is_set();
    if (needs_ost) TRY(osts_.wait_known());

    OpLocks locks(target_, *request);
    TRY(locks.lock(op->parent));
    Ref<Object> parent = TRY(find_dir(op->parent));
    Result<Ref<Object>> found = store().lookup(*parent, op->name);
    if (!found.ok() && !found.is(kENOENT)) return found.status();
    Ref<Object> object;
    bool done = is_done(*request, *parent) || (request->is_replay() && find(op->fid).ok());
    if (done) {  // and perhaps removed or moved since
        if (Result<Ref<Object>> made = find(op->fid); made.ok()) object = made.value();
    } else if (found.ok()) {
        if (!made_by(*request, op->fid, found.value()->fid())) return -kEEXIST;
        object = found.value();
        done = true;
    }
    Owned<NewObject> what = make<NewObject>();
    if (!what) return -kENOMEM;
    if (!done) {
        what->mode = op->mode;
        what->uid = op->uid;
        what->gid = op->gid;
        what->rdev = op->rdev;
        what->time_ns = op->time_ns;
        what->symlink_target = op->target;
        TRY(plan(*request, *parent, op->fid, op->layout, what.get()));
    }

    Transaction tx(target_, request);
    if (!begin_or_fail(tx)) return kOk;
    MdsCreateReply reply;
    reply.object.fid = op->fid;
    Status s;
    if (!done) {
        Result<Ref<Object>> made = make_object(*parent, op->name, *what, tx.transno());
        s = made.status();
        if (made.ok()) object = made.value();
    }
    if (s.ok() && object) s = fill(*object, &reply.object);
    if (s.ok()) s = fill_attr(*parent, &reply.parent);
    if (!s.ok()) {
        tx.fail(s);
        return kOk;
    }
    tx.slot.fid = reply.object.fid;
    tx.reply(reply);
    return kOk;
}

}  // namespace lull
