// SPDX-License-Identifier: GPL-2.0-only
#include "llite/stripe.h"

namespace lull {

Striping::Place Striping::place(uint64_t pos) const
{
    uint64_t chunk = pos / bytes, inside = pos % bytes;
    return {static_cast<uint32_t>(chunk % count), chunk / count * bytes + inside, bytes - inside};
}

uint64_t Striping::file_offset(uint32_t stripe, uint64_t object_offset) const
{
    uint64_t row = object_offset / bytes, inside = object_offset % bytes, at;
    if (__builtin_mul_overflow(row, static_cast<uint64_t>(bytes) * count, &at) ||
        __builtin_add_overflow(at, static_cast<uint64_t>(stripe) * bytes + inside, &at))
        return UINT64_MAX;
    return at;
}

uint64_t Striping::object_size(uint32_t stripe, uint64_t file_size) const
{
    uint64_t row_bytes = static_cast<uint64_t>(bytes) * count;
    uint64_t rows = file_size / row_bytes, rest = file_size % row_bytes;
    uint64_t before = static_cast<uint64_t>(stripe) * bytes;
    uint64_t part = rest <= before ? 0 : rest - before < bytes ? rest - before : bytes;
    return rows * bytes + part;
}

uint64_t Striping::file_size(uint32_t stripe, uint64_t object_size) const
{
    if (object_size == 0) return 0;
    uint64_t last = file_offset(stripe, object_size - 1);
    return last == UINT64_MAX ? last : last + 1;
}

}  // namespace lull
