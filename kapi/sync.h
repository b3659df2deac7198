/* SPDX-License-Identifier: GPL-2.0-only */
/* Mutex, CondVar, Guarded<T>, Task, DrainRef: C++ faces of kapi.h. Ranks: lock_rank.h. */
#pragma once
#include "kapi/kapi.h"
#include "kapi/lock_rank.h"
#include "kapi/memory.h"
#include "kapi/result.h"

namespace lull {

enum class WaitMode { kUninterruptible = 0, kKillable = 1, kInterruptible = 2 };
inline constexpr uint64_t kForever = UINT64_MAX;
inline constexpr uint64_t kMsec = 1000000ull;
inline constexpr uint64_t kSec = 1000 * kMsec;
inline uint64_t now_ns() { return kapi_now_ns(); }
inline uint64_t deadline_after_ms(uint64_t ms) { return kapi_now_ns() + ms * kMsec; }

class Mutex {
public:
    explicit Mutex(LockRank rank) { kapi_mutex_init(&m_, static_cast<unsigned>(rank)); }
    ~Mutex() { kapi_mutex_destroy(&m_); }
    Mutex(const Mutex&) = delete;
    void lock() { kapi_mutex_lock(&m_); }
    void unlock() { kapi_mutex_unlock(&m_); }
    void assert_held() { LULL_ASSERT(kapi_mutex_is_mine(&m_)); }
    kapi_mutex* raw() { return &m_; }

private:
    kapi_mutex m_;
};

class MutexLock {
public:
    explicit MutexLock(Mutex& m) : m_(m) { m_.lock(); }
    ~MutexLock()
    {
        if (held_) m_.unlock();
    }
    MutexLock(const MutexLock&) = delete;
    void unlock()
    {
        m_.unlock();
        held_ = false;
    }
    void relock()
    {
        m_.lock();
        held_ = true;
    }
    Mutex& mutex() { return m_; }

private:
    Mutex& m_;
    bool held_ = true;
};

class CondVar {
public:
    CondVar() { kapi_cond_init(&c_); }
    ~CondVar() { kapi_cond_destroy(&c_); }
    CondVar(const CondVar&) = delete;
    Status wait(Mutex& m, uint64_t deadline_ns = kForever,
                WaitMode mode = WaitMode::kUninterruptible)
    {
        return Status(kapi_cond_wait(&c_, m.raw(), deadline_ns, static_cast<kapi_wait_mode>(mode)));
    }
    Status wait(MutexLock& l, uint64_t deadline_ns = kForever,
                WaitMode mode = WaitMode::kUninterruptible)
    {
        return wait(l.mutex(), deadline_ns, mode);
    }
    // Waits until predicate() holds (checked with the mutex held).
    template <class P>
    Status wait_until(MutexLock& l, P predicate, uint64_t deadline_ns = kForever,
                      WaitMode mode = WaitMode::kUninterruptible)
    {
        while (!predicate())
            if (Status s = wait(l, deadline_ns, mode); !s.ok()) return predicate() ? kOk : s;
        return kOk;
    }
    void wake_one() { kapi_cond_wake_one(&c_); }
    void wake_all() { kapi_cond_wake_all(&c_); }

private:
    kapi_cond c_;
};

// Data that can be reached only with its lock held: auto x = guarded.lock(); x->field.
template <class T> class Guarded {
public:
    template <class... Args>
    explicit Guarded(LockRank rank, Args&&... args)
        : mutex_(rank), value_(std::forward<Args>(args)...)
    {}

    class Access {
    public:
        explicit Access(Guarded& g) : lock_(g.mutex_), value_(g.value_) {}
        T* operator->() { return &value_; }
        T& operator*() { return value_; }
        MutexLock& mutex_lock() { return lock_; }
        Status wait(CondVar& c, uint64_t deadline_ns = kForever,
                    WaitMode mode = WaitMode::kUninterruptible)
        {
            return c.wait(lock_, deadline_ns, mode);
        }
        template <class P>
        Status wait_until(CondVar& c, P p, uint64_t deadline_ns = kForever,
                          WaitMode mode = WaitMode::kUninterruptible)
        {
            return c.wait_until(lock_, p, deadline_ns, mode);
        }
        void unlock() { lock_.unlock(); }
        void relock() { lock_.relock(); }

    private:
        MutexLock lock_;
        T& value_;
    };
    Access lock() { return Access(*this); }
    // Only for constructors, destructors and single-task phases.
    T& unsafe() { return value_; }

private:
    Mutex mutex_;
    T value_;
};

// A task running a member function; joined at the latest by the destructor. Stop it by a flag of
// its owner first.
class Task {
public:
    Task() = default;
    ~Task() { join(); }
    Task(const Task&) = delete;
    Status start(void (*fn)(void*), void* arg, const char* name)
    {
        LULL_ASSERT(!t_);
        return Status(kapi_task_start(&t_, fn, arg, name));
    }
    template <auto Method, class T> Status start(T* object, const char* name)
    {
        return start([](void* p) { (static_cast<T*>(p)->*Method)(); }, object, name);
    }
    bool started() const { return t_ != nullptr; }
    void join()
    {
        if (kapi_task* t = std::exchange(t_, nullptr)) kapi_task_join(t);
    }

private:
    kapi_task* t_ = nullptr;
};

}  // namespace lull
