// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does the steps of one process, with real system calls, and says what came of each. What two file
 * systems need not have in common (inode numbers, blocks, times of now, order of a listing) is not
 * in an outcome. One object a process: the working directory and record locks belong to that.
 */
#pragma once
#include <array>
#include <cstddef>
#include <string>

#include "tests/posix/outcome.h"
#include "tests/posix/step.h"

namespace lull::posix {

class Executor {
public:
    // reference: this is the file system that is believed. A kernel's ext4 may show, when a file
    // grows, what was stored beyond its end (mended in Linux 6.13): there it is not stored.
    explicit Executor(bool reference);
    ~Executor();
    Executor(const Executor&) = delete;
    Outcome run(const Step& step);

private:
    struct Mapping {
        char* base = nullptr;
        size_t len = 0;
        int64_t off = 0;
        bool writable = false;
        int fd = -1;  // of the file, to ask for its size
        int64_t bytes_to_end() const;
    };

    Outcome run_plain(const Step& step);
    Outcome run_data(const Step& step);
    Outcome run_mapping(const Step& step);
    Outcome run_names(const Step& step);
    Outcome run_attributes(const Step& step);
    Outcome run_xattrs(const Step& step);
    Outcome run_locks(const Step& step);
    Outcome run_machine(const Step& step);

    Outcome open(const Step& step);
    Outcome read(const Step& step);
    Outcome readv(const Step& step);
    Outcome writev(const Step& step);
    Outcome seek(const Step& step);
    Outcome splice(const Step& step);
    Outcome map(const Step& step);
    Outcome touch(const Step& step);
    Outcome list(int fd);
    Outcome record_lock(const Step& step);
    Outcome pressure();

    int fd(int slot) const;
    int at(const Step& step) const;
    void put(int slot, int fd);
    void unmap(Mapping& mapping);

    const bool reference_;
    std::array<int, kSlots> fds_;
    std::array<Mapping, kMapSlots> maps_;
    int drop_caches_ = -1;
    int meminfo_ = -1;
};

// Type, mode, links, owner, size and time of change of content, as far as they must be the same.
std::string describe_stat(const struct stat& st);
// The nanoseconds, or "now" for a time that no step sets.
std::string describe_time(const struct timespec& time);
// Every object below the root: attributes, names of the same object, content, listings.
Outcome scan_tree(const char* root);
// What open() of a directory shows: names and types, sorted; -1 and errno otherwise.
Outcome list_directory(int fd);

}  // namespace lull::posix
