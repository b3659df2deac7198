// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/scenario.h"

#include <gtest/gtest.h>

#include <cstdarg>

#include "kapi/errno.h"
#include "kapi/sim/network.h"
#include "kapi/sync.h"
#include "tests/sim/fs_world.h"
#include "tests/sim/model.h"

namespace lull::sim {

namespace {

using lull::kMsec;
using lull::kSec;
using Node = FsWorld::Node;
using Target = FsWorld::Target;

constexpr uint64_t kHaltLimit = 400 * kSec;      // a shutdown must be over: halted, or running again
constexpr uint64_t kProgressLimit = 600 * kSec;  // after an event every task must go on within this
constexpr unsigned kWorkersPerClient = 2, kProgress = 10;
constexpr uint64_t kRestLimit = 5 * kSec;        // what is under way on the network when a target reports its halt

std::string story;
World* the_world = nullptr;

void note(const char* format, ...) __attribute__((format(printf, 1, 2)));
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
    if (getenv("LULL_SIM_STORY")) fputs(line, stderr);
}

FsOptions choose_cluster(Rng& rng)
{
    FsOptions o;
    o.osts = static_cast<unsigned>(rng.between(1, 2));
    o.clients = static_cast<unsigned>(rng.between(1, 3));
    o.server_protocol = rng.chance(350) ? 1 : 2;
    o.client_protocol = rng.chance(100) ? 1 : 2;
    o.stripe_count = static_cast<unsigned>(rng.between(1, o.osts));
    if (rng.chance(500)) o.world.preempt_permille = 20;
    return o;
}

struct Counters {
    uint64_t replays, resends, evictions;
};

class Scenario {
public:
    Scenario(uint64_t seed, ScenarioKind kind)
        : rng_(Rng(seed).fork(77)), options_(choose_cluster(rng_)), w_(seed, options_), shared_(options_.clients)
    {
        the_world = &w_.world;
        uint64_t dice = rng_.below(100);
        kind_ = kind != ScenarioKind::kAny ? kind : dice < 40 ? ScenarioKind::kClean : dice < 50 ? ScenarioKind::kCut : ScenarioKind::kCrash;
        if (rng_.chance(400)) commit_ms_ = rng_.between(2, 100);
        pace_ns_ = rng_.chance(300) ? kMsec : rng_.chance(500) ? 20 * kMsec : 100 * kMsec;
        for (auto& t : w_.targets()) {
            ran_protocol_[t.get()] = t->at->protocol;
            tune(*t);
            if (rng_.chance(300)) t->disk->set_slow_ns(rng_.below(100000), rng_.below(50 * kMsec));
        }
    }
    ScenarioResult run();

private:
    // What is done to a shutdown under way.
    enum class Twist { kNone, kCancel, kCrash, kDiskCrash };

    void start_load();
    void load(Worker& worker);
    void load_shared(size_t client);
    void think();
    void tune(Target& t);
    void wait_for_progress();
    void end_load();
    void event();
    Target& any_target() { return *w_.targets()[rng_.below(w_.targets().size())]; }
    uint64_t a_moment();
    void shutdown(Target& t, Twist twist);
    int begin_shutdown(Target& t, Node& node);
    bool watch(Target& t, Twist twist, uint64_t twist_at);
    std::string state_of(Target& t);
    void check_halted(Target& t);
    void start_clean(Target& t);
    void crash_node(Node& node);
    bool notice_crash(Node& node);
    void start_crashed(Target& t);
    void start_again();
    void cut();
    uint64_t number(Node& node, const std::string& param);
    Counters counters();

    Rng rng_;
    FsOptions options_;
    FsWorld w_;
    SharedFiles shared_;
    ScenarioKind kind_;
    std::map<Target*, unsigned> ran_protocol_;
    std::map<Target*, Node*> ran_at_;
    std::vector<std::unique_ptr<Worker>> workers_;
    bool stop_ = false, hurry_ = true;
    uint64_t commit_ms_ = 0;         // 0: as it is
    uint64_t pace_ns_ = 20 * kMsec;  // up to so long an application thinks
    unsigned crashes_ = 0;
};

// ---- load

void Scenario::tune(Target& t)
{
    if (commit_ms_ && t.at) w_.set_param(*t.at, t.param + "commit_interval_ms", std::to_string(commit_ms_));
}

void Scenario::think()
{
    World& w = w_.world;
    w.sleep_until(w.now_ns() + w.user_rng().below(hurry_ ? pace_ns_ : 2 * kSec));
}

void Scenario::load(Worker& worker)
{
    worker.begin();
    for (; !stop_; think()) worker.step();
    worker.end();
}

void Scenario::load_shared(size_t client)
{
    Rng rng = rng_.fork(1000 + client);
    for (; !stop_; think()) shared_.step(w_.c(client), static_cast<unsigned>(client), rng);
}

void Scenario::start_load()
{
    w_.on(0, [&] { shared_.make(w_.c(0)); });
    for (size_t i = 0; i < options_.clients; i++) {
        for (unsigned j = 0; j < kWorkersPerClient; j++) {
            std::string name = std::to_string(i) + "_" + std::to_string(j);
            workers_.push_back(std::make_unique<Worker>(w_.c(i), "/own" + name, rng_.fork(workers_.size())));
            w_.spawn(i, "own" + name, [this, worker = workers_.back().get()] { load(*worker); });
        }
        w_.spawn(i, "shared", [this, i] { load_shared(i); });
    }
}

void Scenario::wait_for_progress()
{
    std::vector<uint64_t> goals;
    for (auto& worker : workers_) goals.push_back(worker->operations + kProgress);
    uint64_t shared = shared_.operations + kProgress;
    bool all = w_.world.run_until(
        [&] {
            for (size_t i = 0; i < goals.size(); i++)
                if (workers_[i]->operations < goals[i]) return false;
            return shared_.operations >= shared;
        },
        w_.world.now_ns() + kProgressLimit);
    if (!all) ADD_FAILURE() << "a client is stuck\n" << w_.world.report();
}

void Scenario::end_load()
{
    stop_ = true;
    w_.join();
    note("load ended, verifying");
    for (size_t i = 0; i < workers_.size(); i++) {
        size_t by = (i / kWorkersPerClient + 1) % options_.clients;
        w_.on(by, [&] {
            w_.c(by).drop_caches();
            workers_[i]->verify(w_.c(by));
            if (i == 0) shared_.verify(w_.c(by));
        });
    }
}

// ---- events

// From microseconds to seconds, all magnitudes alike.
uint64_t Scenario::a_moment()
{
    uint64_t most = 20000ull << rng_.below(17);
    return 1 + rng_.below(most);
}

void Scenario::event()
{
    uint64_t dice = rng_.below(100);
    if (rng_.chance(300)) w_.world.run_for(rng_.below(6 * kSec));  // past a commit
    if (kind_ == ScenarioKind::kClean) return shutdown(any_target(), dice < 70 ? Twist::kNone : Twist::kCancel);
    if (kind_ == ScenarioKind::kCut) {
        if (dice < 60) cut();
        return dice < 30 ? void() : shutdown(any_target(), dice < 85 ? Twist::kNone : Twist::kCancel);
    }
    Target& t = any_target();
    if (dice < 30) return shutdown(t, Twist::kCrash);
    if (dice < 65) return shutdown(t, Twist::kDiskCrash);
    if (dice < 75) return shutdown(t, dice < 70 ? Twist::kNone : Twist::kCancel);
    if (dice < 90) return crash_node(*t.at);
    t.disk->crash_at_step(rng_.between(1, 40));
    note("%s: its disk crashes the node in a few steps", t.name.c_str());
    Node& node = *t.at;
    w_.world.run_until([&] { return !node.host->up(); }, w_.world.now_ns() + 20 * kSec);
    t.disk->crash_at_step(0);
    notice_crash(node);
    start_again();
}

std::string Scenario::state_of(Target& t)
{
    std::string text = w_.get_param(*t.at, t.param + "controlled_shutdown");
    for (const char* state : {"running", "warming", "notifying", "draining", "committing", "clean", "halted"})
        if (text.find(std::string(state) + "\n") != std::string::npos || text == state) return state;
    return "?" + text;
}

void Scenario::shutdown(Target& t, Twist twist)
{
    constexpr const char* kTwists[] = {"", ", to be cancelled", ", with a crash", ", with a crash at a disk step"};
    note("%s at %s: controlled shutdown%s", t.name.c_str(), t.at->host->name().c_str(), kTwists[static_cast<int>(twist)]);
    Node& node = *t.at;
    if (twist == Twist::kDiskCrash) t.disk->crash_at_step(rng_.between(1, 60));
    int err = begin_shutdown(t, node);
    bool halted = false;
    if (node.host->up()) {
        if (err) ADD_FAILURE() << "controlled shutdown of " << t.name << " does not begin: " << err;
        halted = watch(t, twist, w_.world.now_ns() + a_moment());
    }
    t.disk->crash_at_step(0);
    if (notice_crash(node)) return start_again();
    if (!halted) return note("%s: goes on", t.name.c_str());
    start_clean(t);
}

// While a target recovers it cannot be shut down.
int Scenario::begin_shutdown(Target& t, Node& node)
{
    int err = -kEBUSY;
    for (uint64_t limit = w_.world.now_ns() + kHaltLimit; err == -kEBUSY && w_.world.now_ns() < limit;) {
        err = w_.set_param(node, t.param + "controlled_shutdown", "1");
        if (!node.host->up()) break;
        if (err == -kEBUSY) w_.world.run_for(1 + rng_.below(300 * kMsec));
    }
    return err;
}

// To the end of the shutdown, or of the node. True: halted.
bool Scenario::watch(Target& t, Twist twist, uint64_t twist_at)
{
    Node& node = *t.at;
    uint64_t last_transno = 0;
    bool was_cancelled = false;
    for (uint64_t limit = w_.world.now_ns() + kHaltLimit;;) {
        std::string state = state_of(t);
        if (!node.host->up()) return false;
        if (state == "committing" || state == "clean" || state == "halted") {
            uint64_t now = number(node, t.param + "last_transno");
            if (!node.host->up()) return false;
            bool frozen = state != "committing";  // the freeze is the first thing committing does
            if (last_transno && last_transno != now) ADD_FAILURE() << t.name << " executed something in state " << state;
            if (frozen) last_transno = now;
        } else {
            last_transno = 0;
        }
        if (state == "halted") {
            check_halted(t);
            return node.host->up();
        }
        if (state == "running" && was_cancelled) return false;
        if (state == "running") ADD_FAILURE() << t.name << ": the shutdown ended: " << w_.get_param(node, t.param + "controlled_shutdown_status");
        if (w_.world.now_ns() > limit) {
            ADD_FAILURE() << t.name << " does not halt: " << w_.get_param(node, t.param + "controlled_shutdown_status");
            return false;
        }
        if (twist != Twist::kNone && w_.world.now_ns() >= twist_at) {
            if (twist == Twist::kCrash) {
                note("%s: crash while %s", t.name.c_str(), state.c_str());
                node.host->crash();
                return false;
            }
            if (twist == Twist::kCancel) {
                int err = w_.set_param(node, t.param + "controlled_shutdown", "0");
                note("%s: cancel while %s or later: %d", t.name.c_str(), state.c_str(), err);
                if (err && err != -kEBUSY) ADD_FAILURE() << "cancel: " << err;
                was_cancelled = err == 0;
                twist = Twist::kNone;
            }
        }
        uint64_t nap = 1 + rng_.below(8 * kMsec), now = w_.world.now_ns();
        if (twist != Twist::kNone && twist_at > now && twist_at - now < nap) nap = twist_at - now;
        w_.world.run_for(nap);
        if (!node.host->up()) return false;
    }
}

uint64_t Scenario::number(Node& node, const std::string& param)
{
    std::string text = w_.get_param(node, param);
    size_t at = text.find('=');
    return strtoull(text.c_str() + (at == std::string::npos ? 0 : at + 1), nullptr, 10);
}

// Invariant 2. Clients that are away (a cut) are let go and settle this when they return.
void Scenario::check_halted(Target& t)
{
    bool is_mdt = &t == &w_.mdt();
    auto left = [&] {
        uint64_t sum = 0;
        for (auto& n : w_.client_nodes) {
            std::string text = w_.get_param(*n, (is_mdt ? "mdc." : "osc.") + t.name + "*.stats");
            if (text.find("kept_replays: ") == std::string::npos) ADD_FAILURE() << "no statistics of " << t.name << ": " << text;
            sum += strtoull(text.c_str() + text.find("kept_replays: ") + 14, nullptr, 10);
        }
        return sum;
    };
    if (kind_ != ScenarioKind::kCut) {
        uint64_t until = w_.world.now_ns() + kRestLimit;
        while (left() && w_.world.now_ns() < until) w_.run_for_ms(10);
        if (left()) ADD_FAILURE() << t.name << " is halted, its clients have " << left() << " requests to replay";
    }
    uint64_t committed = number(*t.at, t.param + "last_committed"), last = number(*t.at, t.param + "last_transno");
    if (committed != last) ADD_FAILURE() << t.name << " is halted: last_committed " << committed << ", last_transno " << last;
    note("%s: halted clean", t.name.c_str());
}

void Scenario::start_clean(Target& t)
{
    w_.stop(t);
    w_.world.run_for(a_moment());
    Node& next = rng_.chance(500) ? *t.home : *t.partner;
    bool idle = true;
    for (auto& other : w_.targets()) idle &= other->at != &next;
    if (idle && next.node && next.protocol == 1 && rng_.chance(700)) {
        note("%s gets protocol version 2", next.host->name().c_str());
        w_.on(next, [&] { lull_node_destroy(next.node); });
        next.node = nullptr;
        next.protocol = 2;
    }
    Node& to = next.protocol >= ran_protocol_[&t] ? next : &next == t.home ? *t.partner : *t.home;
    if (to.protocol < ran_protocol_[&t]) ADD_FAILURE() << "the scenario lost its way";
    std::string why;
    int err = w_.start(t, to, "", &why);
    note("%s: started at %s, protocol %u", t.name.c_str(), to.host->name().c_str(), to.protocol);
    if (err) ADD_FAILURE() << t.name << " does not start after a clean halt: " << err << " " << why;
    if (number(to, t.param + "clean_start") != 1) ADD_FAILURE() << t.name << " did not start from its clean record";
    ran_protocol_[&t] = to.protocol;
    tune(t);
}

// ---- crashes

void Scenario::crash_node(Node& node)
{
    note("crash of %s", node.host->name().c_str());
    node.host->crash();
    notice_crash(node);
    start_again();
}

// False: it is up.
bool Scenario::notice_crash(Node& node)
{
    if (node.host->up()) return false;
    crashes_++;
    note("%s is down", node.host->name().c_str());
    for (auto& t : w_.targets())
        if (t->at == &node) ran_at_[t.get()] = &node;
    w_.crash(node);
    return true;
}

void Scenario::start_again()
{
    hurry_ = false;
    w_.world.run_for(a_moment());
    for (auto& t : w_.targets())
        if (!t->at) start_crashed(*t);
    hurry_ = true;
}

void Scenario::start_crashed(Target& t)
{
    Node& last = *ran_at_[&t];
    Node& other = &last == t.home ? *t.partner : *t.home;
    Node* to = rng_.chance(500) ? &other : &last;
    std::string why;
    int err = w_.start(t, *to, "", &why);
    bool clean = !err && number(*to, t.param + "clean_start") == 1;
    if (to->protocol != ran_protocol_[&t] && !clean) {  // invariant 7
        note("%s: start with another protocol version: %d", t.name.c_str(), err);
        if (!err) ADD_FAILURE() << t.name << ", not halted cleanly, started with another version";
        to = &last;
        err = w_.start(t, *to, "", &why);
        clean = !err && number(*to, t.param + "clean_start") == 1;
    }
    note("%s: started at %s%s", t.name.c_str(), to->host->name().c_str(), clean ? " from its clean record" : " to recover");
    if (err) ADD_FAILURE() << t.name << " does not start after a crash: " << err << " " << why;
    ran_protocol_[&t] = to->protocol;
    tune(t);
}

void Scenario::cut()
{
    Node& client = *w_.client_nodes[rng_.below(w_.client_nodes.size())];
    Node& server = rng_.chance(200) ? *w_.mdt().at : *any_target().at;
    uint64_t length = rng_.below(6 * kSec);
    note("%s and %s: resets, or a cut of %llu ms", client.host->name().c_str(), server.host->name().c_str(),
         static_cast<unsigned long long>(length / kMsec));
    Host *a = client.host, *b = server.host;
    for (uint64_t resets = rng_.chance(500) ? rng_.below(8) : 0; resets > 0; resets--)
        w_.world.after(rng_.below(3 * kSec), [a, b, w = &w_.world] { w->network().reset_connections(*a, *b); });
    if (rng_.chance(300)) return;
    w_.world.network().cut(*a, *b);
    w_.world.after(length, [a, b, w = &w_.world] { w->network().heal(*a, *b); });
    if (rng_.chance(500)) w_.world.run_for(rng_.below(length + 1));
}

// ---- all of it

Counters Scenario::counters()
{
    return {w_.client_counter("replays"), w_.client_counter("resends"), w_.client_counter("evictions")};
}

ScenarioResult Scenario::run()
{
    constexpr const char* kKinds[] = {"", "upgrades only", "cut network", "crashes"};
    note("%s; %u clients of protocol %u, %u OSTs, servers of protocol %u", kKinds[static_cast<int>(kind_)], options_.clients,
         options_.client_protocol, options_.osts, options_.server_protocol);
    start_load();
    wait_for_progress();
    w_.world.run_for(a_moment());
    Counters before = counters();
    for (uint64_t events = rng_.between(1, 3); events > 0; events--) {
        event();
        wait_for_progress();
        w_.world.run_for(a_moment());
    }
    Counters after = counters();
    if (kind_ == ScenarioKind::kClean && (after.replays != before.replays || after.resends != before.resends))
        ADD_FAILURE() << "a clean upgrade cost " << after.replays - before.replays << " replays, " << after.resends - before.resends
                      << " resends";
    if (after.evictions) ADD_FAILURE() << after.evictions << " evictions";
    end_load();
    ScenarioResult r;
    for (auto& worker : workers_) r.operations += worker->operations;
    r.operations += shared_.operations;
    w_.finish();
    r.trace_hash = w_.world.trace_hash();
    r.virtual_ms = w_.world.now_ns() / kMsec;
    r.steps = w_.world.steps();
    note("over");
    the_world = nullptr;
    return r;
}

}  // namespace

ScenarioResult run_scenario(uint64_t seed, ScenarioKind kind)
{
    story.clear();
    Scenario s(seed, kind);
    return s.run();
}

std::string scenario_story() { return story; }
std::string scenario_state() { return the_world ? the_world->report() : ""; }

}  // namespace lull::sim
