/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A mount's side of the file-system-wide active lock at the MGS (T5, mgs/fs_locks.h): the state
 * machine of ldlm/active_lock.h once more, with all targets' gates as its gate. Two things differ
 * from a target's: the gates close only when the MGS asks for the lock, not when the lock is lost
 * with its MGS (a dead MGS stops nobody), and the client itself commits on every target before it
 * gives the lock back.
 *
 * Locking: closed_ (Leaf) for the flag alone. Gates are closed and opened by the state machine,
 * under its lock.
 */
#pragma once
#include "ldlm/active_lock.h"
#include "ldlm/client.h"
#include "ptlrpc/import.h"

namespace lull {

// The targets of the mount.
class FsLockTargets {
public:
    virtual void for_each_gate(void (*fn)(Gate& gate, void* arg), void* arg) = 0;
    // write back, drop, commit; the gates are closed
    virtual Status flush_everything(uint64_t deadline_ns) = 0;
    virtual Import& mgs() = 0;

protected:
    ~FsLockTargets() = default;
};

class FsLock final : ActiveLockEnv {
public:
    FsLock(FsLockTargets& targets, Str fsname) : targets_(targets), fsname_(fsname) {}
    virtual ~FsLock() { close(); }
    Status start();
    void close();  // the import of the MGS is closed
    void on_full(bool first) { active_->on_full(first, true); }
    void on_wanted(uint64_t handle);
    // of a target that has been added; it is in the list of the targets already
    void join(Gate& gate);
    const char* state() const { return to_string(active_->state()); }
    bool closed() const { return closed_.load(); }

private:
    void close_gate() override;
    void open_gate() override;
    Status wait_gate_parked(uint64_t deadline_ns) override;
    Status flush_all(uint64_t deadline_ns) override
    {
        return targets_.flush_everything(deadline_ns);
    }
    Status enqueue(uint64_t* handle) override;
    Status cancel(uint64_t handle, bool* committed) override;
    void expect_restart() override {}

    FsLockTargets& targets_;
    const Text<32> fsname_;
    std::atomic<bool> wanted_{false}, closed_{false};
    Owned<ActiveLock> active_;
};

}  // namespace lull
