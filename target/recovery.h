// SPDX-License-Identifier: GPL-2.0-only
/*
 * The recovery window after an unclean stop with known clients (R2, R3, R4). One task executes
 * replays in the order of replay_queue.h.
 *
 *   state      ends with
 *   inactive   begin() with clients
 *   open       every expected client sent ReplayDone; or the soft limit passed and nobody who has
 *              connected is still replaying; or hard_ms passed. Who is not done at the end is
 *              evicted and named.
 *   complete   -
 *
 * The soft limit is soft_ms after the beginning, and extend_ms after the last sign of progress of
 * any client (it came back, replayed, finished) if that is later: a server that is busy with some
 * has had no time for the others. Then the missing ones are evicted, and of those who have
 * connected each that has done nothing for extend_ms, though the server owed it nothing
 * (Export::idle_since_ns) and it was not waiting for another client's replay. Pings are not
 * progress.
 * Nothing goes beyond hard_ms. close() (abort_recov, R2) is the soft limit passing now: who has
 * connected may finish.
 *
 * A replay that fails, because what it builds on was done by a client that is missing (the service
 * compares the versions of objects before the operation, as its client was told them, with those of
 * now), is the business of its client alone: the others' go on, and so do its own that do not
 * depend on it. At the end that client is evicted: it must not believe in what is lost.
 *
 * The replies to ReplayDone are withheld until the end.
 */
#pragma once
#include "target/replay_queue.h"

namespace lull {

class RecoveryEnv {
public:
    virtual void execute_replay(Ref<ServerRequest> request) = 0;
    // its record; it has no export
    virtual void evict_absent(const UuidText& client, const char* why) = 0;
    virtual void evict_export(Export& exp, const char* why) = 0;
    virtual Text<65> nodename_of(const UuidText& client) = 0;  // from its record; may be empty
    // active() is false already; the withheld replies go out afterwards
    virtual void on_window_closed() = 0;

protected:
    ~RecoveryEnv() = default;
};

class Recovery {
public:
    static constexpr uint32_t kSoftMsDefault = 60000, kHardMsDefault = 180000,
                              kExtendMsDefault = 20000;
    static constexpr size_t kNamesShown = 32;  // in the status

    Recovery(RecoveryEnv& env, const char* name) : env_(env), name_(name), state_(LockRank::kTarget)
    {}
    ~Recovery() { stop(); }

    Status begin(const Vec<UuidText>& clients);  // starts the task
    void stop();                                 // the target stops; what is held is dropped
    void close();                                // R2: do not wait for the missing any longer

    bool active() const { return active_.load(); }
    bool expects(const UuidText& client) const;
    // True: it has said ReplayDone (or is not a recovering client at all).
    bool is_done(const UuidText& client) const;
    void connected(const UuidText& client, Ref<Export> exp);
    enum class Gone { kEvicted, kLeft };  // left: it disconnected, or began another life
    void gone(const UuidText& client, Gone how);

    // False: there is no window for this client (any more), the caller answers.
    bool hold_replay(Ref<ServerRequest> request);
    bool replay_done(Ref<ServerRequest> request);
    void requests_replayed(const UuidText& client);  // it has begun with its locks
    void note_progress(const UuidText& client);
    void set_limits(uint32_t soft, uint32_t hard);  // ms; 0: as it is. At any time
    uint32_t soft_limit_ms() const { return soft_ms_.load(); }
    uint32_t hard_limit_ms() const { return hard_ms_.load(); }
    void set_extension(uint32_t ms) { extend_ms_.store(ms); }  // before begin()

    void describe(class TextSink& out) const;

private:
    struct State {
        ReplayQueue queue;
        Vec<Ref<ServerRequest>> done_requests;
        bool stop = false, close = false;
        uint64_t began_ns = 0, ended_ns = 0, progress_ns = 0;
        Text<400> evicted_names;
        size_t evicted = 0, left = 0, total = 0, completed = 0, executed = 0;
    };
    void run();
    struct Late {
        UuidText uuid;
        Ref<Export> exp;
        const char* why = nullptr;
    };
    uint64_t hard_end_locked(const State& s) const { return s.began_ns + hard_ms_.load() * kMsec; }
    uint64_t soft_end_locked(const State& s) const;
    bool soft_passed_locked(const State& s) const { return now_ns() >= soft_end_locked(s); }
    void progress_locked(State& s, ReplayQueue::Client& c) const
    {
        s.progress_ns = c.progress_ns = now_ns();
    }
    uint64_t patience_end(const ReplayQueue::Client& c) const;
    bool find_late_locked(State& s, bool all, Late* out) const;  // after the soft limit
    void evict_late(Late& late);
    bool over_locked(const State& s, const char** why) const;
    uint64_t deadline_locked(const State& s) const;
    void evict_incomplete();
    void note_loss(const ServerRequest& request);
    void finish(const char* why);

    std::atomic<uint32_t> soft_ms_{kSoftMsDefault}, hard_ms_{kHardMsDefault},
        extend_ms_{kExtendMsDefault};
    RecoveryEnv& env_;
    const char* name_;
    mutable Guarded<State> state_;
    CondVar changed_;
    std::atomic<bool> active_{false};
    Task task_;
};

}  // namespace lull
