/* SPDX-License-Identifier: GPL-2.0-only */
/* Configuration server: targets register, clients ask for the targets of a file system. */
#pragma once
#include "include/lull/ops_common.h"

namespace lull {

// Fields in the order of the wire, as many as fit on a line.
// clang-format off

enum class TargetKind : uint8_t { kMgs = 1, kMdt = 2, kOst = 3 };

struct TargetConfig {
    TargetName name;         // lull-OST0001
    uint8_t kind = 0;        // TargetKind
    uint32_t index = 0;
    // where it may run: 10.0.0.1@tcp:10.0.0.2@tcp, failover partners included
    Text<256> nids;
    template <class Io> void io(Io& x) { x.text(name); x.u8(kind); x.u32(index); x.text(nids); }
};
// Where a target runs now, as it said when it started (R5). A hint, kept in the MGS's memory only.
struct TargetPlace {
    TargetName name;
    uint32_t nid = 0;        // IPv4, host order; 0: not known
    uint64_t instance = 0;
    template <class Io> void io(Io& x) { x.text(name); x.u32(nid); x.u64(instance); }
};
// idempotent; -EADDRINUSE: another target already has this fsname, kind and index. -ESTALE: it was
// removed from the file system
struct MgsRegisterOp {
    static constexpr Opcode kOpcode = Opcode::kMgsRegister;
    using Reply = Empty;
    Text<32> fsname;
    TargetConfig target;
    UuidText target_uuid;
    uint32_t nid = 0;        // where it runs
    uint64_t instance = 0;
    template <class Io> void io(Io& x)
    {
        x.text(fsname); x.sub(target); x.text(target_uuid); x.u32(nid); x.u64(instance);
    }
};
struct MgsConfigReply {
    Vec<TargetConfig> targets;
    Vec<TargetPlace> places;  // of those that have started since the MGS has
    template <class Io> void io(Io& x) { x.list(targets, 1024); x.list(places, 1024); }
};
struct MgsConfigOp {         // -ENOENT: no file system of that name is known
    static constexpr Opcode kOpcode = Opcode::kMgsConfig;
    using Reply = MgsConfigReply;
    Text<32> fsname;
    template <class Io> void io(Io& x) { x.text(fsname); }
};
enum class TargetUse : uint8_t {
    kInactive = 0,           // what lies there cannot be used, nobody waits for it
    kActive = 1,
    kRemoved = 2,            // so, too, for good: its index is not given to another
};
// What an administrator has told the MGS of an OST.
struct TargetSettings {
    TargetName name;
    uint8_t active = 1;      // TargetUse
    uint32_t max_create_count = kMaxCreateCount;  // 0: no new objects
    static constexpr uint32_t kMaxCreateCount = 20000;  // as Lustre's, and of no other meaning here
    bool is_active() const { return active == static_cast<uint8_t>(TargetUse::kActive); }
    bool is_removed() const { return active == static_cast<uint8_t>(TargetUse::kRemoved); }
    template <class Io> void io(Io& x) { x.text(name); x.u8(active); x.u32(max_create_count); }
};
// "lull-OST001a": 26; -EINVAL.
inline Result<uint32_t> ost_index_of(Str target)
{
    size_t end = target.size();
    if (end < 8 || !(target.substr(end - 8, 4) == Str("-OST"))) return -kEINVAL;
    uint32_t index = 0;
    for (size_t i = end - 4; i < end; i++) {
        char c = target[i];
        bool digit = c >= '0' && c <= '9';
        if (!digit && (c < 'a' || c > 'f')) return -kEINVAL;
        index = index << 4 | static_cast<uint32_t>(digit ? c - '0' : c - 'a' + 10);
    }
    return index;
}
struct MgsSettingsReply {    // those that are not as by default
    Vec<TargetSettings> settings;
    template <class Io> void io(Io& x) { x.list(settings, 1024); }
};
struct MgsSettingsOp {       // -EOPNOTSUPP: an MGS that knows none
    static constexpr Opcode kOpcode = Opcode::kMgsSettings;
    using Reply = MgsSettingsReply;
    Text<32> fsname;
    template <class Io> void io(Io& x) { x.text(fsname); }
};
struct OstIndex {
    uint32_t index = 0;
    template <class Io> void io(Io& x) { x.u32(index); }
};
// The OSTs on which the MDT may have objects, all of them. It puts none on another one before this
// was answered, so that the MGS knows which OSTs may be removed. -ESTALE: a later life of this MDT
// has told. -EOPNOTSUPP: an MGS that removes none.
struct MgsOstsUsedOp {
    static constexpr Opcode kOpcode = Opcode::kMgsOstsUsed;
    using Reply = Empty;
    Text<32> fsname;
    uint64_t instance = 0;   // of the MDT
    Vec<OstIndex> used;
    template <class Io> void io(Io& x) { x.text(fsname); x.u64(instance); x.list(used, 1024); }
};
// To everybody connected to the MGS, when a target has started. Who was away asks with MgsConfig
// when it is back. Without an address: its settings have changed.
struct MgsTargetAt {
    static constexpr Opcode kOpcode = Opcode::kMgsTargetAt;
    using Reply = Empty;
    Text<32> fsname;
    TargetPlace place;
    template <class Io> void io(Io& x) { x.text(fsname); x.sub(place); }
};
// The file-system-wide active lock (T5), in PR: answered when it is granted.
struct MgsFsLockReply {
    uint64_t handle = 0;
    template <class Io> void io(Io& x) { x.u64(handle); }
};
struct MgsFsLockOp {
    static constexpr Opcode kOpcode = Opcode::kMgsFsLock;
    using Reply = MgsFsLockReply;
    Text<32> fsname;
    template <class Io> void io(Io& x) { x.text(fsname); }
};
// Given back: everything of this client is committed on every target. Not held: no error.
struct MgsFsUnlockOp {
    static constexpr Opcode kOpcode = Opcode::kMgsFsUnlock;
    using Reply = Empty;
    Text<32> fsname;
    template <class Io> void io(Io& x) { x.text(fsname); }
};
// To each holder: the administrator wants the file system frozen.
struct MgsFsWanted {
    static constexpr Opcode kOpcode = Opcode::kMgsFsWanted;
    using Reply = Empty;
    Text<32> fsname;
    uint64_t handle = 0;     // of the lock that is wanted back
    template <class Io> void io(Io& x) { x.text(fsname); x.u64(handle); }
};
// clang-format on

}  // namespace lull
