// SPDX-License-Identifier: GPL-2.0-only
// Clients give locks back.
#include "ldlm/server_impl.h"

namespace lull {

void LdlmServerImpl::handle_cancel(Ref<ServerRequest> request)
{
    LdlmCancelOp op;
    if (Status status = request->decode(&op); !status.ok()) return request->reply_error(status);
    bool active = false;
    {
        Outbox out;
        auto s = state.lock();
        for (uint64_t handle : op.server_handles)
            active |= cancel_locked(*s, *request->exp, handle, out);
        if (ExportLocks* mine = locks_of(*request->exp)) mine->progress_ns = now_ns();
    }
    if (active && owner.withhold_active_cancel(request)) return;
    LdlmCancelReply done;
    request->reply(done);
}

// A handle that is not known, or not this client's, is no error: the lock is gone already.
bool LdlmServerImpl::cancel_locked(S& s, Export& exp, uint64_t handle, Outbox& out)
{
    ExportLocks* mine = locks_of(exp);
    auto found = s.handles.find(handle);
    if (found == s.handles.end() || found->exp.get() != &exp)
        return mine && mine->cancelled_active_handle == handle && handle != 0;
    ServerLock& lock = *found;
    if (lock.state != ServerLock::State::kGranted) return false;  // nobody was told this handle
    ResourceId id = lock.resource->id;
    bool active = lock.resource->is_active_lock();
    if (active) mine->cancelled_active_handle = handle;
    else if (lock.told_ns) s.callback_time.add(now_ns() - lock.told_ns, now_ns(), node.adaptive());
    drop_locked(s, lock, kOk, out);
    process_waiters_locked(s, id, out);
    return active;
}

void LdlmServerImpl::note_progress(Export& exp)
{
    auto s = state.lock();
    if (ExportLocks* mine = locks_of(exp)) mine->progress_ns = now_ns();
}

}  // namespace lull
