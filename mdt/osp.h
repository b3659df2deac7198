/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The MDT's face to one OST: an import that obeys the OST's active lock like any client's (T11),
 * and destroys. It caches nothing under locks, so there is nothing to write back when the OST wants
 * the active lock.
 *
 * Connects in the background and for ever. destroy() never waits at a gate.
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

class Osp final : public RefCounted, private ImportClient {
public:
    static Result<Ref<Osp>> create(Node& node, const TargetConfig& ost, Str mdt_name);
    ~Osp() override;
    void close();  // pending calls fail; joins the tasks. Before the last reference goes

    uint32_t index() const { return index_; }
    Import& import() { return *import_; }
    const TargetName& target() const { return import_->options().target; }
    bool is_connected() const { return import_->state() == ImportState::kFull; }
    // Not so: it is away, halting or nearly full, and others should get what is new. One that was
    // not reached yet is given some time after our start.
    bool takes_new_objects() const;
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
    explicit Osp(uint32_t index) : index_(index) {}
    template <class T, class... Args> friend Ref<T> make_ref(Args&&...);
    Status start(Node& node, const TargetConfig& ost, Str mdt_name);
    void connect_task();
    void look_at_space();

    // ImportClient
    void on_evicted() override;
    void on_full(const ConnectReply& reply, bool first) override;
    void on_parked() override;
    uint64_t active_grants() override { return active_->grants(); }
    void on_callback(Opcode opcode, Decoder& body) override;

    const uint32_t index_;
    Ref<Import> import_;
    ActiveEnv env_{LockType::kExtent};
    Owned<ActiveLock> active_;
    Owned<Device> device_;
    Node* node_ = nullptr;
    Text<40> task_name_;
    const uint64_t began_ns_ = now_ns();
    std::atomic<bool> closing_{false}, reached_{false}, nearly_full_{false};
    Guarded<bool> closed_{LockRank::kLeaf};  // for connect_task: closing_, with its event
    CondVar close_event_;
    Task connect_task_;
};

}  // namespace lull
