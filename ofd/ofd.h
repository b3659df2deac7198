/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The object service: what an OST does with OstRead, OstWrite and so on. One file for each group of
 * operations. An object exists from its first write, truncate to more than nothing, or setattr;
 * before that it reads as empty.
 *
 * Writes, punches and destroys are replayed without a reply slot: executing them again in the order
 * of their transaction numbers gives the same object. Clients' extent locks order them before; the
 * only lock taken here is the destroy's.
 */
#pragma once
#include "include/lull/ops_ost.h"
#include "ofd/grants.h"
#include "target/target.h"

namespace lull {

// False: answered with the error; nothing was changed.
inline bool begin_or_fail(Transaction& tx)
{
    Status s = tx.begin();
    if (!s.ok()) tx.fail(s);
    return s.ok();
}

class OfdService final : public TargetService {
public:
    explicit OfdService(Target& target) : target_(target) {}
    Status start() override { return kOk; }
    void stop() override {}
    void execute(Ref<ServerRequest> request) override;
    void on_export_created(Export& exp) override;
    void on_export_gone(Export& exp) override;
    uint64_t initial_grant(Export& exp) override;
    std::span<const Param> params() const override;
    void estimate(TextSink& out) override;

    Status fill_lvb(const ResourceId& resource, Lvb* lvb) override;
    void evict(Export& exp, const char* why) override { target_.evict(exp, why); }

    const Grants& grants() const { return grants_; }

private:
    Status run(Ref<ServerRequest>& request);
    Status do_read(ServerRequest& request);
    Status do_write(Ref<ServerRequest>& request);
    Status do_punch(Ref<ServerRequest>& request);
    Status do_setattr(Ref<ServerRequest>& request);
    Status do_getattr(ServerRequest& request);
    Status do_destroy(Ref<ServerRequest>& request);
    Status do_statfs(ServerRequest& request);
    Status do_sync(ServerRequest& request);
    Status do_list(ServerRequest& request);

    Status commit_for_others(Object& object);
    Status check(const OstFid& object) const;  // -EINVAL: not an object of this OST
    Status admit(ServerRequest& request, const OstWriteOp& op, struct kbfs_statfs* space);
    bool replaces_data(const OstWriteOp& op);
    Status write_steps(const OstWriteOp& op, std::span<const uint8_t> data, uint64_t transno,
                       OstWriteReply* reply);
    Status punch_steps(const OstPunchOp& op, uint64_t transno);
    Status setattr_steps(const OstSetattrOp& op, uint64_t transno);

    Target& target_;
    Grants grants_;
};

}  // namespace lull
