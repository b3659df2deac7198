/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One lock of a server's namespace: a client's (exp is set) or the server's own. Everything but the
 * constants is protected by the
 * namespace's lock, except job: it belongs to the namespace while the lock waits, afterwards to the
 * one task that answers.
 *
 *   waiting → granted (unanswered) → granted (answered) → dropped
 */
#pragma once
#include "ldlm/policy.h"
#include "ldlm/server.h"

namespace lull {

struct Resource;
struct LdlmServerImpl;

// An enqueue under way: with an intent it may go through several locks before it is answered.
struct EnqueueJob {
    Ref<ServerRequest> request;
    LdlmEnqueueOp op;
    LdlmEnqueueReply reply;
    unsigned tries = 0;
};

struct ServerLock : RefCounted {
    enum class State : uint8_t { kNew, kWaiting, kGranted, kDropped };
    struct GrantWork : Node::Work {
        ServerLock* lock = nullptr;
    };

    bool is_local() const { return !exp; }
    bool is_being_answered() const { return state == State::kGranted && !answered; }

    Ref<Export> exp;           // null: the server's own
    Ref<Export> on_behalf_of;  // of an own one
    uint64_t handle = 0, client_handle = 0;
    ResourceId id;    // of the resource, also when the lock was dropped
    LockTerms terms;  // policy: as asked for, then as granted
    uint32_t flags = 0;
    Resource* resource = nullptr;
    LdlmServerImpl* server = nullptr;

    State state = State::kNew;
    bool answered = false;      // the client has been told
    bool in_recovery = false;   // an own one that does not wait for clients' locks
    bool blocking = false;      // in somebody's way: its holder was told, or will be
    uint64_t asked_ns = 0;      // when the holder was told first
    uint64_t told_ns = 0;       // and last
    uint64_t told_owed_ns = 0;  // its export's owed_ns() then
    uint64_t deadline_ns = 0;
    uint64_t xid = 0;  // of the request that is, or will be, answered
    Owned<EnqueueJob> job;
    Status status;              // what ended an own lock's wait, or refuses a request
    CondVar* waiter = nullptr;  // of an own lock
    GrantWork work;

    ListHook resource_hook;  // Resource::granted or ::waiting
    ListHook waiting_hook;   // all that wait in the namespace
    ListHook ast_hook;       // to be told
    ListHook out_hook;       // in an Outbox
    SetHook handle_hook, client_hook, deadline_hook;
};

struct HandleOf {
    using type = uint64_t;
    type operator()(const ServerLock& l) const { return l.handle; }
};
struct ClientHandleOf {
    using type = uint64_t;
    type operator()(const ServerLock& l) const { return l.client_handle; }
};
struct DeadlineOf {
    using type = uint64_t;
    type operator()(const ServerLock& l) const { return l.deadline_ns; }
};
using LocksByHandle =
    bi::set<ServerLock, bi::member_hook<ServerLock, SetHook, &ServerLock::handle_hook>,
            bi::key_of_value<HandleOf>>;
using LocksByClientHandle =
    bi::set<ServerLock, bi::member_hook<ServerLock, SetHook, &ServerLock::client_hook>,
            bi::key_of_value<ClientHandleOf>>;
using LocksByDeadline =
    bi::multiset<ServerLock, bi::member_hook<ServerLock, SetHook, &ServerLock::deadline_hook>,
                 bi::key_of_value<DeadlineOf>>;

// What the namespace keeps for each client, under the namespace's lock.
struct ExportLocks : ExportData {
    LocksByClientHandle locks;
    ServerLock* active =
        nullptr;  // its active server lock, granted or waiting: there is never a second one
    uint64_t cancelled_active_handle = 0;  // so that a repeated cancel of it is recognised
    uint64_t progress_ns = 0, progress_owed_ns = 0;  // and the export's owed_ns() then

    void note_progress(const Export& exp)
    {
        progress_ns = now_ns();
        progress_owed_ns = exp.owed_ns();
    }
};

}  // namespace lull
