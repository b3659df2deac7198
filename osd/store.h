/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Objects on a backing file system. Everything is a real file or directory, so that the namespace
 * can be read by mounting the device alone (ROOT/…):
 *
 *   CONFIGS/mountdata   what mkfs.lull wrote (text)
 *   CONFIGS/<fsname>-…  MGS registrations (text)
 *   ROOT/               the namespace (MDT)
 *   O/<seq>/<2 hex>/<oid>  objects (OST)
 *   OI/<2 hex>/<fid>    object index: a symlink "ino:generation" for each object in ROOT, TMP or
 *                       PENDING
 *   TMP/<fid>           objects being made; removed by the start-up scan
 *   PENDING/<fid>       unlinked, but open or with stripes left to destroy
 *   CLIENTS/<uuid>      one file per client: reply slots and such as extended attributes (they keep
 *                       the order of steps)
 *   last_rcvd           attributes: instance, last_committed, version, clean record
 *
 * Order of steps (crash contract: backing_fs.h, a prefix survives): an object is made complete in
 * TMP (create, attributes, index) and then renamed to its name, the one step that counts; an unlink
 * of the last name is a rename to PENDING. A missing index entry of a named object is put back when
 * it is looked up. So after a crash the start-up scan (empty TMP) and replays complete everything.
 * Every object carries its FID and the transaction number of its last change (attribute "lma").
 *
 * Thread-safe; steps on one object or one directory at the same time are ordered by the caller's
 * locks. Objects are cached: one Object per FID, and the last few hundred stay in memory for a
 * while. Errors: negative errno, -ESTALE for a FID that is gone.
 */
#pragma once
#include "include/lull/ops_mds.h"
#include "kapi/backing_fs.h"
#include "kapi/sync.h"

namespace lull {

class Store;
struct StoreImpl;

class Object : public RefCounted {
public:
    const Fid& fid() const { return fid_; }
    kbfs_node* node() const { return node_; }
    uint32_t type() const { return type_; }  // S_IFMT bits
    ~Object() override;

private:
    friend class Store;
    friend struct StoreImpl;
    Fid fid_;
    kbfs_node* node_ = nullptr;
    uint32_t type_ = 0;
    StoreImpl* store_ = nullptr;
    SetHook hook_;
    // Under the store's lock:
    uint64_t version_ = 0;  // transno of the last change
    Fid parent_;            // of a directory; of an OST object: its file
    bool pending_ = false;  // its last name is gone
    uint32_t recent_ = 0;   // place in the store's ring of recent objects, from 1
};

struct CreateSpec {
    Fid fid;
    uint32_t mode = 0, uid = 0, gid = 0, rdev = 0;
    uint64_t time_ns = 0, transno = 0;
    Str symlink_target;
    const Layout* layout = nullptr;
};

// An object of an OST as ost_list() finds it.
struct OstObject {
    Fid fid, file;  // file: zero when a crash came before it was noted
    uint64_t bytes = 0;
};
struct OstCursor {
    static constexpr uint32_t kBuckets = 256;
    uint32_t bucket = 0;  // kBuckets: the end
    uint64_t cookie = 0;
};

class Store {
public:
    // Mounts, makes missing directories, empties TMP. -EBUSY: mounted elsewhere; -EINVAL with *why:
    // not formatted by mkfs.lull.
    static Result<Owned<Store>> mount(kapi_net* net, const char* device, Text<200>* why);
    virtual ~Store() = default;  // unmounts; every Object must be gone
    virtual Status sync() = 0;   // everything executed before it is durable
    virtual Status statfs(struct kbfs_statfs* out) = 0;

    // ---- metadata objects
    virtual Result<Ref<Object>> root() = 0;                // made at the first start, FID kRootFid
    virtual Result<Ref<Object>> find(const Fid& fid) = 0;  // -ESTALE
    virtual Result<Ref<Object>> lookup(Object& dir, Str name) = 0;  // -ENOENT
    // -EEXIST, -ENOSPC
    virtual Result<Ref<Object>> create(Object& dir, Str name, const CreateSpec& spec) = 0;
    virtual Status link(Object& object, Object& dir, Str name) = 0;
    // Removes a name. Last name of a non-directory: moves the object to PENDING (find() still
    // works) and *pending = true. A directory: must be empty; it goes for good.
    virtual Status unlink(Object& dir, Str name, Object& object, bool* pending) = 0;
    // rename(2). What was at the target goes like unlink().
    virtual Status rename(Object& from_dir, Str from, Object& to_dir, Str to, Object& moved,
                          Object* replaced, bool* pending) = 0;
    // directory is, or is above, the other
    virtual bool is_ancestor(Object& maybe_ancestor, Object& of) = 0;
    // for good, with its index entry
    virtual Status destroy_pending(const Fid& fid) = 0;
    virtual Status list_pending(Vec<Fid>* out) = 0;
    // Attr of an object; nlink 0 for pending ones. Sets valid.
    virtual Status getattr(Object& object, Attr* out) = 0;
    virtual Status setattr(Object& object, const Attr& attr) = 0;
    // not set: out->is_set() == false
    virtual Status get_layout(Object& object, Layout* out) = 0;
    virtual Status set_layout(Object& object, const Layout& layout) = 0;
    virtual Status set_version(Object& object, uint64_t transno) = 0;
    virtual Result<uint64_t> version(Object& object) = 0;
    virtual Status readlink(Object& object, Text<kSymlinkMax>* out) = 0;
    // Entries after cookie; FIDs read from the objects. *end: nothing more.
    virtual Status readdir(Object& dir, uint64_t cookie, uint32_t max, Vec<DirEntry>* out,
                           bool* end) = 0;

    // ---- OST objects: made by the first write or setattr
    // -ENOENT. file: whose object it becomes.
    virtual Result<Ref<Object>> ost_find(const Fid& fid, bool create, uint32_t uid, uint32_t gid,
                                         const Fid& file = {}) = 0;
    virtual Result<uint32_t> ost_read(Object& object, uint64_t offset, std::span<uint8_t> into) = 0;
    virtual Status ost_write(Object& object, uint64_t offset, std::span<const uint8_t> from) = 0;
    // Writing there again takes no space.
    virtual Result<bool> ost_is_written(Object& object, uint64_t offset, size_t bytes) = 0;
    virtual Status ost_truncate(Object& object, uint64_t size) = 0;
    // a missing one is destroyed already
    virtual Status ost_destroy(const Fid& fid) = 0;
    // At most max objects of the sequence with serials in [from, to), after the cursor; perhaps
    // none though there are more.
    virtual Status ost_list(uint64_t seq, uint64_t from, uint64_t to, size_t max, OstCursor* cursor,
                            Vec<OstObject>* out) = 0;

    // ---- records: named blobs of at most 3000 bytes on a named file of a directory (kept as
    // attributes, ordered)
    enum class Area { kClients, kServer };  // CLIENTS/<file>, ./last_rcvd (file ignored)
    // -ENODATA, -ENOENT
    virtual Result<Bytes> get_record(Area area, Str file, const char* record) = 0;
    // makes the file
    virtual Status put_record(Area area, Str file, const char* record,
                              std::span<const uint8_t> value) = 0;
    virtual Status remove_record(Area area, Str file, const char* record) = 0;
    virtual Status remove_client(Str file) = 0;
    virtual Status list_clients(Vec<UuidText>* out) = 0;
    // Whole small files under CONFIGS/ (text; written to a temporary name and renamed, synced).
    virtual Result<Bytes> read_config(Str name) = 0;
    virtual Status write_config(Str name, std::span<const uint8_t> data) = 0;
    virtual Status list_configs(Vec<NameText>* out) = 0;
    virtual Status remove_config(Str name) = 0;  // synced; a missing one is removed already
};

}  // namespace lull
