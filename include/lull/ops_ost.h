/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Object operations. An object that was never written does not exist yet and reads as empty: the
 * MDT hands out object FIDs without asking, the first write creates. What can create one says whose
 * it is, so that the MDT finds objects of files that a crash has undone. Bulk data travels with the
 * message (OstWrite request, OstRead reply).
 */
#pragma once
#include "include/lull/ops_mds.h"

namespace lull {

// The end of the longest object: what ext4 with blocks of 4 KiB holds, as mkfs.lull makes it.
inline constexpr uint64_t kObjectMaxBytes = ((1ull << 32) - 1) * 4096;

// Fields in the order of the wire, as many as fit on a line.
// clang-format off

struct OstFid {  // OST objects are FIDs in every version
    Fid fid;
    template <class Io> void io(Io& x) { x.u64(fid.seq); x.u32(fid.oid); x.u32(fid.ver); }
};
struct OstReadReply {
    uint32_t bytes = 0;  // of bulk; short at the end of the object
    uint64_t size = 0;   // of the object
    template <class Io> void io(Io& x) { x.u32(bytes); x.u64(size); }
};
struct OstReadOp {
    static constexpr Opcode kOpcode = Opcode::kOstRead;
    using Reply = OstReadReply;
    OstFid object;
    uint64_t offset = 0;
    uint32_t bytes = 0;  // at most kBulkMaxBytes
    template <class Io> void io(Io& x) { x.sub(object); x.u64(offset); x.u32(bytes); }
};
struct OstWriteReply {
    uint64_t grant_bytes = 0;  // further grant given
    uint64_t blocks_512 = 0;
    template <class Io> void io(Io& x) { x.u64(grant_bytes); x.u64(blocks_512); }
};
struct OstWriteOp {
    static constexpr Opcode kOpcode = Opcode::kOstWrite;
    using Reply = OstWriteReply;
    OstFid object;
    uint64_t offset = 0;
    uint32_t bytes = 0;         // of bulk
    uint64_t mtime_ns = 0;
    // bytes of grant this write consumes; 0: without grant, may fail with -ENOSPC
    uint64_t grant_used = 0;
    uint64_t grant_want = 0;    // bytes of grant the client would like to have
    uint32_t uid = 0, gid = 0;
    OstFid file;                // whose the object is
    template <class Io> void io(Io& x)
    {
        x.sub(object); x.u64(offset); x.u32(bytes); x.u64(mtime_ns); x.u64(grant_used);
        x.u64(grant_want); x.u32(uid); x.u32(gid);
        x.sub(file);
    }
};
struct OstPunchOp {  // truncate (or extend) to size
    static constexpr Opcode kOpcode = Opcode::kOstPunch;
    using Reply = Empty;
    OstFid object;
    uint64_t size = 0;
    uint64_t time_ns = 0;
    OstFid file;
    template <class Io> void io(Io& x) { x.sub(object); x.u64(size); x.u64(time_ns); x.sub(file); }
};
struct OstSetattrOp {  // times, owner
    static constexpr Opcode kOpcode = Opcode::kOstSetattr;
    using Reply = Empty;
    OstFid object;
    Attr attr;
    OstFid file;
    template <class Io> void io(Io& x) { x.sub(object); x.sub(attr); x.sub(file); }
};
struct OstGetattrReply {
    Attr attr;
    template <class Io> void io(Io& x) { x.sub(attr); }
};
struct OstGetattrOp {
    static constexpr Opcode kOpcode = Opcode::kOstGetattr;
    using Reply = OstGetattrReply;
    OstFid object;
    template <class Io> void io(Io& x) { x.sub(object); }
};
struct OstDestroyOp {  // an object that does not exist is destroyed already
    static constexpr Opcode kOpcode = Opcode::kOstDestroy;
    using Reply = Empty;
    Vec<OstFid> objects;
    template <class Io> void io(Io& x) { x.list(objects, 256); }
};
struct OstStatfsOp {
    static constexpr Opcode kOpcode = Opcode::kOstStatfs;
    using Reply = StatfsReply;
    template <class Io> void io(Io&) {}
};
struct OstSyncOp {  // replies when everything executed before it is committed
    static constexpr Opcode kOpcode = Opcode::kOstSync;
    using Reply = Empty;
    template <class Io> void io(Io&) {}
};

// Objects that exist, of the serials [from, to): for the MDT's search for orphans. In no order;
// bucket and cookie say where to go on.
struct OstListEntry {
    OstFid object, file;  // file: zero if nobody said whose it is
    uint64_t bytes = 0;
    template <class Io> void io(Io& x) { x.sub(object); x.sub(file); x.u64(bytes); }
};
struct OstListReply {
    static constexpr size_t kMax = 256;
    Vec<OstListEntry> entries;
    uint32_t bucket = 0;
    uint64_t cookie = 0;
    bool end = false;
    template <class Io> void io(Io& x)
    {
        x.list(entries, kMax); x.u32(bucket); x.u64(cookie); x.boolean(end);
    }
};
struct OstListOp {
    static constexpr Opcode kOpcode = Opcode::kOstList;
    using Reply = OstListReply;
    uint64_t from = 0, to = 0;
    uint32_t bucket = 0;
    uint64_t cookie = 0;
    template <class Io> void io(Io& x) { x.u64(from); x.u64(to); x.u32(bucket); x.u64(cookie); }
};
// clang-format on

}  // namespace lull
