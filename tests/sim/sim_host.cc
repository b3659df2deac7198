// SPDX-License-Identifier: GPL-2.0-only
// Mount, inodes, names.
#include "tests/sim/sim_host.h"

#include <algorithm>
#include <cstring>

#include "kapi/errno.h"
#include "kapi/sim/task.h"

namespace lull::sim {

namespace {
constexpr unsigned kTypeMask = 0170000, kDir = 0040000, kFile = 0100000, kLink = 0120000;
constexpr int kLoopsMax = 8;
}  // namespace

void SimLock::lock()
{
    world().point();
    while (held_) world().block(waiters_, BlockInfo{"host lock"});
    held_ = true;
}

void SimLock::unlock()
{
    held_ = false;
    world().wake_all(waiters_);
    world().point();
}

int SimMount::mount(const std::string& source, const std::string& options, std::string* why)
{
    char text[256] = "";
    int err = llc_mount_create(node_, source.c_str(), options.c_str(), &core_, text, sizeof text);
    if (why) *why = text;
    if (err) return core_ = nullptr, err;
    llc_inode* root;
    llc_attr attr;
    err = llc_root(core_, &root, &attr);
    if (err) {
        llc_mount_destroy(core_);
        core_ = nullptr;
        return err;
    }
    root_ = iget(root, attr);
    return 0;
}

void SimMount::umount(bool force)
{
    if (force) llc_mount_force(core_);
    for (Inode* i : in_order()) (void)flush(*i, 0, UINT64_MAX);
    llc_mount_leave_host(core_);
    // The VFS calls what is still held now "busy inodes after unmount" and goes down sooner or
    // later.
    for (Inode* i : in_order())
        if (i->refs) world().fail("an inode is in use after the mount's callbacks have ended");
    root_ = nullptr;
    for (Inode* i : in_order()) evict(i);
    llc_mount_destroy(core_);
    core_ = nullptr;
}

void SimMount::drop_caches()
{
    std::vector<Inode*> all = in_order();
    for (Inode* i : all) {
        (void)flush(*i, 0, UINT64_MAX);
        i->dentries.clear();
    }
    for (Inode* i : all)
        if (i != root_ && !i->opens) evict(i);
}

// ---- inodes

// Not by address: the same seed must do the same.
std::vector<llp_inode*> SimMount::in_order() const
{
    std::vector<Inode*> all;
    for (auto& [core, i] : inodes_) all.push_back(i.get());
    std::sort(all.begin(), all.end(), [](Inode* a, Inode* b) { return a->number < b->number; });
    return all;
}

llp_inode* SimMount::iget(llc_inode* core, const llc_attr& attr)
{
    auto it = inodes_.find(core);
    if (it != inodes_.end()) {
        llc_inode_put(core);
        return it->second.get();
    }
    auto fresh = std::make_unique<Inode>();
    fresh->mount = this;
    fresh->core = core;
    fresh->number = next_number_++;
    fresh->mode = attr.mode;
    fresh->size = attr.size;
    Inode* i = fresh.get();
    inodes_[core] = std::move(fresh);
    llc_inode_bind(core, i);
    return i;
}

void SimMount::unuse(Inode* i)
{
    if (!i->unlinked || i->opens) return;
    // What another client may still read is written first; with reclaim, some day, the inode goes.
    bool dirty = false;
    for (auto& [index, p] : i->pages) dirty |= p->dirty || p->lock.held();
    if (i->unused || !dirty) evict(i);
}

void SimMount::evict(Inode* i)
{
    i->freeing = true;
    for (auto& [core, dir] : inodes_)
        std::erase_if(dir->dentries, [i](auto& d) { return d.second.inode == i; });
    drop(*i, 0, UINT64_MAX, true);
    llc_inode_bind(i->core, nullptr);
    while (i->refs) kapi_sleep_ns(100000);
    llc_inode* core = i->core;
    inodes_.erase(core);
    llc_inode_put(core);
}

uint64_t SimMount::dirty_pages() const
{
    uint64_t n = 0;
    for (auto& [core, i] : inodes_)
        for (auto& [index, p] : i->pages) n += p->dirty;
    return n;
}

uint64_t SimMount::cached_pages() const
{
    uint64_t n = 0;
    for (auto& [core, i] : inodes_) n += i->pages.size();
    return n;
}

// ---- names

int SimMount::step(Inode* dir, const std::string& name, Inode** out)
{
    if ((dir->mode & kTypeMask) != kDir) return -kENOTDIR;
    uint64_t epoch;
    if (int err = llc_dir_epoch(dir->core, true, &epoch)) return err;
    auto it = dir->dentries.find(name);
    if (it != dir->dentries.end() && epoch && it->second.epoch == epoch) {
        *out = it->second.inode;
        return *out ? 0 : -kENOENT;
    }
    SimLockGuard lock(dir->lock);
    llc_inode* core;
    llc_attr attr;
    int err = llc_lookup(dir->core, name.data(), name.size(), &core, &attr, &epoch);
    if (err && err != -kENOENT) return err;
    *out = err ? nullptr : iget(core, attr);
    dir->dentries[name] = {*out, epoch};
    return err;
}

int SimMount::walk(const std::string& path, Inode** out, bool follow, int depth)
{
    if (depth > kLoopsMax) return -kELOOP;
    Inode* at = root_;
    for (size_t pos = 0; pos < path.size();) {
        size_t slash = std::min(path.find('/', pos), path.size());
        std::string name = path.substr(pos, slash - pos);
        pos = slash + 1;
        if (name.empty()) continue;
        Inode* next;
        if (int err = step(at, name, &next)) return err;
        bool last = pos >= path.size();
        if ((next->mode & kTypeMask) == kLink && (!last || follow)) {
            char target[4096];
            int n = llc_readlink(next->core, target, sizeof target);
            if (n < 0) return n;
            std::string rest = last ? "" : "/" + path.substr(pos);
            std::string base =
                target[0] == '/' ? "" : path.substr(0, path.rfind(name, pos - 2)) + "/";
            return walk(base + std::string(target, n) + rest, out, follow, depth + 1);
        }
        at = next;
    }
    *out = at;
    return 0;
}

int SimMount::parent(const std::string& path, Inode** dir, std::string* name)
{
    size_t slash = path.rfind('/');
    *name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (name->empty()) return -kEINVAL;
    return walk(slash == std::string::npos ? "" : path.substr(0, slash), dir);
}

int SimMount::create(const std::string& path, const struct llc_create& how)
{
    Inode *dir, *known;
    std::string name;
    if (int err = parent(path, &dir, &name)) return err;
    if (int err = step(dir, name, &known); err != -kENOENT) return err ? err : -kEEXIST;
    SimLockGuard lock(dir->lock);
    llc_inode* core;
    llc_attr attr;
    uint64_t epoch = 0;
    int err = llc_create(dir->core, name.data(), name.size(), &how, &core, &attr, &epoch);
    if (err) {
        dir->dentries.erase(name);
        return err;
    }
    dir->dentries[name] = {iget(core, attr), epoch};
    return 0;
}

int SimMount::mkdir(const std::string& path, unsigned mode)
{
    struct llc_create how = {};
    how.mode = mode | kDir;
    return create(path, how);
}

int SimMount::mknod(const std::string& path, unsigned mode, unsigned rdev)
{
    struct llc_create how = {};
    how.mode = mode;
    how.rdev = rdev;
    return create(path, how);
}

int SimMount::symlink(const std::string& target, const std::string& path)
{
    struct llc_create how = {};
    how.mode = kLink | 0777;
    how.symlink_target = target.c_str();
    return create(path, how);
}

int SimMount::readlink(const std::string& path, std::string* out)
{
    Inode* i;
    if (int err = walk(path, &i, false)) return err;
    char target[4096];
    int n = llc_readlink(i->core, target, sizeof target);
    if (n < 0) return n;
    out->assign(target, n);
    return 0;
}

int SimMount::remove(const std::string& path, bool rmdir)
{
    Inode *dir, *victim;
    std::string name;
    if (int err = parent(path, &dir, &name)) return err;
    if (int err = step(dir, name, &victim)) return err;
    {
        SimLockGuard lock(dir->lock);
        if (int err = llc_unlink(dir->core, name.data(), name.size(), rmdir, victim->core))
            return err;
        if (auto it = dir->dentries.find(name); it != dir->dentries.end())
            it->second.inode = nullptr;
    }
    llc_attr attr;
    llc_cached_attr(victim->core, &attr);
    if (rmdir || attr.nlink == 0) {
        victim->unlinked = true;
        victim->unused = rmdir || attr.unused;
        unuse(victim);
    }
    return 0;
}

int SimMount::rename(const std::string& from, const std::string& to, bool no_replace)
{
    Inode *from_dir, *to_dir, *moved, *replaced = nullptr;
    std::string from_name, to_name;
    if (int err = parent(from, &from_dir, &from_name)) return err;
    if (int err = parent(to, &to_dir, &to_name)) return err;
    if (int err = step(from_dir, from_name, &moved)) return err;
    if (int err = step(to_dir, to_name, &replaced); err && err != -kENOENT) return err;
    bool two = from_dir != to_dir;
    Inode* first = two && llc_inode_number(to_dir->core) < llc_inode_number(from_dir->core)
                       ? to_dir
                       : from_dir;
    Inode* second = first == from_dir ? to_dir : from_dir;
    first->lock.lock();
    if (two) second->lock.lock();
    uint64_t epoch = 0;
    int err = llc_dir_epoch(to_dir->core, false, &epoch);
    if (!err)
        err = llc_rename(from_dir->core, from_name.data(), from_name.size(), to_dir->core,
                         to_name.data(), to_name.size(), no_replace, moved->core,
                         replaced ? replaced->core : nullptr);
    if (!err) {  // else what is known of both names stays, as in the VFS
        from_dir->dentries.erase(from_name);
        to_dir->dentries.erase(to_name);
        if (moved != replaced) to_dir->dentries[to_name] = {moved, epoch};
    }
    if (two) second->lock.unlock();
    first->lock.unlock();
    if (err || !replaced || replaced == moved) return err;
    llc_attr attr;
    llc_cached_attr(replaced->core, &attr);
    if ((replaced->mode & kTypeMask) == kDir || attr.nlink == 0) {
        replaced->unlinked = true;
        replaced->unused = attr.nlink != 0 || attr.unused;
        unuse(replaced);
    }
    return 0;
}

int SimMount::link(const std::string& from, const std::string& to)
{
    Inode *i, *dir, *known;
    std::string name;
    if (int err = walk(from, &i, false)) return err;
    if (int err = parent(to, &dir, &name)) return err;
    if (int err = step(dir, name, &known); err != -kENOENT) return err ? err : -kEEXIST;
    SimLockGuard lock(dir->lock);
    uint64_t epoch = 0;
    (void)llc_dir_epoch(dir->core, false, &epoch);
    llc_attr attr;
    int err = llc_link(i->core, dir->core, name.data(), name.size(), &attr);
    if (err) dir->dentries.erase(name);
    else dir->dentries[name] = {i, epoch};
    return err;
}

int SimMount::stat(const std::string& path, llc_attr* out, bool follow)
{
    Inode* i;
    if (int err = walk(path, &i, follow)) return err;
    return llc_revalidate(i->core, true, out);
}

int SimMount::setattr(Inode* i, const llc_attr& to, uint32_t valid)
{
    SimLockGuard lock(i->lock);
    llc_attr now;
    return llc_setattr(i->core, &to, valid, &now);
}

int SimMount::chmod(const std::string& path, unsigned mode)
{
    Inode* i;
    if (int err = walk(path, &i)) return err;
    llc_attr to = {};
    to.mode = (i->mode & kTypeMask) | mode;
    return setattr(i, to, LLC_MODE);
}

int SimMount::utimes(const std::string& path, uint64_t atime_ns, uint64_t mtime_ns)
{
    Inode* i;
    if (int err = walk(path, &i)) return err;
    llc_attr to = {};
    to.atime_ns = atime_ns;
    to.mtime_ns = mtime_ns;
    return setattr(i, to, LLC_ATIME | LLC_MTIME);
}

int SimMount::truncate(const std::string& path, uint64_t size)
{
    Inode* i;
    if (int err = walk(path, &i)) return err;
    llc_attr to = {};
    to.size = size;
    to.mtime_ns = kapi_realtime_ns();
    return setattr(i, to, LLC_SIZE | LLC_MTIME);
}

int SimMount::readdir(const std::string& path, std::vector<std::string>* out)
{
    Inode* i;
    if (int err = walk(path, &i)) return err;
    out->clear();
    auto emit = [](void* arg, const char* name, size_t len, uint64_t, uint32_t, uint64_t) {
        static_cast<std::vector<std::string>*>(arg)->emplace_back(name, len);
        return true;
    };
    int err = llc_readdir(i->core, 0, emit, out);
    std::sort(out->begin(), out->end());
    return err;
}

int SimMount::statfs(struct llc_statfs* out) { return llc_statfs(core_, out); }

int SimMount::sync()
{
    std::vector<Inode*> all = in_order();
    int first = 0;
    for (Inode* i : all) {
        bool there = std::any_of(inodes_.begin(), inodes_.end(),
                                 [i](auto& known) { return known.second.get() == i; });
        if (!there || i->freeing) continue;  // removed while we were at another
        i->refs++;
        if (int err = flush(*i, 0, UINT64_MAX); err && !first) first = err;
        i->refs--;
    }
    int err = llc_sync(core_);
    if (llc_take_loss(core_) && !first) first = -kEIO;
    return first ? first : err;
}

int SimMount::set_layout(const std::string& path, const std::string& text)
{
    Inode* i;
    if (int err = walk(path, &i)) return err;
    return llc_set_layout_text(i->core, text.data(), text.size());
}

int SimMount::get_layout(const std::string& path, std::string* out)
{
    Inode* i;
    if (int err = walk(path, &i)) return err;
    char text[4096];
    int n = llc_get_layout_text(i->core, text, sizeof text);
    if (n < 0) return n;
    out->assign(text, n);
    return 0;
}

// ---- open files

int SimMount::add_file(Inode* i, llc_file* core, unsigned flags)
{
    i->opens++;
    files_[next_fd_] = {i, core, flags, i->wb_err_seq};
    return next_fd_++;
}

SimMount::File* SimMount::file(int fd)
{
    auto it = files_.find(fd);
    return it == files_.end() ? nullptr : &it->second;
}

int SimMount::open_known(Inode* i, unsigned flags)
{
    if ((i->mode & kTypeMask) != kFile) return -kEISDIR;
    llc_file* core;
    i->opens++;  // it stays while we wait
    int err = llc_open(i->core, flags & (kRead | kWrite | kAppend), &core);
    i->opens--;
    if (err) return unuse(i), err;
    int fd = add_file(i, core, flags);
    if (flags & kTrunc)
        if (int bad = ftruncate(fd, 0)) return close(fd), bad;
    return fd;
}

// What is there, by what is known of it; or, when that was replaced meanwhile, by its name.
int SimMount::open(const std::string& path, unsigned flags, unsigned mode)
{
    Inode* i;
    int err = walk(path, &i);
    if (!err && (flags & kExcl)) return -kEEXIST;
    if (!err) {
        int fd = open_known(i, flags);
        if (fd != -kESTALE) return fd;
    } else if (err != -kENOENT || !(flags & kCreate)) {
        return err;
    }
    return open_by_name(path, flags, mode);
}

int SimMount::open_by_name(const std::string& path, unsigned flags, unsigned mode)
{
    Inode* dir;
    std::string name;
    if (int err = parent(path, &dir, &name)) return err;
    struct llc_create how = {};
    how.mode = mode | kFile;
    llc_file* handle;
    bool created = false;
    Inode* found;
    {
        SimLockGuard lock(dir->lock);
        llc_inode* core;
        llc_attr attr;
        uint64_t epoch = 0;
        int err = llc_open_create(dir->core, name.data(), name.size(),
                                  flags & (kRead | kWrite | kCreate | kExcl | kAppend), &how, &core,
                                  &attr, &epoch, &handle, &created);
        if (err) {
            dir->dentries.erase(name);
            return err;
        }
        found = iget(core, attr);
        dir->dentries[name] = {found, epoch};
    }
    if (!handle) return -kENXIO;  // a FIFO, a device
    int fd = add_file(found, handle, flags);
    if ((flags & kTrunc) && !created)
        if (int err = ftruncate(fd, 0)) return close(fd), err;
    return fd;
}

int SimMount::close(int fd)
{
    File* f = file(fd);
    if (!f) return -kEBADF;
    File closed = *f;
    files_.erase(fd);
    int err = closed.inode->wb_err_seq != closed.seen_err ? closed.inode->wb_err : 0;
    for (auto& [locker, any] : closed.lockers) {
        llc_flock all{locker.first, LLC_FLOCK_UNLOCK, 0, UINT64_MAX, locker.second, 1, false};
        llc_flock_release(closed.inode->core, &all);
    }
    (void)llc_close(closed.core);
    closed.inode->opens--;
    unuse(closed.inode);
    return err;
}

int SimMount::ftruncate(int fd, uint64_t size)
{
    File* f = file(fd);
    if (!f || !(f->flags & kWrite)) return -kEBADF;
    llc_attr to = {};
    to.size = size;
    to.mtime_ns = kapi_realtime_ns();
    return setattr(f->inode, to, LLC_SIZE | LLC_MTIME);
}

int SimMount::fstat(int fd, llc_attr* out)
{
    File* f = file(fd);
    return f ? llc_revalidate(f->inode->core, true, out) : -kEBADF;
}

int SimMount::fsync(int fd)
{
    File* f = file(fd);
    if (!f) return -kEBADF;
    (void)flush(*f->inode, 0, UINT64_MAX);
    int err = llc_fsync(f->inode->core, false);
    if (f->inode->wb_err_seq != f->seen_err) {
        f->seen_err = f->inode->wb_err_seq;
        llc_loss_was_told(f->core);
        err = f->inode->wb_err;
    }
    return err;
}

int SimMount::lock_file(int fd, unsigned kind, uint64_t owner, unsigned type, uint64_t start,
                        uint64_t end, bool wait)
{
    File* f = file(fd);
    if (!f) return -kEBADF;
    llc_flock lock{kind, type, start, end, owner, static_cast<uint32_t>(owner), false};
    int err = llc_flock_set(f->inode->core, f->core, &lock, wait);
    f = file(fd);
    if (!err && f) f->lockers[{kind, owner}] = true;
    return err;
}

int SimMount::flock(int fd, unsigned type, bool wait)
{
    return lock_file(fd, LLC_FLOCK_BSD, 1000000u + static_cast<unsigned>(fd), type, 0, UINT64_MAX,
                     wait);
}

int SimMount::setlk(int fd, uint64_t owner, unsigned type, uint64_t start, uint64_t end, bool wait)
{
    return lock_file(fd, LLC_FLOCK_POSIX, owner, type, start, end, wait);
}

int SimMount::getlk(int fd, uint64_t owner, unsigned type, uint64_t start, uint64_t end,
                    llc_flock* out)
{
    File* f = file(fd);
    if (!f) return -kEBADF;
    *out = llc_flock{LLC_FLOCK_POSIX, type, start, end, owner, static_cast<uint32_t>(owner), false};
    return llc_flock_test(f->inode->core, out);
}

int SimMount::put(const std::string& path, const std::string& data)
{
    int fd = open(path, kWrite | kCreate | kTrunc);
    if (fd < 0) return fd;
    int64_t n = pwrite(fd, 0, data.data(), data.size());
    int err = close(fd);
    if (n < 0) return static_cast<int>(n);
    return err ? err : n == static_cast<int64_t>(data.size()) ? 0 : -kEIO;
}

std::string SimMount::get(const std::string& path, int* err)
{
    if (err) *err = 0;
    int fd = open(path, kRead);
    if (fd < 0) {
        if (err) *err = fd;
        return "";
    }
    std::string out;
    char buf[10000];
    int64_t n;
    while ((n = pread(fd, out.size(), buf, sizeof buf)) > 0) out.append(buf, n);
    if (n < 0 && err) *err = static_cast<int>(n);
    close(fd);
    return out;
}

}  // namespace lull::sim
