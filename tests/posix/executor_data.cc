// SPDX-License-Identifier: GPL-2.0-only
// What reads and writes files, by calls and by mappings.
#include <algorithm>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "tests/posix/executor.h"

namespace lull::posix {

namespace {

constexpr int64_t kMaxBytes = 4 << 20;  // of one call
constexpr size_t kMaxParts = 16;
constexpr long kPage = 4096;

Outcome result(long ret) { return ret < 0 ? Outcome::failed(errno) : Outcome{ret, 0, {}}; }

size_t bounded(int64_t len) { return static_cast<size_t>(std::clamp<int64_t>(len, 0, kMaxBytes)); }

std::vector<char> filled(const Step& step)
{
    std::vector<char> data(bounded(step.len));
    for (size_t i = 0; i < data.size(); i++) data[i] = static_cast<char>(fill_byte(step.fill, i));
    return data;
}

std::vector<iovec> parts_of(std::vector<char>& data, size_t parts)
{
    std::vector<iovec> iov;
    parts = std::clamp<size_t>(parts, 1, kMaxParts);
    size_t each = data.size() / parts;
    for (size_t i = 0; i < parts; i++)
        iov.push_back({data.data() + i * each, i + 1 < parts ? each : data.size() - i * each});
    return iov;
}

Outcome got(ssize_t n, const std::vector<char>& data)
{
    if (n < 0) return Outcome::failed(errno);
    return {n, 0, describe({data.data(), static_cast<size_t>(n)})};
}

sigjmp_buf faulted;

void on_fault(int signal) { siglongjmp(faulted, signal); }

// 0, or the signal that ended it.
__attribute__((noinline)) int copy_or_fault(char* to, const char* from, size_t len)
{
    struct sigaction action = {}, bus, segv;
    action.sa_handler = on_fault;
    sigaction(SIGBUS, &action, &bus);
    sigaction(SIGSEGV, &action, &segv);  // a store to what was mapped for reading
    int signal = sigsetjmp(faulted, 1);
    if (!signal) {
        for (size_t i = 0; i < len; i++)
            reinterpret_cast<volatile char*>(to)[i] =
                reinterpret_cast<const volatile char*>(from)[i];
    }
    sigaction(SIGBUS, &bus, nullptr);
    sigaction(SIGSEGV, &segv, nullptr);
    return signal;
}

Outcome ended_by(int signal)
{
    return Outcome::saw(signal == 0 ? "" : signal == SIGBUS ? "SIGBUS" : "SIGSEGV");
}

// A descriptor's position is left where it was.
bool is_zero(int fd, int64_t from, int64_t to)
{
    std::vector<char> buf(65536);
    for (int64_t at = from; at < to;) {
        ssize_t n = pread(fd, buf.data(), std::min<int64_t>(buf.size(), to - at), at);
        if (n <= 0) return true;  // it may not be open for reading
        if (std::any_of(buf.begin(), buf.begin() + n, [](char c) { return c != 0; })) return false;
        at += n;
        if (at - from > kMaxBytes) return true;
    }
    return true;
}

}  // namespace

Outcome Executor::open(const Step& s)
{
    int made = openat(at(s), s.path.c_str(), static_cast<int>(s.flags), s.mode);
    if (made < 0) return Outcome::failed(errno);
    put(s.fd, made);
    return {};
}

Outcome Executor::readv(const Step& s)
{
    std::vector<char> data(bounded(s.len));
    std::vector<iovec> iov = parts_of(data, s.mode);
    return got(::readv(fd(s.fd), iov.data(), static_cast<int>(iov.size())), data);
}

Outcome Executor::writev(const Step& s)
{
    std::vector<char> data = filled(s);
    std::vector<iovec> iov = parts_of(data, s.mode);
    return result(::writev(fd(s.fd), iov.data(), static_cast<int>(iov.size())));
}

// Where a file system has its holes is its own affair, but what it calls a hole must be zero and
// the end is a hole. The position is as before: it would be another on each side. In a directory
// only the beginning is a position that all agree about.
Outcome Executor::seek(const Step& s)
{
    static constexpr int whence[] = {SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE};
    int how = s.flags < std::size(whence) ? whence[s.flags] : 99;
    struct stat st = {};
    fstat(fd(s.fd), &st);
    if (S_ISDIR(st.st_mode)) return result(lseek(fd(s.fd), 0, SEEK_SET));
    if (how != SEEK_DATA && how != SEEK_HOLE) return result(lseek(fd(s.fd), s.off, how));
    int64_t before = lseek(fd(s.fd), 0, SEEK_CUR);
    int64_t found = lseek(fd(s.fd), s.off, how);
    int error = errno;
    lseek(fd(s.fd), before, SEEK_SET);
    if (how == SEEK_HOLE)
        return found < 0
                   ? Outcome::failed(error)
                   : Outcome::saw(found < s.off || found > st.st_size ? "no place" : "a hole");
    if (found < 0 && error != ENXIO) return Outcome::failed(error);
    if (s.off < 0 || s.off >= st.st_size)
        return found < 0 ? Outcome::failed(error) : Outcome::saw("data beyond the end");
    if (found >= 0 && (found < s.off || found >= st.st_size)) return Outcome::saw("no place");
    return Outcome::saw(is_zero(fd(s.fd), s.off, found < 0 ? st.st_size : found)
                            ? "nothing but zero before data"
                            : "data in a hole");
}

Outcome Executor::splice(const Step& s)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) return Outcome::failed(errno);
    loff_t from = s.off, to = s.off2;
    // What fits into a pipe whatever the pages are like.
    size_t len = std::min<size_t>(bounded(s.len), 8 * kPage);
    ssize_t in = ::splice(fd(s.fd), &from, pipe_fds[1], nullptr, len, 0);
    Outcome out = in < 0 ? Outcome::failed(errno) : Outcome{in, 0, {}};
    if (in > 0) {
        ssize_t written = ::splice(pipe_fds[0], nullptr, fd(s.fd2), &to, in, 0);
        out = result(written);
    }
    close(pipe_fds[0]), close(pipe_fds[1]);
    return out;
}

Outcome Executor::read(const Step& s)
{
    std::vector<char> data(bounded(s.len));
    ssize_t n = s.op == Op::k_read ? ::read(fd(s.fd), data.data(), data.size())
                                   : pread(fd(s.fd), data.data(), data.size(), s.off);
    return got(n, data);
}

Outcome Executor::run_data(const Step& s)
{
    off64_t from = s.off, to = s.off2;
    switch (s.op) {
    case Op::k_open: return open(s);
    case Op::k_close: {
        int closed = fd(s.fd);
        if (closed >= 0) fds_[s.fd] = -1;
        return result(close(closed));
    }
    case Op::k_dup: {
        int made = fcntl(fd(s.fd), F_DUPFD_CLOEXEC, 0);
        if (made < 0) return Outcome::failed(errno);
        put(s.fd2, made);
        return {};
    }
    case Op::k_read:
    case Op::k_pread: return read(s);
    case Op::k_write: return result(::write(fd(s.fd), filled(s).data(), bounded(s.len)));
    case Op::k_pwrite: return result(pwrite(fd(s.fd), filled(s).data(), bounded(s.len), s.off));
    case Op::k_readv: return readv(s);
    case Op::k_writev: return writev(s);
    case Op::k_lseek: return seek(s);
    case Op::k_truncate: return result(truncate(s.path.c_str(), s.off));
    case Op::k_ftruncate: return result(ftruncate(fd(s.fd), s.off));
    case Op::k_fallocate:
        return result(fallocate(fd(s.fd), static_cast<int>(s.flags), s.off, s.len));
    case Op::k_copy_file_range:
        return result(copy_file_range(fd(s.fd), &from, fd(s.fd2), &to, bounded(s.len), 0));
    case Op::k_sendfile: return result(sendfile(fd(s.fd2), fd(s.fd), &from, bounded(s.len)));
    case Op::k_splice: return splice(s);
    case Op::k_fsync: return result(fsync(fd(s.fd)));
    case Op::k_fdatasync: return result(fdatasync(fd(s.fd)));
    case Op::k_syncfs: return result(syncfs(fd(s.fd)));
    case Op::k_sync_file_range: return result(sync_file_range(fd(s.fd), s.off, s.len, s.flags));
    case Op::k_fadvise: {
        int error = posix_fadvise(fd(s.fd), s.off, s.len, static_cast<int>(s.flags));
        return error ? Outcome::failed(error) : Outcome{};
    }
    default: return result(readahead(fd(s.fd), s.off, bounded(s.len)));
    }
}

int64_t Executor::Mapping::bytes_to_end() const
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_size - off : 0;
}

void Executor::unmap(Mapping& m)
{
    if (!m.base) return;
    munmap(m.base, m.len);
    close(m.fd);
    m = {};
}

Outcome Executor::map(const Step& s)
{
    size_t len = bounded(s.len);
    int prot = PROT_READ | (s.mode ? PROT_WRITE : 0);
    void* base = mmap(nullptr, len, prot, MAP_SHARED, fd(s.fd), s.off);
    if (base == MAP_FAILED) return Outcome::failed(errno);
    Mapping& m = maps_[static_cast<unsigned>(s.fd2) % kMapSlots];
    unmap(m);
    m = {static_cast<char*>(base), len, s.off, s.mode != 0, fcntl(fd(s.fd), F_DUPFD_CLOEXEC, 0)};
    return {};
}

// A load or a store. What is read beyond the end, in the last page, is nobody's business.
Outcome Executor::touch(const Step& s)
{
    Mapping& m = maps_[static_cast<unsigned>(s.fd) % kMapSlots];
    if (!m.base) return Outcome::failed(EINVAL);
    size_t off = std::min<size_t>(bounded(s.off), m.len);
    size_t len = std::min<size_t>(bounded(s.len), m.len - off);
    size_t inside = std::clamp<int64_t>(m.bytes_to_end() - static_cast<int64_t>(off), 0, len);
    std::vector<char> data = filled(s);
    bool store = s.op == Op::k_store;
    if (store && reference_ && inside < len) {
        if (!m.writable) return ended_by(SIGSEGV);
        int signal = copy_or_fault(m.base + off, data.data(), inside);
        std::vector<char> same(len);  // stored again, for the page is changed all the same
        if (!signal) signal = copy_or_fault(same.data(), m.base + off, len);
        if (!signal) signal = copy_or_fault(m.base + off, same.data(), len);
        return ended_by(signal);
    }
    int signal = store ? copy_or_fault(m.base + off, data.data(), len)
                       : copy_or_fault(data.data(), m.base + off, len);
    if (signal) return ended_by(signal);
    return Outcome::saw(store ? "" : describe({data.data(), inside}));
}

Outcome Executor::run_mapping(const Step& s)
{
    Mapping& m = maps_[static_cast<unsigned>(s.fd) % kMapSlots];
    switch (s.op) {
    case Op::k_map: return map(s);
    case Op::k_load:
    case Op::k_store: return touch(s);
    default: break;
    }
    if (!m.base) return Outcome::failed(EINVAL);
    switch (s.op) {
    case Op::k_unmap: return unmap(m), Outcome{};
    case Op::k_msync: return result(msync(m.base, m.len, static_cast<int>(s.flags)));
    default: return result(madvise(m.base, m.len, static_cast<int>(s.flags)));
    }
}

}  // namespace lull::posix
