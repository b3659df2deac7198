// SPDX-License-Identifier: GPL-2.0-only
/*
 * The configuration server: targets register, clients and MDTs ask where the targets of a file system are. Its clients are light:
 * no locks, no recovery. Nothing here has a transaction number: a registration is durable before it is answered, and idempotent.
 */
#include "kapi/log.h"
#include "mgs/registry.h"
#include "target/target.h"

namespace lull {
namespace {

class MgsService final : public TargetService {
public:
    explicit MgsService(Target& target) : target_(target), registry_(target.store()) {}
    Status start() override { return registry_.load(); }
    void stop() override {}
    void execute(Ref<ServerRequest> request) override;
    void evict(Export& exp, const char* why) override { target_.evict(exp, why); }
    std::span<const Param> params() const override;
    Registry& registry() { return registry_; }

private:
    Status run(ServerRequest& request);
    Status do_register(ServerRequest& request);
    Status do_config(ServerRequest& request);
    Target& target_;
    Registry registry_;
};

void MgsService::execute(Ref<ServerRequest> request)
{
    Status s = run(*request);
    if (!s.ok()) request->reply_error(s);
}

Status MgsService::run(ServerRequest& request)
{
    switch (request.opcode()) {
    case Opcode::kMgsRegister: return do_register(request);
    case Opcode::kMgsConfig: return do_config(request);
    default: return -kEOPNOTSUPP;
    }
}

Status MgsService::do_register(ServerRequest& request)
{
    Owned<MgsRegisterOp> op = make<MgsRegisterOp>();
    if (!op) return -kENOMEM;
    TRY(request.decode(op.get()));
    TRY(registry_.register_target(*op));
    Empty reply;
    request.reply(reply);
    return kOk;
}

Status MgsService::do_config(ServerRequest& request)
{
    MgsConfigOp op;
    TRY(request.decode(&op));
    MgsConfigReply reply;
    TRY(registry_.config(op.fsname, &reply));
    request.reply(reply);
    return kOk;
}

Status show_targets(void* object, TextSink& out)
{
    static_cast<MgsService*>(object)->registry().show(out);
    return out.status();
}

Status show_filesystems(void* object, TextSink& out)
{
    static_cast<MgsService*>(object)->registry().show_filesystems(out);
    return out.status();
}

constexpr Param kParams[] = {
    {"targets", show_targets, nullptr},
    {"filesystems", show_filesystems, nullptr},
};

std::span<const Param> MgsService::params() const { return kParams; }

}  // namespace

Result<Owned<TargetService>> make_mgs(Target& target)
{
    Owned<MgsService> mgs = make<MgsService>(target);
    if (!mgs) return -kENOMEM;
    return Owned<TargetService>(std::move(mgs));
}

}  // namespace lull
