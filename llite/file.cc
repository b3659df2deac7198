// SPDX-License-Identifier: GPL-2.0-only
#include "llite/file.h"

#include "kapi/log.h"
#include "kapi/retry.h"
#include "llite/gated.h"

namespace lull {
namespace {

constexpr uint32_t kFlags =
    kOpenRead | kOpenWrite | kOpenCreate | kOpenExcl | kOpenAppend | kOpenExec;
static_assert(LLC_OPEN_READ == kOpenRead && LLC_OPEN_WRITE == kOpenWrite &&
              LLC_OPEN_CREATE == kOpenCreate && LLC_OPEN_EXCL == kOpenExcl &&
              LLC_OPEN_APPEND == kOpenAppend && LLC_OPEN_EXEC == kOpenExec);

// The reply is waited for in any case: an open whose handle nobody knows could never be closed.
Ref<Call<MdsOpenOp>> new_open(uint32_t flags)
{
    auto call = make_ref<Call<MdsOpenOp>>();
    if (!call) return call;
    call->op.flags = flags;
    call->op.time_ns = kapi_realtime_ns();
    call->keep_committed = true;
    call->reply_wait = WaitMode::kUninterruptible;
    return call;
}

Ref<Call<MdsOpenOp>> new_open_name(Inode& dir, Str name, const struct llc_create& how,
                                   uint32_t flags)
{
    auto call = new_open(flags & kFlags);
    if (!call) return call;
    call->op.parent = dir.fid;
    call->op.name = name;
    call->op.mode = how.mode;
    call->op.uid = how.uid;
    call->op.gid = how.gid;
    call->admitted = true;
    return call;
}

// Tells the MDT that an open is over. Not sent: no memory here or there, or killed before;
// -ERESTARTSYS and sent: it goes on without us.
Status close_at_mdt(Mount& mount, Call<MdsOpenOp>& open, WaitMode wait, bool* sent)
{
    auto call = make_ref<Call<MdsCloseOp>>();
    *sent = false;
    if (!call) return -kENOMEM;
    call->op.handle = open.reply.handle;
    call->op.fid = open.reply.object.fid;
    call->ends = Ref<Request>(&open);
    call->admitted = true;
    call->reply_wait = wait;
    Status s = mount.mdc().import().call(*call);
    *sent =
        !s.is(kENOMEM) && (!s.is(kERESTARTSYS) || call->track.state != Request::Track::State::kNew);
    return s;
}

// An open that nobody will use.
void undo_open(Mount& mount, Call<MdsOpenOp>& open)
{
    bool sent = false;
    (void)while_no_memory(
        [&] { return close_at_mdt(mount, open, WaitMode::kUninterruptible, &sent); });
    if (!sent)
        log_err(
            "no memory to undo an open: its file stays open at the MDT until this client unmounts");
}

// What is refused since it is open to write may have been closed here already, and that close not
// have reached the MDT yet (A8): the writer of a program that runs it next must not notice.
template <class Fn> Status open_after_closes(Mount& mount, Fn open)
{
    bool closes = mount.closer().is_busy();
    Status s = open();
    if (!s.is(kETXTBSY) || !closes) return s;
    TRY(mount.closer().wait_idle());
    return open();
}

}  // namespace

File::File(Inode& inode, Ref<Call<MdsOpenOp>> open)
    : mount_(inode.mount), inode_(&inode), open_(std::move(open)),
      generation_(inode.mount.mdt_generation()), losses_(inode.losses())
{
    inode.file_opened();
}

Result<Owned<File>> File::open(Inode& inode, uint32_t flags)
{
    TRY(inode.settle());
    Ref<Call<MdsOpenOp>> call;
    Status s = open_after_closes(inode.mount, [&]() -> Status {
        call = new_open((flags & kFlags & ~(kOpenCreate | kOpenExcl)) | kOpenByFid);
        if (!call) return -kENOMEM;
        call->op.fid = inode.fid;
        return inode.mount.mdc().import().call(*call);
    });
    if (s.is(kENOENT)) return -kESTALE;
    TRY(s);
    s = inode.check(call->reply.object);
    if (s.ok()) (void)inode.adopt_layout(call->reply.object.layout, Inode::Osts::kKnown);
    auto file = s.ok() ? make<File>(inode, call) : Owned<File>();
    if (!file) {
        undo_open(inode.mount, *call);
        return s.ok() ? Status(-kENOMEM) : s;
    }
    inode.mount.stats.opens++;
    return file;
}

Status File::open_name(Inode& dir, Str name, const struct llc_create& how, uint32_t flags,
                       Ref<Inode>* inode, Owned<File>* file, bool* created)
{
    Mount& mount = dir.mount;
    TRY(dir.settle());
    Gate* gate = &mount.mdc().import().gate();
    Ref<Call<MdsOpenOp>> call;
    uint64_t asked_at = 0;
    OwnChange change(flags & LLC_OPEN_CREATE ? &dir : nullptr);
    Fid chosen;
    auto open_as = [&](const Fid& fid) -> Status {
        call = new_open_name(dir, name, how, flags);
        if (!call) return -kENOMEM;
        call->op.fid = chosen = fid;
        return mount.mdc().import().call(*call);
    };
    auto open_it = [&]() -> Status {
        asked_at = mount.change_counter();
        return flags & LLC_OPEN_CREATE ? with_new_fid(mount.mdc(), open_as) : open_as(Fid());
    };
    TRY(open_after_closes(mount, [&] { return run_gated({&gate, 1}, open_it); }));
    MdsOpenReply& reply = call->reply;
    Status s = reply.created ? change.done(reply.parent) : kOk;
    if (!reply.created) change.unchanged();
    *created = reply.created;
    uint32_t type = reply.object.attr.mode & kTypeMask;
    bool as_chosen = chosen.is_zero() || reply.object.fid == chosen;
    if (s.ok() && reply.created && (type != kTypeFile || !as_chosen)) s = -kEPROTO;
    auto found = mount.inode(reply.object.fid);
    if (s.ok()) s = found.status();
    if (s.ok()) s = found.value()->adopt(reply.object, LockUse(), asked_at);
    if (s.ok()) {
        *inode = found.release_value();
        if (type == kTypeFile || type == kTypeDir) *file = make<File>(**inode, call);
        if (*file) {
            mount.stats.opens++;
            if (reply.created) mount.stats.creates++;
            return kOk;
        }
        if (type != kTypeFile && type != kTypeDir) {
            if (reply.handle) undo_open(mount, *call);
            return kOk;
        }
    }
    undo_open(mount, *call);
    return s.ok() ? Status(-kENOMEM) : s;
}

// Not sent (no memory, or killed while the MDT was away): -EAGAIN, and the open is still there.
Status File::send_close(WaitMode wait)
{
    if (is_dead()) {
        abandon();
        return kOk;
    }
    bool sent;
    Status s = close_at_mdt(mount_, *open_, wait, &sent);
    if (!sent) return -kEAGAIN;
    open_.reset();
    return s;
}

void File::abandon()
{
    Ref<Call<MdsOpenOp>> open = std::move(open_);
    mount_.mdc().import().forget(*open);
}

Status File::close(Owned<File> file)
{
    Mount& mount = file->mount_;
    file->inode_->file_closed(file->is_dead());
    file->inode_.reset();
    mount.stats.closes++;
    Gate& gate = mount.mdc().import().gate();
    Status s = gate.try_enter();
    if (s.ok()) {
        s = file->send_close(WaitMode::kKillable);
        gate.leave();
        if (!s.is(kEAGAIN)) return s;
    } else if (!s.is(kEPark)) {
        file->abandon();  // unmounting
        return kOk;
    }
    mount.closer().add(std::move(file));
    return kOk;
}

Status File::flock(const FlockRange& range, bool wait)
{
    bool unlock = range.mode == static_cast<uint8_t>(LockMode::kNL);
    if (is_dead()) return unlock ? kOk : Status(-kEIO);
    return mount_.flocks().set(range, wait);
}

}  // namespace lull
