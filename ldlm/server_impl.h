/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The server's namespace behind server.h. Functions ending in _locked need the namespace's lock;
 * nothing that may block (owner,
 * posts, replies) happens under it: refusals and last references leave through an Outbox, grants to
 * late requests through
 * the node's work queue, blocking ASTs through the one callback task, which also watches the
 * deadlines.
 */
#pragma once
#include "kapi/log.h"
#include "ldlm/resource.h"
#include "ldlm/server.h"

namespace lull {

inline constexpr size_t kExportLocksMax =
    128 * 1024;  // of one client; more is refused with -ENOMEM
inline constexpr unsigned kIntentTriesMax =
    16;  // a name that changes under us again and again: -ESTALE
inline constexpr uint64_t kLocalWaitMs =
    600 * 1000;  // of an own lock, at least, and twice what a holder in its way has
inline constexpr uint64_t kAstRetryMs = 10;  // no memory to tell a holder

// Locks that were dropped under the namespace's lock and are finished off without it: declared
// before the lock is taken.
class Outbox {
public:
    Outbox() = default;
    Outbox(const Outbox&) = delete;
    ~Outbox();
    void take(Ref<ServerLock> lock) { list_.push_back(*lock.leak()); }

private:
    List<ServerLock, &ServerLock::out_hook> list_;
};

struct LdlmServerState {
    Resources resources;
    LocksByHandle handles;      // clients' locks
    LocksByDeadline deadlines;  // whose holder was told
    List<ServerLock, &ServerLock::waiting_hook> waiting;
    List<ServerLock, &ServerLock::ast_hook> asts;
    uint64_t next_handle = 0;
    AtEstimate callback_time;  // from the blocking AST to the cancel
    size_t granted = 0;
    size_t busy = 0;            // own locks, and works under way: the namespace outlives them
    Ref<ServerLock> exclusive;  // EX on the active lock
    bool parked = false, recovering = false, closed = false, stop = false;
};

struct LdlmServerImpl final : LdlmServer {
    LdlmServerImpl(Node& n, LdlmServerOwner& o, LdlmServerOptions opt)
        : node(n), owner(o), options(opt), state(LockRank::kLdlm)
    {}
    ~LdlmServerImpl() override;

    void handle_enqueue(Ref<ServerRequest> request) override;
    size_t handle_cancel(Ref<ServerRequest> request) override;
    Status lock_local(LocalLock* out, const ResourceId& resource, LockType type, LockMode mode,
                      const LockPolicy& policy, Export* on_behalf_of) override;
    void release_local(ServerLock* lock) override;
    void park_waiters(bool on) override;
    void set_recovering(bool on) override;
    Status begin_exclusive() override;
    bool exclusive_granted() const override;
    Status wait_exclusive(uint64_t deadline_ns) override;
    void end_exclusive() override;
    bool holds_active(const Export& exp) const override;
    Status active_holders(Vec<Ref<Export>>* out, size_t most) const override;
    size_t active_holder_count() const override;
    void note_progress(Export& exp) override;
    void on_export_reconnected(Export& exp) override;
    void drop_export(Export& exp) override;
    size_t export_locks(const Export& exp) const override;
    LdlmServerCounts counts() const override;
    void describe_timeouts(TextSink& out) const override;
    void shutdown() override;

    // server.cc: the tables
    using S = LdlmServerState;
    static ExportLocks* locks_of(const Export& exp);
    Result<ExportLocks*> make_locks_of(Export& exp);
    Result<Resource*> get_resource_locked(S& s, const ResourceId& id);
    void erase_if_empty_locked(S& s, Resource& r);
    Status attach_client_lock_locked(S& s, ServerLock& lock);
    void wait_locked(S& s, Resource& r,
                     Ref<ServerLock> lock);  // the tables hold a reference from here on
    void grant_locked(S& s, Resource& r, Ref<ServerLock> lock);
    Ref<ServerLock> detach_locked(S& s,
                                  ServerLock& lock);  // out of every table; frees an empty resource
    void drop_locked(S& s, ServerLock& lock, Status refuse_with, Outbox& out);
    void process_waiters_locked(S& s, const ResourceId& id, Outbox& out);
    // A waiting one is granted. False: it was dropped instead, perhaps with its resource.
    bool promote_locked(S& s, Resource& r, ServerLock& lock, Outbox& out);
    void tell_blockers_locked(S& s, Resource& r, const ServerLock& request);
    void block_locked(S& s, ServerLock& lock);  // its holder shall give it back

    // server_enqueue.cc
    enum class Placed { kGranted, kWaiting, kAnswered };
    void run_enqueue(Owned<EnqueueJob> job);
    bool resolve(EnqueueJob& job);  // false: answered
    Placed place(Owned<EnqueueJob>& job, Ref<ServerLock>* granted);
    Result<Placed> find_place(Owned<EnqueueJob>& job, Ref<ServerLock> lock,
                              Ref<ServerLock>* granted);
    Result<Placed> place_locked(S& s, Owned<EnqueueJob>& job, Ref<ServerLock> lock,
                                Ref<ServerLock>* granted);
    Result<Placed> place_known_locked(ServerLock& known, Owned<EnqueueJob>& job,
                                      Ref<ServerLock>* granted);
    ServerLock* find_known_locked(EnqueueJob& job);
    void drop_known_locked(S& s, ServerLock& known, Outbox& out);
    void forget_known(EnqueueJob& job);
    Owned<EnqueueJob> answer(Ref<ServerLock> lock);  // not null: resolve again
    enum class Outcome { kLocked, kNotLocked, kGone };
    Result<Outcome> fill_reply(ServerLock& lock, EnqueueJob& job);
    void forget_lock(ServerLock& lock);
    Owned<EnqueueJob> take_job(ServerLock& lock);
    Owned<EnqueueJob> mark_answered(ServerLock& lock);  // not null: asked again meanwhile
    static void run_work(Node::Work* work);

    // server_cancel.cc
    struct Cancelled {
        size_t locks = 0;
        bool active = false;  // the active lock, now or before
    };
    void cancel_locked(S& s, Export& exp, uint64_t handle, Outbox& out, Cancelled& done);

    // server_local.cc
    Status wait_local(ServerLock& lock, uint64_t deadline_ns);
    Status place_local_locked(S& s, Ref<ServerLock> lock, const ResourceId& id);

    // server_callback.cc
    void callback_task();
    Ref<ServerLock> next_ast_locked(S& s);
    void tell(Ref<ServerLock> lock);
    bool evict_late();  // false: nobody is late
    uint64_t patience_locked(S& s) const;
    uint64_t limit_ns() const;  // of one lock's patience, whatever its holder does
    enum class Late { kNot, kSilent, kHoldsOn };
    Late judge_locked(S& s, ServerLock& lock);
    uint64_t next_event_locked(const S& s) const;

    Node& node;
    LdlmServerOwner& owner;
    const LdlmServerOptions options;
    mutable Guarded<LdlmServerState> state;
    CondVar callback_cond, idle_cond, exclusive_cond;
    Task task;
};

}  // namespace lull
