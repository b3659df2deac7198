// SPDX-License-Identifier: GPL-2.0-only
// How a client comes to a lock: from its cache, or by an enqueue.
#include "ldlm/client_impl.h"

namespace lull {

void LockUse::release()
{
    if (!lock_) return;
    client_->release_use(*lock_);
    lock_.reset();
    client_ = nullptr;
}

EnqueueRequest::~EnqueueRequest()
{
    if (!abandoned_lock) return;
    // The import may hold locks of its own here.
    ClientLock* lock = abandoned_lock.leak();
    LdlmClientImpl::report_late(*client, *lock, reply.server_handle);
}

Status EnqueueRequest::decode_reply(Decoder& in)
{
    LdlmEnqueueReply fresh;
    fresh.io(in);
    TRY(in.finish());
    reply = std::move(fresh);
    return kOk;
}

void EnqueueRequest::copy_behaviour(const Request& from)
{
    admitted = from.admitted;
    gives_way = from.gives_way;
    try_gate = from.try_gate;
    in_recovery = from.in_recovery;
    gate_wait = from.gate_wait;
    reply_wait = from.reply_wait;
}

void LdlmClientImpl::report_late(LdlmClientImpl& client, ClientLock& lock, uint64_t server_handle)
{
    if (server_handle) lock.server_handle = server_handle;
    lock.late_.lock = &lock;
    lock.late_.client = &client;
    lock.late_.run = [](Node::Work* work) {
        auto* late = static_cast<ClientLock::LateWork*>(work);
        Ref<ClientLock> ours = Ref<ClientLock>::adopt(late->lock);
        late->client->late_end(*ours);
    };
    if (Status s = client.node.queue_work(lock.late_, Node::WorkKind::kCallback); !s.ok())
        log_err("a lock whose caller was killed is lost (%d): unmount will wait for it", s.error());
}

// The enqueue of a killed caller is over. Nobody wants the lock.
void LdlmClientImpl::late_end(ClientLock& lock)
{
    auto s = state.lock();
    s->late--;
    forget_locked(*s, lock);
    changed.wake_all();
}

void LdlmClientImpl::use_locked(S& s, ClientLock& lock, LockUse* out)
{
    if (lock.lru_hook_.is_linked()) s.lru.erase(s.lru.iterator_to(lock));
    lock.users_++;
    LockUse use;
    use.client_ = this;
    use.lock_ = Ref<ClientLock>(&lock);
    *out = std::move(use);
}

bool LdlmClientImpl::match_locked(S& s, const ResourceId& resource, const LockTerms& want,
                                  LockUse* out)
{
    auto [i, end] = s.by_resource.equal_range(resource);
    for (; i != end; ++i) {
        if (i->state_ != State::kGranted || i->blocking_ || !terms_cover(terms_of(*i), want))
            continue;
        use_locked(s, *i, out);
        return true;
    }
    return false;
}

// Evicted while in use: until the last user is gone and what it cached is dropped, nothing new is
// cached of this resource.
bool LdlmClientImpl::has_dead_locked(S& s, const ResourceId& resource)
{
    auto [i, end] = s.by_resource.equal_range(resource);
    for (; i != end; ++i)
        if (i->state_ == State::kDead) return true;
    return false;
}

// An enqueue under way that will serve as well. One that waits at the gate must not be waited for
// by those inside.
ClientLock* LdlmClientImpl::find_pending_locked(S& s, const ResourceId& resource,
                                                const LockTerms& want, bool admitted)
{
    auto [i, end] = s.by_resource.equal_range(resource);
    for (; i != end; ++i)
        if (i->state_ == State::kEnqueuing && !i->abandoned_ && !i->blocking_ &&
            i->admitted_ == admitted && terms_cover(terms_of(*i), want))
            return &*i;
    return nullptr;
}

bool LdlmClientImpl::match(const ResourceId& resource, LockType type, LockMode mode,
                           const LockPolicy& policy, LockUse* out)
{
    LockUse found;
    {
        auto s = state.lock();
        if (!match_locked(*s, resource, {type, mode, policy}, &found)) return false;
    }
    std::swap(*out, found);  // what out held before is released without the namespace's lock
    return true;
}

// True: *out is set. False: the lock was added to the tables, its request is to be sent.
Result<bool> LdlmClientImpl::match_or_add(EnqueueRequest& request, ClientLock& lock, LockUse* out)
{
    const LockTerms want = terms_of(lock);
    auto s = state.lock();
    for (;;) {
        if (s->closing) return Status(-kESHUTDOWN);
        if (match_locked(*s, lock.resource, want, out)) return true;
        if (has_dead_locked(*s, lock.resource)) return Status(-kEIO);
        ClientLock* found = find_pending_locked(*s, lock.resource, want, lock.admitted_);
        if (!found) break;
        Ref<ClientLock> pending(found);
        TRY(wait_pending(s, *pending, request));
    }
    add_locked(*s, request, lock);
    return false;
}

// Ends with the other's enqueue, which ends at the latest when the import is closed.
Status LdlmClientImpl::wait_pending(Guarded<S>::Access& s, ClientLock& pending,
                                    EnqueueRequest& request)
{
    WaitMode mode = request.admitted ? WaitMode::kKillable : WaitMode::kInterruptible;
    uint64_t let_go_ns = request.holder ? now_ns() + request.holder->patience_ns : kForever;
    while (pending.state_ == State::kEnqueuing && !pending.abandoned_ && !pending.void_) {
        Status waited = s.wait(changed, request.holder ? let_go_ns : kForever, mode);
        if (!waited.is(kETIMEDOUT)) {
            TRY(waited);
            continue;
        }
        Holder* holder = std::exchange(request.holder, nullptr);
        s.unlock();
        holder->give_back_others();
        s.relock();
    }
    return kOk;
}

Status LdlmClientImpl::lock(const ResourceId& resource, LockType type, LockMode mode,
                            const LockPolicy& policy, GatesHeld gates, LockUse* out, Holder* holder)
{
    out->release();
    TRY(check_terms(static_cast<uint8_t>(type), static_cast<uint8_t>(mode), policy));
    if (match(resource, type, mode, policy, out)) return kOk;
    auto request = make_ref<EnqueueRequest>();
    if (!request) return -kENOMEM;
    request->op.resource = resource;
    request->op.type = static_cast<uint8_t>(type);
    request->op.mode = static_cast<uint8_t>(mode);
    request->op.policy = policy;
    request->admitted = gates != GatesHeld::kNone;
    request->gives_way = gates == GatesHeld::kSeveral && !holder;
    request->holder = holder;
    Ref<ClientLock> pending = make_pending(*request);
    if (!pending) return -kENOMEM;
    if (TRY(match_or_add(*request, *pending, out))) return kOk;
    return enqueue(std::move(request), std::move(pending), out, nullptr);
}

Status LdlmClientImpl::lock_intent(Call<LdlmEnqueueOp>& call, LockUse* out)
{
    out->release();
    TRY(check_terms(call.op.type, call.op.mode, call.op.policy));
    auto request = make_ref<EnqueueRequest>();
    if (!request) return -kENOMEM;
    request->op = call.op;
    request->copy_behaviour(call);
    Ref<ClientLock> pending = make_pending(*request);
    if (!pending) return -kENOMEM;
    {
        auto s = state.lock();
        if (s->closing) return -kESHUTDOWN;
        add_locked(*s, *request, *pending);
    }
    return enqueue(std::move(request), std::move(pending), out, &call.reply);
}

Ref<ClientLock> LdlmClientImpl::make_pending(const EnqueueRequest& request)
{
    auto lock = make_ref<ClientLock>();
    if (!lock) return lock;
    lock->resource = request.op.resource;
    lock->type = static_cast<LockType>(request.op.type);
    lock->mode = static_cast<LockMode>(request.op.mode);
    lock->policy = request.op.policy;
    lock->admitted_ = request.admitted;
    lock->no_lru_ = request.op.flags & kLdlmNoLru;
    return lock;
}

void LdlmClientImpl::add_locked(S& s, EnqueueRequest& request, ClientLock& lock)
{
    lock.client_handle = request.op.client_handle = s.next_handle++;
    lock.ref();
    s.by_handle.insert(lock);
    // What a lookup will lock is not known yet.
    if (static_cast<Intent>(request.op.intent) != Intent::kLookup) s.by_resource.insert(lock);
}

Status LdlmClientImpl::enqueue(Ref<EnqueueRequest> request, Ref<ClientLock> lock, LockUse* out,
                               LdlmEnqueueReply* reply)
{
    Status status = import.call(*request);
    if (status.ok()) status = take_grant(*request, *lock, out);
    else give_up(*request, *lock, status);
    if (status.ok() && reply) *reply = std::move(request->reply);
    return status;
}

// The call failed; or its caller was killed or gave way, and it may still be on its way.
void LdlmClientImpl::give_up(EnqueueRequest& request, ClientLock& lock, Status why)
{
    auto s = state.lock();
    if (why.is(kERESTARTSYS) || why.is(kEGiveWay)) {
        s->late++;
        lock.abandoned_ = true;
        request.client = this;
        request.abandoned_lock = Ref<ClientLock>(&lock);
    } else {
        lock.state_ = State::kDead;
        forget_locked(*s, lock);
    }
    changed.wake_all();
}

// Without a grant. The server may have granted it before and told so by a blocking AST only.
void LdlmClientImpl::forget_locked(S& s, ClientLock& lock)
{
    if (lock.server_handle) send_back_locked(s, lock);
    else remove_locked(s, lock);
}

bool LdlmClientImpl::grant_makes_sense(const EnqueueRequest& r)
{
    const LdlmEnqueueReply& reply = r.reply;
    auto type = static_cast<LockType>(r.op.type);
    LockTerms have{type, static_cast<LockMode>(reply.mode), reply.policy};
    LockTerms want{type, static_cast<LockMode>(r.op.mode), r.op.policy};
    if (!check_terms(r.op.type, reply.mode, reply.policy).ok() || !terms_cover(have, want))
        return false;
    return static_cast<Intent>(r.op.intent) == Intent::kLookup || reply.resource == r.op.resource;
}

Status LdlmClientImpl::take_grant(EnqueueRequest& request, ClientLock& lock, LockUse* out)
{
    const LdlmEnqueueReply& reply = request.reply;
    LockUse granted;
    auto s = state.lock();
    changed.wake_all();
    bool died = lock.void_;
    // The task was slow to come here. The lock was not replayed, so nobody keeps it for us.
    bool gone = reply.server_handle && request.track.answered_by != import.instance();
    bool sense = reply.server_handle == 0 || grant_makes_sense(request);
    lock.server_handle = gone ? 0 : reply.server_handle;
    if (died || gone || !sense || reply.server_handle == 0) {
        lock.state_ = State::kDead;
        forget_locked(*s, lock);
        if (died) return -kEIO;
        if (gone) return -kEPark;
        if (!sense) return -kEPROTO;
        return request.op.intent ? kOk : Status(-kEPROTO);
    }
    if (!lock.resource_hook_.is_linked()) {
        lock.resource = reply.resource;
        s->by_resource.insert(lock);
    }
    lock.mode = static_cast<LockMode>(reply.mode);
    lock.policy = reply.policy;
    lock.lvb = reply.lvb;
    lock.state_ = State::kGranted;
    use_locked(*s, lock, &granted);
    std::swap(*out, granted);
    return kOk;
}

void LdlmClientImpl::release_use(ClientLock& lock)
{
    auto s = state.lock();
    LULL_ASSERT(lock.users_ > 0);
    if (--lock.users_ > 0) return;
    if (lock.state_ == State::kDead || lock.blocking_) {
        queue_locked(*s, lock);
    } else if (!lock.no_lru_) {
        s->lru.push_back(lock);
        trim_lru_locked(*s);
    }
}

}  // namespace lull
