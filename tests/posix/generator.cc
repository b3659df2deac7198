// SPDX-License-Identifier: GPL-2.0-only
#include "tests/posix/generator.h"

#include <algorithm>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace lull::posix {

namespace {

constexpr int64_t kPage = 4096;
constexpr int64_t kStripe = 65536;
constexpr int64_t kUsualBytes = 200000;

}  // namespace

const Generator::Weighted Generator::kTable[] = {
    {Op::k_open, 90, &Generator::open},
    {Op::k_close, 25, &Generator::close},
    {Op::k_dup, 3, &Generator::close},
    {Op::k_read, 20, &Generator::transfer},
    {Op::k_write, 35, &Generator::transfer},
    {Op::k_pread, 50, &Generator::transfer},
    {Op::k_pwrite, 60, &Generator::transfer},
    {Op::k_readv, 8, &Generator::transfer},
    {Op::k_writev, 12, &Generator::transfer},
    {Op::k_lseek, 15, &Generator::seek},
    {Op::k_truncate, 10, &Generator::resize},
    {Op::k_ftruncate, 25, &Generator::resize},
    {Op::k_fallocate, 10, &Generator::preallocate},
    {Op::k_copy_file_range, 8, &Generator::copy},
    {Op::k_sendfile, 8, &Generator::copy},
    {Op::k_splice, 8, &Generator::copy},
    {Op::k_fsync, 10, &Generator::whole_fd},
    {Op::k_fdatasync, 5, &Generator::whole_fd},
    {Op::k_syncfs, 2, &Generator::whole_fd},
    {Op::k_sync_file_range, 4, &Generator::range},
    {Op::k_fadvise, 12, &Generator::range},
    {Op::k_readahead, 6, &Generator::range},
    {Op::k_map, 25, &Generator::map},
    {Op::k_unmap, 6, &Generator::mapped},
    {Op::k_load, 25, &Generator::mapped},
    {Op::k_store, 25, &Generator::mapped},
    {Op::k_msync, 6, &Generator::mapped},
    {Op::k_madvise, 8, &Generator::mapped},
    {Op::k_stat, 15, &Generator::look},
    {Op::k_lstat, 15, &Generator::look},
    {Op::k_fstat, 25, &Generator::whole_fd},
    {Op::k_statx, 8, &Generator::look},
    {Op::k_access, 8, &Generator::look},
    {Op::k_readlink, 6, &Generator::look},
    {Op::k_list, 15, &Generator::list},
    {Op::k_flist, 6, &Generator::whole_fd},
    {Op::k_getcwd, 3, &Generator::machine},
    {Op::k_mkdir, 20, &Generator::make_dir},
    {Op::k_rmdir, 12, &Generator::remove},
    {Op::k_unlink, 20, &Generator::remove},
    {Op::k_link, 15, &Generator::link},
    {Op::k_symlink, 10, &Generator::link},
    {Op::k_rename, 35, &Generator::rename},
    {Op::k_mknod, 5, &Generator::make_dir},
    {Op::k_chdir, 6, &Generator::change_dir},
    {Op::k_fchdir, 2, &Generator::whole_fd},
    {Op::k_chmod, 12, &Generator::attribute},
    {Op::k_fchmod, 6, &Generator::attribute},
    {Op::k_chown, 8, &Generator::attribute},
    {Op::k_lchown, 6, &Generator::attribute},
    {Op::k_fchown, 5, &Generator::attribute},
    {Op::k_utimens, 25, &Generator::times},
    {Op::k_futimens, 12, &Generator::times},
    {Op::k_setxattr, 4, &Generator::xattr},
    {Op::k_getxattr, 3, &Generator::xattr},
    {Op::k_listxattr, 2, &Generator::xattr},
    {Op::k_removexattr, 2, &Generator::xattr},
    {Op::k_fsetxattr, 2, &Generator::xattr},
    {Op::k_fgetxattr, 2, &Generator::xattr},
    {Op::k_flock, 15, &Generator::lock},
    {Op::k_setlk, 15, &Generator::lock},
    {Op::k_getlk, 6, &Generator::lock},
    {Op::k_ofd_setlk, 8, &Generator::lock},
    {Op::k_ofd_getlk, 3, &Generator::lock},
    {Op::k_drop_caches, 10, &Generator::machine},
    {Op::k_pressure, 1, &Generator::machine},
    {Op::k_scan, 6, &Generator::machine},
};

std::string Generator::pick(const std::set<std::string>& from, const std::string& otherwise)
{
    if (from.empty()) return otherwise;
    auto at = from.begin();
    std::advance(at, below(from.size()));
    return *at;
}

int64_t Generator::offset()
{
    int64_t edge = one_of<int64_t>({0, kPage, 2 * kPage, kStripe, 2 * kStripe, 3 * kStripe});
    unsigned kind = below(100);
    if (kind < 45) return std::max<int64_t>(0, edge + one_of<int64_t>({-1, 0, 0, 1, 17}));
    if (kind < 92) return below(kUsualBytes);
    if (kind < 96) return one_of<int64_t>({1 << 20, (1 << 20) - 1, (1 << 20) + 1, 3 << 20});
    if (kind < 98) return one_of<int64_t>({1LL << 30, 1LL << 32, (1LL << 32) - 1});
    return one_of<int64_t>({-1, 1LL << 50, 1LL << 62, INT64_MAX, INT64_MIN});
}

int64_t Generator::length()
{
    unsigned kind = below(100);
    if (kind < 40) return one_of<int64_t>({0, 1, 5, 100, 511, 512, 1000, 3000});
    if (kind < 70) return one_of<int64_t>({kPage - 1, kPage, kPage + 1, 2 * kPage, 10000});
    if (kind < 95) return below(40000);
    return one_of<int64_t>({kStripe, kStripe + 1, 2 * kStripe + 1, kUsualBytes});
}

// One that is open, most of the time.
int Generator::open_slot()
{
    auto& open = open_[now_->actor];
    if (open.empty() || percent(4)) return below(kSlots);
    auto at = open.begin();
    std::advance(at, below(open.size()));
    return *at;
}

std::string Generator::name() { return one_of<std::string>({"a", "b", "c", "d", "e", "f"}); }

// Names of few letters in few directories: so that they meet.
std::string Generator::new_path()
{
    std::string dir = percent(50) ? "/" : dir_path();
    return (dir == "/" ? "/" : dir + "/") + name();
}

std::string Generator::file_path() { return percent(85) ? pick(files_, new_path()) : new_path(); }

std::string Generator::dir_path() { return percent(90) ? pick(dirs_, "/") : "/" + name(); }

std::string Generator::any_path()
{
    return percent(60) ? file_path() : percent(70) ? dir_path() : new_path();
}

// Forms of a name that are rare, and errors of the lookup.
void Generator::odd(std::string& path)
{
    switch (below(9)) {
    case 0: path += "/"; break;
    case 1: path += "/."; break;
    case 2: path += "/.."; break;
    case 3: path = "/" + std::string(255, 'n'); break;
    case 4: path = "/" + std::string(256, 'n'); break;
    case 5: path = ""; break;
    case 6: path += "/x"; break;
    case 7: path = "//" + path; break;
    default: path = "/" + name() + "/../" + name(); break;
    }
}

// As a name below the working directory or an open one, now and then.
void Generator::relative(Step& s)
{
    if (percent(4)) odd(s.path);
    if (s.path.size() > 1 && s.path[0] == '/' && percent(12)) {
        s.path.erase(0, percent(50) ? s.path.rfind('/') + 1 : 1);
        if (percent(40)) s.at = open_slot();
    }
}

void Generator::open(Step& s)
{
    unsigned kind = below(100);
    s.fd = below(kSlots);
    s.mode = one_of<uint32_t>({0644, 0600, 0666, 0777, 0000, 04755});
    uint32_t access = one_of<uint32_t>({O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, O_RDWR, O_RDWR});
    if (kind < 12) {
        s.path = dir_path();
        s.flags = O_RDONLY | (percent(70) ? O_DIRECTORY : 0);
    } else if (kind < 55) {
        s.path = percent(50) ? new_path() : file_path();
        s.flags = access | O_CREAT;
    } else {
        s.path = file_path();
        s.flags = access;
    }
    for (uint32_t rare : {O_EXCL, O_TRUNC, O_APPEND, O_SYNC, O_DSYNC, O_NOFOLLOW, O_NONBLOCK})
        if (percent(rare == O_TRUNC || rare == O_APPEND ? 12 : 5)) s.flags |= rare;
    if (percent(1)) s.flags |= one_of<uint32_t>({O_DIRECTORY, O_PATH, O_DIRECT, O_TMPFILE});
    s.flags |=
        O_NONBLOCK * ((s.flags & O_PATH) == 0);  // a FIFO's open would wait for its other end
    relative(s);
    if (s.flags & O_CREAT) files_.insert(s.path);
    open_[s.actor].insert(s.fd);
}

void Generator::close(Step& s)
{
    s.fd = open_slot();
    if (s.op == Op::k_close) open_[s.actor].erase(s.fd);
    else open_[s.actor].insert(s.fd2 = below(kSlots));
}

void Generator::transfer(Step& s)
{
    s.fd = open_slot();
    s.len = length();
    bool writes = s.op == Op::k_write || s.op == Op::k_pwrite || s.op == Op::k_writev;
    if (writes) s.fill = 1 + below(250);
    else if (percent(30)) s.len = 3 * kStripe;
    if (s.op == Op::k_pread || s.op == Op::k_pwrite) s.off = offset();
    if (s.op == Op::k_readv || s.op == Op::k_writev) s.mode = 1 + below(9);
}

void Generator::seek(Step& s)
{
    s.fd = open_slot();
    s.off = offset();
    s.flags = percent(2) ? 7 : below(5);
    if (s.flags == 1 && percent(50)) s.off = -s.off / 2;
}

void Generator::resize(Step& s)
{
    s.off = percent(25) ? 0 : offset();
    if (s.op == Op::k_ftruncate) s.fd = open_slot();
    else {
        s.path = file_path();
        if (percent(4)) odd(s.path);
    }
}

void Generator::preallocate(Step& s)
{
    s.fd = open_slot();
    s.flags =
        one_of<uint32_t>({0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                          FALLOC_FL_ZERO_RANGE, FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE});
    s.off = below(kUsualBytes);
    s.len = 1 + below(kUsualBytes);
    if (s.flags & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE) && percent(90))
        s.off &= ~(kPage - 1), s.len = kPage * (1 + below(20));
}

void Generator::copy(Step& s)
{
    s.fd = open_slot();
    s.fd2 = open_slot();
    s.off = percent(40) ? 0 : offset();
    s.off2 = s.op == Op::k_sendfile ? 0 : percent(40) ? 0 : offset();
    s.len = length();
}

void Generator::whole_fd(Step& s) { s.fd = open_slot(); }

void Generator::range(Step& s)
{
    s.fd = open_slot();
    s.off = percent(50) ? 0 : offset();
    s.len = percent(40) ? 0 : length();
    if (s.op == Op::k_fadvise) s.flags = below(6);
    if (s.op == Op::k_sync_file_range) s.flags = below(8);
    if (s.op == Op::k_readahead && !s.len) s.len = kUsualBytes;
}

void Generator::map(Step& s)
{
    s.fd = open_slot();
    s.fd2 = below(kMapSlots);
    s.off = percent(70) ? 0 : kPage * static_cast<int64_t>(below(20));
    s.len = percent(40) ? kPage : 1 + below(kUsualBytes);
    s.mode = percent(75);
    mapped_[s.actor].insert(s.fd2);
}

void Generator::mapped(Step& s)
{
    auto& maps = mapped_[s.actor];
    s.fd = maps.empty() ? 0 : *std::next(maps.begin(), below(maps.size()));
    if (s.op == Op::k_unmap) maps.erase(s.fd);
    if (s.op == Op::k_msync)
        s.flags = one_of<uint32_t>({MS_SYNC, MS_ASYNC, MS_SYNC | MS_INVALIDATE});
    if (s.op == Op::k_madvise) s.flags = below(5);
    if (s.op != Op::k_load && s.op != Op::k_store) return;
    s.off = percent(50) ? below(kPage) : below(kUsualBytes);
    s.len = 1 + below(percent(70) ? kPage : 3 * kPage);
    if (s.op == Op::k_store) s.fill = 1 + below(250);
}

void Generator::look(Step& s)
{
    s.path = any_path();
    relative(s);
    if (s.op == Op::k_access) {
        s.mode = below(8);
        s.flags = percent(50) ? AT_EACCESS : 0;
    }
    if (s.op == Op::k_statx) s.flags = percent(50) ? AT_SYMLINK_NOFOLLOW : 0;
    if (s.op == Op::k_readlink) s.len = percent(80) ? 1000 : 1 + below(3);
}

void Generator::list(Step& s)
{
    s.path = dir_path();
    relative(s);
}

void Generator::make_dir(Step& s)
{
    s.path = new_path();
    relative(s);
    if (s.op == Op::k_mkdir) {
        s.mode = one_of<uint32_t>({0755, 0777, 0700, 02755, 01777, 0500});
        if (!s.path.empty()) dirs_.insert(s.path);
    } else {
        s.mode = one_of<uint32_t>({S_IFIFO, S_IFREG, S_IFSOCK}) | 0666;
        files_.insert(s.path);
    }
}

void Generator::remove(Step& s)
{
    bool right = percent(92);
    if (s.op == Op::k_rmdir) s.path = right ? dir_path() : any_path();
    else s.path = right ? file_path() : any_path();
    relative(s);
    if (percent(80)) (s.op == Op::k_rmdir ? dirs_ : files_).erase(s.path);
}

void Generator::link(Step& s)
{
    if (s.op == Op::k_link) {
        s.path = percent(92) ? file_path() : any_path();
        s.path2 = new_path();
        s.flags = percent(30) ? AT_SYMLINK_FOLLOW : 0;
        files_.insert(s.path2);
        return;
    }
    s.path = new_path();
    s.path2 = percent(80) ? any_path() : percent(50) ? name() : "../" + name();
    if (percent(3)) s.path2 = std::string(3000, 't');
    files_.insert(s.path);
}

void Generator::moved(const std::string& from, const std::string& to)
{
    for (auto* names : {&files_, &dirs_}) {
        std::set<std::string> after;
        for (auto& n : *names) {
            bool below_it = n == from || n.starts_with(from + "/");
            after.insert(below_it ? to + n.substr(from.size()) : n);
        }
        *names = std::move(after);
    }
}

void Generator::rename(Step& s)
{
    unsigned kind = below(10);
    s.path = kind < 5 ? file_path() : kind < 9 ? dir_path() : any_path();
    unsigned onto = below(10);
    s.path2 = onto < 5 ? new_path() : onto < 8 ? any_path() : kind < 5 ? file_path() : dir_path();
    if (percent(8)) s.path2 = s.path;
    if (percent(3)) odd(s.path2);
    if (percent(12))
        s.flags = one_of<uint32_t>({RENAME_NOREPLACE, RENAME_NOREPLACE, RENAME_EXCHANGE});
    relative(s);
    if (s.path.size() > 1 && percent(85)) moved(s.path, s.path2);
}

void Generator::change_dir(Step& s)
{
    s.path = percent(30) ? "/" : percent(90) ? dir_path() : any_path();
}

void Generator::attribute(Step& s)
{
    if (s.op == Op::k_fchmod || s.op == Op::k_fchown) s.fd = open_slot();
    else {
        s.path = any_path();
        relative(s);
    }
    if (s.op == Op::k_chmod || s.op == Op::k_fchmod)
        s.mode = one_of<uint32_t>({0644, 0755, 0777, 0600, 0, 04755, 02755, 06777, 01777});
    else {
        s.off = one_of<int64_t>({-1, 0, 1000, 1000, 1234});
        s.off2 = one_of<int64_t>({-1, 0, 1000, 1000, 4321});
    }
}

// Explicit times that no clock gives; below 1970 and above 2100, too.
void Generator::times(Step& s)
{
    auto when = [&] {
        return one_of<int64_t>({0, 1, 999999999, -1, -1000000000, -86400, 1000000001, 7258118400});
    };
    s.off = when(), s.off2 = when();
    s.len = one_of<int64_t>({0, 1, 999999999, 500000000});
    if (percent(3)) s.len = one_of<int64_t>({-1, 1000000000, UTIME_NOW, UTIME_OMIT});
    if (s.op == Op::k_futimens) s.fd = open_slot();
    else {
        s.path = any_path();
        s.flags = percent(50) ? AT_SYMLINK_NOFOLLOW : 0;
        relative(s);
    }
}

void Generator::xattr(Step& s)
{
    if (s.op == Op::k_fsetxattr || s.op == Op::k_fgetxattr) s.fd = open_slot();
    else s.path = any_path();
    s.path2 = one_of<std::string>({"user.a", "user.b", "user.a", "trusted.c", "nonsense"});
    s.len = one_of<int64_t>({0, 1, 20, 300});
    s.fill = 1 + below(250);
    if (s.op == Op::k_setxattr || s.op == Op::k_fsetxattr)
        s.flags = one_of<uint32_t>({0, 0, XATTR_CREATE, XATTR_REPLACE});
}

void Generator::lock(Step& s)
{
    s.fd = open_slot();
    if (s.op == Op::k_flock) {
        s.flags = one_of<uint32_t>({LOCK_SH, LOCK_EX, LOCK_EX, LOCK_UN}) | LOCK_NB;
        return;
    }
    s.flags = below(3);
    s.off = percent(40) ? 0 : below(100);
    s.len = percent(40) ? 0 : 1 + below(60);
}

void Generator::machine(Step& s)
{
    if (s.op == Op::k_drop_caches) s.flags = 1 + below(3);
}

// Something to work on: without it a short program would fail at everything.
void Generator::begin(Program& program)
{
    for (const char* dir : {"/d", "/d/f", "/e"}) {
        Step s;
        s.op = Op::k_mkdir, s.path = dir, s.mode = 0777;
        dirs_.insert(dir);
        program.push_back(s);
    }
    for (const char* file : {"/a", "/b", "/d/a"}) {
        Step s;
        s.op = Op::k_open, s.path = file, s.flags = O_CREAT | O_RDWR | O_NONBLOCK, s.mode = 0666;
        s.fd = static_cast<int>(files_.size());
        files_.insert(file);
        open_[0].insert(s.fd);
        program.push_back(s);
    }
}

Program Generator::make()
{
    Program program;
    begin(program);
    unsigned total = 0;
    for (auto& w : kTable) total += w.weight;
    while (program.size() < recipe_.steps) {
        uint64_t roll = below(total);
        auto* w = kTable;
        while (roll >= w->weight) roll -= (w++)->weight;
        bool of_machine = w->op == Op::k_drop_caches || w->op == Op::k_pressure;
        if (of_machine && !recipe_.machine) continue;
        Step s;
        s.op = w->op;
        s.actor = static_cast<int>(below(recipe_.actors));
        s.user = percent(7) && !of_machine && s.op != Op::k_scan;
        now_ = &s;
        (this->*w->make)(s);
        program.push_back(s);
    }
    for (int actor = 0; actor < recipe_.actors; actor++) {
        Step s;
        s.op = Op::k_scan, s.actor = actor;
        program.push_back(s);
    }
    return program;
}

}  // namespace lull::posix
