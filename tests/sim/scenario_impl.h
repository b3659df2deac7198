// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parts of one story: load (scenario.cc), events (shutdowns.cc, faults.cc, client_faults.cc),
 * checks (invariants.cc).
 */
#pragma once
#include <gtest/gtest.h>

#include "kapi/errno.h"
#include "kapi/sim/network.h"
#include "kapi/sync.h"
#include "tests/sim/file_locks.h"
#include "tests/sim/fs_world.h"
#include "tests/sim/invariants.h"
#include "tests/sim/model.h"
#include "tests/sim/plan.h"

namespace lull::sim {

using lull::kMsec;
using lull::kSec;

void note(const char* format, ...) __attribute__((format(printf, 1, 2)));

class Scenario {
public:
    Scenario(uint64_t seed, Plan plan);
    ~Scenario();
    ScenarioResult run();

private:
    using Node = FsWorld::Node;
    using Target = FsWorld::Target;

    // a shutdown must be over: halted, or running again
    static constexpr uint64_t kHaltLimit = 400 * kSec;
    // after an event every task must go on within this
    static constexpr uint64_t kProgressLimit = 600 * kSec;
    static constexpr uint64_t kBusyWait = 5 * kSec;  // of it under full load
    // a dead client must be gone within this (invariant 6)
    static constexpr uint64_t kEvictLimit = 120 * kSec;
    static constexpr uint64_t kSignalLimit = 5 * kSec;  // a signal must end a wait at the gate
    static constexpr uint64_t kBusyTime = 300 * kMsec;  // of a longer time
    static constexpr unsigned kProgress = 10;

    // A client and what it does.
    struct Client {
        Trust trust;
        // the last one of each place does the work now
        std::vector<std::unique_ptr<Worker>> workers;
        std::vector<TaskHandle> tasks;
        size_t working = 0;  // so many of the workers: their last life
        bool hung = false;
    };
    // What is done to a shutdown under way.
    enum class Twist { kNone, kCancel, kCrash, kDiskCrash };

    // ---- load
    void start_load();
    void start_client(size_t client);
    void load(Worker& worker);
    void load_shared(size_t client);
    void load_locks(size_t client, unsigned number);
    void think();
    void pass(uint64_t ns);
    void tune(Target& t);
    void set_network_delay()
    {
        w_.world.network().set_default_delay(50000, plan_.net_ns ? plan_.net_ns : 500000);
    }
    void wait_for_progress();
    void end_load();
    void remove_everything();
    void begin_doubt(size_t client);
    void begin_doubt_all();
    void end_doubt_all();
    void settle_client(size_t client);
    size_t clients() const { return clients_.size(); }

    // ---- events
    void event(Event& e);
    Target& any_target() { return *w_.targets()[rng_.below(w_.targets().size())]; }
    Target* another_target(Target& than);
    bool is_alone(Target& t)  // on its node
    {
        bool alone = true;
        for (auto& other : w_.targets()) alone &= other.get() == &t || other->at != t.at;
        return alone;
    }
    Node& partner_of(Target& t, Node& node) { return &node == t.home ? *t.partner : *t.home; }
    uint64_t a_moment();
    void shutdown(Target& t, Twist twist);
    int begin_shutdown(Target& t, Node& node);
    bool watch(Target& t, Twist twist, uint64_t twist_at);
    bool do_twist(Target& t, Twist* twist, const std::string& state, bool* cancelled);
    bool halted(Target& t);
    std::string state_of(Target& t);
    Node& choose_node_to_start(Target& t);
    void start_clean(Target& t);
    void change_protocol(Node& node, unsigned protocol);
    void two_upgrades();
    void upgrade_while_down();
    void downgrade();
    void signals();
    void kills();
    void kill_some();
    void freeze();
    void signal_tasks(Target& t);
    void mount_during_shutdown();
    void finish_mount(TaskHandle task, const int& err);

    void power_off(Node& node);
    void crash_node(Node& node);  // and start again what ran there
    void disk_crash();
    void two_crashes();
    bool notice_crash(Node& node);
    Target* start_all();
    void start_again();
    void start_crashed(Target& t);
    void cut();
    void one_way_cut();
    void lose_replies();
    void lose_replies_and_crash();
    void slow_network();
    void fence();
    void wrong_version(bool force);
    void fill_caches();
    void fill_cache(size_t client, std::vector<uint64_t>* sizes);
    void check_filled(size_t client, const std::vector<uint64_t>& sizes);
    void clock_jump();
    void disk_error();
    void disk_full();
    void no_memory(bool server);
    bool wait_until_down(Node& node, uint64_t limit_ns);

    void client_pause();
    void client_hang();
    void client_death();
    void die(size_t client);
    void power_cut();
    void revive_client(size_t client);
    struct Victim;
    struct Witness;
    void eviction_noticed();

    uint64_t number(Node& node, const std::string& param);

    Plan plan_;
    Rng rng_;  // of the event at hand
    Rng load_rng_;
    FsWorld w_;
    SharedFiles shared_;
    FileLocks locks_;
    Invariants invariants_;
    std::vector<Client> clients_;
    std::map<Target*, unsigned> ran_protocol_;
    std::map<Target*, Node*> ran_at_;
    bool stop_ = false, hurry_ = true;
    bool loose_cut_ = false;  // a connection was cut: clients may be away when a target halts
    bool evictions_allowed_ = false;
};

}  // namespace lull::sim
