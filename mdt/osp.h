/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The MDT's face to one OST: an import that obeys the OST's active lock like any client's (T11),
 * and destroys. It caches nothing under locks, so there is nothing to write back when the OST wants
 * the active lock.
 *
 * Connects in the background and for ever, and looks at the space there every ten seconds.
 * destroy() never waits at a gate.
 *
 * The client uuid is the MDT's name, which holds the fsname and fits (TargetName of at most 40
 * characters): the OST then knows the next life of the MDT, on whatever node, as the one it has a
 * record of, and does not wait for the former one (R2).
 */
#pragma once
#include "include/lull/ops_mgs.h"
#include "include/lull/ops_ost.h"
#include "mdc/active_env.h"
#include "ptlrpc/node.h"

namespace lull {

class OspOwner {
public:
    // For the first time ever, as far as is known here. In the import's task.
    virtual void on_reached() = 0;

protected:
    ~OspOwner() = default;
};

class Osp final : public RefCounted, private ImportClient {
public:
    // In the order in which new objects go there: the first that any OST is.
    enum class Standing : uint8_t {
        kReady,    // or not asked yet, soon after our start
        kAway,     // not connected, or halting: what is written there waits
        kFull,     // nearly; or of objects
        kUnknown,  // nobody has ever reached it, or it is not admitted: nothing
        kOff,      // an administrator wants nothing new there
    };
    // reached_before: in a former life.
    static Result<Ref<Osp>> create(Node& node, const TargetConfig& ost, Str mdt_name,
                                   OspOwner& owner, bool reached_before);
    ~Osp() override;
    void close();  // pending calls fail; joins the tasks. Before the last reference goes

    uint32_t index() const { return index_; }
    Import& import() { return *import_; }
    const TargetName& target() const { return import_->options().target; }
    bool is_connected() const { return import_->state() == ImportState::kFull; }
    bool may_run_at(Nid nid) const;  // it is one of its service nodes
    Standing standing() const;
    // In this life or a former one: files may have objects there.
    bool was_reached() const { return known_.load(); }
    // Says so once in the log, when it has been looked for in vain for kNeverReachedMs.
    void warn_if_never_reached();
    // From now on: it is kept that it was reached, and the MGS knows.
    void admit() { admitted_ = true; }
    bool is_admitted() const { return admitted_.load(); }
    void apply(const TargetSettings& settings);
    const TargetConfig& config() const { return config_; }
    uint64_t avail_bytes() const { return avail_bytes_.load(); }  // 0: not known yet
    // -kEPark: the OST is shutting down or we are not connected; try again later. *transno: to be
    // committed by the OST.
    Status destroy(std::span<const OstFid> objects, uint64_t* transno);
    // Objects that exist there, of serials in a range. -kEPark as above.
    Status list(const OstListOp& from, OstListReply* out);
    // Everything up to transno is durable at the OST. epoch: see below.
    bool is_committed(uint64_t transno) const { return import_->last_committed() >= transno; }
    // Changes when the OST evicted us: what was destroyed but not committed before may be lost.
    uint64_t epoch() const { return import_->stats().evictions; }

    void describe(TextSink& out) const;

private:
    struct State {
        bool closed = false, look = false;
    };
    Osp(const TargetConfig& ost, OspOwner& owner, bool reached_before)
        : index_(ost.index), config_(ost), owner_(owner), known_(reached_before),
          admitted_(reached_before)
    {}
    template <class T, class... Args> friend Ref<T> make_ref(Args&&...);
    Status start(Node& node, Str mdt_name);
    void connect_task();
    Status look_at_space();

    // ImportClient
    void on_evicted() override;
    void on_full(const ConnectReply& reply, bool first) override;
    void on_parked() override;
    uint64_t active_grants() override { return active_->grants(); }
    void on_callback(Opcode opcode, Decoder& body) override;

    const uint32_t index_;
    const TargetConfig config_;
    OspOwner& owner_;
    Ref<Import> import_;
    ActiveEnv env_{LockType::kExtent};
    Owned<ActiveLock> active_;
    Owned<Device> device_;
    Node* node_ = nullptr;
    Text<40> task_name_;
    const uint64_t began_ns_ = now_ns();
    std::atomic<bool> closing_{false}, reached_{false}, nearly_full_{false}, warned_{false};
    std::atomic<bool> known_, admitted_, creates_{true};
    std::atomic<uint64_t> avail_bytes_{0};
    Guarded<State> state_{LockRank::kLeaf};  // for connect_task
    CondVar changed_;
    Task connect_task_;
};

}  // namespace lull
