/* SPDX-License-Identifier: GPL-2.0-only */
/* Distributed lock manager: names, modes, policies and messages. */
#pragma once
#include "include/lull/ops_mds.h"

namespace lull {

// Fields in the order of the wire, as many as fit on a line.
// clang-format off

struct ResourceId {
    uint64_t name[2] = {0, 0};
    friend constexpr bool operator==(const ResourceId&, const ResourceId&) = default;
    friend constexpr bool operator<(const ResourceId& a, const ResourceId& b)
    {
        return a.name[0] != b.name[0] ? a.name[0] < b.name[0] : a.name[1] < b.name[1];
    }
    static constexpr ResourceId of(const Fid& f)
    {
        return {{f.seq, (static_cast<uint64_t>(f.ver) << 32) | f.oid}};
    }
    static constexpr ResourceId active_server_lock()  // S3
    {
        return {{kFidSeqUpdateLock, kFidOidUpdateLock}};
    }
    template <class Io> void io(Io& x) { x.u64(name[0]); x.u64(name[1]); }
};

enum class LockType : uint8_t { kPlain = 1, kExtent = 2, kIbits = 3, kFlock = 4 };
enum class LockMode : uint8_t { kNL = 0, kCR = 1, kCW = 2, kPR = 3, kPW = 4, kEX = 5 };
constexpr bool modes_compatible(LockMode a, LockMode b)
{
    // bit n: mode n is fine
    constexpr uint8_t kTable[6] = {0b111111, 0b011111, 0b000111, 0b001011, 0b000011, 0b000001};
    return (kTable[static_cast<int>(a)] >> static_cast<int>(b)) & 1;
}
// a lock held in mode have lets its holder do what want allows.
constexpr bool mode_covers(LockMode have, LockMode want)
{
    if (want == LockMode::kPR)
        return have == LockMode::kPR || have == LockMode::kPW || have == LockMode::kEX;
    if (want == LockMode::kCR) return have >= LockMode::kCR;
    return have >= want && !(want == LockMode::kCW && have == LockMode::kPR);
}

enum InodeBits : uint32_t {
    kIbitLookup = 1,  // the name and permissions of an object
    kIbitUpdate = 2,  // its other attributes; of a directory: its entries
    kIbitLayout = 8,
    kIbitAll = 0xf,
};

// What of the resource a lock covers: bytes [start, end] (inclusive) or inode bits.
struct LockPolicy {
    uint64_t start = 0, end = UINT64_MAX;
    uint32_t bits = 0;
    template <class Io> void io(Io& x) { x.u64(start); x.u64(end); x.u32(bits); }
};

// Lock value block of an OST object: what the server knows of it.
struct Lvb {
    uint64_t size = 0, blocks_512 = 0, mtime_ns = 0, ctime_ns = 0, atime_ns = 0;
    template <class Io> void io(Io& x)
    {
        x.u64(size); x.u64(blocks_512); x.u64(mtime_ns); x.u64(ctime_ns); x.u64(atime_ns);
    }
};

enum LdlmFlags : uint32_t {
    kLdlmNoLru = 1,       // never on the LRU (S6)
    kLdlmReplay = 2,      // re-established during recovery: granted as it is
    kLdlmNoExpand = 16,   // do not grow the extent
};

// What the server does under the lock before it answers (one round trip for lookup + getattr +
// lock).
enum class Intent : uint8_t { kNone = 0, kGetattr = 1, kLookup = 2 };

// The reply comes when the lock is granted (the server keeps the request until then), or says
// -kEPark: enqueue again behind the gate (B3). Sent again after a reconnect, the request finds the
// lock by its client_handle.
struct LdlmEnqueueReply {
    uint64_t server_handle = 0;  // 0: no lock was given (an intent may decide so)
    uint32_t flags = 0;
    uint8_t mode = 0;
    LockPolicy policy;           // as granted: extents may have grown
    ResourceId resource;         // an intent lookup learns it here
    Lvb lvb;                     // extent locks
    // intent
    int32_t intent_status = 0;   // -ENOENT…
    MdsGetattrReply object;
    template <class Io> void io(Io& x)
    {
        x.u64(server_handle); x.u32(flags); x.u8(mode); x.sub(policy); x.sub(resource); x.sub(lvb);
        x.i32(intent_status); x.sub(object);
    }
};
struct LdlmEnqueueOp {
    static constexpr Opcode kOpcode = Opcode::kLdlmEnqueue;
    using Reply = LdlmEnqueueReply;
    ResourceId resource;         // intent lookup: ignored
    uint8_t type = 0, mode = 0;  // LockType, LockMode
    LockPolicy policy;
    uint32_t flags = 0;
    uint64_t client_handle = 0;  // chosen by the client, unique in its namespace
    uint8_t intent = 0;
    Fid fid;                     // intent: object (getattr) or directory (lookup)
    NameText name;               // intent lookup
    template <class Io> void io(Io& x)
    {
        x.sub(resource); x.u8(type); x.u8(mode); x.sub(policy); x.u32(flags); x.u64(client_handle);
        x.u8(intent); x.fid(fid); x.text(name);
    }
};
// The active server lock has an opcode of its own (same body) so that the gate table can let it
// pass while all else waits.
struct ActiveEnqueueOp : LdlmEnqueueOp {
    static constexpr Opcode kOpcode = Opcode::kActiveEnqueue;
};
struct LockHandle {
    LockHandle(uint64_t h = 0) : value(h) {}
    operator uint64_t() const { return value; }
    uint64_t value;
    template <class Io> void io(Io& x) { x.u64(value); }
};
struct LdlmCancelReply {
    // with kRpcCommitted: over how long the clients shall spread their return (restart_spread.h)
    uint32_t restart_spread_ms = 0;
    template <class Io> void io(Io& x) { x.u32(restart_spread_ms); }
};
struct LdlmCancelOp {
    static constexpr Opcode kOpcode = Opcode::kLdlmCancel;
    using Reply = LdlmCancelReply;  // of the active lock: withheld until all is committed (E1)
    Vec<LockHandle> server_handles;
    static constexpr size_t kMax = 512;
    template <class Io> void io(Io& x) { x.list(server_handles, kMax); }
};
// To every holder of the active lock: a shutdown is coming, write back what is dirty, in the
// background (B2).
struct ActiveWarmOp {
    static constexpr Opcode kOpcode = Opcode::kActiveWarm;
    using Reply = Empty;
    template <class Io> void io(Io&) {}
};
struct LdlmBlAst {
    static constexpr Opcode kOpcode = Opcode::kLdlmBlAst;
    using Reply = Empty;
    uint64_t client_handle = 0, server_handle = 0;
    template <class Io> void io(Io& x) { x.u64(client_handle); x.u64(server_handle); }
};

// ---- file locks: flock(2) and fcntl(2), which know nothing of each other. Advisory, of an owner
// on a client, never called back: they are no locks of a namespace (whose clients cache what they
// cover) but a table of ranges beside it (ldlm/flock.h).

enum class FlockKind : uint8_t { kPosix = 1, kFlock = 2 };
struct FlockRange {
    Fid fid;
    uint8_t kind = 0;      // FlockKind
    uint8_t mode = 0;      // LockMode: kPR shared, kPW exclusive, kNL unlocked
    uint64_t start = 0, end = UINT64_MAX;  // inclusive; a flock covers everything
    uint64_t owner = 0;    // the client's business
    uint32_t pid = 0;      // for F_GETLK
    template <class Io> void io(Io& x)
    {
        x.fid(fid); x.u8(kind); x.u8(mode); x.u64(start); x.u64(end); x.u64(owner); x.u32(pid);
    }
};
enum FlockFlags : uint32_t {
    kFlockWait = 1,        // else -EAGAIN when somebody is in the way
    kFlockTest = 2,        // F_GETLK: only tell who would be
};
struct LdlmFlockReply {
    FlockRange other;      // test: who is in the way; mode kNL: nobody
    bool same_client = false;
    template <class Io> void io(Io& x) { x.sub(other); x.boolean(same_client); }
};
// Replaces what the owner has in the range. The reply comes when nobody is in the way any more, or
// says -EAGAIN, -EDEADLK, or -kEPark: ask again behind the gate (B3).
struct LdlmFlockOp {
    static constexpr Opcode kOpcode = Opcode::kLdlmFlock;
    using Reply = LdlmFlockReply;
    FlockRange range;
    uint32_t flags = 0;    // FlockFlags
    uint64_t cookie = 0;   // of one that waits: to cancel it; unique in the client
    template <class Io> void io(Io& x) { x.sub(range); x.u32(flags); x.u64(cookie); }
};
// The request waits no longer: it is answered -ERESTARTSYS, unless it was granted before. Not
// known: no error.
struct LdlmFlockCancelOp {
    static constexpr Opcode kOpcode = Opcode::kLdlmFlockCancel;
    using Reply = Empty;
    uint64_t cookie = 0;
    template <class Io> void io(Io& x) { x.u64(cookie); }
};
// What the client holds, after the server started anew.
struct LdlmFlockReplayReply {
    uint32_t lost = 0;     // somebody else has them by now
    template <class Io> void io(Io& x) { x.u32(lost); }
};
struct LdlmFlockReplayOp {
    static constexpr Opcode kOpcode = Opcode::kLdlmFlockReplay;
    using Reply = LdlmFlockReplayReply;
    static constexpr size_t kMax = 1024;
    Vec<FlockRange> ranges;
    template <class Io> void io(Io& x) { x.list(ranges, kMax); }
};
// clang-format on

}  // namespace lull
