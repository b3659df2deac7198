// SPDX-License-Identifier: GPL-2.0-only
/*
 * The store's inside. The lock (rank Osd) guards the table of objects and what store.h says of an
 * Object; no call into the backing file system is made under it, except kbfs_put of nothing:
 * references are dropped after it was released.
 */
#pragma once
#include "osd/fid_name.h"
#include "osd/node_ref.h"
#include "osd/store.h"

namespace lull {

inline constexpr uint32_t kTypeMask = 0170000;

// Attribute "lma" of every object.
struct ObjectMark {
    static constexpr uint32_t kFormat = 1;
    uint32_t format = kFormat;
    Fid fid;
    uint64_t transno = 0;
    // of a directory: where it is, so that ancestors are found from any object; of an OST object:
    // the file
    Fid parent;
    template <class Io> void io(Io& x)
    {
        x.u32(format);
        x.u64(fid.seq);
        x.u32(fid.oid);
        x.u32(fid.ver);
        x.u64(transno);
        x.u64(parent.seq);
        x.u32(parent.oid);
        x.u32(parent.ver);
    }
};

struct StoreImpl final : Store {
    StoreImpl();
    ~StoreImpl() override;

    Status sync() override { return Status(kbfs_sync(fs)); }
    Status statfs(struct kbfs_statfs* out) override { return Status(kbfs_statfs(fs, out)); }

    Result<Ref<Object>> root() override;
    Result<Ref<Object>> find(const Fid& fid) override;
    Result<Ref<Object>> lookup(Object& dir, Str name) override;
    Result<Ref<Object>> create(Object& dir, Str name, const CreateSpec& spec) override;
    Status link(Object& object, Object& dir, Str name) override;
    Status unlink(Object& dir, Str name, Object& object, bool* pending) override;
    Status rename(Object& from_dir, Str from, Object& to_dir, Str to, Object& moved,
                  Object* replaced, bool* pending) override;
    bool is_ancestor(Object& maybe_ancestor, Object& of) override;
    Status destroy_pending(const Fid& fid) override;
    Status list_pending(Vec<Fid>* out) override;
    Status getattr(Object& object, Attr* out) override;
    Status setattr(Object& object, const Attr& attr) override;
    Status get_layout(Object& object, Layout* out) override;
    Status set_layout(Object& object, const Layout& layout) override;
    Status set_version(Object& object, uint64_t transno) override;
    Result<uint64_t> version(Object& object) override;
    Status readlink(Object& object, Text<kSymlinkMax>* out) override;
    Status readdir(Object& dir, uint64_t cookie, uint32_t max, Vec<DirEntry>* out,
                   bool* end) override;

    Result<Ref<Object>> ost_find(const Fid& fid, bool create, uint32_t uid, uint32_t gid,
                                 const Fid& file) override;
    Result<uint32_t> ost_read(Object& object, uint64_t offset, std::span<uint8_t> into) override;
    Status ost_write(Object& object, uint64_t offset, std::span<const uint8_t> from) override;
    Result<bool> ost_is_written(Object& object, uint64_t offset, size_t bytes) override;
    Status ost_truncate(Object& object, uint64_t size) override;
    Status ost_destroy(const Fid& fid) override;
    Status ost_list(uint64_t seq, uint64_t from, uint64_t to, size_t max, OstCursor* cursor,
                    Vec<OstObject>* out) override;

    Result<Bytes> get_record(Area area, Str file, const char* record) override;
    Status put_record(Area area, Str file, const char* record,
                      std::span<const uint8_t> value) override;
    Status remove_record(Area area, Str file, const char* record) override;
    Status remove_client(Str file) override;
    Status list_clients(Vec<UuidText>* out) override;
    Result<Bytes> read_config(Str name) override;
    Status write_config(Str name, std::span<const uint8_t> data) override;
    Status list_configs(Vec<NameText>* out) override;
    Status remove_config(Str name) override;

    // ---- start (mount.cc)
    Status open_directories(Text<200>* why);
    Status empty_tmp();
    Status settle_pending();

    // ---- objects in memory (objects.cc)
    Ref<Object> cached(const Fid& fid);
    // The object for a node whose mark is known; an object in memory wins over the node.
    Result<Ref<Object>> adopt(NodeRef node, const ObjectMark& mark, uint32_t type, bool pending);
    // reads type and mark; -ESTALE: another FID
    Result<Ref<Object>> load(NodeRef node, const Fid* expected, bool pending);
    void forget(const Fid& fid);    // destroyed: nobody finds it any more
    void remember(Object& object);  // keeps it in memory for a while
    void unlist(Object& object);    // from its destructor

    // ---- object index (index.cc)
    Status index_put(const Fid& fid, kbfs_node* node);
    Status index_remove(const Fid& fid);
    Status index_open(const Fid& fid, NodeRef* out);  // -ENOENT, -ESTALE: points at nothing
    Result<Ref<Object>> find_indexed(const Fid& fid);

    // ---- steps (names.cc)
    Status make_in_tmp(const CreateSpec& spec, const FidName& name, const Fid& parent,
                       NodeRef* out);
    Status create_node(const CreateSpec& spec, const FidName& name, NodeRef* out);
    void undo_create(const Fid& fid, const FidName& name);
    Status remove_directory(Object& dir, Str name, Object& object);

    // ---- attributes (attributes.cc)
    Status read_mark(kbfs_node* node, ObjectMark* out);  // -ENODATA: none
    Status write_mark(kbfs_node* node, const ObjectMark& mark);
    Status write_mark(Object& object);  // what is in memory

    Status ost_directory(const Fid& fid, bool create, NodeRef* out);
    Result<Ref<Object>> ost_open(const Fid& fid, bool create, uint32_t uid, uint32_t gid,
                                 const Fid& file);
    Status describe(OstObject* object);
    Status record_node(Area area, Str file, bool create, NodeRef* out);

    struct ByFid {
        bool operator()(const Object& a, const Object& b) const { return a.fid() < b.fid(); }
        bool operator()(const Fid& a, const Object& b) const { return a < b.fid(); }
        bool operator()(const Object& a, const Fid& b) const { return a.fid() < b; }
    };
    using Objects =
        bi::set<Object, bi::member_hook<Object, SetHook, &Object::hook_>, bi::compare<ByFid>>;
    static constexpr size_t kRecentObjects = 512;
    struct Cache {
        Objects objects;
        Ref<Object> recent[kRecentObjects];
        size_t next_recent = 0;
    };

    kbfs* fs = nullptr;
    NodeRef top, configs, oi, tmp, pending, clients, ost, server_file;
    Guarded<Cache> cache{LockRank::kOsd};

    // Reads and writes an Object's private part for the pieces above.
    static void set(Object& o, const ObjectMark& mark, uint32_t type, NodeRef node,
                    StoreImpl* store, bool pending);
};

// mkdir that does not mind finding the directory.
Status make_directory(kbfs_node* parent, Str name, NodeRef* out);
bool valid_name(Str name);  // of one path component

}  // namespace lull
