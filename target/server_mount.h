// SPDX-License-Identifier: GPL-2.0-only
/*
 * The targets of one device, from mount to umount (target_glue.h). They start and stop together;
 * the store is unmounted when the last of them has halted, so that the partner may take the device
 * over while the halted targets' parameters can still be read here.
 */
#pragma once
#include "target/registrar.h"
#include "target/target_glue.h"
#include "target/target_impl.h"

namespace lull {

// "force,abort_recov"; -EINVAL
Status parse_start_options(Str text, StartOptions* out, Text<200>* why);

class ServerMount final : HaltListener {
public:
    explicit ServerMount(Node& node) : node_(node), store_(LockRank::kNodeControl) {}
    ~ServerMount() { stop(false); }

    Status start(const char* device, const StartOptions& options, Text<200>* why);
    void stop(bool force);
    Status statfs(struct kbfs_statfs* out);
    size_t target_count() const { return targets_.size(); }
    TargetImpl& target(size_t i) { return *targets_[i]; }

private:
    Status read_identities(Store& store, Vec<TargetIdentity>* out, Text<200>* why);
    Status start_targets(Store& store, const StartOptions& options, Text<200>* why);
    Status register_targets(Text<200>* why);
    void on_halted(TargetImpl& target) override;
    void unmount_if_all_halted();

    Node& node_;
    Guarded<Owned<Store>> store_;
    Vec<Owned<TargetImpl>> targets_;  // MGS first
    Vec<Owned<Registrar>> registrars_;
};

}  // namespace lull
