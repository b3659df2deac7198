/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A drain reference of kapi.h that may fail to be made, be closed at its end, and be opened again.
 * Entering touches a per-CPU counter; no locks.
 */
#pragma once
#include "kapi/sync.h"

namespace lull {

// A counter of users that can be closed and waited for.
class UseCount {
public:
    UseCount() = default;
    UseCount(const UseCount&) = delete;
    Status init()
    {
        Status s(kapi_drainref_init(&ref_));
        open_ = live_ = s.ok();
        return s;
    }
    ~UseCount()
    {
        if (!live_) return;
        if (open_) (void)close(kForever);
        kapi_drainref_destroy(&ref_);
    }
    bool enter() { return live_ && kapi_drainref_tryget(&ref_); }
    void leave() { kapi_drainref_put(&ref_); }
    // Closed also when it returns -ETIMEDOUT. One caller at a time.
    Status close(uint64_t deadline_ns)
    {
        if (!live_) return kOk;
        if (open_) kapi_drainref_kill(&ref_);
        open_ = false;
        return Status(kapi_drainref_wait(&ref_, deadline_ns));
    }
    void reopen()
    {
        if (!open_) kapi_drainref_revive(&ref_);
        open_ = true;
    }
    bool is_open() const { return open_; }

private:
    kapi_drainref ref_;
    bool open_ = false, live_ = false;
};

}  // namespace lull
