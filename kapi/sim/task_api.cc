// SPDX-License-Identifier: GPL-2.0-only
// kapi tasks, time and chance.
#include "kapi/errno.h"
#include "kapi/sim/task.h"

using namespace lull::sim;

extern "C" {

int kapi_task_start(kapi_task** out, void (*fn)(void*), void* arg, const char* name)
{
    World& w = world();
    Host* host = w.current_host();
    if ((host ? *host : w.main_host()).allocation_fails()) return -kENOMEM;
    *out = reinterpret_cast<kapi_task*>(w.start_task(
        host, name, [fn, arg] { fn(arg); }, true));
    w.point();
    return 0;
}

void kapi_task_join(kapi_task* t) { world().join_task(*reinterpret_cast<Task*>(t)); }
void kapi_yield(void) { world().yield(); }

void kapi_sleep_ns(uint64_t ns)
{
    World& w = world();
    w.sleep_until(w.now_ns() + ns);
}

uint64_t kapi_task_self(void) { return world().current().id + 1; }

uint64_t kapi_now_ns(void)
{
    World& w = world();
    w.tick();
    return w.now_ns();
}

uint64_t kapi_realtime_ns(void)
{
    constexpr uint64_t kStartOfWorldNs = 1700000000ull * 1000000000;
    World& w = world();
    Host* host = w.current_host();
    return kStartOfWorldNs + w.now_ns() +
           static_cast<uint64_t>(host ? host->realtime_offset_ns() : 0);
}

uint64_t kapi_random_u64(void) { return world().core_rng().next(); }

}  // extern "C"
