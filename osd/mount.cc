// SPDX-License-Identifier: GPL-2.0-only
#include "kapi/log.h"
#include "osd/store_impl.h"

namespace lull {

StoreImpl::StoreImpl() = default;

StoreImpl::~StoreImpl()
{
    for (size_t i = 0; i < kRecentObjects; i++) {
        Ref<Object> dropped;  // after the lock: its destructor takes it
        auto c = cache.lock();
        dropped = std::move(c->recent[i]);
        if (dropped) dropped->recent_ = 0;
    }
    LULL_ASSERT(cache.unsafe().objects.empty());
    for (NodeRef* n : {&top, &configs, &oi, &tmp, &pending, &clients, &ost, &server_file})
        n->reset();
    if (fs) kbfs_unmount(fs);
}

Status make_directory(kbfs_node* parent, Str name, NodeRef* out)
{
    Status s = bfs_lookup(parent, name, out);
    if (!s.is(kENOENT)) return s;
    s = Status(kbfs_create(parent, name.data(), name.size(), KBFS_DIR | 0755, 0, out->out()));
    return s.is(kEEXIST) ? bfs_lookup(parent, name, out) : s;
}

Status StoreImpl::open_directories(Text<200>* why)
{
    TRY(Status(kbfs_root(fs, top.out())));
    NodeRef data;
    Status s = bfs_lookup(top.get(), "CONFIGS", &configs);
    if (s.ok()) s = bfs_lookup(configs.get(), "mountdata", &data);
    if (s.is(kENOENT)) {
        (void)why->assign(
            "the device was not formatted by mkfs.lull (it has no CONFIGS/mountdata)");
        return -kEINVAL;
    }
    TRY(s);
    TRY(make_directory(top.get(), "OI", &oi));
    TRY(make_directory(top.get(), "TMP", &tmp));
    TRY(make_directory(top.get(), "PENDING", &pending));
    TRY(make_directory(top.get(), "CLIENTS", &clients));
    TRY(make_directory(top.get(), "O", &ost));
    s = bfs_lookup(top.get(), "last_rcvd", &server_file);
    if (!s.is(kENOENT)) return s;
    return Status(kbfs_create(top.get(), "last_rcvd", 9, KBFS_FILE | 0600, 0, server_file.out()));
}

namespace {

struct CollectAll {
    Vec<NameText>* out;
    Status status;
};

bool collect_all(void* arg, const char* name, size_t len, uint64_t, uint32_t, uint64_t)
{
    auto* c = static_cast<CollectAll*>(arg);
    if (c->out->size() >= 256) return false;  // the caller comes again
    c->status = c->out->push_back(NameText(Str(name, len)));
    return c->status.ok();
}

}  // namespace

// Objects that were being made, directories that were being removed.
Status StoreImpl::empty_tmp()
{
    for (;;) {
        Vec<NameText> names;
        CollectAll c{&names, kOk};
        TRY(Status(kbfs_iterate(tmp.get(), 0, collect_all, &c)));
        TRY(c.status);
        if (names.empty()) return kOk;
        for (const NameText& name : names) {
            auto fid = parse_fid_name(name);
            if (fid.ok()) TRY(index_remove(fid.value()));
            Status s(kbfs_unlink(tmp.get(), name.c_str(), name.size()));
            if (s.is(kEISDIR) || s.is(kEPERM))
                s = Status(kbfs_rmdir(tmp.get(), name.c_str(), name.size()));
            TRY(s);
        }
    }
}

// A crash inside a replacing rename leaves a second name here of an object that is still in the
// namespace.
Status StoreImpl::settle_pending()
{
    Vec<Fid> fids;
    TRY(list_pending(&fids));
    for (const Fid& fid : fids) {
        NodeRef node;
        FidName name = fid_name(fid);
        TRY(bfs_lookup(pending.get(), name, &node));
        kbfs_attr attr;
        TRY(Status(kbfs_getattr(node.get(), &attr)));
        if (attr.nlink <= 1) continue;
        node.reset();
        TRY(Status(kbfs_unlink(pending.get(), name.c_str(), name.size())));
    }
    return kOk;
}

Result<Owned<Store>> Store::mount(kapi_net* net, const char* device, Text<200>* why)
{
    Owned<StoreImpl> store = make<StoreImpl>();
    if (!store) return -kENOMEM;
    Status s(kbfs_mount(net, device, false, &store->fs));
    if (!s.ok()) {
        store->fs = nullptr;
        *why =
            s.is(kEBUSY)
                ? text_format<200>("%s is in use, on this node or on its failover partner", device)
            : s.is(kEINVAL)
                ? text_format<200>("%s holds no ext4 of ours: was it formatted with mkfs.lull?",
                                   device)
                : text_format<200>("the backing file system of %s cannot be mounted (error %d)",
                                   device, s.error());
        return s;
    }
    s = store->open_directories(why);
    if (s.ok()) s = store->empty_tmp();
    if (s.ok()) s = store->settle_pending();
    if (!s.ok()) {
        if (why->empty())
            *why = text_format<200>("the start-up scan of %s failed (error %d)", device, s.error());
        return s;
    }
    return Owned<Store>(std::move(store));
}

Result<Ref<Object>> StoreImpl::root()
{
    if (Ref<Object> o = cached(kRootFid)) return o;
    NodeRef node;
    Status s = bfs_lookup(top.get(), "ROOT", &node);
    if (s.ok()) {
        ObjectMark mark;
        mark.fid = kRootFid;
        s = read_mark(node.get(), &mark);
        if (s.is(kENODATA)) {
            mark.fid = kRootFid;
            TRY(write_mark(node.get(), mark));
            s = index_put(kRootFid, node.get());
        }
        TRY(s);
        if (mark.fid != kRootFid) return -kEIO;
        return adopt(std::move(node), mark, KBFS_DIR, false);
    }
    if (!s.is(kENOENT)) return s;
    CreateSpec spec;
    spec.fid = kRootFid;
    spec.mode = KBFS_DIR | 0755;
    spec.time_ns = kapi_realtime_ns();
    FidName name = fid_name(kRootFid);
    TRY(make_in_tmp(spec, name, Fid{}, &node));
    TRY(index_put(kRootFid, node.get()));
    TRY(Status(kbfs_rename(tmp.get(), name.c_str(), name.size(), top.get(), "ROOT", 4)));
    ObjectMark mark;
    mark.fid = kRootFid;
    return adopt(std::move(node), mark, KBFS_DIR, false);
}

}  // namespace lull
