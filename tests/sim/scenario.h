// SPDX-License-Identifier: GPL-2.0-only
/*
 * The story of one seed: a cluster under load, and upgrades, cancels, crashes and cuts of the network meanwhile. The seed chooses all
 * of it. Checked are the invariants of requirements.md that can be seen from outside: no operation fails (4), nothing acknowledged is
 * lost (1), operations happen once (5), what is read is what was written last (9), after a reported halt nothing is left to replay
 * (2), nothing is executed behind the closed gate (3), nobody is evicted (6), an unclean target of another version does not
 * start (7), a crash at any point of a shutdown is only a crash (8); that everything ends; that no host leaves anything behind.
 *
 * Failures are GoogleTest failures (and aborts of the world); the caller ends the process at the first.
 */
#pragma once
#include <cstdint>
#include <string>

namespace lull::sim {

struct ScenarioResult {
    uint64_t trace_hash = 0, virtual_ms = 0, steps = 0, operations = 0;
};

// Stories of one kind only, for tests of the tests. kAny: the seed chooses.
enum class ScenarioKind { kAny, kClean, kCut, kCrash };

ScenarioResult run_scenario(uint64_t seed, ScenarioKind kind);

// What has happened so far, a line each; and the state of the world, for a report.
std::string scenario_story();
std::string scenario_state();

}  // namespace lull::sim
