/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who watches what the targets of a node execute (Node::set_observer): the simulation, to check
 * invariants 1, 3 and 5 where they are decided. Nobody does in the kernel. Called by service tasks,
 * with no lock held; must not wait.
 */
#pragma once
#include <cstdint>

namespace lull {

class ServerRequest;
class Target;

class TargetObserver {
public:
    struct Gated {
        bool holds = false;     // its client has the active lock
        bool parking = false;   // a shutdown is under way
        bool executed = false;  // it is about to be; else it is sent back to park
    };
    // A gated request of a client has arrived, and is not answered from its slot.
    virtual void on_gated(Target& target, ServerRequest& request, const Gated& how) = 0;
    // The client gave the active lock back.
    virtual void on_active_cancelled(Target& target, ServerRequest& request) = 0;
    // A modifying request got its transaction number; its steps are done, and last_committed may
    // not have passed it so far.
    virtual void on_transaction(Target& target, ServerRequest& request, uint64_t transno) = 0;
    virtual void on_executed(Target& target, ServerRequest& request, uint64_t transno) = 0;
    // All up to this is durable: clients are going to be told.
    virtual void on_committed(Target& target, uint64_t last_committed) = 0;

protected:
    ~TargetObserver() = default;
};

}  // namespace lull
