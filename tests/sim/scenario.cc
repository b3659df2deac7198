// SPDX-License-Identifier: GPL-2.0-only
// The load, and the story as a whole.
#include "tests/sim/scenario.h"

#include <cstdarg>

#include "tests/sim/messages.h"
#include "tests/sim/scenario_impl.h"

namespace lull::sim {

namespace {
std::string story;
World* the_world = nullptr;
}  // namespace

void note(const char* format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char line[500];
    double now = the_world ? static_cast<double>(the_world->now_ns()) / 1e9 : 0;
    snprintf(line, sizeof line, "%10.4f s  %s\n", now, text);
    story += line;
    if (the_world && the_world->tracing()) the_world->trace("STORY %s", text);
    if (getenv("LULL_SIM_STORY")) fputs(line, stderr);
}

Scenario::Scenario(uint64_t seed, Plan plan)
    : plan_(std::move(plan)), rng_(Rng(seed).fork(78)), load_rng_(Rng(seed).fork(79)),
      w_(seed, plan_.options), shared_(plan_.options.clients), invariants_(w_),
      clients_(plan_.options.clients)
{
    the_world = &w_.world;
    if (getenv("LULL_SIM_MESSAGES")) trace_messages(w_.world);
    set_network_delay();
    for (auto& t : w_.targets()) {
        ran_protocol_[t.get()] = t->at->protocol;
        tune(*t);
        if (plan_.step_ns || plan_.sync_ns) t->disk->set_slow_ns(plan_.step_ns, plan_.sync_ns);
    }
}

Scenario::~Scenario() { the_world = nullptr; }

uint64_t Scenario::number(Node& node, const std::string& param)
{
    std::string text = w_.get_param(node, param);
    size_t at = text.find('=');
    return strtoull(text.c_str() + (at == std::string::npos ? 0 : at + 1), nullptr, 10);
}

// From microseconds to seconds, all magnitudes alike.
uint64_t Scenario::a_moment()
{
    uint64_t most = 20000ull << rng_.below(17);
    return 1 + rng_.below(most);
}

// Long times are for timeouts and commits, not for more of the same load: applications take it easy
// then.
void Scenario::pass(uint64_t ns)
{
    uint64_t busy = std::min(ns, kBusyTime);
    w_.world.run_for(busy);
    if (ns == busy) return;
    bool before = std::exchange(hurry_, false);
    w_.world.run_for(ns - busy);
    hurry_ = before;
}

// ---- load

void Scenario::tune(Target& t)
{
    if (plan_.commit_ms && t.at)
        w_.set_param(*t.at, t.param + "commit_interval_ms", std::to_string(plan_.commit_ms));
}

void Scenario::think()
{
    World& w = w_.world;
    w.sleep_until(w.now_ns() + w.user_rng().below(hurry_ ? plan_.pace_ns : 2 * kSec));
}

void Scenario::load(Worker& worker)
{
    worker.begin();
    for (; !stop_; think()) worker.step();
    worker.end();
}

void Scenario::load_shared(size_t client)
{
    Rng rng = load_rng_.fork(1000 + client);
    for (; !stop_; think())
        shared_.step(w_.c(client), clients_[client].trust, static_cast<unsigned>(client), rng);
}

// Owners are of one client: each life of a locker has its own.
void Scenario::load_locks(size_t client, unsigned number)
{
    unsigned life = static_cast<unsigned>(w_.client_nodes[client]->host->boots());
    FileLocks::Locker locker(locks_, w_.c(client), clients_[client].trust,
                             static_cast<unsigned>(client), life * 100 + number,
                             load_rng_.fork(5000 + client * 100 + life * 10 + number));
    for (; !stop_; think()) locker.step();
    locker.end();
}

// Also after its death: the new ones work in directories of their own.
void Scenario::start_client(size_t i)
{
    Client& client = clients_[i];
    client.tasks.clear();
    client.working = 0;
    Host& host = *w_.client_nodes[i]->host;
    for (unsigned j = 0; j < plan_.workers; j++) {
        if (plan_.idle_workers.count(static_cast<unsigned>(i * plan_.workers + j))) continue;
        std::string name = std::to_string(i) + "_" + std::to_string(j);
        if (host.boots() > 1) name += "_" + std::to_string(host.boots());
        client.workers.push_back(
            std::make_unique<Worker>(w_.c(i), client.trust, "/own" + name,
                                     load_rng_.fork(i * 100 + client.workers.size()),
                                     plan_.habits));
        Worker* worker = client.workers.back().get();
        client.tasks.push_back(host.spawn("own" + name, [this, worker] { load(*worker); }));
        client.working++;
    }
    for (unsigned j = 1; plan_.locks && j <= (clients() > 4 ? 1u : 2u); j++)
        client.tasks.push_back(
            host.spawn("locks" + std::to_string(j), [this, i, j] { load_locks(i, j); }));
    if (plan_.shared) client.tasks.push_back(host.spawn("shared", [this, i] { load_shared(i); }));
}

void Scenario::start_load()
{
    w_.on(0, [&] { shared_.make(w_.c(0)), locks_.make(w_.c(0)); });
    for (size_t i = 0; i < clients(); i++) start_client(i);
}

// Every task of every client that is not hung or dead.
void Scenario::wait_for_progress()
{
    std::map<Worker*, uint64_t> goals;
    for (Client& c : clients_)
        if (!c.hung)
            for (size_t i = c.workers.size() - std::min<size_t>(c.workers.size(), plan_.workers);
                 i < c.workers.size(); i++)
                if (!c.tasks.empty())
                    goals[c.workers[i].get()] = c.workers[i]->operations + kProgress;
    uint64_t shared = plan_.shared ? shared_.operations + kProgress : 0;
    auto all = [&] {
        for (auto& [worker, goal] : goals)
            if (worker->operations < goal) return false;
        return shared_.operations >= shared;
    };
    if (w_.world.run_until(all, w_.world.now_ns() + kBusyWait)) return;
    // somebody waits for a timeout: the others need not work hard meanwhile
    bool before = std::exchange(hurry_, false);
    bool done = w_.world.run_until(all, w_.world.now_ns() + kProgressLimit);
    hurry_ = before;
    if (!done) ADD_FAILURE() << "a client is stuck\n" << w_.world.report();
}

void Scenario::end_load()
{
    stop_ = true;
    for (Client& c : clients_)
        for (TaskHandle t : c.tasks)
            if (!w_.world.run_to_end(t, w_.world.now_ns() + 900 * kSec))
                ADD_FAILURE() << "a task does not end\n" << w_.world.report();
    note("load ended, verifying");
    for (size_t i = 0; i < clients(); i++) {
        size_t by = (i + 1) % clients();
        auto& workers = clients_[i].workers;
        size_t alive = clients_[i].working;
        w_.on(by, [&] {
            w_.c(by).drop_caches();
            for (size_t j = 0; j < workers.size(); j++)
                workers[j]->verify(w_.c(by), j + alive < workers.size());
            if (i == 0) shared_.verify(w_.c(by));
            if (i == 0) locks_.verify(w_.c(by));
        });
    }
}

void Scenario::remove_everything()
{
    for (size_t i = 0; i < clients(); i++) w_.on(i, [&] { w_.c(i).drop_caches(); });
    std::function<void(const std::string&)> remove = [&](const std::string& dir) {
        std::vector<std::string> names;
        if (int err = w_.c(0).readdir(dir, &names))
            ADD_FAILURE() << "last readdir of " << dir << ": " << err;
        for (auto& n : names) {
            std::string path = dir + "/" + n;
            int err = w_.c(0).unlink(path);
            if (err == -kEISDIR) {
                remove(path);
                err = w_.c(0).rmdir(path);
            }
            if (err) ADD_FAILURE() << "last removal of " << path << ": " << err;
        }
    };
    w_.on(0, [&] { remove(""); });
    for (size_t i = 0; i < clients(); i++) w_.on(i, [&] { w_.c(i).drop_caches(); });
}

// ---- doubt

void Scenario::begin_doubt(size_t i)
{
    clients_[i].trust.begin_doubt();
    shared_.doubt(static_cast<unsigned>(i));
    locks_.doubt(static_cast<unsigned>(i));
}

void Scenario::begin_doubt_all()
{
    evictions_allowed_ = true;
    invariants_.begin_fault();
    for (size_t i = 0; i < clients(); i++) begin_doubt(i);
}

// The fault is over. What is in progress may still fail; when the client is connected everywhere
// again and each task has done something, all must work.
void Scenario::settle_client(size_t i)
{
    Node& node = *w_.client_nodes[i];
    auto connected = [&] {
        std::string imports = w_.get_param(node, "*.*.import");
        size_t full = 0, states = 0;
        for (size_t at = 0; (at = imports.find("    state: ", at)) != std::string::npos;
             at++, states++)
            full += imports.compare(at + 11, 4, "FULL") == 0;
        return states > 0 && full == states;
    };
    pass(20 * kSec);  // an idle import notices at its next ping
    uint64_t until = w_.world.now_ns() + kProgressLimit;
    while (!connected() && w_.world.now_ns() < until) pass(kSec);
    if (!connected())
        ADD_FAILURE() << node.host->name()
                      << " does not come back: " << w_.get_param(node, "*.*.import");
}

void Scenario::end_doubt_all()
{
    for (size_t i = 0; i < clients(); i++) settle_client(i);
    wait_for_progress();
    invariants_.end_fault();
    for (Client& c : clients_) c.trust.end_doubt();
}

// ---- all of it

void Scenario::event(Event& e)
{
    rng_ = e.rng;
    note("event %s: %s", e.name().c_str(), to_string(e.kind));
    if (rng_.chance(300)) pass(rng_.below(6 * kSec));  // past a commit
    switch (e.kind) {
    case EventKind::kUpgrade: return shutdown(any_target(), Twist::kNone);
    case EventKind::kCancelled: return shutdown(any_target(), Twist::kCancel);
    case EventKind::kCrashInShutdown: return shutdown(any_target(), Twist::kCrash);
    case EventKind::kDiskCrashInShutdown: return shutdown(any_target(), Twist::kDiskCrash);
    case EventKind::kCrash: return crash_node(*any_target().at);
    case EventKind::kDiskCrash: return disk_crash();
    case EventKind::kCut: return cut();
    case EventKind::kOneWay: return one_way_cut();
    case EventKind::kLostReplies: return lose_replies();
    case EventKind::kLostThenCrash: return lose_replies_and_crash();
    case EventKind::kSlowNet: return slow_network();
    case EventKind::kTwoCrash: return two_crashes();
    case EventKind::kTwoUpgrade: return two_upgrades();
    case EventKind::kUpgradeWhileDown: return upgrade_while_down();
    case EventKind::kFence: return fence();
    case EventKind::kWrongVersion: return wrong_version(false);
    case EventKind::kForcedVersion: return wrong_version(true);
    case EventKind::kFillCaches: return fill_caches();
    case EventKind::kClientPause: return client_pause();
    case EventKind::kClientHang: return client_hang();
    case EventKind::kClientDeath: return client_death();
    case EventKind::kPowerCut: return power_cut();
    case EventKind::kEvicted: return eviction_noticed();
    case EventKind::kClockJump: return clock_jump();
    case EventKind::kSignals: return signals();
    case EventKind::kKill: return kills();
    case EventKind::kFreeze: return freeze();
    case EventKind::kMount: return mount_during_shutdown();
    case EventKind::kDowngrade: return downgrade();
    case EventKind::kDiskError: return disk_error();
    case EventKind::kDiskFull: return disk_full();
    case EventKind::kServerMemory: return no_memory(true);
    case EventKind::kClientMemory: return no_memory(false);
    }
}

ScenarioResult Scenario::run()
{
    note("%s", plan_.describe().c_str());
    start_load();
    wait_for_progress();
    pass(a_moment());
    invariants_.begin_counting();
    for (Event& e : plan_.events) {
        event(e);
        wait_for_progress();
        pass(a_moment());
    }
    if (plan_.kind == ScenarioKind::kClean) invariants_.nothing_was_recovered();
    if (!evictions_allowed_) invariants_.nobody_was_evicted();
    end_load();
    ScenarioResult r;
    for (Client& c : clients_)
        for (auto& worker : c.workers) r.operations += worker->operations;
    r.operations += shared_.operations + locks_.operations;
    if (plan_.clean_up) {
        remove_everything();
        invariants_.nothing_is_left();
    }
    w_.finish();
    r.trace_hash = w_.world.trace_hash();
    r.virtual_ms = w_.world.now_ns() / kMsec;
    r.steps = w_.world.steps();
    note("over");
    return r;
}

ScenarioResult run_scenario(uint64_t seed, ScenarioKind kind, const std::set<std::string>& without,
                            std::function<void(const char*)> trace)
{
    story.clear();
    Plan plan = Plan::make(seed, kind, without);
    if (trace) plan.options.world.trace = std::move(trace);
    Scenario s(seed, std::move(plan));
    return s.run();
}

std::string scenario_story() { return story; }
std::string scenario_state() { return the_world ? the_world->report() : ""; }

}  // namespace lull::sim
