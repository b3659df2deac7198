// SPDX-License-Identifier: GPL-2.0-only
#include "osd/store_impl.h"

namespace lull {

namespace {

constexpr char kMarkName[] = "lma";
constexpr char kLayoutName[] = "lov";
constexpr size_t kMarkBytesMax = 64;
constexpr size_t kLayoutBytesMax = 1024;

uint32_t to_backing(const Attr& in, kbfs_attr* out)
{
    uint32_t valid = 0;
    // clang-format off
    if (in.valid & kAttrMode) { out->mode = in.mode & 07777; valid |= KBFS_MODE; }
    if (in.valid & kAttrUid) { out->uid = in.uid; valid |= KBFS_UID; }
    if (in.valid & kAttrGid) { out->gid = in.gid; valid |= KBFS_GID; }
    if (in.valid & kAttrSize) { out->size = in.size; valid |= KBFS_SIZE; }
    if (in.valid & kAttrAtime) { out->atime_ns = in.atime_ns; valid |= KBFS_ATIME; }
    if (in.valid & kAttrMtime) { out->mtime_ns = in.mtime_ns; valid |= KBFS_MTIME; }
    if (in.valid & kAttrCtime) { out->ctime_ns = in.ctime_ns; valid |= KBFS_CTIME; }
    if (in.valid & kAttrAtimeNow) { out->atime_ns = kapi_realtime_ns(); valid |= KBFS_ATIME; }
    if (in.valid & kAttrMtimeNow) { out->mtime_ns = kapi_realtime_ns(); valid |= KBFS_MTIME; }
    // clang-format on
    return valid;
}

}  // namespace

Status StoreImpl::read_mark(kbfs_node* node, ObjectMark* out)
{
    uint8_t raw[kMarkBytesMax];
    int n = kbfs_getxattr(node, kMarkName, raw, sizeof raw);
    if (n < 0) return n;
    Decoder in(kProtocol2, {raw, static_cast<size_t>(n)});
    out->io(in);
    if (!in.finish().ok() || out->format != ObjectMark::kFormat) return -kEIO;
    return kOk;
}

Status StoreImpl::write_mark(kbfs_node* node, const ObjectMark& mark)
{
    ObjectMark copy = mark;
    Encoder out(kProtocol2);
    copy.io(out);
    TRY(out.status());
    return Status(kbfs_setxattr(node, kMarkName, out.output().data(), out.output().size()));
}

Status StoreImpl::write_mark(Object& object)
{
    ObjectMark mark;
    {
        auto c = cache.lock();
        mark.fid = object.fid_;
        mark.transno = object.version_;
        mark.parent = object.parent_;
    }
    return write_mark(object.node(), mark);
}

Status StoreImpl::getattr(Object& object, Attr* out)
{
    kbfs_attr a;
    TRY(Status(kbfs_getattr(object.node(), &a)));
    bool is_pending;
    {
        auto c = cache.lock();
        is_pending = object.pending_;
    }
    out->valid = kAttrMode | kAttrUid | kAttrGid | kAttrSize | kAttrAtime | kAttrMtime |
                 kAttrCtime | kAttrNlink | kAttrRdev | kAttrBlocks;
    out->mode = a.mode;
    out->uid = a.uid;
    out->gid = a.gid;
    out->nlink = is_pending ? 0 : a.nlink;
    out->rdev = a.rdev;
    out->size = a.size;
    out->blocks_512 = a.blocks_512;
    out->atime_ns = a.atime_ns;
    out->mtime_ns = a.mtime_ns;
    out->ctime_ns = a.ctime_ns;
    return kOk;
}

Status StoreImpl::setattr(Object& object, const Attr& attr)
{
    kbfs_attr a = {};
    uint32_t valid = to_backing(attr, &a);
    if (!valid) return kOk;
    return Status(kbfs_setattr(object.node(), &a, valid));
}

Status StoreImpl::get_layout(Object& object, Layout* out)
{
    *out = Layout();
    Bytes raw;
    TRY(raw.resize(kLayoutBytesMax));
    int n = kbfs_getxattr(object.node(), kLayoutName, raw.data(), raw.size());
    if (n == -kENODATA) return kOk;
    if (n < 0) return n;
    Decoder in(kProtocol2, std::span<const uint8_t>(raw.data(), static_cast<size_t>(n)));
    out->io(in);
    return in.finish().ok() ? kOk : Status(-kEIO);
}

Status StoreImpl::set_layout(Object& object, const Layout& layout)
{
    if (!layout.is_set()) {
        Status s(kbfs_removexattr(object.node(), kLayoutName));
        return s.is(kENODATA) ? kOk : s;
    }
    Layout copy;
    TRY(copy.copy_from(layout));
    Encoder out(kProtocol2);
    copy.io(out);
    TRY(out.status());
    if (out.output().size() > kLayoutBytesMax) return -kERANGE;
    return Status(
        kbfs_setxattr(object.node(), kLayoutName, out.output().data(), out.output().size()));
}

Status StoreImpl::set_version(Object& object, uint64_t transno)
{
    {
        auto c = cache.lock();
        object.version_ = transno;
    }
    return write_mark(object);
}

Result<uint64_t> StoreImpl::version(Object& object)
{
    auto c = cache.lock();
    return object.version_;
}

Status StoreImpl::readlink(Object& object, Text<kSymlinkMax>* out)
{
    if (object.type() != KBFS_SYMLINK) return -kEINVAL;
    Vec<char> text;
    TRY(text.resize(kSymlinkMax + 1));
    int n = kbfs_readlink(object.node(), text.data(), text.size());
    if (n < 0) return n;
    return out->assign(Str(text.data(), static_cast<size_t>(n)));
}

}  // namespace lull
