// SPDX-License-Identifier: GPL-2.0-only
// crc32c in its common form, as kapi/linux: seed 0 at first, the result of the piece before
// afterwards.
#include <array>
#include <cstring>

#include "kapi/kapi.h"

namespace {

constexpr std::array<uint32_t, 256> kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = (c >> 1) ^ (c & 1 ? 0x82f63b78u : 0);
        table[i] = c;
    }
    return table;
}();

uint32_t crc_table(uint32_t crc, const uint8_t* p, size_t n)
{
    while (n--) crc = (crc >> 8) ^ kTable[(crc ^ *p++) & 0xff];
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) uint32_t crc_sse(uint32_t crc, const uint8_t* p, size_t n)
{
    uint64_t c = crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        std::memcpy(&word, p, 8);
        c = __builtin_ia32_crc32di(c, word);
    }
    return crc_table(static_cast<uint32_t>(c), p, n);
}
#endif

}  // namespace

extern "C" uint32_t kapi_crc32c(uint32_t seed, const void* data, size_t bytes)
{
    const uint8_t* p = static_cast<const uint8_t*>(data);
#ifdef __x86_64__
    static const bool fast = __builtin_cpu_supports("sse4.2");
    if (fast) return ~crc_sse(~seed, p, bytes);
#endif
    return ~crc_table(~seed, p, bytes);
}
