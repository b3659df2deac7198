// SPDX-License-Identifier: GPL-2.0-only
// Pages to and from the OSTs. Never at a gate: scopes hold it, write-back needs none.
#include "llite/io.h"
#include "llite/mount.h"

namespace lull {

bool Inode::reserve_page(uint64_t index)
{
    FileLayout* layout = layout_.load();
    if (!layout) return false;
    Stripe& stripe = layout->stripes[layout->striping.place(index * kPageBytes).stripe];
    if (!stripe.osc->reserve_grant(kPageBytes)) return false;
    state_.lock()->dirty_pages++;
    return true;
}

// Without it every page would be a message of its own from here on: a client's grant is used up by
// what it has dirty, and nobody else writes that back before it is old. Once for each attempt to
// write, and only while there is something to write back: from a full OST no grant comes, however
// often it is asked.
Status Inode::bring_grant(uint64_t pos, uint64_t bytes, WaitMode mode)
{
    FileLayout* layout = layout_.load();
    if (!layout) return kOk;
    const Striping& striping = layout->striping;
    for (Stripe& stripe : layout->stripes) {
        uint64_t n = striping.object_size(stripe.index, pos + bytes) -
                     striping.object_size(stripe.index, pos);
        if (n > 0) TRY(bring_grant(*stripe.osc, n, mode));
    }
    return kOk;
}

Status Inode::bring_grant(Osc& osc, uint64_t bytes, WaitMode mode)
{
    uint64_t before = osc.reserved_grant();
    if (before == 0 || osc.has_grant(bytes)) return kOk;
    // where the caller can be killed: write-back cannot
    TRY(osc.import().gate().wait_open(mode, true));
    write_back(osc.index());
    if (osc.reserved_grant() >= before) mount.write_back(osc, bytes);
    return kOk;
}

void Inode::unreserve_page(uint64_t index)
{
    FileLayout* layout = layout_.load();
    if (!layout) return;
    layout->stripes[layout->striping.place(index * kPageBytes).stripe].osc->return_grant(
        kPageBytes);
    auto state = state_.lock();
    if (state->dirty_pages) state->dirty_pages--;
}

uint64_t Inode::last_page_beside(uint64_t index)
{
    FileLayout* layout = layout_.load();
    if (!layout || layout->held() != GatesHeld::kSeveral) return UINT64_MAX;
    uint64_t left = layout->striping.place(index * kPageBytes).left;
    return index + (left - 1) / kPageBytes;
}

void Inode::wrote(uint64_t pos, uint64_t bytes)
{
    FileLayout* layout = layout_.load();
    if (!layout || bytes == 0) return;
    uint64_t now = kapi_realtime_ns(), end = pos + bytes;
    auto state = state_.lock();
    for (uint32_t i = 0; pos < end && i < layout->striping.count; i++) {
        auto place = layout->striping.place(pos);
        state->stripes[place.stripe].mtime_ns = now;
        pos += place.left;
    }
    auto last = layout->striping.place(end - 1);
    StripeInfo& info = state->stripes[last.stripe];
    if (last.offset + 1 > info.size) info.size = last.offset + 1;
}

// -EAGAIN: given up, lest a drain of the file's other OSTs waits for this one to come back (B3).
Result<uint32_t> Inode::read_stripe(Stripe& stripe, GatesHeld gates, uint64_t offset, uint8_t* into,
                                    size_t bytes)
{
    Result<uint32_t> got = stripe.osc->read(stripe.fid, gates, offset, into, bytes);
    if (!got.is(kEGiveWay)) return got;
    given_up_.fetch_add(1);
    return -kEAGAIN;
}

Result<uint64_t> Inode::read(uint64_t pos, void* into, size_t bytes)
{
    FileLayout* layout = TRY(this->layout());
    const Striping& striping = layout->striping;
    uint64_t size = this->size();
    uint64_t valid = pos >= size ? 0 : size - pos < bytes ? size - pos : bytes;
    uint8_t* to = static_cast<uint8_t*>(into);
    for (uint64_t done = 0; done < valid;) {
        auto place = striping.place(pos + done);
        uint64_t n = striping.count == 1 || place.left > valid - done ? valid - done : place.left;
        Stripe& stripe = layout->stripes[place.stripe];
        uint64_t object_size = state_.lock()->stripes[place.stripe].size;
        uint32_t got = 0;
        if (place.offset < object_size)
            got = TRY(read_stripe(stripe, layout->held(), place.offset, to + done,
                                  static_cast<size_t>(n)));
        // a hole, or the object is shorter than the file
        memset(to + done + got, 0, static_cast<size_t>(n - got));
        done += n;
    }
    memset(to + valid, 0, static_cast<size_t>(bytes - valid));
    mount.stats.read_bytes += valid;
    return valid;
}

Status Inode::write(uint64_t pos, const void* from, size_t bytes, uint32_t granted_pages,
                    Holder* holder)
{
    FileLayout* layout = TRY(this->layout());
    const Striping& striping = layout->striping;
    const uint8_t* data = static_cast<const uint8_t*>(from);
    mount.stats.written_bytes += bytes;
    Status result;
    while (bytes > 0) {
        auto place = striping.place(pos);
        size_t n =
            striping.count == 1 || place.left > bytes ? bytes : static_cast<size_t>(place.left);
        uint64_t pages = (pos % kPageBytes + n + kPageBytes - 1) / kPageBytes;
        uint32_t granted = granted_pages < pages ? granted_pages : static_cast<uint32_t>(pages);
        Stripe& stripe = layout->stripes[place.stripe];
        uint64_t mtime, blocks = 0;
        {
            auto state = state_.lock();
            mtime = state->stripes[place.stripe].mtime_ns;
            state->writing++;
        }
        Status s = stripe.osc->write(fid, stripe.fid, place.offset, data, n, granted * kPageBytes,
                                     mtime ? mtime : kapi_realtime_ns(), &blocks, holder);
        auto state = state_.lock();
        if (--state->writing == 0) written_.wake_all();
        state->dirty_pages -= granted < state->dirty_pages ? granted : state->dirty_pages;
        if (s.ok()) state->stripes[place.stripe].blocks_512 = blocks;
        else if (result.ok()) result = s;
        granted_pages -= granted;
        data += n;
        pos += n;
        bytes -= n;
    }
    return result;
}

// Of one page. While its OST is away no gate of another one is held (B3).
Result<bool> Inode::write_through(uint64_t pos, const void* from, size_t bytes, IoScope* scope)
{
    FileLayout* layout = TRY(this->layout());
    if (layout->held() != GatesHeld::kSeveral) {
        TRY(write(pos, from, bytes, 0));
        return false;
    }
    NarrowScope holder(*scope, *layout, layout->stripes[layout->striping.place(pos).stripe]);
    TRY(write(pos, from, bytes, 0, &holder));
    return holder.given_back();
}

Status Inode::fsync(bool data_only)
{
    if (FileLayout* layout = layout_.load())
        for (Stripe& stripe : layout->stripes) {
            if (!stripe.osc->import().is_active()) return -kEIO;
            TRY(mount.sync_ost(*stripe.osc));
        }
    return data_only ? kOk : mount.sync_mdt();
}

}  // namespace lull
