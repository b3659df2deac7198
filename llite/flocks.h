/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file locks (flock, fcntl) of one mounted client: held at the MDT, remembered here so that
 * they can be replayed to its next instance.
 *
 * A lock that is given up is forgotten here before the MDT is told: a replay never brings it back.
 * An unlock that comes with a close does not wait while the MDT's gate is closed; it is sent by a
 * task of ours when that opens, before any later request for locks (owners are reused). A wait ends
 * with a signal: the request is cancelled at the MDT, and what it says counts. Likewise when the
 * gate closes: it goes on behind the gate.
 *
 * After an eviction all are lost; whoever had a file open then is told by -EIO.
 * Requirements: A5 A7 A9 B1 B3.
 */
#pragma once
#include "ldlm/flock.h"
#include "ptlrpc/import.h"

namespace lull {

class Flocks {
public:
    // a cancel may have come before the request it is for was sent again
    static constexpr uint64_t kCancelRetryMs = 1000;

    explicit Flocks(Import& import)
        : import_(import), sending_(LockRank::kNodeControl), state_(LockRank::kLliteMount),
          secret_(kapi_random_u64())
    {}
    ~Flocks() { stop(); }
    Status start() { return task_.start<&Flocks::run>(this, "lull_unlocker"); }
    void stop();  // the import was closed

    // -EAGAIN (not wait), -EDEADLK, -ERESTARTSYS: nothing was changed. Mode kNL unlocks.
    Status set(FlockRange range, bool wait);
    // Unlocks without waiting at the gate.
    void release(FlockRange range);
    // Who is in the way, on another client or this; mode kNL: nobody.
    Status test(FlockRange range, FlockRange* other, bool* same_client);

    Status replay();  // in a recovery, to the new instance
    void drop_all();  // evicted
    size_t held() const { return state_.lock()->table.counts().held; }

private:
    using Wanted = Ref<Call<LdlmFlockOp>>;
    struct State {
        FlockTable table;
        Vec<FlockRange> unlocks;  // to be sent when the gate opens
        // nobody waits for them, and the MDT could not be asked whether they were granted
        Vec<Wanted> abandoned;
        uint64_t epoch = 0;  // grows with each replay and eviction
        uint64_t evictions = 0;
        bool stopping = false;
    };
    void forget(const FlockRange& range);
    // -kEALREADY: ask again, a replay has missed it
    Status remember(const FlockRange& range, uint64_t epoch);
    // Inside the gate.
    Status send_unlocks();
    Status send_later(const FlockRange& unlock);
    Status send(const FlockRange& range, uint32_t flags, WaitMode wait, LdlmFlockReply* reply);
    Status interrupted(const Wanted& call);
    static bool is_in_doubt(const Call<LdlmFlockOp>& call, Status answer);
    Status settle_later(const Wanted& call);
    Status yielded(Call<LdlmFlockOp>& call, const FlockRange& range);
    Status cancel_and_wait(Call<LdlmFlockOp>& call);
    Status settle_abandoned();
    Status restore(const FlockRange& range);
    void run();

    Import& import_;
    // unlocks that were left over go one batch after the other, and before what comes later
    Mutex sending_;
    mutable Guarded<State> state_;
    CondVar changed_;
    const uint64_t secret_;  // owners are addresses, which are nobody's business
    std::atomic<uint64_t> next_cookie_{1};
    Task task_;
};

}  // namespace lull
