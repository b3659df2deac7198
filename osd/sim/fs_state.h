// SPDX-License-Identifier: GPL-2.0-only
/*
 * The contents of a simulated file system, changed only by apply(Op). A disk keeps two: what is
 * live, and what is durable; the operations between them are its log. After a crash a prefix of the
 * log is applied to the durable one.
 */
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace lull::sim {

inline constexpr uint64_t kRootIno = 2;
inline constexpr uint64_t kLostFoundIno = 11;
inline constexpr uint64_t kFirstFreeIno = 12;
inline constexpr uint64_t kFsBlockBytes = 4096;

struct Op {
    enum Kind {
        kCreate,
        kLink,
        kUnlink,
        kRename,
        kSetattr,
        kWrite,
        kSetxattr,
        kRemovexattr,
        kRelease
    } kind;
    explicit Op(Kind k) : kind(k) {}
    uint64_t now_ns = 0;
    uint64_t ino = 0;  // the object; of kCreate: the new one
    uint32_t generation = 0;
    uint64_t dir = 0, to_dir = 0;
    std::string name, to_name;  // entry; xattr; of a symlink kCreate to_name is its target
    uint32_t mode = 0, uid = 0, gid = 0, rdev = 0, valid = 0;
    uint64_t size = 0, atime_ns = 0, mtime_ns = 0;
    uint64_t offset = 0;
    std::string data;  // kWrite, kSetxattr
};

struct Dirent {
    uint64_t ino;
    uint64_t cookie;
};

struct Inode {
    uint64_t ino = 0;
    uint32_t generation = 0;
    uint32_t mode = 0, uid = 0, gid = 0, rdev = 0, nlink = 0;
    uint64_t size = 0;
    uint64_t atime_ns = 0, mtime_ns = 0, ctime_ns = 0;
    std::string target;  // of a symlink
    std::map<std::string, std::string> xattrs;
    using Block = std::array<uint8_t, kFsBlockBytes>;
    std::map<uint64_t, std::shared_ptr<Block>>
        blocks;  // shared by the two states until one changes it
    std::map<std::string, Dirent, std::less<>> entries;
    std::map<uint64_t, std::string> by_cookie;
    uint64_t parent = 0;  // of a directory

    bool is_dir() const { return (mode & 0170000) == 0040000; }
    bool is_symlink() const { return (mode & 0170000) == 0120000; }
    bool is_file() const { return (mode & 0170000) == 0100000; }
};

class FsState {
public:
    FsState();  // freshly made: a root with lost+found

    Inode* find(uint64_t ino);
    // The operation has been checked: it cannot fail.
    void apply(const Op& op);
    // Data gets into blocks that the file has, within its size; nothing else of the write does.
    void overwrite(uint64_t ino, uint64_t offset, const std::string& data);
    // As the journal's recovery does: what has no name left is gone.
    void drop_orphans();
    uint64_t lowest_free_ino() const;
    uint64_t blocks_used() const { return blocks_used_; }
    uint64_t inodes_used() const { return inodes_.size(); }

private:
    void add_entry(Inode& dir, const std::string& name, uint64_t ino);
    uint64_t remove_entry(Inode& dir, const std::string& name);  // the inode it named
    void drop_link(uint64_t ino, uint64_t now_ns);
    void rename(const Op& op);
    void write(Inode& n, uint64_t offset, const std::string& data);
    void truncate(Inode& n, uint64_t size);
    void erase(uint64_t ino);

    std::map<uint64_t, Inode> inodes_;
    mutable uint64_t taken_below_ = kFirstFreeIno;  // no number below it is free
    uint64_t blocks_used_ = 0;
};

}  // namespace lull::sim
