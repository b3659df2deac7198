// SPDX-License-Identifier: GPL-2.0-only
#include "llite/closer.h"

#include "llite/file.h"

namespace lull {

Closer::~Closer() { stop(); }

void Closer::add(Owned<File> file)
{
    auto state = state_.lock();
    File* f = file.release();
    (state->last ? state->last->next_ : state->first) = f;
    state->last = f;
    state->count++;
    changed_.wake_all();
}

// Null: stopped, and nothing is left.
Owned<File> Closer::next()
{
    auto state = state_.lock();
    (void)state.wait_until(changed_, [&] { return state->first || state->stopping; });
    File* f = state->first;
    if (!f) return {};
    state->first = std::exchange(f->next_, nullptr);
    if (!state->first) state->last = nullptr;
    state->count--;
    state->sending = true;
    return Owned<File>(f);
}

void Closer::sent()
{
    auto state = state_.lock();
    state->sending = false;
    changed_.wake_all();
}

bool Closer::is_busy()
{
    auto state = state_.lock();
    return state->first || state->sending;
}

Status Closer::wait_idle()
{
    auto state = state_.lock();
    return state.wait_until(
        changed_, [&] { return (!state->first && !state->sending) || state->stopping; }, kForever,
        WaitMode::kInterruptible);
}

void Closer::run()
{
    while (Owned<File> file = next()) {
        send(std::move(file));
        sent();
    }
}

void Closer::send(Owned<File> file)
{
    // ends when the gate opens or is shut
    Status s = import_.gate().enter(WaitMode::kUninterruptible);
    if (!s.ok()) return file->abandon();
    bool again = file->send_close(WaitMode::kUninterruptible).is(kEAGAIN);
    import_.gate().leave();
    if (!again) return;
    kapi_sleep_ns(kRetryNs);  // no memory
    add(std::move(file));
}

void Closer::stop()
{
    {
        auto state = state_.lock();
        state->stopping = true;
        changed_.wake_all();
    }
    task_.join();
}

}  // namespace lull
