// SPDX-License-Identifier: GPL-2.0-only
#include "tests/posix/executor.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

namespace lull::posix {

namespace {

constexpr unsigned kUser = 1000;
constexpr size_t kMegabyte = 1 << 20;
constexpr size_t kPressureChunk = 16 * kMegabyte;

Outcome result(long ret) { return ret < 0 ? Outcome::failed(errno) : Outcome{ret, 0, {}}; }

// While it lives, the process is a user without privileges.
class AsUser {
public:
    explicit AsUser(bool wanted) : wanted_(wanted)
    {
        if (wanted_ && (setegid(kUser) != 0 || seteuid(kUser) != 0)) abort();
    }
    ~AsUser()
    {
        int error = errno;
        if (wanted_ && (seteuid(0) != 0 || setegid(0) != 0)) abort();
        errno = error;
    }

private:
    bool wanted_;
};

}  // namespace

Executor::Executor(bool reference) : reference_(reference)
{
    fds_.fill(-1);
    drop_caches_ = ::open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
    meminfo_ = ::open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    umask(022);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
}

Executor::~Executor()
{
    for (auto& m : maps_) unmap(m);
    for (int fd : fds_)
        if (fd >= 0) close(fd);
    close(drop_caches_), close(meminfo_);
}

int Executor::fd(int slot) const { return slot >= 0 && slot < kSlots ? fds_[slot] : -1; }

int Executor::at(const Step& step) const { return step.at == kAtCwd ? AT_FDCWD : fd(step.at); }

void Executor::put(int slot, int fd)
{
    if (slot < 0 || slot >= kSlots) slot = 0;
    if (fds_[slot] >= 0) close(fds_[slot]);
    fds_[slot] = fd;
}

Outcome Executor::run(const Step& step)
{
    AsUser as(step.user);
    errno = 0;
    return run_plain(step);
}

Outcome Executor::run_plain(const Step& step)
{
    switch (step.op) {
    case Op::k_open... Op::k_readahead: return run_data(step);
    case Op::k_map... Op::k_madvise: return run_mapping(step);
    case Op::k_list... Op::k_fchdir: return run_names(step);
    case Op::k_stat... Op::k_readlink:
    case Op::k_chmod... Op::k_futimens: return run_attributes(step);
    case Op::k_setxattr... Op::k_fgetxattr: return run_xattrs(step);
    case Op::k_flock... Op::k_ofd_getlk: return run_locks(step);
    default: return run_machine(step);
    }
}

Outcome Executor::run_names(const Step& s)
{
    switch (s.op) {
    case Op::k_list: {
        int dir = openat(at(s), s.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0) return Outcome::failed(errno);
        Outcome out = list_directory(dir);
        close(dir);
        return out;
    }
    case Op::k_flist:
        if (lseek(fd(s.fd), 0, SEEK_SET) < 0) return Outcome::failed(errno);
        return list_directory(fd(s.fd));
    case Op::k_getcwd: {
        char buf[8192];
        return syscall(SYS_getcwd, buf, sizeof(buf)) < 0 ? Outcome::failed(errno)
                                                         : Outcome::saw(buf);
    }
    case Op::k_mkdir: return result(mkdirat(at(s), s.path.c_str(), s.mode));
    case Op::k_rmdir: return result(unlinkat(at(s), s.path.c_str(), AT_REMOVEDIR));
    case Op::k_unlink: return result(unlinkat(at(s), s.path.c_str(), 0));
    case Op::k_link: return result(linkat(at(s), s.path.c_str(), at(s), s.path2.c_str(), s.flags));
    case Op::k_symlink: return result(symlinkat(s.path2.c_str(), at(s), s.path.c_str()));
    case Op::k_rename:
        return result(renameat2(at(s), s.path.c_str(), at(s), s.path2.c_str(), s.flags));
    case Op::k_mknod: return result(mknodat(at(s), s.path.c_str(), s.mode, 0));
    case Op::k_chdir: return result(chdir(s.path.c_str()));
    default: return result(fchdir(fd(s.fd)));
    }
}

Outcome Executor::run_xattrs(const Step& s)
{
    std::vector<char> buf(s.len > 0 && s.len < 65536 ? s.len : 0);
    for (size_t i = 0; i < buf.size(); i++) buf[i] = static_cast<char>(fill_byte(s.fill, i));
    const char *path = s.path.c_str(), *name = s.path2.c_str();
    switch (s.op) {
    case Op::k_setxattr: return result(setxattr(path, name, buf.data(), buf.size(), s.flags));
    case Op::k_fsetxattr: return result(fsetxattr(fd(s.fd), name, buf.data(), buf.size(), s.flags));
    case Op::k_removexattr: return result(removexattr(path, name));
    case Op::k_listxattr: {
        char names[4096];
        ssize_t n = listxattr(path, names, sizeof(names));
        if (n < 0) return Outcome::failed(errno);
        Outcome out;
        for (char* at = names; at < names + n; at += strlen(at) + 1)
            if (!strncmp(at, "user.", 5)) out.seen += std::string(at) + " ";
        return out;
    }
    default: {
        ssize_t n = s.op == Op::k_getxattr ? getxattr(path, name, buf.data(), buf.size())
                                           : fgetxattr(fd(s.fd), name, buf.data(), buf.size());
        if (n < 0) return Outcome::failed(errno);
        return {n, 0, buf.empty() ? "" : describe({buf.data(), static_cast<size_t>(n)})};
    }
    }
}

// Who holds a lock that is in the way is not said: the process is another on each side.
Outcome Executor::record_lock(const Step& s)
{
    static constexpr short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
    bool ofd = s.op == Op::k_ofd_setlk || s.op == Op::k_ofd_getlk;
    bool get = s.op == Op::k_getlk || s.op == Op::k_ofd_getlk;
    struct flock lock = {};
    lock.l_type = types[s.flags % 3];
    lock.l_whence = SEEK_SET;
    lock.l_start = s.off;
    lock.l_len = s.len;
    int cmd = get ? (ofd ? F_OFD_GETLK : F_GETLK) : (ofd ? F_OFD_SETLK : F_SETLK);
    if (fcntl(fd(s.fd), cmd, &lock) < 0) return Outcome::failed(errno);
    if (!get) return {};
    if (lock.l_type == F_UNLCK) return Outcome::saw("free");
    return Outcome::saw(fmt::format("{} {}+{}", lock.l_type == F_RDLCK ? "read" : "write",
                                    static_cast<long>(lock.l_start),
                                    static_cast<long>(lock.l_len)));
}

Outcome Executor::run_locks(const Step& s)
{
    if (s.op == Op::k_flock) return result(flock(fd(s.fd), static_cast<int>(s.flags)));
    return record_lock(s);
}

// Memory for all but a sixth, so that the page cache and the caches of inodes have to give way.
Outcome Executor::pressure()
{
    auto read_kb = [&](const char* key) -> size_t {
        char text[4096] = {};
        if (pread(meminfo_, text, sizeof(text) - 1, 0) <= 0) return 0;
        const char* line = strstr(text, key);
        return line ? strtoul(line + strlen(key), nullptr, 10) : 0;
    };
    size_t total = read_kb("MemTotal:");
    std::vector<void*> taken;
    while (read_kb("MemAvailable:") > total / 6 + kPressureChunk / 1024) {
        void* chunk = mmap(nullptr, kPressureChunk, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        if (chunk == MAP_FAILED) break;
        taken.push_back(chunk);
    }
    for (void* chunk : taken) munmap(chunk, kPressureChunk);
    return {};
}

Outcome Executor::run_machine(const Step& s)
{
    switch (s.op) {
    case Op::k_drop_caches: {
        char what = static_cast<char>('0' + s.flags % 4);
        // What is dirty stays: that is the point. Without the right to drop there is nothing to do.
        (void)!write(drop_caches_, &what, 1);
        return {};
    }
    case Op::k_pressure: return pressure();
    default: return scan_tree("/");
    }
}

}  // namespace lull::posix
