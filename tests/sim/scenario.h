// SPDX-License-Identifier: GPL-2.0-only
/*
 * The story of one seed: a cluster under load, and upgrades, cancels, crashes, cuts of the network,
 * deaths of clients, bad disks and short memory meanwhile. The seed chooses all of it (plan.h).
 * Each invariant of requirements.md is checked at the place that invariants.h names. Besides: that
 * everything ends; that no host leaves anything behind.
 *
 * Failures are GoogleTest failures (and aborts of the world); the caller ends the process at the
 * first.
 */
#pragma once
#include <cstdint>
#include <functional>
#include <set>
#include <string>

namespace lull::sim {

struct ScenarioResult {
    uint64_t trace_hash = 0, virtual_ms = 0, steps = 0, operations = 0;
};

// Stories of one kind only, for tests of the tests. kAny: the seed chooses.
//   kClean  upgrades only: not even a resend is allowed
//   kCut    the network fails, too
//   kCrash  servers crash, too
//   kEvict  clients die or hang, or a lower version is started
//   kHard   disks and memory fail: operations may fail, but nothing that was synced is lost, and it
//           works again afterwards
enum class ScenarioKind { kAny, kClean, kCut, kCrash, kEvict, kHard };

// without: names of the plan (plan.h) to leave out. trace: gets every event of the world, a line
// each.
ScenarioResult run_scenario(uint64_t seed, ScenarioKind kind,
                            const std::set<std::string>& without = {},
                            std::function<void(const char*)> trace = nullptr);

// What has happened so far, a line each; and the state of the world, for a report.
std::string scenario_story();
std::string scenario_state();

}  // namespace lull::sim
