/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Little-endian integers as they stand on the wire and on disk: no alignment, explicit conversion
 * at the edge.
 */
#pragma once
#include <bit>
#include <cstdint>

namespace lull {

template <class T> class le {
public:
    constexpr le() = default;
    constexpr le(T v) { *this = v; }
    constexpr le& operator=(T v)
    {
        for (unsigned i = 0; i < sizeof(T); i++)
            b_[i] = static_cast<uint8_t>(static_cast<uint64_t>(v) >> (8 * i));
        return *this;
    }
    constexpr operator T() const
    {
        uint64_t v = 0;
        for (unsigned i = 0; i < sizeof(T); i++) v |= static_cast<uint64_t>(b_[i]) << (8 * i);
        return static_cast<T>(v);
    }

private:
    uint8_t b_[sizeof(T)] = {};
};
using le16 = le<uint16_t>;
using le32 = le<uint32_t>;
using le64 = le<uint64_t>;
static_assert(sizeof(le16) == 2 && sizeof(le32) == 4 && sizeof(le64) == 8 && alignof(le64) == 1);

}  // namespace lull
