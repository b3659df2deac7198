/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A client's face to the MDT: an import, its locks, the active lock, a sequence of FIDs, and one
 * call per operation. Knows nothing of inodes; tells its owner which objects' cached state goes.
 */
#pragma once
#include "ldlm/active_lock.h"
#include "ldlm/client.h"

namespace lull {

class MdcOwner {
public:
    // The lock over this object's attributes (and entries, if a directory) goes: forget what is
    // cached.
    virtual void on_inode_lock_lost(const ResourceId& resource, uint32_t bits) = 0;
    virtual void on_mdt_evicted() = 0;  // everything: locks, open handles (their use fails -EIO)

    // A new instance of the MDT, after a crash or a clean halt: it is to be told of the file locks
    // that are held.
    virtual Status on_mdt_replay_flocks() { return kOk; }

protected:
    ~MdcOwner() = default;
};

class Mdc {
public:
    static Result<Owned<Mdc>> create(Node& node, ImportOptions options, MdcOwner& owner,
                                     Str instance_name);
    virtual ~Mdc() = default;
    virtual Import& import() = 0;
    virtual LdlmClient& locks() = 0;
    virtual ActiveLock& active_lock() = 0;
    virtual Status connect(uint64_t deadline_ns, WaitMode mode) = 0;
    virtual Result<Fid> next_fid() = 0;  // version 2; version 1: the zero FID
    // Taken before an eviction, which may have come between next_fid() and its use.
    virtual bool has_lapsed(const Fid& fid) = 0;
    virtual void close() = 0;
};

}  // namespace lull
