// SPDX-License-Identifier: GPL-2.0-only
/*
 * CONFIGS/mountdata: which targets a device holds. Written by mkfs.lull, never by the targets (T6).
 */
#pragma once
#include "target/target.h"

namespace lull {

// Lines "key=value": format=1, fsname, kinds (mgs | mgs,mdt | mdt | ost), index, uuid, mgsnode,
// servicenode, stripesize, stripecount. The MGS comes first in out. -EINVAL with *why.
Status parse_mountdata(Str text, Vec<TargetIdentity>* out, Text<200>* why);

const char* device_type(TargetKind kind);  // "mgs", "mdt", "obdfilter": as parameters name it

}  // namespace lull
