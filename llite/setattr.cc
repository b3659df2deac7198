// SPDX-License-Identifier: GPL-2.0-only
// chmod, chown, utimes, truncate. What concerns MDT and objects is done in turn, at one's gate and
// then at the others', so that no drain of the one waits for the other (B3); once something has
// changed only a kill ends the wait at the next gate.
#include "llite/gated.h"
#include "llite/io.h"
#include "llite/mount.h"
#include "llite/stripe_calls.h"

namespace lull {
namespace {

constexpr uint32_t kKillBits = kAttrKillSuid | kAttrKillSgid;
static_assert((LLC_KILL_SUID | LLC_KILL_SGID) == uint32_t{kKillBits});
constexpr uint32_t kMdtBits =
    kAttrMode | kAttrUid | kAttrGid | kAttrAtime | kAttrMtime | kAttrCtime | kKillBits;

// Times are the client's, so that MDT and objects get the same.
Attr explicit_attr(const llc_attr& to, uint32_t valid, uint64_t now)
{
    Attr a;
    a.valid = valid & (kMdtBits | kAttrSize);
    a.mode = to.mode;
    a.uid = to.uid;
    a.gid = to.gid;
    a.size = to.size;
    a.atime_ns = valid & LLC_ATIME_NOW ? now : to.atime_ns;
    a.mtime_ns = valid & LLC_MTIME_NOW ? now : to.mtime_ns;
    a.ctime_ns = valid & LLC_CTIME ? to.ctime_ns : now;
    if (valid & LLC_ATIME_NOW) a.valid |= kAttrAtime;
    if (valid & LLC_MTIME_NOW) a.valid |= kAttrMtime;
    a.valid |= kAttrCtime;
    return a;
}

}  // namespace

Status Inode::setattr(const llc_attr& to, uint32_t valid)
{
    Attr attr = explicit_attr(to, valid, kapi_realtime_ns());
    bool is_file = this->is_file();
    if (is_gone()) return is_file ? Status(-kENOENT) : setattr_gone(attr);
    if ((valid & LLC_SIZE) && !is_file) return -kEINVAL;
    FileLayout* layout = nullptr;
    if (is_file && ((valid & LLC_SIZE) || concerns_objects(attr, valid)))
        layout = TRY(this->layout());
    if ((valid & LLC_SIZE) && to.size > layout->max_bytes()) return -kEFBIG;

    Attr mdt = attr;
    mdt.valid &= kMdtBits;
    if (!layout) {
        Status s = setattr_mdt(mdt, WaitMode::kInterruptible);
        if (is_file || !s.is(kESTALE)) return s;
        TRY(refresh());
        return is_gone() ? setattr_gone(attr) : s;
    }
    if (!(valid & LLC_SIZE)) {
        TRY(setattr_mdt(mdt, WaitMode::kInterruptible));
        return setattr_objects(*layout, attr);
    }
    bool punched = false, first_at_mdt = mdt.valid & (kMdtBits & ~(kAttrMtime | kAttrCtime));
    if (first_at_mdt) TRY(setattr_mdt(mdt, WaitMode::kInterruptible));
    TRY(truncate(*layout, attr, first_at_mdt ? WaitMode::kKillable : WaitMode::kInterruptible,
                 &punched));
    if (punched) return kOk;
    // The file has this size already: no object carries the time.
    if (!(attr.valid & kAttrMtime)) {
        attr.mtime_ns = attr.ctime_ns;
        valid |= LLC_MTIME_NOW;
    }
    attr.valid |= kAttrMtime;
    mdt = attr;
    mdt.valid &= kMdtBits;
    bool objects_too = concerns_objects(attr, valid);
    TRY(setattr_mdt(mdt, WaitMode::kKillable));
    return objects_too ? setattr_objects(*layout, attr) : kOk;
}

// A time of "now" is later than any object's and wins by itself, unless theirs was set to one that
// has not come yet; another time must reach the objects.
bool Inode::concerns_objects(const Attr& to, uint32_t valid)
{
    if (!(valid & (LLC_MTIME | LLC_MTIME_NOW))) return false;
    return !(valid & LLC_MTIME_NOW) || is_later(state_.lock()->attr.mtime_ns, to.mtime_ns);
}

// Nobody else sees what was removed.
Status Inode::setattr_gone(const Attr& to)
{
    auto state = state_.lock();
    Attr& a = state->attr;
    if (to.valid & kAttrMode) a.mode = (a.mode & kTypeMask) | (to.mode & ~kTypeMask);
    if (to.valid & kAttrUid) a.uid = to.uid;
    if (to.valid & kAttrGid) a.gid = to.gid;
    if (to.valid & kAttrAtime) a.atime_ns = to.atime_ns;
    if (to.valid & kAttrMtime) a.mtime_ns = to.mtime_ns;
    a.ctime_ns = to.ctime_ns;
    return kOk;
}

Status Inode::setattr_mdt(const Attr& attr, WaitMode wait)
{
    TRY(settle(wait));
    Gate* gate = &mount.mdc().import().gate();
    auto change_it = [&]() -> Status {
        auto call = make_ref<Call<MdsSetattrOp>>();
        if (!call) return -kENOMEM;
        call->op.fid = fid;
        call->op.attr = attr;
        call->admitted = true;
        OwnChange change(this, call.get());
        TRY(mount.mdc().import().call(*call));
        return change.done(call->reply.attr);
    };
    return run_gated({&gate, 1}, change_it, wait);
}

// What was written before has its time, too: it goes first.
Status Inode::setattr_objects(FileLayout& layout, const Attr& to)
{
    auto scope = make<IoScope>();
    if (!scope) return -kENOMEM;
    Host host(*this);
    if (host) TRY(Status(llp_flush(host.get(), 0, UINT64_MAX)));  // outside of the gates
    TRY(enter_to_change(layout, 0, WaitMode::kKillable, scope.get()));
    // what a mapping has dirtied since
    Status s = host ? Status(llp_flush(host.get(), 0, UINT64_MAX)) : kOk;
    Attr times;
    times.valid = to.valid & (kAttrMtime | kAttrCtime);
    times.mtime_ns = to.mtime_ns;
    times.ctime_ns = to.ctime_ns;
    StripeCalls calls(layout, *scope);
    for (Stripe& stripe : layout.stripes) {
        bool written = state_.lock()->stripes[stripe.index].mtime_ns != 0;  // else it is not there
        if (s.ok() && written)
            s = calls.add(stripe, stripe.osc->new_setattr(fid, stripe.fid, times));
    }
    if (s.ok())
        calls.run([&](Stripe& stripe, Status done) {
            if (done.ok()) state_.lock()->stripes[stripe.index].mtime_ns = to.mtime_ns;
            else if (s.ok()) s = done;
        });
    end_io(*scope);
    return s;
}

// Under PW from the new size to the end. What is known of the size changes first: a reader that
// comes between the host's dropping of pages and the punch must not bring old bytes back.
Status Inode::truncate(FileLayout& layout, const Attr& to, WaitMode wait, bool* punched)
{
    uint64_t time_ns = to.valid & kAttrMtime ? to.mtime_ns : kapi_realtime_ns();
    Vec<uint8_t> changes;
    TRY(changes.resize(layout.stripes.size()));
    auto scope = make<IoScope>();
    if (!scope) return -kENOMEM;
    TRY(enter_to_change(layout, to.size, wait, scope.get()));
    find_changes(layout, to.size, changes);
    StripeCalls calls(layout, *scope);
    Status result;
    for (Stripe& stripe : layout.stripes) {
        if (!changes[stripe.index]) continue;
        uint64_t size = layout.striping.object_size(stripe.index, to.size);
        if (result.ok())
            result = calls.add(stripe, stripe.osc->new_punch(fid, stripe.fid, size, time_ns));
        *punched = true;
    }
    if (!result.ok()) {  // no memory, and nothing has happened
        *punched = false;
        end_io(*scope);
        return result;
    }
    resize_known(layout, to.size, changes);
    if (Host host(*this); host) llp_set_size(host.get(), to.size);
    calls.run([&](Stripe& stripe, Status s) {
        auto state = state_.lock();
        if (s.ok()) state->stripes[stripe.index].mtime_ns = time_ns;
        else state->stripes[stripe.index].valid = false;  // asked for again
        if (result.ok()) result = s;
    });
    if (Host host(*this); host && !result.ok()) llp_size_lost(host.get());
    end_io(*scope);
    return result;
}

// Which objects change: those that get shorter, and the one with the new end if it gets longer.
void Inode::find_changes(FileLayout& layout, uint64_t size, Vec<uint8_t>& changes)
{
    uint32_t last = size ? layout.striping.place(size - 1).stripe : UINT32_MAX;
    auto state = state_.lock();
    for (uint32_t i = 0; i < state->stripes.size(); i++) {
        uint64_t fresh = layout.striping.object_size(i, size), known = state->stripes[i].size;
        changes[i] = fresh < known || (fresh > known && i == last);
    }
}

void Inode::resize_known(FileLayout& layout, uint64_t size, const Vec<uint8_t>& changes)
{
    auto state = state_.lock();
    for (uint32_t i = 0; i < state->stripes.size(); i++)
        if (changes[i]) state->stripes[i].size = layout.striping.object_size(i, size);
}

}  // namespace lull
