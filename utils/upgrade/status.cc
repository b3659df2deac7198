// SPDX-License-Identifier: GPL-2.0-only
#include "utils/upgrade/status.h"

#include <fmt/format.h>

#include <algorithm>

namespace lull::upgrade {

bool show_status(const Cluster& cluster, const Options& options, const Say& say)
{
    std::vector<std::string> partners, nodes = options.servers;
    for (const auto& [node, partner] : options.partners) partners.push_back(partner);
    const Survey survey(cluster, options.servers, partners, options.mgs, say);
    bool all_well = survey.has_mgs_answered() && survey.missing().empty();
    for (const std::string& partner : partners)
        if (std::find(nodes.begin(), nodes.end(), partner) == nodes.end()) nodes.push_back(partner);
    for (const std::string& node : nodes)
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
