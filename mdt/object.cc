// SPDX-License-Identifier: GPL-2.0-only
/* Helpers of all operations: locks, finding, attributes, versions. */
#include "kapi/log.h"
#include "mdt/mdt.h"
#include "mdt/names.h"

namespace lull {

Status OpLocks::take(const ResourceId& resource, uint32_t bits, Export* on_behalf_of)
{
    for (size_t i = 0; i < count_; i++)
        if (held_[i] == resource) return kOk;
    LULL_ASSERT(count_ < kMax);
    LockPolicy policy;
    policy.bits = bits;
    TRY(target_.ldlm().lock_local(&locks_[count_], resource, LockType::kIbits, LockMode::kEX,
                                  policy, on_behalf_of));
    held_[count_++] = resource;
    return kOk;
}

Status OpLocks::lock(const Fid& fid, uint32_t bits)
{
    if (!is_namespace_fid(fid)) return -kEINVAL;
    return take(ResourceId::of(fid), bits, request_.exp.get());
}

Status OpLocks::lock_rename_token() { return take(kRenameResource, kIbitAll, nullptr); }

void OpLocks::release()
{
    while (count_) locks_[--count_].release();
}

Result<Ref<Object>> MdtService::find(const Fid& fid)
{
    if (!is_namespace_fid(fid)) return -kEINVAL;
    return store().find(fid);
}

Result<Ref<Object>> MdtService::find_dir(const Fid& fid)
{
    Ref<Object> object = TRY(find(fid));
    if (object->type() != KBFS_DIR) return -kENOTDIR;
    return object;
}

bool MdtService::is_leaf(const Fid& fid)
{
    Result<Ref<Object>> object = find(fid);
    return object.ok() && object.value()->type() != KBFS_DIR;
}

Status MdtService::fill_attr(Object& object, Attr* out)
{
    TRY(store().getattr(object, out));
    if (object.type() == KBFS_FILE) {  // the OSTs know better
        out->valid &= ~(kAttrSize | kAttrBlocks);
        out->size = out->blocks_512 = 0;
    }
    return kOk;
}

void MdtService::tell_unused(ServerRequest& request, const Fid& fid, Attr* removed)
{
    bool nameless = (removed->valid & kAttrNlink) && removed->nlink == 0;
    if (!nameless || request.is_replay() || target_.recovering()) return;
    if (!opens_.is_open_by_others(request.exp->client_uuid(), fid)) removed->valid |= kAttrUnused;
}

Status MdtService::fill(Object& object, MdsGetattrReply* out)
{
    out->fid = object.fid();
    TRY(fill_attr(object, &out->attr));
    if (object.type() != KBFS_FILE && object.type() != KBFS_DIR) return kOk;
    return store().get_layout(object, &out->layout);
}

void MdtService::fill_if_there(const Fid& fid, Attr* out)
{
    Result<Ref<Object>> object = find(fid);
    if (!object.ok() || !fill_attr(*object.value(), out).ok()) *out = Attr();
}

Status MdtService::touch(Object& object, uint32_t times, uint64_t time_ns, uint64_t transno)
{
    if (time_ns) {
        Attr attr;
        attr.valid = times & (kAttrMtime | kAttrCtime);
        attr.mtime_ns = attr.ctime_ns = time_ns;
        TRY(store().setattr(object, attr));
    }
    return bump_version(object, transno);
}

// Never back: a replay may find a later change in the store already.
Status MdtService::bump_version(Object& object, uint64_t transno)
{
    Result<uint64_t> version = store().version(object);
    if (version.ok() && version.value() >= transno) return kOk;
    if (!version.ok() && !version.is(kENODATA)) return version.status();
    return store().set_version(object, transno);
}

bool MdtService::is_done(ServerRequest& request, Object& object)
{
    if (!(request.flags() & kRpcReplay)) return false;
    Result<uint64_t> version = store().version(object);
    return version.ok() && version.value() >= request.replay_transno();
}

// The rest of what was done in an instance before, as far as a crash has taken it away. A resend
// has a new number, by which its replay will know that it is done.
Status MdtService::touch_again(ServerRequest& request, Object& object, uint32_t times,
                               uint64_t time_ns, uint64_t transno)
{
    return is_done(request, object) ? kOk : touch(object, times, time_ns, transno);
}

Status MdtService::match_version(ServerRequest& request, Object& object, unsigned i,
                                 uint64_t* before)
{
    uint64_t now = TRY(store().version(object));
    *before = request.is_replay() ? request.version_before(i) : object.type() == KBFS_DIR ? 0 : now;
    // Later than the replay itself: it was executed, and survived, up to some step.
    if (*before == 0 || now == *before || now >= request.replay_transno()) return kOk;
    log_warn("%s: " FID_FMT " was at %llx when client %s changed it, and is at %llx now",
             target_.target_name().c_str(), FID_ARG(object.fid()),
             static_cast<unsigned long long>(*before), request.exp->client_uuid().c_str(),
             static_cast<unsigned long long>(now));
    return -kEOVERFLOW;
}

Status MdtService::is_empty_dir(Object& dir)
{
    Vec<DirEntry> entries;
    bool end = false;
    TRY(store().readdir(dir, 0, 1, &entries, &end));
    return entries.empty() ? kOk : Status(-kENOTEMPTY);
}

void MdtService::became_pending(const Fid& fid, uint64_t transno)
{
    if (!opens_.mark_pending(fid)) destroyer_.add(fid, transno);
}

}  // namespace lull
