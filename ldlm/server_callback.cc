// SPDX-License-Identifier: GPL-2.0-only
// Blocking ASTs and what happens to those who do not answer them: one task per namespace.
#include "ldlm/server_impl.h"

namespace lull {

void LdlmServerImpl::callback_task()
{
    for (;;) {
        Ref<ServerLock> lock;
        {
            auto s = state.lock();
            while (!s->stop && s->asts.empty() && next_event_locked(*s) > now_ns())
                (void)s.wait(callback_cond, next_event_locked(*s));
            if (s->stop) return;
            lock = next_ast_locked(*s);
        }
        if (lock) tell(std::move(lock));
        while (evict_late()) {}
    }
}

uint64_t LdlmServerImpl::patience_locked(S& s) const
{
    const AtTunables& at = node.adaptive();
    uint64_t least_ms =
        options.callback_timeout_ms ? options.callback_timeout_ms : at.ldlm_min_ms.load();
    return s.callback_time.patience_ns(now_ns(), at, least_ms);
}

uint64_t LdlmServerImpl::limit_ns() const
{
    const AtTunables& at = node.adaptive();
    uint64_t most = options.callback_limit_ms ? options.callback_limit_ms : at.ldlm_max_ms.load(),
             least =
                 options.callback_timeout_ms ? options.callback_timeout_ms : at.ldlm_min_ms.load();
    return (most > least ? most : least) * kMsec;
}

void LdlmServerImpl::describe_timeouts(TextSink& out) const
{
    auto s = const_cast<LdlmServerImpl*>(this)->state.lock();
    using ull = unsigned long long;
    out.printf("lock_callback_ms: last %llu worst %llu\nlock_callback_patience_ms: %llu\n",
               static_cast<ull>(s->callback_time.last_ns() / kMsec),
               static_cast<ull>(s->callback_time.worst_ns(now_ns(), node.adaptive()) / kMsec),
               static_cast<ull>(patience_locked(*s) / kMsec));
}

uint64_t LdlmServerImpl::next_event_locked(const S& s) const
{
    return s.deadlines.empty() ? kForever : s.deadlines.begin()->deadline_ns;
}

Ref<ServerLock> LdlmServerImpl::next_ast_locked(S& s)
{
    if (s.asts.empty()) return nullptr;
    ServerLock& lock = s.asts.front();
    s.asts.pop_front();
    lock.told_ns = now_ns();
    lock.told_owed_ns = lock.exp->owed_ns();
    if (!lock.asked_ns) lock.asked_ns = lock.told_ns;
    if (lock.deadline_hook.is_linked()) s.deadlines.erase(s.deadlines.iterator_to(lock));
    if (!lock.resource->is_active_lock()) {
        uint64_t last = lock.asked_ns + limit_ns();
        lock.deadline_ns = lock.told_ns + patience_locked(s);
        if (lock.deadline_ns > last) lock.deadline_ns = last;
        s.deadlines.insert(lock);
    }
    return Ref<ServerLock>(&lock);
}

// A client that is not connected is told when it is back (on_export_reconnected).
void LdlmServerImpl::tell(Ref<ServerLock> lock)
{
    auto ast = make_ref<Call<LdlmBlAst>>();
    Status status = -kENOMEM;
    if (ast) {
        ast->op.client_handle = lock->client_handle;
        ast->op.server_handle = lock->handle;
        status = lock->exp->post(*ast);
    }
    if (!status.is(kENOMEM)) return;
    kapi_sleep_ns(kAstRetryMs * kMsec);
    auto s = state.lock();
    if (lock->state == ServerLock::State::kGranted) block_locked(*s, *lock);
}

// Sets when to look again.
LdlmServerImpl::Late LdlmServerImpl::judge_locked(S& s, ServerLock& lock)
{
    const ExportLocks& holder = *locks_of(*lock.exp);
    bool progress = holder.progress_ns > lock.told_ns;
    uint64_t since = progress ? holder.progress_ns : lock.told_ns,
             owed_then = progress ? holder.progress_owed_ns : lock.told_owed_ns, now = now_ns(),
             patience = patience_locked(s), last = lock.asked_ns + limit_ns(),
             due = since + patience + lock.exp->owed_ns() - owed_then;
    lock.deadline_ns = due < last ? due : last;
    if (lock.deadline_ns > now) return Late::kNot;
    lock.deadline_ns = now + patience;
    if (due <= now) return Late::kSilent;
    return lock.exp->longest_owed_ns() < patience ? Late::kHoldsOn : Late::kNot;
}

bool LdlmServerImpl::evict_late()
{
    Ref<Export> late;
    const char* why = "did not give back a lock in time";
    {
        auto s = state.lock();
        uint64_t now = now_ns();
        if (s->stop || s->deadlines.empty() || s->deadlines.begin()->deadline_ns > now)
            return false;
        ServerLock& lock = *s->deadlines.begin();
        s->deadlines.erase(s->deadlines.begin());
        Late judged = judge_locked(*s, lock);
        s->deadlines.insert(lock);
        if (judged != Late::kNot) late = lock.exp;
        if (judged == Late::kHoldsOn) why = "holds on to a lock for longer than ldlm_enqueue_max";
    }
    if (late) owner.evict(*late, why);
    return true;
}

void LdlmServerImpl::on_export_reconnected(Export& exp)
{
    auto s = state.lock();
    ExportLocks* mine = locks_of(exp);
    if (!mine) return;
    for (ServerLock& lock : mine->locks)
        if (lock.blocking && lock.state == ServerLock::State::kGranted) block_locked(*s, lock);
}

}  // namespace lull
