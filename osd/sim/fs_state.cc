// SPDX-License-Identifier: GPL-2.0-only
#include "osd/sim/fs_state.h"

#include <algorithm>
#include <cstring>

#include "kapi/backing_fs.h"

namespace lull::sim {
namespace {

// Directory order as in a hashed directory: nothing to do with the names' order, and stable.
uint64_t cookie_of(const std::string& name)
{
    uint64_t h = 0xcbf29ce484222325ull;
    for (unsigned char c : name) h = (h ^ c) * 0x100000001b3ull;
    return ((h ^ (h >> 31)) & 0x3fffffffffffffff) + 2;
}

}  // namespace

FsState::FsState()
{
    for (uint64_t ino : {kRootIno, kLostFoundIno}) {
        Inode& n = inodes_[ino];
        n.ino = ino;
        n.generation = 0;
        n.mode = KBFS_DIR | (ino == kRootIno ? 0755 : 0700);
        n.nlink = ino == kRootIno ? 3 : 2;
        n.parent = kRootIno;
        n.size = kFsBlockBytes;
    }
    add_entry(inodes_[kRootIno], "lost+found", kLostFoundIno);
}

Inode* FsState::find(uint64_t ino)
{
    auto it = inodes_.find(ino);
    return it == inodes_.end() ? nullptr : &it->second;
}

uint64_t FsState::lowest_free_ino() const
{
    uint64_t& ino = taken_below_;
    for (auto it = inodes_.lower_bound(ino); it != inodes_.end() && it->first == ino; ++it) ino++;
    return ino;
}

void FsState::add_entry(Inode& dir, const std::string& name, uint64_t ino)
{
    uint64_t cookie = cookie_of(name);
    while (dir.by_cookie.count(cookie)) cookie++;
    dir.entries[name] = {ino, cookie};
    dir.by_cookie[cookie] = name;
}

uint64_t FsState::remove_entry(Inode& dir, const std::string& name)
{
    auto it = dir.entries.find(name);
    uint64_t ino = it->second.ino;
    dir.by_cookie.erase(it->second.cookie);
    dir.entries.erase(it);
    return ino;
}

void FsState::drop_link(uint64_t ino, uint64_t now_ns)
{
    Inode& n = inodes_.at(ino);
    n.ctime_ns = now_ns;
    if (n.is_dir()) {
        n.nlink = 0;
        inodes_.at(n.parent).nlink--;
    } else {
        n.nlink--;
    }
}

void FsState::erase(uint64_t ino)
{
    auto it = inodes_.find(ino);
    if (it == inodes_.end()) return;
    blocks_used_ -= it->second.blocks.size();
    taken_below_ = std::min(taken_below_, std::max(ino, kFirstFreeIno));
    inodes_.erase(it);
}

void FsState::drop_orphans()
{
    for (auto it = inodes_.begin(); it != inodes_.end();) {
        uint64_t ino = it->first;
        bool orphan = it->second.nlink == 0;
        ++it;
        if (orphan) erase(ino);
    }
}

void FsState::rename(const Op& op)
{
    Inode& from = inodes_.at(op.dir);
    Inode& to = inodes_.at(op.to_dir);
    uint64_t ino = from.entries.at(op.name).ino;
    auto old = to.entries.find(op.to_name);
    if (old != to.entries.end()) {
        if (old->second.ino == ino) return;
        drop_link(remove_entry(to, op.to_name), op.now_ns);
    }
    remove_entry(from, op.name);
    add_entry(to, op.to_name, ino);
    Inode& n = inodes_.at(ino);
    if (n.is_dir() && n.parent != op.to_dir) {
        from.nlink--;
        to.nlink++;
        n.parent = op.to_dir;
    }
    n.ctime_ns = op.now_ns;
    from.mtime_ns = from.ctime_ns = to.mtime_ns = to.ctime_ns = op.now_ns;
}

void FsState::write(Inode& n, uint64_t offset, const std::string& data)
{
    for (size_t done = 0; done < data.size();) {
        uint64_t at = offset + done;
        size_t within = at % kFsBlockBytes;
        size_t bytes = std::min<size_t>(kFsBlockBytes - within, data.size() - done);
        std::shared_ptr<Inode::Block>& block = n.blocks[at / kFsBlockBytes];
        if (!block) {
            block = std::make_shared<Inode::Block>();
            blocks_used_++;
        } else if (block.use_count() > 1) {
            block = std::make_shared<Inode::Block>(*block);
        }
        std::memcpy(block->data() + within, data.data() + done, bytes);
        done += bytes;
    }
    n.size = std::max(n.size, offset + data.size());
}

void FsState::overwrite(uint64_t ino, uint64_t offset, const std::string& data)
{
    Inode* n = find(ino);
    if (!n || !n->is_file() || offset >= n->size) return;
    uint64_t end = std::min(n->size, offset + data.size());
    for (uint64_t at = offset; at < end;) {
        uint64_t next = std::min(end, (at / kFsBlockBytes + 1) * kFsBlockBytes);
        if (n->blocks.count(at / kFsBlockBytes)) write(*n, at, data.substr(at - offset, next - at));
        at = next;
    }
}

void FsState::truncate(Inode& n, uint64_t size)
{
    if (size < n.size) {
        auto first_gone = n.blocks.lower_bound((size + kFsBlockBytes - 1) / kFsBlockBytes);
        blocks_used_ -= static_cast<uint64_t>(std::distance(first_gone, n.blocks.end()));
        n.blocks.erase(first_gone, n.blocks.end());
        auto last = n.blocks.find(size / kFsBlockBytes);
        if (size % kFsBlockBytes && last != n.blocks.end()) {
            auto block = std::make_shared<Inode::Block>(*last->second);
            std::memset(block->data() + size % kFsBlockBytes, 0,
                        kFsBlockBytes - size % kFsBlockBytes);
            last->second = block;
        }
    }
    n.size = size;
}

void FsState::apply(const Op& op)
{
    switch (op.kind) {
    case Op::kCreate: {
        erase(op.ino);  // an orphan whose release is not in the log
        Inode& n = inodes_[op.ino];
        n.ino = op.ino;
        n.generation = op.generation;
        n.mode = op.mode;
        n.rdev = op.rdev;
        n.target = op.to_name;
        n.size = n.is_dir() ? kFsBlockBytes : op.to_name.size();
        n.atime_ns = n.mtime_ns = n.ctime_ns = op.now_ns;
        n.nlink = 1;
        Inode& dir = inodes_.at(op.dir);
        if (n.is_dir()) {
            n.nlink = 2;
            n.parent = op.dir;
            dir.nlink++;
        }
        add_entry(dir, op.name, op.ino);
        dir.mtime_ns = dir.ctime_ns = op.now_ns;
        break;
    }
    case Op::kLink: {
        Inode& dir = inodes_.at(op.dir);
        Inode& n = inodes_.at(op.ino);
        n.nlink++;
        n.ctime_ns = dir.mtime_ns = dir.ctime_ns = op.now_ns;
        add_entry(dir, op.name, op.ino);
        break;
    }
    case Op::kUnlink: {
        Inode& dir = inodes_.at(op.dir);
        dir.mtime_ns = dir.ctime_ns = op.now_ns;
        drop_link(remove_entry(dir, op.name), op.now_ns);
        break;
    }
    case Op::kRename: rename(op); break;
    case Op::kSetattr: {
        Inode& n = inodes_.at(op.ino);
        if (op.valid & KBFS_MODE) n.mode = (n.mode & 0170000) | (op.mode & 07777);
        if (op.valid & KBFS_UID) n.uid = op.uid;
        if (op.valid & KBFS_GID) n.gid = op.gid;
        if (op.valid & KBFS_SIZE) {
            if (op.size != n.size) n.mtime_ns = op.now_ns;
            truncate(n, op.size);
        }
        if (op.valid & KBFS_ATIME) n.atime_ns = op.atime_ns;
        if (op.valid & KBFS_MTIME) n.mtime_ns = op.mtime_ns;
        n.ctime_ns = op.now_ns;
        break;
    }
    case Op::kWrite: {
        Inode& n = inodes_.at(op.ino);
        write(n, op.offset, op.data);
        n.mtime_ns = n.ctime_ns = op.now_ns;
        break;
    }
    case Op::kSetxattr: {
        Inode& n = inodes_.at(op.ino);
        n.xattrs[op.name] = op.data;
        n.ctime_ns = op.now_ns;
        break;
    }
    case Op::kRemovexattr: {
        Inode& n = inodes_.at(op.ino);
        n.xattrs.erase(op.name);
        n.ctime_ns = op.now_ns;
        break;
    }
    case Op::kRelease: erase(op.ino); break;
    }
}

}  // namespace lull::sim
