/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who watches what targets execute: the simulation, to check invariants 3 and 5 where they are decided. Nobody does in the kernel.
 * Called by service tasks, with no lock held; must not wait.
 */
#pragma once

namespace lull {

class ServerRequest;
class Target;

class TargetObserver {
public:
    // A gated request of a client is about to be executed (not: answered from its slot). holds: it has the active lock.
    virtual void on_gated(Target& target, ServerRequest& request, bool holds) = 0;
    // The client gave the active lock back.
    virtual void on_active_cancelled(Target& target, ServerRequest& request) = 0;
    // A modifying request got its transaction number.
    virtual void on_transaction(Target& target, ServerRequest& request) = 0;

protected:
    ~TargetObserver() = default;
};

extern TargetObserver* target_observer;

}  // namespace lull
