// SPDX-License-Identifier: GPL-2.0-only
// What a host allocated since its boot.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace lull::sim {

struct AllocHeader;

struct Arena {
    AllocHeader* first = nullptr;
    uint64_t live = 0;
    uint64_t live_bytes = 0;
    uint64_t made = 0;
    void free_all();
    std::string describe(size_t at_most) const;  // "" when nothing is live
};

}  // namespace lull::sim
