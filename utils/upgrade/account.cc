// SPDX-License-Identifier: GPL-2.0-only
#include "utils/upgrade/account.h"

#include <fmt/format.h>

namespace lull::upgrade {

void Account::know(const std::string& node, const Mount& mount)
{
    for (Place& place : targets_[mount.target.name])
        if (place.node == node) return void(place.mount = mount);
    targets_[mount.target.name].push_back({node, mount});
}

Mount Account::place(const std::string& node, const Mount& mount) const
{
    auto found = targets_.find(mount.target.name);
    if (found != targets_.end())
        for (const Place& place : found->second)
            if (place.node == node) return place.mount;
    return mount;
}

std::vector<std::string> Account::of_what_is_down() const
{
    std::vector<std::string> lines;
    std::map<std::string, std::vector<Mount>> now;
    std::map<std::string, bool> silent;
    for (const auto& [name, places] : targets_)
        for (const Place& place : places) {
            if (now.count(place.node) || silent[place.node]) continue;
            try {
                now[place.node] = cluster_.mounts(place.node);
            } catch (const Surprise& surprise) {
                silent[place.node] = true;
                lines.push_back(fmt::format("{} does not answer: {}", place.node, surprise.what()));
            }
        }
    for (const auto& [name, places] : targets_)
        if (std::string one = line(name, now); !one.empty()) lines.push_back(one);
    return lines;
}

// "": it runs.
std::string Account::line(const std::string& target,
                          const std::map<std::string, std::vector<Mount>>& now) const
{
    const Remote& remote = cluster_.remote();
    for (const auto& [node, mounts] : now)
        for (const Mount& mount : mounts) {
            if (mount.target.name != target) continue;
            Outcome state =
                remote.try_run(node,
                               "lctl get_param -n " + mount.target.param("controlled_shutdown"),
                               60);
            if (state.status == 0 && state.output == "running") return "";
            bool ended = state.status || state.output == "halted";
            std::string again = ended ? fmt::format("umount {}; {}", mount.directory,
                                                    mount_command(mount.device, mount.directory))
                                      : fmt::format("lctl set_param {}=0",
                                                    mount.target.param("controlled_shutdown"));
            return fmt::format("{} on {} is {}; it serves again by: {}", target, node,
                               state.status ? "in no known state" : state.output,
                               remote.command(node, again));
        }
    std::string text;
    for (const Place& place : targets_.at(target)) {
        std::string again =
            remote.command(place.node, mount_command(place.mount.device, place.mount.directory));
        text += text.empty() ? fmt::format("{} is down; it comes back on {} by: {}", target,
                                           place.node, again)
                             : fmt::format("; or on {} by: {}", place.node, again);
    }
    return text;
}

}  // namespace lull::upgrade
