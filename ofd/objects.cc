// SPDX-License-Identifier: GPL-2.0-only
/* Operations on objects: read, the steps of a write, punch, attributes, destroy. */
#include "kapi/log.h"
#include "ofd/ofd.h"

namespace lull {

namespace {
constexpr uint32_t kSettable =
    kAttrMode | kAttrUid | kAttrGid | kAttrAtime | kAttrMtime | kAttrCtime;

// In order and each once, so that no request waits for itself, nor two for each other.
void sort_once(Vec<OstFid>& objects)
{
    size_t n = 0;
    for (size_t i = 0; i < objects.size(); i++) {
        OstFid object = objects[i];
        size_t at = n;
        while (at > 0 && object.fid < objects[at - 1].fid) at--;
        if (at > 0 && objects[at - 1].fid == object.fid) continue;
        for (size_t j = n++; j > at; j--) objects[j] = objects[j - 1];
        objects[at] = object;
    }
    (void)objects.resize(n);
}
}

Status OfdService::do_read(ServerRequest& request)
{
    OstReadOp op;
    TRY(request.decode(&op));
    TRY(check(op.object));
    if (op.bytes > kBulkMaxBytes) return -kEPROTO;
    OstReadReply reply;
    Bytes data;
    Result<Ref<Object>> object = target_.store().ost_find(op.object.fid, false, 0, 0);
    if (!object.ok() && !object.is(kENOENT)) return object.status();
    if (object.ok()) {
        Attr attr;
        TRY(target_.store().getattr(*object.value(), &attr));
        reply.size = attr.size;
        uint64_t left = op.offset < attr.size ? attr.size - op.offset : 0;
        TRY(data.resize(left < op.bytes ? left : op.bytes));
        if (data.size()) {
            uint32_t n = TRY(target_.store().ost_read(*object.value(), op.offset, data));
            TRY(data.resize(n < data.size() ? n : data.size()));
        }
    }
    reply.bytes = static_cast<uint32_t>(data.size());
    request.reply(reply, std::move(data));
    return kOk;
}

Status OfdService::write_steps(const OstWriteOp& op, std::span<const uint8_t> data,
                               uint64_t transno, OstWriteReply* reply)
{
    Store& store = target_.store();
    Ref<Object> object = TRY(store.ost_find(op.object.fid, true, op.uid, op.gid, op.file.fid));
    TRY(store.ost_write(*object, op.offset, data));
    Attr attr;
    if (op.mtime_ns) {
        attr.valid = kAttrMtime | kAttrCtime;
        attr.mtime_ns = attr.ctime_ns = op.mtime_ns;
        TRY(store.setattr(*object, attr));
    }
    TRY(store.set_version(*object, transno));
    TRY(store.getattr(*object, &attr));
    reply->blocks_512 = attr.blocks_512;
    return kOk;
}

Status OfdService::do_punch(Ref<ServerRequest>& request)
{
    OstPunchOp op;
    TRY(request->decode(&op));
    TRY(check(op.object));
    if (op.size > kObjectMaxBytes) return -kEFBIG;
    target_.note_progress(*request->exp);
    Transaction tx(target_, request);
    if (!begin_or_fail(tx)) return kOk;
    if (Status s = punch_steps(op, tx.transno()); !s.ok()) {
        tx.fail(s);
        return kOk;
    }
    Empty reply;
    tx.reply(reply);
    return kOk;
}

Status OfdService::punch_steps(const OstPunchOp& op, uint64_t transno)
{
    Store& store = target_.store();
    Result<Ref<Object>> found = store.ost_find(op.object.fid, op.size != 0, 0, 0, op.file.fid);
    if (found.is(kENOENT)) return kOk;  // nothing there, nothing wanted
    Ref<Object> object = TRY(std::move(found));
    TRY(store.ost_truncate(*object, op.size));
    if (op.time_ns) {
        Attr attr;
        attr.valid = kAttrMtime | kAttrCtime;
        attr.mtime_ns = attr.ctime_ns = op.time_ns;
        TRY(store.setattr(*object, attr));
    }
    return store.set_version(*object, transno);
}

Status OfdService::do_setattr(Ref<ServerRequest>& request)
{
    OstSetattrOp op;
    TRY(request->decode(&op));
    TRY(check(op.object));
    if (op.attr.valid & kAttrSize) return -kEINVAL;  // that is a punch
    Transaction tx(target_, request);
    if (!begin_or_fail(tx)) return kOk;
    if (Status s = setattr_steps(op, tx.transno()); !s.ok()) {
        tx.fail(s);
        return kOk;
    }
    Empty reply;
    tx.reply(reply);
    return kOk;
}

Status OfdService::setattr_steps(const OstSetattrOp& op, uint64_t transno)
{
    Store& store = target_.store();
    Attr attr = op.attr;
    uint64_t now = kapi_realtime_ns();
    if (attr.valid & kAttrAtimeNow) attr.valid |= kAttrAtime, attr.atime_ns = now;
    if (attr.valid & kAttrMtimeNow) attr.valid |= kAttrMtime, attr.mtime_ns = now;
    attr.valid &= kSettable & ~kAttrMode;
    Ref<Object> object = TRY(store.ost_find(op.object.fid, true, attr.uid, attr.gid, op.file.fid));
    TRY(store.setattr(*object, attr));
    return store.set_version(*object, transno);
}

Status OfdService::do_getattr(ServerRequest& request)
{
    OstGetattrOp op;
    TRY(request.decode(&op));
    TRY(check(op.object));
    OstGetattrReply reply;
    Result<Ref<Object>> object = target_.store().ost_find(op.object.fid, false, 0, 0);
    if (!object.ok() && !object.is(kENOENT)) return object.status();
    if (object.ok()) TRY(target_.store().getattr(*object.value(), &reply.attr));
    else reply.attr.valid = kAttrSize | kAttrBlocks;
    request.reply(reply);
    return kOk;
}

// The locks make clients drop what they have cached of the objects before they go. All are taken
// before anything changes: the wait for one may end in "park".
Status OfdService::do_destroy(Ref<ServerRequest>& request)
{
    OstDestroyOp op;
    TRY(request->decode(&op));
    sort_once(op.objects);
    Vec<LocalLock> locks;
    TRY(locks.resize(op.objects.size()));
    for (size_t i = 0; i < op.objects.size(); i++) {
        TRY(check(op.objects[i]));
        TRY(target_.ldlm().lock_local(&locks[i], ResourceId::of(op.objects[i].fid),
                                      LockType::kExtent, LockMode::kEX, LockPolicy(),
                                      request->exp.get()));
    }
    Transaction tx(target_, request);
    if (!begin_or_fail(tx)) return kOk;
    for (const OstFid& object : op.objects) {
        Status s = target_.store().ost_destroy(object.fid);
        if (s.ok()) continue;
        tx.fail(s);  // the MDT sends all of them again: destroying is idempotent
        return kOk;
    }
    Empty reply;
    tx.reply(reply);
    return kOk;
}

Status OfdService::do_list(ServerRequest& request)
{
    OstListOp op;
    TRY(request.decode(&op));
    if (op.bucket > OstCursor::kBuckets) return -kEINVAL;
    OstCursor cursor{op.bucket, op.cookie};
    Vec<OstObject> found;
    uint64_t seq = kFidSeqOstBase + target_.identity().index;
    TRY(target_.store().ost_list(seq, op.from, op.to, OstListReply::kMax, &cursor, &found));
    OstListReply reply;
    for (const OstObject& o : found)
        TRY(reply.entries.push_back(OstListEntry{{o.fid}, {o.file}, o.bytes}));
    reply.bucket = cursor.bucket;
    reply.cookie = cursor.cookie;
    reply.end = cursor.bucket == OstCursor::kBuckets;
    request.reply(reply);
    return kOk;
}

}  // namespace lull
