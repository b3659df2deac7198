/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an administrator gives to mount a client: "NID[:NID]:/fsname" and options. Errors: -EINVAL
 * with a sentence that says what is wrong.
 */
#pragma once
#include "include/lull/ops_common.h"
#include "lnet/nid.h"

namespace lull {

using WhyText = Text<255>;

struct MountSource {
    Vec<Nid> mgs_nids;
    Text<32> fsname;
};
struct MountOptions {
    // "timeout=SECONDS": how long to wait for targets that are starting or restarting (T9)
    uint32_t timeout_ms = 300000;
    // "intr": a signal with a handler ends a wait for a server, as far as SA_RESTART allows
    bool intr = false;
    // "lazystatfs", or "nolazystatfs": statfs leaves out OSTs that are away, or waits for them
    bool lazystatfs = true;
};

Status parse_mount_source(Str text, MountSource* out, WhyText* why);
// Comma separated. "localflock" is accepted: flock and fcntl locks are local to the client in this
// release.
Status parse_mount_options(Str text, MountOptions* out, WhyText* why);

}  // namespace lull
