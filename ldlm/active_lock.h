/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The client's side of the active server lock (A10, A11, S4, S6, S11, E1): a small state machine
 * beside each import, driven by one task. While it does not hold the lock in PR, the import's gate
 * is closed for Gate::kActiveLock.
 *
 *   state       event                     next        what it does
 *   idle        import full               enqueuing   one PR request; it may wait at the server
 *                                                     behind EX
 *   enqueuing   granted                   held        gate opens
 *   held        BlAst, or answer "park"   closing     gate closes (new operations wait before they
 *                                                     are encoded, A8)
 *   closing     nobody inside the gate    flushing    write back and drop everything cached for the
 *                                                     target (A6)
 *   flushing    all cancelled             cancelling  cancel of the active lock; its reply is
 *                                                     withheld until all is committed (E1)
 *   cancelling  reply                     enqueuing   exactly one PR request waits behind EX (S11);
 *                                                     gate stays closed; reply says committed:
 *                                                     expect a new instance
 *   any         import full, new instance enqueuing   gate closed; a held lock died with the old
 *                                                     instance
 *   any         evicted                   idle        gate closed until the import is full again
 *   any         shutdown                  stopped
 *
 * If the connection is lost in between, the request at hand is resent to the same instance by the
 * import, or answered anew by the next one. A server without the feature (no kConnectUpdateLock
 * granted): gate simply opens when the import is full (S1). Knows its surroundings only through
 * ActiveLockEnv and kapi (B8).
 */
#pragma once
#include "kapi/sync.h"

namespace lull {

class ActiveLockEnv {
public:
    virtual void close_gate() = 0;
    virtual void open_gate() = 0;
    virtual Status wait_gate_parked(uint64_t deadline_ns) = 0;
    virtual Status flush_all(uint64_t deadline_ns) = 0;
    // PR on the active lock's resource; returns when it is granted. handle: of the server.
    virtual Status enqueue(uint64_t* handle) = 0;
    // Returns when the server answers. *committed: everything is committed and the server halts.
    virtual Status cancel(uint64_t handle, bool* committed) = 0;
    virtual void expect_restart() = 0;

protected:
    ~ActiveLockEnv() = default;
};

enum class ActiveLockState : uint8_t {
    kIdle,
    kEnqueuing,
    kHeld,
    kClosing,
    kFlushing,
    kCancelling,
    kStopped
};
const char* to_string(ActiveLockState s);

class ActiveLock {
public:
    static Result<Owned<ActiveLock>> create(ActiveLockEnv& env, const char* name);
    virtual ~ActiveLock() = default;
    // Events; none blocks.
    virtual void on_full(bool first_of_instance, bool server_has_feature) = 0;
    virtual void on_bl_ast(uint64_t server_handle) = 0;
    virtual void on_parked() = 0;
    virtual void on_evicted() = 0;
    // joins the task; env must still work; pending env calls must have been failed (import closed)
    virtual void shutdown() = 0;
    virtual ActiveLockState state() const = 0;
    virtual uint64_t grants() const = 0;
};

}  // namespace lull
