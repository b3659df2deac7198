// SPDX-License-Identifier: GPL-2.0-only
// What looks at and changes attributes, and the look at a whole tree.
#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "tests/posix/executor.h"

namespace lull::posix {

namespace {

// A clock says something between these two; steps set times that are not.
constexpr int64_t kNowFrom_s = 1577836800;  // 2020
constexpr int64_t kNowTo_s = 4102444800;    // 2100
constexpr int64_t kWholeBytes = 1 << 20;    // of a file of at most so many bytes all is looked at
constexpr int64_t kWindow = 32768;          // of a larger one, so much around some places
// Without the time of access, which a file system may be mounted not to keep.
constexpr uint32_t kStatxMask = STATX_BASIC_STATS & ~STATX_ATIME;
constexpr int kMaxDepth = 24;

Outcome result(long ret) { return ret < 0 ? Outcome::failed(errno) : Outcome{ret, 0, {}}; }

const char* type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG: return "file";
    case S_IFDIR: return "dir";
    case S_IFLNK: return "symlink";
    case S_IFIFO: return "fifo";
    case S_IFSOCK: return "socket";
    case S_IFCHR: return "chardev";
    default: return "other";
    }
}

class Scan {
public:
    Outcome run(const char* root)
    {
        struct stat st;
        if (fstatat(AT_FDCWD, root, &st, AT_SYMLINK_NOFOLLOW) != 0) return Outcome::failed(errno);
        out_.seen = fmt::format(". {}\n", describe_stat(st));
        int fd = ::open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0) return Outcome::failed(errno);
        directory(fd, "", 0);
        close(fd);
        return out_;
    }

private:
    void line(const std::string& path, const std::string& text)
    {
        out_.seen += fmt::format("{} {}\n", path, text);
    }
    void directory(int fd, const std::string& path, int depth);
    void entry(int dir, const std::string& path, const std::string& name, int depth);
    std::string content(int dir, const std::string& name, int64_t size);

    Outcome out_;
    std::map<std::pair<dev_t, ino_t>, std::string> first_name_;
};

void Scan::directory(int fd, const std::string& path, int depth)
{
    Outcome names = list_directory(fd);
    if (names.ret < 0) return line(path, "list: " + error_name(names.err));
    std::vector<std::string> entries;
    for (size_t at = 0; at < names.seen.size();) {
        size_t end = names.seen.find('\n', at);
        std::string entry = names.seen.substr(at, end - at);
        at = end + 1;
        entry.erase(0, entry.find(' ') + 1);
        if (entry != "." && entry != "..") entries.push_back(entry);
    }
    for (auto& name : entries) entry(fd, path, name, depth);
}

void Scan::entry(int dir, const std::string& path, const std::string& name, int depth)
{
    std::string full = path + (name.size() > 64 ? name.substr(0, 8) + "…" : name);
    struct stat st;
    if (fstatat(dir, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
        return line(full, "stat: " + error_name(errno));
    std::string text = describe_stat(st);
    auto [first, is_new] = first_name_.emplace(std::pair(st.st_dev, st.st_ino), full);
    if (!is_new) return line(full, text + " is " + first->second);
    if (S_ISREG(st.st_mode)) text += " " + content(dir, name, st.st_size);
    if (S_ISLNK(st.st_mode)) {
        char target[8192];
        ssize_t n = readlinkat(dir, name.c_str(), target, sizeof(target));
        text += n < 0 ? " readlink: " + error_name(errno) : " -> " + std::string(target, n);
    }
    line(full, text);
    if (!S_ISDIR(st.st_mode)) return;
    int fd = openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return line(full, "open: " + error_name(errno));
    if (depth < kMaxDepth) directory(fd, full + "/", depth + 1);
    close(fd);
}

std::string Scan::content(int dir, const std::string& name, int64_t size)
{
    int fd = openat(dir, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return "open: " + error_name(errno);
    std::vector<std::pair<int64_t, int64_t>> windows;
    if (size <= kWholeBytes) windows.emplace_back(0, size + 1);
    else
        for (int64_t around :
             {int64_t{0}, int64_t{1} << 20, int64_t{1} << 30, int64_t{1} << 32, size})
            windows.emplace_back(std::max<int64_t>(0, around - kWindow), around + kWindow);
    std::string text;
    for (auto [from, to] : windows) {
        if (from > size) continue;
        std::string data(to - from, '\0');
        size_t got = 0;
        ssize_t n = 0;
        while (got < data.size() &&
               (n = pread(fd, data.data() + got, data.size() - got, from + got)) > 0)
            got += n;
        if (n < 0) text += "read: " + error_name(errno);
        else
            text += fmt::format("{}at {}: {}", text.empty() ? "" : "; ", from,
                                describe({data.data(), got}));
    }
    close(fd);
    return text;
}

}  // namespace

std::string describe_time(const timespec& t)
{
    if (t.tv_sec >= kNowFrom_s && t.tv_sec < kNowTo_s) return "now";
    return fmt::format("{}.{:09}", t.tv_sec, t.tv_nsec);
}

std::string describe_stat(const struct stat& st)
{
    std::string out = fmt::format("{} 0{:o} links {} owner {}:{}", type_of(st.st_mode),
                                  st.st_mode & 07777, st.st_nlink, st.st_uid, st.st_gid);
    if (!S_ISDIR(st.st_mode)) out += fmt::format(" size {}", st.st_size);
    // What goes through a FIFO is between the processes of one machine.
    if (S_ISFIFO(st.st_mode)) return out;
    return out + " mtime " + describe_time(st.st_mtim);
}

Outcome list_directory(int fd)
{
    struct Entry {
        uint64_t ino;
        int64_t off;
        uint16_t reclen;
        uint8_t type;
        char name[];
    };
    std::vector<std::string> lines;
    alignas(Entry) char buf[32768];
    long n;
    while ((n = syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0) {
        for (long at = 0; at < n;) {
            auto* e = reinterpret_cast<const Entry*>(buf + at);
            lines.push_back(fmt::format("{} {}\n", type_of(DTTOIF(e->type)), e->name));
            at += e->reclen;
        }
    }
    if (n < 0) return Outcome::failed(errno);
    std::sort(lines.begin(), lines.end());
    Outcome out;
    for (auto& l : lines) out.seen += l;
    return out;
}

Outcome scan_tree(const char* root) { return Scan().run(root); }

Outcome Executor::run_attributes(const Step& s)
{
    const char* path = s.path.c_str();
    struct stat st;
    timespec times[2] = {{s.off, s.len}, {s.off2, s.len}};
    auto stat_text = [&](int rc) {
        return rc < 0 ? Outcome::failed(errno) : Outcome::saw(describe_stat(st));
    };
    auto times_text = [&](int rc, auto look) {
        if (rc < 0 || look() < 0) return Outcome::failed(errno);
        return Outcome::saw("atime " + describe_time(st.st_atim) + " mtime " +
                            describe_time(st.st_mtim));
    };
    switch (s.op) {
    case Op::k_stat: return stat_text(fstatat(at(s), path, &st, 0));
    case Op::k_lstat: return stat_text(fstatat(at(s), path, &st, AT_SYMLINK_NOFOLLOW));
    case Op::k_fstat: return stat_text(fstat(fd(s.fd), &st));
    case Op::k_statx: {
        struct statx x;
        int flags = static_cast<int>(s.flags);
        if (statx(at(s), path, flags, STATX_BASIC_STATS, &x) < 0) return Outcome::failed(errno);
        return Outcome::saw(fmt::format("{} 0{:o} links {} owner {}:{} all {}", type_of(x.stx_mode),
                                        x.stx_mode & 07777, x.stx_nlink, x.stx_uid, x.stx_gid,
                                        (x.stx_mask & kStatxMask) == kStatxMask));
    }
    case Op::k_access: return result(faccessat(at(s), path, s.mode, static_cast<int>(s.flags)));
    case Op::k_readlink: {
        std::string target(std::clamp<int64_t>(s.len, 1, 8192), '\0');
        ssize_t n = readlinkat(at(s), path, target.data(), target.size());
        if (n < 0) return Outcome::failed(errno);
        target.resize(n);
        return {n, 0, target};
    }
    case Op::k_chmod: return result(fchmodat(at(s), path, s.mode, 0));
    case Op::k_fchmod: return result(fchmod(fd(s.fd), s.mode));
    case Op::k_chown: return result(fchownat(at(s), path, s.off, s.off2, 0));
    case Op::k_lchown: return result(fchownat(at(s), path, s.off, s.off2, AT_SYMLINK_NOFOLLOW));
    case Op::k_fchown: return result(fchown(fd(s.fd), s.off, s.off2));
    case Op::k_utimens:
        return times_text(utimensat(at(s), path, times, static_cast<int>(s.flags)),
                          [&] { return fstatat(at(s), path, &st, static_cast<int>(s.flags)); });
    default: return times_text(futimens(fd(s.fd), times), [&] { return fstat(fd(s.fd), &st); });
    }
}

}  // namespace lull::posix
