// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open, by name or by FID, with or without create. Replays come in two forms (S8): of an open that
 * is committed (the object must be there), and of one that is not (it may have to be made again,
 * with the layout its reply gave).
 */
#include "kapi/log.h"
#include "mdt/mdt.h"
#include "mdt/names.h"

namespace lull {

namespace {
constexpr unsigned kOpenTriesMax = 16;  // the name comes and goes between lookup and open
constexpr uint32_t kSlotCreated = 1;    // SlotRecord::extra
}

// Unique over all instances, as far as 2^32 opens of one go.
uint64_t MdtService::next_handle()
{
    return (target_.instance() << 32) | next_handle_.fetch_add(1);
}

Status MdtService::check_open(const MdsOpenOp& op, Object& object)
{
    if (object.type() == KBFS_SYMLINK) return -kELOOP;
    if (object.type() == KBFS_DIR && (op.flags & (kOpenWrite | kOpenTrunc | kOpenCreate)))
        return -kEISDIR;
    return kOk;
}

Status MdtService::add_open(ServerRequest& request, const MdsOpenOp& op, const Fid& fid,
                            uint64_t* handle)
{
    bool known = request.is_replay() && op.old_handle;
    ReservedOpen open{request.exp->client_uuid(), fid, known ? op.old_handle : next_handle(),
                      op.flags};
    TRY(opens_.add(open, request.is_replay() ? OpenTable::Kind::kKnown : OpenTable::Kind::kNew));
    *handle = open.handle;
    // Evicted meanwhile: whoever sweeps this client's opens may have been here already.
    if (!request.exp->is_dead()) return kOk;
    drop_open(request, open.handle, target_.last_transno());
    return -kEEvicted;
}

void MdtService::drop_open(ServerRequest& request, uint64_t handle, uint64_t transno)
{
    Fid fid;
    bool orphan = false;
    if (opens_.remove(request.exp->client_uuid(), handle, &fid, &orphan).ok() && orphan)
        destroyer_.add(fid, transno);
}

Status MdtService::do_open(Ref<ServerRequest>& request)
{
    Owned<MdsOpenOp> op = make<MdsOpenOp>();
    if (!op) return -kENOMEM;
    TRY(request->decode(op.get()));
    if (request->is_replay()) return open_replay(request, *op);
    if (op->flags & kOpenByFid) {
        Ref<Object> object = TRY(find(op->fid));
        Attr attr;
        TRY(store().getattr(*object, &attr));
        if (attr.nlink == 0 && !opens_.is_open_by(request->exp->client_uuid(), op->fid))
            return -kESTALE;
        return open_existing(request, *op, *object, false, nullptr);
    }
    TRY(check_name(op->name));
    for (unsigned i = 0; i < kOpenTriesMax; i++) {
        Ref<Object> parent = TRY(find_dir(op->parent));
        Result<Ref<Object>> object = store().lookup(*parent, op->name);
        if (!object.ok() && !object.is(kENOENT)) return object.status();
        bool mine = object.ok() && (op->flags & kOpenCreate) &&
                    made_by(*request, op->fid, object.value()->fid());
        if (object.ok() && (op->flags & kOpenCreate) && (op->flags & kOpenExcl) && !mine)
            return -kEEXIST;
        bool again = false;
        Status s;
        if (object.ok()) {
            s = open_existing(request, *op, *object.value(), mine, mine ? parent.get() : nullptr);
            again = s.is(kESTALE);
        } else {
            if (!(op->flags & kOpenCreate)) return -kENOENT;
            s = open_create(request, *op, &again);
        }
        if (!again) return s;
    }
    return -kEBUSY;
}

// Also the end of a replay. parent: tell its attributes, too.
Status MdtService::open_existing(Ref<ServerRequest>& request, const MdsOpenOp& op, Object& object,
                                 bool created, Object* parent)
{
    TRY(check_open(op, object));
    MdsOpenReply reply;
    reply.created = created;
    TRY(fill(object, &reply.object));
    if (parent) TRY(fill_attr(*parent, &reply.parent));
    TRY(add_open(*request, op, object.fid(), &reply.handle));
    if (request->flags() & kRpcReplayOpen) {  // committed long ago: no transaction
        request->set_transno(request->replay_transno());
        request->reply(reply);
        return kOk;
    }
    Transaction tx(target_, request);
    if (!begin_or_fail(tx)) {
        drop_open(*request, reply.handle, target_.last_transno());
        return kOk;
    }
    tx.slot.fid = object.fid();
    tx.slot.handle = reply.handle;
    tx.slot.extra = created ? kSlotCreated : 0;
    tx.reply(reply);
    return kOk;
}

// *exists: somebody else made it meanwhile.
Status MdtService::open_create(Ref<ServerRequest>& request, const MdsOpenOp& op, bool* exists)
{
    if (!op.layout.is_set()) TRY(osts_.wait_known());
    OpLocks locks(target_, *request);
    TRY(locks.lock(op.parent));
    Ref<Object> parent = TRY(find_dir(op.parent));
    Result<Ref<Object>> found = store().lookup(*parent, op.name);
    *exists = found.ok();
    if (found.ok()) return request->is_replay() ? Status(-kEEXIST) : kOk;
    if (!found.is(kENOENT)) return found.status();
    Owned<NewObject> what = make<NewObject>();
    if (!what) return -kENOMEM;
    what->mode = KBFS_FILE | (op.mode & 07777);
    what->uid = op.uid;
    what->gid = op.gid;
    what->time_ns = op.time_ns;
    TRY(plan(*request, *parent, op.fid, op.layout, what.get()));
    // First the handle: it can fail, and undoing a create cannot be.
    MdsOpenReply reply;
    TRY(add_open(*request, op, what->fid, &reply.handle));

    Transaction tx(target_, request);
    if (!begin_or_fail(tx)) {
        drop_open(*request, reply.handle, target_.last_transno());
        return kOk;
    }
    Result<Ref<Object>> made = make_object(*parent, op.name, *what, tx.transno());
    Status s = made.status();
    reply.created = true;
    if (s.ok()) s = fill(*made.value(), &reply.object);
    if (s.ok()) s = fill_attr(*parent, &reply.parent);
    if (!s.ok()) {
        drop_open(*request, reply.handle, tx.transno());
        tx.fail(s);
        return kOk;
    }
    tx.slot.fid = what->fid;
    tx.slot.handle = reply.handle;
    tx.slot.extra = kSlotCreated;
    tx.reply(reply);
    return kOk;
}

Status MdtService::open_replay(Ref<ServerRequest>& request, const MdsOpenOp& op)
{
    Result<Ref<Object>> object = find(op.fid);
    if (object.ok()) return open_existing(request, op, *object.value(), op.was_created, nullptr);
    if (object.is(kESTALE) && op.was_created && !(request->flags() & kRpcReplayOpen)) {
        bool exists = false;
        TRY(check_name(op.name));
        return open_create(request, op, &exists);
    }
    log_err("%s: an open of " FID_FMT " by client %s cannot be re-established: error %d",
            target_.target_name().c_str(), FID_ARG(op.fid), request->exp->client_uuid().c_str(),
            object.error());
    return object.status();
}

}  // namespace lull
