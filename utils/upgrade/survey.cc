// SPDX-License-Identifier: GPL-2.0-only
#include "utils/upgrade/survey.h"

#include <fmt/format.h>

#include <algorithm>

namespace lull::upgrade {

namespace {

template <class T> bool contains(const std::vector<T>& all, const T& one)
{
    return std::find(all.begin(), all.end(), one) != all.end();
}

}  // namespace

Survey::Survey(const Cluster& cluster, const std::vector<std::string>& servers,
               const std::map<std::string, std::string>& partners, const std::string& mgs,
               const Say& say)
    : cluster_(cluster), servers_(servers), say_(say)
{
    order_ = servers;
    for (const auto& [node, partner] : partners)
        if (!contains(order_, partner)) order_.push_back(partner);
    for (const std::string& node : order_)
        nodes_[node] = {cluster.mounts(node), cluster.disks(node), cluster.addresses(node)};
    ask_mgs(mgs);
    for (const std::string& target : wanted()) {
        const Registered* r = find(target);
        bool active = !r || r->active;
        if (!active)
            say_(fmt::format("{}: inactive, as the MGS was told (lctl conf_param {}.osc.active=1)",
                             target, target));
        if (active && !is_mounted(target)) look_for(target);
    }
    for (const std::string& target : removed_)
        say_(fmt::format("{}: removed from the file system (lctl del_ost){}", target,
                         is_mounted(target) ? ", and still mounted: umount it" : ""));
}

std::optional<Disk> Survey::disk(const std::string& node, const std::string& device) const
{
    for (const Disk& disk : seen(node).disks)
        if (disk.device == device) return disk;
    return {};
}

void Survey::ask_mgs(const std::string& extra)
{
    std::string where = extra;
    for (const std::string& node : order_)
        for (const Mount& mount : nodes_[node].mounts)
            if (where.empty() && mount.has_mgs) where = node;
    std::string nids;
    for (const std::string& node : order_)
        for (const Disk& disk : nodes_[node].disks)
            if (where.empty() && nids.empty()) nids = cluster_.mgs_of(node, disk.device);
    if (where.empty()) where = nids.substr(0, nids.find_first_of("@,:"));
    try {
        if (!where.empty()) {
            registered_ = cluster_.registered(where);
            removed_ = cluster_.removed(where);
            mgs_answered_ = true;
        }
    } catch (const Surprise& surprise) {
        if (!extra.empty()) throw;
    }
    if (!mgs_answered_)
        say_(
            "the MGS could not be asked (--mgs NODE says where it runs): what should run here is "
            "known by the labels of the disks alone");
}

bool Survey::is_removed(const std::string& target) const { return contains(removed_, target); }

const Registered* Survey::find(const std::string& target) const
{
    for (const Registered& r : registered_)
        if (r.name == target) return &r;
    return nullptr;
}

bool Survey::has_address(const std::string& node, const std::string& address) const
{
    return contains(nodes_.at(node).addresses, address);
}

bool Survey::is_home(const std::string& target, const std::string& node) const
{
    const Registered* r = find(target);
    return r && !r->addresses.empty() && has_address(node, r->addresses[0]);
}

std::vector<std::string> Survey::wanted() const
{
    std::vector<std::string> out;
    for (const Registered& r : registered_)
        for (const std::string& node : servers_)
            for (const std::string& address : r.addresses)
                if (has_address(node, address) && !contains(out, r.name)) out.push_back(r.name);
    for (const std::string& node : servers_)
        for (const Disk& disk : nodes_.at(node).disks) {
            // With an MGS, a disk that it does not know is one of another file system, or an old
            // one. The MGS itself is in no list.
            bool counts = !mgs_answered_ || disk.label == "MGS";
            if (counts && !contains(out, disk.label)) out.push_back(disk.label);
        }
    return out;
}

bool Survey::is_mounted(const std::string& target) const
{
    for (const auto& [node, seen] : nodes_)
        for (const Mount& mount : seen.mounts)
            if (mount.target.name == target) return true;
    return false;
}

void Survey::look_for(const std::string& target)
{
    Missing missing{target, {}};
    for (const std::string& node : order_)
        for (const Disk& disk : nodes_.at(node).disks)
            if (disk.label == target) {
                auto where = is_home(target, node) ? missing.disks.begin() : missing.disks.end();
                missing.disks.insert(where, {node, disk});
            }
    if (!missing.disks.empty()) {
        const auto& [node, disk] = missing.disks.front();
        if (cluster_.in_use(node, disk.device))
            return say_(fmt::format("{}: runs on another node", target));
    } else if (const Registered* r = find(target); r && r->at != "?") {
        bool here = std::any_of(order_.begin(), order_.end(),
                                [&](const std::string& node) { return has_address(node, r->at); });
        if (!here) return say_(fmt::format("{}: runs at {}, says the MGS", target, r->at));
    }
    missing_.push_back(std::move(missing));
}

}  // namespace lull::upgrade
