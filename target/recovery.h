// SPDX-License-Identifier: GPL-2.0-only
/*
 * The recovery window after an unclean stop with known clients (R2, R3, R4). One task executes replays in the order of replay_queue.h.
 *
 *   state      ends with
 *   inactive   begin() with clients
 *   open       every expected client sent ReplayDone; or soft_ms passed and nobody who has connected is still
 *              replaying; or hard_ms passed. close() (abort_recov, R2) is soft_ms passing now: who is missing is not waited for, who
 *              has connected may finish. Who is not done at the end is evicted and named.
 *   complete   -
 *
 * A replay that fails, because what it builds on was done by a client that is missing (the service compares the versions of objects
 * before the operation, as its client was told them, with those of now), is the business of its client alone: the others' go on, and so do
 * its own that do not depend on it. At the end that client is evicted: it must not believe in what is lost.
 *
 * The replies to ReplayDone are withheld until the end.
 */
#pragma once
#include "target/replay_queue.h"

namespace lull {

class RecoveryEnv {
public:
    virtual void execute_replay(Ref<ServerRequest> request) = 0;
    virtual void evict_absent(const UuidText& client, const char* why) = 0;  // its record; it has no export
    virtual void evict_export(Export& exp, const char* why) = 0;
    virtual void on_window_closed() = 0;   // active() is false already; the withheld replies go out afterwards

protected:
    ~RecoveryEnv() = default;
};

class Recovery {
public:
    static constexpr uint32_t kSoftMsDefault = 60000, kHardMsDefault = 180000;

    Recovery(RecoveryEnv& env, const char* name) : env_(env), name_(name), state_(LockRank::kTarget) {}
    ~Recovery() { stop(); }

    Status begin(const Vec<UuidText>& clients);  // starts the task
    void stop();                                 // the target stops; what is held is dropped
    void close();                                // R2: do not wait for the missing any longer

    bool active() const { return active_.load(); }
    bool expects(const UuidText& client) const;
    // True: it has said ReplayDone (or is not a recovering client at all).
    bool is_done(const UuidText& client) const;
    void connected(const UuidText& client, Ref<Export> exp);
    void gone(const UuidText& client);           // evicted meanwhile

    // False: there is no window for this client (any more), the caller answers.
    bool hold_replay(Ref<ServerRequest> request);
    bool replay_done(Ref<ServerRequest> request);
    void requests_replayed(const UuidText& client);  // it has begun with its locks

    void describe(class TextSink& out) const;
    std::atomic<uint32_t> soft_ms{kSoftMsDefault}, hard_ms{kHardMsDefault};

private:
    struct State {
        ReplayQueue queue;
        Vec<Ref<ServerRequest>> done_requests;
        bool stop = false, close = false;
        uint64_t began_ns = 0, ended_ns = 0;
        size_t evicted = 0, total = 0, completed = 0, executed = 0;
    };
    void run();
    bool soft_passed_locked(const State& s) const
    {
        return s.close || now_ns() - s.began_ns >= soft_ms.load() * kMsec;
    }
    bool over_locked(const State& s, const char** why) const;
    uint64_t deadline_locked(const State& s) const;
    void evict_incomplete();
    void note_loss(const ServerRequest& request);
    void finish(const char* why);

    RecoveryEnv& env_;
    const char* name_;
    mutable Guarded<State> state_;
    CondVar changed_;
    std::atomic<bool> active_{false};
    Task task_;
};

}  // namespace lull
