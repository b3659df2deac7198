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
    std::string type;  // "mdt", "obdfilter" or "mgs": the device type in its parameters
    std::string param(const std::string& which) const { return type + "." + name + "." + which; }
};
Target target_named(const std::string& name);

// A block device with a target on it, as its own superblock says; nothing is mounted for it.
struct Disk {
    std::string device, label, uuid;
    bool is_same_as(const Disk& other) const { return label == other.label && uuid == other.uuid; }
};

// One mounted device: its targets start and stop together.
struct Mount {
    std::string device, directory;
    Target target;  // the one whose shutdown halts all of the device
    bool has_mgs = false;
    Disk disk;  // once identified
};

// What the MGS knows of a target.
struct Registered {
    std::string name;
    std::vector<std::string> addresses;  // of the nodes that may run it, its home first
    std::string at;                      // where it started last; "?"
    bool active = true;                  // as an administrator has told the MGS
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
    std::string state(const std::string& node, const Target& target) const;
    // Fit to be shut down: it runs, and is not recovering.
    void check(const std::string& node, const Mount& mount) const;

    std::vector<std::string> addresses(const std::string& node) const;
    // As the MGS that runs on that node says.
    std::vector<Registered> registered(const std::string& node) const;
    // The names of those that lctl del_ost took out; none where the MGS is too old to say.
    std::vector<std::string> removed(const std::string& node) const;
    // All devices of a node with a target on them. Of paths to one disk, what stands above them.
    std::vector<Disk> disks(const std::string& node) const;
    // What is on that one; label and uuid are empty when it is no file system.
    Disk identify(const std::string& node, const std::string& device) const;
    // Under which name a node sees that disk. wanted: the only name that will do, if not "".
    std::string find(const std::string& node, const Disk& disk, const std::string& wanted) const;
    // A node has it mounted, says its multi-mount protection; takes some seconds then.
    bool in_use(const std::string& node, const std::string& device) const;
    // Where a node would mount it: as its fstab says, or below /mnt.
    std::string directory(const std::string& node, const Disk& disk) const;
    // NIDs of the MGS as the target's disk has them, for people.
    std::string mgs_of(const std::string& node, const std::string& device) const;

private:
    const Remote& remote_;
};

std::string mount_command(const std::string& device, const std::string& directory);

}  // namespace lull::upgrade
