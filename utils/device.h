/* SPDX-License-Identifier: GPL-2.0-only */
/* What a device holds, before a tool overwrites it. */
#pragma once
#include <string>
#include <vector>

namespace lull::utils {

struct Contents {
    std::string error;               // it could not be looked at
    std::vector<std::string> found;  // a name for each: file systems, swap, LVM, RAID, partitions
};

// By libblkid's magic numbers: the device is only read. A Lull target is named as one.
Contents contents_of(const std::string& device);

// Removes the magic numbers of all that, so that nothing of it is found again beside what is
// written next. The error, or "".
std::string wipe(const std::string& device);

// Who has an ext4 file system with multi-mount protection mounted, on any node; "" for nobody.
// Takes some ten seconds when the last user has not unmounted it.
std::string in_use_by(const std::string& device);

}  // namespace lull::utils
