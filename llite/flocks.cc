// SPDX-License-Identifier: GPL-2.0-only
#include "llite/flocks.h"

#include "kapi/log.h"
#include "kapi/retry.h"
#include "llite/gated.h"

namespace lull {

namespace {
constexpr uint8_t kUnlock = static_cast<uint8_t>(LockMode::kNL);

UuidText me() { return UuidText(); }  // the table here is of one client

void log_kept()
{
    log_err("no memory to give back a file lock: it stays until this client unmounts");
}

FlockRange unlock_of(const FlockRange& range)
{
    FlockRange nothing = range;
    nothing.mode = kUnlock;
    return nothing;
}
}  // namespace

// A part that is let go may leave two: that takes memory. What stayed here would be in the way of
// other owners for ever.
void Flocks::forget(const FlockRange& range)
{
    Status s = while_no_memory([&] {
        FlockWaiters none;
        auto state = state_.lock();
        changed_.wake_all();
        return state->table.set(me(), unlock_of(range), false, nullptr, &none);
    });
    if (s.ok()) return;
    log_warn(
        "no memory to forget a file lock: "
        "a restart of the MDT may bring it back until its file is closed");
}

Status Flocks::remember(const FlockRange& range, uint64_t epoch)
{
    FlockWaiters none;
    uint64_t deadline = deadline_after_ms(kCancelRetryMs);
    auto s = state_.lock();
    for (;;) {
        if (s->epoch != epoch) return -kEALREADY;
        Status status = s->table.set(me(), range, false, nullptr, &none);
        if (status.ok()) changed_.wake_all();
        if (!status.is(kEAGAIN)) return status;
        // Another owner here has made way, says the MDT, and has not noted it yet.
        if (!s.wait(changed_, deadline).ok()) return -kEALREADY;
    }
}

// ---- messages

Status Flocks::send(const FlockRange& range, uint32_t flags, WaitMode wait, LdlmFlockReply* reply)
{
    auto call = make_ref<Call<LdlmFlockOp>>();
    if (!call) return -kENOMEM;
    call->op.range = range;
    call->op.range.owner ^= secret_;
    call->op.flags = flags;
    call->op.cookie = next_cookie_.fetch_add(1);
    call->admitted = true;
    call->reply_wait = wait;
    call->yields = flags & kFlockWait;
    Status s = import_.call(*call);
    bool on_its_way =
        (s.is(kERESTARTSYS) || s.is(kEGiveWay)) && call->track.state != Request::Track::State::kNew;
    bool locks = !(flags & kFlockTest) && range.mode != kUnlock;
    if (on_its_way && s.is(kEGiveWay)) s = yielded(*call, range);
    else if (on_its_way && flags & kFlockWait) s = interrupted(call);
    else if (on_its_way && range.mode == kUnlock) s = kOk;  // the import brings it to its end
    else if (locks && is_in_doubt(*call, s) && !settle_later(call).ok()) log_kept();
    if (s.ok() && reply) *reply = call->reply;
    return s;
}

// The wait is over by a signal. Whether the lock was granted is for the MDT to say; if that is
// away, it is asked later, and what it granted is given back.
Status Flocks::interrupted(const Wanted& call)
{
    if (import_.state() != ImportState::kFull && settle_later(call).ok()) return -kERESTARTSYS;
    Status s = cancel_and_wait(*call);
    return s.is(kEPark) ? Status(-kERESTARTSYS) : s;
}

// Refused for want of memory when it was sent again: it may have been granted the first time.
bool Flocks::is_in_doubt(const Call<LdlmFlockOp>& call, Status answer)
{
    return answer.is(kENOMEM) && call.track.resend;
}

Status Flocks::settle_later(const Wanted& call)
{
    auto s = state_.lock();
    changed_.wake_all();
    return s->abandoned.push_back(call);
}

// The gate closes: whoever is in the way may be waiting behind it. What a conversion had, the MDT
// took when it began to wait.
Status Flocks::yielded(Call<LdlmFlockOp>& call, const FlockRange& range)
{
    Status s = cancel_and_wait(call);
    if (!s.is(kERESTARTSYS)) return s;
    if (range.kind == static_cast<uint8_t>(FlockKind::kFlock)) forget(range);
    return -kEPark;
}

Status Flocks::cancel_and_wait(Call<LdlmFlockOp>& call)
{
    for (;;) {
        auto cancel = make_ref<Call<LdlmFlockCancelOp>>();
        if (cancel) {
            cancel->op.cookie = call.op.cookie;
            cancel->reply_wait = WaitMode::kUninterruptible;
            (void)import_.call(*cancel);
        }
        Status s = import_.await(call, deadline_after_ms(kCancelRetryMs));
        if (!s.is(kETIMEDOUT)) return s;
    }
}

// One batch after the other: it returns when none that was left over before is on its way.
Status Flocks::send_unlocks()
{
    MutexLock one(sending_);
    for (;;) {
        FlockRange range;
        uint64_t evictions;
        {
            auto s = state_.lock();
            if (s->unlocks.empty()) break;
            range = s->unlocks[0];
            evictions = s->evictions;
        }
        TRY(send(range, 0, WaitMode::kUninterruptible, nullptr));
        auto s = state_.lock();
        if (s->evictions == evictions) s->unlocks.erase_at(0);
    }
    return settle_abandoned();
}

Status Flocks::settle_abandoned()
{
    for (;;) {
        Wanted call;
        {
            auto s = state_.lock();
            if (s->abandoned.empty()) return kOk;
            call = s->abandoned[0];
        }
        Status s = cancel_and_wait(*call);
        if (s.ok() || is_in_doubt(*call, s)) {
            FlockRange range = call->op.range;
            range.owner ^= secret_;
            s = restore(range);
            if (s.is(kENOMEM) || back_to_gates(s)) return s;
        }
        state_.lock()->abandoned.erase_at(0);
    }
}

// Granted to nobody: back to what the owner knows of.
Status Flocks::restore(const FlockRange& range)
{
    TRY(send(unlock_of(range), 0, WaitMode::kUninterruptible, nullptr));
    Vec<Flock> held;
    TRY(state_.lock()->table.save(&held));
    for (const Flock& f : held) {
        const FlockRange& r = f.range;
        bool same = r.fid == range.fid && r.kind == range.kind && r.owner == range.owner;
        if (!same || r.end < range.start || r.start > range.end) continue;
        if (Status s = send(r, 0, WaitMode::kUninterruptible, nullptr); !s.ok())
            log_warn(
                "a file lock was lost to another client "
                "in the moment of an interrupted request: error %d",
                s.error());
    }
    return kOk;
}

// ---- what applications ask for

Status Flocks::set(FlockRange range, bool wait)
{
    TRY(FlockTable::check(range));
    bool unlock = range.mode == kUnlock;
    uint32_t flags = wait && !unlock ? uint32_t{kFlockWait} : 0u;
    uint64_t evictions = state_.lock()->evictions;
    Gate* gate = &import_.gate();
    return run_gated({&gate, 1}, [&]() -> Status {
        Status before = send_unlocks();
        if (unlock) {
            forget(range);
            Status s = before.ok() ? send(range, flags, WaitMode::kKillable, nullptr) : before;
            return s.is(kENOMEM) ? send_later(range) : s;  // who lets go does not try again
        }
        TRY(before);
        for (;;) {
            uint64_t epoch;
            {
                auto s = state_.lock();
                if (s->evictions != evictions) return -kEIO;
                epoch = s->epoch;
            }
            Status s = send(range, flags,
                            wait ? WaitMode::kInterruptible : WaitMode::kUninterruptible, nullptr);
            bool converts = range.kind == static_cast<uint8_t>(FlockKind::kFlock);
            // What it had is given up first: flock(2). Not by who was sent back to the gate:
            // nothing was done for him.
            if (!s.ok() && converts && !s.is(kERESTARTSYS) && !back_to_gates(s)) forget(range);
            TRY(s);
            s = remember(range, epoch);
            if (s.is(kEALREADY)) continue;
            if (!s.ok()) (void)send(unlock_of(range), 0, WaitMode::kUninterruptible, nullptr);
            return s;
        }
    });
}

void Flocks::release(FlockRange range)
{
    range = unlock_of(range);
    forget(range);
    Gate& gate = import_.gate();
    Status s = gate.try_enter();
    if (s.ok()) {
        s = send_unlocks();
        if (s.ok()) s = send(range, 0, WaitMode::kKillable, nullptr);
        gate.leave();
    }
    if (s.ok() || s.is(kESHUTDOWN) || s.is(kEIO)) return;
    (void)send_later(range);
}

// By the task, and before anything else that is asked for.
Status Flocks::send_later(const FlockRange& unlock)
{
    auto s = state_.lock();
    changed_.wake_all();
    Status status = s->unlocks.push_back(unlock);
    if (!status.ok()) log_kept();
    return status;
}

Status Flocks::test(FlockRange range, FlockRange* other, bool* same_client)
{
    TRY(FlockTable::check(range));
    LdlmFlockReply reply;
    Gate* gate = &import_.gate();
    TRY(run_gated({&gate, 1}, [&]() -> Status {
        TRY(send_unlocks());
        return send(range, kFlockTest, WaitMode::kKillable, &reply);
    }));
    *other = reply.other;
    *same_client = reply.same_client;
    return kOk;
}

// ---- recovery

Status Flocks::replay()
{
    Vec<Flock> held;
    {
        auto s = state_.lock();
        s->epoch++;  // whoever was told of a lock and has not noted it yet asks again
        TRY(s->table.save(&held));
    }
    for (size_t at = 0; at < held.size();) {
        auto call = make_ref<Call<LdlmFlockReplayOp>>();
        if (!call) return -kENOMEM;
        for (; at < held.size() && call->op.ranges.size() < LdlmFlockReplayOp::kMax; at++) {
            held[at].range.owner ^= secret_;
            TRY(call->op.ranges.push_back(held[at].range));
        }
        call->in_recovery = true;
        call->reply_wait = WaitMode::kUninterruptible;
        TRY(import_.call(*call));
        if (call->reply.lost)
            log_err("%s: %u file locks were lost", import_.options().target.c_str(),
                    call->reply.lost);
    }
    return kOk;
}

void Flocks::drop_all()
{
    FlockWaiters none;
    auto s = state_.lock();
    s->table.drop("", false, &none);
    s->unlocks.clear();
    s->epoch++;
    s->evictions++;
}

// ---- the task

void Flocks::run()
{
    for (;;) {
        {
            auto s = state_.lock();
            (void)s.wait_until(changed_, [&] {
                return s->stopping || !s->unlocks.empty() || !s->abandoned.empty();
            });
            if (s->stopping) return;
        }
        Gate* gate = &import_.gate();
        Status s = gate->enter(WaitMode::kUninterruptible);  // ends when the gate opens or is shut
        if (s.ok()) {
            s = send_unlocks();
            gate->leave();
        }
        if (s.is(kEPark)) s = wait_gates({&gate, 1}, WaitMode::kUninterruptible);
        if (s.ok()) continue;
        auto state = state_.lock();
        (void)state.wait_until(
            changed_, [&] { return state->stopping; }, deadline_after_ms(kCancelRetryMs));
    }
}

void Flocks::stop()
{
    {
        auto s = state_.lock();
        s->stopping = true;
        changed_.wake_all();
    }
    task_.join();
}

}  // namespace lull
