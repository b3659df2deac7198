/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the active server lock's client side (ldlm/active_lock.h) needs of one import: its gate, its
 * locks, two messages. Used beside every import that has an active lock: mdc, osc, and the server's
 * own connections to OSTs (T11; those cache nothing: locks is null).
 *
 * Header only, so that client and server modules each have their own copy. Requirements: A10 A11 S2
 * S3 S6 E1.
 */
#pragma once
#include "ldlm/active_lock.h"
#include "ldlm/client.h"

namespace lull {

class ActiveEnv final : public ActiveLockEnv {
public:
    // kIbits at an MDT, kExtent at an OST (S2).
    explicit ActiveEnv(LockType type) : type_(type) {}
    // Once, before the first event.
    void attach(Import& import, LdlmClient* locks)
    {
        import_ = &import;
        locks_ = locks;
    }
    // Handles of the active lock live in a number range of their own, so that a BlAst finds its way
    // even when it overtakes the reply that grants the lock.
    static bool is_active(const LdlmBlAst& ast) { return (ast.client_handle & kHandleBit) != 0; }

    void close_gate() override { import_->gate().close(Gate::kActiveLock); }
    void open_gate() override
    {
        import_->resume();
        import_->gate().reopen(Gate::kActiveLock);
    }
    Status wait_gate_parked(uint64_t deadline_ns) override
    {
        return import_->gate().wait_parked(deadline_ns);
    }
    Status flush_all(uint64_t deadline_ns) override
    {
        if (locks_) TRY(locks_->flush_all(deadline_ns));
        return import_->quiesce(deadline_ns);
    }
    Status enqueue(uint64_t* handle) override
    {
        auto call = make_ref<Call<ActiveEnqueueOp>>();
        if (!call) return -kENOMEM;
        call->op.resource = ResourceId::active_server_lock();
        call->op.type = static_cast<uint8_t>(type_);
        call->op.mode = static_cast<uint8_t>(LockMode::kPR);
        call->op.policy.bits = type_ == LockType::kIbits ? static_cast<uint32_t>(kIbitAll) : 0u;
        call->op.flags = kLdlmNoLru | kLdlmNoExpand;
        call->op.client_handle = kHandleBit | (serial_.fetch_add(1) + 1);
        call->in_recovery = true;
        call->reply_wait = WaitMode::kUninterruptible;
        TRY(import_->call(*call));
        *handle = call->reply.server_handle;
        return *handle ? kOk : Status(-kEPROTO);
    }
    Status cancel(uint64_t handle, bool* committed) override
    {
        auto call = make_ref<Call<LdlmCancelOp>>();
        if (!call) return -kENOMEM;
        TRY(call->op.server_handles.push_back(handle));
        call->in_recovery = true;  // passes while the import is quiet
        call->reply_wait = WaitMode::kUninterruptible;
        TRY(import_->call(*call));
        *committed = (call->reply_flags & kRpcCommitted) != 0;
        spread_ms_ = call->reply.restart_spread_ms;
        return kOk;
    }
    void expect_restart() override { import_->expect_restart(spread_ms_); }

private:
    static constexpr uint64_t kHandleBit = 1ull << 63;
    const LockType type_;
    Import* import_ = nullptr;
    LdlmClient* locks_ = nullptr;
    uint32_t spread_ms_ = 0;  // of the active lock's own task
    std::atomic<uint64_t> serial_{0};
};

}  // namespace lull
