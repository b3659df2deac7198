// SPDX-License-Identifier: GPL-2.0-only
// Messages by name, for sim --trace: who says what to whom.
#pragma once
#include "kapi/sim/world.h"

namespace lull::sim {

// From now on each message that is sent prints a line to stderr.
void trace_messages(World& world);

}  // namespace lull::sim
