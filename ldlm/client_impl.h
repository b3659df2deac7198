/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The client's namespace behind client.h. A lock's way:
 *
 *   enqueuing → granted → (queued) flushing → cancelling → gone
 *       flushing: the owner writes back; cancelling: the cancel is to be sent, or was
 *   enqueuing, granted, flushing → dead → gone
 *       evicted; gone after the last use
 *
 * The table by client handle holds one reference to each lock. Cancels are worked off by up to
 * kCancelWorkersMax service tasks,
 * and by the caller of flush_all; several locks go into one message when they are ready at the same
 * time. Nothing that may
 * block happens under the namespace's lock.
 */
#pragma once
#include "kapi/log.h"
#include "ldlm/client.h"
#include "ldlm/policy.h"

namespace lull {

inline constexpr uint32_t kLruDefault = 4096;  // unused locks kept
inline constexpr unsigned kCancelWorkersMax = 4;
inline constexpr uint64_t kCancelBatchNs =
    2 * kMsec;                                  // how long a flushed lock's cancel waits for others
inline constexpr uint64_t kCancelRetryMs = 20;  // no memory for the message
inline constexpr uint64_t kUnmountFlushMs = 60 * 1000;

// One enqueue on its way. When its caller was killed it lives on in the import; its end is reported
// to the namespace.
class EnqueueRequest final : public Request {
public:
    EnqueueRequest() : Request(Opcode::kLdlmEnqueue) {}
    ~EnqueueRequest() override;
    void encode(Encoder& out) override { op.io(out); }
    Status decode_reply(Decoder& in) override;
    void copy_behaviour(const Request& from);

    LdlmEnqueueOp op;
    LdlmEnqueueReply reply;
    Ref<ClientLock> abandoned_lock;  // set: report to client
    LdlmClientImpl* client = nullptr;
};

struct LdlmClientImpl final : LdlmClient {
    using State = ClientLock::State;
    struct HandleOf {
        using type = uint64_t;
        type operator()(const ClientLock& l) const { return l.client_handle; }
    };
    struct ResourceOf {
        using type = ResourceId;
        const type& operator()(const ClientLock& l) const { return l.resource; }
    };
    using ByHandle =
        bi::set<ClientLock, bi::member_hook<ClientLock, SetHook, &ClientLock::handle_hook_>,
                bi::key_of_value<HandleOf>>;
    using ByResource =
        bi::multiset<ClientLock, bi::member_hook<ClientLock, SetHook, &ClientLock::resource_hook_>,
                     bi::key_of_value<ResourceOf>>;
    using Lru = List<ClientLock, &ClientLock::lru_hook_>;
    using Queue = List<ClientLock, &ClientLock::queue_hook_>;
    struct Worker : Node::Work {
        LdlmClientImpl* client = nullptr;
        bool busy = false;
    };
    struct S {
        ByHandle by_handle;
        ByResource by_resource;
        Lru lru;
        Queue to_cancel;  // unused; granted: to be flushed, dead: to be discarded
        Queue flushed;    // their cancels are to be sent
        uint64_t next_handle = 1;
        uint32_t lru_limit = kLruDefault;
        Worker workers[kCancelWorkersMax];
        unsigned busy_workers = 0, late = 0;
        bool closing = false;
    };

    LdlmClientImpl(Node& n, Import& i, LdlmClientOwner& o)
        : node(n), import(i), owner(o), state(LockRank::kLdlm)
    {}
    ~LdlmClientImpl() override;

    bool match(const ResourceId& resource, LockType type, LockMode mode, const LockPolicy& policy,
               LockUse* out) override;
    Status lock(const ResourceId& resource, LockType type, LockMode mode, const LockPolicy& policy,
                GatesHeld gates, LockUse* out, Holder* holder) override;
    Status lock_intent(Call<LdlmEnqueueOp>& call, LockUse* out) override;
    void handle_bl_ast(const LdlmBlAst& ast) override;
    Status replay_locks() override;
    void drop_all() override;
    Status flush_all(uint64_t deadline_ns) override;
    Status cancel_resource(const ResourceId& resource) override;
    size_t lock_count() const override;
    uint32_t lru_size() const override;
    void set_lru_size(uint32_t n) override;
    void shutdown() override;
    void release_use(ClientLock& lock) override;

    // client_lock.cc
    static LockTerms terms_of(const ClientLock& l) { return {l.type, l.mode, l.policy}; }
    void use_locked(S& s, ClientLock& lock, LockUse* out);
    bool match_locked(S& s, const ResourceId& resource, const LockTerms& want, LockUse* out);
    bool has_dead_locked(S& s, const ResourceId& resource);
    ClientLock* find_pending_locked(S& s, const ResourceId& resource, const LockTerms& want,
                                    bool admitted);
    Result<bool> match_or_add(EnqueueRequest& request, ClientLock& lock, LockUse* out);
    Status wait_pending(Guarded<S>::Access& s, ClientLock& pending, EnqueueRequest& request);
    static Ref<ClientLock> make_pending(const EnqueueRequest& request);
    void add_locked(S& s, EnqueueRequest& request, ClientLock& lock);
    Status enqueue(Ref<EnqueueRequest> request, Ref<ClientLock> lock, LockUse* out,
                   LdlmEnqueueReply* reply);
    static bool grant_makes_sense(const EnqueueRequest& request);
    Status take_grant(EnqueueRequest& request, ClientLock& lock, LockUse* out);
    void give_up(EnqueueRequest& request, ClientLock& lock, Status why);
    static void report_late(LdlmClientImpl& client, ClientLock& lock, uint64_t server_handle);
    void late_end(ClientLock& lock);

    // client_cancel.cc
    void remove_locked(S& s, ClientLock& lock);  // drops the table's reference: hold another
    void forget_locked(S& s, ClientLock& lock);  // likewise
    void queue_locked(S& s, ClientLock& lock);   // unused, to be cancelled or discarded
    void block_locked(S& s, ClientLock& lock);
    void send_back_locked(S& s,
                          ClientLock& lock);  // without a flush: nothing was ever cached under it
    void start_worker_locked(S& s);
    void trim_lru_locked(S& s);
    static void run_worker(Node::Work* work);
    void work_off();
    bool flush_one();
    void finish_flush(Ref<ClientLock> lock, bool discard);
    void send_cancels();
    Status return_unknown(uint64_t server_handle);         // a lock the server believes is ours
    bool block_older_locked(S& s, uint64_t limit_handle);  // false: none is left
    bool drop_next(uint64_t* after);
    void void_pending_locked(S& s, ClientLock& lock);

    // client_replay.cc
    Status replay_one(ClientLock& lock);
    Status lose(ClientLock& lock);

    Node& node;
    Import& import;
    LdlmClientOwner& owner;
    mutable Guarded<S> state;
    CondVar changed;  // a lock was granted, refused, released or is gone; a worker ended
};

}  // namespace lull
