// SPDX-License-Identifier: GPL-2.0-only
// Controlled shutdowns: to their end, cancelled, crashed, two at once, with signals, mounts and
// other versions.
#include "include/lull/user_api.h"
#include "tests/sim/model_check.h"
#include "tests/sim/scenario_impl.h"

namespace lull::sim {

std::string Scenario::state_of(Target& t)
{
    std::string text = w_.get_param(*t.at, t.param + "controlled_shutdown");
    for (const char* state :
         {"running", "warming", "notifying", "draining", "committing", "clean", "halted"})
        if (text.find(std::string(state) + "\n") != std::string::npos || text == state)
            return state;
    return "?" + text;
}

// Invariant 8 is the twists: a crash at any point is only a crash.
void Scenario::shutdown(Target& t, Twist twist)
{
    constexpr const char* kTwists[] = {"", ", to be cancelled", ", with a crash",
                                       ", with a crash at a disk step"};
    note("%s at %s: controlled shutdown%s", t.name.c_str(), t.at->host->name().c_str(),
         kTwists[static_cast<int>(twist)]);
    Node& node = *t.at;
    if (twist == Twist::kDiskCrash) t.disk->crash_at_step(rng_.between(1, 60));
    int err = begin_shutdown(t, node);
    bool is_halted = false;
    if (node.host->up()) {
        if (err) ADD_FAILURE() << "controlled shutdown of " << t.name << " does not begin: " << err;
        is_halted = watch(t, twist, w_.world.now_ns() + a_moment());
    }
    t.disk->crash_at_step(0);
    if (notice_crash(node)) return start_again();
    if (!is_halted) return note("%s: goes on", t.name.c_str());
    w_.stop(t);
    pass(a_moment());
    start_clean(t);
}

// While a target recovers it cannot be shut down.
int Scenario::begin_shutdown(Target& t, Node& node)
{
    int err = -kEBUSY;
    for (uint64_t limit = w_.world.now_ns() + kHaltLimit;
         err == -kEBUSY && node.host->up() && w_.world.now_ns() < limit;) {
        err = w_.set_param(node, t.param + "controlled_shutdown", "1");
        if (err == -kEBUSY) pass(1 + rng_.below(300 * kMsec));
    }
    return err;
}

// Its moment has come. True: the watch is over.
bool Scenario::do_twist(Target& t, Twist* twist, const std::string& state, bool* cancelled)
{
    if (*twist == Twist::kCrash) {
        note("%s: crash while %s", t.name.c_str(), state.c_str());
        t.at->host->crash();
        return true;
    }
    if (*twist != Twist::kCancel) return false;
    int err = w_.set_param(*t.at, t.param + "controlled_shutdown", "0");
    note("%s: cancel while %s or later: %d", t.name.c_str(), state.c_str(), err);
    if (err && err != -kEBUSY) ADD_FAILURE() << "cancel: " << err;
    *cancelled = err == 0;
    *twist = Twist::kNone;
    return false;
}

// To the end of the shutdown, or of the node. True: halted.
bool Scenario::watch(Target& t, Twist twist, uint64_t twist_at)
{
    Node& node = *t.at;
    uint64_t last_transno = 0;
    bool was_cancelled = false;
    auto status = [&] { return w_.get_param(node, t.param + "controlled_shutdown_status"); };
    for (uint64_t limit = w_.world.now_ns() + kHaltLimit;;) {
        std::string state = state_of(t);
        if (!node.host->up()) return false;
        if (state == "committing" || state == "clean" || state == "halted") {
            uint64_t now = number(node, t.param + "last_transno");
            if (!node.host->up()) return false;
            bool frozen = state != "committing";  // the freeze is the first thing committing does
            if (last_transno && last_transno != now)
                ADD_FAILURE() << t.name << " executed something in state " << state;
            if (frozen) last_transno = now;
        } else {
            last_transno = 0;
        }
        if (state == "halted") return halted(t);
        if (state == "running" && was_cancelled) return false;
        if (state == "running") ADD_FAILURE() << t.name << ": the shutdown ended: " << status();
        if (w_.world.now_ns() > limit)
            return ADD_FAILURE() << t.name << " does not halt: " << status(), false;
        if (twist != Twist::kNone && w_.world.now_ns() >= twist_at &&
            do_twist(t, &twist, state, &was_cancelled))
            return false;
        uint64_t nap = 1 + rng_.below(8 * kMsec), now = w_.world.now_ns();
        if (twist != Twist::kNone && twist_at > now && twist_at - now < nap) nap = twist_at - now;
        pass(nap);
        if (!node.host->up()) return false;
    }
}

bool Scenario::halted(Target& t)
{
    Node& node = *t.at;
    bool away = loose_cut_;
    for (Client& c : clients_) away |= c.hung;
    invariants_.halted_is_clean(t, away);
    if (node.host->up()) note("%s: halted clean", t.name.c_str());
    return node.host->up();
}

void Scenario::change_protocol(Node& node, unsigned protocol)
{
    note("%s gets protocol version %u", node.host->name().c_str(), protocol);
    if (node.node) w_.on(node, [&] { lull_node_destroy(node.node); });
    node.node = nullptr;
    node.protocol = protocol;
}

// Not one whose version is lower than what ran.
FsWorld::Node& Scenario::choose_node_to_start(Target& t)
{
    Node& next = rng_.chance(500) ? *t.home : *t.partner;
    bool idle = true;
    for (auto& other : w_.targets()) idle &= other->at != &next;
    if (idle && next.node && next.protocol == 1 && rng_.chance(700)) change_protocol(next, 2);
    Node& to = next.protocol >= ran_protocol_[&t] ? next : partner_of(t, next);
    if (to.protocol < ran_protocol_[&t]) ADD_FAILURE() << "the scenario lost its way";
    return to;
}

void Scenario::start_clean(Target& t)
{
    Node& to = choose_node_to_start(t);
    std::string why;
    int err = w_.start(t, to, "", &why);
    note("%s: started at %s, protocol %u", t.name.c_str(), to.host->name().c_str(), to.protocol);
    if (err) ADD_FAILURE() << t.name << " does not start after a clean halt: " << err << " " << why;
    if (number(to, t.param + "clean_start") != 1)
        ADD_FAILURE() << t.name << " did not start from its clean record";
    ran_protocol_[&t] = to.protocol;
    tune(t);
}

// ---- more than one target

FsWorld::Target* Scenario::another_target(Target& than)
{
    Target& t = any_target();
    for (auto& other : w_.targets())
        if (&t == &than && other.get() != &than) return other.get();
    return &t;
}

// Both drain at the same time; each starts again when it has halted and the other has, too.
void Scenario::two_upgrades()
{
    Target& a = any_target();
    Target& b = *another_target(a);
    note("%s and %s: controlled shutdown of both", a.name.c_str(), b.name.c_str());
    for (Target* t : {&a, &b}) {
        if (int err = begin_shutdown(*t, *t->at))
            ADD_FAILURE() << "controlled shutdown of " << t->name << " does not begin: " << err;
        pass(a_moment());
    }
    for (Target* t : {&a, &b})
        if (watch(*t, Twist::kNone, 0)) w_.stop(*t);
    bool swap = rng_.chance(500);
    for (Target* t : {swap ? &b : &a, swap ? &a : &b}) {
        pass(a_moment());
        start_clean(*t);
    }
}

// A drain begins while another target is down; operations that use both finish when that is back.
void Scenario::upgrade_while_down()
{
    Target& down = any_target();
    Target& t = *another_target(down);
    Node& node = *down.at;
    if (t.at == &node) return crash_node(node);
    note("crash of %s; %s is shut down meanwhile", node.host->name().c_str(), t.name.c_str());
    node.host->crash();
    notice_crash(node);
    pass(a_moment());
    int err = begin_shutdown(t, *t.at);
    if (err) ADD_FAILURE() << "controlled shutdown of " << t.name << " does not begin: " << err;
    (void)start_all();
    if (!watch(t, Twist::kNone, 0)) return;
    w_.stop(t);
    pass(a_moment());
    start_clean(t);
}

// S10: after a clean halt a lower version starts, and evicts.
void Scenario::downgrade()
{
    Target& t = any_target();
    if (ran_protocol_[&t] != 2) return shutdown(t, Twist::kNone);
    Node& old = *t.at;
    bool alone = true;
    for (auto& other : w_.targets()) alone &= other.get() == &t || other->at != &old;
    if (!alone) return shutdown(t, Twist::kNone);
    begin_doubt_all();
    note("%s: controlled shutdown, then the lower version", t.name.c_str());
    if (int err = begin_shutdown(t, old))
        ADD_FAILURE() << "controlled shutdown of " << t.name << " does not begin: " << err;
    if (!watch(t, Twist::kNone, 0)) return;
    w_.stop(t);
    change_protocol(old, 1);
    const char* type = &t == &w_.mdt() ? "mdc" : "osc";
    uint64_t before = w_.client_counter("evictions", type);
    std::string why;
    if (int err = w_.start(t, old, "", &why))
        ADD_FAILURE() << t.name << " does not start with the lower version: " << err << why;
    ran_protocol_[&t] = 1;
    tune(t);
    end_doubt_all();
    uint64_t evictions = w_.client_counter("evictions", type) - before;
    if (evictions < clients())
        ADD_FAILURE() << "a downgrade evicted " << evictions << " of " << clients() << " clients";
}

// ---- A9, T9

// Every task that waits at the gate ends its system call at once, without effect: it calls again
// and must get what the first call would have got.
void Scenario::signal_tasks(Target& t)
{
    auto interruptions = [&] {
        uint64_t n = 0;
        for (Client& c : clients_)
            for (auto& worker : c.workers) n += worker->interruptions + worker->operations;
        return n;
    };
    pass(2 * kSec);  // by now they wait
    uint64_t before = interruptions();
    for (Client& c : clients_)
        for (TaskHandle task : c.tasks) w_.world.signal(task, false);
    bool heard = w_.world.run_until([&] { return interruptions() > before; },
                                    w_.world.now_ns() + kSignalLimit);
    if (!heard && plan_.idle_workers.empty() && &t == &w_.mdt())
        ADD_FAILURE() << "signals do not end a wait at the gate\n" << w_.world.report();
}

void Scenario::signals()
{
    Target& t = rng_.chance(700) ? w_.mdt() : any_target();
    note("%s: controlled shutdown, with signals", t.name.c_str());
    for (uint64_t storms = rng_.between(1, 6); storms > 0; storms--)
        w_.world.after(rng_.below(kSec), [this] {
            for (Client& c : clients_)
                for (TaskHandle task : c.tasks)
                    if (!World::finished(task)) w_.world.signal(task, false);
        });
    if (int err = begin_shutdown(t, *t.at))
        ADD_FAILURE() << "controlled shutdown of " << t.name << " does not begin: " << err;
    if (!watch(t, Twist::kNone, 0)) return;
    w_.stop(t);
    signal_tasks(t);
    start_clean(t);
}

// Some of the processes that have files of their own are killed, and others take their places.
void Scenario::kill_some()
{
    for (Client& c : clients_) {
        if (c.hung) continue;
        for (size_t i = 0; i < c.working && i < c.tasks.size(); i++)  // of Workers
            if (!World::finished(c.tasks[i]) && rng_.chance(400)) w_.world.signal(c.tasks[i], true);
    }
}

// In the middle of whatever they do: nothing is wrong, a target is away, or the network is.
void Scenario::kills()
{
    unsigned what = static_cast<unsigned>(rng_.below(3));
    for (uint64_t rounds = rng_.between(3, 12); rounds > 0; rounds--)
        w_.world.after(rng_.below(what ? 3 * kSec : 200 * kMsec), [this] { kill_some(); });
    if (what == 1) return shutdown(rng_.chance(700) ? w_.mdt() : any_target(), Twist::kNone);
    if (what == 2) return plan_.kind == ScenarioKind::kClean ? two_upgrades() : cut();
    pass(rng_.below(kSec));
}

// T5. The file system stands still, everything is committed, and goes on.
void Scenario::freeze()
{
    Node& mgs = *w_.mdt().at;
    auto state = [&](const char* is) {
        std::string states = w_.get_param(mgs, "mgs.MGS.fs_state");
        return states.find(std::string("lull: ") + is + "\n") != std::string::npos;
    };
    note("the file system is frozen");
    if (int err = w_.set_param(mgs, "mgs.MGS.fs_freeze", "lull"))
        ADD_FAILURE() << "freeze: " << err;
    uint64_t until = w_.world.now_ns() + kHaltLimit;
    while (!state("frozen") && w_.world.now_ns() < until) w_.world.run_for(20 * kMsec);
    if (!state("frozen")) ADD_FAILURE() << "not frozen\n" << w_.world.report();
    pass(rng_.below(5 * kSec));
    for (size_t i = 0; i < clients(); i++)
        expect_equal(static_cast<int64_t>(w_.c(i).dirty_pages()), 0, "dirty pages, frozen, of",
                     w_.c(i).host().name());
    if (int err = w_.set_param(mgs, "mgs.MGS.fs_thaw", "lull")) ADD_FAILURE() << "thaw: " << err;
}

void Scenario::mount_during_shutdown()
{
    Target& t = rng_.chance(600) ? w_.mdt() : any_target();
    size_t i = clients();
    if (i >= w_.mounts.size()) return;
    note("%s: controlled shutdown, and a mount by %s", t.name.c_str(),
         w_.client_nodes[i]->host->name().c_str());
    int err = 1;
    TaskHandle task = nullptr;
    auto start = [&] {
        task = w_.mounts[i]->host().spawn("mount", [&] { err = w_.c(i).mount(w_.source(), ""); });
    };
    bool early = rng_.chance(500);
    if (early) start();
    if (early) pass(a_moment());
    if (int e = begin_shutdown(t, *t.at))
        ADD_FAILURE() << "controlled shutdown of " << t.name << " does not begin: " << e;
    if (!early) pass(rng_.below(10 * kMsec));
    if (!early) start();
    bool is_halted = watch(t, Twist::kNone, 0);
    if (is_halted) w_.stop(t);
    pass(a_moment());
    if (is_halted) start_clean(t);
    finish_mount(task, err);
}

void Scenario::finish_mount(TaskHandle task, const int& err)
{
    size_t i = clients();
    bool ended = w_.world.run_to_end(task, w_.world.now_ns() + kProgressLimit);
    if (!ended || err)
        ADD_FAILURE() << "a mount during a shutdown: " << (ended ? err : -kETIMEDOUT);
    w_.on(i, [&] {
        std::vector<std::string> names;
        if (int e = w_.c(i).readdir("/", &names))
            ADD_FAILURE() << "readdir of the new mount: " << e;
    });
    w_.umount(i);
}

}  // namespace lull::sim
