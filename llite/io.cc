// SPDX-License-Identifier: GPL-2.0-only
#include "llite/io.h"

#include "llite/gated.h"
#include "llite/mount.h"

namespace lull {

void GateList::add_stripes(Inode::FileLayout& layout)
{
    for (Inode::Stripe& stripe : layout.stripes) {
        Gate* gate = &stripe.osc->import().gate();
        bool known = false;  // several stripes of a file may lie on one OST
        for (size_t i = 0; i < count; i++) known = known || gates[i] == gate;
        if (!known) add(*gate);
    }
}

// The caller holds a use of the lock, so that it cannot be lost before this is noted. A lock that was here before this inode was (the
// host had dropped it meanwhile) has an old value block: ask.
Status Inode::note_lock(Stripe& stripe, const ClientLock& lock, bool fresh, GatesHeld gates)
{
    if (fresh) {
        learn(stripe.index, lock.lvb, true);
        return kOk;
    }
    if (state_.lock()->stripes[stripe.index].valid) return kOk;
    Attr attr;
    TRY(stripe.osc->getattr(stripe.fid, gates, &attr));
    learn(stripe.index, {attr.size, attr.blocks_512, attr.mtime_ns, attr.ctime_ns, attr.atime_ns}, false);
    return kOk;
}

void Inode::learn(uint32_t stripe, const Lvb& lvb, bool fresh)
{
    auto state = state_.lock();
    StripeInfo& info = state->stripes[stripe];
    if (!info.valid) {
        info = {true, lvb.size, lvb.blocks_512, lvb.mtime_ns};
    } else if (fresh) {
        // Covered already, so the size is known better here; another client may have written in front of what we had locked.
        info.blocks_512 = lvb.blocks_512;
        if (lvb.mtime_ns > info.mtime_ns) info.mtime_ns = lvb.mtime_ns;
    }
}

Status Inode::lock_stripes(FileLayout& layout, uint64_t pos, LockMode mode, GatesHeld gates, IoScope* scope)
{
    TRY(scope->uses.reserve(layout.stripes.size()));
    uint64_t page = pos - pos % kPageBytes;
    for (Stripe& stripe : layout.stripes) {
        LockPolicy policy{layout.striping.object_start(stripe.index, page), UINT64_MAX, 0};
        ResourceId resource = ResourceId::of(stripe.fid);
        LdlmClient& locks = stripe.osc->locks();
        LockUse use;
        bool fresh = !locks.match(resource, LockType::kExtent, mode, policy, &use);
        if (fresh) TRY(locks.lock(resource, LockType::kExtent, mode, policy, gates, &use));
        TRY(note_lock(stripe, *use.lock(), fresh, gates));
        TRY(scope->uses.push_back(std::move(use)));
    }
    return kOk;
}

// Without any message: true when every stripe is locked from its beginning, and known.
bool Inode::match_stripes(FileLayout& layout, LockMode mode, IoScope* scope)
{
    if (!scope->uses.reserve(layout.stripes.size()).ok()) return false;
    for (Stripe& stripe : layout.stripes) {
        LockUse use;
        if (!stripe.osc->locks().match(ResourceId::of(stripe.fid), LockType::kExtent, mode, LockPolicy{}, &use))
            return false;
        if (!state_.lock()->stripes[stripe.index].valid) return false;
        (void)scope->uses.push_back(std::move(use));
    }
    return true;
}

Status Inode::lock_for_stat(FileLayout& layout)
{
    auto scope = make<IoScope>();
    auto list = make<GateList>();
    if (!scope || !list) return -kENOMEM;
    if (match_stripes(layout, LockMode::kPR, scope.get())) return kOk;
    scope->uses.clear();
    list->add_stripes(layout);
    return run_gated(list->span(), [&] {
        Status s = lock_stripes(layout, 0, LockMode::kPR, list->held(), scope.get());
        scope->uses.clear();
        return s;
    });
}

Status Inode::begin_io(uint64_t pos, LockMode mode, WaitMode wait, IoScope* scope)
{
    if (all_files_dead()) return -kEIO;  // the MDT has evicted us: these opens are void
    TRY(enter_stripes(*TRY(this->layout()), pos, mode, wait, scope));
    mount.stats.io_scopes++;
    return kOk;
}

// Ends with end_io().
Status Inode::enter_stripes(FileLayout& layout, uint64_t pos, LockMode mode, WaitMode wait, IoScope* scope)
{
    auto list = make<GateList>();
    if (!list) return -kENOMEM;
    list->add_stripes(layout);
    for (;;) {
        TRY(scope->gates.enter(list->span(), wait));
        scope->pos = pos;
        scope->evictions = mount.ost_evictions();
        Status s = lock_stripes(layout, pos, mode, list->held(), scope);
        if (s.ok()) return kOk;
        scope->uses.clear();
        scope->gates.leave();
        if (!back_to_gates(s)) return s;
        TRY(wait_gates(list->span(), wait));
    }
}

// An eviction in the middle voided the locks: what the host has put into its cache since must go, too.
void Inode::end_io(IoScope& scope)
{
    if (scope.evictions != mount.ost_evictions())
        if (Host host(*this); host) llp_drop(host.get(), 0, UINT64_MAX, true);
    scope.uses.clear();
    scope.gates.leave();
}

}  // namespace lull
