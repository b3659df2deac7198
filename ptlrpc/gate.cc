// SPDX-License-Identifier: GPL-2.0-only
#include "ptlrpc/gate.h"

namespace lull {

namespace {
// How long wait_parked() sleeps before it looks whether the gate was reopened meanwhile.
constexpr uint64_t kParkedCheckMs = 20;

struct Control {
    Gate::State state = Gate::State::kOpen;
    uint32_t reasons = 0;
    Status shut_error;
    bool live = true;  // the drain reference gives references
    uint32_t waiting = 0;
    uint64_t interrupts = 0;
    uint64_t longest_wait_ns = 0;
};

// Why nobody may wait.
Status refusal(const Control& c)
{
    if (c.state == Gate::State::kShut) return c.shut_error;
    return c.reasons & Gate::kInactive ? Status(-kEIO) : kOk;
}
}  // namespace

struct Gate::Impl {
    kapi_drainref inside;
    bool inside_ready = false;
    mutable Guarded<Control> control{LockRank::kGate};
    std::atomic<bool> reachable{true};  // written with the control locked
    GateWatcher* watcher = nullptr;
    CondVar changed;
    ~Impl()
    {
        if (inside_ready) kapi_drainref_destroy(&inside);
    }
    // The one transition function; see the table in gate.h.
    void move(Control& c, State next)
    {
        bool live = next == State::kOpen;
        if (c.live && !live) kapi_drainref_kill(&inside);
        if (!c.live && live) kapi_drainref_revive(&inside);
        c.live = live;
        c.state = next;
        changed.wake_all();
    }
    Status wait(bool hold, WaitMode mode, bool and_reachable = false);
};

Gate::Gate() = default;

Result<Owned<Gate>> Gate::create(uint32_t closed_for)
{
    void* p = kapi_zalloc(sizeof(Gate));
    if (!p) return -kENOMEM;
    Owned<Gate> gate(new (p) Gate());
    gate->impl_ = make<Impl>();
    if (!gate->impl_) return -kENOMEM;
    TRY(Status(kapi_drainref_init(&gate->impl_->inside)));
    gate->impl_->inside_ready = true;
    if (closed_for) {
        auto c = gate->impl_->control.lock();
        c->reasons = closed_for;
        gate->impl_->move(*c, State::kClosing);
    }
    return gate;
}

Gate::~Gate()
{
    if (!impl_ || !impl_->inside_ready) return;
    shut(-kESHUTDOWN);
    (void)kapi_drainref_wait(&impl_->inside, kForever);
}

Status Gate::enter(WaitMode mode)
{
    if (kapi_drainref_tryget(&impl_->inside)) [[likely]]
        return kOk;
    return impl_->wait(true, mode);
}

Status Gate::try_enter()
{
    if (kapi_drainref_tryget(&impl_->inside)) [[likely]]
        return kOk;
    auto c = impl_->control.lock();
    Status s = refusal(*c);
    return s.ok() ? Status(-kEPark) : s;
}

void Gate::leave() { kapi_drainref_put(&impl_->inside); }

Status Gate::wait_open(WaitMode mode, bool and_reachable)
{
    return impl_->wait(false, mode, and_reachable);
}

void Gate::set_reachable(bool yes)
{
    auto c = impl_->control.lock();
    impl_->reachable.store(yes);
    impl_->changed.wake_all();
}

void Gate::interrupt_waits()
{
    impl_->control.lock()->interrupts++;
    impl_->changed.wake_all();
}

bool Gate::reachable() const { return impl_->reachable.load(); }

Status Gate::Impl::wait(bool hold, WaitMode mode, bool and_reachable)
{
    auto c = control.lock();
    auto is_open = [&] { return c->state == State::kOpen && (reachable.load() || !and_reachable); };
    if (is_open()) return !hold || kapi_drainref_tryget(&inside) ? kOk : Status(-kEPark);
    uint64_t since = now_ns();
    auto is_sent_away = [&, before = c->interrupts] {
        return c->interrupts != before && mode != WaitMode::kUninterruptible;
    };
    c->waiting++;
    Status s = c.wait_until(
        changed, [&] { return is_open() || !refusal(*c).ok() || is_sent_away(); }, kForever, mode);
    c->waiting--;
    uint64_t waited = now_ns() - since;
    if (waited > c->longest_wait_ns) c->longest_wait_ns = waited;
    if (!s.ok()) return s;
    TRY(refusal(*c));
    if (!is_open()) return -kERESTARTSYS;
    if (hold) {
        bool held =
            kapi_drainref_tryget(&inside);  // open, and nobody closes it while we hold the lock
        LULL_ASSERT(held);
    }
    return kOk;
}

void Gate::set_watcher(GateWatcher* watcher) { impl_->watcher = watcher; }

void Gate::close(Reason reason)
{
    bool begins;
    {
        auto c = impl_->control.lock();
        c->reasons |= reason;
        begins = c->state == State::kOpen;
        if (begins) impl_->move(*c, State::kClosing);
        else if (reason == kInactive) impl_->changed.wake_all();
    }
    if (begins && impl_->watcher) impl_->watcher->on_gate_closing();
}

Status Gate::wait_parked(uint64_t deadline_ns)
{
    for (;;) {
        uint64_t now = now_ns();
        uint64_t slice = now + kParkedCheckMs * kMsec;
        {
            auto c = impl_->control.lock();
            if (c->state == State::kParked) return kOk;
            if (c->state == State::kShut) return c->shut_error;
            if (c->state == State::kOpen) return -kECANCELED;
        }
        int rc = kapi_drainref_wait(&impl_->inside, slice < deadline_ns ? slice : deadline_ns);
        auto c = impl_->control.lock();
        if (c->state != State::kClosing) continue;
        // Reopened and closed again meanwhile? Only an empty look with the lock held counts.
        if (rc == 0 && kapi_drainref_wait(&impl_->inside, 0) == 0) {
            impl_->move(*c, State::kParked);
            return kOk;
        }
        if (now_ns() >= deadline_ns) return -kETIMEDOUT;
    }
}

void Gate::reopen(Reason reason)
{
    auto c = impl_->control.lock();
    c->reasons &= ~static_cast<uint32_t>(reason);
    if (c->reasons == 0 && (c->state == State::kClosing || c->state == State::kParked))
        impl_->move(*c, State::kOpen);
}

void Gate::shut(Status error)
{
    LULL_ASSERT(!error.ok());
    auto c = impl_->control.lock();
    if (c->state == State::kShut) return;
    c->shut_error = error;
    impl_->move(*c, State::kShut);
}

Gate::State Gate::state() const
{
    auto c = impl_->control.lock();
    if (c->state == State::kClosing && kapi_drainref_wait(&impl_->inside, 0) == 0)
        impl_->move(*c, State::kParked);
    return c->state;
}

uint32_t Gate::reasons() const { return impl_->control.lock()->reasons; }
uint32_t Gate::waiting() const { return impl_->control.lock()->waiting; }
uint64_t Gate::longest_wait_ns() const { return impl_->control.lock()->longest_wait_ns; }
void Gate::reset_longest_wait() { impl_->control.lock()->longest_wait_ns = 0; }

Status GateScope::enter(std::span<Gate* const> gates, WaitMode mode)
{
    LULL_ASSERT(count_ == 0);
    if (gates.size() > kGatesMax) return -kEINVAL;
    const bool several = gates.size() > 1;
    for (;;) {
        Gate* blocked = nullptr;
        Status s;
        for (Gate* gate : gates) {
            if (!gate) continue;
            s = gate->try_enter();
            if (s.ok()) {
                held_[count_++] = gate;
                if (several && !gate->reachable()) s = -kEPark;
            }
            if (!s.ok()) {
                blocked = gate;
                break;
            }
        }
        if (!blocked) return kOk;
        leave();  // waits at one gate keep no other from closing
        if (!s.is(kEPark)) return s;
        TRY(blocked->wait_open(mode, several));
    }
}

void GateScope::leave()
{
    while (count_ > 0) held_[--count_]->leave();
}

void GateScope::leave(Gate& gate)
{
    for (size_t i = 0; i < count_; i++) {
        if (held_[i] != &gate) continue;
        held_[i] = held_[--count_];
        gate.leave();
        return;
    }
}

}  // namespace lull
