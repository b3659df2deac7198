// SPDX-License-Identifier: GPL-2.0-only
#include "utils/upgrade/status.h"

#include <fmt/format.h>

namespace lull::upgrade {

bool show_status(const Cluster& cluster, const Options& options, const Say& say)
{
    const Survey survey(cluster, options.servers, options.partners, options.mgs, say);
    bool all_well = survey.has_mgs_answered() && survey.missing().empty();
    for (const std::string& node : survey.nodes())
        for (const Mount& mount : survey.seen(node).mounts) {
            std::string state = cluster.state(node, mount.target);
            say(fmt::format("{}: {} on {}, {}", mount.target.name, state, node, mount.directory));
            if (!survey.is_removed(mount.target.name)) all_well &= state == "running";
        }
    for (const Missing& missing : survey.missing())
        say(fmt::format("{}: runs nowhere", missing.name));
    return all_well;
}

}  // namespace lull::upgrade
