// SPDX-License-Identifier: GPL-2.0-only
/*
 * Connect, disconnect, evict: who is a client (T3, T7, T9, A3, A7, A13). All of it under
 * members_mutex_, records included.
 */
#include "kapi/log.h"
#include "target/target_impl.h"

namespace lull {

namespace {
constexpr uint32_t kFlagsKnown = kConnectUpdateLock | kConnectMds | kConnectLight;
}

Status TargetImpl::negotiate(const ConnectOp& op, uint16_t* protocol)
{
    uint32_t ours = node_.options().protocol_max;
    if (op.protocol_min == 0 || op.protocol_min > op.protocol_max) return -kEPROTO;
    *protocol = static_cast<uint16_t>(op.protocol_max < ours ? op.protocol_max : ours);
    if (*protocol >= op.protocol_min) return kOk;
    log_warn("%s: client %s speaks protocol versions %u to %u, this node 1 to %u: refused", name(),
             op.nodename.c_str(), op.protocol_min, op.protocol_max, ours);
    return -kEPROTONOSUPPORT;
}

// An MDT keeps its uuid over its lives (mdt/osp.h), and its former one may run on unaware of the
// next (failover). The cookie of the import tells them apart; a client that was never connected to
// us is at the beginning of a life.
bool TargetImpl::is_former_life(const ConnectOp& op) const
{
    if (op.last_instance == 0 || !is_expected(op.client_uuid)) return false;
    auto record = read_client_record(store_, op.client_uuid);
    return record.ok() && record.value().import_cookie != op.import_cookie;
}

// What a client without an export is to us.
Result<ConnectResult> TargetImpl::judge(const ConnectOp& op)
{
    bool was_connected = op.last_instance != 0;
    if (op.flags & kConnectLight)
        return was_connected ? ConnectResult::kResume : ConnectResult::kNew;
    if (is_former_life(op)) return -kESTALE;
    if (was_connected && reservations_.has(op.client_uuid)) return ConnectResult::kResume;
    // A13: nothing but opens can be carried over to another version.
    bool carries = !decision_.version_changed || (op.resends == 0 && op.replays == 0);
    if (was_connected && carries && recovery_.expects(op.client_uuid))
        return ConnectResult::kRecover;
    if (is_expected(op.client_uuid)) {
        if (was_connected)
            evict_absent_client(op.client_uuid,
                                "it has more than opens to replay to another version");
        else forget_absent_client(op.client_uuid);
    }
    // Strangers wait until the window is closed (T9).
    if (recovery_.active()) return -kERetryLater;
    return ConnectResult::kNew;
}

Status TargetImpl::make_export(const ConnectOp& op, ConnectResult result, Ref<Export>* out)
{
    Ref<Export> exp = make_ref<Export>(*this, op.client_uuid);
    if (!exp || exp->is_dead()) return -kENOMEM;
    Owned<TargetExport> mine = make<TargetExport>(*exp);
    if (!mine) return -kENOMEM;
    mine->light = op.flags & kConnectLight;
    mine->first_result = result;
    mine->version_changed = decision_.version_changed &&
                            (result == ConnectResult::kRecover || result == ConnectResult::kResume);
    mine->settled.store(result != ConnectResult::kResume || mine->light);
    if (!mine->light && result != ConnectResult::kNew)
        TRY(load_slots(store_, op.client_uuid, &mine->slots));
    if (!mine->light && result == ConnectResult::kNew) {
        ClientRecord record;
        record.nodename = op.nodename;
        record.flags = op.flags;
        record.instance = instance_;
        record.import_cookie = op.import_cookie;
        TRY(write_client_record(store_, op.client_uuid, record));
    }
    mine->durable.store(mine->light || result != ConnectResult::kNew);
    exp->data[Export::kTargetData] = std::move(mine);
    TRY(node_.add_export(exp));
    exports_.add(exp);
    *out = std::move(exp);
    return kOk;
}

Status TargetImpl::admit_new(const ConnectOp& op, Ref<Export>* out)
{
    if (refuse_new_.load()) return -kERetryLater;
    ConnectResult result = TRY(judge(op));
    TRY(make_export(op, result, out));
    if (result == ConnectResult::kResume) reservations_.returned(op.client_uuid);
    if (result == ConnectResult::kRecover) recovery_.connected(op.client_uuid, *out);
    return kOk;
}

// The client has an export: another connection, or it has not seen our answer.
Status TargetImpl::admit_known(const ConnectOp& op, Export& exp, ConnectResult* result)
{
    TargetExport& t = *TargetExport::of(exp);
    if (exp.import_cookie() != op.import_cookie) return op.last_instance ? -kESTALE : -kERetryLater;
    if (t.let_go.load()) return -kERetryLater;
    bool knows = op.last_instance == instance_;
    bool unfinished = t.first_result == ConnectResult::kRecover
                          ? !recovery_.is_done(exp.client_uuid())
                          : !t.settled.load();
    *result = knows && !unfinished ? ConnectResult::kReconnect : t.first_result;
    if (unfinished && recovery_.active()) recovery_.connected(exp.client_uuid(), Ref<Export>(&exp));
    return kOk;
}

Status TargetImpl::admit(ServerRequest& request, const ConnectOp& op, uint16_t protocol,
                         Ref<Export>* out, ConnectResult* result)
{
    bool fresh = false;
    // A shutdown let it go and was cancelled then: its locks are lost, and it does not know.
    Ref<Export> before = exports_.find(op.client_uuid);
    if (before && TargetExport::of(*before)->let_go.load() && !parked_.load())
        evict(*before, "it was away during a shutdown that was cancelled");
    bool other_life =
        before && before->import_cookie() != op.import_cookie && op.last_instance == 0;
    if (other_life && !TargetExport::of(*before)->let_go.load()) expel(*before, nullptr);
    before.reset();
    {
        MutexLock members(members_mutex_);
        if (refuse_all_.load()) return -kERetryLater;
        // behind a slow disk: it has given up, and asks again
        if (!request.connection().is_open()) return -kENOTCONN;
        *out = exports_.find(op.client_uuid);
        if (*out) {
            TRY(admit_known(op, **out, result));
        } else {
            TRY(admit_new(op, out));
            *result = TargetExport::of(**out)->first_result;
            fresh = true;
        }
        uint32_t flags = op.flags & kFlagsKnown;
        (*out)->attach(Ref<Connection>(&request.connection()), op.import_cookie, protocol, flags,
                       op.nodename);
        if (fresh) {
            service_->on_export_created(**out);
            TargetExport::of(**out)->grant_bytes = service_->initial_grant(**out);
        }
    }
    TargetExport& t = *TargetExport::of(**out);
    if (!t.durable.load()) {  // else a crash would make it a stranger, with all it has done by then
        TRY(commit_.commit());
        (*out)->heard();  // it waits for us
        t.durable.store(true);
    }
    if (!fresh) ldlm_->on_export_reconnected(**out);
    return kOk;
}

void TargetImpl::handle_connect(Ref<ServerRequest> request)
{
    ConnectOp op;
    uint16_t protocol = kProtocolNone;
    Status s = request->decode(&op);
    if (s.ok() && op.client_uuid.empty()) s = -kEINVAL;
    if (s.ok()) s = negotiate(op, &protocol);
    Ref<Export> exp;
    ConnectResult result = ConnectResult::kNew;
    if (s.ok()) s = admit(*request, op, protocol, &exp, &result);
    if (!s.ok()) return request->reply_error(s);

    TargetExport& t = *TargetExport::of(*exp);
    ConnectReply reply;
    reply.result = static_cast<uint8_t>(result);
    reply.protocol = protocol;
    reply.flags = op.flags & kFlagsKnown;
    reply.export_cookie = exp->cookie();
    reply.instance = instance_;
    bool former = result == ConnectResult::kRecover || result == ConnectResult::kResume;
    reply.last_committed = former ? committed_before_ : last_committed();
    reply.slots = Slots::kCount;
    reply.grant_bytes = t.grant_bytes;
    reply.version_changed = former && t.version_changed;
    reply.target_index = identity_.index;
    request->set_last_committed(reply.last_committed);
    request->reply(reply);
}

void TargetImpl::disconnect(Ref<ServerRequest> request)
{
    Ref<Export> exp = request->exp;
    Empty reply;
    request->set_last_committed(last_committed());
    request->reply(reply);
    // a clean record may have been written: then its deadline removes the client
    bool may_write = running_.enter();
    {
        MutexLock members(members_mutex_);
        if (!exports_.remove(*exp)) {
            if (may_write) running_.leave();
            return;
        }
        recovery_.gone(exp->client_uuid(), Recovery::Gone::kLeft);
        settle_uuid(exp->client_uuid());
        if (may_write && !TargetExport::of(*exp)->light)
            (void)store_.remove_client(exp->client_uuid());
        exp->kill();
        ldlm_->flocks().drop(exp->client_uuid(), false);  // before it can come back
    }
    node_.remove_export(*exp);
    ldlm_->drop_export(*exp);
    if (!may_write) return;
    service_->on_export_gone(*exp);
    running_.leave();
}

void TargetImpl::evict(Export& e, const char* why) { expel(e, why); }

// why: of an eviction; null: the client has begun another life and knows nothing of this one.
void TargetImpl::expel(Export& e, const char* why)
{
    Ref<Export> exp(&e);
    bool may_write = running_.enter();
    {
        MutexLock members(members_mutex_);
        if (!exports_.remove(e)) {
            if (may_write) running_.leave();
            return;
        }
        if (why) {
            kapi_trace_evict(name(), e.nodename().c_str(), why);
            log_warn("%s: evicting client %s at %s (%s): %s", name(), e.client_uuid().c_str(),
                     to_text(e.peer()).c_str(), e.nodename().c_str(), why);
        } else {
            log_notice("%s: client %s at %s (%s) has started anew", name(), e.client_uuid().c_str(),
                       to_text(e.peer()).c_str(), e.nodename().c_str());
        }
        recovery_.gone(e.client_uuid(), why ? Recovery::Gone::kEvicted : Recovery::Gone::kLeft);
        settle_uuid(e.client_uuid());
        if (may_write && !TargetExport::of(e)->light) (void)store_.remove_client(e.client_uuid());
        e.kill();
        ldlm_->flocks().drop(e.client_uuid(), false);  // before it can come back
    }
    node_.remove_export(e);
    ldlm_->drop_export(e);
    if (!may_write) return;
    service_->on_export_gone(e);
    running_.leave();
}

// It has a record, but no export. Caller: a task of ours, or judge() with the mutex held.
void TargetImpl::evict_absent_client(const UuidText& client, const char* why)
{
    auto record = read_client_record(store_, client);
    kapi_trace_evict(name(), record.ok() ? record.value().nodename.c_str() : client.c_str(), why);
    log_warn("%s: evicting client %s (%s): %s", name(), client.c_str(),
             record.ok() ? record.value().nodename.c_str() : "?", why);
    recovery_.gone(client, Recovery::Gone::kEvicted);
    settle_uuid(client);
    (void)store_.remove_client(client);
}

// Its next life has come: nobody has lost anything, and nobody is waited for.
void TargetImpl::forget_absent_client(const UuidText& client)
{
    log_notice("%s: client %s has started anew", name(), client.c_str());
    recovery_.gone(client, Recovery::Gone::kLeft);
    settle_uuid(client);
    (void)store_.remove_client(client);
}

Text<65> TargetImpl::nodename_of(const UuidText& client)
{
    auto record = read_client_record(store_, client);
    return record.ok() ? record.value().nodename : Text<65>();
}

void TargetImpl::evict_silent()
{
    Vec<Ref<Export>> list;
    if (!exports_.list(&list).ok()) return;
    uint64_t limit = evict_after_ms(node_) * kMsec, began = now_ns();
    // who comes back waits here for a slow disk, unheard
    {
        MutexLock members(members_mutex_);
    }
    uint64_t now = now_ns();
    bool late = silent_checked_ns_ && began - silent_checked_ns_ > limit / 2;
    // it was we who were away: everybody may speak first
    if (late || now - began > limit / 6) silent_from_ns_ = now;
    silent_checked_ns_ = now;
    for (Ref<Export>& exp : list) {
        uint64_t heard =
            exp->last_heard_ns() > silent_from_ns_ ? exp->last_heard_ns() : silent_from_ns_;
        bool resumes_later = parked_.load() && TargetExport::of(*exp)->let_go.load();
        bool connecting = !TargetExport::of(*exp)->durable.load();
        if (heard >= now || now - heard < limit || resumes_later || connecting) continue;
        evict(*exp, text_format<80>("nothing heard for %llu s",
                                    static_cast<unsigned long long>((now - heard) / kSec))
                        .c_str());
    }
}

void TargetImpl::evict_expired()
{
    Vec<UuidText> expired;
    if (!reservations_.expired(&expired).ok()) return;
    for (const UuidText& uuid : expired) {
        if (!running_.enter()) return;
        {
            MutexLock members(members_mutex_);
            if (reservations_.has(uuid) && !exports_.find(uuid))
                evict_absent_client(uuid, "it did not return in time after the restart");
        }
        running_.leave();
    }
}

uint32_t evict_after_ms(const Node& node)
{
    return const_cast<Node&>(node).options().timeout_ms / 4 * 6;
}

}  // namespace lull
