// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parameters every target has (mdt.NAME.…, obdfilter.NAME.…, mgs.MGS.…), and those of its
 * service behind the same device.
 */
#pragma once
#include "target/target.h"

namespace lull {

// Object of every parameter: the TargetImpl. They stay readable after a halt; what needs the store
// or the service then says -ESHUTDOWN.
Result<Vec<Param>> target_params(TargetService& service);

}  // namespace lull
