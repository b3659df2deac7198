// SPDX-License-Identifier: GPL-2.0-only
// A client's enqueue: resolve the name (intent), find a place among the locks, and, now or later,
// answer.
#include "ldlm/server_impl.h"

namespace lull {

namespace {

Status check_op(const ServerRequest& request, LdlmEnqueueOp& op)
{
    TRY(check_terms(op.type, op.mode, op.policy));
    bool active = op.resource == ResourceId::active_server_lock();
    if (op.client_handle == 0 || op.intent > static_cast<uint8_t>(Intent::kLookup)) return -kEINVAL;
    if (request.opcode() == Opcode::kActiveEnqueue) {
        auto mode = static_cast<LockMode>(op.mode);
        if (!active || op.intent || (mode != LockMode::kPR && mode != LockMode::kCR))
            return -kEINVAL;
        op.flags = kLdlmNoLru | kLdlmNoExpand;
        return kOk;
    }
    if (static_cast<Intent>(op.intent) == Intent::kLookup)
        return op.name.empty() ? Status(-kEINVAL) : kOk;
    if (active || (op.intent && (op.flags & kLdlmReplay))) return -kEINVAL;
    return kOk;
}

// Lull's own codes speak to the client's import, not to an application.
bool is_intent_result(Status s) { return !s.is(kEPark) && !s.is(kEEvicted) && !s.is(kERetryLater); }

void answer_without_lock(EnqueueJob& job, Status intent_status)
{
    if (!is_intent_result(intent_status)) return job.request->reply_error(intent_status);
    job.reply = LdlmEnqueueReply();
    job.reply.intent_status = intent_status.error();
    job.request->reply(job.reply);
}

}  // namespace

void LdlmServerImpl::handle_enqueue(Ref<ServerRequest> request)
{
    auto job = make<EnqueueJob>();
    if (!job) return request->reply_error(-kENOMEM);
    Status status = request->decode(&job->op);
    if (status.ok()) status = check_op(*request, job->op);
    bool by_resource = request->opcode() != Opcode::kActiveEnqueue &&
                       static_cast<Intent>(job->op.intent) != Intent::kLookup;
    if (status.ok() && by_resource && !owner.is_lockable(job->op.resource)) status = -kEINVAL;
    if (!status.ok()) return request->reply_error(status);
    job->request = std::move(request);
    run_enqueue(std::move(job));
}

void LdlmServerImpl::run_enqueue(Owned<EnqueueJob> job)
{
    while (job && resolve(*job)) {
        Ref<ServerLock> granted;
        if (place(job, &granted) != Placed::kGranted) return;
        job = answer(std::move(granted));
    }
}

bool LdlmServerImpl::resolve(EnqueueJob& job)
{
    if (static_cast<Intent>(job.op.intent) != Intent::kLookup) return true;
    ResourceId found;
    Status status = owner.intent_resolve(job.op, *job.request->exp, &found);
    if (status.ok() && found == ResourceId::active_server_lock()) status = -kEINVAL;
    if (!status.ok()) {
        forget_known(job);
        answer_without_lock(job, status);
        return false;
    }
    job.op.resource = found;
    return true;
}

LdlmServerImpl::Placed LdlmServerImpl::place(Owned<EnqueueJob>& job, Ref<ServerLock>* granted)
{
    auto lock = make_ref<ServerLock>();
    if (!lock) {
        job->request->reply_error(-kENOMEM);
        return Placed::kAnswered;
    }
    lock->server = this;
    lock->exp = job->request->exp;
    lock->client_handle = job->op.client_handle;
    lock->terms = {static_cast<LockType>(job->op.type), static_cast<LockMode>(job->op.mode),
                   job->op.policy};
    lock->flags = job->op.flags;

    Result<Placed> placed = find_place(job, std::move(lock), granted);
    if (placed.ok()) return placed.value();
    job->request->reply_error(placed.status());
    return Placed::kAnswered;
}

Result<LdlmServerImpl::Placed> LdlmServerImpl::find_place(Owned<EnqueueJob>& job,
                                                          Ref<ServerLock> lock,
                                                          Ref<ServerLock>* granted)
{
    Outbox out;
    auto s = state.lock();
    if (ServerLock* known = find_known_locked(*job)) {
        bool same = known->resource->id == job->op.resource;
        if (same || known->is_being_answered()) return place_known_locked(*known, job, granted);
        drop_known_locked(*s, *known, out);  // the name leads to another object by now
    }
    return place_locked(*s, job, std::move(lock), granted);
}

// A lock whose answer the client has not seen, or it would not ask again.
void LdlmServerImpl::drop_known_locked(S& s, ServerLock& known, Outbox& out)
{
    ResourceId id = known.resource->id;
    drop_locked(s, known, kOk, out);
    process_waiters_locked(s, id, out);
}

void LdlmServerImpl::forget_known(EnqueueJob& job)
{
    Outbox out;
    auto s = state.lock();
    ExportLocks* mine = locks_of(*job.request->exp);
    if (!mine) return;
    auto found = mine->locks.find(job.op.client_handle);
    if (found == mine->locks.end() || found->is_being_answered() ||
        found->resource->is_active_lock())
        return;
    drop_known_locked(*s, *found, out);
}

// The lock that an enqueue sent again is about.
ServerLock* LdlmServerImpl::find_known_locked(EnqueueJob& job)
{
    ExportLocks* mine = locks_of(*job.request->exp);
    if (!mine) return nullptr;
    if (job.op.resource == ResourceId::active_server_lock()) return mine->active;
    auto found = mine->locks.find(job.op.client_handle);
    return found == mine->locks.end() ? nullptr : &*found;
}

// job is taken, swapped for the one it replaces (to be freed without the lock), or left to be
// refused.
Result<LdlmServerImpl::Placed> LdlmServerImpl::place_known_locked(ServerLock& known,
                                                                  Owned<EnqueueJob>& job,
                                                                  Ref<ServerLock>* granted)
{
    // While it is being answered, only the end of the former request lets the same xid in: its
    // answer may be lost.
    if (known.is_being_answered() && known.xid != job->request->xid()) return -kEALREADY;
    known.xid = job->request->xid();
    std::swap(known.job, job);
    if (!known.answered) return Placed::kWaiting;
    known.answered = false;
    *granted = Ref<ServerLock>(&known);
    return Placed::kGranted;
}

Result<LdlmServerImpl::Placed> LdlmServerImpl::place_locked(S& s, Owned<EnqueueJob>& job,
                                                            Ref<ServerLock> lock,
                                                            Ref<ServerLock>* granted)
{
    if (s.closed) return -kERetryLater;
    const ResourceId& id = job->op.resource;
    Resource* r = TRY(get_resource_locked(s, id));
    bool replay = lock->flags & kLdlmReplay;
    bool free = replay || (!r->find_blocker(*lock) && !r->waits_behind(*lock));
    Status status;
    if (replay && r->replay_conflicts(*lock)) status = -kEBUSY;
    else if (!free && s.parked && !r->is_active_lock()) status = -kEPark;
    else status = attach_client_lock_locked(s, *lock);
    if (!status.ok()) {
        erase_if_empty_locked(s, *r);
        return status;
    }
    if (r->is_active_lock()) locks_of(*lock->exp)->active = lock.get();
    lock->xid = job->request->xid();
    lock->job = std::move(job);
    if (free) {
        *granted = lock;
        grant_locked(s, *r, std::move(lock));
        return Placed::kGranted;
    }
    tell_blockers_locked(s, *r, *lock);
    wait_locked(s, *r, std::move(lock));
    return Placed::kWaiting;
}

// The lock is granted: execute the intent under it, or fetch the value block, and reply.
Owned<EnqueueJob> LdlmServerImpl::answer(Ref<ServerLock> lock)
{
    for (Owned<EnqueueJob> job = take_job(*lock); job; job = mark_answered(*lock)) {
        if (!(job->op.resource == lock->id)) {  // asked again, and the name leads elsewhere by now
            forget_lock(*lock);
            return job;
        }
        Result<Outcome> outcome = fill_reply(*lock, *job);
        if (outcome.ok() && outcome.value() == Outcome::kLocked) {
            job->request->reply(job->reply);  // first: a blocking AST follows it
            continue;
        }
        forget_lock(*lock);
        bool gone = outcome.ok() && outcome.value() == Outcome::kGone;
        if (gone && static_cast<Intent>(job->op.intent) == Intent::kLookup &&
            ++job->tries < kIntentTriesMax)
            return job;
        if (!outcome.ok()) job->request->reply_error(outcome.status());
        else answer_without_lock(*job, gone ? Status(-kESTALE) : Status(job->reply.intent_status));
        return nullptr;
    }
    return nullptr;
}

Owned<EnqueueJob> LdlmServerImpl::take_job(ServerLock& lock)
{
    auto s = state.lock();
    return std::move(lock.job);
}

Result<LdlmServerImpl::Outcome> LdlmServerImpl::fill_reply(ServerLock& lock, EnqueueJob& job)
{
    job.reply = LdlmEnqueueReply();
    if (job.op.intent) {
        bool gone = false;
        Status status = owner.intent_execute(job.op, *lock.exp, job.op.resource, &job.reply, &gone);
        if (gone) return Outcome::kGone;
        if (!status.ok() && !is_intent_result(status)) return status;
        if (!status.ok()) job.reply.intent_status = status.error();
        if (job.reply.intent_status != 0) return Outcome::kNotLocked;
    } else if (lock.terms.type == LockType::kExtent && !(lock.flags & kLdlmNoLru)) {
        TRY(owner.fill_lvb(job.op.resource, &job.reply.lvb));
    }
    job.reply.server_handle = lock.handle;
    job.reply.flags = lock.flags;
    job.reply.mode = static_cast<uint8_t>(lock.terms.mode);
    job.reply.policy = lock.terms.policy;
    job.reply.resource = job.op.resource;
    return Outcome::kLocked;
}

// The client never learns of it.
void LdlmServerImpl::forget_lock(ServerLock& lock)
{
    Outbox out;
    auto s = state.lock();
    if (lock.state != ServerLock::State::kGranted) return;
    ResourceId id = lock.resource->id;
    drop_locked(*s, lock, kOk, out);
    process_waiters_locked(*s, id, out);
}

// Not null: the answer was lost, and the same request came again meanwhile.
Owned<EnqueueJob> LdlmServerImpl::mark_answered(ServerLock& lock)
{
    Owned<EnqueueJob> again;
    Outbox out;
    auto s = state.lock();
    again = std::move(lock.job);
    if (lock.state != ServerLock::State::kGranted) return nullptr;
    if (again) return again;
    lock.answered = true;
    if (lock.blocking) block_locked(*s, lock);
    process_waiters_locked(*s, lock.resource->id,
                           out);  // what the server does for this very client
    return nullptr;
}

void LdlmServerImpl::run_work(Node::Work* work)
{
    Ref<ServerLock> lock = Ref<ServerLock>::adopt(static_cast<ServerLock::GrantWork*>(work)->lock);
    LdlmServerImpl& server = *lock->server;
    if (Owned<EnqueueJob> job = server.answer(lock)) server.run_enqueue(std::move(job));
    lock.reset();
    auto s = server.state.lock();
    s->busy--;
    server.idle_cond.wake_all();
}

}  // namespace lull
