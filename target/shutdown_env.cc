// SPDX-License-Identifier: GPL-2.0-only
#include "target/shutdown_env.h"

#include "kapi/log.h"
#include "ptlrpc/restart_spread.h"
#include "target/target_impl.h"

namespace lull {

namespace {
constexpr uint64_t kFreezeMs = 60000;  // the longest a request that is being executed may take
constexpr unsigned kCommitTriesMax = 10;
constexpr size_t kNamesMax = 32;  // of those who still hold the lock, in the status
// The warm-up ends when so little is dirty on all clients together that the drain may as well find
// it, or when it has not become less for so long.
constexpr uint64_t kWarmBytes = 4u << 20;
constexpr uint64_t kStillMs = 500;
// a client that does not say what it has does write it back within this time
constexpr uint64_t kQuietMs = 200;
}  // namespace

void TargetShutdownEnv::begin_warm()
{
    auto callback = make_ref<Call<ActiveWarmOp>>();
    forget_unheard();
    // then the drain takes longer
    if (!callback || !target_.ldlm().active_holders(&unheard_).ok()) return;
    if (!asked_.assign(unheard_.data(), unheard_.size()).ok()) asked_.clear();
    asked_ns_ = least_at_ns_ = now_ns();
    least_dirty_ = UINT64_MAX;
    for (Ref<Export>& exp : unheard_) (void)exp->post(*callback);
    target_.last_write_ns_.store(now_ns());
}

// Clients of an MDT have nothing to write back to it. Others say what they have; who writes without
// pause keeps nobody here, for it is slowed to what the wire takes.
bool TargetShutdownEnv::is_warm()
{
    if (target_.identity().kind != TargetKind::kOst) return true;
    uint64_t dirty = 0, now = now_ns();
    bool all_say = true;
    for (Ref<Export>& exp : asked_) {
        TargetExport* client = TargetExport::of(*exp);
        if (exp->is_dead() || !client) continue;
        if (client->dirty_said_ns.load() < asked_ns_) all_say = false;
        else dirty += client->dirty_bytes.load();
    }
    if (!all_say && now - target_.last_write_ns_.load() < kQuietMs * kMsec) return false;
    if (dirty < least_dirty_) {
        least_dirty_ = dirty;
        least_at_ns_ = now;
    }
    return dirty <= kWarmBytes || now - least_at_ns_ >= kStillMs * kMsec;
}

bool TargetShutdownEnv::all_heard()
{
    Text<256> names;
    size_t left = 0;
    for (Ref<Export>& exp : unheard_) {
        if (exp->is_dead() || exp->last_heard_ns() >= asked_ns_) continue;
        if (left < kNamesMax && names.append(" ").ok()) (void)names.append(exp->nodename());
        if (&unheard_[left] != &exp) std::swap(unheard_[left], exp);
        left++;
    }
    while (unheard_.size() > left) unheard_.pop_back();
    withheld_.lock()->drain.silent_names = names;
    return left == 0;
}

void TargetShutdownEnv::evict_unheard()
{
    (void)all_heard();  // who came back meanwhile
    for (Ref<Export>& exp : unheard_)
        if (target_.ldlm().holds_active(*exp))
            give_up(*exp, "nothing was heard of it before the shutdown");
    forget_unheard();
}

void TargetShutdownEnv::forget_unheard()
{
    unheard_.clear();
    asked_.clear();
    withheld_.lock()->drain.silent_names = {};
}

void TargetShutdownEnv::refuse_connections(bool on)
{
    {
        auto s = withheld_.lock();
        s->withholding = on;
        if (on) s->drain = Drain();
    }
    target_.refuse_new_.store(on);
}

void TargetShutdownEnv::park(bool on)
{
    target_.parked_.store(on);
    target_.ldlm().park_waiters(on);
    target_.service().background(!on);
    if (on) return;
    forget_unheard();
    thaw();
}

Status TargetShutdownEnv::begin_exclusive()
{
    Drain drain;
    drain.told = holders();
    report_deaf(drain);
    withheld_.lock()->drain = drain;
    return target_.ldlm().begin_exclusive();
}

Status TargetShutdownEnv::wait_exclusive(uint64_t deadline_ns)
{
    return target_.ldlm().wait_exclusive(deadline_ns);
}
void TargetShutdownEnv::end_exclusive()
{
    if (!target_.halting_.load()) target_.ldlm().end_exclusive();
}

// Clients that cannot be told are served as ever: their requests wait while we halt, then they find
// the next instance and recover.
void TargetShutdownEnv::report_deaf(Drain& drain)
{
    Vec<Ref<Export>> list;
    if (!target_.exports_.list(&list).ok()) return;
    for (Ref<Export>& exp : list) {
        if (TargetExport::of(*exp)->light || (exp->connect_flags() & kConnectUpdateLock)) continue;
        drain.deaf++;
        (void)drain.deaf_names.append(exp->nodename());
        (void)drain.deaf_names.append(" ");
    }
    if (drain.deaf)
        log_notice("%s: %zu clients do not know controlled shutdowns and will see a restart: %s",
                   target_.name(), drain.deaf, drain.deaf_names.c_str());
}

size_t TargetShutdownEnv::holders() { return target_.ldlm().active_holder_count(); }

void TargetShutdownEnv::name_holders(Text<256>* names)
{
    Vec<Ref<Export>> list;
    if (!target_.ldlm().active_holders(&list, kNamesMax).ok()) return;
    for (Ref<Export>& exp : list)
        if (!names->append(" ").ok() || !names->append(exp->nodename()).ok()) break;
}

// T7: everything of a client that is away is committed. It stays known, unless it holds locks whose
// loss it could not notice.
void TargetShutdownEnv::let_go_of_absent(Export& exp)
{
    log_notice("%s: client %s (%s) is away: it will resume at the next instance", target_.name(),
               exp.client_uuid().c_str(), exp.nodename().c_str());
    if (TargetExport* t = TargetExport::of(exp)) t->let_go.store(true);
    target_.ldlm().drop_export(exp);
}

size_t TargetShutdownEnv::evict_late(uint64_t progress_since_ns)
{
    Vec<Ref<Export>> list;
    if (!target_.ldlm().active_holders(&list).ok()) return 1;
    size_t left = 0;
    for (Ref<Export>& exp : list) {
        TargetExport* t = TargetExport::of(*exp);
        if (progress_since_ns && t && t->progress_ns.load() >= progress_since_ns) left++;
        else give_up(*exp, "it did not give back the active server lock in time");
    }
    return left;
}

void TargetShutdownEnv::give_up(Export& exp, const char* why)
{
    if (!exp.is_connected() && target_.ldlm().export_locks(exp) <= 1) return let_go_of_absent(exp);
    {
        auto s = withheld_.lock();
        s->drain.late++;
        (void)s->drain.late_names.append(exp.nodename());
        (void)s->drain.late_names.append(" ");
    }
    target_.evict(exp, why);
}

// From here on nothing is executed (S4, S14, T4): what still arrives waits, and is sent again to
// the next instance.
Status TargetShutdownEnv::freeze()
{
    if (is_frozen_) return kOk;
    is_frozen_ = true;
    target_.frozen_.close();
    return target_.running_.close(deadline_after_ms(kFreezeMs));
}

void TargetShutdownEnv::thaw()
{
    if (!std::exchange(is_frozen_, false)) return;
    target_.running_.reopen();
    Vec<Ref<ServerRequest>> held = target_.frozen_.open();
    for (Ref<ServerRequest>& request : held) target_.handle(request);
}

Status TargetShutdownEnv::commit_all()
{
    TRY(freeze());
    for (unsigned i = 0; i < kCommitTriesMax; i++) {
        TRY(target_.commit_.commit());
        if (target_.commit_.all_committed()) return kOk;
    }
    return -kEIO;
}

Status TargetShutdownEnv::write_clean_record(const ShutdownPhases& so_far)
{
    CleanRecord record;
    record.software = kSoftwareVersion;
    record.protocol = static_cast<uint16_t>(target_.node().options().protocol_max);
    record.instance = target_.instance();
    record.last_transno = target_.last_transno();
    record.times = {so_far.warm, so_far.notify, so_far.drain, so_far.commit, kapi_realtime_ns()};
    Vec<UuidText> clients;
    TRY(target_.store().list_clients(&clients));
    for (const UuidText& uuid : clients) TRY(record.clients.push_back(CleanRecord::Client{uuid}));
    TRY(target_.service().save_opens(&record.opens));
    TRY(target_.reservations_.unsettled_opens(&record.opens));
    TRY(target_.ldlm().flocks().save(&record.flocks));
    return lull::write_clean_record(target_.store(), target_.identity().kind, record);
}

Status TargetShutdownEnv::erase_clean_record()
{
    return lull::erase_clean_record(target_.store(), target_.identity().kind);
}

bool TargetShutdownEnv::withhold(Ref<ServerRequest> request)
{
    auto s = withheld_.lock();
    return s->withholding && s->cancels.push_back(std::move(request)).ok();
}

void TargetShutdownEnv::release_cancels(bool committed)
{
    Vec<Ref<ServerRequest>> cancels;
    uint32_t spread_ms;
    {
        auto s = withheld_.lock();
        s->withholding = false;
        spread_ms = restart_spread_ms(s->drain.told);
        cancels.swap(s->cancels);
    }
    // who comes now has to wait for the next instance
    if (committed) target_.refuse_all_.store(true);
    for (Ref<ServerRequest>& request : cancels) {
        if (committed) request->set_reply_flags(kRpcCommitted);
        request->set_last_committed(target_.last_committed());
        LdlmCancelReply reply;
        if (committed) reply.restart_spread_ms = spread_ms;
        request->reply(reply);
    }
}

void TargetShutdownEnv::halt()
{
    target_.halting_.store(true);
    target_.drop_everything();
    target_.halted_.store(true);
    target_.listener_.on_halted(target_);
}

}  // namespace lull
