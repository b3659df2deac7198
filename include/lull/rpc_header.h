/* SPDX-License-Identifier: GPL-2.0-only */
/* The fixed header in front of every ptlrpc message body, the same in all protocol versions. */
#pragma once
#include "include/lull/le.h"

namespace lull {

enum class RpcKind : uint16_t { kRequest = 1, kReply = 2, kCallback = 3 };

enum RpcFlags : uint32_t {
    kRpcReplay = 1,      // request: executed before, do it again with the given transno
    kRpcResend = 2,      // request: may have been executed, its reply was not seen
    kRpcReplayOpen = 4,  // request: re-establish an open that is already committed (S8)
    // reply: everything of this target is committed; a clean halt follows (E1)
    kRpcCommitted = 8,
};

inline constexpr unsigned kVersionsMax = 2;  // objects of one operation whose versions are told

struct RpcHeader {
    le32 magic;  // kRpcMagic
    // sizeof(RpcHeader) of the sender; a receiver skips what it does not know
    le16 header_bytes;
    le16 protocol;  // version in which the body is encoded
    le16 kind;      // RpcKind
    le16 opcode;    // Opcode
    le32 flags;     // RpcFlags
    le32 status;    // reply: negative errno (two's complement)
    le16 slot;      // request: reply slot it occupies, from 0
    le16 reserved;
    // request number, per client and target, ever growing; the reply repeats it
    le64 xid;
    le64 export_cookie;   // request: from the connect reply; callback: the client's import cookie
    le64 transno;         // reply: assigned; replay: to be assigned again
    le64 last_committed;  // reply: every transno up to this is durable
    le32 body_bytes;
    le32 bulk_bytes;
    // reply: of the objects the operation changed, before it; a replay repeats them. 0: none
    le64 versions[kVersionsMax];
};
static_assert(sizeof(RpcHeader) == 80);
inline constexpr uint32_t kRpcMagic = 0x4c554c31;         // "LUL1"
inline constexpr uint32_t kRpcBodyMaxBytes = 256u << 10;  // limit of a body
inline constexpr uint32_t kBulkMaxBytes = 1u << 20;       // limit of bulk data of one request

}  // namespace lull
