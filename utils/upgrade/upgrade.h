/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A rolling upgrade (B6): server by server, each by a controlled shutdown; here or by way of the
 * failover partner.
 *
 *   ask the MGS what should run, find it all, show that the partner sees the same disks → for each
 *   server: [estimate → shut down → unmount (→ start at the partner)] for each of its targets →
 *   unload the modules → exchange the software → start (here, or back from the partner) → every
 *   client is back → next → see that everything runs
 *
 * Stops at the first surprise or interrupt, in a state in which the file system is served if it can
 * be, and says what is down, where, and the command that brings it back. An upgrade that was cut
 * off is seen by the next: with "resume" it goes on with what it finds down, halted or at the
 * partner.
 */
#pragma once
#include <functional>

#include "utils/upgrade/cluster.h"
#include "utils/upgrade/survey.h"

namespace lull::upgrade {

struct Options {
    std::vector<std::string> servers;             // in the order wanted
    std::map<std::string, std::string> partners;  // of whom the partner takes the targets meanwhile
    // "lull-MDT0000@mds2": where that node sees that target's disk
    std::map<std::string, std::string> devices;
    std::string mgs;  // a node to ask, if the MGS runs on none of these
    // run here when a server is down: installs the new software on {node}
    std::string replace;
    bool fail_back = true;      // from the partner
    bool keep_modules = false;  // the replace command sees to them
    bool dry_run = false;
    bool resume = false;
    unsigned limit_s = 600;  // of each step
};

// What became of one target's move or restart; times in s since the upgrade began.
struct Step {
    std::string target, from, to;
    double begin_s = 0, halted_s = 0, started_s = 0, served_s = 0;
    std::map<std::string, double> phases_ms;  // of the shutdown, as the server measured them
    unsigned long clients = 0;
};

struct Report {
    std::vector<Step> steps;
    double seconds = 0;
    std::string surprise;           // empty: all done
    std::vector<std::string> down;  // a line for each target that does not run: how it comes back
};

Report run(const Cluster& cluster, const Options& options, const Say& say);
std::string to_json(const Report& report);
std::string to_svg(const Report& report);

}  // namespace lull::upgrade
