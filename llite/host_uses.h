/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counts the core's uses of its host's inodes, so that an umount can wait for them: after close() there is none and will be none. Without it a
 * lock callback or a warm-up would hold an inode that the VFS is about to free.
 *
 * Locking: none; begin() and end() touch a per-CPU counter. close() sleeps, once.
 */
#pragma once
#include "kapi/kapi.h"
#include "kapi/result.h"

namespace lull {

class HostUses {
public:
    HostUses() = default;
    HostUses(const HostUses&) = delete;
    ~HostUses()
    {
        close();
        if (ready_) kapi_drainref_destroy(&ref_);
    }
    Status init()
    {
        TRY(Status(kapi_drainref_init(&ref_)));
        ready_ = open_ = true;
        return kOk;
    }
    bool begin() { return ready_ && kapi_drainref_tryget(&ref_); }
    void end() { kapi_drainref_put(&ref_); }
    void close()
    {
        if (!open_) return;
        open_ = false;
        kapi_drainref_kill(&ref_);
        (void)kapi_drainref_wait(&ref_, UINT64_MAX);
    }

private:
    bool ready_ = false, open_ = false;
    kapi_drainref ref_;
};

}  // namespace lull
