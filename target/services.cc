// SPDX-License-Identifier: GPL-2.0-only
/* The one place that lists the kinds of targets. */
#include "target/services.h"

namespace lull {

ServiceFactory service_factory(TargetKind kind)
{
    switch (kind) {
    case TargetKind::kMgs: return make_mgs;
    case TargetKind::kMdt: return make_mdt;
    case TargetKind::kOst: return make_ofd;
    }
    return nullptr;
}

}  // namespace lull
