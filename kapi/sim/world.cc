// SPDX-License-Identifier: GPL-2.0-only
#include "kapi/sim/world.h"

#include <algorithm>
#include <cstdarg>
#include <cstdlib>

#include "kapi/errno.h"
#include "kapi/sim/memory.h"
#include "kapi/sim/network.h"
#include "kapi/sim/task.h"

extern "C" {
void __lsan_disable() __attribute__((weak));
void __lsan_enable() __attribute__((weak));
void __sanitizer_print_stack_trace() __attribute__((weak));
}

namespace lull::sim {
namespace {

World* current_world;
constexpr size_t kRecentLines = 100;
constexpr size_t kDumpedStacks = 40;

Task& main_task()
{
    static Task* task = [] {
        auto* t = new Task;
        t->name = "main";
        t->state = Task::State::kRunning;
        return t;
    }();
    return *task;
}

// What a dropped task captured may point into memory that is gone: never destroyed, but still
// reachable.
void bury(std::function<void()>&& body)
{
    static auto* graveyard = new std::vector<std::function<void()>>;
    if (body) graveyard->push_back(std::move(body));
}

unsigned preempt_by_seed(uint64_t seed)
{
    static constexpr unsigned kChoices[] = {5, 30, 100, 300};
    return kChoices[Rng(seed).fork(77).below(4)];
}

// LULL_SIM_TRACE=- or a file name.
FILE* trace_file()
{
    static FILE* file = [] {
        const char* name = std::getenv("LULL_SIM_TRACE");
        if (!name || !*name) return static_cast<FILE*>(nullptr);
        return name == std::string("-") ? stderr : std::fopen(name, "a");
    }();
    return file;
}

const char* host_name(const Task* t) { return t && t->host ? t->host->name().c_str() : "-"; }
const char* task_name(const Task* t) { return t ? t->name.c_str() : "world"; }

}  // namespace

World& world()
{
    if (!current_world) {
        WorldOptions options;
        options.preempt_permille = 0;
        options.spurious_wake_permille = 0;
        options.clock_tick_ns = 1000;
        new World(1, options);  // for the whole process
    }
    return *current_world;
}

World::World(uint64_t seed, WorldOptions options)
    : seed_(seed), options_(std::move(options)), sched_rng_(Rng(seed).fork(1)),
      net_rng_(Rng(seed).fork(2)), disk_rng_(Rng(seed).fork(3)), core_rng_(Rng(seed).fork(4)),
      fault_rng_(Rng(seed).fork(5)), user_rng_(Rng(seed).fork(6)),
      network_(std::make_unique<Network>(*this)), current_(&main_task()), scheduler_(new Context),
      previous_(current_world)
{
    if (options_.preempt_permille == WorldOptions::kBySeed)
        options_.preempt_permille = preempt_by_seed(seed);
    if (!options_.trace)
        if (FILE* file = trace_file())
            options_.trace = [file](const char* line) { std::fprintf(file, "%s\n", line); };
    if (previous_ && previous_->current_ != &main_task()) {
        std::fprintf(stderr, "kapi/sim: a World made inside a fiber\n");
        std::abort();
    }
    current_world = this;
}

World::~World()
{
    current_ = nullptr;
    while (!live_.empty()) drop(*live_.back());
    for (Timer& t : timers_) delete t.callback;
    devices_.clear();
    network_.reset();
    hosts_.clear();
    delete scheduler_;
    current_world = previous_;
}

Host& World::host(const std::string& name)
{
    Host*& slot = hosts_by_name_[name];
    if (!slot) {
        hosts_.push_back(std::make_unique<Host>(*this, name, static_cast<unsigned>(hosts_.size())));
        slot = hosts_.back().get();
    }
    return *slot;
}

Host* World::host_at(uint32_t address)
{
    uint32_t index = address - Host::kFirstAddress;
    return index < hosts_.size() ? hosts_[index].get() : nullptr;
}

// ---- the schedule

Task& World::current()
{
    if (!current_) {
        fail("a call that may wait, made in a callback of the scheduler");
        std::abort();
    }
    return *current_;
}

Host* World::current_host() { return current_ ? current_->host : nullptr; }

void World::make_runnable(Task& task)
{
    task.state = Task::State::kRunnable;
    if (task.host && task.host->paused_) task.host->held_.push_back(&task);
    else runnable_.push_back(&task);
}

void World::hold_tasks(Host& host, bool hold)
{
    std::vector<Task*> could_run;
    if (hold)
        for (Task* t : runnable_)
            if (t->host == &host) could_run.push_back(t);
    if (hold) std::erase_if(runnable_, [&host](Task* t) { return t->host == &host; });
    if (!hold) could_run.swap(host.held_);
    host.paused_ = hold;
    for (Task* t : could_run) make_runnable(*t);
}

void World::point()
{
    current();
    if (runnable_.empty() || !sched_rng_.chance(options_.preempt_permille)) return;
    make_runnable(*current_);
    switch_to_scheduler();
}

void World::yield()
{
    Task& t = current();
    // Alone it would spin without end: time has to pass.
    if (runnable_.empty()) return sleep_until(now_ns_ + 1000);
    make_runnable(t);
    switch_to_scheduler();
}

void World::switch_to_scheduler(bool last)
{
    Task& t = *current_;
    if (&t == &main_task()) return pump_main();
    context_switch(t.context, *scheduler_, last);
    while (dump_from_) {
        std::fprintf(stderr, "---- stack of %s/%s\n", host_name(&t), task_name(&t));
        if (__sanitizer_print_stack_trace) __sanitizer_print_stack_trace();
        context_switch(t.context, *dump_from_);
    }
}

// The main context waits: the world goes on until it is its turn again.
void World::pump_main()
{
    Task& t = main_task();
    while (true) {
        Step s = step(kNever);
        if (s == Step::kMain) break;
        if (s == Step::kRan) continue;
        current_ = &t;
        if (!failed()) fail("deadlock: the main context waits and nothing can happen any more");
        std::fprintf(stderr, "%s\nkapi/sim: the main context cannot go on\n", report().c_str());
        std::abort();
    }
    current_ = &t;
    t.state = Task::State::kRunning;
}

Step World::step(uint64_t limit_ns)
{
    Task* caller = std::exchange(current_, nullptr);
    Step result = Step::kRan;
    if (failed()) result = Step::kIdle;
    else if (runnable_.empty()) result = advance_time(limit_ns);
    if (result == Step::kRan && !runnable_.empty() && !failed()) {
        size_t i = sched_rng_.below(runnable_.size());
        Task* t = runnable_[i];
        runnable_[i] = runnable_.back();
        runnable_.pop_back();
        if (++steps_ - steps_at_advance_ > options_.livelock_steps)
            fail("livelock: time does not pass any more");
        if (t == &main_task()) result = Step::kMain;
        else run_task(*t);
    }
    current_ = caller;
    return result;
}

void World::run_task(Task& task)
{
    current_ = &task;
    task.state = Task::State::kRunning;
    mix(task.id);
    mix(now_ns_);
    if (tracing()) trace("runs");
    if (__lsan_disable) __lsan_disable();  // a crash may drop what the fiber's frames own
    context_switch(*scheduler_, task.context);
    if (__lsan_enable) __lsan_enable();
    current_ = nullptr;
    if (!task.over()) return;
    stack_give_back(task.stack, task.state == Task::State::kDropped);
    task.stack = {};
}

void World::task_entry(void* arg)
{
    Task& t = *static_cast<Task*>(arg);
    t.body();
    t.host->world().finish_current();
}

void World::finish_current()
{
    Task& t = *current_;
    if (!t.held.empty())
        fail("task '" + t.name + "' ended holding mutex '" + mutex_name(t.held.back()) + "'");
    t.body = nullptr;
    if (tracing()) trace("ends");
    t.state = Task::State::kDone;
    end_live(t);
    wake_all(t.joiners);
    switch_to_scheduler(true);
    std::abort();
}

void World::end_live(Task& task)
{
    Task* last = live_.back();
    live_[task.live_index] = last;
    last->live_index = task.live_index;
    live_.pop_back();
}

void World::drop(Task& task)
{
    queue_remove(task);
    if (task.state == Task::State::kRunnable) {
        std::erase(runnable_, &task);
        if (task.host) std::erase(task.host->held_, &task);
    }
    task.state = Task::State::kDropped;
    task.held.clear();
    bury(std::move(task.body));
    end_live(task);
    wake_all(task.joiners);
    if (&task == current_) return;  // still on its stack
    stack_give_back(task.stack, true);
    task.stack = {};
}

Task* World::start_task(Host* host, std::string name, std::function<void()> body, bool joinable)
{
    Host& h = host ? *host : main_host();
    if (!h.up()) fail("task '" + name + "' started on " + h.name() + ", which is down");
    Task* t;
    if (recycled_.empty()) {
        tasks_.push_back(std::make_unique<Task>());
        t = tasks_.back().get();
    } else {
        t = recycled_.back();
        recycled_.pop_back();
    }
    t->host = &h;
    t->name = std::move(name);
    t->id = next_task_id_++;
    t->body = std::move(body);
    t->joinable = joinable;
    t->user = !joinable;
    t->signal = t->fatal_signal = t->in_iterate = false;
    t->stack = stack_take();
    context_make(t->context, t->stack, task_entry, t);
    t->live_index = live_.size();
    live_.push_back(t);
    make_runnable(*t);
    if (tracing()) trace("starts %s/%s", host_name(t), task_name(t));
    return t;
}

void World::join_task(Task& task)
{
    if (&task == current_) fail("task '" + task.name + "' joins itself");
    point();
    while (!task.over()) block(task.joiners, {.what = "end of task", .name = task.name.c_str()});
    task.joinable = false;
    // A dropped one may be known to others; only what ended in order is used again.
    if (task.state == Task::State::kDone) {
        task.id = 0;
        recycled_.push_back(&task);
    }
}

int World::block(TaskQueue& queue, const BlockInfo& info)
{
    Task& t = current();
    t.wait = info;
    t.wait_seq++;
    t.wait_since_ns = now_ns_;
    t.state = Task::State::kBlocked;
    queue_push(queue, t);
    if (info.deadline_ns != kNever)
        add_timer({info.deadline_ns, 0, 0, &t, t.wait_seq, nullptr, false});
    if (info.stuck_check)
        add_timer({now_ns_ + options_.stuck_ns, 0, 0, &t, t.wait_seq, nullptr, true});
    if (tracing()) trace("waits: %s %s", info.what, info.name);
    switch_to_scheduler();
    return t.wait_result;
}

void World::wake(Task& task, int result)
{
    queue_remove(task);
    task.wait_result = result;
    if (tracing())
        trace("wakes %s/%s: %s %d", host_name(&task), task_name(&task), task.wait.what, result);
    make_runnable(task);
}

void World::wake_all(TaskQueue& queue)
{
    while (queue.head) wake(*queue.head);
}

bool World::wake_random(TaskQueue& queue)
{
    if (!queue.head) return false;
    size_t n = 0;
    for (Task* t = queue.head; t; t = t->next) n++;
    Task* t = queue.head;
    for (size_t skip = n > 1 ? sched_rng_.below(n) : 0; skip; skip--) t = t->next;
    wake(*t);
    return true;
}

void World::sleep_until(uint64_t when_ns)
{
    TaskQueue nobody_wakes{};
    block(nobody_wakes, {.what = "sleep", .deadline_ns = when_ns});
}

// ---- time

bool World::later(const Timer& a, const Timer& b)
{
    if (a.when_ns != b.when_ns) return a.when_ns > b.when_ns;
    if (a.tie != b.tie) return a.tie > b.tie;
    return a.seq > b.seq;
}

bool World::stale(const Timer& timer) const
{
    return timer.task &&
           (timer.task->state != Task::State::kBlocked || timer.task->wait_seq != timer.wait_seq);
}

void World::add_timer(Timer timer)
{
    if (timers_.size() > 1024 && timers_.size() > 8 * live_.size()) {
        size_t before = timers_.size();
        std::erase_if(timers_, [this](const Timer& t) { return stale(t); });
        if (timers_.size() != before) std::make_heap(timers_.begin(), timers_.end(), later);
    }
    timer.tie = sched_rng_.next() & 0xff;
    timer.seq = next_timer_seq_++;
    timers_.push_back(timer);
    std::push_heap(timers_.begin(), timers_.end(), later);
}

void World::after(uint64_t ns, std::function<void()> fn)
{
    add_timer({now_ns_ + ns, 0, 0, nullptr, 0, new std::function<void()>(std::move(fn)), false});
}

void World::fire(Timer& timer)
{
    if (timer.callback) {
        std::unique_ptr<std::function<void()>> callback(timer.callback);
        mix(timer.seq);
        (*callback)();
    } else if (timer.stuck) {
        fail("stuck: " + timer.task->name + " waits for a mutex without end");
    } else {
        wake(*timer.task, -kETIMEDOUT);
    }
}

Step World::advance_time(uint64_t limit_ns)
{
    bool fired = false;
    while (!timers_.empty() && !failed()) {
        if (stale(timers_.front())) {
            std::pop_heap(timers_.begin(), timers_.end(), later);
            timers_.pop_back();
            continue;
        }
        uint64_t when = timers_.front().when_ns;
        if (fired && when > now_ns_) return Step::kRan;
        if (when > now_ns_ && when > limit_ns) {
            now_ns_ = std::max(now_ns_, limit_ns);
            return Step::kLimit;
        }
        if (when > now_ns_) {
            now_ns_ = when;
            steps_at_advance_ = steps_;
        }
        std::pop_heap(timers_.begin(), timers_.end(), later);
        Timer timer = timers_.back();
        timers_.pop_back();
        fired = true;
        fire(timer);
    }
    return fired ? Step::kRan : Step::kIdle;
}

// ---- running it

bool World::run_until(const std::function<bool()>& predicate, uint64_t deadline_ns)
{
    if (&current() != &main_task()) {
        while (!predicate()) {
            if (now_ns_ >= deadline_ns) return false;
            sleep_until(std::min(deadline_ns, now_ns_ + 1000000));
        }
        return true;
    }
    while (!failed()) {
        if (predicate()) return true;
        if (step(deadline_ns) != Step::kRan) return !failed() && predicate();
    }
    return false;
}

void World::run_for(uint64_t ns)
{
    uint64_t end_ns = now_ns_ + ns;
    if (&current() != &main_task()) return sleep_until(end_ns);
    while (!failed() && step(end_ns) == Step::kRan) {}
    if (!failed()) now_ns_ = std::max(now_ns_, end_ns);
}

bool World::run_until_idle(uint64_t deadline_ns)
{
    Step s = Step::kRan;
    while (!failed() && s == Step::kRan) s = step(deadline_ns);
    return !failed() && s == Step::kIdle;
}

bool World::finished(TaskHandle task) { return task->over(); }

bool World::run_to_end(TaskHandle task, uint64_t deadline_ns)
{
    return run_until([task] { return task->over(); }, deadline_ns);
}

void World::signal(TaskHandle task, bool fatal)
{
    task->signal = true;
    task->fatal_signal |= fatal;
    if (task->state != Task::State::kBlocked) return;
    bool hears = task->wait.mode == KAPI_WAIT_INTERRUPTIBLE ||
                 (fatal && task->wait.mode == KAPI_WAIT_KILLABLE);
    if (hears) wake(*task, -kERESTARTSYS);
}

void World::clear_signal(TaskHandle task) { task->signal = task->fatal_signal = false; }

void World::crash_tasks(Host& host, const std::function<void()>& release)
{
    bool self = false;
    for (size_t i = 0; i < live_.size();) {
        Task& t = *live_[i];
        if (t.host != &host) {
            i++;
            continue;
        }
        self |= &t == current_;
        drop(t);
    }
    for (auto& t : tasks_)
        if (t->host == &host) t->joinable = false;
    release();
    if (!self) return;
    switch_to_scheduler(true);
    std::abort();
}

// ---- reports

std::string World::leftover_tasks(const Host& host) const
{
    std::string out;
    for (const Task* t : live_)
        if (t->host == &host && t != current_) out += "  task '" + t->name + "' still lives\n";
    for (const auto& t : tasks_)
        if (t->host == &host && t->joinable && t->state == Task::State::kDone && t->id)
            out += "  task '" + t->name + "' ended and was not joined\n";
    return out;
}

static std::string time_text(uint64_t ns)
{
    char text[48];
    std::snprintf(text, sizeof text, "%llu.%09llu",
                  static_cast<unsigned long long>(ns / 1000000000),
                  static_cast<unsigned long long>(ns % 1000000000));
    return text;
}

static std::string describe(const Task& t)
{
    std::string line = std::string("  ") + host_name(&t) + "/" + t.name + ": ";
    switch (t.state) {
    case Task::State::kBlocked:
        line += std::string("waits for ") + t.wait.what + " " + t.wait.name;
        if (const Task* o = t.wait.mutex ? mutex_owner(t.wait.mutex) : nullptr)
            line += std::string(" held by ") + host_name(o) + "/" + o->name;
        line += " since " + time_text(t.wait_since_ns);
        if (t.wait.deadline_ns != kNever) line += " until " + time_text(t.wait.deadline_ns);
        break;
    case Task::State::kRunnable: line += "could run"; break;
    case Task::State::kRunning: line += "running"; break;
    default: line += "halted"; break;
    }
    for (const SimMutex* m : t.held) line += "; holds '" + mutex_name(m) + "'";
    return line + "\n";
}

std::string World::report() const
{
    std::string out = "seed " + std::to_string(seed_) + ", virtual time " + time_text(now_ns_) +
                      ", " + std::to_string(steps_) + " steps\n";
    if (failed()) out += "failure: " + failure_ + "\n";
    for (const auto& t : tasks_)
        if (t->stack.base && !t->over()) out += describe(*t);
    if (main_task().state == Task::State::kBlocked) out += describe(main_task());
    for (size_t i = 0; i < recent_log_.size(); i++)
        out += recent_log_[(recent_next_ + i) % recent_log_.size()] + "\n";
    return out;
}

void World::print_stacks()
{
    Task* self = current_;
    Context* here = !self || self == &main_task() ? scheduler_ : &self->context;
    dump_from_ = here;
    size_t n = 0;
    for (Task* t : live_)
        if (t != self && t->state == Task::State::kBlocked && n++ < kDumpedStacks) {
            current_ = t;
            context_switch(*here, t->context);
        }
    current_ = self;
    dump_from_ = nullptr;
}

void World::fail(std::string why)
{
    if (failed() && !options_.abort_on_failure) return;
    failure_ = why + " (in " + host_name(current_) + "/" + task_name(current_) + ", at " +
               time_text(now_ns_) + ")";
    if (tracing()) trace("FAILURE: %s", why.c_str());
    if (options_.abort_on_failure) {
        std::fprintf(stderr, "kapi/sim: FAILED\n%s", report().c_str());
        std::fprintf(stderr, "---- stack of %s/%s, which failed\n", host_name(current_),
                     task_name(current_));
        if (__sanitizer_print_stack_trace) __sanitizer_print_stack_trace();
        if (std::getenv("LULL_SIM_STACKS")) print_stacks();
        std::abort();
    }
    if (!current_ || current_ == &main_task()) return;
    current_->state = Task::State::kHalted;
    switch_to_scheduler();
}

void World::trace(const char* format, ...)
{
    char text[1200];
    int n = std::snprintf(text, sizeof text, "%s %s/%s ", time_text(now_ns_).c_str(),
                          host_name(current_), task_name(current_));
    va_list args;
    va_start(args, format);
    std::vsnprintf(text + n, sizeof text - static_cast<size_t>(n), format, args);
    va_end(args);
    options_.trace(text);
}

void World::remember(std::string line)
{
    if (recent_log_.size() < kRecentLines) {
        recent_log_.push_back(std::move(line));
        return;
    }
    recent_log_[recent_next_] = std::move(line);
    recent_next_ = (recent_next_ + 1) % kRecentLines;
}

void World::log_line(kapi_log_level level, const char* text)
{
    static const bool to_stderr = std::getenv("LULL_SIM_LOG") != nullptr;
    if (on_log && level != KAPI_DEBUG) on_log(current_host(), text);
    if (level == KAPI_DEBUG && !options_.debug_log && !tracing()) return;
    std::string line = time_text(now_ns_) + " " + host_name(current_) + "/" + task_name(current_) +
                       " <" + std::to_string(level) + "> Lull: " + text;
    if (tracing()) options_.trace(line.c_str());
    if (to_stderr) std::fprintf(stderr, "%s\n", line.c_str());
    remember(std::move(line));
}

// ----

RunResult run(uint64_t seed, const std::function<void()>& fn, WorldOptions options)
{
    World w(seed, std::move(options));
    Host& h = w.host("host1");
    uint64_t deadline_ns = w.now_ns() + 3600ull * 1000000000;
    TaskHandle task = h.spawn("run", fn);
    if (!w.run_to_end(task, deadline_ns) && !w.failed())
        w.fail("the task cannot end\n" + w.report());
    if (!w.failed()) h.shutdown_clean();
    return {!w.failed(), w.failed() ? w.report() : "", w.trace_hash()};
}

}  // namespace lull::sim
