// SPDX-License-Identifier: GPL-2.0-only
/*
 * The deterministic world (B7): one process, one seed, one schedule. Hosts run the core over kapi;
 * tasks are fibers of one thread; time is virtual and moves only when nothing can run; every lock,
 * wait, wake-up, task start, socket and disk step is a point where the seeded generator may run
 * another task.
 *
 *   sim::World world(seed);
 *   sim::Host& mds = world.host("mds1");                       // 10.0.0.1, up
 *   sim::Disk& disk = sim::make_disk(world, "mdt");            // osd/sim/disk.h
 *   disk.attach(mds, "/dev/vdb");
 *   auto* task = mds.spawn("start", [&] { … any core code, kapi_net is mds.net() … });
 *   EXPECT_TRUE(world.run_until([&] { return done; }, world.now_ns() + 60 * kSec))
 *       << world.report();
 *   mds.crash();  mds.boot();                                  // power cycle
 *   mds.shutdown_clean();  // fails when memory, tasks, sockets or mounts are left
 *
 *   sim::run(seed, [] { … });  // unit tests: one host, one task to its end, leak check
 *
 * Rules and facts
 * - Memory from kapi_alloc() in a task belongs to the task's host and is freed by its crash: forget
 *   pointers into it (release() an Owned) when you crash the host. Fibers of a crashed host are
 *   dropped where they stand, without destructors.
 * - The main context (outside any fiber) is a task, too: kapi calls made there work, and when they
 *   must wait the world runs. A predicate may therefore take locks of the core. Without any World a
 *   default one (seed 1, host "main") carries plain unit tests; there the clock also moves a little
 *   at each reading.
 * - A failure (kapi_panic, lock rank, deadlock, stuck task, leak) prints a report and aborts; with
 *   abort_on_failure = false the world halts instead and failure() tells why. Both name the seed.
 *   Run it again with LULL_SIM_TRACE=- (or a file name) for the trace, LULL_SIM_LOG=1 for the log
 *   lines alone, LULL_SIM_ALLOC_TRACE=1 for the call stacks of leaked memory, LULL_SIM_STACKS=1 for
 *   the stacks of all blocked tasks (or call print_stacks()).
 * - Same seed, same binary: same trace, and same trace_hash(). The core must not order anything by
 *   address.
 * - One World at a time. Single thread.
 */
#pragma once
#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kapi/kapi.h"
#include "kapi/sim/rng.h"

namespace lull::sim {
class Host;
class World;
}  // namespace lull::sim

struct kapi_net {
    lull::sim::Host* host;
};

namespace lull::sim {

inline constexpr uint64_t kNever = UINT64_MAX;

class Task;       // task.h
class Network;    // network.h
struct Arena;     // memory.h
struct Context;   // fiber.h
struct SimMutex;  // sync.cc

// Identifies a task as long as its World lives, also after its end.
using TaskHandle = Task*;

// What a host has and loses hold of by a crash: a disk.
class Device {
public:
    virtual ~Device() = default;
    virtual void host_crashed(Host& host) = 0;
    virtual bool in_use_by(const Host& host) const = 0;
    virtual std::string name() const = 0;
};

// What the peers of a crashed host see.
enum class CrashNet {
    kBySeed,
    kReset,   // connections are reset after a delay
    kSilent,  // nothing, until the host is up again and is sent something
};

class Host {
public:
    static constexpr uint32_t kFirstAddress = (10u << 24) + 1;  // of the first host made

    Host(World& world, std::string name, unsigned index);
    ~Host();
    Host(const Host&) = delete;

    const std::string& name() const { return name_; }
    uint32_t address() const { return address_; }  // 10.0.0.N in host order
    unsigned index() const { return index_; }
    kapi_net* net() { return &net_; }
    World& world() { return world_; }
    bool up() const { return up_; }
    uint64_t boots() const { return boots_; }

    // Runs fn as a user's task (signals reach it). Not finished at deadline_ns (virtual, absolute):
    // a failure.
    TaskHandle spawn(std::string name, std::function<void()> fn, uint64_t deadline_ns = kNever);
    // Power off, at any point, from anywhere; does not return when a task of the host itself calls
    // it.
    void crash(CrashNet net = CrashNet::kBySeed);
    void boot();
    // A host that hangs: none of its tasks runs until resume(). Its connections stay, its disk
    // stays its own.
    void pause();
    void resume();
    bool paused() const { return paused_; }
    // Nothing may be left: allocations, tasks, sockets, mounts. The host is down afterwards (boot()
    // starts it again).
    void shutdown_clean();
    std::string leftovers() const;  // what shutdown_clean() would complain about, or ""

    void fail_allocations(unsigned permille) { alloc_fail_permille_ = permille; }
    // The n-th from now fails, once; 0: off.
    void fail_allocation_nth(uint64_t n) { alloc_fail_nth_ = n; }
    uint64_t live_allocations() const;
    void refuse_connections(bool refuse) { refuse_ = refuse; }
    bool refuses_connections() const { return refuse_; }
    void set_realtime_offset_ns(int64_t ns) { realtime_offset_ns_ = ns; }
    int64_t realtime_offset_ns() const { return realtime_offset_ns_; }
    void attach(const std::string& path, Device* device) { devices_[path] = device; }
    void detach(const std::string& path) { devices_.erase(path); }
    Device* device(const std::string& path) const;

    // For kapi/sim.
    bool allocation_fails();
    Arena& arena() { return *arena_; }

private:
    friend class World;
    World& world_;
    std::string name_;
    unsigned index_;
    uint32_t address_;
    kapi_net net_;
    bool up_ = true;
    bool paused_ = false;
    std::vector<Task*> held_;  // could run, were it not paused
    bool refuse_ = false;
    uint64_t boots_ = 1;
    int64_t realtime_offset_ns_ = 0;
    unsigned alloc_fail_permille_ = 0;
    uint64_t alloc_fail_nth_ = 0;
    std::unique_ptr<Arena> arena_;
    std::map<std::string, Device*> devices_;
};

struct WorldOptions {
    static constexpr unsigned kBySeed = 100000;
    unsigned preempt_permille = kBySeed;  // chance of another task at each scheduling point
    unsigned spurious_wake_permille = 5;  // of condition waits
    bool abort_on_failure = true;
    bool debug_log = false;                       // keep KAPI_DEBUG lines
    uint64_t stuck_ns = 3600ull * 1000000000;     // a mutex not obtained for so long is a failure
    uint64_t livelock_steps = 20000000;           // without progress of time
    uint64_t clock_tick_ns = 0;                   // time passes at each kapi_now_ns()
    std::function<void(const char* line)> trace;  // each event, one line
};

enum class Step { kRan, kIdle, kLimit, kMain };

struct TaskQueue {  // lives in the opaque storage of the kapi structs
    Task* head;
    Task* tail;
};

struct BlockInfo {
    const char* what;  // "mutex", "cond"…: for reports
    const char* name = "";
    uint64_t deadline_ns = kNever;
    kapi_wait_mode mode = KAPI_WAIT_UNINTERRUPTIBLE;
    const SimMutex* mutex = nullptr;  // waited for
    bool stuck_check = false;
};

class World {
public:
    explicit World(uint64_t seed, WorldOptions options = {});
    ~World();
    World(const World&) = delete;

    uint64_t seed() const { return seed_; }
    uint64_t now_ns() const { return now_ns_; }
    Host& host(const std::string& name);  // made at first use, up
    Host& main_host() { return host("main"); }
    Host* host_at(uint32_t address);
    const std::vector<std::unique_ptr<Host>>& hosts() const { return hosts_; }
    Network& network() { return *network_; }  // network.h: delays, cuts, partitions
    // Keeps a device until the world ends.
    void adopt(std::unique_ptr<Device> device) { devices_.push_back(std::move(device)); }

    // Runs the world until the predicate holds. False: the deadline (virtual, absolute) passed,
    // nothing can happen any more, or the world failed; report() says which tasks wait for what.
    // Within a fiber it polls every millisecond.
    bool run_until(const std::function<bool()>& predicate, uint64_t deadline_ns);
    void run_for(uint64_t ns);
    // Until nothing can run and no timer is left. False: failed, or deadline passed.
    bool run_until_idle(uint64_t deadline_ns = kNever);
    bool run_to_end(TaskHandle task, uint64_t deadline_ns);
    static bool finished(TaskHandle task);  // also when dropped by a crash
    // fn runs in the scheduler: it may crash, cut, spawn, signal, but not wait.
    void after(uint64_t ns, std::function<void()> fn);

    void signal(TaskHandle task, bool fatal);
    void clear_signal(TaskHandle task);

    bool failed() const { return !failure_.empty(); }
    const std::string& failure() const { return failure_; }
    std::string report() const;  // time, seed, every live task and what it waits for
    void print_stacks();         // of every blocked task, to stderr
    void fail(std::string why);
    uint64_t trace_hash() const { return hash_; }
    uint64_t steps() const { return steps_; }
    Rng& user_rng() { return user_rng_; }  // for scenarios

    // For kapi/sim, osd/sim.
    Task& current();  // fails in the scheduler's callbacks
    Task* current_or_null() { return current_; }
    Host* current_host();  // null in the main context
    void point();          // a scheduling point
    void yield();
    int block(TaskQueue& queue, const BlockInfo& info);  // 0 woken, -ETIMEDOUT, -ERESTARTSYS
    void wake(Task& task, int result = 0);
    void hold_tasks(Host& host, bool hold);
    void wake_all(TaskQueue& queue);
    bool wake_random(TaskQueue& queue);
    void sleep_until(uint64_t when_ns);
    Task* start_task(Host* host, std::string name, std::function<void()> body, bool joinable);
    void join_task(Task& task);
    // Drops every task of the host, then runs release; does not return when the caller is one of
    // them.
    void crash_tasks(Host& host, const std::function<void()>& release);
    std::string leftover_tasks(const Host& host) const;
    bool tracing() const { return static_cast<bool>(options_.trace); }
    void trace(const char* format, ...) __attribute__((format(printf, 2, 3)));
    void log_line(kapi_log_level level, const char* text);
    // Told each line that an administrator would read, for stories about the log.
    std::function<void(Host* where, const std::string& text)> on_log;
    void mix(uint64_t value)
    {
        hash_ = (hash_ ^ value) * 0x100000001b3ull;
        hash_ ^= hash_ >> 29;
    }
    const WorldOptions& options() const { return options_; }
    Rng& core_rng() { return core_rng_; }
    Rng& fault_rng() { return fault_rng_; }
    Rng& net_rng() { return net_rng_; }
    Rng& disk_rng() { return disk_rng_; }
    void tick() { now_ns_ += options_.clock_tick_ns; }

private:
    struct Timer {
        uint64_t when_ns;
        uint64_t tie;
        uint64_t seq;
        Task* task;  // null: a callback
        uint64_t wait_seq;
        std::function<void()>* callback;
        bool stuck;
    };
    static bool later(const Timer& a, const Timer& b);
    void add_timer(Timer timer);
    bool stale(const Timer& timer) const;
    Step step(uint64_t limit_ns);
    Step advance_time(uint64_t limit_ns);
    void fire(Timer& timer);
    void run_task(Task& task);
    void switch_to_scheduler(bool last = false);
    void pump_main();
    static void task_entry(void* arg);
    void finish_current();
    void drop(Task& task);
    void make_runnable(Task& task);
    void end_live(Task& task);
    void remember(std::string line);

    uint64_t seed_;
    WorldOptions options_;
    uint64_t now_ns_ = 1000000000;
    uint64_t steps_ = 0, steps_at_advance_ = 0;
    uint64_t hash_ = 0xcbf29ce484222325ull;
    uint64_t next_task_id_ = 1, next_timer_seq_ = 1;
    Rng sched_rng_, net_rng_, disk_rng_, core_rng_, fault_rng_, user_rng_;
    std::string failure_;
    std::vector<std::unique_ptr<Host>> hosts_;
    std::map<std::string, Host*> hosts_by_name_;
    std::vector<std::unique_ptr<Device>> devices_;
    std::unique_ptr<Network> network_;
    std::vector<std::unique_ptr<Task>> tasks_;
    std::vector<Task*> live_;  // not yet ended
    std::vector<Task*> runnable_;
    std::vector<Timer> timers_;  // a heap
    Task* current_;
    Context* scheduler_;  // where fibers switch back to
    std::vector<Task*> recycled_;
    Context* dump_from_ = nullptr;  // set while a blocked fiber is asked for its stack
    std::vector<std::string> recent_log_;
    size_t recent_next_ = 0;
    World* previous_;
};

// The world of the caller; the default one when there is no other.
World& world();

struct RunResult {
    bool ok;
    std::string failure;
    uint64_t trace_hash;
};
// A world with one host ("host1"), fn in a task to its end (within an hour of virtual time), then
// the leak check.
RunResult run(uint64_t seed, const std::function<void()>& fn, WorldOptions options = {});

}  // namespace lull::sim
