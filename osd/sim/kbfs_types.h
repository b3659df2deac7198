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
};
