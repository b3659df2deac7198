// SPDX-License-Identifier: GPL-2.0-only
// One task of the simulated world: a fiber, or the main context.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "kapi/sim/fiber.h"
#include "kapi/sim/world.h"

namespace lull::sim {

class Task {
public:
    enum class State { kRunnable, kRunning, kBlocked, kDone, kDropped, kHalted };

    bool over() const { return state == State::kDone || state == State::kDropped; }

    Host* host = nullptr;  // null: the main context
    std::string name;
    uint64_t id = 0;
    State state = State::kRunnable;
    Context context;
    Stack stack;
    std::function<void()> body;
    bool joinable = false;  // started by kapi_task_start and not yet joined
    bool user = false;
    bool signal = false, fatal_signal = false;
    bool in_iterate = false;  // inside the callback of kbfs_iterate()
    std::vector<SimMutex*> held;
    TaskQueue joiners{};
    size_t live_index = 0;

    // While blocked.
    TaskQueue* queue = nullptr;
    Task* prev = nullptr;
    Task* next = nullptr;
    uint64_t wait_seq = 0;
    uint64_t wait_since_ns = 0;
    int wait_result = 0;
    BlockInfo wait{};
};

inline void queue_push(TaskQueue& q, Task& t)
{
    t.queue = &q;
    t.prev = q.tail;
    t.next = nullptr;
    (q.tail ? q.tail->next : q.head) = &t;
    q.tail = &t;
}
inline void queue_remove(Task& t)
{
    if (!t.queue) return;
    (t.prev ? t.prev->next : t.queue->head) = t.next;
    (t.next ? t.next->prev : t.queue->tail) = t.prev;
    t.queue = nullptr;
    t.prev = t.next = nullptr;
}

std::string mutex_name(const SimMutex* m);
const Task* mutex_owner(const SimMutex* m);

}  // namespace lull::sim
