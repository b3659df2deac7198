// SPDX-License-Identifier: GPL-2.0-only
#include "ldlm/active_lock.h"

#include "kapi/containers.h"
#include "kapi/log.h"

namespace lull {

namespace {

using State = ActiveLockState;

enum class Event : uint8_t {
    kFull,       // connected, to a server with the feature
    kNoFeature,  // connected, to one without
    kBlAst,
    kParked,
    kEvicted,
    kShutdown,
    kStepDone,  // what the state had to do
};

constexpr uint64_t kStepMs = 1000;  // a step looks up at least so often whether it is still wanted
constexpr uint64_t kRetryMs = 200;  // after a step that failed

// The table of active_lock.h; what happens on entering a state is in ActiveLockImpl.
constexpr State next_state(State s, Event e)
{
    if (s == State::kStopped || e == Event::kShutdown) return State::kStopped;
    switch (e) {
    case Event::kEvicted: return State::kIdle;
    case Event::kFull: return State::kEnqueuing;
    case Event::kNoFeature: return State::kHeld;
    case Event::kBlAst:
    case Event::kParked: return s == State::kHeld ? State::kClosing : s;
    case Event::kStepDone: break;
    case Event::kShutdown: return State::kStopped;
    }
    switch (s) {
    case State::kEnqueuing: return State::kHeld;
    case State::kClosing: return State::kFlushing;
    case State::kFlushing: return State::kCancelling;
    case State::kCancelling: return State::kEnqueuing;
    default: return s;
    }
}

class ActiveLockImpl final : public ActiveLock {
public:
    ActiveLockImpl(ActiveLockEnv& env, const char* name) : env_(env), name_(name) {}
    ~ActiveLockImpl() override { shutdown(); }
    Status start() { return task_.start<&ActiveLockImpl::run>(this, "lull_active"); }

    void on_full(bool first_of_instance, bool server_has_feature) override;
    void on_bl_ast(uint64_t server_handle) override;
    void on_parked() override;
    void on_evicted() override;
    void shutdown() override;
    ActiveLockState state() const override { return data_.lock()->state; }
    uint64_t grants() const override { return grants_.load(); }

private:
    struct Data {
        State state = State::kIdle;
        uint64_t epoch = 0;   // grows when a step under way has become void
        uint64_t handle = 0;  // of the lock held; 0: none, or a server without the feature
        // of the last BlAst: it may come before the answer to the enqueue
        uint64_t blocked_handle = 0;
        bool gate_open = false;   // as we left it
        bool expect_new = false;  // the instance halts: whatever is granted next, a new one grants
    };

    void apply_locked(Data& d, Event e);
    void sync_gate_locked(Data& d);
    void granted_locked(Data& d, uint64_t handle);
    void run();
    bool next_step(State* step, uint64_t* epoch, uint64_t* handle);
    Status take_step(State step, uint64_t* handle, bool* committed);
    void finish_step(State step, uint64_t epoch, Status status, uint64_t handle, bool committed);

    ActiveLockEnv& env_;
    const Text<80> name_;
    mutable Guarded<Data> data_{LockRank::kActiveLock};
    std::atomic<uint64_t> grants_{0};  // changes with data_ locked; every request looks at it
    CondVar changed_;
    Task task_;
};

void ActiveLockImpl::apply_locked(Data& d, Event e)
{
    State next = next_state(d.state, e);
    if (next == d.state) return;
    kapi_trace_state(KAPI_ACTIVE_LOCK, name_.c_str(), to_string(d.state), to_string(next));
    d.state = next;
    changed_.wake_all();
}

void ActiveLockImpl::sync_gate_locked(Data& d)
{
    bool open = d.state == State::kHeld;
    if (open == d.gate_open) return;
    d.gate_open = open;
    if (open) env_.open_gate();
    else env_.close_gate();
}

void ActiveLockImpl::on_full(bool first_of_instance, bool server_has_feature)
{
    auto d = data_.lock();
    if (d->state == State::kStopped) return;
    if (!first_of_instance && d->state != State::kIdle)
        return;  // what we have and what we wait for still counts
    d->handle = 0;
    if (!server_has_feature) {
        d->epoch++;
        apply_locked(*d, Event::kNoFeature);
    } else {
        // The one enqueue that waits already is answered by the new instance, unless the old one
        // could have done so.
        bool waits_for_new = d->state == State::kEnqueuing && d->expect_new;
        if (!waits_for_new) d->epoch++;
        apply_locked(*d, Event::kFull);
    }
    d->expect_new = false;
    sync_gate_locked(*d);
    changed_.wake_all();
}

void ActiveLockImpl::on_bl_ast(uint64_t server_handle)
{
    auto d = data_.lock();
    d->blocked_handle = server_handle;
    if (d->state != State::kHeld || d->handle == 0 || d->handle != server_handle) return;
    apply_locked(*d, Event::kBlAst);
    sync_gate_locked(*d);
}

void ActiveLockImpl::on_parked()
{
    auto d = data_.lock();
    if (d->state != State::kHeld || d->handle == 0) return;
    apply_locked(*d, Event::kParked);
    sync_gate_locked(*d);
}

void ActiveLockImpl::on_evicted()
{
    auto d = data_.lock();
    d->epoch++;
    d->handle = 0;
    d->expect_new = false;
    apply_locked(*d, Event::kEvicted);
    sync_gate_locked(*d);
}

void ActiveLockImpl::shutdown()
{
    {
        auto d = data_.lock();
        d->epoch++;
        apply_locked(*d, Event::kShutdown);
        sync_gate_locked(*d);
    }
    task_.join();
}

void ActiveLockImpl::run()
{
    State step;
    uint64_t epoch, handle;
    while (next_step(&step, &epoch, &handle)) {
        bool committed = false;
        Status status = take_step(step, &handle, &committed);
        finish_step(step, epoch, status, handle, committed);
    }
}

// Waits until there is something to do. False: stopped.
bool ActiveLockImpl::next_step(State* step, uint64_t* epoch, uint64_t* handle)
{
    auto d = data_.lock();
    // Ends with the next event; shutdown() is one.
    (void)d.wait_until(changed_,
                       [&] { return d->state != State::kIdle && d->state != State::kHeld; });
    *step = d->state;
    *epoch = d->epoch;
    *handle = d->handle;
    return d->state != State::kStopped;
}

Status ActiveLockImpl::take_step(State step, uint64_t* handle, bool* committed)
{
    switch (step) {
    case State::kEnqueuing: return env_.enqueue(handle);
    case State::kClosing: return env_.wait_gate_parked(deadline_after_ms(kStepMs));
    case State::kFlushing: return env_.flush_all(deadline_after_ms(kStepMs));
    case State::kCancelling: return env_.cancel(*handle, committed);
    default: LULL_UNREACHABLE();
    }
}

void ActiveLockImpl::finish_step(State step, uint64_t epoch, Status status, uint64_t handle,
                                 bool committed)
{
    bool expect_restart = false;
    {
        auto d = data_.lock();
        if (d->state != step || d->epoch != epoch) return;  // overtaken by an event
        if (!status.ok()) {
            // Often an event that explains it follows at once.
            if (!status.is(kETIMEDOUT)) (void)d.wait(changed_, deadline_after_ms(kRetryMs));
            return;
        }
        if (step == State::kEnqueuing) {
            granted_locked(*d, handle);
        } else {
            if (step == State::kCancelling) {
                d->handle = 0;
                d->expect_new = expect_restart = committed;
            }
            apply_locked(*d, Event::kStepDone);
        }
        sync_gate_locked(*d);
    }
    if (expect_restart) env_.expect_restart();
}

void ActiveLockImpl::granted_locked(Data& d, uint64_t handle)
{
    d.handle = handle;
    grants_.fetch_add(1);
    d.expect_new = false;
    apply_locked(d, Event::kStepDone);
    if (d.blocked_handle == handle && handle != 0) apply_locked(d, Event::kBlAst);
}

}  // namespace

const char* to_string(ActiveLockState s)
{
    switch (s) {
    case State::kIdle: return "idle";
    case State::kEnqueuing: return "enqueuing";
    case State::kHeld: return "held";
    case State::kClosing: return "closing";
    case State::kFlushing: return "flushing";
    case State::kCancelling: return "cancelling";
    case State::kStopped: return "stopped";
    }
    return "?";
}

Result<Owned<ActiveLock>> ActiveLock::create(ActiveLockEnv& env, const char* name)
{
    auto lock = make<ActiveLockImpl>(env, name);
    if (!lock) return -kENOMEM;
    TRY(lock->start());
    return Owned<ActiveLock>(std::move(lock));
}

}  // namespace lull
