// SPDX-License-Identifier: GPL-2.0-only
#include "utils/upgrade/upgrade.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <thread>

namespace lull::upgrade {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kLookEvery = std::chrono::milliseconds(300);
constexpr const char* kUnload =
    "for m in lull_client lull_server lull; do [ ! -d /sys/module/$m ] || rmmod $m || exit 1; done";

class Run {
public:
    Run(const Cluster& cluster, const Options& options, const Say& say)
        : cluster_(cluster), options_(options), say_(say)
    {}
    Report all();

private:
    struct Server {
        std::string node;
        std::vector<Mount> mounts;
    };
    void check_all();
    void upgrade(const Server& server);
    void estimate(const std::string& node, const Mount& mount);
    Step& shut_down(const std::string& node, const Mount& mount);
    std::string wait_halted(const std::string& node, const Mount& mount);
    void take_back(const std::string& node, const Mount& mount, const std::string& why);
    void start(const std::string& node, const Mount& mount, Step& step);
    void wait_served(const std::string& node, const Mount& mount, Step& step);
    void exchange(const Server& server);
    std::string partner_of(const std::string& node) const
    {
        auto found = options_.partners.find(node);
        return found == options_.partners.end() ? "" : found->second;
    }
    double now() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

    const Cluster& cluster_;
    const Options& options_;
    const Say& say_;
    const Clock::time_point began_ = Clock::now();
    std::vector<Server> servers_;
    Report report_;
};

std::map<std::string, double> parse_phases(const std::string& text)
{
    std::istringstream words(text);
    std::map<std::string, double> out;
    double value;
    for (std::string name; words >> name >> value;) out[name] = value;
    return out;
}

void Run::check_all()
{
    for (const std::string& node : options_.servers) {
        Server server{node, cluster_.mounts(node)};
        for (const Mount& mount : server.mounts) {
            cluster_.check(node, mount);
            say_(fmt::format("{}: {} on {}, {}", node, mount.target.name, mount.device,
                             cluster_.get(node, mount.target.param("version"))));
            estimate(node, mount);
        }
        if (server.mounts.empty()) say_(fmt::format("{}: no target is mounted here", node));
        if (std::string partner = partner_of(node); !partner.empty())
            for (const Mount& mount : server.mounts)
                (void)cluster_.remote()
                    .run(partner, fmt::format("test -b {0} || {{ echo {0} is not there; exit 1; }}",
                                              mount.device));
        servers_.push_back(std::move(server));
    }
    bool any = std::any_of(servers_.begin(), servers_.end(),
                           [](const Server& s) { return !s.mounts.empty(); });
    if (!any) throw Surprise("no target is mounted on any of these servers");
}

void Run::estimate(const std::string& node, const Mount& mount)
{
    Outcome outcome =
        cluster_.remote().try_run(node,
                                  "lctl get_param -n " +
                                      mount.target.param("controlled_shutdown_estimate"),
                                  60);
    if (outcome.status) return;  // an older server has none
    for (char& c : outcome.output)
        if (c == '\n') c = ',';
    say_(fmt::format("{}: {} would have to see to: {}", node, mount.target.name, outcome.output));
}

std::string Run::wait_halted(const std::string& node, const Mount& mount)
{
    std::string shown;
    for (auto deadline = Clock::now() + std::chrono::seconds(options_.limit_s);;) {
        auto status = cluster_.table(node, mount.target.param("controlled_shutdown_status"));
        std::string line = fmt::format("{}, {} of {} clients have let go", status["state"],
                                       status["clients_drained"], status["clients_told"]);
        if (!status["not_heard_of"].empty())
            line = fmt::format("{}, no sign of life yet of {}", status["state"],
                               status["not_heard_of"]);
        if (line != shown) say_(fmt::format("{}: {}: {}", node, mount.target.name, line));
        shown = line;
        if (status["state"] == "halted") {
            if (status["clients_late"] != "0")
                throw Surprise(fmt::format("{} evicted clients that did not answer: {}",
                                           mount.target.name, status["late"]));
            return status["phases_ms"];
        }
        if (status["state"] == "running")
            throw Surprise(fmt::format("{} went back to service: {}", mount.target.name,
                                       status["last_error"]));
        if (Clock::now() >= deadline)
            throw Surprise(fmt::format("{} is still {} after {} s", mount.target.name,
                                       status["state"], options_.limit_s));
        std::this_thread::sleep_for(kLookEvery);
    }
}

// Back to service if that is still possible, and on with the bad news.
void Run::take_back(const std::string& node, const Mount& mount, const std::string& why)
{
    bool serves = cluster_.remote()
                          .try_run(node,
                                   fmt::format("lctl set_param -n {}=0",
                                               mount.target.param("controlled_shutdown")),
                                   60)
                          .status == 0 ||
                  cluster_.remote()
                          .try_run(node,
                                   fmt::format("lctl wait_param -t 1 {} running",
                                               mount.target.param("controlled_shutdown")),
                                   60)
                          .status == 0;
    std::string what =
        serves ? "its shutdown was cancelled, it serves as before"
               : fmt::format("it is halted; go on with: umount {0}; mount -t lull {1} {0}",
                             mount.directory, mount.device);
    throw Surprise(fmt::format("{}. On {}: {}", why, node, what));
}

Step& Run::shut_down(const std::string& node, const Mount& mount)
{
    Step step;
    step.target = mount.target.name;
    step.from = node;
    step.begin_s = now();
    step.clients = std::stoul("0" + cluster_.get(node, mount.target.param("num_exports")));
    cluster_.set(node, mount.target.param("controlled_shutdown"), "1");
    try {
        step.phases_ms = parse_phases(wait_halted(node, mount));
    } catch (const Surprise& surprise) {
        take_back(node, mount, surprise.what());
    }
    step.halted_s = now();
    (void)cluster_.remote().run(node, "umount " + mount.directory, options_.limit_s);
    report_.steps.push_back(step);
    return report_.steps.back();
}

void Run::start(const std::string& node, const Mount& mount, Step& step)
{
    step.to = node;
    try {
        (void)cluster_.remote().run(node,
                                    fmt::format("mkdir -p {0} && mount -t lull {1} {0}",
                                                mount.directory, mount.device),
                                    options_.limit_s);
    } catch (const Surprise& surprise) {
        std::string elsewhere = partner_of(step.from);
        throw Surprise(fmt::format("{}. {} is down. Go on with: mount -t lull {} {} on {}{}",
                                   surprise.what(), mount.target.name, mount.device,
                                   mount.directory, step.from,
                                   elsewhere.empty() ? "" : " or on " + elsewhere));
    }
    step.started_s = now();
    wait_served(node, mount, step);
}

// Nobody's opens are reserved any more: every client is back, or its time has passed.
void Run::wait_served(const std::string& node, const Mount& mount, Step& step)
{
    for (auto deadline = Clock::now() + std::chrono::seconds(options_.limit_s);;) {
        auto status = cluster_.table(node, mount.target.param("recovery_status"));
        bool waits = status["status"] == "RECOVERING" || status.count("reserved_clients");
        if (!waits) break;
        if (Clock::now() >= deadline)
            throw Surprise(
                fmt::format("{} serves on {}, but {} clients have not come back in {} s: "
                            "are they down? See lctl get_param {}",
                            mount.target.name, node, status["reserved_clients"], options_.limit_s,
                            mount.target.param("exports")));
        std::this_thread::sleep_for(kLookEvery);
    }
    step.served_s = now();
    say_(fmt::format("{}: {} serves all clients again, {:.1f} s after its shutdown began", node,
                     mount.target.name, step.served_s - step.begin_s));
}

// With no target on the server. Whatever happens, what can be served is served again afterwards.
void Run::exchange(const Server& server)
{
    if (!options_.keep_modules) (void)cluster_.remote().run(server.node, kUnload);
    if (options_.replace.empty()) return;
    say_(fmt::format("{}: exchanging the software", server.node));
    Outcome outcome = run_here(options_.replace, server.node, options_.limit_s);
    if (outcome.status)
        throw Surprise(fmt::format("{}: the software could not be exchanged (status {}): {}",
                                   server.node, outcome.status, outcome.output));
}

void Run::upgrade(const Server& server)
{
    std::string partner = partner_of(server.node);
    std::vector<size_t> mine;
    for (const Mount& mount : server.mounts) {
        Step& step = shut_down(server.node, mount);
        mine.push_back(report_.steps.size() - 1);
        if (!partner.empty()) start(partner, mount, step);
    }
    std::string trouble;
    try {
        exchange(server);
    } catch (const Surprise& surprise) {
        trouble = surprise.what();
    }
    for (size_t i = 0; i < server.mounts.size(); i++) {
        const Mount& mount = server.mounts[i];
        if (partner.empty()) {
            start(server.node, mount, report_.steps[mine[i]]);
        } else if (options_.fail_back && trouble.empty()) {
            start(server.node, mount, shut_down(partner, mount));
        }
    }
    if (trouble.empty()) return;
    throw Surprise(trouble + (server.mounts.empty() ? ""
                              : partner.empty()
                                  ? ". Its targets were started again with what is installed there"
                                  : ". Its targets stay on " + partner));
}

Report Run::all()
{
    try {
        check_all();
        if (options_.dry_run) say_("nothing was changed (--dry-run)");
        for (const Server& server : servers_)
            if (!options_.dry_run) upgrade(server);
    } catch (const Surprise& surprise) {
        report_.surprise = surprise.what();
    }
    report_.seconds = now();
    return report_;
}

}  // namespace

Report run(const Cluster& cluster, const Options& options, const Say& say)
{
    return Run(cluster, options, say).all();
}

}  // namespace lull::upgrade
