// SPDX-License-Identifier: GPL-2.0-only
/*
 * A simulated disk with a file system on it, freshly made. It belongs to the world and may be
 * attached to both hosts of a failover pair; kbfs_mount(host.net(), path) uses it, on one live host
 * at a time (-EBUSY: multi-mount protection).
 *
 * Every call that changes something is a step. A crash of the owner keeps a prefix of the steps
 * since the last sync (set_cut()); of the data of kbfs_write() in that prefix each write may be
 * lost, shortened or torn (set_write_loss()): of a torn one any sectors are there, the first, the
 * last or some in the middle, and of blocks that are new to the file all or nothing. Of the steps
 * behind the prefix, which are lost, sectors may still have been overwritten in place: a drive
 * writes data in any order, only the journal keeps one.
 */
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kapi/backing_fs.h"
#include "kapi/sim/world.h"
#include "osd/sim/fs_state.h"

namespace lull::sim {

class Disk : public Device {
public:
    enum class Cut { kBySeed, kAll, kNone };  // which of the steps since the last sync survive

    Disk(World& world, std::string name, uint64_t bytes);
    ~Disk() override;

    void attach(Host& host, const std::string& path) { host.attach(path, this); }
    std::string name() const override { return name_; }

    // ---- faults. Counts are from now; 1 is the next step; 0 switches off. The owner crashes
    // directly after the n-th step; the cut is kAll for this crash, so that the prefix is exactly
    // this long.
    void crash_at_step(uint64_t n, CrashNet net = CrashNet::kBySeed);
    // The n-th step fails with this error; sticky: the file system is read-only from then on
    // (-EROFS). It changes nothing, but a write may have got so far as some blocks
    // (set_partial_writes()), as it may when there is no space.
    void fail_at_step(uint64_t n, int negative_errno = -5, bool sticky = false);
    void fail_next_sync(int negative_errno = -5) { sync_error_ = negative_errno; }
    void set_slow_ns(uint64_t per_step_ns, uint64_t per_sync_ns)
    {
        step_ns_ = per_step_ns, sync_ns_ = per_sync_ns;
    }
    void set_full(bool full) { full_ = full; }
    void leave_inodes(uint64_t n) { inodes_ = live_.inodes_used() + n; }  // free from now on
    bool has_inodes() const { return live_.inodes_used() < inodes_; }
    // Takes the disk away from its owner, as a reservation does, and another host may mount it:
    // what is not durable is lost as in a crash. The owner goes on in its caches and learns it from
    // its next sync (-EIO); then its journal is aborted (-EROFS).
    void fence();
    void set_cut(Cut cut) { cut_ = cut; }
    void set_write_loss(unsigned permille) { write_loss_permille_ = permille; }  // default 500
    void set_partial_writes(unsigned permille) { partial_write_permille_ = permille; }  // 500
    // of the writes that a crash damages; the others are shortened; default 500
    void set_torn_writes(unsigned permille) { torn_write_permille_ = permille; }
    // of the data writes behind the cut, so many overwrite what is there; default 300
    void set_late_writes(unsigned permille) { late_write_permille_ = permille; }

    uint64_t steps() const { return steps_; }
    uint64_t unsynced_steps() const { return log_.size(); }
    uint64_t syncs() const { return syncs_; }
    Host* owner() const { return owner_; }
    // Places in the history of steps, for those who want to know what became of a change: what was
    // done before now ends at end().
    uint64_t end() const { return log_start_ + log_.size(); }
    uint64_t durable_end() const { return log_start_; }
    // the step that ends there was not lost, nor damaged, and cannot be any more
    bool is_durable(uint64_t end) const;
    std::function<void()> on_step;  // told each, in the task that does it
    // A text of everything on it, live or durable, in a fixed order: to compare.
    std::string dump(bool durable = false);
    // in the root; live, everything that is not a directory
    uint64_t files_below(const std::string& dir);
    bool has(const std::string& dir, const std::string& name, bool durable);  // dir: in the root

    void host_crashed(Host& host) override;
    bool in_use_by(const Host& host) const override { return owner_ == &host; }

    // ---- for kbfs.cc
    int mount(Host& host, bool read_only, kbfs** out);
    void unmount(kbfs* fs);
    int sync(kbfs& fs);
    int before_step(const kbfs& fs, bool grows);  // faults; -EROFS, -ENOSPC…
    void step(kbfs& fs, Op op);                   // executes it; may not return (crash_at_step)
    // So many bytes of a write that fails are written before it does.
    size_t part_before_error(uint64_t offset, size_t bytes);
    void release_if_orphan(kbfs& fs, uint64_t ino);
    FsState& live() { return live_; }
    World& world() { return world_; }
    uint32_t new_generation()
    {
        return next_generation_ += 1 + static_cast<uint32_t>(world_.disk_rng().below(1000));
    }
    void statfs(struct kbfs_statfs* out);
    bool would_exceed(uint64_t more_bytes) const;

private:
    size_t survivors();
    void make_durable(size_t count);
    std::vector<Op> torn(const Op& op);
    bool damage(const Op& op, std::vector<Op>* left);
    void apply_damaged(size_t i);
    void overwrite_by_lost_steps(size_t from);
    void lose_the_rest();

    World& world_;
    std::string name_;
    uint64_t bytes_, inodes_ = 1 << 20;
    FsState live_, durable_;
    std::deque<Op> log_;      // live = durable + log
    uint64_t log_start_ = 0;  // number of the first of the log
    static constexpr size_t kLastSteps = 12;
    std::set<uint64_t> damaged_;  // ends of writes
    // (where the survivors ended, end) of each crash
    std::vector<std::pair<uint64_t, uint64_t>> lost_;
    uint64_t steps_ = 0, syncs_ = 0;
    uint64_t crash_in_ = 0, fail_in_ = 0;
    CrashNet crash_net_ = CrashNet::kBySeed;
    int fail_error_ = 0, sync_error_ = 0;
    bool fail_sticky_ = false, broken_ = false, full_ = false, exact_cut_ = false;
    uint64_t step_ns_ = 0, sync_ns_ = 500000;
    unsigned write_loss_permille_ = 500, late_write_permille_ = 300;
    unsigned torn_write_permille_ = 500, partial_write_permille_ = 500;
    Rng tear_rng_;  // what is torn, and where
    Cut cut_ = Cut::kBySeed;
    uint32_t next_generation_ = 1;
    Host* owner_ = nullptr;
    kbfs* mounted_ = nullptr;
    std::vector<kbfs*> abandoned_;  // mounts of crashed hosts
};

// Made and kept by the world.
Disk& make_disk(World& world, const std::string& name, uint64_t bytes = 1ull << 30);

}  // namespace lull::sim
