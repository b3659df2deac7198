/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Operations as logical structures. Each has
 *   static constexpr Opcode kOpcode;  using Reply = …;  template <class Io> void io(Io&);
 * and, where a reply teaches it something it needs for a replay, absorb(const Reply&).
 * Body layout on the wire is what io() says for the version at hand.
 */
#pragma once
#include "include/lull/codec.h"
#include "include/lull/opcode.h"

namespace lull {

// Fields in the order of the wire, as many as fit on a line.
// clang-format off

inline constexpr size_t kNameMax = 255;
inline constexpr size_t kSymlinkMax = 4095;
inline constexpr size_t kStripesMax = 32;
using NameText = Text<kNameMax>;
using TargetName = Text<64>;  // "lull-MDT0000"
using UuidText = Text<40>;    // of a client

struct Empty {
    template <class Io> void io(Io&) {}
};

// Attributes of an object; times in ns since 1970, of earlier ones the two's complement. valid:
// AttrValid bits that are meant.
enum AttrValid : uint32_t {
    kAttrMode = 1, kAttrUid = 2, kAttrGid = 4, kAttrSize = 8, kAttrAtime = 16, kAttrMtime = 32,
    kAttrCtime = 64, kAttrNlink = 128, kAttrRdev = 256, kAttrBlocks = 512,
    kAttrAtimeNow = 1024, kAttrMtimeNow = 2048,
    // In a setattr, of anything but a directory: the server takes S_ISUID, and S_ISGID where the
    // group may execute it, away from the mode that it has; or S_ISGID in any case.
    kAttrKillSuid = 4096, kAttrKillSgid = 8192,
    // In the reply to what removed the last name: no other client has it open, nor ever will.
    kAttrUnused = 16384,
};
struct Attr {
    uint32_t valid = 0;
    uint32_t mode = 0;  // with S_IFMT
    uint32_t uid = 0, gid = 0, nlink = 0, rdev = 0;
    uint64_t size = 0, blocks_512 = 0;
    uint64_t atime_ns = 0, mtime_ns = 0, ctime_ns = 0;
    template <class Io> void io(Io& x)
    {
        x.u32(valid); x.u32(mode); x.u32(uid); x.u32(gid); x.u32(nlink); x.u32(rdev);
        x.u64(size); x.u64(blocks_512); x.u64(atime_ns); x.u64(mtime_ns); x.u64(ctime_ns);
    }
};

// RAID-0 layout. On a directory: the default for new files in it (objects empty). stripe_count 0:
// file system default.
struct StripeObject {
    uint32_t ost_index = 0;
    Fid fid;
    template <class Io> void io(Io& x)
    {
        x.u32(ost_index);
        x.u64(fid.seq); x.u32(fid.oid); x.u32(fid.ver);  // OST objects are FIDs in every version
    }
};
struct Layout {
    uint32_t stripe_bytes = 0;   // a multiple of 64 KiB
    uint32_t stripe_count = 0;   // of a default; UINT32_MAX: all OSTs
    Vec<StripeObject> objects;
    bool is_set() const { return stripe_bytes != 0; }
    template <class Io> void io(Io& x)
    {
        x.u32(stripe_bytes); x.u32(stripe_count); x.list(objects, kStripesMax);
        if constexpr (Io::kDecoding)
            if (objects.size() && (stripe_bytes == 0 || stripe_bytes % 4096 != 0)) x.fail();
    }
    Status copy_from(const Layout& o)
    {
        stripe_bytes = o.stripe_bytes;
        stripe_count = o.stripe_count;
        return objects.assign(o.objects.data(), o.objects.size());
    }
    // For an operation that learns from its reply. Without memory it stays unset: the replay of a
    // create then gets other objects.
    void absorb(const Layout& o)
    {
        if (!copy_from(o).ok()) *this = Layout();
    }
};
// clang-format on

}  // namespace lull
