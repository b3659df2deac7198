// SPDX-License-Identifier: GPL-2.0-only
#include "utils/upgrade/upgrade.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <sstream>
#include <thread>

#include "utils/upgrade/account.h"
#include "utils/upgrade/interrupt.h"

namespace lull::upgrade {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kLookEvery = std::chrono::milliseconds(300);
constexpr int kOtherDisk = 77;
constexpr const char* kUnload =
    "for m in lull_client lull_server lull; do [ ! -d /sys/module/$m ] || rmmod $m || exit 1; done";

void stop_if_interrupted()
{
    if (interrupts()) throw Surprise("interrupted");
}

class Run {
public:
    Run(const Cluster& cluster, const Options& options, const Say& say)
        : cluster_(cluster), options_(options), say_(say), account_(cluster)
    {}
    Report all();

private:
    // A target in the hands of the upgrade: on its server, at the partner, or down.
    struct Held {
        Mount mount;
        std::string at;  // ""; down
        size_t step;
    };
    Survey look();
    void check_all();
    void check(const Survey& survey, const std::string& node, Mount& mount);
    void note_missing(const Survey& survey);
    void check_partner(const std::string& node, const Mount& mount);
    void upgrade(const std::string& node);
    void take(const std::string& node, std::vector<Held>& held);
    void give_back(const std::string& node, std::vector<Held>& held, bool all_well);
    void see_that_all_runs();
    void estimate(const std::string& node, const Mount& mount);
    size_t shut_down(const std::string& node, const Mount& mount);
    size_t add_step(const std::string& node, const Mount& mount);
    std::string wait_halted(const std::string& node, const Mount& mount);
    [[noreturn]] void take_back(const std::string& node, const Mount& mount,
                                const std::string& why);
    void start(const std::string& node, Held& held);
    void wait_served(const Held& held);
    void exchange(const std::string& node);
    std::string device_at(const std::string& node, const Mount& mount) const;
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
    Account account_;
    std::map<std::string, std::vector<Mount>> down_;  // to be started there (--resume)
    std::map<std::string, std::vector<Mount>> away_;  // of whom: now at the partner (--resume)
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

// ---- before anything is touched

Survey Run::look()
{
    return Survey(cluster_, options_.servers, options_.partners, options_.mgs, say_);
}

void Run::check_all()
{
    Survey survey = look();
    note_missing(survey);
    bool any = !down_.empty();
    for (const std::string& node : options_.servers) {
        stop_if_interrupted();
        std::vector<Mount> mounts = survey.seen(node).mounts;
        for (Mount& mount : mounts) {
            check(survey, node, mount);
            check_partner(node, mount);
            estimate(node, mount);
        }
        any = any || !mounts.empty();
        std::string partner = partner_of(node);
        if (mounts.empty() && !down_.count(node))
            say_(fmt::format("{}: no target is mounted here", node));
        if (!options_.resume || partner.empty()) continue;
        for (Mount mount : survey.seen(partner).mounts) {
            if (!survey.is_home(mount.target.name, node)) continue;
            check(survey, partner, mount);
            say_(fmt::format("{}: {} is at {} and comes back", node, mount.target.name, partner));
            away_[node].push_back(mount);
            any = true;
        }
    }
    if (!any) throw Surprise("no target is mounted on any of these servers");
}

void Run::check(const Survey& survey, const std::string& node, Mount& mount)
{
    const std::string& name = mount.target.name;
    if (survey.is_removed(name))
        throw Surprise(
            fmt::format("{} on {} was removed from the file system, and cannot be "
                        "mounted again: umount {} there first",
                        name, node, mount.directory));
    auto seen = survey.disk(node, mount.device);
    mount.disk = seen ? *seen : cluster_.identify(node, mount.device);
    if (mount.disk.label != name)
        throw Surprise(fmt::format("{} on {} is labelled \"{}\", but {} is mounted from it",
                                   mount.device, node, mount.disk.label, name));
    account_.know(node, mount);
    if (!options_.resume || cluster_.state(node, mount.target) == "running")
        cluster_.check(node, mount);
    say_(fmt::format("{}: {} on {}, {}", node, name, mount.device,
                     cluster_.get(node, mount.target.param("version"))));
}

// What an upgrade that was cut off has left, or somebody else.
void Run::note_missing(const Survey& survey)
{
    std::string trouble;
    for (const Missing& missing : survey.missing()) {
        std::string text = missing.name + " runs nowhere, and none of these servers has its disk";
        if (!missing.disks.empty()) {
            auto [node, disk] = missing.disks.front();
            Mount mount{disk.device, cluster_.directory(node, disk), target_named(missing.name),
                        false, disk};
            account_.know(node, mount);
            bool ours = std::count(options_.servers.begin(), options_.servers.end(), node);
            text = fmt::format("{} runs nowhere, its disk is {} on {}", missing.name, disk.device,
                               node);
            if (options_.resume && ours) {
                say_(text + ": it is started there");
                down_[node].push_back(mount);
                continue;
            }
        }
        trouble += (trouble.empty() ? "" : "; ") + text;
    }
    if (!trouble.empty())
        throw Surprise(trouble +
                       (options_.resume
                            ? ""
                            : ". If an upgrade was cut off, lull upgrade --resume goes on "
                              "with it: the same command with that word"));
}

// Where a node sees a target's disk; shown by label and uuid, not by its name.
std::string Run::device_at(const std::string& node, const Mount& mount) const
{
    auto wanted = options_.devices.find(mount.target.name + "@" + node);
    return cluster_.find(node, mount.disk, wanted == options_.devices.end() ? "" : wanted->second);
}

void Run::check_partner(const std::string& node, const Mount& mount)
{
    std::string partner = partner_of(node);
    if (partner.empty()) return;
    std::string device = device_at(partner, mount);
    Mount there = mount;
    there.device = device;
    account_.know(partner, there);
    if (device != mount.device)
        say_(fmt::format("{}: {} is {} there", partner, mount.target.name, device));
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

// ---- down

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
        stop_if_interrupted();
        std::this_thread::sleep_for(kLookEvery);
    }
}

// Back to service if that is still possible, and on with the bad news.
void Run::take_back(const std::string& node, const Mount& mount, const std::string& why)
{
    Unhurried unhurried;
    std::string param = mount.target.param("controlled_shutdown");
    bool serves =
        cluster_.remote().try_run(node, fmt::format("lctl set_param -n {}=0", param), 60).status ==
            0 ||
        cluster_.remote()
                .try_run(node, fmt::format("lctl wait_param -t 1 {} running", param), 60)
                .status == 0;
    throw Surprise(
        serves ? fmt::format("{}. On {} its shutdown was cancelled, it serves as before", why, node)
               : why);
}

size_t Run::add_step(const std::string& node, const Mount& mount)
{
    Step step;
    step.target = mount.target.name;
    step.from = node;
    step.begin_s = step.halted_s = now();
    report_.steps.push_back(step);
    return report_.steps.size() - 1;
}

// Halted and unmounted. One that was on its way already (--resume) goes on.
size_t Run::shut_down(const std::string& node, const Mount& mount)
{
    stop_if_interrupted();
    std::string param = mount.target.param("num_exports");
    unsigned long clients = std::stoul("0" + cluster_.get(node, param));
    double began = now();
    if (!options_.resume || cluster_.state(node, mount.target) == "running")
        cluster_.set(node, mount.target.param("controlled_shutdown"), "1");
    std::string phases;
    try {
        phases = wait_halted(node, mount);
    } catch (const Surprise& surprise) {
        take_back(node, mount, surprise.what());
    }
    size_t index = add_step(node, mount);
    Step& step = report_.steps[index];
    step.begin_s = began;
    step.clients = clients;
    step.phases_ms = parse_phases(phases);
    (void)cluster_.remote().run(node, "umount " + mount.directory, options_.limit_s);
    return index;
}

// All targets of a server: down, or at its partner. What takes its time comes before the first is
// halted.
void Run::take(const std::string& node, std::vector<Held>& held)
{
    for (const Mount& mount : down_[node]) held.push_back({mount, "", add_step(node, mount)});
    std::string partner = partner_of(node);
    // As it is now: what came back from a partner meanwhile is here, too.
    std::vector<Mount> mounts = cluster_.mounts(node);
    for (Mount& mount : mounts) {
        mount.disk = cluster_.identify(node, mount.device);
        check_partner(node, mount);
    }
    for (const Mount& mount : mounts) {
        size_t step = shut_down(node, mount);
        held.push_back({mount, "", step});
        if (partner.empty()) continue;
        start(partner, held.back());
        wait_served(held.back());
    }
    for (const Mount& mount : away_[node]) held.push_back({mount, partner, SIZE_MAX});
}

// ---- up

void Run::start(const std::string& node, Held& held)
{
    Mount mount = account_.place(node, held.mount);
    // A path leads elsewhere after a reboot, maybe: one look, and a search only then.
    auto attempt = [&] {
        return cluster_.remote()
            .try_run(node,
                     fmt::format("[ \"$(blkid -p -s UUID -o value {0})\" = {1} ] || exit {2}; {3}",
                                 mount.device, mount.disk.uuid, kOtherDisk,
                                 mount_command(mount.device, mount.directory)),
                     options_.limit_s);
    };
    Outcome outcome = attempt();
    if (outcome.status == kOtherDisk) {
        mount.device = device_at(node, mount);
        account_.know(node, mount);
        outcome = attempt();
    }
    if (outcome.status)
        throw Surprise(fmt::format("{}: {} does not start from {} (status {}): {}", node,
                                   mount.target.name, mount.device, outcome.status,
                                   outcome.output));
    held.at = node;
    Step& step = report_.steps[held.step];
    step.to = node;
    step.started_s = now();
}

// Nobody's opens are reserved any more: every client is back, or its time has passed.
void Run::wait_served(const Held& held)
{
    const Mount& mount = held.mount;
    for (auto deadline = Clock::now() + std::chrono::seconds(options_.limit_s);;) {
        auto status = cluster_.table(held.at, mount.target.param("recovery_status"));
        bool waits = status["status"] == "RECOVERING" || status.count("reserved_clients");
        if (!waits) break;
        if (Clock::now() >= deadline)
            throw Surprise(
                fmt::format("{} serves on {}, but {} clients have not come back in {} s: "
                            "are they down? See lctl get_param {}",
                            mount.target.name, held.at, status["reserved_clients"],
                            options_.limit_s, mount.target.param("exports")));
        stop_if_interrupted();
        std::this_thread::sleep_for(kLookEvery);
    }
    Step& step = report_.steps[held.step];
    step.served_s = now();
    say_(fmt::format("{}: {} serves all clients again, {:.1f} s after its shutdown began", held.at,
                     mount.target.name, step.served_s - step.begin_s));
}

// With no target on the server. Whatever happens, what can be served is served again afterwards.
void Run::exchange(const std::string& node)
{
    stop_if_interrupted();
    if (!options_.keep_modules) (void)cluster_.remote().run(node, kUnload);
    if (options_.replace.empty()) return;
    say_(fmt::format("{}: exchanging the software", node));
    Outcome outcome = run_here(options_.replace, node, options_.limit_s);
    if (outcome.status)
        throw Surprise(fmt::format("{}: the software could not be exchanged (status {}): {}", node,
                                   outcome.status, outcome.output));
}

// What is down starts here, in any case; what the partner has comes back if all is well.
void Run::give_back(const std::string& node, std::vector<Held>& held, bool all_well)
{
    std::string trouble;
    for (Held& one : held) {
        try {
            if (one.at.empty()) {
                start(node, one);
            } else if (options_.fail_back && all_well && trouble.empty()) {
                one.step = shut_down(one.at, one.mount);
                one.at.clear();
                start(node, one);
            }
        } catch (const Surprise& surprise) {
            trouble += (trouble.empty() ? "" : ". ") + std::string(surprise.what());
        }
    }
    for (Held& one : held)
        if (one.at == node && trouble.empty()) wait_served(one);
    if (!trouble.empty()) throw Surprise(trouble);
}

void Run::upgrade(const std::string& node)
{
    stop_if_interrupted();
    std::vector<Held> held;
    std::string trouble;
    auto attempt = [&](auto step) {
        try {
            step();
        } catch (const Surprise& surprise) {
            trouble += (trouble.empty() ? "" : ". ") + std::string(surprise.what());
        }
    };
    attempt([&] { take(node, held); });
    if (trouble.empty()) attempt([&] { exchange(node); });
    bool all_well = trouble.empty();
    bool had_down = std::any_of(held.begin(), held.end(), [](Held& h) { return h.at.empty(); });
    attempt([&] { give_back(node, held, all_well); });
    if (trouble.empty()) return;
    bool all_up = std::none_of(held.begin(), held.end(), [](Held& h) { return h.at.empty(); });
    bool some_away = std::any_of(held.begin(), held.end(),
                                 [&](Held& h) { return !h.at.empty() && h.at != node; });
    if (all_up && had_down && !all_well)
        trouble += ". Its targets were started again with what is installed there";
    if (some_away) trouble += ". Its targets stay on " + partner_of(node);
    throw Surprise(trouble);
}

void Run::see_that_all_runs()
{
    std::string trouble;
    const Survey survey = look();
    for (const Missing& missing : survey.missing())
        trouble += (trouble.empty() ? "" : ", ") + missing.name;
    if (!trouble.empty()) throw Surprise("these targets run nowhere: " + trouble);
}

Report Run::all()
{
    try {
        check_all();
        if (options_.dry_run) say_("nothing was changed (--dry-run)");
        for (const std::string& node : options_.servers)
            if (!options_.dry_run) upgrade(node);
        if (!options_.dry_run) see_that_all_runs();
    } catch (const Surprise& surprise) {
        report_.surprise = surprise.what();
    }
    Unhurried unhurried;
    if (!report_.surprise.empty()) report_.down = account_.of_what_is_down();
    report_.seconds = now();
    return report_;
}

}  // namespace

Report run(const Cluster& cluster, const Options& options, const Say& say)
{
    return Run(cluster, options, say).all();
}

}  // namespace lull::upgrade
