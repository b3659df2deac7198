// SPDX-License-Identifier: GPL-2.0-only
#include "osd/store_impl.h"

namespace lull {

namespace {

using SerialName = Text<20>;

SerialName serial_name(const Fid& fid)
{
    return text_format<20>("%llx", static_cast<unsigned long long>(
                                       static_cast<uint64_t>(fid.ver) << 32 | fid.oid));
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

Result<Ref<Object>> StoreImpl::ost_find(const Fid& fid, bool create, uint32_t uid, uint32_t gid,
                                        const Fid& file)
{
    Ref<Object> o = TRY(ost_open(fid, create, uid, gid, file));
    if (!create || file.is_zero()) return o;
    auto c = cache.lock();
    // stored with the version of what is about to be done
    if (o->parent_.is_zero()) o->parent_ = file;
    return o;
}

Result<Ref<Object>> StoreImpl::ost_open(const Fid& fid, bool create, uint32_t uid, uint32_t gid,
                                        const Fid& file)
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
    mark.parent = file;
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

Result<bool> StoreImpl::ost_is_written(Object& object, uint64_t offset, size_t bytes)
{
    int is = kbfs_is_written(object.node(), offset, bytes);
    if (is < 0) return is;
    return is > 0;
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

// ---- listing

struct OstRange {
    uint64_t from, to;
    size_t max;
};

namespace {

constexpr size_t kExaminedMax = 16384;  // entries looked at in one call

struct CollectSerials {
    const OstRange& range;
    OstCursor* cursor;
    Vec<uint64_t> serials;
    size_t* examined;
    bool full = false;
    Status status;
};

bool parse_serial(Str name, uint64_t* out)
{
    if (name.empty() || name.size() > 16) return false;
    *out = 0;
    for (size_t i = 0; i < name.size(); i++) {
        char c = name[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        *out = *out << 4 | static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

bool collect_serial(void* arg, const char* name, size_t len, uint64_t, uint32_t,
                    uint64_t next_cookie)
{
    auto* c = static_cast<CollectSerials*>(arg);
    uint64_t serial;
    bool wanted =
        parse_serial(Str(name, len), &serial) && serial >= c->range.from && serial < c->range.to;
    c->full = (wanted && c->serials.size() >= c->range.max) || *c->examined >= kExaminedMax;
    if (c->full) return false;
    ++*c->examined;
    if (wanted) c->status = c->serials.push_back(serial);
    if (c->status.ok()) c->cursor->cookie = next_cookie;
    return c->status.ok();
}

}  // namespace

Status StoreImpl::ost_list(uint64_t seq, uint64_t from, uint64_t to, size_t max, OstCursor* cursor,
                           Vec<OstObject>* out)
{
    size_t examined = 0;
    for (; cursor->bucket < OstCursor::kBuckets; *cursor = OstCursor{cursor->bucket + 1, 0}) {
        NodeRef dir;
        Status s = ost_directory(Fid{seq, cursor->bucket, 0}, false, &dir);
        if (s.is(kENOENT)) continue;
        TRY(s);
        OstRange range{from, to, max - out->size()};
        CollectSerials found{range, cursor, {}, &examined, false, kOk};
        TRY(Status(kbfs_iterate(dir.get(), cursor->cookie, collect_serial, &found)));
        TRY(found.status);
        for (uint64_t serial : found.serials) {
            OstObject o;
            o.fid = Fid{seq, static_cast<uint32_t>(serial), static_cast<uint32_t>(serial >> 32)};
            Status described = describe(&o);
            if (described.is(kENOENT)) continue;  // destroyed meanwhile
            TRY(described);
            TRY(out->push_back(o));
        }
        if (found.full) return kOk;
    }
    return kOk;
}

Status StoreImpl::describe(OstObject* object)
{
    Ref<Object> o = TRY(ost_open(object->fid, false, 0, 0, Fid()));
    kbfs_attr attr;
    TRY(Status(kbfs_getattr(o->node(), &attr)));
    object->bytes = attr.size;
    auto c = cache.lock();
    object->file = o->parent_;
    return kOk;
}

}  // namespace lull
