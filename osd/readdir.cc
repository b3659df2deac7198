// SPDX-License-Identifier: GPL-2.0-only
#include "osd/store_impl.h"

namespace lull {

namespace {

constexpr uint32_t kReaddirMax = 1024;

struct Collect {
    Vec<DirEntry>* out;
    uint32_t max;
    bool full = false;
    Status status;
};

bool collect_entry(void* arg, const char* name, size_t len, uint64_t, uint32_t type,
                   uint64_t next_cookie)
{
    auto* c = static_cast<Collect*>(arg);
    if (c->out->size() >= c->max) {
        c->full = true;
        return false;
    }
    c->status = c->out->resize(c->out->size() + 1);
    if (!c->status.ok()) return false;
    DirEntry& e = c->out->back();
    c->status = e.name.assign(Str(name, len));
    e.cookie = next_cookie;
    e.type = type;
    return c->status.ok();
}

struct CollectFids {
    Vec<Fid>* out;
    Status status;
};

bool collect_fid(void* arg, const char* name, size_t len, uint64_t, uint32_t, uint64_t)
{
    auto* c = static_cast<CollectFids*>(arg);
    auto fid = parse_fid_name(Str(name, len));
    if (fid.ok()) c->status = c->out->push_back(fid.value());
    return c->status.ok();
}

}  // namespace

Status StoreImpl::readdir(Object& dir, uint64_t cookie, uint32_t max, Vec<DirEntry>* out, bool* end)
{
    *end = false;
    out->clear();
    if (dir.type() != KBFS_DIR) return -kENOTDIR;
    if (max == 0) return -kEINVAL;
    Collect c{out, max < kReaddirMax ? max : kReaddirMax, false, kOk};
    TRY(Status(kbfs_iterate(dir.node(), cookie, collect_entry, &c)));
    TRY(c.status);
    *end = !c.full;
    size_t kept = 0;
    for (size_t i = 0; i < out->size(); i++) {
        DirEntry& e = (*out)[i];
        NodeRef node;
        ObjectMark mark;
        Status s = bfs_lookup(dir.node(), e.name, &node);
        if (s.ok()) s = read_mark(node.get(), &mark);
        if (s.is(kENOENT) || s.is(kENODATA)) continue;  // gone meanwhile, or not ours
        TRY(s);
        e.fid = mark.fid;
        if (kept != i) (*out)[kept] = e;
        kept++;
    }
    while (out->size() > kept) out->pop_back();
    return kOk;
}

Status StoreImpl::list_pending(Vec<Fid>* out)
{
    CollectFids c{out, kOk};
    TRY(Status(kbfs_iterate(pending.get(), 0, collect_fid, &c)));
    return c.status;
}

}  // namespace lull
