// SPDX-License-Identifier: GPL-2.0-only
#include "target/target_impl.h"

#include "kapi/log.h"
#include "target/observer.h"
#include "target/params.h"
#include "target/services.h"

namespace lull {

TargetImpl::TargetImpl(Node& node, Store& store, TargetIdentity&& identity, HaltListener& listener)
    : node_(node), store_(store), identity_(std::move(identity)), listener_(listener),
      commit_(*this, identity_.name.c_str()), recovery_(*this, identity_.name.c_str())
{}

TargetImpl::~TargetImpl() { stop(false); }

Result<Owned<TargetImpl>> TargetImpl::create(Node& node, Store& store, TargetIdentity&& identity,
                                             HaltListener& listener, ServiceFactory factory)
{
    Owned<TargetImpl> t = make<TargetImpl>(node, store, std::move(identity), listener);
    if (!t) return -kENOMEM;
    t->factory_ = factory ? factory : service_factory(t->identity_.kind);
    if (!t->factory_) return -kEOPNOTSUPP;
    TRY(t->running_.init());
    TRY(t->alive_.init());
    t->shutdown_ = TRY(Shutdown::create(t->shutdown_env_, t->name(), t->tunables_));
    return t;
}

// ---- start

Status TargetImpl::gather(StartFacts* facts, CleanRecord* clean, Vec<UuidText>* clients,
                          Text<200>* why)
{
    facts->protocol_now = static_cast<uint16_t>(node_.options().protocol_max);
    auto before = read_instance(store_, identity_.kind);
    facts->first = before.is(kENODATA);
    if (facts->first) return kOk;
    if (!before.ok()) {
        *why = text_format<200>("%s: its instance record cannot be read (error %d)", name(),
                                before.error());
        return before.status();
    }
    facts->protocol_before = before.value().protocol;
    facts->software_before = before.value().software;
    instance_ = before.value().instance;
    auto record = read_clean_record(store_, identity_.kind);
    facts->clean = record.ok() && record.value().instance == instance_;
    if (facts->clean) *clean = record.release_value();
    else if (record.is(kENOMEM)) return record.status();
    else if (!record.is(kENOENT))
        log_warn("%s: the clean record is damaged or stale: not a clean start", name());

    if (identity_.kind == TargetKind::kMgs) return kOk;  // its clients are light
    Vec<UuidText> recorded;
    TRY(store_.list_clients(&recorded));
    for (const UuidText& uuid : recorded) {
        // Reply slots without a client's record: what an eviction raced with.
        if (read_client_record(store_, uuid).ok()) TRY(clients->push_back(uuid));
        else TRY(store_.remove_client(uuid));
    }
    facts->clients = clients->size();
    return kOk;
}

// The new instance is on disk and the clean flag is gone before anybody is served.
Status TargetImpl::begin_instance(uint64_t before)
{
    InstanceRecord record;
    record.instance = instance_ = before + 1;
    record.protocol = static_cast<uint16_t>(node_.options().protocol_max);
    record.software = kSoftwareVersion;
    TRY(write_instance(store_, identity_.kind, record));
    TRY(erase_clean_record(store_, identity_.kind));
    TRY(store_.sync());
    commit_.open(instance_, committed_before_);
    return kOk;
}

Status TargetImpl::start_service()
{
    service_ = TRY(factory_(*this));
    LdlmServerOptions options;
    ldlm_ = TRY(LdlmServer::create(node_, ldlm_owner_, options));
    return service_->start();
}

Status TargetImpl::expect_former_clients(CleanRecord&& clean, const Vec<UuidText>& clients)
{
    if (decision_.evict_all) {
        for (const UuidText& uuid : clients)
            evict_absent_client(uuid, decision_.version_changed
                                          ? "a lower protocol version was started"
                                          : "abort_recov");
        return kOk;
    }
    if (decision_.kind == StartKind::kResume && !clients.empty()) {
        if (clean.clients.size() != clients.size())
            log_warn("%s: the clean record names %zu clients, %zu are recorded", name(),
                     clean.clients.size(), clients.size());
        for (const ReservedOpen& open : clean.opens) TRY(service_->reserve(open));
        for (const Flock& flock : clean.flocks) TRY(ldlm_->flocks().reserve(flock));
        return reservations_.begin(clients, std::move(clean.opens));
    }
    if (decision_.kind == StartKind::kRecover) {
        ldlm_->set_recovering(true);
        window_.close();
        log_notice("%s: recovery window opens for %zu clients, at most %u s", name(),
                   clients.size(), recovery_.hard_limit_ms() / 1000);
        return recovery_.begin(clients);
    }
    return kOk;
}

Status TargetImpl::start_parts()
{
    TRY(commit_.start_task());
    uint64_t period = node_.options().timeout_ms / 4;
    TRY(evictor_.start(period ? period : 1));
    params_ = TRY(target_params(*service_));
    device_ = make<Device>(device_type(identity_.kind), identity_.name, params_, this);
    if (!device_) return -kENOMEM;
    device_->uuid = identity_.uuid;
    return kOk;
}

Status TargetImpl::start(const StartOptions& options, Text<200>* why)
{
    start_ns_ = now_ns();
    StartFacts facts;
    CleanRecord clean;
    Vec<UuidText> clients;
    recovery_.set_limits(options.recovery_soft_ms, options.recovery_hard_ms);
    recovery_.set_extension(node_.options().timeout_ms);
    facts.force = options.force;
    facts.abort_recov = options.abort_recov;
    TRY(gather(&facts, &clean, &clients, why));
    decision_ = check_start(facts);
    if (decision_.kind == StartKind::kRefuse) {
        Text<200> what = decision_.why;
        *why = text_format<200>("%s: %s", name(), what.c_str());
        log_err("%s", why->c_str());
        return -kEPROTONOSUPPORT;
    }
    committed_before_ =
        facts.clean ? clean.last_transno : TRY(read_last_committed(store_, identity_.kind));
    previous_ = clean.times;
    uint64_t now = kapi_realtime_ns();
    if (previous_.written_at && now > previous_.written_at)
        previous_down_ns_ = now - previous_.written_at;
    started_clean_ = facts.clean || facts.first;
    uint64_t before = instance_;
    TRY(begin_instance(before));
    TRY(start_service());
    TRY(expect_former_clients(std::move(clean), clients));
    if (decision_.kind != StartKind::kRecover && reservations_.left() == 0)
        service_->on_recovery_done();
    return start_parts();
}

Status TargetImpl::serve(Text<200>* why)
{
    Status s = node_.register_target(*this);
    if (s.is(kEALREADY)) *why = text_format<200>("%s runs on this node already", name());
    TRY(s);
    serving_ = true;
    s = node_.add_device(*device_);
    if (!s.ok()) {
        *why = text_format<200>("%s: its parameters cannot be registered (error %d)", name(),
                                s.error());
        return s;
    }
    added_ = true;
    refuse_all_.store(false);
    refuse_new_.store(false);
    start_took_ns_ = now_ns() - start_ns_;
    constexpr const char* kHow[] = {"fresh", "after a clean halt", "after an unclean stop", ""};
    log_notice("%s: started %s as instance %llu in %llu ms, protocol version 1 to %u", name(),
               kHow[static_cast<size_t>(decision_.kind)],
               static_cast<unsigned long long>(instance_),
               static_cast<unsigned long long>(start_took_ns_ / kMsec),
               node_.options().protocol_max);
    return kOk;
}

// ---- stop

void TargetImpl::drop_everything()
{
    refuse_all_.store(true);
    (void)alive_.close(kForever);
    evictor_.stop();
    recovery_.stop();
    if (std::exchange(serving_, false)) node_.unregister_target(*this);
    commit_.stop();
    (void)running_.close(kForever);
    (void)frozen_.open();
    (void)window_.open();
    if (ldlm_) ldlm_->shutdown();
    if (service_) service_->stop();
    exports_.clear();
    service_.reset();
    ldlm_.reset();
}

// Without a client there is nothing to recover: the next start is as good as after a controlled
// shutdown.
void TargetImpl::mark_clean_if_nobody_is_left()
{
    Vec<UuidText> clients;
    bool none = identity_.kind == TargetKind::kMgs ||
                (store_.list_clients(&clients).ok() && clients.empty());
    if (!none || instance_ == 0 || !commit_.commit().ok() || !commit_.all_committed()) return;
    CleanRecord record;
    record.software = kSoftwareVersion;
    record.protocol = static_cast<uint16_t>(node_.options().protocol_max);
    record.instance = instance_;
    record.last_transno = last_transno();
    if (Status s = write_clean_record(store_, identity_.kind, record); !s.ok())
        log_warn("%s: clean record not written (error %d)", name(), s.error());
}

// An ordinary stop: clients stay known and will be waited for.
void TargetImpl::leave_service(bool force)
{
    bool served = serving_;
    refuse_all_.store(true);
    if (ldlm_) ldlm_->park_waiters(true);
    if (service_) service_->background(false);
    Vec<Ref<Export>> list;
    if (force && served && exports_.list(&list).ok())
        for (Ref<Export>& exp : list) evict(*exp, "forced umount");
    if (served) {
        node_.unregister_target(*this);
        serving_ = false;
        evictor_.stop();
        recovery_.stop();
        if (Status s = commit_.commit(); !s.ok())
            log_err("%s: the last commit failed (error %d)", name(), s.error());
        mark_clean_if_nobody_is_left();
    }
    drop_everything();
}

void TargetImpl::halt_along()
{
    shutdown_->stop();
    if (halted()) return;
    leave_service(false);
    halted_.store(true);
    log_notice("%s: halted with the other target of its device", name());
}

void TargetImpl::stop(bool force)
{
    if (std::exchange(stopped_, true)) return;
    if (shutdown_) shutdown_->stop();
    if (!halted()) leave_service(force);
    if (device_ && added_) node_.remove_device(*device_);
    log_notice("%s: stopped", name());
}

Status TargetImpl::begin_shutdown()
{
    if (recovering()) return -kEBUSY;
    return shutdown_->begin();
}

void TargetImpl::on_committed(uint64_t last_committed)
{
    if (TargetObserver* o = node_.observer()) o->on_committed(*this, last_committed);
    service_->on_committed(last_committed);
}

Status TargetImpl::persist(uint64_t last_committed)
{
    return write_last_committed(store_, identity_.kind, last_committed);
}

}  // namespace lull
