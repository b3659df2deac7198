// SPDX-License-Identifier: GPL-2.0-only
#include "llite/io.h"

#include "llite/gated.h"
#include "llite/mount.h"

namespace lull {

namespace {
constexpr uint64_t kReachableCheckMs = 100;
constexpr uint64_t kLockPatienceMs = 50;  // in the first round
constexpr unsigned kRoundsMost = 10;      // that double it
constexpr unsigned kLockPatienceShare = 4;
}  // namespace

// At most a part of what a server gives the holder of a lock that is in somebody's way.
uint64_t Mount::lock_patience_ns(unsigned rounds) const
{
    uint64_t ns = kLockPatienceMs * kMsec << (rounds < kRoundsMost ? rounds : kRoundsMost);
    uint64_t most = node_.adaptive().ldlm_min_ms.load() * kMsec / kLockPatienceShare;
    return ns < most ? ns : most;
}

void IoScope::keep_only(Inode::FileLayout& layout, Inode::Stripe& stripe)
{
    for (Inode::Stripe& other : layout.stripes) {
        if (&other != &stripe) give_back(other);
        if (other.osc != stripe.osc) gates.leave(other.osc->import().gate());
    }
}

void NarrowScope::give_back_others()
{
    if (given_back_) return;
    scope_.keep_only(layout_, stripe_);
    given_back_ = true;
}

// The caller holds a use of the lock, so that it cannot be lost before this is noted. A lock that
// was here before this inode was (the host had dropped it meanwhile) has an old value block: ask.
Status Inode::note_lock(Stripe& stripe, const ClientLock& lock, bool fresh, GatesHeld gates)
{
    if (fresh) {
        learn(stripe.index, lock.lvb, true);
        return kOk;
    }
    if (state_.lock()->stripes[stripe.index].valid) return kOk;
    Attr attr;
    TRY(stripe.osc->getattr(stripe.fid, gates, &attr));
    learn(stripe.index, {attr.size, attr.blocks_512, attr.mtime_ns, attr.ctime_ns, attr.atime_ns},
          false);
    return kOk;
}

void Inode::learn(uint32_t stripe, const Lvb& lvb, bool fresh)
{
    auto state = state_.lock();
    StripeInfo& info = state->stripes[stripe];
    if (!info.valid) {
        info = {true, lvb.size, lvb.blocks_512, lvb.mtime_ns};
    } else if (fresh) {
        // Covered already, so the size is known better here; another client may have written in
        // front of what we had locked.
        info.blocks_512 = lvb.blocks_512;
        info.mtime_ns = later(info.mtime_ns, lvb.mtime_ns);
    }
}

// False: it was long in coming, and what was locked before has been given back.
Result<bool> Inode::lock_stripe(FileLayout& layout, Stripe& stripe, uint64_t page, LockMode mode,
                                IoScope* scope)
{
    GatesHeld gates = layout.held();
    LockPolicy policy{layout.striping.object_start(stripe.index, page), UINT64_MAX, 0};
    ResourceId resource = ResourceId::of(stripe.fid);
    LdlmClient& locks = stripe.osc->locks();
    NarrowScope others(*scope, layout, stripe, mount.lock_patience_ns(scope->rounds));
    bool alone = layout.stripes.size() == 1;
    LockUse use;
    bool fresh = !locks.match(resource, LockType::kExtent, mode, policy, &use);
    if (fresh)
        TRY(locks.lock(resource, LockType::kExtent, mode, policy, gates, &use,
                       alone ? nullptr : &others));
    TRY(note_lock(stripe, *use.lock(), fresh, gates));
    scope->uses[stripe.index] = std::move(use);
    return !others.given_back();
}

Result<bool> Inode::lock_stripes(FileLayout& layout, uint64_t pos, LockMode mode, IoScope* scope)
{
    TRY(scope->uses.resize(layout.stripes.size()));
    uint64_t page = pos - pos % kPageBytes;
    for (Stripe& stripe : layout.stripes)
        if (!TRY(lock_stripe(layout, stripe, page, mode, scope))) return false;
    return true;
}

// Without any message: true when every stripe is locked from its beginning, and known.
bool Inode::match_stripes(FileLayout& layout, LockMode mode, IoScope* scope)
{
    if (!scope->uses.reserve(layout.stripes.size()).ok()) return false;
    for (Stripe& stripe : layout.stripes) {
        LockUse use;
        if (!stripe.osc->locks().match(ResourceId::of(stripe.fid), LockType::kExtent, mode,
                                       LockPolicy{}, &use))
            return false;
        if (!state_.lock()->stripes[stripe.index].valid) return false;
        (void)scope->uses.push_back(std::move(use));
    }
    return true;
}

Status Inode::lock_for_stat(FileLayout& layout)
{
    auto scope = make<IoScope>();
    if (!scope) return -kENOMEM;
    if (match_stripes(layout, LockMode::kPR, scope.get())) return kOk;
    scope->uses.clear();
    return enter_stripes(layout, 0, LockMode::kPR, WaitMode::kInterruptible, scope.get());
}

Status Inode::begin_io(uint64_t pos, LockMode mode, WaitMode wait, IoScope* scope)
{
    if (all_files_dead()) return -kEIO;  // the MDT has evicted us: these opens are void
    TRY(enter_stripes(*TRY(this->layout()), pos, mode, wait, scope));
    mount.stats.io_scopes++;
    return kOk;
}

// Ends with end_io().
Status Inode::enter_stripes(FileLayout& layout, uint64_t pos, LockMode mode, WaitMode wait,
                            IoScope* scope)
{
    for (;;) {
        TRY(scope->gates.enter(layout.all_gates(), wait));
        scope->pos = pos;
        scope->evictions = mount.ost_evictions();
        scope->given_up = given_up_.load();
        Result<bool> locked = lock_stripes(layout, pos, mode, scope);
        if (locked.ok() && locked.value()) return kOk;
        scope->uses.clear();
        scope->gates.leave();
        if (locked.ok()) {
            scope->rounds++;
            continue;
        }
        if (!back_to_gates(locked.status())) return locked.status();
        TRY(wait_gates(layout.all_gates(), wait));
    }
}

// For a change of the objects, and of the host's pages with them: the host waits for pages on their
// way, so none is when it begins. (One may set off between this look and the host's, and its OST
// die in that moment: then a drain of another OST waits. The README says so.)
Status Inode::enter_to_change(FileLayout& layout, uint64_t pos, WaitMode wait, IoScope* scope)
{
    for (;;) {
        TRY(enter_stripes(layout, pos, LockMode::kPW, wait, scope));
        if (wait_written(layout).ok()) return kOk;
        end_io(*scope);
        TRY(wait_gates(layout.all_gates(), wait));
    }
}

// -kEGiveWay: an OST cannot be reached, and gates of others are held, too (B3).
Status Inode::wait_written(FileLayout& layout)
{
    if (layout.held() != GatesHeld::kSeveral) return kOk;
    auto state = state_.lock();
    while (state->writing) {
        for (Gate* gate : layout.gates)
            if (!gate->reachable()) return -kEGiveWay;
        (void)state.wait(written_, deadline_after_ms(kReachableCheckMs));
    }
    return kOk;
}

// An eviction in the middle voided the locks: what the host has put into its cache since must go,
// too. True: see llc_io_end().
bool Inode::end_io(IoScope& scope)
{
    if (scope.evictions != mount.ost_evictions())
        if (Host host(*this); host) drop_pages(host.get(), 0, UINT64_MAX, true);
    scope.uses.clear();
    scope.gates.leave();
    return given_up_.load() != scope.given_up;
}

}  // namespace lull
