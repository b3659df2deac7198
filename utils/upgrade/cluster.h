/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What runs where: the targets of a file system, found by asking the servers. Errors are Surprise.
 */
#pragma once
#include <map>
#include <string>
#include <vector>

#include "utils/upgrade/remote.h"

namespace lull::upgrade {

struct Target {
    std::string name;  // lull-MDT0000
    std::string type;  // "mdt" or "obdfilter": the device type in its parameters
    std::string param(const std::string& which) const { return type + "." + name + "." + which; }
};

// One mounted device: its targets start and stop together.
struct Mount {
    std::string device, directory;
    Target target;  // the one whose shutdown halts all of the device
};

class Cluster {
public:
    explicit Cluster(const Remote& remote) : remote_(remote) {}
    const Remote& remote() const { return remote_; }

    // The targets that are mounted on a node now.
    std::vector<Mount> mounts(const std::string& node) const;
    std::string get(const std::string& node, const std::string& param) const;
    void set(const std::string& node, const std::string& param, const std::string& value) const;
    // "key: value" lines of a parameter.
    std::map<std::string, std::string> table(const std::string& node,
                                             const std::string& param) const;
    // Fit to be shut down: it runs, and is not recovering.
    void check(const std::string& node, const Mount& mount) const;

private:
    const Remote& remote_;
};

}  // namespace lull::upgrade
