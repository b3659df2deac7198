// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state machine of shutdown.h. next_state() is the only place that moves it; run() is the
 * table's middle column, executed by the one task. A cancel sets a flag and drops EX; the task sees
 * the flag at its next transition and rolls back.
 */
#include "target/shutdown.h"

#include "kapi/log.h"

namespace lull {

namespace {

// how often the warm-up looks whether writes still arrive
constexpr uint64_t kWarmSliceMs = 50;
constexpr uint64_t kDrainSliceMs = 500;      // how often the drain looks at its clients
constexpr uint64_t kAfterEvictionMs = 5000;  // EX must come once the last late holder is gone

enum class Event : uint8_t { kBegin, kDone, kCancel, kFailed };

ShutdownState next_state(ShutdownState from, Event event)
{
    using enum ShutdownState;
    bool revocable =
        from == kWarming || from == kNotifying || from == kDraining || from == kCommitting;
    switch (event) {
    case Event::kBegin: return from == kRunning ? kWarming : from;
    case Event::kCancel:
    case Event::kFailed: return revocable ? kRunning : from;
    case Event::kDone:
        switch (from) {
        case kWarming: return kNotifying;
        case kNotifying: return kDraining;
        case kDraining: return kCommitting;
        case kCommitting: return kClean;
        case kClean: return kHalted;
        case kRunning:
        case kHalted: return from;
        }
    }
    LULL_UNREACHABLE();
}

class ShutdownImpl final : public Shutdown {
public:
    ShutdownImpl(ShutdownEnv& env, const char* name, const ShutdownTunables& tunables)
        : env_(env), name_(name), tunables_(tunables)
    {}
    ~ShutdownImpl() override { stop(); }

    Status begin() override;
    Status cancel() override;
    ShutdownState state() const override { return data_.lock()->state; }
    Status wait(ShutdownState state, uint64_t deadline_ns) override;
    Text<160> last_error() const override { return data_.lock()->last_error; }
    ShutdownPhases phases() const override { return data_.lock()->phases; }
    void stop() override;

private:
    struct Data {
        ShutdownState state = ShutdownState::kRunning;
        bool cancel = false, stopping = false, task_live = false;
        // inside cancel(): a new attempt must not lose its EX to the cancel of the last one
        unsigned cancelling = 0;
        Text<160> last_error;
        ShutdownPhases phases;
    };
    void run();
    Status warm();
    Status notify();
    Status drain();
    Status commit();
    void finish();
    void roll_back(Status why, const char* step);
    bool advance(Event event);
    void move_locked(Data& d, Event event);
    bool cancelled() const { return data_.lock()->cancel; }
    Status drain_slice(uint64_t began_ns, uint64_t hard_ns);

    ShutdownEnv& env_;
    const char* name_;
    const ShutdownTunables& tunables_;
    mutable Guarded<Data> data_{LockRank::kShutdown};
    CondVar changed_;
    Task task_;
    bool record_written_ = false;  // the task's own
};

void ShutdownImpl::move_locked(Data& d, Event event)
{
    ShutdownState from = d.state;
    d.state = next_state(from, event);
    LULL_ASSERT(d.state != from);
    kapi_trace_state(KAPI_SHUTDOWN, name_, to_string(from), to_string(d.state));
    changed_.wake_all();
}

// False: it was cancelled meanwhile.
bool ShutdownImpl::advance(Event event)
{
    auto d = data_.lock();
    bool go_on = !(d->cancel && event == Event::kDone && d->state < ShutdownState::kClean);
    if (go_on) move_locked(*d, event);
    return go_on;
}

Status ShutdownImpl::begin()
{
    {
        auto d = data_.lock();
        (void)d.wait_until(changed_, [&] { return d->cancelling == 0; });
        if (d->stopping) return -kESHUTDOWN;
        if (d->state != ShutdownState::kRunning || d->task_live) return -kEALREADY;
        d->task_live = true;
        d->cancel = false;
        d->last_error = Text<160>();
        d->phases = ShutdownPhases();
        move_locked(*d, Event::kBegin);
    }
    task_.join();  // of an earlier attempt that was cancelled: it has ended but for its return
    Status s = task_.start<&ShutdownImpl::run>(this, "lull_shutdown");
    if (s.ok()) return kOk;
    auto d = data_.lock();
    d->task_live = false;
    d->state = ShutdownState::kRunning;
    changed_.wake_all();
    return s;
}

Status ShutdownImpl::cancel()
{
    {
        auto d = data_.lock();
        if (d->state == ShutdownState::kRunning) return -kEALREADY;
        if (d->state >= ShutdownState::kClean) return -kEBUSY;
        d->cancel = true;
        d->cancelling++;
    }
    env_.end_exclusive();  // wakes a drain; the task sees the flag before it would go on
    data_.lock()->cancelling--;
    changed_.wake_all();
    return kOk;
}

Status ShutdownImpl::wait(ShutdownState state, uint64_t deadline_ns)
{
    auto d = data_.lock();
    for (;;) {
        if (d->state == state && (state != ShutdownState::kRunning || !d->task_live)) return kOk;
        bool over = d->state == ShutdownState::kHalted ||
                    (d->state == ShutdownState::kRunning && !d->task_live);
        if (over) return -kECANCELED;
        TRY(d.wait(changed_, deadline_ns));
    }
}

void ShutdownImpl::stop()
{
    data_.lock()->stopping = true;
    (void)cancel();
    task_.join();
}

// As a live migration copies ahead: what is written back now need not be while operations wait. The
// same goes for clients that may be dead: in the drain, everybody would wait for them.
Status ShutdownImpl::warm()
{
    if (tunables_.warm_ms == 0) return kOk;
    uint64_t end = deadline_after_ms(tunables_.warm_ms);
    uint64_t end_of_silent = deadline_after_ms(tunables_.soft_ms);
    env_.begin_warm();
    bool said = false;
    for (;;) {
        bool heard = env_.all_heard();
        uint64_t now = now_ns(), last = heard || end > end_of_silent ? end : end_of_silent;
        if (now >= last || (heard && env_.is_warm())) return kOk;
        if (now >= end && !said) {
            said = true;
            log_notice(
                "%s: waits up to %u ms for clients that give no sign of life "
                "(not_heard_of in its status); service goes on",
                name_, tunables_.soft_ms - tunables_.warm_ms);
        }
        uint64_t slice = now + kWarmSliceMs * kMsec;
        auto d = data_.lock();
        Status s = d.wait_until(
            changed_, [&] { return d->cancel; }, slice < last ? slice : last);
        if (s.ok()) return -kECANCELED;
    }
}

Status ShutdownImpl::notify()
{
    env_.refuse_connections(true);
    env_.park(true);
    return env_.begin_exclusive();
}

// One look: granted, cancelled, too late, or not yet (-EAGAIN).
Status ShutdownImpl::drain_slice(uint64_t began_ns, uint64_t hard_ns)
{
    uint64_t now = now_ns();
    uint64_t slice = now + kDrainSliceMs * kMsec;
    Status s = env_.wait_exclusive(slice < hard_ns ? slice : hard_ns);
    if (!s.is(kETIMEDOUT)) return s;
    if (cancelled()) return -kECANCELED;
    now = now_ns();
    uint64_t soft_ns = tunables_.soft_ms * kMsec;
    if (now >= hard_ns) {
        (void)env_.evict_late(0);
        return env_.wait_exclusive(now + kAfterEvictionMs * kMsec);
    }
    if (now - began_ns >= soft_ns) (void)env_.evict_late(now - soft_ns);
    return -kEAGAIN;
}

Status ShutdownImpl::drain()
{
    uint64_t began = now_ns();
    uint64_t hard = began + tunables_.hard_ms * kMsec;
    env_.evict_unheard();
    Status s;
    do s = drain_slice(began, hard);
    while (s.is(kEAGAIN));
    return s;
}

Status ShutdownImpl::commit()
{
    uint64_t began = now_ns();
    TRY(env_.commit_all());
    if (cancelled()) return -kECANCELED;
    ShutdownPhases so_far = phases();
    so_far.commit = now_ns() - began;
    Status s = env_.write_clean_record(so_far);
    record_written_ = true;  // perhaps in part, even if it failed
    return s;
}

// Clean: what is left cannot fail.
void ShutdownImpl::finish()
{
    env_.release_cancels(true);
    env_.halt();
}

void ShutdownImpl::roll_back(Status why, const char* step)
{
    env_.park(false);
    env_.refuse_connections(false);
    env_.end_exclusive();
    env_.release_cancels(false);
    bool was_cancel = why.is(kECANCELED);
    if (was_cancel) log_notice("%s: controlled shutdown cancelled, service goes on", name_);
    else
        log_err("%s: controlled shutdown failed in %s (error %d), service goes on", name_, step,
                why.error());
    auto d = data_.lock();
    d->last_error = was_cancel ? Text<160>("cancelled")
                               : text_format<160>("%s failed: error %d", step, why.error());
    d->task_live = false;
    move_locked(*d, was_cancel ? Event::kCancel : Event::kFailed);
}

void ShutdownImpl::run()
{
    struct Phase {
        const char* name;
        Status (ShutdownImpl::*act)();
        uint64_t ShutdownPhases::*took;
    };
    constexpr Phase kPhases[] = {
        {"warming", &ShutdownImpl::warm, &ShutdownPhases::warm},
        {"notifying", &ShutdownImpl::notify, &ShutdownPhases::notify},
        {"draining", &ShutdownImpl::drain, &ShutdownPhases::drain},
        {"committing", &ShutdownImpl::commit, &ShutdownPhases::commit},
    };
    log_notice("%s: controlled shutdown begins", name_);
    record_written_ = false;
    for (const Phase& phase : kPhases) {
        uint64_t began = now_ns();
        Status s = (this->*phase.act)();
        data_.lock()->phases.*phase.took = now_ns() - began;
        if (s.ok() && advance(Event::kDone)) continue;
        if (cancelled()) s = -kECANCELED;
        // A server that runs must not be marked clean. If the mark cannot be taken back, the way
        // forward is the only safe one.
        if (record_written_ && !env_.erase_clean_record().ok()) {
            log_err("%s: the clean record cannot be erased: the shutdown goes on", name_);
            auto d = data_.lock();
            d->cancel = false;
            move_locked(*d, Event::kDone);
            break;
        }
        return roll_back(s, phase.name);
    }
    uint64_t began = now_ns();
    {
        auto d = data_.lock();
        (void)d.wait_until(changed_, [&] { return d->cancelling == 0; });
    }
    finish();
    auto d = data_.lock();
    d->phases.halt = now_ns() - began;
    d->task_live = false;
    move_locked(*d, Event::kDone);
    const ShutdownPhases& p = d->phases;
    kapi_phases traced = {p.warm, p.notify, p.drain, p.commit, p.halt, 0, 0, 0};
    kapi_trace_phases(name_, &traced);
    log_notice(
        "%s: halted clean: warm %llu ms, notify %llu ms, "
        "drain %llu ms, commit %llu ms, halt %llu ms",
        name_, static_cast<unsigned long long>(p.warm / kMsec),
        static_cast<unsigned long long>(p.notify / kMsec),
        static_cast<unsigned long long>(p.drain / kMsec),
        static_cast<unsigned long long>(p.commit / kMsec),
        static_cast<unsigned long long>(p.halt / kMsec));
}

}  // namespace

const char* to_string(ShutdownState s)
{
    constexpr const char* kNames[] = {"running",    "warming", "notifying", "draining",
                                      "committing", "clean",   "halted"};
    return kNames[static_cast<size_t>(s)];
}

Result<Owned<Shutdown>> Shutdown::create(ShutdownEnv& env, const char* name,
                                         const ShutdownTunables& tunables)
{
    Owned<ShutdownImpl> made = make<ShutdownImpl>(env, name, tunables);
    if (!made) return -kENOMEM;
    return Owned<Shutdown>(std::move(made));
}

}  // namespace lull
