/* SPDX-License-Identifier: GPL-2.0-only */
/* When an upgrade has stopped: which of its targets do not serve, and how they do again. */
#pragma once
#include "utils/upgrade/cluster.h"

namespace lull::upgrade {

class Account {
public:
    explicit Account(const Cluster& cluster) : cluster_(cluster) {}
    // That node may run it, from that device.
    void know(const std::string& node, const Mount& mount);
    // As that node sees the disk of a mount, as far as is known.
    Mount place(const std::string& node, const Mount& mount) const;
    // A line for each target that is not running, with the command. Asks all nodes that were named,
    // and says which of them gave no answer.
    std::vector<std::string> of_what_is_down() const;

private:
    std::string line(const std::string& target,
                     const std::map<std::string, std::vector<Mount>>& now) const;

    const Cluster& cluster_;
    struct Place {
        std::string node;
        Mount mount;
    };
    std::map<std::string, std::vector<Place>> targets_;
};

}  // namespace lull::upgrade
