// SPDX-License-Identifier: GPL-2.0-only
#include "tests/posix/step.h"

#include <charconv>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <fmt/format.h>

namespace lull::posix {

namespace {

struct Flag {
    uint32_t bits;
    const char* name;
};

constexpr Flag kOpenFlags[] = {
    {O_CREAT, "O_CREAT"},       {O_EXCL, "O_EXCL"},           {O_TRUNC, "O_TRUNC"},
    {O_APPEND, "O_APPEND"},     {O_SYNC, "O_SYNC"},           {O_DSYNC, "O_DSYNC"},
    {O_TMPFILE, "O_TMPFILE"},   {O_DIRECTORY, "O_DIRECTORY"}, {O_NOFOLLOW, "O_NOFOLLOW"},
    {O_NONBLOCK, "O_NONBLOCK"}, {O_PATH, "O_PATH"},           {O_DIRECT, "O_DIRECT"},
    {O_CLOEXEC, "O_CLOEXEC"},   {O_NOATIME, "O_NOATIME"},
};
constexpr Flag kFallocateFlags[] = {
    {FALLOC_FL_KEEP_SIZE, "FALLOC_FL_KEEP_SIZE"},
    {FALLOC_FL_PUNCH_HOLE, "FALLOC_FL_PUNCH_HOLE"},
    {FALLOC_FL_ZERO_RANGE, "FALLOC_FL_ZERO_RANGE"},
    {FALLOC_FL_COLLAPSE_RANGE, "FALLOC_FL_COLLAPSE_RANGE"},
    {FALLOC_FL_INSERT_RANGE, "FALLOC_FL_INSERT_RANGE"},
};
constexpr Flag kRenameFlags[] = {{RENAME_NOREPLACE, "RENAME_NOREPLACE"},
                                 {RENAME_EXCHANGE, "RENAME_EXCHANGE"},
                                 {RENAME_WHITEOUT, "RENAME_WHITEOUT"}};
constexpr Flag kFlockFlags[] = {{LOCK_SH, "LOCK_SH"},
                                {LOCK_EX, "LOCK_EX"},
                                {LOCK_UN, "LOCK_UN"},
                                {LOCK_NB, "LOCK_NB"}};
constexpr Flag kAtFlags[] = {{AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"},
                             {AT_SYMLINK_FOLLOW, "AT_SYMLINK_FOLLOW"},
                             {AT_EACCESS, "AT_EACCESS"}};
constexpr Flag kMsyncFlags[] = {{MS_SYNC, "MS_SYNC"},
                                {MS_ASYNC, "MS_ASYNC"},
                                {MS_INVALIDATE, "MS_INVALIDATE"}};
constexpr Flag kSyncRangeFlags[] = {{1, "SYNC_FILE_RANGE_WAIT_BEFORE"},
                                    {2, "SYNC_FILE_RANGE_WRITE"},
                                    {4, "SYNC_FILE_RANGE_WAIT_AFTER"}};
constexpr Flag kXattrFlags[] = {{XATTR_CREATE, "XATTR_CREATE"}, {XATTR_REPLACE, "XATTR_REPLACE"}};

constexpr const char* kWhence[] = {"SEEK_SET", "SEEK_CUR", "SEEK_END", "SEEK_DATA", "SEEK_HOLE"};
constexpr const char* kAdvice[] = {"NORMAL",   "RANDOM",   "SEQUENTIAL",
                                   "WILLNEED", "DONTNEED", "NOREUSE"};
constexpr const char* kLockTypes[] = {"F_RDLCK", "F_WRLCK", "F_UNLCK"};

// How each is written in C; the names in braces are members of the step.
constexpr const char* kPatterns[] = {
    /* open */ "fd[{fd}] = openat({at}, {path}, {flags}, 0{mode:o})",
    /* close */ "close(fd[{fd}])",
    /* dup */ "fd[{fd2}] = dup(fd[{fd}])",
    /* read */ "read(fd[{fd}], buf, {len})",
    /* write */ "write(fd[{fd}], fill({fill}), {len})",
    /* pread */ "pread(fd[{fd}], buf, {len}, {off})",
    /* pwrite */ "pwrite(fd[{fd}], fill({fill}), {len}, {off})",
    /* readv */ "readv(fd[{fd}], iov /* of {len} bytes in {mode} parts */)",
    /* writev */ "writev(fd[{fd}], iov /* of fill({fill}), {len} bytes in {mode} parts */)",
    /* lseek */ "lseek(fd[{fd}], {off}, {flags})",
    /* truncate */ "truncate({path}, {off})",
    /* ftruncate */ "ftruncate(fd[{fd}], {off})",
    /* fallocate */ "fallocate(fd[{fd}], {flags}, {off}, {len})",
    /* copy_file_range */ "copy_file_range(fd[{fd}], &{off}, fd[{fd2}], &{off2}, {len}, 0)",
    /* sendfile */ "sendfile(fd[{fd2}], fd[{fd}], &{off}, {len})",
    /* splice */ "splice(fd[{fd}], &{off}, pipe, {len}), splice(pipe, fd[{fd2}], &{off2}, {len})",
    /* fsync */ "fsync(fd[{fd}])",
    /* fdatasync */ "fdatasync(fd[{fd}])",
    /* syncfs */ "syncfs(fd[{fd}])",
    /* sync_file_range */ "sync_file_range(fd[{fd}], {off}, {len}, {flags})",
    /* fadvise */ "posix_fadvise(fd[{fd}], {off}, {len}, POSIX_FADV_{flags})",
    /* readahead */ "readahead(fd[{fd}], {off}, {len})",
    /* map */ "map[{fd2}] = mmap(0, {len}, PROT_READ {write}, MAP_SHARED, fd[{fd}], {off})",
    /* unmap */ "munmap(map[{fd}], its length)",
    /* load */ "memcpy(buf, map[{fd}] + {off}, {len})",
    /* store */ "memcpy(map[{fd}] + {off}, fill({fill}), {len})",
    /* msync */ "msync(map[{fd}], its length, {flags})",
    /* madvise */ "madvise(map[{fd}], its length, MADV_{flags})",
    /* stat */ "fstatat({at}, {path}, &st, 0)",
    /* lstat */ "fstatat({at}, {path}, &st, AT_SYMLINK_NOFOLLOW)",
    /* fstat */ "fstat(fd[{fd}], &st)",
    /* statx */ "statx({at}, {path}, {flags}, STATX_BASIC_STATS, &stx)",
    /* access */ "faccessat({at}, {path}, {mode}, {flags})",
    /* readlink */ "readlinkat({at}, {path}, buf, {len})",
    /* list */ "list(openat({at}, {path}, O_RDONLY | O_DIRECTORY))",
    /* flist */ "lseek(fd[{fd}], 0, SEEK_SET), list(fd[{fd}])",
    /* getcwd */ "getcwd(buf, sizeof(buf))",
    /* mkdir */ "mkdirat({at}, {path}, 0{mode:o})",
    /* rmdir */ "unlinkat({at}, {path}, AT_REMOVEDIR)",
    /* unlink */ "unlinkat({at}, {path}, 0)",
    /* link */ "linkat({at}, {path}, {at}, {path2}, {flags})",
    /* symlink */ "symlinkat({path2}, {at}, {path})",
    /* rename */ "renameat2({at}, {path}, {at}, {path2}, {flags})",
    /* mknod */ "mknodat({at}, {path}, 0{mode:o}, 0)",
    /* chdir */ "chdir({path})",
    /* fchdir */ "fchdir(fd[{fd}])",
    /* chmod */ "fchmodat({at}, {path}, 0{mode:o}, 0)",
    /* fchmod */ "fchmod(fd[{fd}], 0{mode:o})",
    /* chown */ "fchownat({at}, {path}, {off}, {off2}, 0)",
    /* lchown */ "fchownat({at}, {path}, {off}, {off2}, AT_SYMLINK_NOFOLLOW)",
    /* fchown */ "fchown(fd[{fd}], {off}, {off2})",
    /* utimens */
    "utimensat({at}, {path}, {{{{{off}, {len}}}, {{{off2}, {len}}}}}, {flags})",
    /* futimens */ "futimens(fd[{fd}], {{{{{off}, {len}}}, {{{off2}, {len}}}}})",
    /* setxattr */ "setxattr({path}, {path2}, fill({fill}), {len}, {flags})",
    /* getxattr */ "getxattr({path}, {path2}, buf, {len})",
    /* listxattr */ "listxattr({path}, buf, sizeof(buf))",
    /* removexattr */ "removexattr({path}, {path2})",
    /* fsetxattr */ "fsetxattr(fd[{fd}], {path2}, fill({fill}), {len}, {flags})",
    /* fgetxattr */ "fgetxattr(fd[{fd}], {path2}, buf, {len})",
    /* flock */ "flock(fd[{fd}], {flags})",
    /* setlk */ "fcntl(fd[{fd}], F_SETLK, {{{flags}, SEEK_SET, {off}, {len}}})",
    /* getlk */ "fcntl(fd[{fd}], F_GETLK, {{{flags}, SEEK_SET, {off}, {len}}})",
    /* ofd_setlk */ "fcntl(fd[{fd}], F_OFD_SETLK, {{{flags}, SEEK_SET, {off}, {len}}})",
    /* ofd_getlk */ "fcntl(fd[{fd}], F_OFD_GETLK, {{{flags}, SEEK_SET, {off}, {len}}})",
    /* drop_caches */ "write(/proc/sys/vm/drop_caches, {flags})",
    /* pressure */ "take all memory but a sixth, and give it back",
    /* scan */ "look at the whole tree",
};
static_assert(std::size(kPatterns) == static_cast<size_t>(Op::kCount));

constexpr const char* kNames[] = {
#define X(name) #name,
    LULL_POSIX_OPS(X)
#undef X
};

template <size_t N> std::string join_flags(const Flag (&table)[N], uint32_t flags)
{
    std::string out;
    for (auto& f : table) {
        if (!f.bits || (flags & f.bits) != f.bits) continue;
        flags &= ~f.bits;
        out += (out.empty() ? "" : " | ") + std::string(f.name);
    }
    if (flags) out += fmt::format("{}{:#x}", out.empty() ? "" : " | ", flags);
    return out.empty() ? "0" : out;
}

std::string open_flags(uint32_t flags)
{
    static constexpr const char* access[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "3"};
    std::string rest = join_flags(kOpenFlags, flags & ~O_ACCMODE);
    return access[flags & O_ACCMODE] + (rest == "0" ? "" : " | " + rest);
}

template <size_t N> std::string nth(const char* const (&table)[N], uint32_t i)
{
    return i < N ? table[i] : std::to_string(i);
}

// "\0" and what is beside letters is written as %XX.
std::string escaped(std::string_view s)
{
    std::string out;
    for (unsigned char c : s)
        out += c > ' ' && c < 127 && c != '%' ? std::string(1, c) : fmt::format("%{:02x}", c);
    return out;
}

std::string unescaped(std::string_view s)
{
    std::string out;
    for (size_t i = 0; i < s.size(); i++) {
        unsigned c = s[i];
        if (s[i] == '%' && i + 2 < s.size()) {
            std::from_chars(s.data() + i + 1, s.data() + i + 3, c, 16);
            i += 2;
        }
        out += static_cast<char>(c);
    }
    return out;
}

std::string quoted(const std::string& s)
{
    if (s.size() > 200) return fmt::format("\"{}…\" /* {} bytes */", s.substr(0, 8), s.size());
    std::string out = "\"";
    for (char c : s) out += c == '\n' ? "\\n" : std::string(1, c);
    return out + '"';
}

template <class T> bool number(std::string_view text, T& to)
{
    auto r = std::from_chars(text.data(), text.data() + text.size(), to);
    return r.ec == std::errc{} && r.ptr == text.data() + text.size();
}

// Calls f(name, member) for every number of a step.
template <class S, class F> void each_number(S& s, F f)
{
    f("actor", s.actor), f("fd", s.fd), f("fd2", s.fd2), f("at", s.at), f("off", s.off);
    f("off2", s.off2), f("len", s.len), f("flags", s.flags), f("mode", s.mode), f("fill", s.fill);
}

bool set_member(Step& step, std::string_view key, std::string_view value)
{
    if (key == "path") return step.path = unescaped(value), true;
    if (key == "path2") return step.path2 = unescaped(value), true;
    if (key == "user") return step.user = value == "1", true;
    bool found = false;
    each_number(step, [&](std::string_view name, auto& member) {
        if (name == key) found = number(value, member);
    });
    return found;
}

}  // namespace

std::string_view op_name(Op op) { return op < Op::kCount ? kNames[static_cast<size_t>(op)] : "?"; }

std::string to_text(const Step& step)
{
    const Step plain;
    std::string out(op_name(step.op));
    if (step.user) out += " user=1";
    std::vector<std::string> defaults;
    each_number(plain, [&](const char*, auto value) { defaults.push_back(std::to_string(value)); });
    size_t i = 0;
    each_number(step, [&](const char* name, auto value) {
        if (std::to_string(value) != defaults[i++]) out += fmt::format(" {}={}", name, value);
    });
    if (!step.path.empty()) out += " path=" + escaped(step.path);
    if (!step.path2.empty()) out += " path2=" + escaped(step.path2);
    return out;
}

std::optional<Step> parse_step(std::string_view line)
{
    Step step;
    bool known = false;
    for (size_t word = 0; !line.empty(); word++) {
        size_t space = std::min(line.find(' '), line.size());
        std::string_view text = line.substr(0, space);
        line.remove_prefix(std::min(space + 1, line.size()));
        if (word == 0) {
            for (size_t i = 0; i < std::size(kNames); i++)
                if (text == kNames[i]) step.op = static_cast<Op>(i), known = true;
            continue;
        }
        size_t is = text.find('=');
        if (is == text.npos || !set_member(step, text.substr(0, is), text.substr(is + 1)))
            return {};
    }
    return known ? std::optional(step) : std::nullopt;
}

std::string flags_to_c(Op op, uint32_t flags)
{
    switch (op) {
    case Op::k_open: return open_flags(flags);
    case Op::k_fallocate: return join_flags(kFallocateFlags, flags);
    case Op::k_rename: return join_flags(kRenameFlags, flags);
    case Op::k_flock: return join_flags(kFlockFlags, flags);
    case Op::k_statx:
    case Op::k_access:
    case Op::k_link:
    case Op::k_utimens: return join_flags(kAtFlags, flags);
    case Op::k_msync: return join_flags(kMsyncFlags, flags);
    case Op::k_sync_file_range: return join_flags(kSyncRangeFlags, flags);
    case Op::k_setxattr:
    case Op::k_fsetxattr: return join_flags(kXattrFlags, flags);
    case Op::k_lseek: return nth(kWhence, flags);
    case Op::k_fadvise:
    case Op::k_madvise: return nth(kAdvice, flags);
    case Op::k_setlk:
    case Op::k_getlk:
    case Op::k_ofd_setlk:
    case Op::k_ofd_getlk: return nth(kLockTypes, flags);
    default: return std::to_string(flags);
    }
}

std::string to_c(const Step& s)
{
    std::string at = s.at == kAtCwd ? "AT_FDCWD" : fmt::format("fd[{}]", s.at);
    return fmt::format(fmt::runtime(kPatterns[static_cast<size_t>(s.op)]), fmt::arg("fd", s.fd),
                       fmt::arg("fd2", s.fd2), fmt::arg("at", at), fmt::arg("path", quoted(s.path)),
                       fmt::arg("path2", quoted(s.path2)), fmt::arg("off", s.off),
                       fmt::arg("off2", s.off2), fmt::arg("len", s.len),
                       fmt::arg("flags", flags_to_c(s.op, s.flags)), fmt::arg("mode", s.mode),
                       fmt::arg("fill", s.fill), fmt::arg("write", s.mode ? "| PROT_WRITE" : ""));
}

}  // namespace lull::posix
