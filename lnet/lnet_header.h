/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What stands in front of everything on a connection. body_bytes of body and bulk_bytes of bulk
 * data follow. Both sides send a kHello first. A kPing is answered by a kPong with the same cookie.
 * crc: crc32c over the header (crc zero) and the body.
 */
#pragma once
#include "include/lull/le.h"

namespace lull {

enum class LnetType : uint16_t { kHello = 1, kData = 2, kPing = 3, kPong = 4 };

struct LnetHeader {
    le32 magic;  // kLnetMagic
    le16 version;
    le16 type;  // LnetType
    le32 body_bytes;
    le32 bulk_bytes;
    le64 cookie;
    le32 reserved;
    le32 crc;
};
static_assert(sizeof(LnetHeader) == 32);

inline constexpr uint32_t kLnetMagic = 0x544e4c4c;  // "LLNT"
inline constexpr uint16_t kLnetVersion = 1;
inline constexpr uint32_t kLnetBodyMaxBytes = 512u << 10;
inline constexpr uint32_t kLnetBulkMaxBytes = 1u << 20;

}  // namespace lull
