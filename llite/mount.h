/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One mounted client: the connections to all targets of a file system and the table of inodes in
 * use. Behind llc_mount of llite_port.h.
 *
 * Locking: tables_ (LliteMount); Inode has its own (LliteInode). No message is sent and the host is
 * not called under either.
 * Requirements: A5 A7 T9, invariant 9.
 */
#pragma once
#include "include/lull/ops_mgs.h"
#include "kapi/use_count.h"
#include "llite/closer.h"
#include "llite/flocks.h"
#include "llite/fs_lock.h"
#include "llite/inode.h"
#include "llite/mgc.h"
#include "llite/mount_source.h"
#include "mdc/mdc.h"
#include "osc/osc.h"

namespace lull {

struct MountStats {
    std::atomic<uint64_t> lookups{0}, creates{0}, opens{0}, closes{0}, io_scopes{0}, read_bytes{0},
        written_bytes{0};
    std::atomic<uint64_t> locks_lost{0}, evictions{0};
};

class Mount final : public MdcOwner, public OscOwner, MgcOwner, FsLockTargets {
public:
    static constexpr uint32_t kOstsMax = 256;
    static constexpr uint64_t kMgsTimeoutMs = 20000;  // an MGS that nobody answers for
    static constexpr uint64_t kOstPatienceMs = 5000;  // at the mount, of all of them
    static constexpr uint64_t kRetryNs = 10 * kMsec;
    static constexpr uint32_t kMgsNowhereMs = 3000;  // or of which all nodes say "not here"
    static constexpr uint64_t kForceLookMs = 100, kForceRecoveryMs = 10000;

    static Result<Owned<Mount>> create(Node& node, Str source, Str options, WhyText* why);
    explicit Mount(Node& node);
    ~Mount();
    // umount -f, asked for: what waits for a target that is not connected fails. Nothing else
    // changes, for the umount may be refused.
    void interrupt_waits();
    // umount -f, on its way: a target that is not there, now or later, is not waited for.
    void end_by_force();

    const MountOptions& options() const { return options_; }
    Mdc& mdc() { return *mdc_; }
    Closer& closer() { return *closer_; }
    Flocks& flocks() { return *flocks_; }
    // -ENODEV: no such OST in the configuration, even after asking again. -EIO: it was removed.
    Result<Osc*> osc(uint32_t index);
    Osc* known_osc(uint32_t index) const
    {
        return index < kOstsMax ? oscs_[index].load() : nullptr;
    }
    // Of every file, until there is grant for so much. Only what lies on this OST: pages of
    // another, which may be down, must not hold up its drain (B3).
    void write_back(Osc& osc, uint64_t room);
    UseCount& host_uses() { return host_uses_; }
    Status statfs(struct llc_statfs* out);
    Status sync();
    bool take_loss();  // see llc_take_loss()
    // Until everything answered is committed. At the gate like any operation: what is in flight
    // when a target halts would have to be sent again.
    Status sync_mdt();
    Status sync_ost(Osc& osc);

    // The inode of that FID, made when there is none.
    Result<Ref<Inode>> inode(const Fid& fid);
    Ref<Inode> find_inode(const Fid& fid);
    Ref<Inode> find_object(const Fid& object, uint32_t* stripe);
    void add_objects(Inode::FileLayout& layout);
    void remove(Inode& inode);

    uint64_t next_epoch() { return epoch_.fetch_add(1) + 1; }
    uint64_t change_counter() const { return changes_.load(); }
    uint64_t next_change() { return changes_.fetch_add(1) + 1; }
    // grows at each eviction by the MDT
    uint64_t mdt_generation() const { return mdt_generation_.load(); }
    // How long a scope of several stripes waits for a lock while it keeps those of the others.
    uint64_t lock_patience_ns(unsigned rounds) const;
    uint64_t ost_evictions() const { return stats.evictions.load(); }  // by any OST
    MountStats stats;

private:
    using Inodes = bi::set<Inode, bi::member_hook<Inode, SetHook, &Inode::table_hook>,
                           bi::key_of_value<Inode::FidOf>>;
    using Objects =
        bi::set<Inode::Stripe, bi::member_hook<Inode::Stripe, SetHook, &Inode::Stripe::hook>,
                bi::key_of_value<Inode::Stripe::FidOf>>;
    struct Tables {
        Inodes inodes;
        Objects objects;
    };
    using Config = Ref<Call<MgsConfigOp>>;

    Status init(Str source, Str options, WhyText* why);
    Result<Config> fetch_config(WhyText* why);
    Status ask_mgs(Import& mgc, Call<MgsConfigOp>& call, WhyText* why);
    Status make_mgc();
    void on_target_at(const TargetPlace& place) override;
    void on_settings(const MgsSettingsReply& settings) override;
    void apply_settings(const MgsSettingsReply& settings);
    void on_mgs_full(bool first_of_instance) override;
    void on_freeze_wanted(uint64_t handle) override;
    void for_each_gate(void (*fn)(Gate& gate, void* arg), void* arg) override;
    Status flush_everything(uint64_t deadline_ns) override;
    Import& mgs() override { return mgc_->import(); }
    Result<ImportOptions> import_options(const TargetConfig& target);
    Status add_mdt(const TargetConfig& target);
    Status add_ost(const TargetConfig& target);
    template <class Client> Status connect(Client& client, uint64_t deadline_ns, WhyText* why);
    Status begin_to_connect(Osc& osc);
    Status connect_osts(WhyText* why);
    Status refresh_config();
    Ref<Inode> next_inode(const Fid& after);
    Fid last_inode();  // the greatest FID
    void close();
    void give_up_lost(bool recovering_too);
    void force_task();

    void on_inode_lock_lost(const ResourceId& resource, uint32_t bits) override;
    void on_mdt_evicted() override;
    Status on_mdt_replay_flocks() override { return flocks_->replay(); }
    void on_extent_lock_lost(uint32_t ost_index, const ResourceId& object, uint64_t start,
                             uint64_t end, bool discard) override;
    void on_ost_evicted(uint32_t ost_index) override;
    void on_ost_warm(uint32_t ost_index) override;

    static Status show_stats(void* object, TextSink& out);
    static Status show_uuid(void* object, TextSink& out);
    static Status show_fs_lock(void* object, TextSink& out);
    static const Param kParams[];

    Node& node_;
    // The core's uses of its host's inodes: an umount waits for them, or a lock callback would hold
    // an inode that the VFS is about to free.
    UseCount host_uses_;
    MountSource source_;
    MountOptions options_;
    UuidText uuid_;
    Text<16> id_;
    Owned<FsLock> fs_lock_;  // before mgc_ and after it: the import calls it
    Owned<Mgc> mgc_;
    Owned<Mdc> mdc_;
    Owned<Closer> closer_;
    Owned<Flocks> flocks_;
    std::atomic<Osc*> oscs_[kOstsMax] = {};  // owned; only ever added while mounted
    Mutex config_mutex_;                     // one task adds OSTs
    std::atomic<bool> removed_[kOstsMax] = {};
    Owned<Device> device_;
    Guarded<Tables> tables_;
    std::atomic<uint64_t> epoch_{0}, changes_{0}, mdt_generation_{0}, losses_taken_{0};
    // known: mdc_ does not change any more
    std::atomic<bool> targets_known_{false};
    // of end_by_force()
    struct Force {
        bool over = false;
    };
    Guarded<Force> force_;
    CondVar force_over_;
    Task forcer_;
    std::atomic<bool> forced_{false};
};

}  // namespace lull
