// SPDX-License-Identifier: GPL-2.0-only
// How a client gives locks back: when asked to, when it has too many, when told to, or by losing
// them.
#include "ldlm/client_impl.h"

namespace lull {

void LdlmClientImpl::remove_locked(S& s, ClientLock& lock)
{
    s.by_handle.erase(s.by_handle.iterator_to(lock));
    if (lock.resource_hook_.is_linked()) s.by_resource.erase(s.by_resource.iterator_to(lock));
    if (lock.lru_hook_.is_linked()) s.lru.erase(s.lru.iterator_to(lock));
    changed.wake_all();
    Ref<ClientLock> tables = Ref<ClientLock>::adopt(&lock);
}

void LdlmClientImpl::queue_locked(S& s, ClientLock& lock)
{
    if (lock.lru_hook_.is_linked()) s.lru.erase(s.lru.iterator_to(lock));
    if (lock.queue_hook_.is_linked()) return;
    s.to_cancel.push_back(lock);
    start_worker_locked(s);
}

void LdlmClientImpl::block_locked(S& s, ClientLock& lock)
{
    lock.blocking_ = true;
    if (lock.state_ == State::kGranted && lock.users_ == 0) queue_locked(s, lock);
}

void LdlmClientImpl::send_back_locked(S& s, ClientLock& lock)
{
    if (lock.resource_hook_.is_linked()) s.by_resource.erase(s.by_resource.iterator_to(lock));
    lock.state_ = State::kCancelling;
    s.flushed.push_back(lock);
    start_worker_locked(s);
}

void LdlmClientImpl::trim_lru_locked(S& s)
{
    while (s.lru.size() > s.lru_limit) block_locked(s, s.lru.front());
}

// Without memory for a task the queue waits for the next occasion.
void LdlmClientImpl::start_worker_locked(S& s)
{
    for (Worker& w : s.workers) {
        if (w.busy) continue;
        w.client = this;
        w.run = run_worker;
        w.busy = node.queue_work(w, Node::WorkKind::kFlush).ok();
        s.busy_workers += w.busy;
        return;
    }
}

void LdlmClientImpl::run_worker(Node::Work* work)
{
    auto& worker = *static_cast<Worker*>(work);
    LdlmClientImpl& client = *worker.client;
    for (;;) {
        client.work_off();
        auto s = client.state.lock();
        if (!s->to_cancel.empty() || !s->flushed.empty()) continue;
        worker.busy = false;
        s->busy_workers--;
        client.changed.wake_all();
        return;
    }
}

// Flushes and cancels until nothing is queued.
void LdlmClientImpl::work_off()
{
    uint64_t send_at = now_ns() + kCancelBatchNs;
    while (flush_one()) {
        if (now_ns() < send_at && state.lock()->flushed.size() < LdlmCancelOp::kMax) continue;
        send_cancels();
        send_at = now_ns() + kCancelBatchNs;
    }
    while (!state.lock()->flushed.empty()) send_cancels();
}

bool LdlmClientImpl::flush_one()
{
    Ref<ClientLock> lock;
    bool discard;
    {
        auto s = state.lock();
        if (s->to_cancel.empty()) return false;
        lock = Ref<ClientLock>(&s->to_cancel.front());
        s->to_cancel.pop_front();
        discard = lock->state_ == State::kDead;
        if (!discard) lock->state_ = State::kFlushing;
    }
    owner.on_lock_cancel(*lock, discard);
    finish_flush(std::move(lock), discard);
    return true;
}

void LdlmClientImpl::finish_flush(Ref<ClientLock> lock, bool discard)
{
    auto s = state.lock();
    if (lock->state_ == State::kDead && !discard) {  // evicted during the write-back
        s.unlock();
        owner.on_lock_cancel(*lock, true);
        s.relock();
        discard = true;
    }
    if (discard) {
        remove_locked(*s, *lock);
    } else {
        lock->state_ = State::kCancelling;
        s->flushed.push_back(*lock);
    }
}

void LdlmClientImpl::send_cancels()
{
    auto call = make_ref<Call<LdlmCancelOp>>();
    if (!call || !call->op.server_handles.reserve(LdlmCancelOp::kMax).ok()) {
        kapi_sleep_ns(kCancelRetryMs * kMsec);
        return;
    }
    Queue sending;
    {
        auto s = state.lock();
        while (!s->flushed.empty() && sending.size() < LdlmCancelOp::kMax) {
            ClientLock& lock = s->flushed.front();
            s->flushed.pop_front();
            sending.push_back(lock);
            (void)call->op.server_handles.push_back(lock.server_handle);
        }
    }
    if (sending.empty()) return;
    call->reply_wait = WaitMode::kUninterruptible;
    // Any other failure means that the locks are gone with the export, or the export with the
    // import.
    while (import.call(*call).is(kENOMEM)) kapi_sleep_ns(kCancelRetryMs * kMsec);
    auto s = state.lock();
    while (!sending.empty()) {
        ClientLock& lock = sending.front();
        sending.pop_front();
        remove_locked(*s, lock);
    }
}

void LdlmClientImpl::handle_bl_ast(const LdlmBlAst& ast)
{
    auto s = state.lock();
    auto found = s->by_handle.find(ast.client_handle);
    if (found != s->by_handle.end()) {
        // Granted, though its answer is still to come: should that be an error (to the enqueue that
        // was sent again), the lock is ours nevertheless.
        if (found->state_ == State::kEnqueuing) found->server_handle = ast.server_handle;
        if (found->server_handle == ast.server_handle) block_locked(*s, *found);
        return;
    }
    s.unlock();
    // Not known here: it may be a lock whose grant never reached us. Or its cancel is on its way,
    // then another does no harm.
    (void)return_unknown(ast.server_handle);
}

Status LdlmClientImpl::return_unknown(uint64_t server_handle)
{
    auto lock = make_ref<ClientLock>();
    if (!lock) return -kENOMEM;
    lock->server_handle = server_handle;
    auto s = state.lock();
    if (s->closing) return -kESHUTDOWN;
    lock->client_handle = s->next_handle++;
    lock->ref();
    s->by_handle.insert(*lock);
    send_back_locked(*s, *lock);
    return kOk;
}

Status LdlmClientImpl::cancel_resource(const ResourceId& resource)
{
    auto s = state.lock();
    auto [i, end] = s->by_resource.equal_range(resource);
    for (; i != end; ++i)
        if (i->state_ == State::kGranted) block_locked(*s, *i);
    return kOk;
}

bool LdlmClientImpl::block_older_locked(S& s, uint64_t limit_handle)
{
    bool any = false;
    for (ClientLock& lock : s.by_handle) {
        if (lock.client_handle >= limit_handle) break;
        if (lock.state_ == State::kEnqueuing && !lock.abandoned_) continue;  // may wait at the gate
        any = true;
        if (lock.state_ == State::kGranted && !lock.blocking_) block_locked(s, lock);
    }
    return any;
}

Status LdlmClientImpl::flush_all(uint64_t deadline_ns)
{
    uint64_t limit = state.lock()->next_handle;
    for (;;) {
        {
            auto s = state.lock();
            if (!block_older_locked(*s, limit)) return kOk;
            if (s->to_cancel.empty() && s->flushed.empty()) {
                TRY(s.wait(changed, deadline_ns));
                continue;
            }
        }
        work_off();
    }
}

// Its caller gets an error, whatever the answer; nobody else waits for it.
void LdlmClientImpl::void_pending_locked(S& s, ClientLock& lock)
{
    lock.void_ = true;
    lock.server_handle = 0;
    if (lock.resource_hook_.is_linked()) s.by_resource.erase(s.by_resource.iterator_to(lock));
}

// Evicted: takes the next lock; false when there is none.
bool LdlmClientImpl::drop_next(uint64_t* after)
{
    Ref<ClientLock> lock;
    {
        auto s = state.lock();
        auto next = s->by_handle.upper_bound(*after);
        if (next == s->by_handle.end()) return false;
        *after = next->client_handle;
        lock = Ref<ClientLock>(&*next);
        bool idle = lock->state_ == State::kGranted && lock->users_ == 0;
        if (lock->state_ == State::kEnqueuing) void_pending_locked(*s, *lock);
        else if (lock->state_ != State::kCancelling) lock->state_ = State::kDead;
        changed.wake_all();
        if (!idle) return true;  // ends with its user, its flush, its enqueue or its cancel
        if (lock->lru_hook_.is_linked()) s->lru.erase(s->lru.iterator_to(*lock));
        if (lock->queue_hook_.is_linked()) s->to_cancel.erase(s->to_cancel.iterator_to(*lock));
    }
    owner.on_lock_cancel(*lock, true);
    auto s = state.lock();
    remove_locked(*s, *lock);
    return true;
}

void LdlmClientImpl::drop_all()
{
    uint64_t after = 0;
    while (drop_next(&after)) {}
}

}  // namespace lull
