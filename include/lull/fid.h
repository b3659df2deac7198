/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * FIDs name objects, as in Lustre 2: a sequence, an object id in it, a version (always 0).
 *
 * Protocol version 1 knows no FIDs: it names an object by inode number (64 bit) and generation (32
 * bit) which the *server* chooses at create. Inside Lull such a name is the FID {seq = inode
 * number, oid = generation}, an "IGIF", kept for the life of the object; the sequences of version 2
 * start above every inode number a version-1 server hands out. So the two namings map onto each
 * other without a table, in both directions (S9, A3).
 */
#pragma once
#include <cstdint>

namespace lull {

struct Fid {
    uint64_t seq = 0;
    uint32_t oid = 0;
    uint32_t ver = 0;
    constexpr bool is_zero() const { return seq == 0 && oid == 0; }
    constexpr bool is_igif() const;
    friend constexpr bool operator==(const Fid&, const Fid&) = default;
    friend constexpr bool operator<(const Fid& a, const Fid& b)
    {
        return a.seq != b.seq ? a.seq < b.seq : a.oid != b.oid ? a.oid < b.oid : a.ver < b.ver;
    }
    // A stable 64-bit number for st_ino and hash tables.
    constexpr uint64_t flatten() const
    {
        if (is_igif()) return seq;
        uint64_t h = (seq << 24) + ((seq >> 24) & 0xffffffull) + oid;
        return h | (1ull << 62);
    }
};

inline constexpr uint64_t kFidSeqStart = 0x200000000ull;         // FID_SEQ_START
inline constexpr uint64_t kFidSeqRoot = kFidSeqStart + 7;        // FID_SEQ_ROOT
inline constexpr uint64_t kFidSeqUpdateLock = kFidSeqStart + 3;  // S3
inline constexpr uint32_t kFidOidUpdateLock = 0x0ba771e7;        // S3
// OST objects: kFidSeqOstBase + OST index, oid: serial (64 bit over oid/ver)
inline constexpr uint64_t kFidSeqOstBase = 0x100000000ull;
// FID_SEQ_NORMAL: granted to clients from here on
inline constexpr uint64_t kFidSeqNormal = 0x200000400ull;
// objects of one sequence, from 1
inline constexpr uint32_t kFidsPerSequence = 1u << 17;
inline constexpr Fid kRootFid{kFidSeqRoot, 1, 0};
constexpr bool Fid::is_igif() const { return seq >= 12 && seq < 0x100000000ull; }

#define FID_FMT "[0x%llx:0x%x:0x%x]"
#define FID_ARG(f) static_cast<unsigned long long>((f).seq), (f).oid, (f).ver

}  // namespace lull
