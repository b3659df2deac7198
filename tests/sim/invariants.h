// SPDX-License-Identifier: GPL-2.0-only
/*
 * The nine invariants of requirements.md, and where each is checked:
 *
 *   1  nothing acknowledged is lost        Worker::verify, Worker::look_again, SharedFiles::verify
 *                                          (model.h); what is said to be committed is on the disk:
 *                                          Invariants::on_committed, on_executed
 *   2  halted is clean                     Invariants::halted_is_clean
 *   3  nothing behind the closed gate      Invariants::on_gated, from the server's own hook
 *                                          (target/observer.h)
 *   4  no system call fails                Worker::expect, Sureness::expect;
 *                                          Invariants::nothing_was_recovered; an interrupted one:
 *                                          restarted() (model_check.h)
 *   5  exactly once                        Invariants::on_transaction, on_executed (also over
 *                                          crashes, by what became of the steps on the disk),
 *                                          SharedFiles::race, Worker::rename …
 *   6  live clients are not evicted        Invariants::nobody_was_evicted; dead ones are:
 *                                          Invariants::dead_client_is_gone
 *   7  no unclean start of another version Scenario::start_crashed
 *   8  a crash in a shutdown is a crash    Scenario::shutdown with Twist::kCrash, kDiskCrash, then
 *                                          everything above
 *   9  cached data is coherent             SharedFiles::take_turn, verify
 *
 * At the end: Invariants::nothing_is_left (locks, exports, requests, objects without a file),
 * FsWorld::finish (memory, tasks, sockets, mounts).
 */
#pragma once
#include <map>
#include <set>
#include <string>

#include "target/observer.h"
#include "tests/sim/fs_world.h"

namespace lull::sim {

class Invariants final : lull::TargetObserver {
public:
    using Target = FsWorld::Target;
    using Node = FsWorld::Node;
    explicit Invariants(FsWorld& world);
    ~Invariants();

    // 2. away: clients may be away, they settle it when they return.
    void halted_is_clean(Target& target, bool away);
    // 4, for stories of upgrades only: not one replay, not one resend.
    void begin_counting();
    void nothing_was_recovered();
    // 6
    void nobody_was_evicted();
    // 6: within limit_ns no target that is up knows the client any more.
    void dead_client_is_gone(const std::string& nodename, uint64_t limit_ns);
    // It started after a crash: what it believes to be committed is there (1).
    void started(Target& target);
    // While disks or servers lack something, what they do need not be whole.
    void begin_fault() { faults_++, uncommitted_.clear(); }
    void end_fault() { faults_--; }
    // At the end, every file being removed and no file open: no request kept, no open without an
    // opener, nothing half made or half removed, no object without a file.
    void nothing_is_left();

private:
    // 1, 3 and 5, as the targets execute
    void on_gated(lull::Target& target, lull::ServerRequest& request, const Gated& how) override;
    void on_active_cancelled(lull::Target& target, lull::ServerRequest& request) override;
    void on_transaction(lull::Target& target, lull::ServerRequest& request,
                        uint64_t transno) override;
    void on_executed(lull::Target& target, lull::ServerRequest& request, uint64_t transno) override;
    void on_committed(lull::Target& target, uint64_t last_committed) override;
    using Steps = std::vector<uint64_t>;  // where on the disk each ends
    // A request that changes something.
    struct Execution {
        uint64_t instance = 0;
        Steps steps;
        bool known = false;  // it ended, on a disk that was its target's
    };
    // One that has not ended.
    struct Begun {
        bool was_durable = false, history = false;
    };
    static bool is_durable(const Disk& disk, const Steps& steps);
    // "target instance", transno; "target client", xid
    using Numbered = std::pair<std::string, uint64_t>;
    Disk* disk_of(lull::Target& target);  // null: not (any more) its own, or not of interest
    // until what was removed is gone everywhere: after the second look for orphans
    static constexpr uint64_t kCleanupLimit = 400ull * 1000000000;
    // what is under way on the network when a target reports its halt
    static constexpr uint64_t kRestLimit = 5ull * 1000000000;
    uint64_t kept_replays(Target& target);
    uint64_t number(Node& node, const std::string& param);

    FsWorld& w_;
    uint64_t replays_ = 0, resends_ = 0;
    std::set<std::string> gave_back_;  // "target instance client"
    std::map<Numbered, Execution> executions_;
    std::map<Numbered, Begun> begun_;
    std::map<Numbered, Steps> uncommitted_;  // what is executed
    std::map<void*, Steps> steps_;           // by task, of its transaction
    unsigned faults_ = 0;
};

}  // namespace lull::sim
