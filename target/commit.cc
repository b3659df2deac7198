// SPDX-License-Identifier: GPL-2.0-only
#include "target/commit.h"

#include "kapi/log.h"

namespace lull {

void Commit::open(uint64_t instance, uint64_t last)
{
    instance_ = instance;
    last_transno_.store(last);
    last_committed_.store(last);
    state_.unsafe().next = 1;
}

Status Commit::start_task() { return task_.start<&Commit::run>(this, "lull_commit"); }

void Commit::stop()
{
    state_.lock()->stop = true;
    changed_.wake_all();
    task_.join();
}

void Commit::set_interval_ms(uint32_t ms)
{
    interval_ms_.store(ms);
    changed_.wake_all();
}

Result<uint64_t> Commit::begin(uint64_t replayed)
{
    if (replayed >> kInstanceShift >= instance_) return -kEPROTO;
    auto s = state_.lock();
    uint64_t transno = replayed ? replayed : instance_ << kInstanceShift | s->next;
    TRY(s->in_progress.push_back(transno));
    if (!replayed) s->next++;
    if (transno > last_transno_.load()) last_transno_.store(transno);
    return transno;
}

void Commit::end(uint64_t transno)
{
    auto s = state_.lock();
    for (size_t i = 0; i < s->in_progress.size(); i++) {
        if (s->in_progress[i] != transno) continue;
        s->in_progress[i] = s->in_progress.back();
        s->in_progress.pop_back();
        return;
    }
    LULL_UNREACHABLE();
}

uint64_t Commit::floor_locked(const State& s) const
{
    uint64_t floor = last_transno_.load();
    for (uint64_t t : s.in_progress)
        if (t - 1 < floor) floor = t - 1;
    return floor;
}

// Not called while one runs. Gives the lock up meanwhile.
Status Commit::sync_locked(Guarded<State>::Access& s)
{
    uint64_t number = ++s->started;
    uint64_t floor = floor_locked(*s);
    bool advances = floor > last_committed_.load();
    s.unlock();
    uint64_t began = now_ns();
    Status synced = env_.sync();
    Status status = synced;
    // Nobody is told before the number itself is durable: else, after a crash, one client would
    // replay what is committed, while another knows better and does not replay what came after it.
    if (status.ok() && advances) status = env_.persist(floor);
    if (status.ok() && advances) status = synced = env_.sync();
    if (status.ok() && advances) {
        last_committed_.store(floor);
        last_took_ns_.store(now_ns() - began);
        env_.on_committed(floor);
    }
    if (!synced.ok() && !synced.is(kENOMEM)) env_.on_commit_failed();
    s.relock();
    s->finished = number;
    if (!status.ok()) {
        if (s->error.ok() || s->error.error() != status.error())
            log_err("%s: commit failed (error %d): nothing since transaction %llu is durable",
                    name_, status.error(), static_cast<unsigned long long>(last_committed_.load()));
        s->failed = number;
        s->error = status;
    }
    changed_.wake_all();
    return status;
}

Status Commit::commit()
{
    auto s = state_.lock();
    uint64_t wanted = s->started + 1;  // one that begins from now on
    while (s->finished < wanted) {
        if (s->started == s->finished) {
            TRY(sync_locked(s));
            continue;
        }
        (void)s.wait(changed_);
    }
    return s->failed >= wanted ? s->error : kOk;
}

void Commit::run()
{
    auto s = state_.lock();
    while (!s->stop) {
        uint64_t deadline = deadline_after_ms(interval_ms_.load());
        while (!s->stop && now_ns() < deadline) {
            if (!s.wait(changed_, deadline).ok()) break;
            uint64_t sooner = deadline_after_ms(interval_ms_.load());
            if (sooner < deadline) deadline = sooner;
        }
        if (s->stop || s->started != s->finished || floor_locked(*s) <= last_committed_.load())
            continue;
        (void)sync_locked(s);
    }
}

}  // namespace lull
