// SPDX-License-Identifier: GPL-2.0-only
/*
 * One target: joins the parts (commit, slots, exports, recovery, reservations, evictor, shutdown)
 * to a service and a node.
 *
 *   life      start() → serve() → requests → stop(), or a controlled shutdown halts it: then only
 *             its parameters are left
 *
 * Two counters let nobody in any more: running_ (requests; killed while a shutdown commits, S4/T4,
 * what arrives then waits in frozen_) and alive_ (parameters; killed by the halt). members_mutex_
 * makes connecting, disconnecting and evicting one client after another, records on disk included;
 * it shares the rank of the shutdown's own lock, never held together with it.
 */
#pragma once
#include "kapi/use_count.h"
#include "target/clean_record.h"
#include "target/client_record.h"
#include "target/commit.h"
#include "target/evictor.h"
#include "target/exports.h"
#include "target/holding_pen.h"
#include "target/identity.h"
#include "target/recovery.h"
#include "target/reservations.h"
#include "target/shutdown.h"
#include "target/shutdown_env.h"
#include "target/start_check.h"

namespace lull {

class TargetImpl;

// Who owns the store: it is unmounted once no target of the device needs it.
class HaltListener {
public:
    virtual void on_halted(TargetImpl& target) = 0;

protected:
    ~HaltListener() = default;
};

// The lock manager's owner: services do not know what the target layer decides.
class LdlmOwner final : public LdlmServerOwner {
public:
    explicit LdlmOwner(TargetImpl& target) : target_(target) {}
    Status fill_lvb(const ResourceId& resource, Lvb* lvb) override;
    bool is_lockable(const ResourceId& resource) const override;
    Status intent_resolve(const LdlmEnqueueOp& op, Export& exp, ResourceId* resource) override;
    Status intent_execute(const LdlmEnqueueOp& op, Export& exp, const ResourceId& resource,
                          LdlmEnqueueReply* reply, bool* gone) override;
    void evict(Export& exp, const char* why) override;
    bool withhold_active_cancel(Ref<ServerRequest> request) override;

private:
    TargetImpl& target_;
};

class TargetImpl final : public Target, CommitEnv, RecoveryEnv, EvictorEnv {
public:
    // factory: null for the one of its kind.
    static Result<Owned<TargetImpl>> create(Node& node, Store& store, TargetIdentity&& identity,
                                            HaltListener& listener,
                                            ServiceFactory factory = nullptr);
    TargetImpl(Node& node, Store& store, TargetIdentity&& identity, HaltListener& listener);
    ~TargetImpl() override;

    // Start-up check, records, service; then clients may come (serve). On an error *why names the
    // cause.
    Status start(const StartOptions& options, Text<200>* why);
    Status serve(Text<200>* why);
    // Umount. force: every client is evicted. Does nothing more after a halt.
    void stop(bool force);
    // The other target of the device has halted: this one lets go of the store, too.
    void halt_along();
    // Controlled shutdown (the parameter's 1 and 0). -EBUSY: recovery is running.
    Status begin_shutdown();
    Status cancel_shutdown() { return shutdown_->cancel(); }
    bool halted() const { return halted_.load(); }
    Shutdown& shutdown() { return *shutdown_; }
    Recovery& recovery() { return recovery_; }
    Reservations& reservations() { return reservations_; }
    ShutdownTunables& shutdown_tunables() { return tunables_; }
    const StartDecision& start_decision() const { return decision_; }

    // ---- Target
    Node& node() override { return node_; }
    Store& store() override { return store_; }
    LdlmServer& ldlm() override { return *ldlm_; }
    TargetService& service() override { return *service_; }
    const TargetIdentity& identity() const override { return identity_; }
    uint64_t instance() const override { return instance_; }
    uint64_t last_transno() const override { return commit_.last_transno(); }
    uint64_t last_committed() const override { return commit_.last_committed(); }
    Status commit() override { return commit_.commit(); }
    void note_progress(Export& exp) override;
    void evict(Export& exp, const char* why) override;
    bool recovering() const override { return recovery_.active(); }
    bool started_clean() const override { return started_clean_; }
    bool shutting_down() const override { return parked_.load(); }
    Status list_exports(Vec<Ref<Export>>* out) const override { return exports_.list(out); }
    Ref<Export> find_export(const UuidText& client) override { return exports_.find(client); }
    bool is_expected(const UuidText& client) const override
    {
        return recovery_.expects(client) || reservations_.has(client);
    }

    // ---- RequestHandler
    const TargetName& target_name() const override { return identity_.name; }
    void handle_connect(Ref<ServerRequest> request) override;
    void handle(Ref<ServerRequest> request) override;
    bool may_answer(Status status) override;

private:
    friend class Transaction;
    friend class LdlmOwner;
    friend class TargetShutdownEnv;
    friend struct TargetParams;

    // start (target_impl.cc)
    Status gather(StartFacts* facts, CleanRecord* clean, Vec<UuidText>* clients, Text<200>* why);
    Status begin_instance(uint64_t before);
    Status start_service();
    Status start_parts();
    Status expect_former_clients(CleanRecord&& clean, const Vec<UuidText>& clients);
    void drop_everything();  // exports, locks, service: nothing of the store is used afterwards
    void leave_service(bool force);
    void mark_clean_if_nobody_is_left();
    const char* name() const { return identity_.name.c_str(); }

    // connect.cc
    Status negotiate(const ConnectOp& op, uint16_t* protocol);
    Status admit(ServerRequest& request, const ConnectOp& op, uint16_t protocol, Ref<Export>* out,
                 ConnectResult* result);
    Status admit_known(const ConnectOp& op, Export& exp, ConnectResult* result);
    Status admit_new(const ConnectOp& op, Ref<Export>* out);
    Result<ConnectResult> judge(const ConnectOp& op);
    Status make_export(const ConnectOp& op, ConnectResult result, Ref<Export>* out);
    void disconnect(Ref<ServerRequest> request);
    void evict_absent_client(const UuidText& client, const char* why);
    void forget_absent_client(const UuidText& client);
    bool is_former_life(const ConnectOp& op) const;
    void expel(Export& exp, const char* why);

    // requests.cc
    void run(Ref<ServerRequest> request);
    void dispatch(Ref<ServerRequest> request);
    bool answer_from_slot(ServerRequest& request, TargetExport& client);
    bool must_park(const ServerRequest& request, const TargetExport& client) const;
    void lose_store();
    void note_dirty(TargetExport& client, ServerRequest& ping);
    void cancel_locks(Ref<ServerRequest> request);
    void settle(TargetExport& client);
    void settle_uuid(const UuidText& client);
    Text<200> describe_upgrade() const;
    uint64_t reconnect_ns() const;

    // CommitEnv
    Status sync() override { return store_.sync(); }
    Status persist(uint64_t last_committed) override;
    void on_committed(uint64_t last_committed) override;
    void on_commit_failed() override { lose_store(); }
    // RecoveryEnv
    void execute_replay(Ref<ServerRequest> request) override;
    void evict_absent(const UuidText& client, const char* why) override
    {
        evict_absent_client(client, why);
    }
    void evict_export(Export& exp, const char* why) override { evict(exp, why); }
    Text<65> nodename_of(const UuidText& client) override;
    void on_window_closed() override;
    // EvictorEnv
    void evict_silent() override;
    void evict_expired() override;

    Node& node_;
    Store& store_;
    TargetIdentity identity_;
    HaltListener& listener_;
    ServiceFactory factory_ = nullptr;
    LdlmOwner ldlm_owner_{*this};
    uint64_t instance_ = 0;
    bool started_clean_ = false;
    uint64_t committed_before_ = 0;  // of the instance before: what a connect reply says (T7)
    StartDecision decision_;
    uint64_t start_ns_ = 0, start_took_ns_ = 0;

    Commit commit_;
    Recovery recovery_;
    Reservations reservations_;
    Evictor evictor_{*this};
    Exports exports_;
    Owned<LdlmServer> ldlm_;
    Owned<TargetService> service_;
    ShutdownTunables tunables_;
    TargetShutdownEnv shutdown_env_{*this};
    Owned<Shutdown> shutdown_;

    Mutex members_mutex_{LockRank::kShutdown};
    uint64_t silent_checked_ns_ = 0, silent_from_ns_ = 0;  // of the evictor's task alone
    UseCount running_, alive_;
    HoldingPen frozen_, window_;
    // of the shutdown before this instance; written_at 0: there was none
    CleanRecord::Times previous_;
    uint64_t previous_down_ns_ = 0;           // from its clean record to our start
    std::atomic<uint64_t> all_back_ns_{0};    // when the last client had resumed
    std::atomic<uint64_t> last_write_ns_{0};  // arrival of the last OstWrite
    std::atomic<bool> refuse_new_{true}, refuse_all_{true}, parked_{false}, halted_{false},
        halting_{false};
    std::atomic<bool> store_lost_{false};
    bool serving_ = false, added_ = false, stopped_ = false;

    Vec<Param> params_;
    Owned<Device> device_;
};

}  // namespace lull
