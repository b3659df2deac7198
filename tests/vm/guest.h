// SPDX-License-Identifier: GPL-2.0-only
// Process 1 of a laboratory guest: guest_init.cc brings the machine up, agent.cc runs commands.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace lull::lab {

// What lab.py packs into the initramfs as /lab.conf: "key value" lines, keys may repeat.
class Config {
public:
    static Config load(const char *path);
    const std::string &get(const std::string &key) const;
    const std::vector<std::string> &all(const std::string &key) const;

private:
    std::map<std::string, std::vector<std::string>> values_;
};

// Logs to the console, where check_logs() sees it, and ends the guest.
[[noreturn]] void give_up(const std::string &what);

// Until ready() says so; gives up after a minute, naming what did not come.
void wait_for(const std::string &what, const std::function<bool()> &ready);

// Mounts, modules, network, names. Returns inside the final root, or gives up.
void init_machine();

// Opens the virtio-serial port and serves it for ever.
[[noreturn]] void run_agent();

}  // namespace lull::lab
