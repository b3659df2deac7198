// SPDX-License-Identifier: GPL-2.0-only
// The namespace's tables: resources, locks by handle and by client, and how locks move between
// them.
#include "kapi/walks.h"
#include "ldlm/server_impl.h"

namespace lull {

Outbox::~Outbox()
{
    while (!list_.empty()) {
        ServerLock& front = list_.front();
        list_.pop_front();
        Ref<ServerLock> lock = Ref<ServerLock>::adopt(&front);
        if (lock->status.ok() || !lock->job) continue;
        lock->job->request->reply_error(lock->status);
        lock->job.reset();
    }
}

void LocalLock::release()
{
    if (ServerLock* lock = std::exchange(lock_, nullptr)) server_->release_local(lock);
    server_ = nullptr;
}

Result<Owned<LdlmServer>> LdlmServer::create(Node& node, LdlmServerOwner& owner,
                                             LdlmServerOptions options)
{
    auto server = make<LdlmServerImpl>(node, owner, options);
    if (!server) return -kENOMEM;
    // Handles of an earlier life of the target mean nothing here.
    server->state.unsafe().next_handle = (kapi_random_u64() >> 2) | 1;
    TRY(server->task.start<&LdlmServerImpl::callback_task>(server.get(), "lull_ldlm_cb"));
    return Owned<LdlmServer>(std::move(server));
}

LdlmServerImpl::~LdlmServerImpl()
{
    if (task.started()) shutdown();
}

ExportLocks* LdlmServerImpl::locks_of(const Export& exp)
{
    return static_cast<ExportLocks*>(exp.data[Export::kLdlmData].get());
}

Result<ExportLocks*> LdlmServerImpl::make_locks_of(Export& exp)
{
    if (ExportLocks* locks = locks_of(exp)) return locks;
    auto fresh = make<ExportLocks>();
    if (!fresh) return -kENOMEM;
    ExportLocks* locks = fresh.get();
    exp.data[Export::kLdlmData] = std::move(fresh);
    return locks;
}

Result<Resource*> LdlmServerImpl::get_resource_locked(S& s, const ResourceId& id)
{
    Resources::insert_commit_data where;
    auto [found, is_new] = s.resources.insert_check(id, where);
    if (!is_new) return &*found;
    auto fresh = make<Resource>(id);
    if (!fresh) return -kENOMEM;
    Resource* r = fresh.release();
    s.resources.insert_commit(*r, where);
    return r;
}

// Gives a client's lock its handle and its place among the client's.
Status LdlmServerImpl::attach_client_lock_locked(S& s, ServerLock& lock)
{
    if (lock.exp->is_dead()) return -kEEvicted;
    ExportLocks* mine = TRY(make_locks_of(*lock.exp));
    if (mine->locks.size() >= kExportLocksMax) return -kENOMEM;
    if (!mine->locks.insert(lock).second) return -kEEXIST;
    lock.handle = s.next_handle++;
    s.handles.insert(lock);
    return kOk;
}

void LdlmServerImpl::wait_locked(S& s, Resource& r, Ref<ServerLock> lock)
{
    lock->resource = &r;
    lock->id = r.id;
    s.waiting.push_back(*lock);
    r.add_waiting(*lock.leak());
}

void LdlmServerImpl::grant_locked(S& s, Resource& r, Ref<ServerLock> lock)
{
    constexpr uint32_t kAsAsked = kLdlmNoExpand | kLdlmReplay;
    lock->resource = &r;
    lock->id = r.id;
    if (lock->terms.type == LockType::kExtent && !lock->is_local() && !(lock->flags & kAsAsked))
        lock->terms.policy = r.grown_extent(*lock);
    s.granted++;
    if (!lock->is_local() && r.is_wanted(*lock)) block_locked(s, *lock);
    r.add_granted(*lock.leak());
}

Ref<ServerLock> LdlmServerImpl::detach_locked(S& s, ServerLock& lock)
{
    Resource& r = *lock.resource;
    if (lock.state == ServerLock::State::kGranted) s.granted--;
    r.remove(lock);
    lock.state = ServerLock::State::kDropped;
    lock.resource = nullptr;
    if (lock.waiting_hook.is_linked()) s.waiting.erase(s.waiting.iterator_to(lock));
    if (lock.ast_hook.is_linked()) s.asts.erase(s.asts.iterator_to(lock));
    if (lock.deadline_hook.is_linked()) s.deadlines.erase(s.deadlines.iterator_to(lock));
    if (lock.handle_hook.is_linked()) s.handles.erase(s.handles.iterator_to(lock));
    if (lock.client_hook.is_linked()) {
        ExportLocks& mine = *locks_of(*lock.exp);
        mine.locks.erase(mine.locks.iterator_to(lock));
        if (mine.active == &lock) mine.active = nullptr;
    }
    erase_if_empty_locked(s, r);
    return Ref<ServerLock>::adopt(&lock);
}

void LdlmServerImpl::erase_if_empty_locked(S& s, Resource& r)
{
    if (!r.empty()) return;
    s.resources.erase(s.resources.iterator_to(r));
    Owned<Resource> gone(&r);
}

// The lock goes; who waited for it (an own one) or with it (a request) learns refuse_with. The
// answer to a granted request
// is left to the task that is making it.
void LdlmServerImpl::drop_locked(S& s, ServerLock& lock, Status refuse_with, Outbox& out)
{
    bool was_waiting = lock.state == ServerLock::State::kWaiting;
    Ref<ServerLock> ref = detach_locked(s, lock);
    lock.status = was_waiting ? refuse_with : kOk;
    if (lock.waiter) lock.waiter->wake_all();
    out.take(std::move(ref));
}

void LdlmServerImpl::block_locked(S& s, ServerLock& lock)
{
    lock.blocking = true;
    if (!lock.answered || lock.ast_hook.is_linked())
        return;  // told as soon as it knows of the lock
    s.asts.push_back(lock);
    callback_cond.wake_all();
}

void LdlmServerImpl::tell_blockers_locked(S& s, Resource& r, const ServerLock& request)
{
    ServerLock* blocker = r.find_blocker(request);
    while (blocker) {
        if (!blocker->is_local() && !blocker->blocking) block_locked(s, *blocker);
        auto next = std::next(r.granted.iterator_to(*blocker));
        blocker = next == r.granted.end() ? nullptr : r.find_blocker(request, &*next);
    }
}

bool LdlmServerImpl::promote_locked(S& s, Resource& r, ServerLock& lock, Outbox& out)
{
    r.remove(lock);
    s.waiting.erase(s.waiting.iterator_to(lock));
    grant_locked(s, r, Ref<ServerLock>::adopt(&lock));
    if (lock.is_local()) {
        if (lock.waiter) lock.waiter->wake_all();
        if (&lock == s.exclusive.get()) exclusive_cond.wake_all();
        return true;
    }
    lock.work.lock = &lock;
    lock.work.run = run_work;
    lock.ref();
    if (Status status = node.queue_work(lock.work, Node::WorkKind::kAnswer); !status.ok()) {
        Ref<ServerLock> ours = Ref<ServerLock>::adopt(&lock);
        Ref<ServerLock> tables = detach_locked(s, lock);
        lock.status = status;
        out.take(std::move(tables));
        return false;
    }
    s.busy++;
    return true;
}

void LdlmServerImpl::process_waiters_locked(S& s, const ResourceId& id, Outbox& out)
{
    bool again = true;
    while (again) {
        again = false;
        auto found = s.resources.find(id);
        if (found == s.resources.end()) return;
        // Who has been passed over is not helped by what is granted behind it.
        for (auto i = found->waiting.begin(); i != found->waiting.end();) {
            ServerLock& lock = *i++;
            count_walk();
            if (!found->find_blocker(lock) && !found->waits_behind(lock)) {
                again = !promote_locked(s, *found, lock, out);
                if (again) break;  // the resource may be gone
            } else if (terms_exclude_all(lock.terms) || found->is_active_lock()) {
                break;  // what keeps one active lock waiting keeps all behind it waiting
            }
        }
    }
}

void LdlmServerImpl::set_recovering(bool on) { state.lock()->recovering = on; }

void LdlmServerImpl::park_waiters(bool on)
{
    flocks().park_waiters(on);
    Outbox out;
    auto s = state.lock();
    s->parked = on;
    if (!on) return;
    for (auto i = s->waiting.begin(); i != s->waiting.end();) {
        ServerLock& lock = *i++;
        if (lock.resource->is_active_lock()) continue;
        drop_locked(*s, lock, -kEPark, out);
    }
}

LdlmServerCounts LdlmServerImpl::counts() const
{
    auto s = state.lock();
    return {s->resources.size(), s->granted, s->waiting.size()};
}

size_t LdlmServerImpl::export_locks(const Export& exp) const
{
    auto s = state.lock();
    ExportLocks* mine = locks_of(exp);
    return mine ? mine->locks.size() : 0;
}

void LdlmServerImpl::drop_export(Export& exp)
{
    Outbox out;
    auto s = state.lock();
    ExportLocks* mine = locks_of(exp);
    if (!mine) return;
    while (!mine->locks.empty()) {
        ServerLock& lock = *mine->locks.begin();
        ResourceId id = lock.resource->id;
        drop_locked(*s, lock, -kEEvicted, out);
        process_waiters_locked(*s, id, out);
    }
}

void LdlmServerImpl::shutdown()
{
    if (!task.started()) return;
    flocks().close();
    {
        // Waiters first: none may be granted by an instance that ends.
        Outbox out;
        auto s = state.lock();
        s->closed = true;
        while (!s->waiting.empty()) drop_locked(*s, s->waiting.front(), -kERetryLater, out);
        while (!s->handles.empty()) drop_locked(*s, *s->handles.begin(), kOk, out);
    }
    end_exclusive();
    auto s = state.lock();
    while (s->busy != 0)
        if (s.wait(idle_cond, deadline_after_ms(10000)).is(kETIMEDOUT) && s->busy != 0)
            log_warn("lock namespace: still %zu locks of the server's own in use", s->busy);
    s->stop = true;
    callback_cond.wake_all();
    s.unlock();
    task.join();
}

}  // namespace lull
