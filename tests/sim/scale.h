// SPDX-License-Identifier: GPL-2.0-only
/*
 * One target and very many clients (S15): mount, controlled shutdown, restart, unmount, measured by
 * phase. The server is all real, from lnet to the disk's records; the clients are light
 * (light_client.h).
 */
#pragma once
#include "tests/sim/light_client.h"

namespace lull::sim {

enum class ScaleStage : unsigned {
    kMount,
    kWarm,
    kDrain,
    kCommit,
    kHalt,
    kStart,
    kReconnect,
    kLeave,
    kStages
};
inline constexpr unsigned kScaleStages = static_cast<unsigned>(ScaleStage::kStages);
const char* to_string(ScaleStage stage);

// What one stage cost. Work is counted, not timed: it is the same on every machine.
struct StageCost {
    uint64_t virtual_ns = 0;
    uint64_t to_clients = 0, from_clients = 0, bytes = 0;
    uint64_t most = 0;  // messages of one client, one way
    // looks at elements of tables that grow with the clients (kapi/walks.h)
    uint64_t walks = 0;
    uint64_t allocations = 0;  // of the server
    uint64_t steps = 0;        // of the schedule, clients included
    double cpu_s = 0;          // of this process: tells of nothing but this machine
};

struct ScaleResult {
    size_t clients = 0;
    bool ok = false;
    std::string why;
    StageCost stages[kScaleStages];
    uint64_t pings = 0;
    uint64_t bytes_per_client = 0;          // of the server's memory, all mounted and idle
    uint64_t drained_bytes_per_client = 0;  // the most during the shutdown
    uint64_t tasks_per_1000 = 0;            // tasks of the server for 1000 clients
    uint32_t spread_ms = 0;                 // that the server asked for
    uint64_t attempts = 0, failed_attempts = 0, rush_per_ms = 0;
    std::string account;  // the server's own line about the pause
};

struct ScaleOptions {
    size_t clients = 1000;
    bool spread = true;      // the clients follow the hint
    uint64_t down_ms = 500;  // from the halt to the start: the module is replaced
};

ScaleResult run_scale(const ScaleOptions& options);
void print_scale(const ScaleResult& result);

}  // namespace lull::sim
