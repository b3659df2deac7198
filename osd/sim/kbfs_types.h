// SPDX-License-Identifier: GPL-2.0-only
#pragma once
#include <map>
#include <memory>

#include "osd/sim/disk.h"

struct kbfs_node {
    kbfs* fs;
    uint64_t ino;
    uint32_t generation;
    uint64_t refs;
};

struct kbfs {
    lull::sim::Disk* disk;
    lull::sim::Host* host;
    bool read_only;
    std::map<uint64_t, std::unique_ptr<kbfs_node>> nodes;  // by inode number, while referenced
    // Once the disk was taken away: what the caches of its host hold. Changes still seem to work,
    // until the next sync.
    std::unique_ptr<lull::sim::FsState> own;
    bool aborted = false;

    bool fenced() const { return own != nullptr; }
    lull::sim::FsState& live() { return own ? *own : disk->live(); }
};
