/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Controlled shutdown of one target (A10–A12, E1, E2, S5, S12–S14, T3, T8, B3, B4): a state machine
 * with one task.
 *
 *   state       next        on error or cancel  what happens
 *   running     warming                         normal service
 *   warming     notifying   running             service goes on; clients write back what is dirty
 *                                               (B2), and each says that it is there: a dead one is
 *                                               waited for here, where nobody else waits
 *   notifying   draining    running             refuse new connections, park gated requests and
 *                                               lock waiters, enqueue EX: one BlAst to each holder
 *   draining    committing  running             who said nothing is evicted; wait for EX: clients
 *                                               flush, cancel; late ones are evicted and named
 *   committing  clean       running (commit     the store is synced: last_committed == last_transno
 *                           error, reason)      (A12)
 *   clean       halted      no way back         clean record written and synced; withheld cancel
 *                                               replies go out (E1)
 *   halted                                      exports gone, store unmounted
 *
 * Cancel is possible in every state before clean: EX is dropped, waiting clients get their PR and
 * resume without recovery (E2); withheld cancels are answered then, too. Knows its surroundings
 * only through ShutdownEnv and kapi (B8).
 */
#pragma once
#include "kapi/containers.h"
#include "kapi/sync.h"

namespace lull {

enum class ShutdownState : uint8_t {
    kRunning,
    kWarming,
    kNotifying,
    kDraining,
    kCommitting,
    kClean,
    kHalted
};
const char* to_string(ShutdownState s);

class ShutdownEnv {
public:
    virtual void begin_warm() = 0;  // asks every client once
    virtual bool is_warm() = 0;     // nothing more comes of it
    // every client has sent something since it was asked, or is gone
    virtual bool all_heard() = 0;
    virtual void refuse_connections(bool on) = 0;
    // gated requests and lock waiters; background work stops
    virtual void park(bool on) = 0;
    virtual Status begin_exclusive() = 0;
    // those of whom nothing was heard since, named in the log
    virtual void evict_unheard() = 0;
    virtual Status wait_exclusive(uint64_t deadline_ns) = 0;  // -ETIMEDOUT
    virtual void end_exclusive() = 0;
    // Clients that still hold the active lock: evict those without progress since progress_since_ns
    // (0: all), name them in the log. How many are left.
    virtual size_t evict_late(uint64_t progress_since_ns) = 0;
    virtual size_t holders() = 0;
    virtual Status commit_all() = 0;  // until last_committed == last_transno
    // synced when it returns
    virtual Status write_clean_record(const struct ShutdownPhases& so_far) = 0;
    virtual Status erase_clean_record() = 0;           // after a failure in between
    virtual void release_cancels(bool committed) = 0;  // the withheld replies
    virtual void halt() = 0;                           // exports, store

protected:
    ~ShutdownEnv() = default;
};

struct ShutdownTunables {
    // without progress, or a sign of life before the drain, a client is evicted after this (S12)
    uint32_t soft_ms = 30000;
    uint32_t hard_ms = 300000;  // absolute limit of the whole drain (S12)
    // limit of the warm-up; it ends when little is dirty. 0: none, and nobody is asked (B2)
    uint32_t warm_ms = 5000;
};

struct ShutdownPhases {  // ns each, of the last run (B4)
    uint64_t warm = 0, notify = 0, drain = 0, commit = 0, halt = 0;
};

class Shutdown {
public:
    static Result<Owned<Shutdown>> create(ShutdownEnv& env, const char* name,
                                          const ShutdownTunables& tunables);
    virtual ~Shutdown() = default;
    virtual Status begin() = 0;   // -EALREADY; returns at once
    virtual Status cancel() = 0;  // -EBUSY: too late (clean), -EALREADY: not running one
    virtual ShutdownState state() const = 0;
    virtual Status wait(ShutdownState state, uint64_t deadline_ns) = 0;
    virtual Text<160> last_error() const = 0;  // why the last one went back to running
    virtual ShutdownPhases phases() const = 0;
    virtual void stop() = 0;  // joins the task
};

}  // namespace lull
