// SPDX-License-Identifier: GPL-2.0-only
// After a server's crash its clients tell it which locks they hold.
#include "ldlm/client_impl.h"

namespace lull {

namespace {
constexpr int kRefused = kEBUSY;  // another client holds what is in its way: ours was lost
}

Status LdlmClientImpl::replay_locks()
{
    uint64_t after = 0;
    for (;;) {
        Ref<ClientLock> lock;
        {
            // A lock whose cancel may have been executed is not replayed: others may hold it since.
            auto s = state.lock();
            auto next = s->by_handle.upper_bound(after);
            while (next != s->by_handle.end() && next->state_ != State::kGranted &&
                   next->state_ != State::kFlushing)
                ++next;
            if (next == s->by_handle.end()) return kOk;
            after = next->client_handle;
            lock = Ref<ClientLock>(&*next);
        }
        TRY(replay_one(*lock));
    }
}

Status LdlmClientImpl::replay_one(ClientLock& lock)
{
    auto call = make_ref<Call<LdlmEnqueueOp>>();
    if (!call) return -kENOMEM;
    LdlmEnqueueOp& op = call->op;
    op.resource = lock.resource;
    op.type = static_cast<uint8_t>(lock.type);
    op.mode = static_cast<uint8_t>(lock.mode);
    op.policy = lock.policy;
    op.flags = kLdlmReplay | (lock.no_lru_ ? kLdlmNoLru : 0u);
    op.client_handle = lock.client_handle;
    call->admitted = true;
    call->in_recovery = true;
    call->reply_wait = WaitMode::kUninterruptible;
    Status status = import.call(*call);
    if (status.is(kRefused)) return lose(lock);
    TRY(status);
    if (call->reply.server_handle == 0) return -kEPROTO;

    auto s = state.lock();
    bool ours = lock.state_ == State::kGranted || lock.state_ == State::kFlushing;
    if (ours) {
        lock.server_handle = call->reply.server_handle;
        return kOk;
    }
    s.unlock();
    // Its cancel went out meanwhile, with the handle of the old instance.
    return return_unknown(call->reply.server_handle);
}

Status LdlmClientImpl::lose(ClientLock& lock)
{
    log_warn("%s: a lock could not be re-established, what was cached under it is lost",
             import.options().target.c_str());
    auto s = state.lock();
    if (lock.state_ != State::kGranted && lock.state_ != State::kFlushing) return kOk;
    bool idle = lock.state_ == State::kGranted && lock.users_ == 0;
    lock.state_ = State::kDead;
    changed.wake_all();
    if (idle) queue_locked(*s, lock);
    return kOk;
}

}  // namespace lull
