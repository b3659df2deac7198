/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tasks that work off a queue. Their number grows on demand up to tasks_max, because what they run
 * may block. Items are intrusive: pushing one never allocates. Lock: rank Service, not held while
 * an item runs.
 */
#pragma once
#include "kapi/containers.h"
#include "kapi/sync.h"

namespace lull {

template <class T, ListHook T::*Hook> class TaskPool {
public:
    using Run = void (*)(void* context, T& item);
    static constexpr size_t kQueueMax = 1u << 17;

    TaskPool(const char* name, unsigned tasks_max, Run run, void* context)
        : name_(name), tasks_max_(tasks_max ? tasks_max : 1), run_(run), context_(context)
    {}
    ~TaskPool() { stop(); }

    // The pool has the item until it gives it to run. -ENFILE: the queue is full; -ENOMEM: not even
    // one task could be started; -ESHUTDOWN.
    Status push(T& item)
    {
        bool grow;
        {
            auto state = state_.lock();
            if (state->stopping) return -kESHUTDOWN;
            if (state->queue.size() >= kQueueMax) return -kENFILE;
            state->queue.push_back(item);
            grow = state->queue.size() > state->idle && state->tasks < tasks_max_;
            if (grow) state->tasks++;
            work_.wake_one();
        }
        if (!grow) return kOk;
        Status s = add_worker();
        if (s.ok()) return kOk;
        auto state = state_.lock();
        state->tasks--;
        if (state->running > 0) return kOk;  // somebody will run it, or has
        state->queue.erase(state->queue.iterator_to(item));
        return s;
    }

    // Runs what is queued, ends the tasks. Nobody may push meanwhile.
    void stop()
    {
        {
            auto state = state_.lock();
            state->stopping = true;
            work_.wake_all();
        }
        for (;;) {
            Owned<Worker> worker;
            {
                auto state = state_.lock();
                if (state->workers.empty()) return;
                worker.reset(&state->workers.front());
                state->workers.pop_front();
            }
            worker->task.join();
        }
    }

    unsigned tasks() { return state_.lock()->tasks; }
    size_t queued() { return state_.lock()->queue.size(); }

private:
    struct Worker {
        TaskPool* pool = nullptr;
        Task task;
        ListHook hook;
        void work() { pool->work(); }
    };
    struct State {
        List<T, Hook> queue;
        List<Worker, &Worker::hook> workers;
        unsigned tasks = 0, running = 0, idle = 0;  // tasks: with those about to start
        bool stopping = false;
    };

    Status add_worker()
    {
        Owned<Worker> worker = make<Worker>();
        if (!worker) return -kENOMEM;
        worker->pool = this;
        TRY(worker->task.template start<&Worker::work>(worker.get(), name_));
        auto state = state_.lock();
        state->workers.push_back(*worker.release());
        return kOk;
    }

    void work()
    {
        auto state = state_.lock();
        state->running++;
        for (;;) {
            state->idle++;
            (void)state.wait_until(work_, [&] { return !state->queue.empty() || state->stopping; });
            state->idle--;
            if (state->queue.empty()) return;
            T& item = state->queue.front();
            state->queue.pop_front();
            state.unlock();
            run_(context_, item);
            state.relock();
        }
    }

    const char* const name_;
    const unsigned tasks_max_;
    const Run run_;
    void* const context_;
    Guarded<State> state_{LockRank::kService};
    CondVar work_;
};

}  // namespace lull
