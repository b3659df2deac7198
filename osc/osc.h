/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A client's face to one OST: an import, extent locks, grants, written data kept until it is
 * committed. Knows objects by FID, nothing of files; tells its owner which ranges of an object to
 * write back or drop.
 *
 * Written data: each OstWrite keeps its copy in the import's replay list until last_committed
 * reaches it (invariant 1). When more than replay_limit_bytes are kept, the writer asks the OST to
 * commit (OstSync) and waits.
 */
#pragma once
#include "include/lull/ops_ost.h"
#include "ldlm/active_lock.h"
#include "ldlm/client.h"

namespace lull {

class OscOwner {
public:
    // The lock over [start, end] of the object goes: write back (unless discard), then drop those
    // pages and the cached size.
    virtual void on_extent_lock_lost(uint32_t ost_index, const ResourceId& object, uint64_t start,
                                     uint64_t end, bool discard) = 0;
    virtual void on_ost_evicted(uint32_t ost_index) = 0;
    // it is about to be shut down: write back what is dirty (B2)
    virtual void on_ost_warm(uint32_t ost_index) = 0;

protected:
    ~OscOwner() = default;
};

class Osc {
public:
    static Result<Owned<Osc>> create(Node& node, ImportOptions options, uint32_t ost_index,
                                     OscOwner& owner, Str instance_name);
    virtual ~Osc() = default;
    virtual uint32_t index() const = 0;
    virtual Import& import() = 0;
    virtual LdlmClient& locks() = 0;
    virtual ActiveLock& active_lock() = 0;
    virtual Status connect(uint64_t deadline_ns, WaitMode mode) = 0;

    // Grants, in bytes. reserve: false when there is none (write through). A write hands back what
    // it used.
    virtual bool reserve_grant(uint64_t bytes) = 0;
    virtual void return_grant(uint64_t bytes) = 0;
    // less while the OST is about to be shut down (B2)
    virtual bool has_grant(uint64_t bytes) = 0;
    virtual uint64_t reserved_grant() = 0;  // by what is dirty or on its way
    // blocks_512: what the object occupies after it (may be null). Never waits at a gate; waits out
    // recoveries, not interruptible. holder: told before it waits for more than an answer; null:
    // nothing else is held.
    virtual Status write(const Fid& file, const Fid& object, uint64_t offset, const void* data,
                         size_t bytes, uint64_t grant_used, uint64_t mtime_ns,
                         uint64_t* blocks_512 = nullptr, Holder* holder = nullptr) = 0;
    // Short at the end of the object. Inside an admitted operation: -kEGiveWay, by what gates that
    // holds.
    virtual Result<uint32_t> read(const Fid& object, GatesHeld gates, uint64_t offset, void* into,
                                  size_t bytes) = 0;
    // Requests for an admitted operation, to be sent through import(); null: no memory. Not
    // killable: the extent lock must not go while the change is still under way.
    virtual Ref<Request> new_punch(const Fid& file, const Fid& object, uint64_t size,
                                   uint64_t time_ns) = 0;
    virtual Ref<Request> new_setattr(const Fid& file, const Fid& object, const Attr& attr) = 0;
    // inside an admitted operation: -kEPark, -kEGiveWay
    virtual Status getattr(const Fid& object, GatesHeld gates, Attr* attr) = 0;
    // wait: for an OST that is away; else -kEPark, -kEGiveWay
    virtual Status statfs(bool wait, StatfsReply* out) = 0;
    virtual Status sync() = 0;
    virtual void close() = 0;
};

}  // namespace lull
