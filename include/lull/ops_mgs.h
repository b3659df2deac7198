/* SPDX-License-Identifier: GPL-2.0-only */
/* Configuration server: targets register, clients ask for the targets of a file system. */
#pragma once
#include "include/lull/ops_common.h"

namespace lull {

enum class TargetKind : uint8_t { kMgs = 1, kMdt = 2, kOst = 3 };

struct TargetConfig {
    TargetName name;         // lull-OST0001
    uint8_t kind = 0;        // TargetKind
    uint32_t index = 0;
    Text<256> nids;          // where it may run: 10.0.0.1@tcp:10.0.0.2@tcp, failover partners included
    template <class Io> void io(Io& x) { x.text(name); x.u8(kind); x.u32(index); x.text(nids); }
};
struct MgsRegisterOp {       // idempotent; -EADDRINUSE: another target already has this fsname, kind and index
    static constexpr Opcode kOpcode = Opcode::kMgsRegister;
    using Reply = Empty;
    Text<32> fsname;
    TargetConfig target;
    UuidText target_uuid;
    template <class Io> void io(Io& x) { x.text(fsname); x.sub(target); x.text(target_uuid); }
};
struct MgsConfigReply {
    Vec<TargetConfig> targets;
    template <class Io> void io(Io& x) { x.list(targets, 1024); }
};
struct MgsConfigOp {         // -ENOENT: no file system of that name is known
    static constexpr Opcode kOpcode = Opcode::kMgsConfig;
    using Reply = MgsConfigReply;
    Text<32> fsname;
    template <class Io> void io(Io& x) { x.text(fsname); }
};

}  // namespace lull
