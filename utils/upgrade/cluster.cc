// SPDX-License-Identifier: GPL-2.0-only
#include "utils/upgrade/cluster.h"

#include <fmt/format.h>

#include <regex>
#include <sstream>

namespace lull::upgrade {

std::vector<Mount> Cluster::mounts(const std::string& node) const
{
    // A node without a target is none of our business; one that cannot be asked is.
    std::istringstream lines(remote_.run(node, "grep ' lull .*svname=' /proc/mounts || true"));
    static const std::regex form(R"((\S+) (\S+) lull (\S+) .*)");
    static const std::regex service(R"(.*\bsvname=([^, ]+).*)");
    std::vector<Mount> found;
    for (std::string line; std::getline(lines, line);) {
        std::smatch fields, name;
        if (!std::regex_match(line, fields, form)) continue;
        std::string options = fields[3];
        if (!std::regex_match(options, name, service)) continue;
        Target target{name[1],
                      std::string(name[1]).find("-MDT") != std::string::npos ? "mdt" : "obdfilter"};
        found.push_back({fields[1], fields[2], target});
    }
    return found;
}

std::string Cluster::get(const std::string& node, const std::string& param) const
{
    return remote_.run(node, "lctl get_param -n " + param);
}

void Cluster::set(const std::string& node, const std::string& param, const std::string& value) const
{
    (void)remote_.run(node, fmt::format("lctl set_param -n {}={}", param, value));
}

std::map<std::string, std::string> Cluster::table(const std::string& node,
                                                  const std::string& param) const
{
    std::map<std::string, std::string> out;
    std::istringstream lines(get(node, param));
    for (std::string line; std::getline(lines, line);) {
        size_t colon = line.find(": ");
        if (colon != std::string::npos) out[line.substr(0, colon)] = line.substr(colon + 2);
    }
    return out;
}

void Cluster::check(const std::string& node, const Mount& mount) const
{
    std::string state = get(node, mount.target.param("controlled_shutdown"));
    if (state != "running")
        throw Surprise(
            fmt::format("{} on {} is {}, not running: finish or cancel that shutdown first",
                        mount.target.name, node, state));
    if (table(node, mount.target.param("recovery_status"))["status"] == "RECOVERING")
        throw Surprise(
            fmt::format("{} on {} is recovering: wait until lctl get_param {} says COMPLETE",
                        mount.target.name, node, mount.target.param("recovery_status")));
}

}  // namespace lull::upgrade
