// SPDX-License-Identifier: GPL-2.0-only
/* The life of a request: target.h. */
#include "kapi/log.h"
#include "target/observer.h"
#include "target/target_impl.h"

namespace lull {

namespace {

struct EncodedReply {
    const Bytes& bytes;
    void io(Encoder& out) { out.raw(bytes.data(), bytes.size()); }
};

}  // namespace

void TargetImpl::handle(Ref<ServerRequest> request)
{
    if (store_lost_.load()) return request->connection().close();
    TargetExport* client = TargetExport::of(*request->exp);
    if (!client || request->exp->is_dead()) return request->reply_error(-kEEvicted);
    request->set_last_committed(last_committed());
    if (request->opcode() == Opcode::kOstWrite) last_write_ns_.store(now_ns());
    Empty empty;
    switch (request->opcode()) {
    case Opcode::kPing: note_dirty(*client, *request); return request->reply(empty);
    case Opcode::kDisconnect: return disconnect(std::move(request));
    case Opcode::kLdlmCancel: return cancel_locks(std::move(request));
    case Opcode::kLdlmFlockCancel: return ldlm_->flocks().handle_cancel(std::move(request));
    case Opcode::kLdlmFlockReplay:
        recovery_.requests_replayed(request->exp->client_uuid());
        return ldlm_->flocks().handle_replay(std::move(request));
    case Opcode::kActiveEnqueue:
        settle(*client);  // it is FULL: whatever it had open is open again
        return ldlm_->handle_enqueue(std::move(request));
    case Opcode::kReplayDone:
        if (!recovery_.replay_done(request)) request->reply(empty);
        return;
    default: return run(std::move(request));
    }
}

void TargetImpl::note_dirty(TargetExport& client, ServerRequest& ping)
{
    PingOp op;
    if (ping.body().empty() || !ping.decode(&op).ok()) return;
    client.dirty_bytes.store(op.dirty_bytes);
    client.dirty_said_ns.store(now_ns());
}

void TargetImpl::note_progress(Export& exp)
{
    if (TargetExport* client = TargetExport::of(exp)) client->progress_ns.store(now_ns());
    ldlm_->note_progress(exp);
}

void TargetImpl::cancel_locks(Ref<ServerRequest> request)
{
    Ref<ServerRequest> seen = request;
    TargetObserver* observer = node_.observer();
    bool held = observer && ldlm_->holds_active(*seen->exp);
    size_t locks = ldlm_->handle_cancel(std::move(request));
    if (TargetExport* client = TargetExport::of(*seen->exp); client && locks)
        client->progress_ns.store(now_ns());
    if (held && !ldlm_->holds_active(*seen->exp)) observer->on_active_cancelled(*this, *seen);
}

// The disk was taken away (the partner has it), or its file system gave up. What was executed since
// the last commit is as good as never executed: clients that are told nothing replay it to the next
// instance, as after a crash.
void TargetImpl::lose_store()
{
    if (store_lost_.exchange(true)) return;
    refuse_all_.store(true);
    log_err("%s: lost its store: it answers nobody from now on, start it again or at its partner",
            name());
}

bool TargetImpl::may_answer(Status status)
{
    if (status.is(kEROFS)) lose_store();
    return !store_lost_.load();
}

// Everything that may touch the store. While a shutdown commits, it waits.
void TargetImpl::run(Ref<ServerRequest> request)
{
    for (;;) {
        if (running_.enter()) {
            dispatch(std::move(request));
            return running_.leave();
        }
        if (frozen_.hold(request)) return;
    }
}

bool TargetImpl::must_park(const ServerRequest& request, const TargetExport& client) const
{
    if (request.info().gate != GateClass::kGated) return false;
    if (parked_.load()) return true;
    if (request.is_resend() || client.light || !(request.exp->connect_flags() & kConnectUpdateLock))
        return false;
    return !ldlm_->holds_active(*request.exp);
}

void TargetImpl::dispatch(Ref<ServerRequest> request)
{
    TargetExport& client = *TargetExport::of(*request->exp);
    recovery_.note_progress(request->exp->client_uuid());
    bool is_lock = request->opcode() == Opcode::kLdlmEnqueue;
    if (request->is_replay()) {
        bool is_open = (request->flags() & kRpcReplayOpen) && request->opcode() == Opcode::kMdsOpen;
        if (is_open) return execute_replay(std::move(request));  // committed: in any order
        if (recovery_.hold_replay(request)) return;
        log_warn("%s: replay of %s by %s outside a recovery window refused", name(),
                 request->info().name, request->exp->client_uuid().c_str());
        return request->reply_error(-kEPROTO);
    }
    if (recovery_.active()) {
        // Lock replays come before ReplayDone; anything else that is gated has to wait for the end.
        if (is_lock) {
            recovery_.requests_replayed(request->exp->client_uuid());
            return ldlm_->handle_enqueue(std::move(request));
        }
        if (request->info().gate == GateClass::kGated && window_.hold(request)) return;
    }
    if (request->info().slot && answer_from_slot(*request, client)) return;
    bool parking = parked_.load(), park = must_park(*request, client);
    if (TargetObserver* o = node_.observer(); o && request->info().gate == GateClass::kGated)
        o->on_gated(*this, *request, {ldlm_->holds_active(*request->exp), parking, !park});
    if (park) return request->reply_error(-kEPark);
    if (request->info().gate == GateClass::kGated) settle(client);
    if (is_lock) return ldlm_->handle_enqueue(std::move(request));
    if (request->opcode() == Opcode::kLdlmFlock) return ldlm_->flocks().handle(std::move(request));
    service_->execute(std::move(request));
}

// True: answered. Exactly once: what was executed is not executed again.
bool TargetImpl::answer_from_slot(ServerRequest& request, TargetExport& client)
{
    Slots::Answer answer;
    auto seen = client.slots.look(request.slot(), request.xid(), &answer);
    if (!seen.ok()) {
        request.reply_error(seen.status());
        return true;
    }
    switch (seen.value()) {
    case Slots::Seen::kNever: return false;
    case Slots::Seen::kPassed:
        // A replay: the service sees by the objects' versions that it was done, and makes a reply.
        if (request.is_replay()) return false;
        request.reply_error(-kEPROTO);  // a duplicate nobody waits for
        return true;
    case Slots::Seen::kAnswered: break;
    }
    request.set_transno(answer.record.transno);
    request.set_versions(answer.record.versions);
    if (answer.record.status) {
        request.reply_error(answer.record.status);
    } else if (answer.has_reply) {
        EncodedReply reply{answer.reply};
        request.reply(reply);
    } else {
        service_->reconstruct(Ref<ServerRequest>(&request), answer.record);
    }
    return true;
}

void TargetImpl::execute_replay(Ref<ServerRequest> request)
{
    TargetExport* client = TargetExport::of(*request->exp);
    if (!client || request->exp->is_dead()) return request->reply_error(-kEEvicted);
    request->set_last_committed(last_committed());
    // Opens and closes change what is in memory only: they are executed again even if their effect
    // on disk is there.
    bool in_memory =
        request->opcode() == Opcode::kMdsOpen || request->opcode() == Opcode::kMdsClose;
    if (request->info().slot && !in_memory && answer_from_slot(*request, *client)) return;
    service_->execute(std::move(request));
}

void TargetImpl::settle(TargetExport& client)
{
    if (client.settled.load() || client.settled.exchange(true)) return;
    settle_uuid(client.exp.client_uuid());
}

void TargetImpl::settle_uuid(const UuidText& client)
{
    if (!reservations_.settle(client)) return;
    service_->drop_reservations(client);
    ldlm_->flocks().drop(client, true);
    if (reservations_.left() != 0) return;
    service_->on_recovery_done();
    all_back_ns_.store(now_ns());
    auto account = describe_upgrade();
    log_notice("%s: every client has resumed or was given up: %s", name(), account.c_str());
    kapi_phases traced = {previous_.warm,    previous_.notify, previous_.drain, previous_.commit, 0,
                          previous_down_ns_, start_took_ns_,   reconnect_ns()};
    kapi_trace_phases(name(), &traced);
}

// B4: the whole pause in one line, the same fields on both sides of the restart.
Text<200> TargetImpl::describe_upgrade() const
{
    using ull = unsigned long long;
    auto ms = [](uint64_t ns) { return static_cast<ull>(ns / kMsec); };
    return text_format<200>(
        "warm %llu notify %llu drain %llu commit %llu down %llu start %llu reconnect %llu ms",
        ms(previous_.warm), ms(previous_.notify), ms(previous_.drain), ms(previous_.commit),
        ms(previous_down_ns_), ms(start_took_ns_), ms(reconnect_ns()));
}

// From the beginning of service until the last client was back or given up; 0: not yet.
uint64_t TargetImpl::reconnect_ns() const
{
    uint64_t serving_since = start_ns_ + start_took_ns_, back = all_back_ns_.load();
    return back > serving_since ? back - serving_since : 0;
}

void TargetImpl::on_window_closed()
{
    ldlm_->set_recovering(false);
    service_->on_recovery_done();
    Vec<Ref<ServerRequest>> held = window_.open();
    for (Ref<ServerRequest>& request : held) handle(std::move(request));
}

// ---- the lock manager's owner

Status LdlmOwner::fill_lvb(const ResourceId& resource, Lvb* lvb)
{
    return target_.service().fill_lvb(resource, lvb);
}

bool LdlmOwner::is_lockable(const ResourceId& resource) const
{
    return target_.service().is_lockable(resource);
}

Status LdlmOwner::intent_resolve(const LdlmEnqueueOp& op, Export& exp, ResourceId* resource)
{
    return target_.service().intent_resolve(op, exp, resource);
}

Status LdlmOwner::intent_execute(const LdlmEnqueueOp& op, Export& exp, const ResourceId& resource,
                                 LdlmEnqueueReply* reply, bool* gone)
{
    return target_.service().intent_execute(op, exp, resource, reply, gone);
}

void LdlmOwner::evict(Export& exp, const char* why) { target_.evict(exp, why); }

bool LdlmOwner::withhold_active_cancel(Ref<ServerRequest> request)
{
    return target_.shutdown_env_.withhold(std::move(request));
}

}  // namespace lull
