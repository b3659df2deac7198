// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/open_table.h"

namespace lull {

OpenTable::~OpenTable()
{
    State& s = state_.unsafe();
    s.objects.clear_and_dispose([](OpenObject* o) {
        o->handles.clear();
        Owned<OpenObject> gone(o);
    });
    s.handles.clear_and_dispose([](OpenHandle* h) { Owned<OpenHandle> gone(h); });
}

OpenObject* OpenTable::find_object(State& s, const Fid& fid)
{
    auto i = s.objects.find(fid);
    return i == s.objects.end() ? nullptr : &*i;
}

Result<OpenObject*> OpenTable::get_object(State& s, const Fid& fid)
{
    if (OpenObject* known = find_object(s, fid)) return known;
    Owned<OpenObject> o = make<OpenObject>();
    if (!o) return -kENOMEM;
    o->fid = fid;
    s.objects.insert(*o);
    return o.release();
}

Status OpenTable::add(const ReservedOpen& open, Kind kind)
{
    bool reserved = kind == Kind::kReserved;
    auto s = state_.lock();
    if (auto i = s->handles.find(HandleKey{open.client, open.handle}); i != s->handles.end()) {
        if (!(i->fid == open.fid)) return -kEINVAL;
        if (i->reserved && !reserved) {
            i->reserved = false;
            s->reserved--;
        }
        return kOk;
    }
    if (s->handles.size() >= kOpensMax) return -kENFILE;
    Owned<OpenHandle> h = make<OpenHandle>();
    if (!h) return -kENOMEM;
    OpenObject* object = TRY(get_object(*s, open.fid));
    if (object->dying) return -kESTALE;
    bool writes = open.flags & kOpenWrite, runs = open.flags & kOpenExec;
    if (kind == Kind::kNew && ((writes && object->programs) || (runs && object->writers)))
        return -kETXTBSY;
    object->writers += writes;
    object->programs += runs;
    object->handles.push_back(*h);
    h->client = open.client;
    h->handle = open.handle;
    h->fid = open.fid;
    h->flags = open.flags;
    h->reserved = reserved;
    s->reserved += reserved;
    s->handles.insert(*h.release());
    return kOk;
}

void OpenTable::remove_handle(State& s, OpenHandle& h, Fid* fid, bool* orphan)
{
    OpenObject* object = find_object(s, h.fid);
    LULL_ASSERT(object);
    *fid = h.fid;
    object->writers -= (h.flags & kOpenWrite) != 0;
    object->programs -= (h.flags & kOpenExec) != 0;
    object->handles.erase(object->handles.iterator_to(h));
    bool last = object->handles.empty();
    *orphan = last && object->pending;
    if (last) {
        s.objects.erase(s.objects.iterator_to(*object));
        Owned<OpenObject> gone(object);
    }
    s.reserved -= h.reserved;
    s.handles.erase(s.handles.iterator_to(h));
    Owned<OpenHandle> gone(&h);
}

Status OpenTable::remove(Str client, uint64_t handle, Fid* fid, bool* orphan)
{
    auto s = state_.lock();
    auto i = s->handles.find(HandleKey{client, handle});
    if (i == s->handles.end()) return -kESTALE;
    remove_handle(*s, *i, fid, orphan);
    return kOk;
}

bool OpenTable::remove_any(Str client, bool only_reserved, Fid* fid, bool* orphan)
{
    auto s = state_.lock();
    for (auto i = s->handles.lower_bound(HandleKey{client, 0});
         i != s->handles.end() && i->client == client; ++i) {
        if (only_reserved && !i->reserved) continue;
        remove_handle(*s, *i, fid, orphan);
        return true;
    }
    return false;
}

bool OpenTable::mark_pending(const Fid& fid)
{
    auto s = state_.lock();
    OpenObject* object = find_object(*s, fid);
    if (!object || object->handles.empty()) return false;
    object->pending = true;
    return true;
}

bool OpenTable::is_open(const Fid& fid) const
{
    auto s = state_.lock();
    OpenObject* object = find_object(*s, fid);
    return object && !object->handles.empty();
}

bool OpenTable::any(Str client, bool by_it, const Fid& fid) const
{
    auto s = state_.lock();
    OpenObject* object = find_object(*s, fid);
    if (!object) return false;
    for (const OpenHandle& h : object->handles)
        if ((h.client == client) == by_it) return true;
    return false;
}

bool OpenTable::has(Str client, uint64_t handle, const Fid& fid) const
{
    auto s = state_.lock();
    auto i = s->handles.find(HandleKey{client, handle});
    return i != s->handles.end() && i->fid == fid;
}

Status OpenTable::begin_destroy(const Fid& fid)
{
    auto s = state_.lock();
    OpenObject* object = TRY(get_object(*s, fid));
    if (!object->handles.empty()) return -kEBUSY;
    if (object->dying) return -kEALREADY;
    object->dying = true;
    return kOk;
}

void OpenTable::forget(const Fid& fid)
{
    auto s = state_.lock();
    OpenObject* object = find_object(*s, fid);
    if (!object || !object->dying) return;
    s->objects.erase(s->objects.iterator_to(*object));
    Owned<OpenObject> gone(object);
}

Status OpenTable::save(Vec<ReservedOpen>* out) const
{
    auto s = state_.lock();
    TRY(out->reserve(out->size() + s->handles.size()));
    for (const OpenHandle& h : s->handles)
        TRY(out->push_back(ReservedOpen{h.client, h.fid, h.handle, h.flags}));
    return kOk;
}

OpenTable::Counts OpenTable::counts() const
{
    auto s = state_.lock();
    return {s->handles.size(), s->reserved, s->objects.size()};
}

}  // namespace lull
