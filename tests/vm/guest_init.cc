// SPDX-License-Identifier: GPL-2.0-only
#include "guest.h"

#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <net/if.h>
#include <netinet/in.h>
#include <sstream>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

namespace lull::lab {

namespace {

constexpr std::chrono::seconds kDeviceDeadline{60};
constexpr std::chrono::milliseconds kDevicePoll{5};
constexpr int kModuleInitCompressedFile = 4;
constexpr char k9pOptions[] = "trans=virtio,version=9p2000.L,msize=262144,cache=";

void make_dirs(const std::string &path)
{
    for (size_t at = 1; at != std::string::npos;) {
        at = path.find('/', at + 1);
        mkdir(path.substr(0, at).c_str(), 0755);
    }
}

void mount_at(const std::string &what, const std::string &where, const char *type,
              const std::string &options = "", unsigned long flags = 0)
{
    make_dirs(where);
    if (mount(what.c_str(), where.c_str(), type, flags, options.c_str()) != 0) {
        give_up("mount " + where + ": " + strerror(errno));
    }
}

// For what a kernel may have been built without.
void mount_if_possible(const std::string &what, const std::string &where, const char *type)
{
    mount(what.c_str(), where.c_str(), type, 0, nullptr);
}

void write_file(const std::string &path, const std::string &text, bool must = true)
{
    int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    auto size = static_cast<ssize_t>(text.size());
    bool written = fd >= 0 && write(fd, text.data(), text.size()) == size;
    if (fd >= 0) {
        close(fd);
    }
    if (!written && must) {
        give_up("write " + path + ": " + strerror(errno));
    }
}

void load_modules(const Config &config)
{
    for (const std::string &path : config.all("module")) {
        int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
        long rc = fd < 0 ? -1 : syscall(SYS_finit_module, fd, "", 0);
        if (rc != 0 && errno != EEXIST) {
            give_up("module " + path + ": " + strerror(errno));
        }
        close(fd);
    }
}

std::string first_line(const std::string &path)
{
    std::ifstream in(path);
    std::string line;
    std::getline(in, line);
    return line;
}

std::string disk_with_serial(const std::string &serial)
{
    std::string found;
    DIR *dir = opendir("/sys/block");
    while (dirent *entry = dir ? readdir(dir) : nullptr) {
        std::string name = entry->d_name;
        if (name.rfind("vd", 0) == 0 && first_line("/sys/block/" + name + "/serial") == serial) {
            found = name;
        }
    }
    if (dir) {
        closedir(dir);
    }
    return found;
}

void link_disks(const Config &config)
{
    make_dirs("/dev/lab");
    make_dirs("/dev/disk/by-id");
    for (const std::string &disk : config.all("disk")) {
        std::string name;
        wait_for("disk " + disk, [&] { return !(name = disk_with_serial(disk)).empty(); });
        std::string device = "/dev/" + name;
        if (symlink(device.c_str(), ("/dev/lab/" + disk).c_str()) != 0 ||
            symlink(device.c_str(), ("/dev/disk/by-id/virtio-" + disk).c_str()) != 0) {
            give_up("link to disk " + disk + ": " + strerror(errno));
        }
    }
}

void set_address(int fd, const char *interface, unsigned long request, const std::string &address)
{
    ifreq what{};
    strncpy(what.ifr_name, interface, IFNAMSIZ - 1);
    auto *in = reinterpret_cast<sockaddr_in *>(&what.ifr_addr);
    in->sin_family = AF_INET;
    inet_pton(AF_INET, address.c_str(), &in->sin_addr);
    if (ioctl(fd, request, &what) != 0) {
        give_up(std::string(interface) + " " + address + ": " + strerror(errno));
    }
}

void set_up(int fd, const char *interface, int mtu)
{
    ifreq what{};
    strncpy(what.ifr_name, interface, IFNAMSIZ - 1);
    what.ifr_mtu = mtu;
    if (mtu && ioctl(fd, SIOCSIFMTU, &what) != 0) {
        give_up(std::string(interface) + " mtu: " + strerror(errno));
    }
    what.ifr_flags = IFF_UP | IFF_RUNNING;
    if (ioctl(fd, SIOCSIFFLAGS, &what) != 0) {
        give_up(std::string(interface) + " up: " + strerror(errno));
    }
}

void set_up_network(const Config &config)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    set_up(fd, "lo", 0);
    wait_for("eth0", [&] {
        ifreq what{};
        strcpy(what.ifr_name, "eth0");
        return ioctl(fd, SIOCGIFFLAGS, &what) == 0;
    });
    set_address(fd, "eth0", SIOCSIFADDR, config.get("address"));
    set_address(fd, "eth0", SIOCSIFNETMASK, "255.255.255.0");
    set_up(fd, "eth0", atoi(config.get("mtu").c_str()));
    close(fd);
}

void mount_root(const Config &config, const std::string &root)
{
    mount_at("root", "/lower", "9p", std::string(k9pOptions) + "loose", MS_RDONLY);
    mount_at("tmpfs", "/upper", "tmpfs", "mode=0755");
    make_dirs("/upper/files");
    make_dirs("/upper/work");
    mount_at("overlay", root, "overlay",
             "lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work");
    mount_at("proc", root + "/proc", "proc");
    mount_at("sysfs", root + "/sys", "sysfs");
    mount_at("devtmpfs", root + "/dev", "devtmpfs");
    mount_at("devpts", root + "/dev/pts", "devpts", "mode=0620,ptmxmode=0666");
    mount_at("tmpfs", root + "/dev/shm", "tmpfs", "mode=1777");
    mount_at("tmpfs", root + "/run", "tmpfs", "mode=0755");
    mount_at("tmpfs", root + "/tmp", "tmpfs", "mode=1777");
    if (!config.get("moddir").empty()) {
        mount_at("/lower" + config.get("moddir"), root + "/lib/modules/" + config.get("kver"),
                 nullptr, "", MS_BIND);
    }
    // These change under a running guest, so they are not cached as the root is.
    const std::string options = std::string(k9pOptions) + "mmap";
    mount_at("checkout", root + config.get("checkout"), "9p", options, MS_RDONLY);
    mount_at("lab", root + "/lab", "9p", options);
}

void enter_root(const std::string &root)
{
    if (chdir(root.c_str()) != 0 || mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 ||
        chroot(".") != 0 || chdir("/") != 0) {
        give_up(std::string("enter root: ") + strerror(errno));
    }
}

void set_names(const Config &config)
{
    const std::string &name = config.get("hostname");
    if (sethostname(name.data(), name.size()) != 0) {
        give_up("hostname");
    }
    std::string hosts = "127.0.0.1 localhost\n";
    for (const std::string &host : config.all("host")) {
        hosts += host + "\n";
    }
    unlink("/etc/hosts");
    write_file("/etc/hosts", hosts);
    unlink("/etc/hostname");
    write_file("/etc/hostname", name + "\n");
}

void set_kernel(const Config &config)
{
    mount_if_possible("debugfs", "/sys/kernel/debug", "debugfs");
    mount_if_possible("tracefs", "/sys/kernel/tracing", "tracefs");
    write_file("/proc/sys/kernel/sysrq", "1", false);
    for (const std::string &setting : config.all("sysctl")) {
        size_t space = setting.find(' ');
        write_file("/proc/sys/" + setting.substr(0, space), setting.substr(space + 1), false);
    }
    // The boot is quiet, for the serial line is slow; from here on everything is on record.
    write_file("/proc/sys/kernel/printk", "7 4 1 7", false);
}

}  // namespace

Config Config::load(const char *path)
{
    Config config;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) {
        size_t space = line.find(' ');
        if (space != std::string::npos) {
            config.values_[line.substr(0, space)].push_back(line.substr(space + 1));
        }
    }
    return config;
}

const std::vector<std::string> &Config::all(const std::string &key) const
{
    static const std::vector<std::string> none;
    auto found = values_.find(key);
    return found == values_.end() ? none : found->second;
}

const std::string &Config::get(const std::string &key) const
{
    static const std::string none;
    const auto &values = all(key);
    return values.empty() ? none : values.front();
}

void wait_for(const std::string &what, const std::function<bool()> &ready)
{
    const auto deadline = std::chrono::steady_clock::now() + kDeviceDeadline;
    while (!ready()) {
        if (std::chrono::steady_clock::now() > deadline) {
            give_up("no " + what);
        }
        std::this_thread::sleep_for(kDevicePoll);
    }
}

void give_up(const std::string &what)
{
    std::string message = "<2>LAB-GUEST-FAILED: " + what + "\n";
    int fd = open("/dev/kmsg", O_WRONLY);
    if (fd >= 0) {
        (void)!write(fd, message.data(), message.size());
    }
    sync();
    reboot(RB_AUTOBOOT);
    _exit(1);
}

void init_machine()
{
    const std::string root = "/new";
    mount_at("proc", "/proc", "proc");
    mount_at("sysfs", "/sys", "sysfs");
    mount_at("devtmpfs", "/dev", "devtmpfs");
    Config config = Config::load("/lab.conf");
    load_modules(config);
    mount_root(config, root);
    enter_root(root);
    set_names(config);
    set_up_network(config);
    link_disks(config);
    set_kernel(config);
}

}  // namespace lull::lab
