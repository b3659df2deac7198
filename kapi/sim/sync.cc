// SPDX-License-Identifier: GPL-2.0-only
// kapi mutexes, condition variables, drain references: with the checks a kernel's lockdep would
// make, and more.
#include <algorithm>
#include <string>

#include "kapi/errno.h"
#include "kapi/lock_rank.h"
#include "kapi/sim/task.h"

namespace lull::sim {

struct SimMutex {
    uint64_t magic;
    unsigned rank;
    Task* owner;
    TaskQueue waiters;
};

namespace {

constexpr uint64_t kMutexMagic = 0x6c756c6c6d757478;
constexpr uint64_t kCondMagic = 0x6c756c6c636f6e64;
constexpr uint64_t kDrainMagic = 0x6c756c6c64726169;
constexpr uint64_t kDead = 0xdeaddeaddeaddead;

struct SimCond {
    uint64_t magic;
    TaskQueue waiters;
};

struct SimDrainref {
    uint64_t magic;
    int64_t count;
    bool killed;
    TaskQueue waiters;
};

static_assert(sizeof(SimMutex) <= sizeof(kapi_mutex));
static_assert(sizeof(SimCond) <= sizeof(kapi_cond));
static_assert(sizeof(SimDrainref) <= sizeof(kapi_drainref));

const char* rank_name(unsigned rank)
{
    static constexpr const char* kNames[] = {
#define SIM_RANK_NAME(name, text) #name,
        LULL_LOCK_RANKS(SIM_RANK_NAME)
#undef SIM_RANK_NAME
    };
    return rank < std::size(kNames) ? kNames[rank] : "?";
}

template <class T, class C> T& checked(C* opaque, uint64_t magic, const char* what)
{
    T* t = reinterpret_cast<T*>(opaque);
    if (t->magic != magic)
        world().fail(std::string(what) +
                     (t->magic == kDead ? " used after its end" : " used without init"));
    return *t;
}

SimMutex& mutex_of(kapi_mutex* m) { return checked<SimMutex>(m, kMutexMagic, "mutex"); }
SimCond& cond_of(kapi_cond* c) { return checked<SimCond>(c, kCondMagic, "condition variable"); }
SimDrainref& drainref_of(kapi_drainref* r)
{
    return checked<SimDrainref>(r, kDrainMagic, "drain reference");
}

std::string who(const Task* t)
{
    return t ? "task '" + t->name + "'" + (t->host ? " of " + t->host->name() : "") : "nobody";
}

void check_rank(World& w, const Task& self, const SimMutex& m)
{
    for (const SimMutex* held : self.held)
        if (held->rank >= m.rank)
            w.fail("lock rank violation: " + who(&self) + " takes '" + rank_name(m.rank) +
                   "' while it holds '" + rank_name(held->rank) + "'");
}

void check_cycle(World& w, const Task& self, const SimMutex& m)
{
    std::string path = "deadlock: " + who(&self) + " waits for '" + rank_name(m.rank) + "'";
    for (const Task* t = m.owner; t; t = t->wait.mutex->owner) {
        path += " held by " + who(t);
        if (t == &self) return w.fail(path);
        if (t->state != Task::State::kBlocked || !t->wait.mutex) return;
        path += std::string(", who waits for '") + t->wait.name + "'";
    }
}

void take(World& w, Task& self, SimMutex& m)
{
    while (m.owner) {
        check_cycle(w, self, m);
        w.block(m.waiters,
                {.what = "mutex", .name = rank_name(m.rank), .mutex = &m, .stuck_check = true});
    }
    m.owner = &self;
    self.held.push_back(&m);
}

void give(World& w, Task& self, SimMutex& m)
{
    if (m.owner != &self)
        w.fail(who(&self) + " unlocks '" + rank_name(m.rank) + "', which " + who(m.owner) +
               " holds");
    std::erase(self.held, &m);
    m.owner = nullptr;
    w.wake_random(m.waiters);
}

bool hears_signal(const Task& t, kapi_wait_mode mode)
{
    return (mode == KAPI_WAIT_INTERRUPTIBLE && t.signal) ||
           (mode == KAPI_WAIT_KILLABLE && t.fatal_signal);
}

}  // namespace

std::string mutex_name(const SimMutex* m) { return rank_name(m->rank); }
const Task* mutex_owner(const SimMutex* m) { return m->owner; }

}  // namespace lull::sim

using namespace lull::sim;

extern "C" {

void kapi_mutex_init(kapi_mutex* m, unsigned rank)
{
    *reinterpret_cast<SimMutex*>(m) = {kMutexMagic, rank, nullptr, {}};
}

void kapi_mutex_destroy(kapi_mutex* m)
{
    SimMutex& sm = mutex_of(m);
    bool held = sm.owner && !sm.owner->over();
    if (held || sm.waiters.head)
        world().fail(std::string("mutex '") + rank_name(sm.rank) + "' destroyed while " +
                     (held ? who(sm.owner) + " holds it" : who(sm.waiters.head) + " waits for it"));
    sm.magic = kDead;
}

void kapi_mutex_lock(kapi_mutex* m)
{
    World& w = world();
    SimMutex& sm = mutex_of(m);
    w.point();
    Task& self = w.current();
    check_rank(w, self, sm);
    take(w, self, sm);
}

void kapi_mutex_unlock(kapi_mutex* m)
{
    World& w = world();
    give(w, w.current(), mutex_of(m));
    w.point();
}

bool kapi_mutex_is_mine(kapi_mutex* m) { return mutex_of(m).owner == world().current_or_null(); }

void kapi_cond_init(kapi_cond* c) { *reinterpret_cast<SimCond*>(c) = {kCondMagic, {}}; }

void kapi_cond_destroy(kapi_cond* c)
{
    SimCond& sc = cond_of(c);
    if (sc.waiters.head)
        world().fail("condition variable destroyed while " + who(sc.waiters.head) + " waits on it");
    sc.magic = kDead;
}

int kapi_cond_wait(kapi_cond* c, kapi_mutex* m, uint64_t deadline_ns, kapi_wait_mode mode)
{
    World& w = world();
    Task& self = w.current();
    SimCond& sc = cond_of(c);
    SimMutex& sm = mutex_of(m);
    give(w, self, sm);
    int result;
    if (hears_signal(self, mode)) result = -kERESTARTSYS;
    else if (w.fault_rng().chance(w.options().spurious_wake_permille)) {
        w.yield();
        result = 0;
    } else {
        result = w.block(sc.waiters, {.what = "condition with",
                                      .name = rank_name(sm.rank),
                                      .deadline_ns = deadline_ns,
                                      .mode = mode});
    }
    check_rank(w, self, sm);
    take(w, self, sm);
    return result;
}

void kapi_cond_wake_one(kapi_cond* c)
{
    World& w = world();
    if (w.wake_random(cond_of(c).waiters) && w.current_or_null()) w.point();
}

void kapi_cond_wake_all(kapi_cond* c)
{
    World& w = world();
    SimCond& sc = cond_of(c);
    if (!sc.waiters.head) return;
    w.wake_all(sc.waiters);
    if (w.current_or_null()) w.point();
}

bool kapi_signal_pending(void) { return world().current().signal; }
bool kapi_fatal_signal_pending(void) { return world().current().fatal_signal; }

int kapi_drainref_init(kapi_drainref* r)
{
    World& w = world();
    Host* host = w.current_host();
    if ((host ? *host : w.main_host()).allocation_fails()) return -kENOMEM;
    *reinterpret_cast<SimDrainref*>(r) = {kDrainMagic, 0, false, {}};
    return 0;
}

void kapi_drainref_destroy(kapi_drainref* r)
{
    SimDrainref& d = drainref_of(r);
    if (d.count != 0 || d.waiters.head)
        world().fail("drain reference destroyed with " + std::to_string(d.count) + " references");
    d.magic = kDead;
}

bool kapi_drainref_tryget(kapi_drainref* r)
{
    world().point();
    SimDrainref& d = drainref_of(r);
    if (d.killed) return false;
    d.count++;
    return true;
}

void kapi_drainref_put(kapi_drainref* r)
{
    World& w = world();
    SimDrainref& d = drainref_of(r);
    if (--d.count < 0) w.fail("drain reference put once too often");
    if (d.killed && d.count == 0) w.wake_all(d.waiters);
    // No scheduling point after it: the owner may free *r once it has drained, the putter does not
    // look back.
}

void kapi_drainref_kill(kapi_drainref* r)
{
    SimDrainref& d = drainref_of(r);
    if (d.killed) world().fail("drain reference killed twice");
    d.killed = true;
    world().point();
}

int kapi_drainref_wait(kapi_drainref* r, uint64_t deadline_ns)
{
    World& w = world();
    w.point();
    SimDrainref& d = drainref_of(r);
    if (!d.killed) w.fail("drain reference waited for without a kill");
    while (!(d.killed && d.count == 0))
        if (int rc = w.block(d.waiters, {.what = "drain reference", .deadline_ns = deadline_ns});
            rc != 0)
            return d.killed && d.count == 0 ? 0 : rc;
    return 0;
}

void kapi_drainref_revive(kapi_drainref* r)
{
    SimDrainref& d = drainref_of(r);
    if (!d.killed) world().fail("drain reference revived while it lives");
    d.killed = false;
    world().point();
}

}  // extern "C"
