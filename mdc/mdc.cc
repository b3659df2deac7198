// SPDX-License-Identifier: GPL-2.0-only
#include "mdc/mdc.h"

#include "mdc/fid_source.h"
#include "mdc/target_client.h"

namespace lull {
namespace {

constexpr Param kMdcParams[] = {LULL_TARGET_CLIENT_PARAMS};
constexpr TargetClient::Kind kMdcKind{"mdc", LockType::kIbits, kMdcParams};

class MdcImpl final : public Mdc, public TargetClientOwner {
public:
    explicit MdcImpl(MdcOwner& owner) : owner_(owner) {}
    ~MdcImpl() override { close(); }
    Status init(Node& node, ImportOptions options, Str instance_name)
    {
        client_ = TRY(
            TargetClient::create(node, std::move(options), kMdcKind, instance_name, *this, this));
        fids_ = make<FidSource>(client_->import());
        return fids_ ? kOk : Status(-kENOMEM);
    }

    Import& import() override { return client_->import(); }
    LdlmClient& locks() override { return client_->locks(); }
    ActiveLock& active_lock() override { return client_->active_lock(); }
    Status connect(uint64_t deadline_ns, WaitMode mode) override
    {
        return import().connect(deadline_ns, mode);
    }
    Result<Fid> next_fid() override { return fids_->next(); }
    bool has_lapsed(const Fid& fid) override { return fids_->has_lapsed(fid); }
    void close() override
    {
        if (client_) client_->close();
    }

private:
    void on_lock_lost(ClientLock& lock, bool) override
    {
        owner_.on_inode_lock_lost(lock.resource, lock.policy.bits);
    }
    Status on_replay_flocks() override { return owner_.on_mdt_replay_flocks(); }
    void on_evicted() override
    {
        fids_->forget();
        owner_.on_mdt_evicted();
    }
    MdcOwner& owner_;
    Owned<TargetClient> client_;
    Owned<FidSource> fids_;
};

}  // namespace

Result<Owned<Mdc>> Mdc::create(Node& node, ImportOptions options, MdcOwner& owner,
                               Str instance_name)
{
    auto mdc = make<MdcImpl>(owner);
    if (!mdc) return -kENOMEM;
    TRY(mdc->init(node, std::move(options), instance_name));
    return Owned<Mdc>(std::move(mdc));
}

}  // namespace lull
