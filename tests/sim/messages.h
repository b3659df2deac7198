// SPDX-License-Identifier: GPL-2.0-only
// Messages by name, for sim --trace: who says what to whom.
#pragma once
#include "kapi/sim/world.h"

namespace lull::sim {

// From now on each message that is sent prints a line to stderr.
void trace_messages(World& world);

// A piece of a stream that begins a reply to an operation with a reply slot that got a transaction
// number.
bool tells_of_a_change(const std::string& bytes);

}  // namespace lull::sim
