/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lock namespace of a target. Clients' locks arrive as LdlmEnqueue requests whose reply is sent
 * when the lock is granted; the target takes local locks for its own operations. A request that
 * conflicts makes the server post one BlAst to each holder; the holder's cancel (or its eviction)
 * lets the waiters, first come first served, be granted again.
 *
 * A holder that neither cancels nor makes progress in time after its BlAst is evicted through the
 * owner (S12). Progress is what brings the lock nearer to its end: data that was written
 * (note_progress), or another lock that somebody waits for and that it gave back; a cancel of
 * nothing, or of what nobody wants, is none. In time: twice what the slowest of late needed, not
 * below callback_timeout_ms (adaptive_timeout.h); the clock stands still while the server owes the
 * holder an answer (Export::owed_ns): a slow disk evicts nobody. Progress or not, no lock is held
 * on to for longer than callback_limit_ms, unless the server lets a single request wait for as long
 * as it would itself (invariant 11). Holders of
 * the active server lock are left to the controlled shutdown, which has deadlines of its own. A
 * client has at most one active lock: enqueued again, it is answered from the one it has. Locks of
 * one export never conflict with a local lock taken on its behalf: the client updates its own cache
 * from the reply of its own operation.
 *
 * Extents grow: a granted extent is extended to the largest range that conflicts with nobody
 * (unless kLdlmNoExpand).
 * Requirements: A10 S2 S5 S6 S12 B3 T3.
 */
#pragma once
#include "include/lull/ops_ldlm.h"
#include "ldlm/flock_server.h"
#include "ptlrpc/node.h"

namespace lull {

class LdlmServerOwner {
public:
    // An OST's value block for an extent lock that is being granted, as soon as others may see what
    // it shows: that may take a commit. Called without ldlm's lock held.
    virtual Status fill_lvb(const ResourceId& /*resource*/, Lvb* /*lvb*/) { return kOk; }
    // May a client lock it? Not what the server keeps for itself, nor what names nothing here.
    virtual bool is_lockable(const ResourceId& /*resource*/) const { return true; }
    // Intent kLookup: which object must be locked. -ENOENT is a result, too (the client gets no
    // lock).
    virtual Status intent_resolve(const LdlmEnqueueOp& /*op*/, Export& /*exp*/,
                                  ResourceId* /*resource*/)
    {
        return -kEOPNOTSUPP;
    }
    // Under the granted lock. *gone: the name or object changed meanwhile, resolve again.
    virtual Status intent_execute(const LdlmEnqueueOp& /*op*/, Export& /*exp*/,
                                  const ResourceId& /*resource*/, LdlmEnqueueReply* /*reply*/,
                                  bool* /*gone*/)
    {
        return -kEOPNOTSUPP;
    }
    // The client does not answer its callback: evict it.
    virtual void evict(Export& exp, const char* why) = 0;
    // The cancel of an active lock, whose lock is gone already. True: the owner keeps the request
    // and replies later (E1).
    virtual bool withhold_active_cancel(Ref<ServerRequest> /*request*/) { return false; }

protected:
    ~LdlmServerOwner() = default;
};

struct LdlmServerOptions {
    uint32_t callback_timeout_ms = 0;  // the least; 0: the node's ldlm_enqueue_min
    uint32_t callback_limit_ms = 0;    // the most; 0: the node's ldlm_enqueue_max
};

class LdlmServer;

// A lock of the server itself; released by its destructor.
class LocalLock {
public:
    LocalLock() = default;
    LocalLock(LocalLock&& o)
        : server_(std::exchange(o.server_, nullptr)), lock_(std::exchange(o.lock_, nullptr))
    {}
    LocalLock& operator=(LocalLock&& o)
    {
        std::swap(server_, o.server_);
        std::swap(lock_, o.lock_);
        return *this;
    }
    ~LocalLock() { release(); }
    void release();
    bool held() const { return lock_ != nullptr; }

private:
    friend class LdlmServer;
    friend struct LdlmServerImpl;
    LdlmServer* server_ = nullptr;
    struct ServerLock* lock_ = nullptr;
};

struct LdlmServerCounts {
    size_t resources, granted, waiting;
};

class LdlmServer {
public:
    static Result<Owned<LdlmServer>> create(Node& node, LdlmServerOwner& owner,
                                            LdlmServerOptions options);
    virtual ~LdlmServer() = default;

    // Handlers for LdlmEnqueue, ActiveEnqueue, LdlmCancel; they reply.
    virtual void handle_enqueue(Ref<ServerRequest> request) = 0;
    virtual size_t handle_cancel(Ref<ServerRequest> request) = 0;  // how many locks it gave back

    // Waits until granted. -kEPark after park_waiters(), -ETIMEDOUT. on_behalf_of: may be null.
    virtual Status lock_local(LocalLock* out, const ResourceId& resource, LockType type,
                              LockMode mode, const LockPolicy& policy, Export* on_behalf_of) = 0;

    // While on: every waiting request except those for the active server lock, local or not, now
    // and later, is answered -kEPark instead of waiting (B3, S14).
    virtual void park_waiters(bool on) = 0;
    // While on (replay after a crash): lock_local() does not wait for clients' locks. They are
    // being re-established in any order, were granted after the operations that are replayed now,
    // and their holders cannot cancel before they are FULL.
    virtual void set_recovering(bool on) = 0;

    // The active server lock, the server's side (A10, S5). begin enqueues EX: one BlAst to each
    // holder; it does not wait.
    virtual Status begin_exclusive() = 0;
    virtual bool exclusive_granted() const = 0;
    // 0 when granted; -ETIMEDOUT; -ECANCELED after end_exclusive().
    virtual Status wait_exclusive(uint64_t deadline_ns) = 0;
    virtual void end_exclusive() = 0;  // drops EX, granted or not; waiting clients are granted
    virtual bool holds_active(const Export& exp) const = 0;
    // At most so many of them: there may be a hundred thousand.
    virtual Status active_holders(Vec<Ref<Export>>* out, size_t most = SIZE_MAX) const = 0;
    virtual size_t active_holder_count() const = 0;

    virtual void note_progress(Export& exp) = 0;
    virtual void on_export_reconnected(Export& exp) = 0;  // posts unanswered BlAsts again
    // evicted or disconnected: all its locks and waiting requests
    virtual void drop_export(Export& exp) = 0;
    virtual size_t export_locks(const Export& exp) const = 0;
    virtual LdlmServerCounts counts() const = 0;
    virtual void describe_timeouts(class TextSink& out) const = 0;
    // No new locks; every waiter is answered -kERetryLater… and all locks are dropped. Before
    // destruction.
    virtual void shutdown() = 0;

    // File locks: a table beside the namespace. park_waiters() and shutdown() are for both.
    FlockServer& flocks() { return flocks_; }

private:
    FlockServer flocks_;
    friend class LocalLock;
    virtual void release_local(struct ServerLock* lock) = 0;
};

}  // namespace lull
