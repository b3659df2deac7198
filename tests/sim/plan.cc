// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/plan.h"

#include <algorithm>

#include "kapi/sync.h"
#include "tests/sim/model.h"

namespace lull::sim {

namespace {

struct Weighted {
    EventKind kind;
    unsigned weight;
};
using E = EventKind;

constexpr Weighted kClean[] = {{E::kUpgrade, 45}, {E::kCancelled, 25}, {E::kSignals, 10},
                               {E::kMount, 8},    {E::kTwoUpgrade, 8}, {E::kClockJump, 4},
                               {E::kKill, 15},    {E::kFreeze, 8}};
constexpr Weighted kCut[] = {{E::kCut, 20},        {E::kOneWay, 15},   {E::kLostReplies, 30},
                             {E::kUpgrade, 15},    {E::kCancelled, 5}, {E::kSlowNet, 8},
                             {E::kClientPause, 7}, {E::kKill, 10}};
constexpr Weighted kCrash[] = {{E::kCrashInShutdown, 17},
                               {E::kDiskCrashInShutdown, 17},
                               {E::kCrash, 18},
                               {E::kDiskCrash, 16},
                               {E::kLostThenCrash, 22},
                               {E::kLostReplies, 6},
                               {E::kTwoCrash, 5},
                               {E::kUpgradeWhileDown, 3},
                               {E::kFence, 5},
                               {E::kWrongVersion, 8},
                               {E::kUpgrade, 4},
                               {E::kCancelled, 3},
                               {E::kKill, 8}};
constexpr Weighted kEvict[] = {{E::kClientDeath, 24}, {E::kClientHang, 20},    {E::kDowngrade, 16},
                               {E::kEvicted, 20},     {E::kCrash, 10},         {E::kUpgrade, 10},
                               {E::kCut, 5},          {E::kForcedVersion, 10}, {E::kPowerCut, 25}};
constexpr Weighted kHard[] = {{E::kDiskError, 28},
                              {E::kDiskFull, 10},
                              {E::kServerMemory, 20},
                              {E::kClientMemory, 20},
                              {E::kFillCaches, 22}};

template <size_t N> EventKind draw(const Weighted (&from)[N], Rng& rng)
{
    unsigned total = 0;
    for (auto& w : from) total += w.weight;
    uint64_t dice = rng.below(total);
    const Weighted* w = from;
    for (; dice >= w->weight; w++) dice -= w->weight;
    return w->kind;
}

EventKind draw_event(ScenarioKind kind, Rng& rng)
{
    switch (kind) {
    case ScenarioKind::kClean: return draw(kClean, rng);
    case ScenarioKind::kCut: return draw(kCut, rng);
    case ScenarioKind::kEvict: return draw(kEvict, rng);
    case ScenarioKind::kHard: return draw(kHard, rng);
    default: return draw(kCrash, rng);
    }
}

ScenarioKind draw_kind(Rng& rng)
{
    uint64_t dice = rng.below(100);
    if (dice < 30) return ScenarioKind::kClean;
    if (dice < 50) return ScenarioKind::kCut;
    if (dice < 78) return ScenarioKind::kCrash;
    return dice < 90 ? ScenarioKind::kEvict : ScenarioKind::kHard;
}

// Many small ones, few big ones.
FsOptions draw_cluster(Rng& rng)
{
    FsOptions o;
    bool big = rng.chance(40);
    o.osts = static_cast<unsigned>(big ? rng.between(2, 4) : rng.between(1, 2));
    o.clients = static_cast<unsigned>(big ? rng.between(4, 7) : rng.between(1, 3));
    o.server_protocol = rng.chance(350) ? 1 : 2;
    o.client_protocol = rng.chance(100) ? 1 : 2;
    o.stripe_count = static_cast<unsigned>(rng.between(1, o.osts));
    if (rng.chance(500)) o.world.preempt_permille = 20;
    return o;
}

}  // namespace

const char* to_string(EventKind kind)
{
    constexpr const char* kNames[] = {
#define LULL_SIM_EVENT(name, text) text,
        LULL_SIM_EVENTS(LULL_SIM_EVENT)
#undef LULL_SIM_EVENT
    };
    return kNames[static_cast<size_t>(kind)];
}

Plan Plan::make(uint64_t seed, ScenarioKind kind, const std::set<std::string>& without)
{
    using lull::kMsec;
    Rng rng = Rng(seed).fork(77);
    Plan p;
    p.options = draw_cluster(rng);
    ScenarioKind drawn = draw_kind(rng);
    p.kind = kind == ScenarioKind::kAny ? drawn : kind;
    p.workers = static_cast<unsigned>(p.options.clients > 3 ? 1 : rng.between(1, 2));
    if (rng.chance(400)) p.commit_ms = rng.between(2, 100);
    p.pace_ns = rng.chance(300) ? kMsec : rng.chance(500) ? 20 * kMsec : 100 * kMsec;
    if (rng.chance(300)) {
        p.step_ns = rng.below(rng.chance(300) ? 3 * kMsec : 100000);
        p.sync_ns = rng.below(50 * kMsec);
    }
    p.habits.names_only = rng.chance(250);
    p.habits.crowds = rng.chance(30);
    if (rng.chance(30)) p.habits.file_max = 3u << 20;  // of many stripes
    // more of them than an MDT grants slots
    if (p.options.clients == 1 && rng.chance(40)) p.workers = 20;
    p.locks = rng.chance(500);
    if (rng.chance(200)) p.net_ns = rng.between(kMsec, 20 * kMsec);
    // Transactions that last longer than the time between commits, and commits that last.
    if (p.kind == ScenarioKind::kCrash && rng.chance(350)) {
        p.step_ns = rng.between(kMsec / 2, 3 * kMsec);
        p.sync_ns = rng.between(20 * kMsec, 200 * kMsec);
        p.commit_ms = rng.between(2, 20);
    }
    // Not after a client lacked memory: it may have lost the handle of an open, which stays until
    // it unmounts.
    p.clean_up = rng.chance(250) && p.kind != ScenarioKind::kHard;
    unsigned events = static_cast<unsigned>(rng.between(1, 3));
    if (p.kind == ScenarioKind::kClean && rng.chance(40)) events *= 5;
    for (unsigned i = 0; i < events; i++) {
        EventKind event = draw_event(p.kind, rng);
        p.events.push_back({event, i, rng.fork(i)});
        if (event == E::kDiskFull) p.options.disk_bytes = 6u << 20;
        if (event == E::kFillCaches) {
            p.options.disk_bytes = rng.between(24, 40) << 20;
            p.options.clients = std::max(p.options.clients, 3u);
        }
        if (event == E::kMount) p.options.unmounted = 1;
        // then nobody builds on what the dead client did, and nobody else may lose anything
        if (event == E::kPowerCut && rng.chance(500)) p.shared = false;
        if (p.kind == ScenarioKind::kEvict && p.options.clients == 1) p.options.clients = 2;
    }

    std::erase_if(p.events, [&](const Event& e) { return without.count(e.name()) != 0; });
    for (unsigned i = 0; i < p.workers * p.options.clients; i++)
        if (without.count("w" + std::to_string(i))) p.idle_workers.insert(i);
    if (without.count("shared")) p.shared = false;
    if (without.count("locks")) p.locks = false;
    if (without.count("clean_up")) p.clean_up = false;
    if (without.count("commit")) p.commit_ms = 0;
    if (without.count("slow_disks")) p.step_ns = p.sync_ns = 0;
    if (without.count("slow_net")) p.net_ns = 0;
    if (without.count("names_only")) p.habits.names_only = false;
    if (without.count("large_files")) p.habits.file_max = Habits().file_max;
    if (without.count("preempt")) p.options.world.preempt_permille = 0;
    for (auto& n : OperationNames::all())
        if (without.count(n)) OperationNames::without.insert(n);
    return p;
}

std::vector<std::string> Plan::names() const
{
    std::vector<std::string> v;
    for (auto& e : events) v.push_back(e.name());
    for (unsigned i = 0; i < workers * options.clients; i++)
        if (!idle_workers.count(i)) v.push_back("w" + std::to_string(i));
    if (shared) v.push_back("shared");
    if (locks) v.push_back("locks");
    if (clean_up) v.push_back("clean_up");
    if (commit_ms) v.push_back("commit");
    if (step_ns || sync_ns) v.push_back("slow_disks");
    if (net_ns) v.push_back("slow_net");
    if (habits.names_only) v.push_back("names_only");
    if (habits.file_max != Habits().file_max) v.push_back("large_files");
    if (options.world.preempt_permille) v.push_back("preempt");
    for (auto& n : OperationNames::all())
        if (!OperationNames::without.count(n)) v.push_back(n);
    return v;
}

std::string Plan::describe() const
{
    constexpr const char* kKinds[] = {"",        "upgrades only", "cut network",
                                      "crashes", "evictions",     "hard faults"};
    std::string text = std::string(kKinds[static_cast<int>(kind)]) + "; " +
                       std::to_string(options.clients) + " clients of protocol " +
                       std::to_string(options.client_protocol) + ", " +
                       std::to_string(options.osts) + " OSTs, servers of protocol " +
                       std::to_string(options.server_protocol) + ";";
    for (auto& e : events) text += " " + e.name() + "=" + to_string(e.kind);
    return text;
}

}  // namespace lull::sim
