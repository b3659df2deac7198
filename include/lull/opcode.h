/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every operation that crosses the wire, in one table: its number, how the gate treats it (A8,
 * S14), whether it changes the target (gets a transaction number, is replayed), and whether it
 * occupies a reply slot (exactly once).
 *
 *   gated     waits at the client's gate before it is encoded; a server that is shutting down
 *             answers "park"
 *   exempt    what a drain itself needs: passes the gate, is executed until the halt
 *   internal  connection and recovery; known to ptlrpc only
 *   callback  server to client, no reply
 */
#pragma once
#include <cstdint>

namespace lull {

enum class GateClass : uint8_t { kGated, kExempt, kInternal, kCallback };

// clang-format off
//  X(name,          number, gate,      modifies, slot)
#define LULL_OPCODES(X)                                  \
    X(Connect,           1, kInternal, false, false)     \
    X(Disconnect,        2, kInternal, false, false)     \
    X(Ping,              3, kInternal, false, false)     \
    X(ReplayDone,        4, kInternal, false, false)     \
    X(LdlmEnqueue,      10, kGated,    false, false)     \
    X(LdlmCancel,       11, kExempt,   false, false)     \
    X(ActiveEnqueue,    12, kExempt,   false, false)     \
    X(LdlmFlock,        13, kGated,    false, false)     \
    X(LdlmFlockCancel,  14, kExempt,   false, false)     \
    X(LdlmBlAst,        15, kCallback, false, false)     \
    X(LdlmFlockReplay,  16, kExempt,   false, false)     \
    X(ActiveWarm,       17, kCallback, false, false)     \
    X(MgsRegister,      20, kExempt,   false, false)     \
    X(MgsConfig,        21, kExempt,   false, false)     \
    X(MgsTargetAt,      22, kCallback, false, false)     \
    X(MgsFsLock,        23, kExempt,   false, false)     \
    X(MgsFsUnlock,      24, kExempt,   false, false)     \
    X(MgsFsWanted,      25, kCallback, false, false)     \
    X(MgsSettings,      26, kExempt,   false, false)     \
    X(MgsOstsUsed,      27, kExempt,   false, false)     \
    X(MdsGetattr,       30, kGated,    false, false)     \
    X(MdsReaddir,       31, kGated,    false, false)     \
    X(MdsReadlink,      32, kGated,    false, false)     \
    X(MdsStatfs,        33, kGated,    false, false)     \
    X(MdsSync,          34, kExempt,   false, false)     \
    X(MdsGetSeq,        35, kExempt,   false, false)     \
    X(MdsOpen,          40, kGated,    true,  true)      \
    X(MdsClose,         41, kExempt,   true,  true)      \
    X(MdsCreate,        42, kGated,    true,  true)      \
    X(MdsUnlink,        43, kGated,    true,  true)      \
    X(MdsLink,          44, kGated,    true,  true)      \
    X(MdsRename,        45, kGated,    true,  true)      \
    X(MdsSetattr,       46, kGated,    true,  true)      \
    X(MdsSetLayout,     47, kGated,    true,  true)      \
    X(OstRead,          50, kExempt,   false, false)     \
    X(OstWrite,         51, kExempt,   true,  false)     \
    X(OstPunch,         52, kExempt,   true,  false)     \
    X(OstSetattr,       53, kExempt,   true,  false)     \
    X(OstGetattr,       54, kGated,    false, false)     \
    X(OstDestroy,       55, kGated,    true,  false)     \
    X(OstStatfs,        56, kGated,    false, false)     \
    X(OstSync,          57, kExempt,   false, false)     \
    X(OstList,          58, kGated,    false, false)
// clang-format on

// OstRead, OstPunch and OstSetattr are exempt because they run inside an operation that was already
// admitted by the gate (GateScope) and hold extent locks which the drain is waiting for.

enum class Opcode : uint16_t {
#define LULL_OPCODE_ENUM(name, number, gate, modifies, slot) k##name = number,
    LULL_OPCODES(LULL_OPCODE_ENUM)
#undef LULL_OPCODE_ENUM
};

struct OpcodeInfo {
    Opcode opcode;
    const char* name;
    GateClass gate;
    bool modifies, slot;
};

inline constexpr OpcodeInfo kOpcodeTable[] = {
#define LULL_OPCODE_ROW(name, number, gate, modifies, slot) \
    {Opcode::k##name, #name, GateClass::gate, modifies, slot},
    LULL_OPCODES(LULL_OPCODE_ROW)
#undef LULL_OPCODE_ROW
};

// Null for a number nobody knows (a peer may send anything).
constexpr const OpcodeInfo* opcode_info(uint16_t number)
{
    for (const OpcodeInfo& row : kOpcodeTable)
        if (static_cast<uint16_t>(row.opcode) == number) return &row;
    return nullptr;
}
constexpr const OpcodeInfo& opcode_info(Opcode op)
{
    return *opcode_info(static_cast<uint16_t>(op));
}

}  // namespace lull
