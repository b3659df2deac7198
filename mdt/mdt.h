/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The metadata service. One file for each operation (create.cc, unlink.cc…); all follow the same
 * order:
 *
 *   decode, check names → take local locks, parents before children → find objects and check, under
 *   the locks → Transaction::begin → steps of the store → versions → slot → reply
 *
 * An error returned by an operation's function changed nothing and is answered by execute().
 * lock_local() may say -kEPark (B3), which is passed on likewise. Clients check permissions; the
 * server checks names, types, existence and the shape of the tree.
 *
 * Executed again (exactly once): a replay carries its transaction number and what it touched. If a
 * directory it changes has that version already, it was done. If not, a crash may have come between
 * its steps: every operation recognises its own result. A resend after a crash knows no number;
 * creates are recognised by their FID, unlink and rename by the note of doing.h.
 *
 * Replays when clients are missing: what they did and was not committed is lost. Operations build
 * on each other through names and through objects. A replay goes on if the names it uses are what
 * they were (absent, or of the same object), and the objects it changes, as opposed to directories
 * it changes entries of, have the versions they had: two clients that work in one directory do not
 * depend on each other. Else it fails, and its client is evicted when recovery ends
 * (target/recovery.h).
 *
 * Lock order of the DLM: rename token, directories from ancestor to descendant (unrelated ones by
 * resource id, only with the token), then what is in them, by resource id.
 *
 * Requirements: S8 S9 B1 B3 T11; invariant 5.
 */
#pragma once
#include "mdt/destroyer.h"
#include "mdt/doing.h"
#include "mdt/identities.h"
#include "mdt/layout_alloc.h"
#include "mdt/open_table.h"
#include "mdt/orphans.h"
#include "mdt/ost_pool.h"

namespace lull {

// False: answered with the error; nothing was changed.
inline bool begin_or_fail(Transaction& tx)
{
    Status s = tx.begin();
    if (!s.ok()) tx.fail(s);
    return s.ok();
}

// The local locks of one operation, released together at its end. They are taken in the order that
// docs/lock-order.md gives. What the operation holds already is no second lock: a peer may name one
// object twice.
class OpLocks {
public:
    static constexpr size_t kMax = 6;
    OpLocks(Target& target, ServerRequest& request) : target_(target), request_(request) {}
    // EX. -EINVAL: not a FID of the namespace
    Status lock(const Fid& fid, uint32_t bits = kIbitAll);
    Status lock_rename_token();
    void release();

private:
    Status take(const ResourceId& resource, uint32_t bits, Export* on_behalf_of);
    Target& target_;
    ServerRequest& request_;
    LocalLock locks_[kMax];
    ResourceId held_[kMax];
    size_t count_ = 0;
};

class MdtService final : public TargetService {
public:
    explicit MdtService(Target& target);
    Status start() override;
    void stop() override;
    void execute(Ref<ServerRequest> request) override;
    void reconstruct(Ref<ServerRequest> request, const SlotRecord& slot) override;
    void on_export_gone(Export& exp) override;
    Status save_opens(Vec<ReservedOpen>* out) override;
    Status reserve(const ReservedOpen& open) override;
    void drop_reservations(const UuidText& client) override;
    void on_recovery_done() override;
    void background(bool run) override;
    void on_committed(uint64_t last_committed) override;
    void estimate(TextSink& out) override;
    std::span<const Param> params() const override;

    bool is_lockable(const ResourceId& resource) const override;
    Status intent_resolve(const LdlmEnqueueOp& op, Export& exp, ResourceId* resource) override;
    Status intent_execute(const LdlmEnqueueOp& op, Export& exp, const ResourceId& resource,
                          LdlmEnqueueReply* reply, bool* gone) override;
    void evict(Export& exp, const char* why) override { target_.evict(exp, why); }

    // For params.cc.
    OpenTable& opens() { return opens_; }
    OstPool& osts() { return osts_; }
    Destroyer& destroyer() { return destroyer_; }
    Orphans& orphans() { return orphans_; }
    uint32_t stripe_bytes() const { return stripe_bytes_; }
    uint32_t stripe_count() const { return stripe_count_; }
    // Percent, of this life: see layout_alloc.h.
    uint32_t qos_threshold_rr() const { return qos_threshold_rr_; }
    void set_qos_threshold_rr(uint32_t percent) { qos_threshold_rr_ = percent; }
    // kept in the target's record
    Status set_default_layout(uint32_t stripe_bytes, uint32_t stripe_count);

private:
    Status run(Ref<ServerRequest>& request);
    // A replay whose object is gone, because a later operation that survived has removed it.
    bool is_history(ServerRequest& request) const;
    Store& store() { return target_.store(); }

    // ---- operations
    Status do_getattr(ServerRequest& request);
    Status do_readdir(ServerRequest& request);
    Status do_readlink(ServerRequest& request);
    Status do_statfs(ServerRequest& request);
    Status do_sync(ServerRequest& request);
    Status do_get_seq(ServerRequest& request);
    Status do_open(Ref<ServerRequest>& request);
    Status do_close(Ref<ServerRequest>& request);
    Status do_create(Ref<ServerRequest>& request);
    Status do_unlink(Ref<ServerRequest>& request);
    Status do_link(Ref<ServerRequest>& request);
    Status do_rename(Ref<ServerRequest>& request);
    Status do_setattr(Ref<ServerRequest>& request);
    Status do_set_layout(Ref<ServerRequest>& request);

    // ---- open.cc
    Status open_existing(Ref<ServerRequest>& request, const MdsOpenOp& op, Object& object,
                         bool created, Object* parent);
    Status open_create(Ref<ServerRequest>& request, const MdsOpenOp& op, bool* exists);
    Status open_replay(Ref<ServerRequest>& request, const MdsOpenOp& op);
    Status check_open(const MdsOpenOp& op, Object& object);
    Status add_open(ServerRequest& request, const MdsOpenOp& op, const Fid& fid, uint64_t* handle);
    void drop_open(ServerRequest& request, uint64_t handle, uint64_t transno);
    uint64_t next_handle();

    // ---- create.cc: shared by create and open
    struct NewObject {
        Fid fid;
        uint32_t mode = 0, uid = 0, gid = 0, rdev = 0;
        uint64_t time_ns = 0;
        Layout layout;
        Str symlink_target;
        FidClaim claim;  // of fid, until the object is there
    };
    // Identity, inherited group, layout. replayed: the layout an earlier life gave it, and nothing
    // else than a replay says.
    Status plan(ServerRequest& request, Object& parent, const Fid& chosen, const Layout& replayed,
                NewObject* out);
    Status plan_layout(Object& parent, const Layout& replayed, NewObject* out);
    Status take_identity(ServerRequest& request, const Fid& chosen, NewObject* out);
    Status name_stripes(NewObject* what);  // inside the transaction: orphans.h counts on it
    Result<Ref<Object>> make_object(Object& parent, Str name, NewObject& what, uint64_t transno);
    // The object of that name was made by this very request before a crash.
    bool made_by(ServerRequest& request, const Fid& chosen, const Fid& found);

    // ---- unlink.cc
    Status unlink_steps(const MdsUnlinkOp& op, Object& parent, Object& object, uint64_t transno,
                        MdsUnlinkReply* reply);
    Status unlink_again(ServerRequest& request, const MdsUnlinkOp& op, Object& parent,
                        const Fid& fid, uint64_t transno);
    // ---- rename.cc
    struct RenamePlan;
    Status lock_parents(const MdsRenameOp& op, OpLocks& locks);
    Status rename_find(ServerRequest& request, const MdsRenameOp& op, RenamePlan* plan);
    Status rename_check(const MdsRenameOp& op, const RenamePlan& plan);
    Status rename_steps(const MdsRenameOp& op, RenamePlan& plan, uint64_t transno, bool* pending);
    Status lock_objects(RenamePlan& plan, OpLocks& locks);
    Status rename_nothing(RenamePlan& plan, uint64_t transno);
    Status rename_again(ServerRequest& request, const MdsRenameOp& op, RenamePlan& plan,
                        uint64_t transno);
    Status rename_fill(RenamePlan& plan, MdsRenameReply* reply);

    // ---- object.cc: helpers
    Result<Ref<Object>> find(const Fid& fid);      // checks the FID, too
    Result<Ref<Object>> find_dir(const Fid& fid);  // -ENOTDIR
    bool is_leaf(const Fid& fid);                  // it is there, and no directory
    Status fill_attr(Object& object, Attr* out);
    // Adds kAttrUnused to the attributes of what lost a name, where it is so. It stays so: without
    // a name an object is opened by its FID only on a client that has it open. Not in the window:
    // others may not have opened again what they had open.
    void tell_unused(ServerRequest& request, const Fid& fid, Attr* removed);
    Status fill(Object& object, MdsGetattrReply* out);
    // Times and version of an object that an operation changed (its entries or names). time 0: as
    // it is.
    Status touch(Object& object, uint32_t times, uint64_t time_ns, uint64_t transno);
    Status bump_version(Object& object, uint64_t transno);
    // A replay whose change of this object is in the store already.
    bool is_done(ServerRequest& request, Object& object);
    // A replay of what was done: the last of its steps may not have survived. Else later replays
    // would not find the versions they built on.
    Status touch_again(ServerRequest& request, Object& object, uint32_t times, uint64_t time_ns,
                       uint64_t transno);
    // Before a change: which version of the object it is made to. -EOVERFLOW: a replay that was
    // made to another one, because an operation of a client that is missing was lost.
    Status match_version(ServerRequest& request, Object& object, unsigned i, uint64_t* before);
    Status is_empty_dir(Object& dir);                       // -ENOTEMPTY
    void became_pending(const Fid& fid, uint64_t transno);  // to the destroyer, unless it is open
    Status load_default_layout();

    // ---- reconstruct.cc
    Status rebuild(Ref<ServerRequest>& request, const SlotRecord& slot);
    Status rebuild_open(ServerRequest& request, const SlotRecord& slot);
    Status rebuild_close(ServerRequest& request, const SlotRecord& slot);
    Status rebuild_create(ServerRequest& request, const SlotRecord& slot);
    Status rebuild_unlink(ServerRequest& request, const SlotRecord& slot);
    Status rebuild_link(ServerRequest& request);
    Status rebuild_rename(ServerRequest& request, const SlotRecord& slot);
    Status rebuild_setattr(ServerRequest& request);
    void fill_if_there(const Fid& fid, Attr* out);

    Target& target_;
    Identities identities_;
    OpenTable opens_;
    OstPool osts_;
    Destroyer destroyer_;
    Orphans orphans_;
    std::atomic<uint32_t> next_handle_{1};
    // of the instance before, when it crashed: highest_survivor()
    uint64_t survivor_ = 0;
    std::atomic<uint64_t> next_turn_{0};  // round robin over the OSTs
    std::atomic<uint32_t> stripe_bytes_{0}, stripe_count_{0}, qos_threshold_rr_{kQosThresholdRr};
};

}  // namespace lull
