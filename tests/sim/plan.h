// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a seed chooses before anything runs: the cluster, the load, the conditions and the events.
 * Everything of it has a name, and can be left out by that name (--without=e1,w0,slow_disks,rename
 * …): what a failing seed is shrunk by (minimize.h). An event has a generator of its own, so that
 * leaving one out does not change the others.
 */
#pragma once
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "kapi/sim/rng.h"
#include "tests/sim/fs_world.h"
#include "tests/sim/model.h"
#include "tests/sim/scenario.h"

namespace lull::sim {

// clang-format off
#define LULL_SIM_EVENTS(X)                                                                        \
    X(kUpgrade, "upgrade")               /* controlled shutdown, start there or at the partner */ \
    X(kCancelled, "cancelled_shutdown")  /* E2 */                                                 \
    X(kCrashInShutdown, "crash_in_shutdown")                                                      \
    X(kDiskCrashInShutdown, "disk_crash_in_shutdown")                                             \
    X(kCrash, "crash")                                                                            \
    X(kDiskCrash, "crash_at_disk_step")                                                           \
    X(kCut, "cut")                       /* of the network, both ways, or resets */               \
    X(kOneWay, "one_way_cut")                                                                     \
    X(kLostReplies, "lost_replies")      /* connections break between execution and reply */      \
    X(kLostThenCrash, "lost_replies_and_crash")                                                   \
    X(kSlowNet, "slow_network")                                                                   \
    X(kTwoCrash, "two_crashes")          /* two targets down at once */                           \
    X(kTwoUpgrade, "two_upgrades")                                                                \
    X(kUpgradeWhileDown, "upgrade_while_another_is_down") /* B3 */                                \
    X(kFence, "fenced_failover")         /* the old node believes it is alive */                  \
    X(kWrongVersion, "start_of_another_version") /* A4, after a crash */                          \
    X(kForcedVersion, "forced_start_of_another_version") /* A4: evicts */                         \
    X(kClientPause, "client_pause")      /* shorter than every deadline */                        \
    X(kClientHang, "client_hang")        /* longer: it is evicted */                              \
    X(kClientDeath, "client_death")                                                               \
    X(kPowerCut, "power_cut")            /* a client and servers die at once: nobody replays */   \
    X(kEvicted, "eviction_noticed")      /* A7: what applications are told, and how often */      \
    X(kClockJump, "clock_jump")                                                                   \
    X(kSignals, "signals_at_the_gate")   /* A9 */                                                 \
    X(kKill, "kills")                    /* of processes, in the middle of what they do */        \
    X(kFreeze, "freeze")                 /* T5: of the whole file system, and thaw */             \
    X(kMount, "mount_during_shutdown")   /* T9 */                                                 \
    X(kDowngrade, "downgrade")           /* S10 */                                                \
    X(kDiskError, "disk_error")                                                                   \
    X(kDiskFull, "full_disk")                                                                     \
    X(kFillCaches, "caches_filled")      /* by all clients, until there is no space: grants */    \
    X(kServerMemory, "no_memory_on_server")                                                       \
    X(kClientMemory, "no_memory_on_client")
// clang-format on

enum class EventKind : uint8_t {
#define LULL_SIM_EVENT(name, text) name,
    LULL_SIM_EVENTS(LULL_SIM_EVENT)
#undef LULL_SIM_EVENT
};
const char* to_string(EventKind kind);

struct Event {
    EventKind kind;
    unsigned number;
    Rng rng;
    std::string name() const { return "e" + std::to_string(number); }
};

struct Plan {
    ScenarioKind kind = ScenarioKind::kAny;
    FsOptions options;
    unsigned workers = 2;  // of each client
    bool shared = true;
    bool locks = false;                 // file locks
    bool clean_up = false;              // remove every file at the end, and see what is left
    std::set<unsigned> idle_workers;    // left out, by number over all clients
    uint64_t commit_ms = 0;             // 0: as it is
    uint64_t pace_ns = 0;               // up to so long an application thinks
    uint64_t step_ns = 0, sync_ns = 0;  // of every disk; 0: as it is
    uint64_t net_ns = 0;                // the network takes up to so long; 0: as it is
    Habits habits;                      // of the workers
    std::vector<Event> events;

    // The seed's, without what --without names.
    static Plan make(uint64_t seed, ScenarioKind kind, const std::set<std::string>& without);
    // The names of everything in it that can be left out.
    std::vector<std::string> names() const;
    std::string describe() const;
};

}  // namespace lull::sim
