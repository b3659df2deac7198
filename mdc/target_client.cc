// SPDX-License-Identifier: GPL-2.0-only
#include "mdc/target_client.h"

namespace lull {

Result<Owned<TargetClient>> TargetClient::create(Node& node, ImportOptions options,
                                                 const Kind& kind, Str instance_name,
                                                 TargetClientOwner& owner, void* upper)
{
    auto client = make<TargetClient>(node, kind.active_type, owner, upper);
    if (!client) return -kENOMEM;
    if (Status s = client->init(std::move(options), kind, instance_name); !s.ok()) {
        client->close();
        return s;
    }
    return client;
}

Status TargetClient::init(ImportOptions options, const Kind& kind, Str instance_name)
{
    TargetName name = text_format<64>("%s-%s-" STR_FMT, options.target.c_str(), kind.type,
                                      STR_ARG(instance_name));
    UuidText uuid = options.client_uuid;
    TRY(warm_.uses.init());
    import_ = TRY(Import::create(node_, std::move(options), this));
    locks_ = TRY(LdlmClient::create(node_, *import_, *this));
    env_.attach(*import_, locks_.get());
    active_ = TRY(ActiveLock::create(env_, name.c_str()));
    auto device = make<Device>(kind.type, name, kind.params, this);
    auto space =
        make<Device>("ldlm.namespaces", name, target_client_params::kNamespaceParams, this);
    if (!device || !space) return -kENOMEM;
    device->uuid = space->uuid = uuid;
    TRY(node_.add_device(*device));
    device_ = std::move(device);
    TRY(node_.add_device(*space));
    namespace_device_ = std::move(space);
    return kOk;
}

void TargetClient::close()
{
    if (std::exchange(closed_, true)) return;
    if (namespace_device_) node_.remove_device(*namespace_device_);
    if (device_) node_.remove_device(*device_);
    if (import_) import_->gate().shut(-kESHUTDOWN);
    if (locks_) locks_->shutdown();
    if (import_) import_->close();
    (void)warm_.uses.close(kForever);
    if (active_) active_->shutdown();
}

Status TargetClient::set_barrier(bool on)
{
    Gate& gate = import_->gate();
    if (!on) {
        gate.reopen(Gate::kBarrier);
        return kOk;
    }
    gate.close(Gate::kBarrier);
    uint64_t deadline = deadline_after_ms(kBarrierMs);
    Status s = gate.wait_parked(deadline);
    if (s.ok()) s = locks_->flush_all(deadline);
    if (!s.ok()) gate.reopen(Gate::kBarrier);
    return s;
}

void TargetClient::on_evicted()
{
    active_->on_evicted();
    locks_->drop_all();
    owner_.on_evicted();
}

void TargetClient::on_full(const ConnectReply& reply, bool first)
{
    owner_.on_connected(reply, first);
    active_->on_full(first, (reply.flags & kConnectUpdateLock) != 0);
}

// Not in the callback's task: it waits for the target, which may go away meanwhile. Without memory
// the drain takes longer.
void TargetClient::begin_warm()
{
    if (warm_.busy.exchange(true)) return;
    warm_.client = this;
    warm_.run = run_warm;
    if (warm_.uses.enter()) {
        if (node_.queue_work(warm_, Node::WorkKind::kFlush).ok()) return;
        warm_.uses.leave();
    }
    warm_.busy.store(false);
}

void TargetClient::run_warm(Node::Work* work)
{
    Warm& warm = *static_cast<Warm*>(work);
    warm.client->owner_.on_warm();
    warm.client->import().ping();
    warm.busy.store(false);
    warm.uses.leave();
}

void TargetClient::on_callback(Opcode opcode, Decoder& body)
{
    if (opcode == Opcode::kActiveWarm) {
        owner_.on_warm_asked();
        import().ping();
        return begin_warm();
    }
    LdlmBlAst ast;
    ast.io(body);
    if (opcode != Opcode::kLdlmBlAst || !body.finish().ok()) return;
    if (ActiveEnv::is_active(ast)) active_->on_bl_ast(ast.server_handle);
    else locks_->handle_bl_ast(ast);
}

}  // namespace lull
