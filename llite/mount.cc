// SPDX-License-Identifier: GPL-2.0-only
#include "llite/mount.h"

#include "kapi/log.h"
#include "llite/gated.h"

namespace lull {

Mount::Mount(Node& node)
    : node_(node), config_mutex_(LockRank::kNodeControl), tables_(LockRank::kLliteMount),
      force_(LockRank::kLeaf)
{}

Mount::~Mount()
{
    close();
    Tables& tables = tables_.unsafe();
    LULL_ASSERT(tables.inodes.empty() && tables.objects.empty());
}

Result<Owned<Mount>> Mount::create(Node& node, Str source, Str options, WhyText* why)
{
    auto mount = make<Mount>(node);
    if (!mount) return -kENOMEM;
    TRY(mount->init(source, options, why));
    return mount;
}

Status Mount::init(Str source, Str options, WhyText* why)
{
    TRY(host_uses_.init());
    TRY(parse_mount_source(source, &source_, why));
    TRY(parse_mount_options(options, &options_, why));
    uuid_ = node_.make_uuid();
    id_ = text_format<16>("%08x", static_cast<unsigned>(kapi_random_u64()));
    fs_lock_ = make<FsLock>(static_cast<FsLockTargets&>(*this), source_.fsname);
    if (!fs_lock_) return -kENOMEM;
    TRY(fs_lock_->start());
    TRY(make_mgc());
    Config config = TRY(fetch_config(why));
    for (const TargetConfig& target : config->reply.targets) {
        if (target.kind == static_cast<uint8_t>(TargetKind::kMdt) && target.index == 0)
            TRY(add_mdt(target));
        if (target.kind == static_cast<uint8_t>(TargetKind::kOst)) TRY(add_ost(target));
    }
    if (!mdc_) {
        *why = text_format<255>("no MDT of file system %s has registered at the MGS yet",
                                source_.fsname.c_str());
        return -kENODEV;
    }
    if (auto settings = mgc_->fetch_settings()) apply_settings(settings->reply);
    targets_known_.store(true);
    mgc_->ask_again();
    // wanted meanwhile
    for_each_gate([](Gate& gate, void* lock) { static_cast<FsLock*>(lock)->join(gate); },
                  fs_lock_.get());
    uint64_t deadline = deadline_after_ms(options_.timeout_ms);
    for (auto& osc : oscs_)
        if (osc.load()) TRY(begin_to_connect(*osc.load()));
    TRY(connect(*mdc_, deadline, why));
    TRY(connect_osts(why));
    auto device =
        make<Device>("llite", text_format<64>("%s-%s", source_.fsname.c_str(), id_.c_str()),
                     std::span<const Param>(kParams, 3), this);
    if (!device) return -kENOMEM;
    device->uuid = uuid_;
    TRY(node_.add_device(*device));
    device_ = std::move(device);
    return kOk;
}

template <class Client> Status Mount::connect(Client& client, uint64_t deadline_ns, WhyText* why)
{
    Status s = client.connect(deadline_ns, WaitMode::kInterruptible);
    if (s.ok() || s.is(kERESTARTSYS)) return s;
    const char* target = client.import().options().target.c_str();
    if (s.is(kEPROTONOSUPPORT))
        *why = text_format<255>("%s speaks no protocol version that this client knows", target);
    else if (s.is(kENODEV))
        *why = text_format<255>("%s is not running on any of its nodes", target);
    else *why = text_format<255>("cannot connect to %s (error %d)", target, s.error());
    return s;
}

Result<ImportOptions> Mount::import_options(const TargetConfig& target)
{
    ImportOptions options;
    options.target = target.name;
    options.client_uuid = uuid_;
    TRY(parse_nids(target.nids, &options.nids));
    return options;
}

Status Mount::add_mdt(const TargetConfig& target)
{
    mdc_ = TRY(Mdc::create(node_, TRY(import_options(target)), *this, id_));
    closer_ = make<Closer>(mdc_->import());
    flocks_ = make<Flocks>(mdc_->import());
    if (!closer_ || !flocks_) return -kENOMEM;
    TRY(closer_->start());
    return flocks_->start();
}

Status Mount::add_ost(const TargetConfig& target)
{
    if (target.index >= kOstsMax) {
        log_err("%s: index %u is above the limit of %u OSTs", target.name.c_str(), target.index,
                kOstsMax - 1);
        return -kERANGE;
    }
    if (oscs_[target.index].load()) return kOk;
    auto osc = TRY(Osc::create(node_, TRY(import_options(target)), target.index, *this, id_));
    Gate& gate = osc->import().gate();
    oscs_[target.index].store(osc.release());
    fs_lock_->join(gate);
    return kOk;
}

Result<Osc*> Mount::osc(uint32_t index)
{
    if (Osc* osc = known_osc(index)) return osc;
    if (index >= kOstsMax) return -kENODEV;
    if (removed_[index].load()) return -kEIO;
    MutexLock lock(config_mutex_);
    if (Osc* osc = known_osc(index)) return osc;
    TRY(refresh_config());
    Osc* osc = known_osc(index);
    return osc ? Result<Osc*>(osc) : Result<Osc*>(-kENODEV);
}

// An OST that is away keeps nobody from working with what lies on others.
Status Mount::connect_osts(WhyText* why)
{
    uint64_t deadline = deadline_after_ms(kOstPatienceMs);
    for (auto& known : oscs_) {
        Osc* osc = known.load();
        if (!osc || !osc->import().is_active()) continue;
        Status s = connect(*osc, deadline, why);
        if (s.ok()) continue;
        if (!s.is(kETIMEDOUT) && !s.is(kENODEV) && osc->import().is_active()) return s;
        log_warn("%s: %s; files on it wait for it", source_.fsname.c_str(), why->c_str());
        *why = {};
    }
    return kOk;
}

// Starts to connect, and waits for nobody.
Status Mount::begin_to_connect(Osc& osc)
{
    for (;;) {
        Status s = osc.connect(0, WaitMode::kUninterruptible);
        if (!s.is(kENOMEM)) return s.is(kETIMEDOUT) || !osc.import().is_active() ? kOk : s;
        if (forced_.load()) return -kESHUTDOWN;
        kapi_sleep_ns(kRetryNs);
    }
}

// An OST joined since we mounted. Its first use waits at its gate until it is connected. The caller
// holds no gate.
Status Mount::refresh_config()
{
    if (forced_.load()) return -kESHUTDOWN;
    WhyText why;
    auto fetched = fetch_config(&why);
    if (!fetched.ok()) {
        if (!why.empty()) log_warn("%s: %s", source_.fsname.c_str(), why.c_str());
        return fetched.status();
    }
    for (const TargetConfig& target : fetched.value()->reply.targets) {
        if (target.kind != static_cast<uint8_t>(TargetKind::kOst) || known_osc(target.index))
            continue;
        TRY(add_ost(target));
        TRY(begin_to_connect(*known_osc(target.index)));
        log_info("%s: %s has joined", source_.fsname.c_str(), target.name.c_str());
        mgc_->ask_again();
    }
    return kOk;
}

Status Mount::make_mgc()
{
    ImportOptions options;
    options.target = "MGS";
    options.client_uuid = uuid_;
    options.connect_flags = kConnectLight;
    options.gate_closed_for = 0;
    options.nowhere_ms = kMgsNowhereMs;
    TRY(options.nids.assign(source_.mgs_nids.data(), source_.mgs_nids.size()));
    mgc_ = TRY(Mgc::create(node_, std::move(options), source_.fsname, *this));
    return kOk;
}

Result<Mount::Config> Mount::fetch_config(WhyText* why)
{
    auto call = make_ref<Call<MgsConfigOp>>();
    if (!call) return -kENOMEM;
    TRY(ask_mgs(mgc_->import(), *call, why));
    return call;
}

// A target has started (R5).
void Mount::on_target_at(const TargetPlace& place)
{
    if (!targets_known_.load()) return;
    auto tell = [&](Import& import) {
        if (import.options().target == place.name.str())
            import.target_is_at(Nid{place.nid}, place.instance);
    };
    tell(mdc_->import());
    for (auto& osc : oscs_)
        if (osc.load()) tell(osc.load()->import());
}

void Mount::on_settings(const MgsSettingsReply& settings)
{
    if (targets_known_.load()) apply_settings(settings);
}

void Mount::apply_settings(const MgsSettingsReply& settings)
{
    for (const TargetSettings& s : settings.settings)
        if (auto index = ost_index_of(s.name); s.is_removed() && index.ok())
            if (index.value() < kOstsMax) removed_[index.value()].store(true);
    for (auto& known : oscs_) {
        Osc* osc = known.load();
        if (!osc) continue;
        bool active = true;
        for (const TargetSettings& s : settings.settings)
            if (s.name == osc->import().options().target.str()) active = s.is_active();
        osc->import().set_active(active);
    }
}

// ---- the file-system-wide lock (T5)

void Mount::on_mgs_full(bool first_of_instance) { fs_lock_->on_full(first_of_instance); }
void Mount::on_freeze_wanted(uint64_t handle) { fs_lock_->on_wanted(handle); }

void Mount::for_each_gate(void (*fn)(Gate& gate, void* arg), void* arg)
{
    if (!targets_known_.load()) return;  // still mounting: nothing is done there yet
    fn(mdc_->import().gate(), arg);
    for (auto& osc : oscs_)
        if (osc.load()) fn(osc.load()->import().gate(), arg);
}

// A target that is down now takes no data and commits nothing for us; what it had not committed is
// replayed when it is back, as always.
Status Mount::flush_everything(uint64_t deadline_ns)
{
    if (!targets_known_.load()) return kOk;
    auto is_there = [](auto& client) { return client.import().state() == ImportState::kFull; };
    for (auto& osc : oscs_)
        if (osc.load() && is_there(*osc.load())) TRY(osc.load()->locks().flush_all(deadline_ns));
    if (is_there(*mdc_)) TRY(mdc_->locks().flush_all(deadline_ns));
    for (auto& osc : oscs_)
        if (osc.load() && is_there(*osc.load())) TRY(osc.load()->sync());
    if (!is_there(*mdc_)) return kOk;
    auto call = make_ref<Call<MdsSyncOp>>();
    if (!call) return -kENOMEM;
    call->reply_wait = WaitMode::kUninterruptible;
    return mdc_->import().call(*call);
}

Status Mount::show_fs_lock(void* object, TextSink& out)
{
    FsLock& lock = *static_cast<Mount*>(object)->fs_lock_;
    out.printf("state: %s\ngates: %s\n", lock.state(), lock.closed() ? "closed" : "open");
    return out.status();
}

Status Mount::ask_mgs(Import& mgc, Call<MgsConfigOp>& call, WhyText* why)
{
    Text<200> nids;
    for (Nid nid : source_.mgs_nids) {
        if (!nids.empty()) (void)nids.append(":");
        (void)nids.append(to_text(nid));
    }
    uint64_t deadline = deadline_after_ms(kMgsTimeoutMs);
    Status s = mgc.connect(deadline, WaitMode::kInterruptible);
    if (s.ok()) s = mgc.wait_full(deadline, WaitMode::kInterruptible);
    if (s.is(kERESTARTSYS)) return s;
    if (s.is(kENODEV)) {
        *why = text_format<255>("no MGS runs at %s: are these its nodes, is it started?",
                                nids.c_str());
        return s;
    }
    if (!s.ok()) {
        *why = text_format<255>("no MGS answers at %s (error %d)", nids.c_str(), s.error());
        return s;
    }
    call.op.fsname = source_.fsname;
    s = mgc.call(call);
    if (s.is(kENOENT))
        *why = text_format<255>("the MGS at %s knows no file system '%s'", nids.c_str(),
                                source_.fsname.c_str());
    else if (!s.ok() && !s.is(kERESTARTSYS))
        *why = text_format<255>("the MGS at %s did not give the configuration (error %d)",
                                nids.c_str(), s.error());
    return s;
}

void Mount::close()
{
    force_.lock()->over = true;
    force_over_.wake_all();
    forcer_.join();
    if (device_) {
        node_.remove_device(*device_);
        device_.reset();
    }
    if (mgc_) mgc_->close();
    if (fs_lock_) fs_lock_->close();
    if (mdc_) mdc_->close();
    closer_.reset();  // what they were waiting for has failed
    flocks_.reset();
    for (auto& osc : oscs_)
        if (osc.load()) osc.load()->close();
    for (auto& osc : oscs_) Owned<Osc> freed(osc.exchange(nullptr));
    mdc_.reset();
}

void Mount::interrupt_waits()
{
    if (!targets_known_.load()) return;
    mdc_->import().interrupt_waits();
    for (auto& osc : oscs_)
        if (osc.load()) osc.load()->import().interrupt_waits();
}

void Mount::end_by_force()
{
    if (forced_.exchange(true)) return;
    mgc_->import().close();
    give_up_lost(false);
    // Without a task that looks on: nothing is waited for.
    if (!forcer_.start<&Mount::force_task>(this, "lull_force").ok()) give_up_lost(true);
}

void Mount::force_task()
{
    uint64_t patience = deadline_after_ms(kForceRecoveryMs);
    for (;;) {
        {
            auto force = force_.lock();
            (void)force.wait_until(
                force_over_, [&] { return force->over; }, deadline_after_ms(kForceLookMs));
            if (force->over) return;
        }
        give_up_lost(now_ns() >= patience);
    }
}

// A target that cannot be used has its connection closed: what waits for it, and what comes, fails.
void Mount::give_up_lost(bool recovering_too)
{
    auto look = [&](Import& import) {
        ImportState state = import.state();
        bool usable = state == ImportState::kFull && import.gate().state() == Gate::State::kOpen;
        bool away = state == ImportState::kNew || state == ImportState::kConnecting ||
                    state == ImportState::kDisconn;
        if (state == ImportState::kClosed || usable || !(away || recovering_too)) return;
        log_warn("%s: given up by a forced umount", import.options().target.c_str());
        import.close();
    };
    look(mdc_->import());
    for (auto& osc : oscs_)
        if (osc.load()) look(osc.load()->import());
}

Status Mount::statfs(struct llc_statfs* out)
{
    auto call = make_ref<Call<MdsStatfsOp>>();
    if (!call) return -kENOMEM;
    TRY(mdc_->import().call(*call));
    *out = {};
    out->files = call->reply.files;
    out->free_files = call->reply.free_files;
    out->block_bytes = kPageBytes;
    out->name_max = kNameMax;
    for (auto& osc : oscs_) {
        if (!osc.load() || !osc.load()->import().is_active()) continue;
        StatfsReply one;
        Status s = osc.load()->statfs(!options_.lazystatfs, &one);
        if (s.is(kEPark) || s.is(kEGiveWay)) continue;  // away
        TRY(s);
        out->total_bytes += one.total_bytes;
        out->free_bytes += one.free_bytes;
        out->avail_bytes += one.avail_bytes;
    }
    return kOk;
}

Status Mount::sync_mdt()
{
    if (!mdc_->import().is_owed_a_commit()) return kOk;
    Gate* gate = &mdc_->import().gate();
    return run_gated({&gate, 1}, [this]() -> Status {
        auto call = make_ref<Call<MdsSyncOp>>();
        if (!call) return -kENOMEM;
        call->admitted = true;
        return mdc_->import().call(*call);
    });
}

Status Mount::sync_ost(Osc& osc)
{
    if (!osc.import().is_owed_a_commit()) return kOk;
    Gate* gate = &osc.import().gate();
    return run_gated({&gate, 1}, [&] { return osc.sync(); });
}

Status Mount::sync()
{
    TRY(sync_mdt());
    for (auto& osc : oscs_)
        if (osc.load()) TRY(sync_ost(*osc.load()));
    return kOk;
}

bool Mount::take_loss()
{
    uint64_t losses = 0;
    for (auto& osc : oscs_)
        if (osc.load()) losses += osc.load()->import().stats().losses;
    return losses_taken_.exchange(losses) != losses;
}

// ---- parameters

Status Mount::show_stats(void* object, TextSink& out)
{
    Mount& m = *static_cast<Mount*>(object);
    using ull = unsigned long long;
    out.printf("lookups: %llu\ncreates: %llu\nopens: %llu\ncloses: %llu\n",
               static_cast<ull>(m.stats.lookups), static_cast<ull>(m.stats.creates),
               static_cast<ull>(m.stats.opens), static_cast<ull>(m.stats.closes));
    out.printf("io_scopes: %llu\nread_bytes: %llu\nwritten_bytes: %llu\n",
               static_cast<ull>(m.stats.io_scopes), static_cast<ull>(m.stats.read_bytes),
               static_cast<ull>(m.stats.written_bytes));
    out.printf("locks_lost: %llu\nevictions: %llu\ninodes: %zu\n",
               static_cast<ull>(m.stats.locks_lost), static_cast<ull>(m.mdt_generation()),
               m.tables_.lock()->inodes.size());
    return out.status();
}

Status Mount::show_uuid(void* object, TextSink& out)
{
    out.append(static_cast<Mount*>(object)->uuid_);
    return out.status();
}

const Param Mount::kParams[] = {{"stats", show_stats, nullptr},
                                {"uuid", show_uuid, nullptr},
                                {"fs_lock", show_fs_lock, nullptr}};

}  // namespace lull
