// SPDX-License-Identifier: GPL-2.0-only
// mkfs.lull: formats a block device as the MGS, MDT or OST of a file system. The backing file
// system is ext4, made by mke2fs; what the target is stands in CONFIGS/mountdata on it.
#include <CLI/CLI.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "utils/device.h"
#include "utils/nids.h"

namespace {

struct Options {
    bool mgs = false, mdt = false, ost = false, reformat = false, dry_run = false;
    std::string fsname = "lull", device;
    int index = -1;
    std::vector<std::string> mgs_nodes, service_nodes;
    unsigned stripe_count = 1;
    unsigned long stripe_size = 1 << 20;
};

[[noreturn]] void die(const std::string& why)
{
    fprintf(stderr, "mkfs.lull: %s\n", why.c_str());
    exit(1);
}

std::string join_nids(const std::vector<std::string>& words)
{
    lull::utils::Nids nids = lull::utils::resolve_nids(words);
    if (!nids.error.empty()) die(nids.error);
    return nids.joined();
}

void check(const Options& o)
{
    if (!o.mgs && !o.mdt && !o.ost)
        die("say what the device shall be: --mgs, --mdt, --ost (or --mgs --mdt)");
    if (o.ost && (o.mdt || o.mgs)) die("--ost does not go with --mgs or --mdt on one device");
    if ((o.mdt || o.ost) && o.index < 0)
        die("--index is missing: the number of this target in its file system, from 0");
    if (o.mdt && o.index != 0) die("--index must be 0: a file system has one MDT");
    if (o.index > 0xffff) die("--index is at most 65535");
    if (!std::regex_match(o.fsname, std::regex("[A-Za-z0-9_]{1,8}")))
        die("--fsname \"" + o.fsname + "\": 1 to 8 letters, digits or underscores");
    if (!o.mgs && o.mgs_nodes.empty())
        die("--mgsnode is missing: where the MGS of this file system runs, like 10.0.0.1@tcp");
    if (o.stripe_size < 65536 || o.stripe_size % 65536)
        die("--stripe-size must be a multiple of 65536");
    struct stat st;
    if (stat(o.device.c_str(), &st) != 0) die(o.device + ": " + strerror(errno));
    if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode)) die(o.device + " is not a block device");
    if (S_ISBLK(st.st_mode)) {
        int fd = open(o.device.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC);
        if (fd < 0)
            die(o.device + ": " + (errno == EBUSY ? "is in use (mounted?)" : strerror(errno)));
        close(fd);
    }
}

std::string uuid()
{
    std::ifstream in("/proc/sys/kernel/random/uuid");
    std::string text;
    if (!(in >> text)) die("cannot read /proc/sys/kernel/random/uuid");
    return text;
}

std::string label(const Options& o)
{
    char text[64];
    if (o.mdt || o.ost)
        snprintf(text, sizeof text, "%s-%s%04x", o.fsname.c_str(), o.mdt ? "MDT" : "OST", o.index);
    else snprintf(text, sizeof text, "MGS");
    return text;
}

std::string mountdata(const Options& o)
{
    std::string text = "format=1\n";
    if (!(o.mgs && !o.mdt)) text += "fsname=" + o.fsname + "\n";
    text += std::string("kinds=") +
            (o.ost            ? "ost"
             : o.mgs && o.mdt ? "mgs,mdt"
             : o.mdt          ? "mdt"
                              : "mgs") +
            "\n";
    text += "index=" + std::to_string(o.index < 0 ? 0 : o.index) + "\n";
    text += "uuid=" + uuid() + "\n";
    if (std::string nids = join_nids(o.mgs_nodes); !nids.empty()) text += "mgsnode=" + nids + "\n";
    if (std::string nids = join_nids(o.service_nodes); !nids.empty())
        text += "servicenode=" + nids + "\n";
    text += "stripesize=" + std::to_string(o.stripe_size) +
            "\nstripecount=" + std::to_string(o.stripe_count) + "\n";
    return text;
}

// A folder that goes with the program, whatever happens.
class Scratch {
public:
    Scratch()
    {
        char name[] = "/tmp/mkfs.lull.XXXXXX";
        if (!mkdtemp(name)) die(std::string("cannot make a folder in /tmp: ") + strerror(errno));
        path_ = name;
    }
    ~Scratch()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

int run(const std::vector<std::string>& words)
{
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[0], argv.data());
        fprintf(stderr, "mkfs.lull: cannot run %s: %s (package e2fsprogs)\n", argv[0],
                strerror(errno));
        _exit(127);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0) return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

// What is on a device goes only with --reformat, and never while a node has it mounted.
void may_be_overwritten(const Options& o)
{
    lull::utils::Contents c = lull::utils::contents_of(o.device);
    if (!c.error.empty()) die(o.device + ": " + c.error);
    if (c.found.empty()) return;
    std::string all;
    for (const std::string& name : c.found) all += (all.empty() ? "" : ", ") + name;
    if (!o.reformat)
        die(o.device + " holds " + all +
            ": nothing was changed; if that may be destroyed, say --reformat");
    if (std::string who = lull::utils::in_use_by(o.device); !who.empty())
        die(o.device + " holds " + all + ", which " + who + " has mounted: unmount it there first");
}

int format(const Options& o)
{
    std::string data = mountdata(o);
    may_be_overwritten(o);
    printf("   Target:     %s\n   Device:     %s\n", label(o).c_str(), o.device.c_str());
    printf("   ");
    for (char c : data) printf(c == '\n' ? "\n   " : "%c", c);
    printf("\n");
    fflush(stdout);
    if (o.dry_run) return 0;
    if (std::string why = lull::utils::wipe(o.device); !why.empty()) die(o.device + ": " + why);
    Scratch scratch;
    std::filesystem::create_directory(scratch.path() + "/CONFIGS");
    std::ofstream(scratch.path() + "/CONFIGS/mountdata") << data;
    // Inodes of 512 bytes hold our attributes, blocks of 4096 the larger ones; mmp keeps two nodes
    // from mounting one disk (A2).
    return run({"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "512", "-O", "mmp", "-d",
                scratch.path(), "-L", label(o), "-E",
                "mmp_update_interval=1,lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0",
                o.device});
}

}  // namespace

int main(int argc, char** argv)
{
    Options o;
    CLI::App app{"mkfs.lull: format a device as a target of a Lull file system"};
    app.add_flag("--mgs", o.mgs, "configuration server (may share a device with --mdt)");
    app.add_flag("--mdt", o.mdt, "metadata target");
    app.add_flag("--ost", o.ost, "object storage target");
    app.add_option("--fsname", o.fsname, "name of the file system, up to 8 characters")
        ->capture_default_str();
    app.add_option("--index", o.index, "number of this target, from 0");
    app.add_option("--mgsnode", o.mgs_nodes,
                   "NID or host name of the MGS; again, or NID:NID, for its failover partner");
    app.add_option("--servicenode,--failnode", o.service_nodes,
                   "NIDs of all nodes that may run this target");
    app.add_option("--stripe-count", o.stripe_count, "MDT: default number of stripes of a file")
        ->capture_default_str();
    app.add_option("--stripe-size", o.stripe_size, "MDT: default stripe size in bytes")
        ->capture_default_str();
    app.add_flag("--reformat", o.reformat, "destroy what is on the device");
    app.add_flag("-n,--dryrun", o.dry_run, "only say what would be written");
    app.add_option("DEVICE", o.device, "block device")->required();
    CLI11_PARSE(app, argc, argv);
    check(o);
    int status = format(o);
    if (status)
        fprintf(stderr, "mkfs.lull: mke2fs failed, %s is not formatted\n", o.device.c_str());
    return status ? 1 : 0;
}
