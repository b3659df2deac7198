/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The server of file locks: a FlockTable whose waiters are requests. A drain cancels no file lock:
 * what is held goes into the clean record, is reserved at the next start until its client has
 * replayed it (settled) or is given up, and waiting requests are sent back to park (B1, B3). After
 * a crash clients replay what they hold.
 *
 * Thread-safe (rank Ldlm); requests are answered without the lock.
 */
#pragma once
#include "kapi/sync.h"
#include "ldlm/flock.h"
#include "ptlrpc/server_request.h"

namespace lull {

class FlockServer {
public:
    FlockServer() : state_(LockRank::kLdlm) {}
    ~FlockServer() { close(); }

    void handle(Ref<ServerRequest> request);         // LdlmFlock
    void handle_cancel(Ref<ServerRequest> request);  // LdlmFlockCancel
    void handle_replay(Ref<ServerRequest> request);  // LdlmFlockReplay

    // every waiting request, now and later, is answered -kEPark
    void park_waiters(bool on);
    // Of a client that is gone for good, waiting requests included; or only what is still reserved
    // for it.
    void drop(const UuidText& client, bool only_reserved);
    Status save(Vec<Flock>* out) const { return state_.lock()->table.save(out); }
    Status reserve(const Flock& flock);
    FlockTable::Counts counts() const { return state_.lock()->table.counts(); }
    // waiters are answered -kERetryLater, nobody is let in any more
    void close();

private:
    struct Wait : FlockWaiter {
        Ref<ServerRequest> request;
    };
    struct State {
        FlockTable table;
        bool parked = false, closed = false;
    };
    Status place(State& s, const LdlmFlockOp& op, Owned<Wait>& wait, FlockWaiters* answered);
    static void answer(FlockWaiters& waiters);
    static void answer(FlockWaiters& waiters, Status status);
    mutable Guarded<State> state_;
};

}  // namespace lull
