/* SPDX-License-Identifier: GPL-2.0-only */
/* What of a file system runs where, and whether all does that should. Changes nothing. */
#pragma once
#include "utils/upgrade/upgrade.h"

namespace lull::upgrade {

// A line for each target. False: something should run and does not, or that cannot be known.
bool show_status(const Cluster& cluster, const Options& options, const Say& say);

}  // namespace lull::upgrade
