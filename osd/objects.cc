// SPDX-License-Identifier: GPL-2.0-only
#include "osd/store_impl.h"

namespace lull {

Object::~Object()
{
    if (store_) store_->unlist(*this);
    if (node_) kbfs_put(node_);
}

void StoreImpl::set(Object& o, const ObjectMark& mark, uint32_t type, NodeRef node,
                    StoreImpl* store, bool pending)
{
    o.fid_ = mark.fid;
    o.version_ = mark.transno;
    o.parent_ = mark.parent;
    o.type_ = type;
    o.node_ = node.release();
    o.store_ = store;
    o.pending_ = pending;
}

void StoreImpl::unlist(Object& object)
{
    auto c = cache.lock();
    if (object.hook_.is_linked()) c->objects.erase(c->objects.iterator_to(object));
}

Ref<Object> StoreImpl::cached(const Fid& fid)
{
    auto c = cache.lock();
    auto it = c->objects.find(fid, ByFid());
    if (it == c->objects.end() || !it->try_ref()) return nullptr;
    return Ref<Object>::adopt(&*it);
}

Result<Ref<Object>> StoreImpl::adopt(NodeRef node, const ObjectMark& mark, uint32_t type,
                                     bool is_pending)
{
    Ref<Object> fresh = make_ref<Object>();
    if (!fresh) return -kENOMEM;
    set(*fresh, mark, type, std::move(node), this, is_pending);
    Ref<Object> result;
    {
        auto c = cache.lock();
        auto it = c->objects.find(mark.fid, ByFid());
        if (it != c->objects.end()) {
            if (it->try_ref()) result = Ref<Object>::adopt(&*it);
            else c->objects.erase(it);  // on its way out: its destructor finds itself unlinked
        }
        if (!result) {
            c->objects.insert(*fresh);
            result = fresh;
        }
    }
    remember(*result);
    return result;
}

Result<Ref<Object>> StoreImpl::load(NodeRef node, const Fid* expected, bool is_pending)
{
    kbfs_attr attr;
    TRY(Status(kbfs_getattr(node.get(), &attr)));
    ObjectMark mark;
    TRY(read_mark(node.get(), &mark));
    if (expected && mark.fid != *expected) return -kESTALE;
    return adopt(std::move(node), mark, attr.mode & kTypeMask, is_pending);
}

void StoreImpl::remember(Object& object)
{
    Ref<Object> evicted;  // dropped after the lock: its destructor takes it
    auto c = cache.lock();
    if (object.recent_) return;
    size_t place = c->next_recent;
    c->next_recent = (place + 1) % kRecentObjects;
    evicted = std::move(c->recent[place]);
    if (evicted) evicted->recent_ = 0;
    c->recent[place] = Ref<Object>(&object);
    object.recent_ = static_cast<uint32_t>(place + 1);
}

void StoreImpl::forget(const Fid& fid)
{
    Ref<Object> dropped;  // after the lock, too
    auto c = cache.lock();
    auto it = c->objects.find(fid, ByFid());
    if (it == c->objects.end()) return;
    Object& o = *it;
    c->objects.erase(it);
    o.pending_ = true;
    if (o.recent_) dropped = std::move(c->recent[std::exchange(o.recent_, 0u) - 1]);
}

Result<Ref<Object>> StoreImpl::find(const Fid& fid)
{
    if (Ref<Object> o = cached(fid)) return o;
    if (fid == kRootFid) return root();
    auto found = find_indexed(fid);
    if (found.ok() || !(found.is(kENOENT) || found.is(kESTALE))) return found;
    // Its destruction may have begun: the index entry goes first.
    NodeRef node;
    FidName name = fid_name(fid);
    Status s = bfs_lookup(pending.get(), name, &node);
    if (s.is(kENOENT)) return -kESTALE;
    TRY(s);
    return load(std::move(node), &fid, true);
}

Result<Ref<Object>> StoreImpl::find_indexed(const Fid& fid)
{
    NodeRef node;
    TRY(index_open(fid, &node));
    kbfs_attr attr;
    TRY(Status(kbfs_getattr(node.get(), &attr)));
    bool is_pending = false;
    if ((attr.mode & kTypeMask) != KBFS_DIR && attr.nlink <= 1) {
        NodeRef at_pending;
        Status s = bfs_lookup(pending.get(), fid_name(fid), &at_pending);
        if (s.ok()) is_pending = true;
        else if (!s.is(kENOENT)) return s;
    }
    return load(std::move(node), &fid, is_pending);
}

Result<Ref<Object>> StoreImpl::lookup(Object& dir, Str name)
{
    if (dir.type() != KBFS_DIR) return -kENOTDIR;
    if (!valid_name(name)) return name.size() > KBFS_NAME_MAX ? -kENAMETOOLONG : -kEINVAL;
    NodeRef node;
    TRY(bfs_lookup(dir.node(), name, &node));
    ObjectMark mark;
    TRY(read_mark(node.get(), &mark));
    if (Ref<Object> o = cached(mark.fid)) return o;
    kbfs_attr attr;
    TRY(Status(kbfs_getattr(node.get(), &attr)));
    uint32_t type = attr.mode & kTypeMask;
    // a crash came between its rename and its mark
    if (type == KBFS_DIR && mark.parent != dir.fid()) {
        mark.parent = dir.fid();
        TRY(write_mark(node.get(), mark));
    }
    NodeRef indexed;
    Status s = index_open(mark.fid, &indexed);
    if (s.is(kENOENT) || s.is(kESTALE)) TRY(index_put(mark.fid, node.get()));
    return adopt(std::move(node), mark, type, false);
}

bool StoreImpl::is_ancestor(Object& maybe_ancestor, Object& of)
{
    constexpr unsigned kDepthMax = 4096;
    Fid at = of.fid();
    for (unsigned depth = 0; depth < kDepthMax; depth++) {
        if (at == maybe_ancestor.fid()) return true;
        if (at == kRootFid || at.is_zero()) return false;
        auto o = find(at);
        if (!o.ok()) return false;  // the backing file system refuses a loop, too
        auto c = cache.lock();
        at = o.value()->parent_;
    }
    return true;
}

}  // namespace lull
