/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The import behind import.h. Private to ptlrpc. import.cc: life, task, state; import_call.cc:
 * requests and replies; import_replay.cc: what is kept; import_connect.cc: finding the target;
 * recovery.cc: from connected to FULL.
 *
 * Everything that is not const is under lock_ (rank Import), which is never held while sending,
 * connecting or calling the client. Requests are counted by the list they are on:
 *
 *   sent_          on the wire, no reply yet; by xid
 *   replay_        answered, not committed; by transno
 *   opens_         committed opens whose file is still open
 *   closed_opens_  committed opens whose close is not committed yet; by the transno that ends them
 */
#pragma once
#include "lnet/log_limit.h"
#include "ptlrpc/import.h"
#include "ptlrpc/outage_log.h"
#include "ptlrpc/message.h"
#include "ptlrpc/node.h"
#include "ptlrpc/restart_spread.h"

namespace lull {

using RequestList = bi::list<Request, bi::function_hook<struct RequestHookOf>>;

// The hook is inside Request::Track.
struct RequestHookOf {
    using hook_type = ListHook;
    using hook_ptr = hook_type*;
    using const_hook_ptr = const hook_type*;
    using value_type = Request;
    using pointer = value_type*;
    using const_pointer = const value_type*;
    static hook_ptr to_hook_ptr(value_type& r) { return &r.track.hook; }
    static const_hook_ptr to_hook_ptr(const value_type& r) { return &r.track.hook; }
    static pointer to_value_ptr(hook_ptr h)
    {
        return bi::get_parent_from_member<Request>(
            bi::get_parent_from_member<Request::Track>(h, &Request::Track::hook), &Request::track);
    }
    static const_pointer to_value_ptr(const_hook_ptr h)
    {
        return to_value_ptr(const_cast<hook_ptr>(h));
    }
};

struct RecoveryTimes {
    static constexpr size_t kStepsMax = 8;
    uint64_t connect_ns = 0;
    uint64_t step_ns[kStepsMax] = {};
    uint64_t began_ns = 0;
};

struct ImportImpl final : Import, ConnectionSink, GateWatcher {
    static constexpr uint64_t kReconnectMinMs = 20;
    static constexpr uint64_t kReconnectMaxMs = 1000;
    static constexpr uint64_t kReconnectExpectedMs = 50;  // while a restart is expected
    static constexpr uint64_t kExpectRestartMs = 120000;  // for so long
    static constexpr uint64_t kConnectAttemptMs = 3000;   // TCP and greeting, per NID
    static constexpr uint64_t kConnectExpectedMs = 1000;  // likewise, while a restart is expected
    static constexpr uint64_t kDisconnectMs = 2000;       // the polite good-bye
    static constexpr uint64_t kParkBackoffMinMs = 5, kParkBackoffMaxMs = 200;
    static constexpr size_t kOpenReplayWindow = 16;  // open replays in flight
    static constexpr uint16_t kSlotsMax = 1024;
    static constexpr uint16_t kNoSlot = 0xffff;

    ImportImpl(Node& node, ImportOptions&& options, ImportClient* client);
    ~ImportImpl() override;
    Status init();

    // ---- Import
    Status connect(uint64_t deadline_ns, WaitMode mode) override;
    Status call(Request& request) override;
    Status await(Request& r, uint64_t deadline_ns, WaitMode mode) override;
    bool goes_on(const Request& r) const override;
    void forget(Request& open) override;
    Gate& gate() override { return *gate_; }
    ImportState state() const override;
    uint64_t instance() const override;
    uint16_t protocol() const override;
    uint64_t last_committed() const override;
    uint64_t cookie() const override { return cookie_.load(); }
    const ImportOptions& options() const override { return options_; }
    ImportStats stats() const override;
    bool is_owed_a_commit() const override;
    size_t replay_count(bool opens) const override;
    uint64_t replay_bulk_bytes() const override;
    Status quiesce(uint64_t deadline_ns) override;
    void resume() override;
    void expect_restart(uint32_t spread_ms) override;
    void ping() override;
    Status recover_now(Nid nid, uint64_t deadline_ns) override;
    void target_is_at(Nid nid, uint64_t instance) override;
    void set_active(bool yes) override;
    bool is_active() const override;
    void interrupt_waits() override;
    Status wait_full(uint64_t deadline_ns, WaitMode mode) override;
    void close() override;
    void describe(TextSink& out) const override;
    void describe_timeouts(TextSink& out) const override;

    // ---- ConnectionSink
    void on_message(Connection& from, Message&& message) override;
    void on_closed(Connection& connection, Status why) override;

    // ---- GateWatcher
    void on_gate_closing() override;

    // ---- import.cc
    void run();
    void stay_full();
    void leave_connection();
    void rest();
    void say_goodbye();
    void back_off(Status why);
    bool is_nowhere_locked(Status why);
    void await_place();
    void set_state_locked(ImportState next);
    void wake_all_locked();
    void go_to_locked(Nid nid, Ref<Connection>* other);
    bool is_own_task() const { return own_task_ == kapi_task_self(); }
    uint64_t timeout_ns() const { return node_.options().timeout_ms * kMsec; }
    uint64_t busy_ping_ns() const { return node_.adaptive().min_ms.load() * kMsec / 4; }
    uint64_t ping_patience_locked() const;
    uint64_t connect_patience_locked() const;
    uint64_t next_keepalive_locked() const;
    uint64_t next_look_locked() const;
    void keepalive(MutexLock& lock);
    const char* name() const { return options_.target.c_str(); }

    // ---- import_call.cc
    Status call_once(Request& r);
    Status wait_turn(MutexLock& lock, Request& r, bool own);
    Status send_first(MutexLock& lock, Request& r);
    Status wait_reply(MutexLock& lock, Request& r, CondVar& done);
    bool must_come_out_locked(const Request& r) const;
    static uint64_t let_go_at(const Request& r);
    bool holds_too_much_locked(const Request& r) const;
    void give_back_others(MutexLock& lock, Request& r);
    bool is_sent_away_locked(const Request& r, WaitMode mode, uint64_t interrupts) const;
    Status pause(uint64_t ms, WaitMode mode);
    bool outstanding_locked() const;
    Status encode_locked(Request& r, uint32_t flags, Encoder& out);
    void send_bytes(MutexLock& lock, Encoder& message, Request& r);
    uint16_t wire_protocol_locked(const Request& r) const;
    bool take_slot_locked(Request& r);
    void free_slot_locked(Request& r);
    void on_reply(Connection& from, const RpcHeader& header, std::span<const uint8_t> body,
                  Message& message);
    Status take_reply_locked(Request& r, const RpcHeader& header, std::span<const uint8_t> body,
                             Message& message);
    void complete_locked(Request& r, Status status);
    void fail_sent_locked(Status why, bool own);
    Request* find_sent_locked(uint64_t xid);
    void on_callback(Connection& from, const RpcHeader& header, std::span<const uint8_t> body,
                     Message&& message);
    void run_callback(const RpcHeader& header, std::span<const uint8_t> body);

    // ---- import_replay.cc
    void keep_locked(Request& r);
    void forget_locked(Request& open, uint64_t ended_at);
    void add_committed_locked(Request& r);
    void drop_kept_locked(RequestList& list, Request& r);
    void note_committed_locked(uint64_t last_committed);
    void drop_all_kept_locked();
    void lose_all_kept_locked();  // though it was answered
    size_t count_replays_locked(bool opens) const;
    RequestList& list_of_locked(Request& r);
    Status replay_list(MutexLock& lock, RequestList& list, uint32_t flags, size_t window);
    Status replay_send(MutexLock& lock, Request& r, uint32_t flags);
    Status replay_wait(MutexLock& lock, size_t in_flight_max);
    bool on_replay_reply_locked(const RpcHeader& header, std::span<const uint8_t> body,
                                Message& message);

    // ---- import_connect.cc
    Status connect_once();
    Nid next_nid_locked();
    Status open_connection(Nid nid);
    Status wait_open(Ref<Connection> dialled);
    Status ask_to_connect(ConnectReply* reply);
    Status check_reply(const ConnectReply& reply) const;
    Status adopt_locked(const ConnectReply& reply);

    // ---- recovery.cc
    Status recover(const ConnectReply& reply, bool known_before, uint64_t connect_ns);
    unsigned choose_recovery(const ConnectReply& reply, bool known_before);
    Status run_step(size_t index, uint64_t* took_ns);
    Status step_replay();
    Status step_replay_locks();
    Status step_replay_flocks();
    Status step_replay_done();
    Status step_evict();
    Status step_resend();
    Status step_full();
    void report_recovery(const ConnectReply& reply, const RecoveryTimes& times);

    Node& node_;
    ImportOptions options_;
    ImportClient& client_;
    std::atomic<uint64_t> cookie_;  // another one for each life, which ends with a rest()
    Owned<Gate> gate_;
    LogLimit log_limit_;
    Task task_;

    mutable Mutex lock_{LockRank::kImport};
    mutable CondVar changed_;  // state, closing, eviction: whoever waits for its turn
    CondVar slot_free_;
    CondVar task_wake_;  // the import's own task
    uint64_t own_task_ = 0;
    ImportState state_ = ImportState::kNew;
    bool starting_ = false;  // connect() was called
    bool closing_ = false, closed_ = false;
    bool active_ = true;  // as set_active() was told
    bool rests_ = false;  // inactive, or the task has not noticed yet that it is active again
    bool reconnect_wanted_ = false;
    bool quiesced_ = false;  // only in_recovery requests may be sent
    uint64_t full_count_ = 0;
    bool was_full_ = false;  // over connection_
    Status last_error_;
    OutageLog outage_;
    bool hopeless_ = false;      // last_error_ will not go away by waiting
    size_t nowhere_in_row_ = 0;  // answers "not here"
    uint64_t nowhere_since_ns_ = 0;
    uint64_t expect_restart_until_ns_ = 0;
    RestartSpread spread_;
    Nid told_nid_;  // by the MGS, and of which instance
    uint64_t told_instance_ = 0;
    uint64_t backoff_ms_ = kReconnectMinMs;
    size_t nid_index_ = 0, failed_in_row_ = 0;
    Nid preferred_nid_, current_nid_;

    Ref<Connection> connection_;
    uint64_t connection_number_ = 0;
    bool lost_ = false;              // connection_ is not yet, or no longer, open
    unsigned open_connections_ = 0;  // on_closed() of so many is still to come
    unsigned callbacks_ = 0;         // queued or running
    uint64_t last_heard_ns_ = 0, last_sent_ns_ = 0;
    uint64_t outstanding_since_ns_ = 0;  // when sent_ was empty last
    uint64_t ping_xid_ = 0;              // in flight; 0: none
    bool ping_wanted_ = false;
    uint64_t ping_sent_ns_ = 0;
    mutable AtEstimate ping_time_;
    // the patience with which the last connection was given up; 0: it was not
    uint64_t given_up_after_ns_ = 0;
    unsigned connects_unanswered_ = 0;  // in a row
    uint64_t own_deadline_ns_ = kForever;

    uint16_t protocol_ = kProtocolNone;
    uint64_t export_cookie_ = 0, instance_ = 0;
    uint64_t full_instance_ = 0;  // with which we were FULL last
    uint32_t granted_flags_ = 0;
    uint64_t next_xid_ = 1;
    uint16_t slots_granted_ = 1;
    Vec<uint8_t> slot_used_;
    uint64_t last_committed_ = 0, max_transno_ = 0;
    uint64_t eviction_epoch_ = 0;
    uint64_t interrupts_ = 0;  // by interrupt_waits()

    RequestList sent_, replay_, opens_, closed_opens_;
    Request* replaying_[kOpenReplayWindow] = {};  // in flight as replays; each with a reference
    size_t replaying_count_ = 0;
    uint64_t replay_bulk_bytes_ = 0;

    // What the import's task has begun and not finished: a broken connection does not make it
    // undone.
    struct {
        unsigned chosen = 0;  // set of ConnectResult
        unsigned done = 0;    // set of steps
        uint64_t instance = 0;
    } recovery_;

    ImportStats stats_{};
    uint64_t replayed_opens_now_ = 0, replayed_now_ = 0, resent_now_ = 0;  // in this recovery
    Text<240> last_recovery_;
};

inline uint64_t longer_backoff(uint64_t ms, uint64_t limit_ms)
{
    return 2 * ms < limit_ms ? 2 * ms : limit_ms;
}
// Gives back the reference that a list had.
inline void drop_list_reference(Request& r) { Ref<Request>::adopt(&r).reset(); }

}  // namespace lull
