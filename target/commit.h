// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transaction numbers and group commit (T2, T8). A number is instance << 40 | counter.
 * last_committed is the highest number at or below which everything was complete when the last sync
 * began: the smallest one still in progress, minus one.
 *
 * The task syncs every interval_ms while something is uncommitted. commit() returns when a sync
 * that began after the call is done; calls that come together share it. last_committed is persisted
 * *after* the sync that made it true (written data may be lost even though later steps survived a
 * crash: the disk must never say too much), and is itself synced before anybody is told.
 */
#pragma once
#include "kapi/containers.h"
#include "kapi/sync.h"

namespace lull {

class CommitEnv {
public:
    virtual Status sync() = 0;
    virtual Status persist(uint64_t last_committed) = 0;
    virtual void on_committed(uint64_t last_committed) = 0;
    // Nobody knows what is durable of what was executed since the last commit, and nothing will be.
    virtual void on_commit_failed() {}

protected:
    ~CommitEnv() = default;
};

class Commit {
public:
    static constexpr unsigned kInstanceShift = 40;
    static constexpr uint32_t kIntervalMsDefault = 5000;

    Commit(CommitEnv& env, const char* name) : env_(env), name_(name), state_(LockRank::kCommit) {}
    ~Commit() { stop(); }

    // Before anything else. last: the highest number known of earlier instances, all of it
    // committed.
    void open(uint64_t instance, uint64_t last);
    Status start_task();
    void stop();  // joins the task; no commit follows

    // A fresh number, or the given one of a replay (-EPROTO: not one of an earlier instance).
    // -ENOMEM.
    Result<uint64_t> begin(uint64_t replayed);
    void end(uint64_t transno);
    uint64_t last_transno() const { return last_transno_.load(); }
    uint64_t last_committed() const { return last_committed_.load(); }
    bool all_committed() const { return last_committed() == last_transno(); }
    Status commit();
    uint64_t last_took_ns() const { return last_took_ns_.load(); }  // the last one that advanced

    uint32_t interval_ms() const { return interval_ms_.load(); }
    void set_interval_ms(uint32_t ms);

private:
    struct State {
        uint64_t next = 0;                   // counter
        Vec<uint64_t> in_progress;           // unordered
        uint64_t started = 0, finished = 0;  // syncs
        uint64_t failed = 0;                 // the last one that failed
        Status error;                        // of it
        bool stop = false;
    };
    Status sync_locked(Guarded<State>::Access& s);
    uint64_t floor_locked(const State& s) const;
    void run();

    CommitEnv& env_;
    const char* name_;
    uint64_t instance_ = 0;
    Guarded<State> state_;
    CondVar changed_;
    std::atomic<uint64_t> last_transno_{0}, last_committed_{0}, last_took_ns_{0};
    std::atomic<uint32_t> interval_ms_{kIntervalMsDefault};
    Task task_;
};

}  // namespace lull
