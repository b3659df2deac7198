// SPDX-License-Identifier: GPL-2.0-only
/* A periodic task of a target: evicts silent clients and those whose reservation has run out. */
#pragma once
#include "kapi/sync.h"

namespace lull {

class EvictorEnv {
public:
    virtual void evict_silent() = 0;
    virtual void evict_expired() = 0;

protected:
    ~EvictorEnv() = default;
};

class Evictor {
public:
    explicit Evictor(EvictorEnv& env) : env_(env), stop_(LockRank::kTarget, false) {}
    ~Evictor() { stop(); }
    Status start(uint64_t period_ms);
    void stop();

private:
    void run();
    EvictorEnv& env_;
    uint64_t period_ms_ = 1000;
    Guarded<bool> stop_;
    CondVar changed_;
    Task task_;
};

}  // namespace lull
