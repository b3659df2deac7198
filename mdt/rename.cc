// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rename. Locks: both parents, ancestor first, then what is moved and replaced. Renames between
 * directories, and those that replace a directory, go one at a time (the token): only they take
 * locks on unrelated parts of the tree, where no order by depth exists, so that without them no
 * circle of waiters can form; and the tree above the parents stands still while they look at it.
 * The token is a lock like any other, so that waiting for it ends when the server parks its
 * waiters.
 */
#include "mdt/mdt.h"
#include "mdt/names.h"

namespace lull {

struct MdtService::RenamePlan {
    Ref<Object> from, to;  // directories; the same object perhaps
    Ref<Object> moved, replaced;
    bool done = false;  // nothing (more) is to be done
    DoingRecord note;
    uint64_t versions[kVersionsMax] = {};  // of moved and replaced, before
};

namespace {
bool is_dir(const Ref<Object>& o) { return o && o->type() == KBFS_DIR; }
}

Status MdtService::lock_parents(const MdsRenameOp& op, OpLocks& locks)
{
    if (op.from_parent == op.to_parent) return locks.lock(op.from_parent);
    Ref<Object> from = TRY(find_dir(op.from_parent));
    Ref<Object> to = TRY(find_dir(op.to_parent));
    bool from_first = store().is_ancestor(*from, *to) ||
                      (!store().is_ancestor(*to, *from) && op.from_parent < op.to_parent);
    from.reset();
    to.reset();
    TRY(locks.lock(from_first ? op.from_parent : op.to_parent));
    return locks.lock(from_first ? op.to_parent : op.from_parent);
}

// Under the parents' locks: what the names are, and whether this very request was executed before.
Status MdtService::rename_find(ServerRequest& request, const MdsRenameOp& op, RenamePlan* plan)
{
    plan->from = TRY(find_dir(op.from_parent));
    plan->to = TRY(find_dir(op.to_parent));
    Result<Ref<Object>> from = store().lookup(*plan->from, op.from);
    if (!from.ok() && !from.is(kENOENT)) return from.status();
    Result<Ref<Object>> to = store().lookup(*plan->to, op.to);
    if (!to.ok() && !to.is(kENOENT)) return to.status();
    auto is_moved_from = [&](const Fid& fid) {
        return !from.ok() || !(from.value()->fid() == fid);
    };

    plan->done = is_done(request, *plan->from) || is_done(request, *plan->to);
    if (!plan->done && request.is_replay()) {
        Fid at_target = to.ok() ? to.value()->fid() : Fid();
        plan->done = is_moved_from(op.fid) && at_target == op.fid;
        // The names are not what they were.
        if (!plan->done && (is_moved_from(op.fid) || !(at_target == op.replaced)))
            return -kEOVERFLOW;
    }
    if (plan->done) {
        plan->note.fid = op.fid;
        plan->note.fid2 = op.replaced;
    } else if (find_doing(store(), request, &plan->note)) {
        plan->done = is_moved_from(plan->note.fid);
    }
    if (plan->done) {
        if (Result<Ref<Object>> o = find(plan->note.fid); o.ok()) plan->moved = o.value();
        if (Result<Ref<Object>> o = find(plan->note.fid2); o.ok()) plan->replaced = o.value();
        return kOk;
    }
    if (!from.ok()) return from.status();
    plan->moved = from.value();
    if (to.ok()) plan->replaced = to.value();
    return kOk;
}

Status MdtService::lock_objects(RenamePlan& plan, OpLocks& locks)
{
    Object *first = plan.moved.get(), *second = plan.replaced.get();
    if (first && second && second->fid() < first->fid()) std::swap(first, second);
    if (first) TRY(locks.lock(first->fid()));
    return second && second != first ? locks.lock(second->fid()) : kOk;
}

Status MdtService::rename_check(const MdsRenameOp& op, const RenamePlan& plan)
{
    if (op.no_replace && plan.replaced) return -kEEXIST;
    if (plan.from != plan.to && is_dir(plan.moved) && store().is_ancestor(*plan.moved, *plan.to))
        return -kEINVAL;
    if (!plan.replaced || plan.replaced == plan.moved) return kOk;
    if (plan.from != plan.to && is_dir(plan.replaced) &&
        store().is_ancestor(*plan.replaced, *plan.from))
        return -kENOTEMPTY;
    if (is_dir(plan.moved) && !is_dir(plan.replaced)) return -kENOTDIR;
    if (!is_dir(plan.moved) && is_dir(plan.replaced)) return -kEISDIR;
    return kOk;
}

Status MdtService::rename_steps(const MdsRenameOp& op, RenamePlan& plan, uint64_t transno,
                                bool* pending)
{
    TRY(store().rename(*plan.from, op.from, *plan.to, op.to, *plan.moved, plan.replaced.get(),
                       pending));
    TRY(touch(*plan.from, kAttrMtime | kAttrCtime, op.time_ns, transno));
    if (plan.from != plan.to) TRY(touch(*plan.to, kAttrMtime | kAttrCtime, op.time_ns, transno));
    TRY(touch(*plan.moved, kAttrCtime, op.time_ns, transno));
    if (plan.replaced && !is_dir(plan.replaced))
        TRY(touch(*plan.replaced, kAttrCtime, op.time_ns, transno));
    if (*pending) became_pending(plan.replaced->fid(), transno);
    return kOk;
}

// Nothing happens, but a replay has to see that it was executed: what is done to these names later
// may be in the store by then.
Status MdtService::rename_nothing(RenamePlan& plan, uint64_t transno)
{
    TRY(bump_version(*plan.from, transno));
    return plan.from != plan.to ? bump_version(*plan.to, transno) : kOk;
}

Status MdtService::rename_again(ServerRequest& request, const MdsRenameOp& op, RenamePlan& plan,
                                uint64_t transno)
{
    if (plan.moved && plan.moved == plan.replaced) return kOk;  // nothing has happened
    TRY(touch_again(request, *plan.from, kAttrMtime | kAttrCtime, op.time_ns, transno));
    if (plan.from != plan.to)
        TRY(touch_again(request, *plan.to, kAttrMtime | kAttrCtime, op.time_ns, transno));
    if (plan.moved) TRY(touch_again(request, *plan.moved, kAttrCtime, op.time_ns, transno));
    if (plan.replaced && !is_dir(plan.replaced))
        TRY(touch_again(request, *plan.replaced, kAttrCtime, op.time_ns, transno));
    return kOk;
}

Status MdtService::rename_fill(RenamePlan& plan, MdsRenameReply* reply)
{
    TRY(fill_attr(*plan.from, &reply->from_parent));
    TRY(fill_attr(*plan.to, &reply->to_parent));
    reply->fid = plan.moved ? plan.moved->fid() : plan.note.fid;
    if (plan.moved) TRY(fill_attr(*plan.moved, &reply->object));
    reply->replaced = plan.replaced ? plan.replaced->fid() : plan.note.fid2;
    if (plan.replaced && !is_dir(plan.replaced))
        TRY(fill_attr(*plan.replaced, &reply->replaced_attr));
    return kOk;
}

Status MdtService::do_rename(Ref<ServerRequest>& request)
{
    Owned<MdsRenameOp> op = make<MdsRenameOp>();
    Owned<RenamePlan> plan = make<RenamePlan>();
    Owned<MdsRenameReply> reply = make<MdsRenameReply>();
    if (!op || !plan || !reply) return -kENOMEM;
    TRY(request->decode(op.get()));
    TRY(check_name(op->from));
    TRY(check_name(op->to));

    OpLocks locks(target_, *request);
    bool token = !(op->from_parent == op->to_parent);
    for (;;) {
        if (token) TRY(locks.lock_rename_token());
        TRY(lock_parents(*op, locks));
        TRY(rename_find(*request, *op, plan.get()));
        if (token || plan->done || !is_dir(plan->replaced)) break;
        locks.release();  // replaces a directory: again, with the token
        *plan = RenamePlan();
        token = true;
    }
    bool nothing = plan->done;
    if (!plan->done) {
        TRY(rename_check(*op, *plan));
        // Two names of one file, or the same name: POSIX wants nothing to happen.
        nothing = plan->moved == plan->replaced;
    }
    for (unsigned i = 0; i < kVersionsMax; i++) plan->versions[i] = request->version_before(i);
    if (!nothing || plan->done) TRY(lock_objects(*plan, locks));
    if (!nothing) {
        if (is_dir(plan->replaced)) TRY(is_empty_dir(*plan->replaced));
        if (is_dir(plan->replaced)) TRY(identities_.note_removed(plan->replaced->fid()));
        TRY(match_version(*request, *plan->moved, 0, &plan->versions[0]));
        if (plan->replaced) TRY(match_version(*request, *plan->replaced, 1, &plan->versions[1]));
    }

    Transaction tx(target_, request);
    if (!begin_or_fail(tx)) return kOk;
    Status s;
    bool pending = false;
    if (!nothing)
        s = note_doing(store(), *request, tx.transno(), plan->moved->fid(),
                       plan->replaced ? plan->replaced->fid() : Fid());
    if (!nothing && s.ok()) s = rename_steps(*op, *plan, tx.transno(), &pending);
    if (nothing && !plan->done) s = rename_nothing(*plan, tx.transno());
    if (plan->done) s = rename_again(*request, *op, *plan, tx.transno());
    if (s.ok()) s = rename_fill(*plan, reply.get());
    tell_unused(*request, reply->replaced, &reply->replaced_attr);
    if (!s.ok()) {
        tx.fail(s);
        return kOk;
    }
    tx.slot.fid = reply->fid;
    tx.slot.fid2 = reply->replaced;
    for (unsigned i = 0; i < kVersionsMax; i++) tx.slot.versions[i] = plan->versions[i];
    tx.reply(*reply);
    return kOk;
}

}  // namespace lull
