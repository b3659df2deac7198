/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gate in front of one import (A8, A9, A11, S4, T1). Every operation that an application starts
 * passes it *before* its request is encoded, and holds it until the operation is over; closing it
 * waits for those inside.
 *
 *   state     event                       next      what happens
 *   open      enter                       open      one per-CPU reference, no lock, no shared cache
 *                                                   line
 *   open      close(reason)               closing   later enters wait
 *   closing   last one left               parked    close's wait returns
 *   closing   reopen(last reason)         open      waiters go on (cancelled in time)
 *   parked    reopen(last reason)         open      waiters go on
 *   any       shut(error)                 shut      every enter fails with error (unmount, eviction
 *                                                   of the mount)
 *
 * Reasons are independent bits; the gate is open when none is set. While kInactive is, nobody
 * waits: every enter fails with -EIO. A new import's gate is closed for kActiveLock until the first
 * grant. Depends on kapi only (B8).
 */
#pragma once
#include <span>

#include "kapi/sync.h"

namespace lull {

// Told when a gate begins to close, by the task that closes it: what waits inside for something
// that may take for ever shall come out.
class GateWatcher {
public:
    virtual void on_gate_closing() = 0;

protected:
    ~GateWatcher() = default;
};

class Gate {
public:
    enum class State { kOpen, kClosing, kParked, kShut };
    enum Reason : uint32_t {
        kActiveLock = 1,  // the server wants the active lock back, or we do not hold it
        kBarrier = 2,     // manual barrier on this client (T1)
        kFileSystem = 4,  // the whole file system is being frozen, by its MGS (T5)
        kInactive = 8,    // an administrator has told that the target will not be back soon
    };

    static Result<Owned<Gate>> create(uint32_t closed_for);
    ~Gate();

    // Waits until open, then holds it. -ERESTARTSYS on a signal (by mode), the error given to
    // shut(), -EIO.
    Status enter(WaitMode mode = WaitMode::kInterruptible);
    // Does not wait: -kEPark when it is not open.
    Status try_enter();
    void leave();
    // Waits until it is open, without holding it (a caller that had to give up several gates).
    Status wait_open(WaitMode mode, bool and_reachable);
    // Whether its server can be reached. An operation of one target does not mind, it waits for the
    // reply; one of several waits outside of all gates, for another target may want to drain
    // meanwhile (B3).
    void set_reachable(bool yes);
    bool reachable() const;
    // Who waits now, and may be killed there, is sent away with -ERESTARTSYS, as by a signal.
    void interrupt_waits();

    void set_watcher(GateWatcher* watcher);    // before it is used
    void close(Reason reason);                 // does not wait
    Status wait_parked(uint64_t deadline_ns);  // after close: nobody inside; -ETIMEDOUT
    void reopen(Reason reason);
    void shut(Status error);

    State state() const;
    uint32_t reasons() const;
    uint32_t waiting() const;          // tasks that wait in enter()
    uint64_t longest_wait_ns() const;  // longest pause so far, for the report
    void reset_longest_wait();

private:
    Gate();
    struct Impl;
    Owned<Impl> impl_;
};

// Holds the gates of several imports for one operation, all or nothing, so that no operation waits
// at one gate while it keeps another from closing (B3).
class GateScope {
public:
    static constexpr size_t kGatesMax = 64;
    GateScope() = default;
    GateScope(const GateScope&) = delete;
    ~GateScope() { leave(); }
    // null entries are skipped
    Status enter(std::span<Gate* const> gates, WaitMode mode = WaitMode::kInterruptible);
    void leave();
    void leave(Gate& gate);  // this one alone, if it is held

private:
    Gate* held_[kGatesMax] = {};
    size_t count_ = 0;
};

}  // namespace lull
