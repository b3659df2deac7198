// SPDX-License-Identifier: GPL-2.0-only
#include "llite/fs_lock.h"

#include "include/lull/ops_mgs.h"

namespace lull {
namespace {

// How long a wait for one gate lasts before we look whether its target is still there.
constexpr uint64_t kReachableCheckMs = 100;

// An operation inside the gate of a target that cannot be reached comes to its end only when the
// target is back. Nobody stops for that (B3): the target commits nothing until then, and its own
// shutdown asks us again.
Status wait_parked_or_away(Gate& gate, uint64_t deadline_ns)
{
    while (gate.reachable()) {
        uint64_t look_ns = deadline_after_ms(kReachableCheckMs);
        if (look_ns >= deadline_ns) return gate.wait_parked(deadline_ns);
        Status s = gate.wait_parked(look_ns);
        if (!s.is(kETIMEDOUT)) return s;
    }
    return kOk;
}

}  // namespace

Status FsLock::start()
{
    active_ = TRY(ActiveLock::create(*this, "MGS"));
    return kOk;
}

void FsLock::close()
{
    if (active_) active_->shutdown();
}

void FsLock::on_wanted(uint64_t handle)
{
    wanted_.store(true);
    active_->on_bl_ast(handle);
}

void FsLock::join(Gate& gate)
{
    if (closed_.load()) gate.close(Gate::kFileSystem);
}

void FsLock::close_gate()
{
    if (!wanted_.load()) return;  // the lock went with its MGS: nobody stops for that
    closed_.store(true);
    targets_.for_each_gate([](Gate& gate, void*) { gate.close(Gate::kFileSystem); }, nullptr);
}

void FsLock::open_gate()
{
    wanted_.store(false);
    closed_.store(false);
    targets_.for_each_gate([](Gate& gate, void*) { gate.reopen(Gate::kFileSystem); }, nullptr);
}

// Closed once more: when the lock was wanted before we saw that we had it, nobody has done so yet.
Status FsLock::wait_gate_parked(uint64_t deadline_ns)
{
    close_gate();
    struct Wait {
        uint64_t deadline_ns;
        Status status;
    } wait{deadline_ns, kOk};
    targets_.for_each_gate(
        [](Gate& gate, void* arg) {
            Wait& w = *static_cast<Wait*>(arg);
            if (w.status.ok()) w.status = wait_parked_or_away(gate, w.deadline_ns);
        },
        &wait);
    return wait.status;
}

Status FsLock::enqueue(uint64_t* handle)
{
    auto call = make_ref<Call<MgsFsLockOp>>();
    if (!call) return -kENOMEM;
    call->op.fsname = fsname_;
    call->reply_wait = WaitMode::kUninterruptible;
    TRY(targets_.mgs().call(*call));
    *handle = call->reply.handle;
    return *handle ? kOk : Status(-kEPROTO);
}

Status FsLock::cancel(uint64_t, bool* committed)
{
    auto call = make_ref<Call<MgsFsUnlockOp>>();
    if (!call) return -kENOMEM;
    call->op.fsname = fsname_;
    call->reply_wait = WaitMode::kUninterruptible;
    *committed = false;  // the MGS may grant it again at any time
    return targets_.mgs().call(*call);
}

}  // namespace lull
