// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a kernel is to the client core, in the simulator: a page cache, dentries and system calls
 * over llite_port.h, with the same rules that llite/linux follows. One SimMount is one mounted
 * client; its calls are made by tasks of its host and return what the system call would: 0, a
 * number or a negative errno.
 *
 * Host locks are SimLocks, outside of the core's lock ranks, as the VFS's are. Objects live on the
 * C++ heap: a crash of the host abandons them (forget the SimMount then: leak it).
 */
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kapi/sim/world.h"
#include "llite/llite_port.h"

namespace lull::sim {

class SimMount;

class SimLock {
public:
    void lock();
    void unlock();
    bool held() const { return held_; }

private:
    bool held_ = false;
    TaskQueue waiters_{};
};
class SimLockGuard {
public:
    explicit SimLockGuard(SimLock& l) : l_(&l) { l.lock(); }
    ~SimLockGuard()
    {
        if (l_) l_->unlock();
    }
    SimLockGuard(const SimLockGuard&) = delete;

private:
    SimLock* l_;
};

constexpr uint64_t kPage = 4096;

struct Page {
    SimLock lock;
    bool gone = false, uptodate = false, dirty = false, granted = false;
    char bytes[kPage] = {};
};

}  // namespace lull::sim

// The host's inode.
struct llp_inode {
    lull::sim::SimMount* mount;
    llc_inode* core;
    uint64_t number = 0;  // in the order they came to be known
    uint32_t mode = 0;
    unsigned refs = 0, opens = 0;
    bool freeing = false, unlinked = false, unused = false;
    uint64_t size = 0;        // copy of the core's
    lull::sim::SimLock lock;  // i_rwsem
    lull::sim::SimLock size_lock;
    int wb_err = 0;
    uint64_t wb_err_seq = 0;
    std::map<uint64_t, std::shared_ptr<lull::sim::Page>> pages;
    struct Dentry {
        llp_inode* inode;  // null: no such name
        uint64_t epoch;
    };
    std::map<std::string, Dentry> dentries;
};

namespace lull::sim {

class SimMount {
public:
    using Inode = llp_inode;
    SimMount(Host& host, lull_node* node) : host_(host), node_(node) {}
    Host& host() { return host_; }
    bool mounted() const { return core_ != nullptr; }
    llc_mount* core() { return core_; }

    int mount(const std::string& source, const std::string& options, std::string* why = nullptr);
    void umount(bool force = false);  // files must be closed; writes everything back
    void drop_caches();  // writes back and forgets every inode nobody uses

    // ---- system calls
    int mkdir(const std::string& path, unsigned mode = 0755);
    int mknod(const std::string& path, unsigned mode, unsigned rdev = 0);
    int rmdir(const std::string& path) { return remove(path, true); }
    int unlink(const std::string& path) { return remove(path, false); }
    int rename(const std::string& from, const std::string& to, bool no_replace = false);
    int link(const std::string& from, const std::string& to);
    int symlink(const std::string& target, const std::string& path);
    int readlink(const std::string& path, std::string* out);
    int stat(const std::string& path, llc_attr* out, bool follow = true);
    int chmod(const std::string& path, unsigned mode);
    int utimes(const std::string& path, uint64_t atime_ns, uint64_t mtime_ns);
    int truncate(const std::string& path, uint64_t size);
    int readdir(const std::string& path, std::vector<std::string>* out);
    int statfs(struct llc_statfs* out);
    int sync();
    int set_layout(const std::string& path, const std::string& text);
    int get_layout(const std::string& path, std::string* out);

    enum Flags { kRead = 1, kWrite = 2, kCreate = 4, kExcl = 8, kTrunc = 16, kAppend = 32 };
    int open(const std::string& path, unsigned flags, unsigned mode = 0644);  // fd
    int close(int fd);  // also errors of write-back nobody has seen
    int64_t pread(int fd, uint64_t pos, void* buf, size_t bytes);
    int64_t pwrite(int fd, uint64_t pos, const void* buf, size_t bytes);
    int64_t append(int fd, const void* buf, size_t bytes);
    int ftruncate(int fd, uint64_t size);
    int fstat(int fd, llc_attr* out);
    int fsync(int fd);
    // type: LLC_FLOCK_*. Locks of a file go with its close: the fd's flock, and the posix locks of
    // every owner that used the fd.
    int flock(int fd, unsigned type, bool wait);
    int setlk(int fd, uint64_t owner, unsigned type, uint64_t start, uint64_t end, bool wait);
    int getlk(int fd, uint64_t owner, unsigned type, uint64_t start, uint64_t end, llc_flock* out);
    // As a mapping does: a fault on one page.
    int mapped_read(int fd, uint64_t pos, char* byte);
    int mapped_write(int fd, uint64_t pos, char byte);

    int drop_pages(const std::string& path);  // writes back first
    int forget(const std::string& path);      // the whole inode; -EBUSY: it is open

    // Whole files, in one go. get: "" and the error in *err.
    int put(const std::string& path, const std::string& data);
    std::string get(const std::string& path, int* err = nullptr);

    uint64_t dirty_pages() const;
    uint64_t cached_pages() const;

    // ---- for llp_*
    uint64_t asked = 0;  // calls about pages
    int flush(Inode& i, uint64_t start, uint64_t end);
    bool drop(Inode& i, uint64_t start, uint64_t end, bool discard);
    void set_size(Inode& i, uint64_t size);

private:
    struct File {
        Inode* inode;
        llc_file* core;
        unsigned flags;
        uint64_t seen_err;
        std::map<std::pair<unsigned, uint64_t>, bool> lockers{};  // kind and owner
    };
    int lock_file(int fd, unsigned kind, uint64_t owner, unsigned type, uint64_t start,
                  uint64_t end, bool wait);
    std::vector<Inode*> in_order() const;
    Inode* iget(llc_inode* core, const llc_attr& attr);  // takes over the reference
    void unuse(Inode* i);                                // after an open or a name is gone
    void evict(Inode* i);
    int step(Inode* dir, const std::string& name, Inode** out);
    int walk(const std::string& path, Inode** out, bool follow = true, int depth = 0);
    int parent(const std::string& path, Inode** dir, std::string* name);
    int remove(const std::string& path, bool rmdir);
    int create(const std::string& path, const struct llc_create& how);
    int setattr(Inode* i, const llc_attr& to, uint32_t valid);
    int add_file(Inode* i, llc_file* core, unsigned flags);
    int open_known(Inode* i, unsigned flags);
    int open_by_name(const std::string& path, unsigned flags, unsigned mode);
    File* file(int fd);
    void copy_size(Inode& i);
    std::shared_ptr<Page> page(Inode& i, uint64_t index, bool create);  // locked, or null
    int fill(Inode& i, uint64_t index, Page& p);
    int64_t read_scope(Inode& i, uint64_t pos, char* buf, size_t bytes, bool* again);
    int64_t write_scope(Inode& i, uint64_t pos, const char* buf, size_t bytes, bool append,
                        bool* again);
    int64_t read_chunk(Inode& i, uint64_t pos, char* buf, size_t bytes);
    int64_t write_chunk(Inode& i, uint64_t pos, const char* buf, size_t bytes, bool append);
    int write_page(Inode& i, llc_io& io, uint64_t pos, const char* buf, size_t bytes, bool* last);
    int write_run(Inode& i, uint64_t first, std::vector<std::shared_ptr<Page>>& run);

    Host& host_;
    lull_node* node_;
    llc_mount* core_ = nullptr;
    Inode* root_ = nullptr;
    std::map<llc_inode*, std::unique_ptr<Inode>> inodes_;
    std::map<int, File> files_;
    int next_fd_ = 3;
    uint64_t next_number_ = 1;
};

}  // namespace lull::sim
