/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Connection, ping and end of replay. Encoded the same in every version (the version is what they
 * negotiate).
 */
#pragma once
#include "include/lull/ops_common.h"

namespace lull {

// Fields in the order of the wire, as many as fit on a line.
// clang-format off

enum ConnectFlags : uint32_t {
    kConnectUpdateLock = 1,  // OBD_CONNECT_UPDATE_LOCK: takes part in controlled shutdowns (S1)
    kConnectMds = 2,         // the client is an MDT talking to an OST (T11)
    kConnectLight = 4,       // no locks, nothing to recover (MGC): never waited for
};

// How the server knows the client that connects.
enum class ConnectResult : uint8_t {
    kNew = 1,        // not known: a first mount, or evicted while away
    kReconnect = 2,  // same instance, export still here: resend what has no reply
    kRecover = 3,    // new instance after a crash: replay, then ReplayDone
    kResume = 4,     // new instance after a clean halt: open replay only, no window (B1, A13)
};

struct ConnectReply {
    uint8_t result = 0;            // ConnectResult
    uint16_t protocol = 0;         // negotiated
    uint32_t flags = 0;            // granted ConnectFlags
    uint64_t export_cookie = 0;
    uint64_t instance = 0;         // of the target: grows with every start
    // of the instance before, when result is kRecover or kResume (T7)
    uint64_t last_committed = 0;
    uint16_t slots = 0;            // modifying requests in flight this client may have
    uint64_t grant_bytes = 0;      // OST: initial grant
    bool version_changed = false;  // the target ran another protocol version before (A13)
    uint32_t target_index = 0;
    template <class Io> void io(Io& x)
    {
        x.u8(result); x.u16(protocol); x.u32(flags); x.u64(export_cookie); x.u64(instance);
        x.u64(last_committed); x.u16(slots); x.u64(grant_bytes); x.boolean(version_changed);
        x.u32(target_index);
    }
};
// Errors: -ENODEV no such target here, -kERetryLater shutting down or not yet started (T9),
// -EPROTONOSUPPORT no common version.
struct ConnectOp {
    static constexpr Opcode kOpcode = Opcode::kConnect;
    using Reply = ConnectReply;
    TargetName target;
    UuidText client_uuid;
    uint16_t protocol_min = 0, protocol_max = 0;
    uint32_t flags = 0;
    uint64_t import_cookie = 0;      // in callbacks, so that they find their import
    uint64_t last_instance = 0;      // that the client was connected to; 0 on a first connect
    uint32_t resends = 0;            // requests without a reply
    // other than opens, above last_committed as the client knows it
    uint32_t replays = 0;
    Text<65> nodename;
    template <class Io> void io(Io& x)
    {
        x.text(target); x.text(client_uuid); x.u16(protocol_min); x.u16(protocol_max); x.u32(flags);
        x.u64(import_cookie); x.u64(last_instance); x.u32(resends); x.u32(replays);
        x.text(nodename);
    }
};
struct DisconnectOp {
    static constexpr Opcode kOpcode = Opcode::kDisconnect;
    using Reply = Empty;
    template <class Io> void io(Io&) {}
};
struct PingOp {
    static constexpr Opcode kOpcode = Opcode::kPing;
    using Reply = Empty;
    // What the client has for this target and has not yet written back. Older clients say nothing:
    // their pings are empty. Older servers do not look.
    uint64_t dirty_bytes = 0;
    template <class Io> void io(Io& x) { x.u64(dirty_bytes); }
};
// Last step of a client's recovery; answered when the recovery window is closed.
struct ReplayDoneOp {
    static constexpr Opcode kOpcode = Opcode::kReplayDone;
    using Reply = Empty;
    template <class Io> void io(Io&) {}
};
// clang-format on

}  // namespace lull
