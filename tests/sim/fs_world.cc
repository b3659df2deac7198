// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/fs_world.h"

#include <gtest/gtest.h>

#include <cstring>

#include "include/lull/user_api.h"
#include "ptlrpc/node.h"

namespace lull::sim {

FsWorld::FsWorld(uint64_t seed, FsOptions options, bool mount)
    : world(seed, options.world), options_(options)
{
    auto node = [&](Node& n, const char* name, unsigned protocol) {
        n.host = &world.host(name);
        n.protocol = protocol;
    };
    node(mds1, "mds1", options.server_protocol);
    node(mds2, "mds2", options.server_protocol);
    node(oss1, "oss1", options.server_protocol);
    node(oss2, "oss2", options.server_protocol);
    for (unsigned i = 0; i < options.clients + options.unmounted; i++) {
        client_nodes.push_back(std::make_unique<Node>());
        node(*client_nodes.back(), ("c" + std::to_string(i + 1)).c_str(), options.client_protocol);
    }
    for (Node* n : {&mds1, &mds2, &oss1, &oss2}) boot(*n);
    for (auto& n : client_nodes) boot(*n);

    for (unsigned i = 0; i < 1 + options.osts; i++) {
        auto t = std::make_unique<Target>();
        char name[32];
        snprintf(name, sizeof name, "lull-%s%04x", i ? "OST" : "MDT", i ? i - 1 : 0);
        t->name = name;
        t->param = (i ? "obdfilter." : "mdt.") + t->name + ".";
        t->device = "/dev/" + t->name;
        t->home = i == 0 ? &mds1 : i % 2 ? &oss1 : &oss2;
        t->partner = i == 0 ? &mds2 : i % 2 ? &oss2 : &oss1;
        t->disk = &make_disk(world, t->name, options.disk_bytes);
        t->disk->attach(*t->home->host, t->device);
        t->disk->attach(*t->partner->host, t->device);
        bool lost = i > options.osts - options.lost_osts;
        format(*t, i ? "ost" : "mgs,mdt", i ? i - 1 : 0,
               lost ? "10.99.0.1@tcp" : nid(*t->home) + ":" + nid(*t->partner));
        targets_.push_back(std::move(t));
    }
    if (!mount) return;
    for (size_t i = 0; i < targets_.size() - options.lost_osts; i++) {
        auto& t = targets_[i];
        std::string why;
        EXPECT_EQ(start(*t, *t->home, "", &why), 0) << why;
    }
    run_for_ms(2000);  // registrations
    for (size_t i = 0; i < options.clients; i++) {
        std::string why;
        EXPECT_EQ(this->mount(i, "", &why), 0) << why;
    }
}

FsWorld::~FsWorld()
{
    // After a failure nothing may run any more: what is left is forgotten, not destroyed.
    for (auto& m : mounts)
        if (m && m->mounted()) (void)m.release();
}

std::string FsWorld::nid(const Node& node) const
{
    uint32_t a = node.host->address();
    return std::to_string(a >> 24) + "." + std::to_string(a >> 16 & 255) + "." +
           std::to_string(a >> 8 & 255) + "." + std::to_string(a & 255) + "@tcp";
}

std::string FsWorld::source() const { return nid(mds1) + ":" + nid(mds2) + ":/lull"; }

void FsWorld::format(Target& t, const std::string& kinds, unsigned index,
                     const std::string& servicenode)
{
    std::string data = "format=1\nfsname=lull\nkinds=" + kinds +
                       "\nindex=" + std::to_string(index) + "\nuuid=" + t.name +
                       "-uuid\nservicenode=" + servicenode +
                       "\nstripesize=" + std::to_string(options_.stripe_bytes) +
                       "\nstripecount=" + std::to_string(options_.stripe_count) + "\n";
    if (kinds == "ost") data += "mgsnode=" + nid(mds1) + ":" + nid(mds2) + "\n";
    on(*t.home, [&] {
        kbfs* fs;
        kbfs_node *root, *dir, *file;
        ASSERT_EQ(kbfs_mount(t.home->host->net(), t.device.c_str(), false, &fs), 0);
        ASSERT_EQ(kbfs_root(fs, &root), 0);
        ASSERT_EQ(kbfs_create(root, "CONFIGS", 7, 0040755, 0, &dir), 0);
        ASSERT_EQ(kbfs_create(dir, "mountdata", 9, 0100644, 0, &file), 0);
        ASSERT_EQ(kbfs_write(file, 0, data.data(), data.size()), 0);
        ASSERT_EQ(kbfs_sync(fs), 0);
        kbfs_put(file);
        kbfs_put(dir);
        kbfs_put(root);
        kbfs_unmount(fs);
    });
}

bool FsWorld::on(Host& host, const std::function<void()>& fn, uint64_t limit_ns)
{
    TaskHandle task = host.spawn("test", fn);
    bool ended = world.run_to_end(task, world.now_ns() + limit_ns);
    EXPECT_TRUE(ended) << world.report();
    return ended;
}

void FsWorld::spawn(size_t client, const std::string& name, const std::function<void()>& fn)
{
    running_.push_back(mounts[client]->host().spawn(name, fn));
}

bool FsWorld::join(uint64_t limit_ns)
{
    bool all = world.run_until(
        [&] {
            for (TaskHandle t : running_)
                if (!World::finished(t)) return false;
            return true;
        },
        world.now_ns() + limit_ns);
    EXPECT_TRUE(all) << world.report();
    running_.clear();
    return all;
}

void FsWorld::boot(Node& n)
{
    if (!n.host->up()) n.host->boot();
    on(n, [&] {
        lull_node_options o = {};
        o.protocol_max = n.protocol;
        o.port = 988;
        bool client = n.host->name()[0] == 'c';
        o.service_threads_max = client ? options_.client_threads : uint16_t{64};
        o.timeout_ms = options_.timeout_ms;
        snprintf(o.nodename, sizeof o.nodename, "%s", n.host->name().c_str());
        ASSERT_EQ(lull_node_create(n.host->net(), &o, &n.node), 0);
        lull::node_of(n.node).set_observer(observer_);
    });
    for (size_t i = 0; i < client_nodes.size(); i++)
        if (client_nodes[i].get() == &n) {
            if (mounts.size() <= i) mounts.resize(i + 1);
            mounts[i] = std::make_unique<SimMount>(*n.host, n.node);
        }
}

int FsWorld::start(Target& t, Node& node, const std::string& options, std::string* why)
{
    int err = -1;
    char text[200] = "";
    if (!node.node) boot(node);
    on(node, [&] {
        err = lull_server_start(node.node, t.device.c_str(), options.c_str(), &t.server, text,
                                sizeof text);
    });
    if (why) *why = text;
    t.at = err ? nullptr : &node;
    return err;
}

void FsWorld::stop(Target& t, unsigned flags)
{
    on(*t.at, [&] { lull_server_stop(t.server, flags); });
    t.server = nullptr;
    t.at = nullptr;
}

void FsWorld::crash(Node& node)
{
    node.host->crash();
    forget(node);
}

void FsWorld::forget(Node& node)
{
    node.node = nullptr;
    for (auto& t : targets_)
        if (t->at == &node) {
            t->at = nullptr;
            t->server = nullptr;
        }
}

int FsWorld::set_param(Node& node, const std::string& name, const std::string& value)
{
    int err = -1;
    on(node, [&] {
        std::string in = name + "=" + value;
        std::vector<char> out(65536);
        size_t n = out.size();
        err = lull_node_control(node.node, LULL_CTL_SET, in.data(), in.size(), out.data(), &n);
    });
    return err;
}

std::string FsWorld::get_param(Node& node, const std::string& name)
{
    std::string text;
    on(node, [&] {
        std::vector<char> out(1 << 18);
        size_t n = out.size();
        int err =
            lull_node_control(node.node, LULL_CTL_GET, name.data(), name.size(), out.data(), &n);
        text = err ? "error " + std::to_string(err) : std::string(out.data(), n);
    });
    return text;
}

bool FsWorld::controlled_shutdown(Target& t, uint64_t limit_ms)
{
    int err = set_param(*t.at, t.param + "controlled_shutdown", "1");
    EXPECT_EQ(err, 0);
    for (uint64_t end = world.now_ns() + limit_ms * 1000000; !err;) {
        std::string state = get_param(*t.at, t.param + "controlled_shutdown");
        if (state.find("halted") != std::string::npos) break;
        if (world.now_ns() > end || world.failed()) {
            ADD_FAILURE() << t.name << " does not halt: " << state
                          << get_param(*t.at, t.param + "controlled_shutdown_status")
                          << world.report();
            return false;
        }
        run_for_ms(20);
    }
    stop(t);
    return err == 0;
}

uint64_t FsWorld::client_counter(const std::string& counter, const std::string& kind)
{
    uint64_t sum = 0;
    for (auto& n : client_nodes) {
        if (!n->node || n->host->paused()) continue;
        for (const char* type : {"mdc", "osc"}) {
            if (kind != "*" && kind != type) continue;
            std::string text = get_param(*n, std::string(type) + ".*.stats");
            for (size_t at = 0; (at = text.find("\n" + counter + ": ", at)) != std::string::npos;) {
                at += counter.size() + 3;
                sum += strtoull(text.c_str() + at, nullptr, 10);
            }
        }
    }
    return sum;
}

int FsWorld::mount(size_t i, const std::string& options, std::string* why)
{
    int err = -1;
    on(i, [&] { err = c(i).mount(source(), options, why); });
    return err;
}

void FsWorld::umount(size_t i)
{
    on(i, [&] { c(i).umount(); });
}

void FsWorld::crash_client(size_t i)
{
    (void)mounts[i].release();
    client_nodes[i]->host->crash();
    client_nodes[i]->node = nullptr;
}

void FsWorld::watch(lull::TargetObserver* observer)
{
    observer_ = observer;
    for (Node* n : {&mds1, &mds2, &oss1, &oss2})
        if (n->node) lull::node_of(n->node).set_observer(observer);
}

void FsWorld::finish()
{
    for (size_t i = 0; i < mounts.size(); i++)
        if (mounts[i] && mounts[i]->mounted()) umount(i);
    for (size_t i = targets_.size(); i-- > 0;)
        if (targets_[i]->at) stop(*targets_[i]);
    std::vector<Node*> nodes{&mds1, &mds2, &oss1, &oss2};
    for (auto& n : client_nodes) nodes.push_back(n.get());
    for (Node* n : nodes) {
        if (!n->node) continue;
        on(*n, [&] { lull_node_destroy(n->node); });
        n->node = nullptr;
        EXPECT_EQ(n->host->leftovers(), "") << n->host->name();
    }
    finished_ = true;
}

}  // namespace lull::sim
