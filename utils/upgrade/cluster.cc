// SPDX-License-Identifier: GPL-2.0-only
#include "utils/upgrade/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <sstream>

namespace lull::upgrade {

namespace {

constexpr const char* kLabels =
    "MGS|?*-MDT[0-9a-f][0-9a-f][0-9a-f][0-9a-f]|"
    "?*-OST[0-9a-f][0-9a-f][0-9a-f][0-9a-f]";

// "10.0.0.1@tcp:10.0.0.2@tcp" without the networks.
std::vector<std::string> to_addresses(const std::string& nids)
{
    std::vector<std::string> out;
    std::istringstream words(nids);
    for (std::string nid; std::getline(words, nid, ':');)
        out.push_back(nid.substr(0, nid.find('@')));
    return out;
}

}  // namespace

Target target_named(const std::string& name)
{
    bool mdt = name.find("-MDT") != std::string::npos;
    return {name, name == "MGS" ? "mgs" : mdt ? "mdt" : "obdfilter"};
}

std::string mount_command(const std::string& device, const std::string& directory)
{
    return fmt::format("mkdir -p {0} && mount -t lull {1} {0}", directory, device);
}

std::vector<Mount> Cluster::mounts(const std::string& node) const
{
    // A node without a target is none of our business; one that cannot be asked is.
    std::istringstream lines(remote_.run(node, "cat /proc/mounts"));
    static const std::regex form(R"((/\S+) (\S+) lull (\S+) .*)");
    static const std::regex service(R"(.*\bsvname=([^, ]+).*)"), mgs(R"((.*,)?mgs(,.*)?)");
    std::vector<Mount> found;
    for (std::string line; std::getline(lines, line);) {
        std::smatch fields, name;
        if (!std::regex_match(line, fields, form)) continue;
        std::string options = fields[3];
        bool has_mgs = std::regex_match(options, mgs);
        bool has_name = std::regex_match(options, name, service);
        if (!has_mgs && !has_name) continue;
        found.push_back({fields[1],
                         fields[2],
                         target_named(has_name ? std::string(name[1]) : "MGS"),
                         has_mgs,
                         {}});
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

std::string Cluster::state(const std::string& node, const Target& target) const
{
    return get(node, target.param("controlled_shutdown"));
}

void Cluster::check(const std::string& node, const Mount& mount) const
{
    std::string state = this->state(node, mount.target);
    if (state != "running")
        throw Surprise(
            fmt::format("{} on {} is {}, not running: finish or cancel that shutdown "
                        "first, or go on with it by lull upgrade --resume",
                        mount.target.name, node, state));
    if (table(node, mount.target.param("recovery_status"))["status"] == "RECOVERING")
        throw Surprise(
            fmt::format("{} on {} is recovering: wait until lctl get_param {} says COMPLETE",
                        mount.target.name, node, mount.target.param("recovery_status")));
}

std::vector<std::string> Cluster::addresses(const std::string& node) const
{
    std::istringstream words(remote_.run(node, "hostname -I"));
    std::vector<std::string> out;
    for (std::string word; words >> word;) out.push_back(word);
    return out;
}

std::vector<Registered> Cluster::registered(const std::string& node) const
{
    std::istringstream lines(get(node, "mgs.MGS.targets"));
    static const std::regex form(R"((\S+) .*\bnids=(\S+) at=(\S+).*)");
    std::vector<Registered> out;
    for (std::string line; std::getline(lines, line);) {
        std::smatch fields;
        if (!std::regex_match(line, fields, form)) continue;
        std::string at = fields[3];
        bool active = line.find(" active=0") == std::string::npos;
        out.push_back({fields[1], to_addresses(fields[2]), at.substr(0, at.find('@')), active});
    }
    return out;
}

std::vector<std::string> Cluster::removed(const std::string& node) const
{
    std::istringstream lines(
        remote_.run(node, "lctl get_param -n mgs.MGS.del_ost 2>/dev/null || true"));
    std::vector<std::string> out;
    for (std::string line; std::getline(lines, line);)
        if (std::string name = line.substr(0, line.find(' ')); !name.empty()) out.push_back(name);
    return out;
}

std::vector<Disk> Cluster::disks(const std::string& node) const
{
    // One line, since that is all that some ways to a node carry.
    std::istringstream lines(remote_.run(
        node,
        fmt::format("lsblk -rnpo NAME,KNAME | sort -u | while read -r d k; do "
                    "[ -z \"$(ls /sys/class/block/${{k##*/}}/holders 2>/dev/null)\" ] || "
                    "continue; l=$(blkid -p -s LABEL -o value \"$d\" 2>/dev/null); case $l in "
                    "{}) echo \"$d $l $(blkid -p -s UUID -o value \"$d\")\";; esac; done",
                    kLabels)));
    std::vector<Disk> out;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        Disk disk;
        if (words >> disk.device >> disk.label >> disk.uuid) out.push_back(disk);
    }
    return out;
}

Disk Cluster::identify(const std::string& node, const std::string& device) const
{
    // Fails if there is no such device; one without a file system has neither.
    std::istringstream lines(remote_.run(
        node, fmt::format("lsblk -rno NAME {0} >/dev/null && echo \"$(blkid -p -s LABEL -o value "
                          "{0})\" && echo \"$(blkid -p -s UUID -o value {0})\"",
                          quoted(device))));
    Disk disk{device, {}, {}};
    std::getline(lines, disk.label);
    std::getline(lines, disk.uuid);
    return disk;
}

std::string Cluster::find(const std::string& node, const Disk& disk,
                          const std::string& wanted) const
{
    if (!wanted.empty()) {
        Disk there = identify(node, wanted);
        if (there.is_same_as(disk)) return wanted;
        throw Surprise(fmt::format("{} on {} is not the disk of {}: it holds {}", wanted, node,
                                   disk.label,
                                   there.uuid.empty() ? "no file system"
                                   : there.label == disk.label
                                       ? "another " + there.label + ", of uuid " + there.uuid
                                       : "\"" + there.label + "\" of uuid " + there.uuid));
    }
    std::vector<std::string> found;
    for (const Disk& there : disks(node))
        if (there.is_same_as(disk)) found.push_back(there.device);
    if (found.size() > 1 && std::count(found.begin(), found.end(), disk.device))
        return disk.device;  // named alike on both
    if (found.size() == 1) return found[0];
    throw Surprise(fmt::format("{} on {}: {}", disk.label, node,
                               found.empty()
                                   ? fmt::format("no block device there has its uuid {}", disk.uuid)
                                   : fmt::format("several devices are that disk ({}): "
                                                 "say which by --device {}@{}=PATH",
                                                 fmt::join(found, ", "), disk.label, node)));
}

bool Cluster::in_use(const std::string& node, const std::string& device) const
{
    std::string says = remote_.run(node, "LC_ALL=C e2mmpstatus " + device + " 2>&1 || true");
    return says.find("currently active") != std::string::npos ||
           says.find("being run") != std::string::npos;
}

std::string Cluster::directory(const std::string& node, const Disk& disk) const
{
    std::istringstream lines(
        remote_.run(node, "findmnt -rnse -t lull -o SOURCE,TARGET 2>/dev/null || true"));
    std::string source, directory;
    while (lines >> source >> directory)
        if (source[0] == '/' && identify(node, source).is_same_as(disk)) return directory;
    return "/mnt/" + disk.label;
}

std::string Cluster::mgs_of(const std::string& node, const std::string& device) const
{
    return remote_.run(node, fmt::format("debugfs -c -R 'cat /CONFIGS/mountdata' {} 2>/dev/null | "
                                         "sed -n 's/^mgsnode=//p'",
                                         device));
}

}  // namespace lull::upgrade
