/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * RAID-0 arithmetic: file offset ↔ (stripe, object offset), and sizes. Pure; count and bytes are at
 * least 1.
 *
 *   file    |  chunk 0  |  chunk 1  |  chunk 2  |  chunk 3  | …        chunk: bytes long
 *   stripe        0           1           0           1                (count == 2)
 */
#pragma once
#include <cstdint>

namespace lull {

struct Striping {
    uint32_t bytes = 1;  // of one chunk
    uint32_t count = 1;

    struct Place {
        uint32_t stripe;
        uint64_t offset;  // in the object
        uint64_t left;    // to the end of the chunk, at least 1
    };
    Place place(uint64_t pos) const;
    // UINT64_MAX stays, and is the answer on overflow
    uint64_t file_offset(uint32_t stripe, uint64_t object_offset) const;
    // Size of the object when the file has file_size.
    uint64_t object_size(uint32_t stripe, uint64_t file_size) const;
    // Size the file has at least when the object has object_size; 0 for 0.
    uint64_t file_size(uint32_t stripe, uint64_t object_size) const;
    // How long the file may be when none of its objects may be longer than object_max.
    uint64_t max_file_size(uint64_t object_max) const { return file_offset(0, object_max); }
    // The first byte of the object that is at or behind pos in the file.
    uint64_t object_start(uint32_t stripe, uint64_t pos) const { return object_size(stripe, pos); }
};

}  // namespace lull
