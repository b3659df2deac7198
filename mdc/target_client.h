/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a client has for each target, MDT or OST: the import, its locks, the active server lock, and
 * the parameters that show them. Mdc and Osc add what their kind of target is for.
 *
 * Life: create() → connect() → … → close(); close() must come before the destructor. No lock of its
 * own.
 * Requirements: A11 S1 S4 T1.
 */
#pragma once
#include "kapi/use_count.h"
#include "mdc/active_env.h"

namespace lull {

class TargetClientOwner {
public:
    virtual void on_lock_lost(ClientLock& lock, bool discard) = 0;
    // after every lock was dropped
    virtual void on_evicted() = 0;
    // The target is about to be shut down (B2). First it is asked for, then, in a task of its own,
    // what is dirty is written back. Service goes on.
    virtual void on_warm_asked() {}
    virtual void on_warm() {}
    virtual uint64_t dirty_bytes() { return 0; }
    virtual Status on_replay_flocks() { return kOk; }
    virtual void on_connected(const ConnectReply& /*reply*/, bool /*first*/) {}

protected:
    ~TargetClientOwner() = default;
};

class TargetClient final : public ImportClient, public LdlmClientOwner {
public:
    struct Kind {
        const char* type;  // "mdc", "osc"
        LockType active_type;
        std::span<const Param> params;  // object: the TargetClient
    };
    static Result<Owned<TargetClient>> create(Node& node, ImportOptions options, const Kind& kind,
                                              Str instance_name, TargetClientOwner& owner,
                                              void* upper);
    TargetClient(Node& node, LockType active_type, TargetClientOwner& owner, void* upper)
        : node_(node), owner_(owner), upper_(upper), env_(active_type)
    {}
    ~TargetClient() { LULL_ASSERT(closed_); }

    Import& import() { return *import_; }
    LdlmClient& locks() { return *locks_; }
    ActiveLock& active_lock() { return *active_; }
    void* upper() const { return upper_; }  // the Mdc or Osc, for its own parameters
    void close();
    // T1: closes the gate, waits for those inside, gives all locks back; or opens it again.
    Status set_barrier(bool on);
    bool barrier() const { return (import_->gate().reasons() & Gate::kBarrier) != 0; }

private:
    static constexpr uint64_t kBarrierMs = 60000;
    Status init(ImportOptions options, const Kind& kind, Str instance_name);
    void on_evicted() override;
    Status on_replay_locks() override { return locks_->replay_locks(); }
    Status on_replay_flocks() override { return owner_.on_replay_flocks(); }
    void on_full(const ConnectReply& reply, bool first) override;
    void on_parked() override { active_->on_parked(); }
    uint64_t active_grants() override { return active_->grants(); }
    uint64_t dirty_bytes() override { return owner_.dirty_bytes(); }
    void on_callback(Opcode opcode, Decoder& body) override;
    void begin_warm();
    static void run_warm(Node::Work* work);
    void on_lock_cancel(ClientLock& lock, bool discard) override
    {
        owner_.on_lock_lost(lock, discard);
    }

    Node& node_;
    TargetClientOwner& owner_;
    void* const upper_;
    ActiveEnv env_;
    Ref<Import> import_;
    Owned<LdlmClient> locks_;
    Owned<ActiveLock> active_;
    Owned<Device> device_, namespace_device_;
    bool closed_ = false;
    struct Warm : Node::Work {
        TargetClient* client = nullptr;
        std::atomic<bool> busy{false};
        UseCount uses;
    } warm_;
};

// Rows of a kind's parameter table that every kind has.
namespace target_client_params {
Status show_import(void* object, TextSink& out);
Status show_state(void* object, TextSink& out);
Status show_timeouts(void* object, TextSink& out);
Status store_recover(void* object, Str value);
Status show_active_lock(void* object, TextSink& out);
Status show_gate(void* object, TextSink& out);
Status store_gate(void* object, Str value);
Status show_barrier(void* object, TextSink& out);
Status store_barrier(void* object, Str value);
Status show_ldlm(void* object, TextSink& out);
Status show_stats(void* object, TextSink& out);
extern const Param kNamespaceParams[2];
}  // namespace target_client_params
// clang-format off
#define LULL_TARGET_CLIENT_PARAMS                                                         \
    {"import", target_client_params::show_import, nullptr},                               \
    {"state", target_client_params::show_state, nullptr},                                 \
    {"active_lock", target_client_params::show_active_lock, nullptr},                     \
    {"gate", target_client_params::show_gate, target_client_params::store_gate},          \
    {"barrier", target_client_params::show_barrier, target_client_params::store_barrier}, \
    {"timeouts", target_client_params::show_timeouts, nullptr},                           \
    {"import_recover", nullptr, target_client_params::store_recover},                     \
    {"ldlm", target_client_params::show_ldlm, nullptr},                                   \
    {"stats", target_client_params::show_stats, nullptr}
// clang-format on

}  // namespace lull
