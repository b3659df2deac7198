// SPDX-License-Identifier: GPL-2.0-only
/*
 * One system call of a program that the exerciser makes up: which process does it, and with what.
 * Descriptors and mappings are named by slots of that process, so that a program stays a program
 * when steps are left out: an empty slot is a bad descriptor. A step has two texts, one to be read
 * back and one in C for people.
 */
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lull::posix {

// The name of an operation is that of its system call, where there is just one.
// clang-format off
#define LULL_POSIX_OPS(X)                                                                          \
    X(open) X(close) X(dup) X(read) X(write) X(pread) X(pwrite) X(readv) X(writev) X(lseek)        \
    X(truncate) X(ftruncate) X(fallocate) X(copy_file_range) X(sendfile) X(splice)                 \
    X(fsync) X(fdatasync) X(syncfs) X(sync_file_range) X(fadvise) X(readahead)                     \
    X(map) X(unmap) X(load) X(store) X(msync) X(madvise)                                           \
    X(stat) X(lstat) X(fstat) X(statx) X(access) X(readlink) X(list) X(flist) X(getcwd)            \
    X(mkdir) X(rmdir) X(unlink) X(link) X(symlink) X(rename) X(mknod) X(chdir) X(fchdir)           \
    X(chmod) X(fchmod) X(chown) X(lchown) X(fchown) X(utimens) X(futimens)                         \
    X(setxattr) X(getxattr) X(listxattr) X(removexattr) X(fsetxattr) X(fgetxattr)                  \
    X(flock) X(setlk) X(getlk) X(ofd_setlk) X(ofd_getlk)                                           \
    X(drop_caches) X(pressure) X(scan)
// clang-format on

enum class Op : uint8_t {
#define X(name) k_##name,
    LULL_POSIX_OPS(X)
#undef X
        kCount
};

constexpr int kSlots = 6;     // descriptors of a process
constexpr int kMapSlots = 3;  // mappings of a process
constexpr int kAtCwd = -1;    // Step::at: names are relative to the working directory

struct Step {
    Op op = Op::k_scan;
    int actor = 0;      // which process, and which client
    bool user = false;  // as user 1000 and not as root
    int fd = 0;         // slot of a descriptor, or of a mapping
    int fd2 = 0;        // the other descriptor
    int at = kAtCwd;    // slot of the directory that names begin at
    std::string path;   // "/" is the root of the tree that is worked on
    std::string path2;
    int64_t off = 0;
    int64_t off2 = 0;
    int64_t len = 0;
    uint32_t flags = 0;  // of the system call
    uint32_t mode = 0;
    uint32_t fill = 0;  // seed of the bytes that are written

    bool operator==(const Step&) const = default;
};

using Program = std::vector<Step>;

std::string_view op_name(Op op);
// One line that parse_step() reads back.
std::string to_text(const Step& step);
std::optional<Step> parse_step(std::string_view line);
// As C, without the end of the line.
std::string to_c(const Step& step);
// "0" or the names of the bits of the operation's flags.
std::string flags_to_c(Op op, uint32_t flags);

// What a file is filled with: byte i of a buffer made with this seed, never zero.
inline uint8_t fill_byte(uint32_t fill, uint64_t i)
{
    return 1 + (fill * 31 + i * 7 + (i >> 8) * 13) % 255;
}

}  // namespace lull::posix
