// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/scale.h"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "kapi/sim/memory.h"
#include "kapi/walks.h"
#include "tests/sim/fs_world.h"

namespace lull::sim {

namespace {

constexpr uint64_t kMs = 1000000, kSecond = 1000 * kMs;
constexpr uint64_t kLookNs = 2000;              // the time that passes at each look at a clock
constexpr uint64_t kMountNsPerClient = 100000;  // mounts and unmounts come one after another
constexpr uint64_t kLimitNs = 3600 * kSecond;

WorldOptions world_options()
{
    WorldOptions o;
    o.preempt_permille = 2;
    o.spurious_wake_permille = 0;
    o.clock_tick_ns = kLookNs;
    return o;
}

FsOptions fs_options()
{
    FsOptions o;
    o.osts = 1;
    o.clients = 0;
    o.world = world_options();
    return o;
}

size_t count_tasks(const World& world, const Host& host)
{
    std::string text = world.leftover_tasks(host);
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

class Experiment {
public:
    explicit Experiment(const ScaleOptions& o)
        : o_(o), w_(1, fs_options()), server_(*w_.ost(0).home->host),
          hosts_clients_(w_.world.host("clients")),
          clients_(w_.world, hosts_clients_, w_.ost(0).name, o.clients, server_.address())
    {
        r_.clients = o.clients;
        clients_.use_spread(o.spread);
    }
    ScaleResult run()
    {
        r_.ok = mount() && shut_down() && restart() && leave();
        if (!r_.ok && r_.why.empty())
            r_.why = w_.world.failed() ? w_.world.failure() : "a stage did not end";
        collect();
        w_.finish();
        return std::move(r_);
    }

private:
    struct Mark {
        uint64_t ns, walks, allocations, steps;
        clock_t cpu;
    };
    Mark mark()
    {
        return {w_.world.now_ns(), walks_counted, server_.arena().made, w_.world.steps(),
                std::clock()};
    }
    void charge(ScaleStage stage, const Mark& from)
    {
        StageCost& s = r_.stages[static_cast<unsigned>(stage)];
        Mark to = mark();
        s.virtual_ns += to.ns - from.ns;
        s.walks += to.walks - from.walks;
        s.allocations += to.allocations - from.allocations;
        s.steps += to.steps - from.steps;
        s.cpu_s += static_cast<double>(to.cpu - from.cpu) / CLOCKS_PER_SEC;
    }
    bool until(const std::function<bool()>& p)
    {
        return w_.world.run_until(p, w_.world.now_ns() + kLimitNs);
    }
    std::string param(const std::string& name)
    {
        return w_.get_param(*w_.ost(0).at, w_.ost(0).param + name);
    }
    uint64_t per_client(uint64_t bytes) const
    {
        return bytes > idle_bytes_ ? (bytes - idle_bytes_) / o_.clients : 0;
    }

    bool mount()
    {
        idle_bytes_ = server_.arena().live_bytes;
        size_t idle_tasks = count_tasks(w_.world, server_);
        Mark m = mark();
        clients_.start(o_.clients * kMountNsPerClient);
        if (!until([&] { return clients_.holding() == o_.clients; })) return false;
        charge(ScaleStage::kMount, m);
        r_.bytes_per_client = per_client(server_.arena().live_bytes);
        r_.tasks_per_1000 = (count_tasks(w_.world, server_) - idle_tasks) * 1000 / o_.clients;
        return true;
    }
    // The states of the shutdown are seen from outside: each stage ends when the next one's first
    // effect shows.
    bool shut_down();
    bool restart();
    bool leave()
    {
        Mark m = mark();
        clients_.leave(o_.clients * kMountNsPerClient);
        if (!until([&] { return clients_.gone() == o_.clients; })) return false;
        charge(ScaleStage::kLeave, m);
        return true;
    }
    void collect();

    const ScaleOptions o_;
    ScaleResult r_;
    FsWorld w_;
    Host& server_;
    Host& hosts_clients_;
    LightClients clients_;
    uint64_t idle_bytes_ = 0;
};

bool Experiment::shut_down()
{
    auto& t = clients_.traffic();
    auto sent = [&](ScalePhase p) { return t[p].to_clients; };
    uint64_t most_bytes = 0;
    auto watch = [&] {
        most_bytes = std::max(most_bytes, server_.arena().live_bytes);
        return true;
    };
    Mark m = mark();
    if (w_.set_param(*w_.ost(0).at, w_.ost(0).param + "controlled_shutdown", "1") != 0)
        return false;
    if (!until([&] { return watch() && sent(kPhaseDrain) > 0; })) return false;
    charge(ScaleStage::kWarm, m);
    m = mark();
    if (!until([&] { return watch() && clients_.holding() == 0; })) return false;
    charge(ScaleStage::kDrain, m);
    m = mark();
    clients_.restarted = true;
    if (!until([&] { return watch() && sent(kPhaseCommit) == o_.clients; })) return false;
    charge(ScaleStage::kCommit, m);
    m = mark();
    if (!until([&] { return watch() && w_.ost(0).disk->owner() == nullptr; })) return false;
    w_.stop(w_.ost(0));
    FsWorld::Node& node = *w_.ost(0).home;
    w_.on(node, [&] { lull_node_destroy(node.node); });
    node.node = nullptr;
    charge(ScaleStage::kHalt, m);
    r_.drained_bytes_per_client = per_client(most_bytes);
    return !w_.world.failed();
}

bool Experiment::restart()
{
    w_.run_for_ms(o_.down_ms);
    std::string why;
    Mark m = mark();
    if (w_.start(w_.ost(0), *w_.ost(0).home, "", &why) != 0) {
        r_.why = why;
        return false;
    }
    charge(ScaleStage::kStart, m);
    m = mark();
    if (!until([&] { return clients_.holding() == o_.clients; })) return false;
    charge(ScaleStage::kReconnect, m);
    std::string status = param("controlled_shutdown_status");
    if (size_t at = status.find("previous: "); at != std::string::npos)
        r_.account = status.substr(at + 10, status.find('\n', at) - at - 10);
    if (clients_.not_resumed() == 0) return true;
    r_.why = std::to_string(clients_.not_resumed()) + " clients came back as strangers";
    return false;
}

void Experiment::collect()
{
    constexpr struct {
        ScalePhase phase;
        ScaleStage stage;
    } kOf[] = {{kPhaseMount, ScaleStage::kMount},       {kPhaseWarm, ScaleStage::kWarm},
               {kPhaseDrain, ScaleStage::kDrain},       {kPhaseCommit, ScaleStage::kCommit},
               {kPhaseConnect, ScaleStage::kReconnect}, {kPhaseResume, ScaleStage::kReconnect},
               {kPhaseLeave, ScaleStage::kLeave}};
    for (auto [phase, stage] : kOf) {
        const Traffic& t = clients_.traffic()[phase];
        StageCost& s = r_.stages[static_cast<unsigned>(stage)];
        s.to_clients += t.to_clients;
        s.from_clients += t.from_clients;
        s.bytes += t.bytes;
        s.most = std::max({s.most, t.most_to, t.most_from});
    }
    const Traffic& other = clients_.traffic()[kPhaseOther];
    if (r_.ok && other.to_clients + other.from_clients)
        r_.ok = false, r_.why = "messages that belong to no phase";
    r_.pings = clients_.traffic()[kPhaseAlive].from_clients;
    r_.spread_ms = clients_.told_spread_ms();
    r_.attempts = clients_.attempts();
    r_.failed_attempts = clients_.failed_attempts();
    r_.rush_per_ms = clients_.rush_per_ms();
}

}  // namespace

const char* to_string(ScaleStage stage)
{
    constexpr const char* kNames[] = {"mount", "warm-up", "drain",     "commit",
                                      "halt",  "start",   "reconnect", "unmount"};
    return kNames[static_cast<unsigned>(stage)];
}

ScaleResult run_scale(const ScaleOptions& options) { return Experiment(options).run(); }

void print_scale(const ScaleResult& r)
{
    using ull = unsigned long long;
    double n = static_cast<double>(r.clients);
    printf("\n%zu clients%s%s\n", r.clients, r.ok ? "" : ": FAILED: ", r.why.c_str());
    printf("  %-10s %12s %12s %14s %9s %12s %10s %10s %10s %8s\n", "phase", "to clients",
           "to server", "bytes", "most/cl.", "virtual ms", "looks/cl.", "allocs/cl.", "steps/cl.",
           "cpu s");
    for (unsigned i = 0; i < kScaleStages; i++) {
        const StageCost& s = r.stages[i];
        printf("  %-10s %12llu %12llu %14llu %9llu %12.1f %10.2f %10.2f %10.1f %8.2f\n",
               to_string(static_cast<ScaleStage>(i)), (ull)s.to_clients, (ull)s.from_clients,
               (ull)s.bytes, (ull)s.most, static_cast<double>(s.virtual_ns) / 1e6,
               static_cast<double>(s.walks) / n, static_cast<double>(s.allocations) / n,
               static_cast<double>(s.steps) / n, s.cpu_s);
    }
    printf(
        "  server memory per client: %llu bytes idle, %llu at most while drained; "
        "and %.2f tasks (16 KB of kernel stack each)\n",
        (ull)r.bytes_per_client, (ull)r.drained_bytes_per_client,
        static_cast<double>(r.tasks_per_1000) / 1000);
    printf(
        "  return: told to spread over %u ms; %.2f attempts per client, %.2f of them in vain; "
        "at most %llu in one ms\n",
        r.spread_ms, static_cast<double>(r.attempts) / n,
        static_cast<double>(r.failed_attempts) / n, (ull)r.rush_per_ms);
    printf("  the server's own account: %s\n  pings: %llu\n", r.account.c_str(), (ull)r.pings);
    fflush(stdout);
}

}  // namespace lull::sim
