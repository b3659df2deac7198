// SPDX-License-Identifier: GPL-2.0-only
// lull: what concerns a whole cluster. "lull upgrade" exchanges the software of its servers one
// after another, under load; "lull status" says what runs where.
#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "utils/upgrade/interrupt.h"
#include "utils/upgrade/status.h"

namespace {

using namespace lull::upgrade;

constexpr const char* kFooter = R"(
Servers are reached with ssh, or with any command that takes a command line as its last word:
  lull upgrade --servers mds1,mds2,oss1 --partner mds1=mds2 \
       --replace 'scp lull-dkms.deb {node}: && ssh {node} dpkg -i lull-dkms.deb'
A partner's disks are known by label and uuid, whatever they are called there; --device says
which of several paths to use. It stops at the first surprise, or at ^C, when what it had shut
down is served again, and says what is down and how it comes back; once more ^C ends what it
waits for, too. Cut off in the middle, it goes on by the same command with --resume.
Exit status: 0 all done, 1 stopped, 2 wrong usage.)";

bool write_file(const std::string& path, const std::string& text)
{
    if (path.empty()) return true;
    std::ofstream file(path);
    file << text;
    file.close();
    if (!file) fmt::print(stderr, "lull: cannot write {}\n", path);
    return bool(file);
}

int upgrade_servers(const Options& options, const std::string& way, const std::string& json,
                    const std::string& picture)
{
    auto began = std::chrono::steady_clock::now();
    Remote remote(way);
    catch_interrupts();
    Report report = run(Cluster(remote), options, [&](const std::string& line) {
        fmt::print("[{:6.1f} s] {}\n",
                   std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(),
                   line);
        fflush(stdout);
    });
    bool written = write_file(json, to_json(report)) & write_file(picture, to_svg(report));
    for (const Step& s : report.steps)
        fmt::print("{} {} to {}: {:.1f} s away ({} clients)\n", s.target, s.from, s.to,
                   s.served_s - s.begin_s, s.clients);
    if (!report.surprise.empty()) {
        fmt::print(stderr, "lull: stopped: {}\n", report.surprise);
        for (const std::string& line : report.down) fmt::print(stderr, "lull: {}\n", line);
        return 1;
    }
    return written ? 0 : 1;
}

int show_status_of(const Options& options, const std::string& way)
{
    Remote remote(way);
    try {
        bool all_well = show_status(Cluster(remote), options,
                                    [](const std::string& line) { fmt::print("{}\n", line); });
        return all_well ? 0 : 1;
    } catch (const Surprise& surprise) {
        fmt::print(stderr, "lull: {}\n", surprise.what());
        return 1;
    }
}

// "KEY=VALUE" with something on both sides.
void add_pair(std::map<std::string, std::string>& to, const char* option, const char* form,
              const std::string& text)
{
    size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
        throw CLI::ValidationError(option, fmt::format("write it as {}, not {}", form, text));
    to[text.substr(0, equals)] = text.substr(equals + 1);
}

}  // namespace

int main(int argc, char** argv)
{
    CLI::App app{"lull: work on a whole cluster of Lull servers"};
    app.require_subcommand(1);
    Options options;
    std::string way = "ssh -o BatchMode=yes -o ConnectTimeout=10 {node}", json, picture;
    std::vector<std::string> partners, devices;
    bool stay = false;
    auto add_cluster = [&](CLI::App* sub, const char* servers_help, const char* partner_help) {
        sub->add_option("--servers", options.servers, servers_help)->required()->delimiter(',');
        sub->add_option("--partner", partners, partner_help)->delimiter(',');
        sub->add_option("--mgs", options.mgs,
                        "the node to ask what should run, if not one of these");
        sub->add_option("--remote", way, "how a node is reached (" + way + ")");
    };

    CLI::App* up =
        app.add_subcommand("upgrade",
                           "exchange the software of servers, one after another, under load");
    up->footer(kFooter);
    add_cluster(up, "nodes, in the order wanted", "NODE=PARTNER: its targets run there meanwhile");
    up->add_option("--device", devices,
                   "TARGET@NODE=PATH: where that node sees the target's disk (found by its label "
                   "and uuid)")
        ->delimiter(',');
    up->add_option("--replace", options.replace,
                   "command, run here, that installs the new software on {node}");
    up->add_option("--limit", options.limit_s, "seconds that any one step may take (600)")
        ->check(CLI::Range(1u, 86400u));
    up->add_option("--json", json, "write a report here");
    up->add_option("--picture", picture, "draw the phases into this SVG");
    up->add_flag("--stay", stay, "leave the targets on the partner");
    up->add_flag("--keep-modules", options.keep_modules,
                 "do not unload the modules: --replace does, or reboots");
    up->add_flag("--resume", options.resume,
                 "go on with an upgrade that was cut off: start what is down, finish what is "
                 "halted, fetch back what is at the partner");
    up->add_flag("--dry-run", options.dry_run, "check and estimate only");
    CLI::App* status =
        app.add_subcommand("status", "what runs where, and what should and does not");
    status->footer(
        "An OST that was made inactive, or removed, may run nowhere. Exit status: 0 all "
        "runs that should, 1 not so, or the MGS could not be asked, 2 wrong usage.");
    add_cluster(status, "nodes", "NODE=PARTNER: its targets may run there");
    try {
        app.parse(argc, argv);
        for (const std::string& node : options.servers)
            if (std::count(options.servers.begin(), options.servers.end(), node) > 1)
                throw CLI::ValidationError("--servers", node + " is there twice");
        for (const std::string& pair : partners)
            add_pair(options.partners, "--partner", "NODE=PARTNER", pair);
        for (const std::string& pair : devices)
            add_pair(options.devices, "--device", "TARGET@NODE=PATH", pair);
    } catch (const CLI::ParseError& e) {
        return app.exit(e) ? 2 : 0;
    }
    if (status->parsed()) return show_status_of(options, way);
    options.fail_back = !stay;
    return upgrade_servers(options, way, json, picture);
}
