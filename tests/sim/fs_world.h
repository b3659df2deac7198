// SPDX-License-Identifier: GPL-2.0-only
/*
 * A whole simulated cluster: a file system "lull" whose MGS and MDT share a disk attached to mds1
 * and mds2, OSTs on disks attached to both oss1 and oss2, and clients c1, c2, …, each with one
 * mount (sim_host.h).
 *
 *   FsWorld w(seed);                   // formatted, started, mounted; a failure is a GoogleTest
 *                                      failure
 *   w.on(c1, [&] { EXPECT_EQ(w.c(0).put("/a", "x"), 0); });
 *   w.crash(w.mdt()); w.start(w.mdt(), w.mds2);
 *   w.finish();                        // unmounts, stops, checks that nothing was left behind
 *
 * Called from the main context, except what SimMount offers.
 */
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kapi/sim/world.h"
#include "osd/sim/disk.h"
#include "target/observer.h"
#include "target/target_glue.h"
#include "tests/sim/sim_host.h"

namespace lull::sim {

struct FsOptions {
    unsigned osts = 2, clients = 2;
    // So many of the OSTs, the last ones, have a service node that is nowhere, and are not started.
    unsigned lost_osts = 0;
    unsigned unmounted = 0;  // further clients, without a mount
    unsigned server_protocol = 2, client_protocol = 2;
    uint64_t disk_bytes = 256ull << 20;
    uint32_t timeout_ms = 20000;
    uint16_t client_threads = 64;  // of a client's pools
    uint32_t stripe_bytes = 65536, stripe_count = 2;
    WorldOptions world{};
};

class FsWorld {
public:
    struct Node {
        Host* host = nullptr;
        lull_node* node = nullptr;  // null while down
        unsigned protocol = 2;
    };
    struct Target {
        std::string name;   // "lull-MDT0000"
        std::string param;  // "mdt.lull-MDT0000."
        std::string device;
        Disk* disk = nullptr;
        Node* home = nullptr;  // first choice
        Node* partner = nullptr;
        Node* at = nullptr;  // where it runs
        lull_server* server = nullptr;
    };
    explicit FsWorld(uint64_t seed, FsOptions options = {}, bool mount = true);
    ~FsWorld();

    World world;
    Node mds1, mds2, oss1, oss2;
    std::vector<std::unique_ptr<Node>> client_nodes;
    std::vector<std::unique_ptr<SimMount>> mounts;
    Target& mdt() { return *targets_[0]; }
    Target& ost(size_t i) { return *targets_[1 + i]; }
    std::vector<std::unique_ptr<Target>>& targets() { return targets_; }
    SimMount& c(size_t i) { return *mounts[i]; }

    // Runs fn in a task of the host to its end; false, and a test failure, when it does not end in
    // time (virtual).
    bool on(Host& host, const std::function<void()>& fn, uint64_t limit_ns = 900ull * 1000000000);
    bool on(Node& node, const std::function<void()>& fn) { return on(*node.host, fn); }
    bool on(size_t client, const std::function<void()>& fn)
    {
        return on(mounts[client]->host(), fn);
    }
    // Starts fn beside everything else; wait for all with join().
    void spawn(size_t client, const std::string& name, const std::function<void()>& fn);
    bool join(uint64_t limit_ns = 900ull * 1000000000);
    void run_for_ms(uint64_t ms) { world.run_for(ms * 1000000); }

    int start(Target& target, Node& node, const std::string& options = "",
              std::string* why = nullptr);
    void stop(Target& target, unsigned flags = 0);  // umount
    // power off, with everything that runs there
    void crash(Node& node);
    void forget(Node& node);  // its host has crashed
    void crash(Target& target) { crash(*target.at); }
    void boot(Node& node);
    // lctl on that node. set: 0 or the error; get: the value.
    int set_param(Node& node, const std::string& name, const std::string& value);
    std::string get_param(Node& node, const std::string& name);
    // Controlled shutdown to its halt, then the umount. False when it does not halt in time.
    bool controlled_shutdown(Target& target, uint64_t limit_ms = 120000);
    // Sum of one counter of "stats" over all imports of all clients.
    uint64_t client_counter(const std::string& counter, const std::string& kind = "*");

    int mount(size_t client, const std::string& options = "", std::string* why = nullptr);
    void umount(size_t client);
    std::string source() const;
    void crash_client(size_t client);
    void finish();
    // Told what every target executes from now on; null: nobody.
    void watch(lull::TargetObserver* observer);

private:
    void format(Target& target, const std::string& kinds, unsigned index,
                const std::string& servicenode);
    std::string nid(const Node& node) const;

    FsOptions options_;
    lull::TargetObserver* observer_ = nullptr;
    std::vector<std::unique_ptr<Target>> targets_;
    std::vector<TaskHandle> running_;
    bool finished_ = false;
};

}  // namespace lull::sim
