/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Metadata operations. Version 1 and 2 differ in how objects are named (Encoder::fid) and in create
 * and open:
 *   version 1: the server chooses the identity of a new object and tells it in the reply; the
 *   replay carries it (S9)
 *   version 2: the client chooses the FID from a sequence it was granted
 * and in the order of their fields, as in Lustre 1.8 and 2.0.
 */
#pragma once
#include "include/lull/ops_common.h"

namespace lull {

// Fields in the order of the wire, as many as fit on a line.
// clang-format off

struct MdsGetattrReply {
    Fid fid;
    Attr attr;       // of a regular file: without size, blocks (they are the OSTs')
    Layout layout;   // file: its objects; directory: default for new files
    template <class Io> void io(Io& x) { x.fid(fid); x.sub(attr); x.sub(layout); }
};
struct MdsGetattrOp {  // by FID, or by name in a directory
    static constexpr Opcode kOpcode = Opcode::kMdsGetattr;
    using Reply = MdsGetattrReply;
    Fid fid;
    NameText name;  // empty: fid itself
    template <class Io> void io(Io& x) { x.fid(fid); x.text(name); }
};

struct DirEntry {
    uint64_t cookie = 0;  // where to go on after this entry
    Fid fid;
    uint32_t type = 0;    // S_IFMT bits
    NameText name;
    template <class Io> void io(Io& x) { x.u64(cookie); x.fid(fid); x.u32(type); x.text(name); }
};
struct MdsReaddirReply {
    bool end = false;
    Vec<DirEntry> entries;
    template <class Io> void io(Io& x) { x.boolean(end); x.list(entries, 1024); }
};
struct MdsReaddirOp {
    static constexpr Opcode kOpcode = Opcode::kMdsReaddir;
    using Reply = MdsReaddirReply;
    Fid fid;
    uint64_t cookie = 0;  // 0: from the beginning, without "." and ".."
    uint32_t max_entries = 128;
    template <class Io> void io(Io& x) { x.fid(fid); x.u64(cookie); x.u32(max_entries); }
};
struct MdsReadlinkReply {
    Text<kSymlinkMax> target;
    template <class Io> void io(Io& x) { x.text(target); }
};
struct MdsReadlinkOp {
    static constexpr Opcode kOpcode = Opcode::kMdsReadlink;
    using Reply = MdsReadlinkReply;
    Fid fid;
    template <class Io> void io(Io& x) { x.fid(fid); }
};
struct StatfsReply {
    uint64_t total_bytes = 0, free_bytes = 0, avail_bytes = 0, files = 0, free_files = 0;
    template <class Io> void io(Io& x)
    {
        x.u64(total_bytes); x.u64(free_bytes); x.u64(avail_bytes); x.u64(files); x.u64(free_files);
    }
};
struct MdsStatfsOp {
    static constexpr Opcode kOpcode = Opcode::kMdsStatfs;
    using Reply = StatfsReply;
    template <class Io> void io(Io&) {}
};
struct MdsSyncOp {  // replies when everything executed before it is committed
    static constexpr Opcode kOpcode = Opcode::kMdsSync;
    using Reply = Empty;
    template <class Io> void io(Io&) {}
};
struct MdsGetSeqReply {
    uint64_t seq = 0;
    template <class Io> void io(Io& x) { x.u64(seq); }
};
struct MdsGetSeqOp {  // version 2: a sequence of FIDs for this client's creates
    static constexpr Opcode kOpcode = Opcode::kMdsGetSeq;
    using Reply = MdsGetSeqReply;
    template <class Io> void io(Io&) {}
};

// Create of anything that is not opened at once: directory, symlink, device, fifo, socket, file
// (mknod).
struct MdsCreateReply {
    MdsGetattrReply object;
    Attr parent;  // of the directory, after
    template <class Io> void io(Io& x) { x.sub(object); x.sub(parent); }
};
struct MdsCreateOp {
    static constexpr Opcode kOpcode = Opcode::kMdsCreate;
    using Reply = MdsCreateReply;
    Fid parent;
    NameText name;
    // version 2: chosen by the client; version 1: zero at first, in a replay what the reply said
    Fid fid;
    uint32_t mode = 0, uid = 0, gid = 0, rdev = 0;
    uint64_t time_ns = 0;
    Text<kSymlinkMax> target;  // symlink
    // in a replay: what the reply said, data may have been written to these objects
    Layout layout;
    template <class Io> void io(Io& x)
    {
        if (x.version() == kProtocol1) {
            x.u32(mode); x.u32(uid); x.u32(gid); x.u32(rdev); x.u64(time_ns);
            x.fid(parent); x.text(name); x.text(target); x.fid(fid);
        } else {
            x.fid(fid); x.fid(parent); x.text(name); x.u32(mode); x.u32(uid); x.u32(gid);
            x.u32(rdev); x.u64(time_ns); x.text(target);
        }
        x.sub(layout);
    }
    void absorb(const MdsCreateReply& r)
    {
        fid = r.object.fid;
        layout.absorb(r.object.layout);
    }
};

enum OpenFlags : uint32_t {
    kOpenRead = 1, kOpenWrite = 2, kOpenCreate = 4, kOpenExcl = 8, kOpenTrunc = 16,
    kOpenAppend = 32,
    // no name: the object itself (an open of a known inode; replay of a committed open)
    kOpenByFid = 64,
    // a program is run from it: nobody writes to it meanwhile, on no client (-ETXTBSY)
    kOpenExec = 128,
};
struct MdsOpenReply {
    uint64_t handle = 0;  // to close
    bool created = false;
    MdsGetattrReply object;
    Attr parent;          // valid != 0 when it was changed
    template <class Io> void io(Io& x)
    {
        x.u64(handle); x.boolean(created); x.sub(object); x.sub(parent);
    }
};
struct MdsOpenOp {
    static constexpr Opcode kOpcode = Opcode::kMdsOpen;
    using Reply = MdsOpenReply;
    uint32_t flags = 0;    // OpenFlags
    Fid parent;
    NameText name;
    Fid fid;               // create: as in MdsCreateOp; kOpenByFid: the object
    uint32_t mode = 0, uid = 0, gid = 0;
    uint64_t time_ns = 0;
    uint64_t old_handle = 0;  // replay: the handle the client knows; the server keeps it (S8)
    bool was_created = false; // replay: the original reply said so
    Layout layout;            // replay of a create: what the reply said
    template <class Io> void io(Io& x)
    {
        if (x.version() == kProtocol1) {
            x.u32(flags); x.u32(mode); x.u32(uid); x.u32(gid); x.fid(parent); x.text(name);
            x.u64(time_ns);
            x.fid(fid); x.u64(old_handle); x.boolean(was_created);
        } else {
            x.fid(fid); x.fid(parent); x.text(name); x.u32(flags); x.u64(old_handle);
            x.boolean(was_created);
            x.u32(mode); x.u32(uid); x.u32(gid); x.u64(time_ns);
        }
        x.sub(layout);
    }
    void absorb(const MdsOpenReply& r)
    {
        fid = r.object.fid;
        old_handle = r.handle;
        was_created = r.created;
        if (was_created) layout.absorb(r.object.layout);
    }
};
struct MdsCloseOp {
    static constexpr Opcode kOpcode = Opcode::kMdsClose;
    using Reply = Empty;
    uint64_t handle = 0;
    Fid fid;
    Attr attr;  // times and such that the client changed through this open; valid may be 0
    template <class Io> void io(Io& x) { x.u64(handle); x.fid(fid); x.sub(attr); }
};

struct MdsUnlinkReply {
    Attr parent;
    Fid fid;         // what was unlinked
    Attr object;     // nlink 0: gone, or kept until its last close
    template <class Io> void io(Io& x) { x.sub(parent); x.fid(fid); x.sub(object); }
};
struct MdsUnlinkOp {
    static constexpr Opcode kOpcode = Opcode::kMdsUnlink;
    using Reply = MdsUnlinkReply;
    Fid parent;
    NameText name;
    bool rmdir = false;
    uint64_t time_ns = 0;
    // zero at first; a replay carries what was unlinked, so that it never unlinks another object
    Fid fid;
    template <class Io> void io(Io& x)
    {
        x.fid(parent); x.text(name); x.boolean(rmdir); x.u64(time_ns); x.fid(fid);
    }
    void absorb(const MdsUnlinkReply& r) { fid = r.fid; }
};
struct MdsLinkReply {
    Attr parent, object;
    template <class Io> void io(Io& x) { x.sub(parent); x.sub(object); }
};
struct MdsLinkOp {
    static constexpr Opcode kOpcode = Opcode::kMdsLink;
    using Reply = MdsLinkReply;
    Fid fid, parent;
    NameText name;
    uint64_t time_ns = 0;
    template <class Io> void io(Io& x) { x.fid(fid); x.fid(parent); x.text(name); x.u64(time_ns); }
};
struct MdsRenameReply {
    Attr from_parent, to_parent, object;
    Fid fid;           // moved
    Fid replaced;      // zero: nothing was there
    Attr replaced_attr;
    template <class Io> void io(Io& x)
    {
        x.sub(from_parent); x.sub(to_parent); x.sub(object); x.fid(fid); x.fid(replaced);
        x.sub(replaced_attr);
    }
};
struct MdsRenameOp {
    static constexpr Opcode kOpcode = Opcode::kMdsRename;
    using Reply = MdsRenameReply;
    Fid from_parent, to_parent;
    NameText from, to;
    bool no_replace = false;  // RENAME_NOREPLACE
    uint64_t time_ns = 0;
    Fid fid, replaced;        // for the replay
    template <class Io> void io(Io& x)
    {
        x.fid(from_parent); x.text(from); x.fid(to_parent); x.text(to); x.boolean(no_replace);
        x.u64(time_ns);
        x.fid(fid); x.fid(replaced);
    }
    void absorb(const MdsRenameReply& r) { fid = r.fid; replaced = r.replaced; }
};
struct MdsSetattrReply {
    Attr attr;
    template <class Io> void io(Io& x) { x.sub(attr); }
};
struct MdsSetattrOp {  // without size of regular files (OstPunch)
    static constexpr Opcode kOpcode = Opcode::kMdsSetattr;
    using Reply = MdsSetattrReply;
    Fid fid;
    Attr attr;
    template <class Io> void io(Io& x) { x.fid(fid); x.sub(attr); }
};
struct MdsSetLayoutOp {  // default layout of a directory; stripe_bytes 0 removes it
    static constexpr Opcode kOpcode = Opcode::kMdsSetLayout;
    using Reply = Empty;
    Fid fid;
    Layout layout;
    template <class Io> void io(Io& x) { x.fid(fid); x.sub(layout); }
};
// clang-format on

}  // namespace lull
