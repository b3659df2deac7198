/* SPDX-License-Identifier: GPL-2.0-only */
/* NIDs as administrators write them: addresses or host names, as mount.lustre takes them. */
#pragma once
#include <string>
#include <vector>

namespace lull::utils {

struct Nids {
    std::string error;
    std::vector<std::string> list;  // ADDRESS@tcp, each once
    std::string joined() const;     // with ":" between
};

// Each word: NIDs separated by ":" or ",". A NID: an IPv4 address or a host name, which is
// resolved, with or without "@tcp".
Nids resolve_nids(const std::vector<std::string>& words);

}  // namespace lull::utils
