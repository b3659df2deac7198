// SPDX-License-Identifier: GPL-2.0-only
#pragma once
#include "target/target.h"

namespace lull {

ServiceFactory service_factory(TargetKind kind);  // null: no such kind

}  // namespace lull
