/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What should run on some servers, and what does. What should: the MGS says, and the labels of the
 * disks that these servers see. What does: mounted on them or on their partners, or in use by
 * another node, as ext4's multi-mount protection tells.
 */
#pragma once
#include <functional>
#include <optional>

#include "utils/upgrade/cluster.h"

namespace lull::upgrade {

using Say = std::function<void(const std::string&)>;

// A node as it was when it was asked.
struct Seen {
    std::vector<Mount> mounts;
    std::vector<Disk> disks;
    std::vector<std::string> addresses;
};

// A target that runs nowhere, and who sees its disk.
struct Missing {
    std::string name;
    std::vector<std::pair<std::string, Disk>> disks;  // node, the disk there; home first
};

class Survey {
public:
    // partners: by server, the node that may have its targets meanwhile. mgs: where to ask, or "".
    Survey(const Cluster& cluster, const std::vector<std::string>& servers,
           const std::map<std::string, std::string>& partners, const std::string& mgs,
           const Say& say);

    const std::vector<std::string>& nodes() const { return order_; }  // the servers first
    const Seen& seen(const std::string& node) const { return nodes_.at(node); }
    // As it was then; none if no disk of ours has that name there.
    std::optional<Disk> disk(const std::string& node, const std::string& device) const;
    const std::vector<Missing>& missing() const { return missing_; }
    bool has_mgs_answered() const { return mgs_answered_; }
    // lctl del_ost took it out of the file system.
    bool is_removed(const std::string& target) const;
    // The node is the first of those that may run the target.
    bool is_home(const std::string& target, const std::string& node) const;

private:
    void ask_mgs(const std::string& extra);
    std::vector<std::string> wanted() const;
    bool is_mounted(const std::string& target) const;
    void look_for(const std::string& target);
    const Registered* find(const std::string& target) const;
    bool has_address(const std::string& node, const std::string& address) const;

    const Cluster& cluster_;
    const std::vector<std::string>& servers_;
    const Say& say_;
    std::vector<std::string> order_;  // the nodes, servers first
    std::map<std::string, Seen> nodes_;
    std::vector<Registered> registered_;
    std::vector<std::string> removed_;
    bool mgs_answered_ = false;
    std::vector<Missing> missing_;
};

}  // namespace lull::upgrade
