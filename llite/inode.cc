// SPDX-License-Identifier: GPL-2.0-only
#include "llite/inode.h"

#include "kapi/log.h"
#include "llite/mount.h"

namespace lull {

Inode::~Inode()
{
    mount.remove(*this);
    Owned<FileLayout> freed(layout_.load());
}

void Inode::bind(llp_inode* host)
{
    auto state = state_.lock();
    state->host = host;
}

// llp_get is called with the lock held, so that a host that unbinds its inode before freeing it is
// never called for it.
Inode::Host::Host(Inode& inode) : mount_(inode.mount)
{
    if (!mount_.host_uses().enter()) return;
    {
        auto state = inode.state_.lock();
        if (state->host && llp_get(state->host)) host_ = state->host;
    }
    if (!host_) mount_.host_uses().leave();
}

Inode::Host::~Host()
{
    if (!host_) return;
    llp_put(host_);
    mount_.host_uses().leave();
}

// Several stripes of a file may lie on one OST.
Status Inode::FileLayout::add_gate(Gate* gate)
{
    for (Gate* known : gates)
        if (known == gate) return kOk;
    return gates.push_back(gate);
}

Status Inode::adopt_layout(const Layout& layout, Osts osts)
{
    size_t count = layout.objects.size();
    if (count == 0 || layout_.load()) return kOk;
    auto fresh = make<FileLayout>();
    if (!fresh) return -kENOMEM;
    fresh->striping = {layout.stripe_bytes, static_cast<uint32_t>(count)};
    TRY(fresh->stripes.resize(count));
    TRY(fresh->gates.reserve(count));
    Vec<StripeInfo> info;
    TRY(info.resize(count));
    for (uint32_t i = 0; i < count; i++) {
        Stripe& stripe = fresh->stripes[i];
        stripe.inode = this;
        stripe.index = i;
        stripe.fid = layout.objects[i].fid;
        uint32_t index = layout.objects[i].ost_index;
        if (stripe.fid.seq != kFidSeqOstBase + index) return -kEPROTO;
        stripe.osc = osts == Osts::kAny ? TRY(mount.osc(index)) : mount.known_osc(index);
        if (!stripe.osc) return -kENODEV;
        TRY(fresh->add_gate(&stripe.osc->import().gate()));
    }
    {
        auto state = state_.lock();
        if (layout_.load()) return kOk;
        state->stripes = std::move(info);
        layout_.store(fresh.get());
    }
    mount.add_objects(*fresh.release());
    return kOk;
}

Result<Inode::FileLayout*> Inode::layout()
{
    if (FileLayout* known = layout_.load()) return known;
    auto call = make_ref<Call<MdsGetattrOp>>();
    if (!call) return -kENOMEM;
    call->op.fid = fid;
    TRY(mount.mdc().import().call(*call));
    if (!(call->reply.fid == fid)) return -kEPROTO;
    TRY(adopt_layout(call->reply.layout, Osts::kAny));
    if (FileLayout* known = layout_.load()) return known;
    log_err("file " FID_FMT " has no objects", FID_ARG(fid));
    return -kEIO;
}

void Inode::file_closed(bool dead)
{
    auto state = state_.lock();
    state->files--;
    if (dead && state->dead_files) state->dead_files--;
}

bool Inode::all_files_dead()
{
    auto state = state_.lock();
    return state->files != 0 && state->files == state->dead_files;
}

}  // namespace lull
