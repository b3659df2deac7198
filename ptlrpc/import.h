/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An import is a client's view of one target: where it may be, the connection, what was sent and
 * not yet answered, what must be replayed. States, as administrators see them in mdc.*.import /
 * osc.*.import:
 *
 *   NEW → CONNECTING → FULL                                     first connect
 *   FULL → DISCONN → CONNECTING → …                             connection lost, or server says so
 *   CONNECTING → FULL            (ConnectResult::kReconnect)    resend what has no reply
 *   CONNECTING → REPLAY → REPLAY_LOCKS → REPLAY_WAIT → RECOVER → FULL
 *                                (kRecover: window; kResume: opens and file locks, no wait)
 *   CONNECTING → EVICTED → FULL  (kNew, though we were connected before: everything cached is
 *                                dropped, requests fail -EIO)
 *   any → DISCONN                (inactive: as evicted, and not looked for until active again)
 *   any → CLOSED
 *
 * One task per import drives all of it (recovery.cc is a straight list of named steps); callers of
 * call() only wait. Liveness: a request never times out by itself while pings are answered; a peer
 * that does not answer a ping in time (adaptive_timeout.h) is given up and its next NID is tried,
 * round robin, with back-off from reconnect_min_ms to reconnect_max_ms. Pings are sent every
 * timeout_ms / 4 when all is quiet, every at_min / 4 while an answer is waited for.
 *
 * Requirements: A2 A5 A7 A13 E3 S8 T7 T8 T9 R1 R5.
 */
#pragma once
#include "include/lull/ops_connect.h"
#include "lnet/nid.h"
#include "ptlrpc/gate.h"
#include "ptlrpc/request.h"

namespace lull {

class Node;

enum class ImportState : uint8_t {
    kNew,
    kConnecting,
    kReplay,
    kReplayLocks,
    kReplayWait,
    kRecover,
    kFull,
    kDisconn,
    kEvicted,
    kClosed
};
const char* to_string(ImportState s);  // "FULL", "REPLAY_WAIT"…

// What is above an import (mdc, osc, mgc). Called by the import's own task with no lock held, in
// this order at each recovery.
class ImportClient {
public:
    virtual void on_disconnected() {}
    virtual void on_evicted() {}  // drop every lock and cached state: it is void
    // re-establish locks by requests with in_recovery = true
    virtual Status on_replay_locks() { return kOk; }
    // The same for what lasts beyond a clean halt, too: file locks.
    virtual Status on_replay_flocks() { return kOk; }
    // The import is about to be FULL; callers are released after this returns. first: of this
    // instance. Whoever owns the active lock enqueues it from here (S11).
    virtual void on_full(const ConnectReply& /*reply*/, bool /*first*/) {}
    // A gated request was answered "park": the server is shutting down, though its BlAst may not
    // have come yet. Called before the caller goes back to the gate; closes the gate so that nobody
    // spins.
    virtual void on_parked() {}
    // How often the active lock was granted. An answer "park" to what was sent before the last
    // grant says nothing about now.
    virtual uint64_t active_grants() { return 0; }
    // What is not yet written back: pings tell it (B2).
    virtual uint64_t dirty_bytes() { return 0; }
    // A BlAst arrived; runs in a service task, may block.
    virtual void on_callback(Opcode /*opcode*/, Decoder& /*body*/) {}

protected:
    ~ImportClient() = default;
};

struct ImportOptions {
    TargetName target;
    UuidText client_uuid;
    Vec<Nid> nids;
    uint32_t connect_flags = kConnectUpdateLock;
    // connect() ends with -ENODEV when all its nodes have said for so long that the target does not
    // run there; 0: it may come yet.
    uint32_t nowhere_ms = 0;
    uint32_t gate_closed_for = Gate::kActiveLock;  // 0 for imports without an active lock (MGC)
};

struct ImportStats {  // since creation
    uint64_t requests, replays, open_replays, resends, evictions, reconnects, parked;
    uint64_t losses;  // what was kept for replay, of evictions and when it was made inactive
};

class Import : public RefCounted {
public:
    static Result<Ref<Import>> create(Node& node, ImportOptions options, ImportClient* client);
    virtual ~Import() = default;

    // Starts the task; returns when FULL for the first time, or with the reason: -ETIMEDOUT (nobody
    // answers), -ENODEV, -EPROTONOSUPPORT, -ERESTARTSYS. -kERetryLater from the server is waited
    // out (T9).
    virtual Status connect(uint64_t deadline_ns, WaitMode mode) = 0;
    // Runs one operation to its end: gate, slot, encode, send, reply; over reconnects, recoveries
    // and upgrades. Result: the server's status, or -ERESTARTSYS (at the gate: no effect), -EIO
    // after an eviction, -ENOMEM, -ESHUTDOWN after close. A "park" answer is handled inside: back
    // to the gate (unless admitted/try_gate: then -kEPark).
    virtual Status call(Request& request) = 0;
    // After a call that ended with -ERESTARTSYS while its request went on: its status once it is
    // answered, as often as it is asked for. -ETIMEDOUT: not yet. Not sent at all, or a signal (by
    // mode): -ERESTARTSYS.
    virtual Status await(Request& request, uint64_t deadline_ns,
                         WaitMode mode = WaitMode::kUninterruptible) = 0;
    virtual bool goes_on(const Request& request) const = 0;  // sent, and not answered
    // Stop keeping an open for replay though no close of it was executed (Request::ends).
    virtual void forget(Request& open) = 0;
    virtual Gate& gate() = 0;
    virtual ImportState state() const = 0;
    virtual uint64_t instance() const = 0;
    virtual uint16_t protocol() const = 0;  // negotiated; kProtocolNone before
    virtual uint64_t last_committed() const = 0;
    virtual uint64_t cookie() const = 0;  // that callbacks carry
    virtual const ImportOptions& options() const = 0;
    virtual ImportStats stats() const = 0;
    // Something that was answered is not committed, as far as the server has told.
    virtual bool is_owed_a_commit() const = 0;
    // kept for replay: opens, or everything else
    virtual size_t replay_count(bool opens) const = 0;
    virtual uint64_t replay_bulk_bytes() const = 0;  // written data kept until it is committed
    // Holds back whatever is not yet sent, exempt requests too (only in_recovery ones pass), and
    // waits until nothing is outstanding: what the client gives the active lock back with is
    // complete (A11). -ETIMEDOUT: still held back.
    virtual Status quiesce(uint64_t deadline_ns) = 0;
    virtual void resume() = 0;
    // After the withheld reply of the active lock's cancel: the server halts; drop the connection
    // attempts' back-off and expect a new instance. spread_ms: the server asks its clients to
    // spread their return over so long (restart_spread.h).
    virtual void expect_restart(uint32_t spread_ms = 0) = 0;
    // The server is to hear of us, and what is dirty here: it gets a ping at once.
    virtual void ping() = 0;
    // Connect now, to nid first when it is not zero; returns when FULL again (R1). -EINVAL: the
    // target is not known to run there; -ENODEV: FULL, but at another node; -ETIMEDOUT,
    // -ERESTARTSYS, -ESHUTDOWN.
    virtual Status recover_now(Nid nid, uint64_t deadline_ns) = 0;
    // The MGS says that the target has started there (R5): unless we are connected to that instance
    // or a later one, look there at once. Only a hint: without one, or with a wrong one, the target
    // is looked for as ever.
    virtual void target_is_at(Nid nid, uint64_t instance) = 0;
    // An administrator's word that the target is away for long: what waits for it and what comes
    // fails with -EIO, everything cached and everything kept for it is dropped, and it is not
    // looked for. Active again, it knows nothing of us, nor we of it. From one task at a time.
    virtual void set_active(bool yes) = 0;
    virtual bool is_active() const = 0;
    // Whoever waits for a target that is not connected, and may be killed there, is sent away with
    // -ERESTARTSYS, as by a signal; nothing else changes (umount -f).
    virtual void interrupt_waits() = 0;
    virtual Status wait_full(uint64_t deadline_ns, WaitMode mode) = 0;
    // Disconnects politely (when connected) and ends the task; pending calls fail -ESHUTDOWN.
    virtual void close() = 0;
    // Several lines of YAML as Lustre's "import" parameter prints.
    virtual void describe(class TextSink& out) const = 0;
    virtual void describe_timeouts(class TextSink& out) const = 0;
};

// What the parameter import_recover stores: "[NID] [SECONDS]" (R1). "1" is no NID.
inline constexpr uint64_t kRecoverSeconds = 60, kRecoverSecondsMax = 3600;
Status recover_as_told(Import& import, Str value);

}  // namespace lull
