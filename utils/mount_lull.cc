// SPDX-License-Identifier: GPL-2.0-only
// mount.lull: helper of mount(8) for targets (mount -t lull /dev/vdb /mnt/mdt) and clients (mount
// -t lull NID:/fsname /mnt/lull). Uses the new mount calls, because they hand out the kernel's own
// words about what went wrong.
#include <fcntl.h>
#include <mntent.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "utils/nids.h"

namespace {

enum ExitCode { kUsage = 1, kSystem = 2, kFailure = 32 };  // mount(8)

struct Request {
    std::string source, target;
    std::vector<std::string> options;
    bool fake = false, verbose = false;
};

int usage(const char* why)
{
    fprintf(stderr,
            "mount.lull: %s\n"
            "usage: mount -t lull [-o OPTIONS] DEVICE DIR        start the target on a device\n"
            "       mount -t lull [-o OPTIONS] NID[:NID]:/FSNAME DIR   mount a client\n"
            "A NID is an address or a host name: 10.0.0.1@tcp, mds1@tcp, mds1\n",
            why);
    return kUsage;
}

// Everything the kernel has to say about a mount, a line each: "e lull: …".
std::string kernel_words(int fs)
{
    std::string text;
    char line[1024];
    ssize_t n;
    while ((n = read(fs, line, sizeof line - 1)) > 0) {
        while (n > 0 && line[n - 1] == '\n') n--;
        std::string one(line, static_cast<size_t>(n));
        if (one.size() > 2 && one[1] == ' ') one = one.substr(2);
        if (one.rfind("lull: ", 0) == 0) one = one.substr(6);
        text += (text.empty() ? "" : "; ") + one;
    }
    return text;
}

int fail(const Request& r, int fs, int error)
{
    std::string words = fs >= 0 ? kernel_words(fs) : "";
    if (words.empty()) words = strerror(error);
    else words += std::string(" (") + strerror(error) + ")";
    fprintf(stderr, "mount.lull: %s on %s: %s\n", r.source.c_str(), r.target.c_str(),
            words.c_str());
    return kFailure;
}

bool parse(int argc, char** argv, Request* r)
{
    std::vector<std::string> words;
    for (int i = 1; i < argc; i++) {
        std::string word = argv[i];
        if (word == "-o" && i + 1 < argc) {
            std::string all = argv[++i], one;
            for (size_t at = 0; at <= all.size(); at++) {
                if (at < all.size() && all[at] != ',') one += all[at];
                else if (!one.empty()) r->options.push_back(std::exchange(one, {}));
            }
        } else if (word == "-f") r->fake = true;
        else if (word == "-v") r->verbose = true;
        else if (word == "-n" || word == "-s") continue;
        else if (word.size() > 1 && word[0] == '-') return false;
        else words.push_back(word);
    }
    if (words.size() != 2) return false;
    r->source = words[0];
    r->target = words[1];
    return true;
}

// NIDs and host names become addresses, a "/" at the end goes. The error, or "".
std::string resolve_source(std::string* source)
{
    size_t at = source->find(":/");
    lull::utils::Nids nids = lull::utils::resolve_nids({source->substr(0, at)});
    if (!nids.error.empty()) return nids.error;
    std::string name = source->substr(at + 2);
    while (!name.empty() && name.back() == '/') name.pop_back();
    if (name.empty()) return "the name of the file system is missing after \":/\"";
    *source = nids.joined() + ":/" + name;
    return "";
}

// "mount -a" compares with what fstab says, where host names stand for addresses.
bool is_mounted_there(const Request& r)
{
    std::unique_ptr<FILE, int (*)(FILE*)> table(setmntent("/proc/self/mounts", "r"), endmntent);
    std::unique_ptr<char, void (*)(void*)> directory(realpath(r.target.c_str(), nullptr), free);
    while (const mntent* m = table && directory ? getmntent(table.get()) : nullptr)
        if (strcmp(m->mnt_type, "lull") == 0 && r.source == m->mnt_fsname &&
            strcmp(m->mnt_dir, directory.get()) == 0)
            return true;
    return false;
}

// The type is there once the module is; mount(8) loads nothing for helpers.
void load_modules(const Request& r)
{
    std::string command = std::string("modprobe -q ") +
                          (r.source[0] == '/' ? "lull_server" : "lull_client") + " 2>/dev/null";
    if (system(command.c_str()) != 0 && r.verbose)
        fprintf(stderr, "mount.lull: \"%s\" failed; going on\n", command.c_str());
}

// Mount flags that are the VFS's own, not an option of ours.
bool generic_option(const std::string& word, unsigned* attributes, bool* read_only)
{
    if (word == "ro") *read_only = true, *attributes |= MOUNT_ATTR_RDONLY;
    else if (word == "nosuid") *attributes |= MOUNT_ATTR_NOSUID;
    else if (word == "nodev") *attributes |= MOUNT_ATTR_NODEV;
    else if (word == "noexec") *attributes |= MOUNT_ATTR_NOEXEC;
    else if (word != "rw" && word != "suid" && word != "dev" && word != "exec" &&
             word != "defaults" && word != "noauto" && word != "auto" && word != "_netdev" &&
             word != "nofail" && word != "noatime" && word != "relatime")
        return false;
    return true;
}

int mount_it(const Request& r)
{
    int fs = fsopen("lull", FSOPEN_CLOEXEC);
    if (fs < 0) {
        if (errno == ENODEV) {
            fprintf(stderr,
                    "mount.lull: the kernel does not know file system type lull: "
                    "load the modules (modprobe lull_%s)\n",
                    r.source[0] == '/' ? "server" : "client");
            return kSystem;
        }
        return fail(r, -1, errno);
    }
    unsigned attributes = 0;
    bool read_only = false;
    if (fsconfig(fs, FSCONFIG_SET_STRING, "source", r.source.c_str(), 0) != 0)
        return fail(r, fs, errno);
    for (const std::string& word : r.options) {
        if (generic_option(word, &attributes, &read_only)) continue;
        size_t equals = word.find('=');
        int bad = equals == std::string::npos
                      ? fsconfig(fs, FSCONFIG_SET_FLAG, word.c_str(), nullptr, 0)
                      : fsconfig(fs, FSCONFIG_SET_STRING, word.substr(0, equals).c_str(),
                                 word.c_str() + equals + 1, 0);
        if (bad) return fail(r, fs, errno);
    }
    if (read_only && fsconfig(fs, FSCONFIG_SET_FLAG, "ro", nullptr, 0) != 0)
        return fail(r, fs, errno);
    if (fsconfig(fs, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return fail(r, fs, errno);
    if (std::string words = kernel_words(fs); !words.empty())
        fprintf(stderr, "mount.lull: %s on %s: %s\n", r.source.c_str(), r.target.c_str(),
                words.c_str());
    int mnt = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
    if (mnt < 0) return fail(r, fs, errno);
    if (move_mount(mnt, "", AT_FDCWD, r.target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return fail(r, fs, errno);
    close(mnt);
    close(fs);
    return 0;
}

}  // namespace

int main(int argc, char** argv)
{
    Request r;
    if (!parse(argc, argv, &r)) return usage("source and directory are needed");
    bool device = r.source[0] == '/';
    if (!device && r.source.find(":/") == std::string::npos)
        return usage(("\"" + r.source + "\" is neither a device (/dev/…) nor NID:/fsname").c_str());
    if (std::string why = device ? "" : resolve_source(&r.source); !why.empty()) {
        fprintf(stderr, "mount.lull: %s on %s: %s\n", r.source.c_str(), r.target.c_str(),
                why.c_str());
        return kFailure;
    }
    struct stat st;
    if (device && stat(r.source.c_str(), &st) != 0) return fail(r, -1, errno);
    if (device && !S_ISBLK(st.st_mode)) {
        fprintf(stderr, "mount.lull: %s is not a block device\n", r.source.c_str());
        return kUsage;
    }
    if (stat(r.target.c_str(), &st) != 0) return fail(r, -1, errno);
    if (!S_ISDIR(st.st_mode)) return usage((r.target + " is not a directory").c_str());
    if (!device && is_mounted_there(r)) return fail(r, -1, EBUSY);
    if (r.fake) return 0;
    load_modules(r);
    return mount_it(r);
}
