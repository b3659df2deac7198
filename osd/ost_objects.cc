// SPDX-License-Identifier: GPL-2.0-only
#include "osd/store_impl.h"

namespace lull {

namespace {

using SerialName = Text<20>;

SerialName serial_name(const Fid& fid)
{
    return text_format<20>("%llx", static_cast<unsigned long long>(static_cast<uint64_t>(fid.ver) << 32 | fid.oid));
}

}  // namespace

Status StoreImpl::ost_directory(const Fid& fid, bool create, NodeRef* out)
{
    Text<20> seq = text_format<20>("%llx", static_cast<unsigned long long>(fid.seq));
    Text<2> bucket = text_format<2>("%02x", fid.oid & 0xff);
    NodeRef sequence;
    if (create) {
        TRY(make_directory(ost.get(), seq, &sequence));
        return make_directory(sequence.get(), bucket, out);
    }
    TRY(bfs_lookup(ost.get(), seq, &sequence));
    return bfs_lookup(sequence.get(), bucket, out);
}

Result<Ref<Object>> StoreImpl::ost_find(const Fid& fid, bool create, uint32_t uid, uint32_t gid)
{
    if (Ref<Object> o = cached(fid)) return o;
    NodeRef dir, node;
    TRY(ost_directory(fid, create, &dir));
    SerialName name = serial_name(fid);
    ObjectMark mark;
    mark.fid = fid;
    Status s = bfs_lookup(dir.get(), name, &node);
    if (s.ok()) {
        Status marked = read_mark(node.get(), &mark);  // a crash may have come before its mark
        if (!marked.ok() && !marked.is(kENODATA)) return marked;
        if (mark.fid != fid) return -kEIO;
        return adopt(std::move(node), mark, KBFS_FILE, false);
    }
    if (!s.is(kENOENT) || !create) return s;
    s = Status(kbfs_create(dir.get(), name.c_str(), name.size(), KBFS_FILE | 0600, 0, node.out()));
    if (s.is(kEEXIST)) s = bfs_lookup(dir.get(), name, &node);  // another task was faster
    TRY(s);
    kbfs_attr owner = {};
    owner.uid = uid;
    owner.gid = gid;
    TRY(Status(kbfs_setattr(node.get(), &owner, KBFS_UID | KBFS_GID)));
    TRY(write_mark(node.get(), mark));
    return adopt(std::move(node), mark, KBFS_FILE, false);
}

Result<uint32_t> StoreImpl::ost_read(Object& object, uint64_t offset, std::span<uint8_t> into)
{
    uint32_t done = 0;
    while (done < into.size()) {
        int64_t n = kbfs_read(object.node(), offset + done, into.data() + done, into.size() - done);
        if (n < 0) return static_cast<int>(n);
        if (n == 0) break;
        done += static_cast<uint32_t>(n);
    }
    return done;
}

Status StoreImpl::ost_write(Object& object, uint64_t offset, std::span<const uint8_t> from)
{
    return Status(kbfs_write(object.node(), offset, from.data(), from.size()));
}

Status StoreImpl::ost_truncate(Object& object, uint64_t size)
{
    kbfs_attr attr = {};
    attr.size = size;
    return Status(kbfs_setattr(object.node(), &attr, KBFS_SIZE));
}

Status StoreImpl::ost_destroy(const Fid& fid)
{
    NodeRef dir;
    Status s = ost_directory(fid, false, &dir);
    if (s.ok()) {
        SerialName name = serial_name(fid);
        s = Status(kbfs_unlink(dir.get(), name.c_str(), name.size()));
    }
    if (s.is(kENOENT)) return kOk;
    if (s.ok()) forget(fid);
    return s;
}

}  // namespace lull
