// SPDX-License-Identifier: GPL-2.0-only
// kapi/backing_fs.h on a simulated disk.
#include <algorithm>
#include <cstring>

#include "kapi/errno.h"
#include "kapi/sim/task.h"
#include "osd/sim/kbfs_types.h"

using namespace lull::sim;

namespace {

constexpr uint64_t kMaxFileBytes = 16ull << 40;
constexpr uint32_t kMaxLinks = 65000;
constexpr size_t kMaxXattrValueBytes = 3000;
constexpr size_t kMaxXattrsBytes = 4096;
constexpr uint32_t kTypeMask = 0170000;

Inode& inode_of(kbfs_node* n)
{
    Inode* i = n->fs->live().find(n->ino);
    if (!i || i->generation != n->generation) n->fs->disk->world().fail("a node without its inode");
    return *i;
}

// Linux holds the directory's lock around the callback: what needs it again would hang there.
void not_within_iterate(Disk& disk)
{
    if (disk.world().current().in_iterate)
        disk.world().fail("a namespace call inside the callback of kbfs_iterate()");
}

int check_name(const char* name, size_t len)
{
    if (len == 0) return -kENOENT;
    if (len > KBFS_NAME_MAX) return -kENAMETOOLONG;
    if (len <= 2 && memcmp(name, "..", len) == 0) return -kEACCES;
    return memchr(name, '/', len) || memchr(name, 0, len) ? -kEACCES : 0;
}

int check_entry(kbfs_node* dir, const char* name, size_t len)
{
    not_within_iterate(*dir->fs->disk);
    Inode& d = inode_of(dir);
    if (!d.is_dir()) return -kENOTDIR;
    return check_name(name, len);
}

int get_node(kbfs* fs, Inode& i, kbfs_node** out)
{
    if (fs->host->allocation_fails()) return -kENOMEM;
    std::unique_ptr<kbfs_node>& slot = fs->nodes[i.ino];
    if (!slot) slot.reset(new kbfs_node{fs, i.ino, i.generation, 0});
    slot->refs++;
    *out = slot.get();
    return 0;
}

Dirent* find_entry(Inode& dir, const std::string& name)
{
    auto it = dir.entries.find(name);
    return it == dir.entries.end() ? nullptr : &it->second;
}

void forget_if_unused(Disk& disk, kbfs* fs, uint64_t ino)
{
    if (!fs->nodes.count(ino)) disk.release_if_orphan(*fs, ino);
}

int create(kbfs_node* dir, std::string name, uint32_t mode, uint32_t rdev, const char* target,
           kbfs_node** out)
{
    Disk& disk = *dir->fs->disk;
    if (int rc = disk.before_step(*dir->fs, true)) return rc;
    Inode& d = inode_of(dir);
    if (d.nlink == 0) return -kENOENT;
    if (find_entry(d, name)) return -kEEXIST;
    if ((mode & kTypeMask) == KBFS_DIR && d.nlink >= kMaxLinks) return -kEMLINK;
    if (disk.would_exceed(0) || !disk.has_inodes()) return -kENOSPC;
    if (dir->fs->host->allocation_fails()) return -kENOMEM;
    Op op(Op::kCreate);
    op.ino = dir->fs->live().lowest_free_ino();
    op.generation = disk.new_generation();
    op.dir = dir->ino;
    op.name = std::move(name);
    op.mode = mode;
    op.rdev = rdev;
    if (target) op.to_name = target;
    uint64_t ino = op.ino;
    // The reference first: it cannot fail after the step.
    auto* node = new kbfs_node{dir->fs, ino, op.generation, 1};
    dir->fs->nodes[ino].reset(node);
    *out = node;
    disk.step(*dir->fs, std::move(op));
    return 0;
}

bool is_ancestor(FsState& fs, uint64_t maybe_ancestor, uint64_t dir)
{
    while (true) {
        if (dir == maybe_ancestor) return true;
        if (dir == kRootIno) return false;
        dir = fs.find(dir)->parent;
    }
}

int check_rename(FsState& fs, Inode& from, const std::string& name, Inode& to,
                 const std::string& to_name)
{
    Dirent* moved = find_entry(from, name);
    if (!moved || to.nlink == 0) return -kENOENT;
    Inode& n = *fs.find(moved->ino);
    if (n.is_dir() && is_ancestor(fs, n.ino, to.ino)) return -kEINVAL;
    Dirent* replaced = find_entry(to, to_name);
    if (!replaced) return 0;
    Inode& old = *fs.find(replaced->ino);
    if (old.ino != n.ino && old.is_dir() && is_ancestor(fs, old.ino, from.ino)) return -kENOTEMPTY;
    if (n.is_dir() && !old.is_dir()) return -kENOTDIR;
    if (!n.is_dir() && old.is_dir()) return -kEISDIR;
    return old.ino != n.ino && old.is_dir() && !old.entries.empty() ? -kENOTEMPTY : 0;
}

size_t xattr_bytes(const Inode& i, const std::string& without)
{
    size_t bytes = 0;
    for (auto& [name, value] : i.xattrs)
        if (name != without) bytes += name.size() + value.size() + 16;
    return bytes;
}

void point(kbfs_node* n) { n->fs->disk->world().point(); }

}  // namespace

extern "C" {

int kbfs_mount(kapi_net* net, const char* device, bool read_only, kbfs** out)
{
    auto* disk = static_cast<Disk*>(net->host->device(device));
    return disk ? disk->mount(*net->host, read_only, out) : -kENOENT;
}

void kbfs_unmount(kbfs* fs) { fs->disk->unmount(fs); }
int kbfs_sync(kbfs* fs) { return fs->disk->sync(*fs); }

int kbfs_statfs(kbfs* fs, struct kbfs_statfs* out)
{
    fs->disk->world().point();
    fs->disk->statfs(out);
    return 0;
}

int kbfs_root(kbfs* fs, kbfs_node** out) { return get_node(fs, *fs->live().find(kRootIno), out); }

kbfs_node* kbfs_get(kbfs_node* n)
{
    n->refs++;
    return n;
}

void kbfs_put(kbfs_node* n)
{
    if (!n || --n->refs) return;
    kbfs* fs = n->fs;
    uint64_t ino = n->ino;
    fs->nodes.erase(ino);
    fs->disk->release_if_orphan(*fs, ino);
}

int kbfs_open_handle(kbfs* fs, uint64_t ino, uint32_t generation, kbfs_node** out)
{
    fs->disk->world().point();
    Inode* i = fs->live().find(ino);
    if (!i || i->generation != generation) return -kESTALE;
    return get_node(fs, *i, out);
}

int kbfs_lookup(kbfs_node* dir, const char* name, size_t len, kbfs_node** out)
{
    point(dir);
    if (int rc = check_entry(dir, name, len)) return rc;
    Dirent* e = find_entry(inode_of(dir), std::string(name, len));
    return e ? get_node(dir->fs, *dir->fs->live().find(e->ino), out) : -kENOENT;
}

int kbfs_create(kbfs_node* dir, const char* name, size_t len, uint32_t mode, uint32_t rdev,
                kbfs_node** out)
{
    if (int rc = check_entry(dir, name, len)) return rc;
    if ((mode & kTypeMask) == KBFS_SYMLINK || (mode & kTypeMask) == 0) return -kEINVAL;
    return create(dir, std::string(name, len), mode, rdev, nullptr, out);
}

int kbfs_symlink(kbfs_node* dir, const char* name, size_t len, const char* target, kbfs_node** out)
{
    if (int rc = check_entry(dir, name, len)) return rc;
    if (!*target) return -kENOENT;
    if (strlen(target) >= kFsBlockBytes) return -kENAMETOOLONG;
    return create(dir, std::string(name, len), KBFS_SYMLINK | 0777, 0, target, out);
}

int kbfs_readlink(kbfs_node* n, char* out, size_t bytes)
{
    point(n);
    Inode& i = inode_of(n);
    if (!i.is_symlink()) return -kEINVAL;
    size_t len = std::min(bytes, i.target.size());
    memcpy(out, i.target.data(), len);
    return static_cast<int>(len);
}

int kbfs_link(kbfs_node* n, kbfs_node* dir, const char* name, size_t len)
{
    if (int rc = check_entry(dir, name, len)) return rc;
    Disk& disk = *n->fs->disk;
    if (int rc = disk.before_step(*n->fs, true)) return rc;
    Inode &i = inode_of(n), &d = inode_of(dir);
    if (i.is_dir()) return -kEPERM;
    if (i.nlink == 0 || d.nlink == 0) return -kENOENT;
    if (i.nlink >= kMaxLinks) return -kEMLINK;
    Op op(Op::kLink);
    op.ino = n->ino;
    op.dir = dir->ino;
    op.name.assign(name, len);
    if (find_entry(d, op.name)) return -kEEXIST;
    disk.step(*n->fs, std::move(op));
    return 0;
}

static int remove_entry(kbfs_node* dir, const char* name, size_t len, bool want_dir)
{
    if (int rc = check_entry(dir, name, len)) return rc;
    Disk& disk = *dir->fs->disk;
    if (int rc = disk.before_step(*dir->fs, false)) return rc;
    Op op(Op::kUnlink);
    op.name.assign(name, len);
    op.dir = dir->ino;
    Dirent* e = find_entry(inode_of(dir), op.name);
    if (!e) return -kENOENT;
    Inode& i = *dir->fs->live().find(e->ino);
    if (i.is_dir() != want_dir) return want_dir ? -kENOTDIR : -kEISDIR;
    if (want_dir && !i.entries.empty()) return -kENOTEMPTY;
    op.ino = i.ino;
    uint64_t ino = i.ino;
    disk.step(*dir->fs, std::move(op));
    forget_if_unused(disk, dir->fs, ino);
    return 0;
}

int kbfs_unlink(kbfs_node* dir, const char* name, size_t len)
{
    return remove_entry(dir, name, len, false);
}
int kbfs_rmdir(kbfs_node* dir, const char* name, size_t len)
{
    return remove_entry(dir, name, len, true);
}

int kbfs_rename(kbfs_node* from_dir, const char* from, size_t from_len, kbfs_node* to_dir,
                const char* to, size_t to_len)
{
    if (int rc = check_entry(from_dir, from, from_len)) return rc;
    if (int rc = check_entry(to_dir, to, to_len)) return rc;
    Disk& disk = *from_dir->fs->disk;
    if (int rc = disk.before_step(*from_dir->fs, true)) return rc;
    Op op(Op::kRename);
    op.dir = from_dir->ino;
    op.to_dir = to_dir->ino;
    op.name.assign(from, from_len);
    op.to_name.assign(to, to_len);
    Inode &f = inode_of(from_dir), &t = inode_of(to_dir);
    if (int rc = check_rename(from_dir->fs->live(), f, op.name, t, op.to_name)) return rc;
    Dirent* replaced = find_entry(t, op.to_name);
    uint64_t old = replaced ? replaced->ino : 0;
    op.ino = find_entry(f, op.name)->ino;
    if (op.ino == old) return 0;
    disk.step(*from_dir->fs, std::move(op));
    if (old) forget_if_unused(disk, to_dir->fs, old);
    return 0;
}

int kbfs_getattr(kbfs_node* n, kbfs_attr* out)
{
    point(n);
    Inode& i = inode_of(n);
    *out = {};
    out->ino = i.ino;
    out->generation = i.generation;
    out->mode = i.mode;
    out->uid = i.uid;
    out->gid = i.gid;
    out->nlink = i.nlink;
    out->rdev = i.rdev;
    out->size = i.size;
    out->blocks_512 = i.blocks.size() * (kFsBlockBytes / 512);
    out->atime_ns = i.atime_ns;
    out->mtime_ns = i.mtime_ns;
    out->ctime_ns = i.ctime_ns;
    return 0;
}

int kbfs_setattr(kbfs_node* n, const kbfs_attr* attr, uint32_t valid)
{
    Disk& disk = *n->fs->disk;
    if (int rc = disk.before_step(*n->fs, false)) return rc;
    Inode& i = inode_of(n);
    if (valid & KBFS_SIZE) {
        if (i.is_dir()) return -kEISDIR;
        if (!i.is_file()) return -kEINVAL;
        if (attr->size > kMaxFileBytes) return -kEFBIG;
    }
    Op op(Op::kSetattr);
    op.ino = n->ino;
    op.valid = valid;
    op.mode = attr->mode;
    op.uid = attr->uid;
    op.gid = attr->gid;
    op.size = attr->size;
    op.atime_ns = attr->atime_ns;
    op.mtime_ns = attr->mtime_ns;
    disk.step(*n->fs, std::move(op));
    return 0;
}

int64_t kbfs_read(kbfs_node* n, uint64_t offset, void* buf, size_t bytes)
{
    point(n);
    Inode& i = inode_of(n);
    if (!i.is_file()) return i.is_dir() ? -kEISDIR : -kEINVAL;
    if (offset >= i.size) return 0;
    bytes = std::min<uint64_t>(bytes, i.size - offset);
    for (size_t done = 0; done < bytes;) {
        uint64_t at = offset + done;
        size_t within = at % kFsBlockBytes;
        size_t part = std::min<size_t>(kFsBlockBytes - within, bytes - done);
        char* to = static_cast<char*>(buf) + done;
        auto block = i.blocks.find(at / kFsBlockBytes);
        if (block == i.blocks.end()) memset(to, 0, part);
        else memcpy(to, block->second->data() + within, part);
        done += part;
    }
    return static_cast<int64_t>(bytes);
}

namespace {

// Blocks of [offset, offset + bytes) that are not there yet.
uint64_t new_blocks(const Inode& i, uint64_t offset, size_t bytes)
{
    uint64_t missing = 0, end = (offset + bytes + kFsBlockBytes - 1) / kFsBlockBytes;
    for (uint64_t b = offset / kFsBlockBytes; b < end; b++) missing += !i.blocks.count(b);
    return missing;
}

}  // namespace

int kbfs_is_written(kbfs_node* n, uint64_t offset, size_t bytes)
{
    point(n);
    Inode& i = inode_of(n);
    if (!i.is_file()) return i.is_dir() ? -kEISDIR : -kEINVAL;
    return offset + bytes <= i.size && !new_blocks(i, offset, bytes);
}

int kbfs_write(kbfs_node* n, uint64_t offset, const void* buf, size_t bytes)
{
    Disk& disk = *n->fs->disk;
    int rc = disk.before_step(*n->fs, false);
    if (rc == -kEROFS) return rc;
    Inode& i = inode_of(n);
    if (!i.is_file()) return i.is_dir() ? -kEISDIR : -kEINVAL;
    if (offset > kMaxFileBytes || bytes > kMaxFileBytes - offset) return -kEFBIG;
    if (bytes == 0) return rc;
    uint64_t more = new_blocks(i, offset, bytes);
    if (!rc && more && disk.would_exceed(more * kFsBlockBytes)) rc = -kENOSPC;
    if (rc) bytes = disk.part_before_error(offset, bytes);
    if (bytes == 0) return rc;
    Op op(Op::kWrite);
    op.ino = n->ino;
    op.offset = offset;
    op.data.assign(static_cast<const char*>(buf), bytes);
    disk.step(*n->fs, std::move(op));
    return rc;
}

int kbfs_getxattr(kbfs_node* n, const char* name, void* value, size_t bytes)
{
    point(n);
    Inode& i = inode_of(n);
    auto it = i.xattrs.find(name);
    if (it == i.xattrs.end()) return -kENODATA;
    if (bytes == 0) return static_cast<int>(it->second.size());
    if (bytes < it->second.size()) return -kERANGE;
    memcpy(value, it->second.data(), it->second.size());
    return static_cast<int>(it->second.size());
}

int kbfs_setxattr(kbfs_node* n, const char* name, const void* value, size_t bytes)
{
    Disk& disk = *n->fs->disk;
    if (int rc = disk.before_step(*n->fs, true)) return rc;
    if (bytes > kMaxXattrValueBytes) return -kENOSPC;
    if (xattr_bytes(inode_of(n), name) + strlen(name) + bytes + 16 > kMaxXattrsBytes)
        return -kENOSPC;
    Op op(Op::kSetxattr);
    op.ino = n->ino;
    op.name = name;
    op.data.assign(static_cast<const char*>(value), bytes);
    disk.step(*n->fs, std::move(op));
    return 0;
}

int kbfs_removexattr(kbfs_node* n, const char* name)
{
    Disk& disk = *n->fs->disk;
    if (int rc = disk.before_step(*n->fs, false)) return rc;
    if (!inode_of(n).xattrs.count(name)) return -kENODATA;
    Op op(Op::kRemovexattr);
    op.ino = n->ino;
    op.name = name;
    disk.step(*n->fs, std::move(op));
    return 0;
}

int kbfs_iterate(kbfs_node* dir, uint64_t cookie, kbfs_emit emit, void* arg)
{
    point(dir);
    Disk& disk = *dir->fs->disk;
    not_within_iterate(disk);
    if (!inode_of(dir).is_dir()) return -kENOTDIR;
    Task& self = disk.world().current();
    while (true) {
        // Found anew each time: emit may wait, and others change the directory.
        Inode& d = inode_of(dir);
        auto it = d.by_cookie.upper_bound(cookie);
        if (it == d.by_cookie.end()) return 0;
        cookie = it->first;
        std::string name = it->second;
        uint64_t ino = d.entries.at(name).ino;
        uint32_t type = dir->fs->live().find(ino)->mode & kTypeMask;
        self.in_iterate = true;
        bool more = emit(arg, name.data(), name.size(), ino, type, cookie);
        self.in_iterate = false;
        if (!more) return 0;
    }
}

}  // extern "C"
