/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The locks a client holds at one target (beside one import). A lock is used by operations
 * (LockUse), stays cached on an LRU when unused, and is given back when the server asks (BlAst),
 * when the LRU is full, when it is told to (flush_all) or voided by an eviction. Before a cancel
 * the owner writes back and drops what the lock covers.
 *
 * A BlAst for a lock in use waits for its last use. New uses of a lock that is to be cancelled are
 * not given: lock() enqueues another.
 * Requirements: A6 A11 S6.
 */
#pragma once
#include "include/lull/ops_ldlm.h"
#include "ptlrpc/import.h"
#include "ptlrpc/node.h"

namespace lull {

class LdlmClient;
struct LdlmClientImpl;

class ClientLock : public RefCounted {
public:
    ResourceId resource;
    LockType type = LockType::kPlain;
    LockMode mode = LockMode::kNL;
    LockPolicy policy;  // as granted
    uint64_t client_handle = 0, server_handle = 0;
    Lvb lvb;  // as of the grant
private:
    friend class LdlmClient;
    friend struct LdlmClientImpl;
    // Under the namespace's lock (client_impl.h).
    struct LateWork : Node::Work {
        ClientLock* lock = nullptr;
        LdlmClientImpl* client = nullptr;
    };
    SetHook handle_hook_, resource_hook_;
    ListHook lru_hook_, queue_hook_;
    unsigned users_ = 0;
    enum class State : uint8_t {
        kEnqueuing,
        kGranted,
        kFlushing,
        kCancelling,
        kDead
    } state_ = State::kEnqueuing;
    bool blocking_ = false;  // to be cancelled after its last use
    bool no_lru_ = false;
    bool admitted_ = false;   // enqueuing: does not wait at the gate
    bool abandoned_ = false;  // enqueuing: the caller was killed
    bool void_ = false;       // enqueuing: evicted meanwhile
    LateWork late_;
};

// Uses a lock: it is not cancelled before this is gone.
class LockUse {
public:
    LockUse() = default;
    LockUse(LockUse&& o) : client_(std::exchange(o.client_, nullptr)), lock_(std::move(o.lock_)) {}
    LockUse& operator=(LockUse&& o)
    {
        std::swap(client_, o.client_);
        std::swap(lock_, o.lock_);
        return *this;
    }
    ~LockUse() { release(); }
    void release();
    ClientLock* lock() const { return lock_.get(); }
    explicit operator bool() const { return static_cast<bool>(lock_); }

private:
    friend class LdlmClient;
    friend struct LdlmClientImpl;
    LdlmClient* client_ = nullptr;
    Ref<ClientLock> lock_;
};

class LdlmClientOwner {
public:
    // Write back (unless discard) and drop everything cached under the lock; then the lock is
    // cancelled. Called from a service task or the caller of flush_all with no lock held; the lock
    // has no users.
    virtual void on_lock_cancel(ClientLock& lock, bool discard) = 0;

protected:
    ~LdlmClientOwner() = default;
};

class LdlmClient {
public:
    static Result<Owned<LdlmClient>> create(Node& node, Import& import, LdlmClientOwner& owner);
    virtual ~LdlmClient() = default;

    // Finds a granted lock that covers the policy in the mode (or a stronger one), without any
    // message.
    virtual bool match(const ResourceId& resource, LockType type, LockMode mode,
                       const LockPolicy& policy, LockUse* out) = 0;
    // match(), else enqueue and wait; -kEPark, also when the instance that granted the lock is gone
    // before that was noted (and, holding several gates, -kEGiveWay): leave them
    // and come again. holder: told before it waits for others, instead of -kEGiveWay.
    virtual Status lock(const ResourceId& resource, LockType type, LockMode mode,
                        const LockPolicy& policy, GatesHeld gates, LockUse* out,
                        Holder* holder = nullptr) = 0;
    // Enqueue with an intent: call->op is filled in by the caller except client_handle; call->reply
    // holds the result. out stays empty when the server gave no lock.
    virtual Status lock_intent(Call<LdlmEnqueueOp>& call, LockUse* out) = 0;

    // From ImportClient: BlAst of an ordinary lock, never of the active one: a lock that is not
    // known is given back at once.
    virtual void handle_bl_ast(const LdlmBlAst& ast) = 0;
    virtual Status replay_locks() = 0;  // on_replay_locks
    virtual void drop_all() = 0;        // on_evicted: discard, no cancels sent
    // Cancels everything (after write-back) and returns when all cancels were answered; new locks
    // may come meanwhile unless the gate is closed. -ETIMEDOUT. (A6, A11)
    virtual Status flush_all(uint64_t deadline_ns) = 0;
    // Starts writing back under all locks without cancelling (warm-up, B2), is up to the owner: not
    // here.

    // e.g. after the object was unlinked
    virtual Status cancel_resource(const ResourceId& resource) = 0;

    virtual size_t lock_count() const = 0;
    virtual uint32_t lru_size() const = 0;
    virtual void set_lru_size(uint32_t n) = 0;
    // At unmount: cancels politely what the connection allows, then forgets. Then close the import,
    // then destroy this.
    virtual void shutdown() = 0;

private:
    friend class LockUse;
    virtual void release_use(ClientLock& lock) = 0;
};

}  // namespace lull
