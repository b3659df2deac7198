// SPDX-License-Identifier: GPL-2.0-only
#include "utils/device.h"

#include <blkid/blkid.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <regex>

namespace lull::utils {
namespace {

struct FreeProbe {
    void operator()(blkid_probe p) const { blkid_free_probe(p); }
};
using Probe = std::unique_ptr<std::remove_pointer_t<blkid_probe>, FreeProbe>;

std::string value(blkid_probe probe, const char* name)
{
    const char* text = nullptr;
    return blkid_probe_lookup_value(probe, name, &text, nullptr) == 0 && text ? text : "";
}

std::string name_of(blkid_probe probe)
{
    if (std::string table = value(probe, "PTTYPE"); !table.empty())
        return "a partition table (" + table + ")";
    std::string type = value(probe, "TYPE"), label = value(probe, "LABEL");
    static const std::regex target("MGS|[A-Za-z0-9_]{1,8}-(MDT|OST)[0-9a-f]{4}");
    if (type == "ext4" && std::regex_match(label, target)) return "the Lull target " + label;
    return type + (label.empty() ? "" : " (label \"" + label + "\")");
}

std::string output_of(const std::string& command)
{
    std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
    std::string text;
    char piece[256];
    while (pipe && fgets(piece, sizeof piece, pipe.get())) text += piece;
    return text;
}

}  // namespace

Contents contents_of(const std::string& device)
{
    Contents c;
    errno = 0;
    Probe probe(blkid_new_probe_from_filename(device.c_str()));
    if (!probe) {
        c.error = errno ? strerror(errno) : "it cannot be read";
        return c;
    }
    blkid_probe_enable_superblocks(probe.get(), 1);
    blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL);
    blkid_probe_enable_partitions(probe.get(), 1);
    int more;
    while ((more = blkid_do_probe(probe.get())) == 0) {
        std::string name = name_of(probe.get());
        if (!name.empty()) c.found.push_back(name);
    }
    if (more < 0) c.error = "it cannot be read";
    return c;
}

std::string wipe(const std::string& device)
{
    int fd = open(device.c_str(), O_RDWR | O_EXCL | O_CLOEXEC);  // of a block device: not in use
    if (fd < 0) return strerror(errno);
    Probe probe(blkid_new_probe());
    bool bad = !probe || blkid_probe_set_device(probe.get(), fd, 0, 0) != 0;
    if (!bad) {
        blkid_probe_enable_superblocks(probe.get(), 1);
        blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_MAGIC);
        blkid_probe_enable_partitions(probe.get(), 1);
        blkid_probe_set_partitions_flags(probe.get(), BLKID_PARTS_MAGIC);
        while (!bad && blkid_do_probe(probe.get()) == 0) bad = blkid_do_wipe(probe.get(), 0) != 0;
    }
    probe.reset();
    bad |= fsync(fd) != 0;
    close(fd);
    return bad ? "what is on it cannot be removed" : "";
}

std::string in_use_by(const std::string& device)
{
    // e2mmpstatus prints nothing else to its standard output than what we ask for here.
    std::string quoted = "'" + std::regex_replace(device, std::regex("'"), "'\\''") + "'";
    std::string says = output_of("LC_ALL=C e2mmpstatus " + quoted + " 2>&1");
    if (says.find("currently active") == std::string::npos &&
        says.find("being run") == std::string::npos)
        return "";
    std::string who = output_of("LC_ALL=C e2mmpstatus -i " + quoted + " 2>/dev/null");
    std::smatch node;
    static const std::regex named("node[ _]name: *([^ \n]+)");
    return std::regex_search(who, node, named) ? node[1].str() : "another node";
}

}  // namespace lull::utils
