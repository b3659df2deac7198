// SPDX-License-Identifier: GPL-2.0-only
// An extent lock goes: write back and drop the pages it covered, unless another lock still does;
// forget the size with the last one.
#include "llite/mount.h"

namespace lull {

// Where the part of the object begins that some other lock of at least this mode covers (all of
// ours reach its end); UINT64_MAX: none.
uint64_t Inode::cover_start(Stripe& stripe, LockMode mode)
{
    LockUse use;
    LockPolicy end{UINT64_MAX, UINT64_MAX, 0};
    bool found =
        stripe.osc->locks().match(ResourceId::of(stripe.fid), LockType::kExtent, mode, end, &use);
    return found ? use.lock()->policy.start : UINT64_MAX;
}

// Calls fn(first, last) for the parts of the file that lie in [start, end] of one object and where
// the host caches something: only this OST's pages, since another OST may be down while this one
// drains (B3). What it costs depends on what is cached, not on the size of the file.
template <class Fn>
void Inode::for_each_range(FileLayout& layout, llp_inode* host, uint32_t stripe, uint64_t start,
                           uint64_t end, Fn fn)
{
    const Striping& striping = layout.striping;
    if (striping.count == 1) return fn(start, end);
    while (start <= end) {
        uint64_t pos = striping.file_offset(stripe, start), cached = llp_next_cached(host, pos);
        if (pos == UINT64_MAX || cached == UINT64_MAX) return;
        uint64_t left = striping.bytes - start % striping.bytes;
        if (cached - pos >= left) {  // not in this chunk
            start = striping.object_start(stripe, cached);
            continue;
        }
        if (left > end - start) left = end - start + 1;
        fn(pos, pos + left - 1);
        if (start + left <= start) return;
        start += left;
    }
}

void Inode::drop_pages(llp_inode* host, uint64_t start, uint64_t end, bool discard)
{
    if (llp_drop(host, start, end, discard)) data_lost();
}

void Inode::extent_lost(uint32_t index, uint64_t start, uint64_t end, bool discard)
{
    FileLayout& layout = *layout_.load();
    Stripe& stripe = layout.stripes[index];
    uint64_t written_from = discard ? UINT64_MAX : cover_start(stripe, LockMode::kPW);
    uint64_t read_from = discard ? UINT64_MAX : cover_start(stripe, LockMode::kPR);
    auto upto = [end](uint64_t covered) {
        return covered <= end && covered != 0 ? covered - 1 : end;
    };
    if (Host host(*this); host) {
        // the host keeps an error of it
        if (!discard && written_from > start)
            for_each_range(layout, host.get(), index, start, upto(written_from),
                           [&](uint64_t a, uint64_t b) { (void)llp_flush(host.get(), a, b); });
        if (read_from > start)
            for_each_range(layout, host.get(), index, start, upto(read_from),
                           [&](uint64_t a, uint64_t b) { drop_pages(host.get(), a, b, discard); });
    }
    forget_size(stripe, discard);
}

// Unless another lock of ours still covers the end of the object.
void Inode::forget_size(Stripe& stripe, bool discard)
{
    {
        LockUse other;
        LockPolicy last{UINT64_MAX, UINT64_MAX, 0};
        auto state = state_.lock();
        if (!discard && stripe.osc->locks().match(ResourceId::of(stripe.fid), LockType::kExtent,
                                                  LockMode::kPR, last, &other))
            return;
        state->stripes[stripe.index].valid = false;
    }
    if (Host host(*this); host) llp_size_lost(host.get());
}

// As far as the file reaches now: who goes on writing must not keep the caller here.
void Inode::write_back(uint32_t ost_index)
{
    FileLayout* layout = layout_.load();
    if (!layout || state_.lock()->dirty_pages == 0) return;
    Host host(*this);
    if (!host) return;
    uint64_t size = this->size();
    for (Stripe& stripe : layout->stripes) {
        uint64_t end = layout->striping.object_size(stripe.index, size);
        if (stripe.osc->index() == ost_index && end > 0)
            for_each_range(*layout, host.get(), stripe.index, 0, end - 1,
                           [&](uint64_t a, uint64_t b) { (void)llp_flush(host.get(), a, b); });
    }
}

void Mount::on_extent_lock_lost(uint32_t, const ResourceId& object, uint64_t start, uint64_t end,
                                bool discard)
{
    stats.locks_lost++;
    if (discard) stats.evictions++;
    Fid fid{object.name[0], static_cast<uint32_t>(object.name[1]),
            static_cast<uint32_t>(object.name[1] >> 32)};
    uint32_t stripe;
    if (Ref<Inode> inode = find_object(fid, &stripe))
        inode->extent_lost(stripe, start, end, discard);
}

void Mount::on_ost_evicted(uint32_t) { stats.evictions++; }

void Mount::on_ost_warm(uint32_t ost_index)
{
    if (Osc* osc = known_osc(ost_index)) write_back(*osc, UINT64_MAX);
}

// Not of files that come after it has begun: FIDs of new ones are greater.
void Mount::write_back(Osc& osc, uint64_t room)
{
    Fid at{}, last = last_inode();
    while (Ref<Inode> inode = next_inode(at)) {
        if (last < inode->fid || osc.has_grant(room)) break;
        at = inode->fid;
        inode->write_back(osc.index());
    }
}

void Mount::on_inode_lock_lost(const ResourceId& resource, uint32_t)
{
    stats.locks_lost++;
    Fid fid{resource.name[0], static_cast<uint32_t>(resource.name[1]),
            static_cast<uint32_t>(resource.name[1] >> 32)};
    if (Ref<Inode> inode = find_inode(fid)) inode->inode_lock_lost();
}

void Mount::on_mdt_evicted()
{
    mdt_generation_.fetch_add(1);
    flocks_->drop_all();
    Fid at{};
    while (Ref<Inode> inode = next_inode(at)) {
        at = inode->fid;
        inode->mdt_evicted();
    }
}

}  // namespace lull
