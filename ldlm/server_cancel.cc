// SPDX-License-Identifier: GPL-2.0-only
// Clients give locks back.
#include "ldlm/server_impl.h"

namespace lull {

size_t LdlmServerImpl::handle_cancel(Ref<ServerRequest> request)
{
    LdlmCancelOp op;
    if (Status status = request->decode(&op); !status.ok()) {
        request->reply_error(status);
        return 0;
    }
    Cancelled done;
    {
        Outbox out;
        auto s = state.lock();
        for (uint64_t handle : op.server_handles)
            cancel_locked(*s, *request->exp, handle, out, done);
    }
    if (done.active && owner.withhold_active_cancel(request)) return done.locks;
    LdlmCancelReply reply;
    request->reply(reply);
    return done.locks;
}

// A handle that is not known, or not this client's, is no error: the lock is gone already.
void LdlmServerImpl::cancel_locked(S& s, Export& exp, uint64_t handle, Outbox& out, Cancelled& done)
{
    ExportLocks* mine = locks_of(exp);
    auto found = s.handles.find(handle);
    if (found == s.handles.end() || found->exp.get() != &exp) {
        done.active |= mine && mine->cancelled_active_handle == handle && handle != 0;
        return;
    }
    ServerLock& lock = *found;
    if (lock.state != ServerLock::State::kGranted) return;  // nobody was told this handle
    ResourceId id = lock.resource->id;
    if (lock.resource->is_active_lock()) {
        mine->cancelled_active_handle = handle;
        done.active = true;
    } else if (lock.told_ns) {
        s.callback_time.add(now_ns() - lock.told_ns, now_ns(), node.adaptive());
    }
    if (lock.blocking) mine->note_progress(exp);
    done.locks++;
    drop_locked(s, lock, kOk, out);
    process_waiters_locked(s, id, out);
}

void LdlmServerImpl::note_progress(Export& exp)
{
    auto s = state.lock();
    if (ExportLocks* mine = locks_of(exp)) mine->note_progress(exp);
}

}  // namespace lull
