// SPDX-License-Identifier: GPL-2.0-only
// Attributes of an inode: what is cached, and until when.
#include "llite/gated.h"
#include "llite/io.h"
#include "llite/mount.h"

namespace lull {
namespace {

constexpr uint32_t kInodeBits = kIbitLookup | kIbitUpdate;
constexpr uint64_t kClocksDifferNs = 10 * kSec;
constexpr LockPolicy kInodePolicy{0, UINT64_MAX, kInodeBits};

bool is_type(uint32_t mode)
{
    switch (mode & kTypeMask) {
    case kTypeFile:
    case kTypeDir:
    case kTypeLink:
    case kTypeChar:
    case kTypeBlock:
    case kTypeFifo:
    case kTypeSocket: return true;
    default: return false;
    }
}

}  // namespace

OwnChange::OwnChange(Inode* inode, Request* request) : inode_(inode), request_(request)
{
    if (!inode_) return;
    auto state = inode_->state_.lock();
    state->changes++;
    began_at_ = state->changed_at = inode_->mount.next_change();
}

OwnChange::~OwnChange()
{
    if (inode_ && request_) inode_->leave_unsettled(*request_);
    finish(nullptr);
}

void OwnChange::unchanged()
{
    if (Inode* inode = std::exchange(inode_, nullptr)) inode->state_.lock()->changes--;
}

Status OwnChange::done(const Attr& fresh)
{
    if (!inode_) return kOk;
    bool same = !fresh.valid || Inode::is_same_kind(inode_->state_.lock()->attr, fresh);
    finish(same ? &fresh : nullptr);
    return same ? kOk : Status(-kESTALE);
}

void OwnChange::finish(const Attr* fresh)
{
    Inode* inode = std::exchange(inode_, nullptr);
    if (!inode) return;
    LockUse use;  // released after the state
    if (fresh && fresh->valid) inode->match_inode_lock(&use);
    auto state = inode->state_.lock();
    state->changes--;
    bool alone =
        state->changed_at == began_at_ && state->changes == 0 && state->unsettled.empty();
    state->changed_at = inode->mount.next_change();
    state->valid = alone && use;
    if (alone && fresh && fresh->valid) state->attr = *fresh;
    // it may have been done in part: what is known of the names in it is not to be believed
    if (!fresh) state->dir_epoch = 0;
}

void Inode::leave_unsettled(Request& change)
{
    Import& import = mount.mdc().import();
    if (!import.goes_on(change)) return;
    {
        auto state = state_.lock();
        if (state->unsettled.push_back(Ref<Request>(&change)).ok()) return;
    }
    (void)import.await(change, kForever);  // no memory: the killed caller waits itself
}

Status Inode::settle(WaitMode wait)
{
    for (;;) {
        Ref<Request> change;
        {
            auto state = state_.lock();
            if (state->unsettled.empty()) return kOk;
            change = state->unsettled[0];
        }
        Status s = mount.mdc().import().await(*change, kForever, wait);
        if (s.is(kERESTARTSYS)) return s;
        auto state = state_.lock();
        if (state->unsettled.empty() || state->unsettled[0].get() != change.get()) continue;
        state->unsettled.erase_at(0);
        state->valid = false;
        state->dir_epoch = 0;
        state->changed_at = mount.next_change();
    }
}

bool Inode::match_inode_lock(LockUse* use)
{
    return mount.mdc().locks().match(ResourceId::of(fid), LockType::kIbits, LockMode::kPR,
                                     kInodePolicy, use);
}

// What the host made of it (its operations, a device's driver, what "nodev" looked at) stays.
bool Inode::is_same_kind(const Attr& known, const Attr& said)
{
    uint32_t type = said.mode & kTypeMask;
    if (known.mode == 0) return true;
    if (type != (known.mode & kTypeMask)) return false;
    return (type != kTypeChar && type != kTypeBlock) || said.rdev == known.rdev;
}

Status Inode::check(const MdsGetattrReply& reply)
{
    if (!(reply.fid == fid) || !is_type(reply.attr.mode)) return -kEPROTO;
    if (fid == kRootFid && (reply.attr.mode & kTypeMask) != kTypeDir) return -kEPROTO;
    return is_same_kind(state_.lock()->attr, reply.attr) ? kOk : Status(-kESTALE);
}

Status Inode::adopt(const MdsGetattrReply& reply, const LockUse& use, uint64_t asked_at)
{
    TRY(check(reply));
    (void)adopt_layout(reply.layout, Osts::kKnown);  // asked for again by who needs it
    auto state = state_.lock();
    if (!is_same_kind(state->attr, reply.attr)) return -kESTALE;  // two answers, one a lie
    // What a killed caller left may be done after this was answered; settle() has looked before.
    bool settled = state->unsettled.empty();
    bool alone = state->changed_at <= asked_at && state->changes == 0 && settled;
    // Attributes that something overtook are still true of a moment since the question was asked.
    if (alone || !state->valid) state->attr = reply.attr;
    if (alone && use) state->valid = true;
    bool is_dir = (state->attr.mode & kTypeMask) == kTypeDir;
    bool names_known = use && is_dir && (use.lock()->policy.bits & kIbitUpdate);
    if (names_known && settled && state->dir_epoch == 0)
        state->dir_epoch = mount.next_epoch();
    return kOk;
}

// One message, with a lock if the server gives one.
Status Inode::refresh_by_intent(Status* adopted)
{
    uint64_t asked_at = mount.change_counter();
    auto call = make_ref<Call<LdlmEnqueueOp>>();
    if (!call) return -kENOMEM;
    call->op.resource = ResourceId::of(fid);
    call->op.type = static_cast<uint8_t>(LockType::kIbits);
    call->op.mode = static_cast<uint8_t>(LockMode::kPR);
    call->op.policy = kInodePolicy;
    call->op.intent = static_cast<uint8_t>(Intent::kGetattr);
    call->op.fid = fid;
    call->admitted = true;
    LockUse use;
    TRY(mount.mdc().locks().lock_intent(*call, &use));
    if (call->reply.intent_status < 0)
        return call->reply.intent_status == -kENOENT ? -kESTALE : call->reply.intent_status;
    *adopted = adopt(call->reply.object, use, asked_at);
    return kOk;
}

// The lock is here, only the attributes were overtaken by a change of our own.
Status Inode::refresh_under_lock(Status* adopted)
{
    uint64_t asked_at = mount.change_counter();
    LockUse use;
    if (!match_inode_lock(&use)) return -kEAGAIN;
    auto call = make_ref<Call<MdsGetattrOp>>();
    if (!call) return -kENOMEM;
    call->op.fid = fid;
    call->admitted = true;
    Status s = mount.mdc().import().call(*call);
    if (s.is(kENOENT)) return -kESTALE;
    TRY(s);
    *adopted = adopt(call->reply, use, asked_at);
    return kOk;
}

Status Inode::refresh()
{
    if (is_gone()) return kOk;
    TRY(settle());
    Gate* gate = &mount.mdc().import().gate();
    Status adopted;
    Status s = run_gated({&gate, 1}, [&] {
        Status held = refresh_under_lock(&adopted);
        return held.is(kEAGAIN) ? refresh_by_intent(&adopted) : held;
    });
    if (s.is(kESTALE)) return note_gone();
    TRY(s);
    return adopted;
}

Status Inode::note_gone()
{
    auto state = state_.lock();
    if (state->attr.mode == 0) return -kESTALE;  // nothing was known
    state->gone = state->unused = true;
    state->attr.nlink = 0;
    state->dir_epoch = 0;
    return kOk;
}

Status Inode::revalidate(bool size_too)
{
    bool valid, is_file;
    {
        auto state = state_.lock();
        valid = state->valid;
        is_file = (state->attr.mode & kTypeMask) == kTypeFile;
    }
    if (!valid) {
        TRY(refresh());
        is_file = this->is_file();
    }
    return size_too && is_file && !is_gone() ? lock_for_stat(*TRY(layout())) : kOk;
}

Status Inode::dir_epoch(bool acquire, uint64_t* epoch)
{
    for (int tries = 0;; tries++) {
        *epoch = state_.lock()->dir_epoch;
        if (*epoch || !acquire || tries == 2) return kOk;
        TRY(refresh());
        // The lock may have been here already, and only its loss of a twin reset the epoch:
        // refresh() has set it. Lost again at once: then 0 is the answer.
    }
}

// The lock goes, unless another one on the same object stays. Server's locks conflict between
// clients, so what is cached was true without a gap.
void Inode::inode_lock_lost()
{
    LockUse other;
    {
        auto state = state_.lock();
        if (match_inode_lock(&other)) return;
        state->valid = false;
        state->dir_epoch = 0;
        state->changed_at = mount.next_change();
    }
    if (Host host(*this); host) llp_invalidate_dentries(host.get());
}

void Inode::name_removed(const Attr& left)
{
    if (left.valid & kAttrUnused) state_.lock()->unused = true;
}

void Inode::mdt_evicted()
{
    {
        auto state = state_.lock();
        state->valid = false;
        state->dir_epoch = 0;
        state->changed_at = mount.next_change();
        state->dead_files = state->files;
    }
    if (Host host(*this); host) llp_invalidate_dentries(host.get());
}

uint64_t Inode::size_of(State& state)
{
    FileLayout* layout = layout_.load();
    uint64_t size = 0;
    for (uint32_t i = 0; layout && i < state.stripes.size(); i++) {
        uint64_t end = layout->striping.file_size(i, state.stripes[i].size);
        if (end > size) size = end;
    }
    return size;
}

uint64_t Inode::size()
{
    auto state = state_.lock();
    return size_of(*state);
}

// Objects carry the times of writes, and times that somebody has set (not "now", which is later
// than theirs by itself). So an object's other time is that of a write since then, if what was set
// lies in the future; the clocks of nodes may differ.
void Inode::fill_file(State& state, llc_attr* out)
{
    const Attr& attr = state.attr;
    uint64_t written = 0;
    out->size = size_of(state);
    out->size_known = !state.stripes.empty();
    out->blocks_512 = state.dirty_pages * (kPageBytes / 512);
    for (const StripeInfo& stripe : state.stripes) {
        out->blocks_512 += stripe.blocks_512;
        out->size_known = out->size_known && stripe.valid;
        if (stripe.mtime_ns == 0 || stripe.mtime_ns == attr.mtime_ns) continue;
        written = written ? later(written, stripe.mtime_ns) : stripe.mtime_ns;
    }
    if (!written) return;
    if (is_later(written, attr.ctime_ns)) out->mtime_ns = out->ctime_ns = written;
    else if (is_later(attr.mtime_ns, attr.ctime_ns + kClocksDifferNs)) out->mtime_ns = written;
    else out->mtime_ns = later(out->mtime_ns, written);
}

void Inode::fill(llc_attr* out)
{
    if (!out) return;
    auto state = state_.lock();
    const Attr& a = state->attr;
    *out = {};
    out->ino = number();
    out->generation = fid.oid;
    out->mode = a.mode;
    out->uid = a.uid;
    out->gid = a.gid;
    out->nlink = a.nlink;
    out->rdev = a.rdev;
    out->size = a.size;
    out->blocks_512 = a.blocks_512;
    out->atime_ns = a.atime_ns;
    out->mtime_ns = a.mtime_ns;
    out->ctime_ns = a.ctime_ns;
    out->unused = state->unused;
    if ((a.mode & kTypeMask) == kTypeFile) fill_file(*state, out);
}

}  // namespace lull
