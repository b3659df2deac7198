// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/ost_pool.h"

#include "kapi/log.h"
#include "ptlrpc/outage_log.h"

namespace lull {

OstPool::~OstPool() { LULL_ASSERT(!task_.started()); }

Status OstPool::start()
{
    TRY(load());
    return task_.start<&OstPool::task>(this, "mdt_osts");
}

NameText OstPool::file_name() const
{
    return text_format<kNameMax>("%s-osts", target_.target_name().c_str());
}

NameText OstPool::settings_name() const
{
    return text_format<kNameMax>("%s-set", target_.target_name().c_str());
}

template <class Record> Status OstPool::read_record(const NameText& name, Record* out)
{
    Result<Bytes> stored = target_.store().read_config(name);
    if (stored.is(kENOENT)) return kOk;
    if (!stored.ok()) return stored.status();
    Decoder in(kProtocol2, stored.value());
    out->io(in);
    return in.finish();
}

Status OstPool::load()
{
    MgsConfigReply known;
    TRY(read_record(file_name(), &known));
    TRY(read_record(settings_name(), &settings_));
    TRY(note_removed());
    for (const TargetConfig& ost : known.targets)
        if (!is_removed(ost.index)) TRY(add(ost, true));
    saved_ = known.targets.size();
    apply_settings();
    return kOk;
}

// Those that were reached, when there is one that is not kept yet.
Status OstPool::save()
{
    MgsConfigReply known;
    Vec<Ref<Osp>> all;
    TRY(reached(&all));
    for (Ref<Osp>& osp : all) TRY(known.targets.push_back(osp->config()));
    if (known.targets.size() == saved_) return kOk;
    TRY(write_record(file_name(), known));
    saved_ = known.targets.size();
    return kOk;
}

template <class Record> Status OstPool::write_record(const NameText& name, Record& record)
{
    Encoder out(kProtocol2);
    record.io(out);
    TRY(out.status());
    {
        auto s = state_.lock();
        if (s->parked || s->stop) return -kEPark;
        s->saving = true;
    }
    Status status = target_.store().write_config(name, out.output());
    auto s = state_.lock();
    s->saving = false;
    changed_.wake_all();
    return status;
}

void OstPool::close()
{
    Ref<Import> mgc;
    {
        auto s = state_.lock();
        s->stop = true;
        mgc = s->mgc;
        changed_.wake_all();
    }
    if (mgc) mgc->close();
    // No OST is added any more once the task is gone; the list can be walked without the lock.
    task_.join();
    drop_mgc();
    for (Ref<Osp>& osp : state_.unsafe().osts) osp->close();
}

void OstPool::park(bool on)
{
    auto s = state_.lock();
    s->parked = on;
    s->kicked = !on;  // what was not written meanwhile
    changed_.wake_all();
    while (on && s->saving) (void)s.wait(changed_);
}

void OstPool::task()
{
    OutageLog outage;
    for (;;) {
        Status status = fetch();
        uint64_t now = now_ns();
        if (status.ok()) outage.over();
        else if (!state_.lock()->stop && outage.failed(now))
            log_warn("%s: the MGS does not tell the OSTs of %s: error %d, %s",
                     target_.target_name().c_str(), target_.identity().fsname.c_str(),
                     status.error(), outage.describe(now).c_str());
        auto s = state_.lock();
        uint64_t deadline = deadline_after_ms(s->osts.empty() ? kFirstRefreshMs : kRefreshMs);
        (void)s.wait_until(
            changed_, [&] { return s->stop || s->kicked; }, deadline);
        if (s->stop) return;
        s->kicked = false;
    }
}

Status OstPool::fetch()
{
    Ref<Import> mgc = TRY(connect_mgc());
    auto call = make_ref<Call<MgsConfigOp>>();
    if (!call) return -kENOMEM;
    call->op.fsname = target_.identity().fsname;
    Status status = mgc->call(*call);
    if (status.is(kENOENT)) return kOk;  // nobody registered yet
    if (!status.ok()) {
        drop_mgc();
        return status;
    }
    for (const TargetConfig& t : call->reply.targets)
        if (t.kind == static_cast<uint8_t>(TargetKind::kOst)) TRY(add(t, false));
    for (const TargetPlace& place : call->reply.places) (void)take_place(place);
    return admit(*mgc);
}

// Those that can be reached, not removed.
Status OstPool::reached(Vec<Ref<Osp>>* out)
{
    Vec<uint32_t> all;
    TRY(indices(&all));
    for (uint32_t index : all)
        if (Ref<Osp> osp = find(index); osp && osp->was_reached()) TRY(out->push_back(osp));
    return kOk;
}

// The order is what counts: kept, told, and, after that, not removed.
Status OstPool::admit(Import& mgc)
{
    Vec<uint32_t> all;
    TRY(indices(&all));
    for (uint32_t index : all)
        if (Ref<Osp> osp = find(index)) osp->warn_if_never_reached();
    Vec<Ref<Osp>> used;
    TRY(reached(&used));
    TRY(save());
    Status told = tell_used(mgc, used);
    TRY(fetch_settings(mgc));
    if (!told.is(kEOPNOTSUPP)) TRY(told);
    for (Ref<Osp>& osp : used)
        if (!is_removed(osp->index())) osp->admit();
    changed_.wake_all();
    return kOk;
}

Status OstPool::tell_used(Import& mgc, const Vec<Ref<Osp>>& used)
{
    auto call = make_ref<Call<MgsOstsUsedOp>>();
    if (!call) return -kENOMEM;
    call->op.fsname = target_.identity().fsname;
    call->op.instance = target_.instance();
    for (const Ref<Osp>& osp : used) TRY(call->op.used.push_back({osp->index()}));
    return mgc.call(*call);
}

// An MGS that knows none changes nothing.
Status OstPool::fetch_settings(Import& mgc)
{
    auto call = make_ref<Call<MgsSettingsOp>>();
    if (!call) return -kENOMEM;
    call->op.fsname = target_.identity().fsname;
    Status status = mgc.call(*call);
    if (status.is(kEOPNOTSUPP)) return kOk;
    TRY(status);
    bool same = call->reply.settings.size() == settings_.settings.size();
    for (size_t i = 0; same && i < settings_.settings.size(); i++) {
        const TargetSettings &a = settings_.settings[i], &b = call->reply.settings[i];
        same = a.name == b.name.str() && a.active == b.active &&
               a.max_create_count == b.max_create_count;
    }
    if (!same && write_record(settings_name(), call->reply).ok())
        settings_ = std::move(call->reply);
    TRY(note_removed());
    apply_settings();
    return kOk;
}

Status OstPool::note_removed()
{
    Vec<uint32_t> removed;
    for (const TargetSettings& s : settings_.settings)
        if (s.is_removed()) TRY(removed.push_back(TRY(ost_index_of(s.name))));
    state_.lock()->removed.swap(removed);
    return kOk;
}

bool OstPool::is_removed(uint32_t index) { return state_.lock()->is_removed(index); }

bool OstPool::State::is_removed(uint32_t index) const
{
    for (uint32_t gone : removed)
        if (gone == index) return true;
    return false;
}

// Those that are told of nothing are as by default.
void OstPool::apply_settings()
{
    size_t n = state_.lock()->osts.size();
    for (size_t i = 0; i < n; i++) {
        Ref<Osp> osp = state_.lock()->osts[i];
        TargetSettings wanted;
        for (const TargetSettings& s : settings_.settings)
            if (s.name == osp->target().str()) wanted = s;
        osp->apply(wanted);
    }
}

bool OstPool::take_place(const TargetPlace& place)
{
    Ref<Osp> osp;
    {
        auto s = state_.lock();
        for (Ref<Osp>& o : s->osts)
            if (o->target() == place.name.str()) osp = o;
    }
    if (!osp) return false;
    // One that is new has to be found where it says it may run: who asks no MGS finds it nowhere
    // else, nor does anybody once the MGS has been restarted.
    Nid nid{place.nid};
    if (osp->was_reached() || osp->may_run_at(nid)) osp->import().target_is_at(nid, place.instance);
    return true;
}

void OstPool::kick()
{
    state_.lock()->kicked = true;
    changed_.wake_all();
}

// It may have missed something.
void OstPool::on_full(const ConnectReply&, bool) { kick(); }

void OstPool::on_callback(Opcode opcode, Decoder& body)
{
    MgsTargetAt news;
    if (opcode != Opcode::kMgsTargetAt) return;
    news.io(body);
    if (!body.finish().ok() || !(news.fsname == target_.identity().fsname.str())) return;
    // an OST that has just registered, or settings
    if (!news.place.nid || !take_place(news.place)) kick();
}

Result<Ref<Import>> OstPool::connect_mgc()
{
    Ref<Import> mgc = state_.lock()->mgc;
    if (mgc) return mgc;
    ImportOptions options;
    options.target = "MGS";
    options.client_uuid = target_.node().make_uuid();
    options.connect_flags = kConnectLight;
    options.gate_closed_for = 0;
    TRY(options.nids.assign(target_.identity().mgs_nids.data(),
                            target_.identity().mgs_nids.size()));
    if (options.nids.empty()) {  // the MGS is on this device
        Nid own = target_.node().transport().own_nid();
        if (own.is_zero()) return -kENETUNREACH;
        TRY(options.nids.push_back(own));
    }
    mgc = TRY(Import::create(target_.node(), std::move(options), this));
    bool stop;
    {
        auto s = state_.lock();
        stop = s->stop;
        s->mgc = mgc;
    }
    Status status = stop ? Status(-kESHUTDOWN)
                         : mgc->connect(deadline_after_ms(kFetchMs), WaitMode::kUninterruptible);
    if (status.ok()) return mgc;
    drop_mgc();
    return status;
}

void OstPool::drop_mgc()
{
    Ref<Import> mgc;
    {
        auto s = state_.lock();
        std::swap(mgc, s->mgc);
    }
    if (mgc) mgc->close();
}

Status OstPool::add(const TargetConfig& ost, bool reached_before)
{
    if (find(ost.index) || is_removed(ost.index)) return kOk;
    if (ost.index >= kOstsMax) return -kEINVAL;
    Ref<Osp> osp =
        TRY(Osp::create(target_.node(), ost, target_.target_name(), *this, reached_before));
    Status status;
    {
        auto s = state_.lock();
        status = s->osts.push_back(osp);
        if (status.ok()) {
            for (size_t i = s->osts.size() - 1;
                 i > 0 && s->osts[i]->index() < s->osts[i - 1]->index(); i--)
                std::swap(s->osts[i], s->osts[i - 1]);
            changed_.wake_all();
        }
    }
    if (!status.ok()) osp->close();
    else
        log_info("%s: uses %s at %s", target_.target_name().c_str(), ost.name.c_str(),
                 ost.nids.c_str());
    return status;
}

bool OstPool::any_admitted(const State& s) const
{
    for (const Ref<Osp>& osp : s.osts)
        if (osp->is_admitted()) return true;
    return false;
}

Status OstPool::wait_known()
{
    auto s = state_.lock();
    if (any_admitted(*s)) return kOk;
    if (s->osts.empty()) {
        s->kicked = true;
        changed_.wake_all();
    }
    auto over = [&] { return s->stop || s->parked || any_admitted(*s); };
    (void)s.wait_until(changed_, over, deadline_after_ms(kWaitKnownMs));
    if (any_admitted(*s)) return kOk;
    if (s->parked) return -kEPark;
    bool none = s->osts.empty();
    s.unlock();
    log_err("%s: a file cannot be created: no OST of %s %s", target_.target_name().c_str(),
            target_.identity().fsname.c_str(),
            none ? "has registered at the MGS" : "could be reached yet");
    s.relock();
    return -kENODEV;
}

Status OstPool::indices(Vec<uint32_t>* out)
{
    auto s = state_.lock();
    for (Ref<Osp>& osp : s->osts)
        if (!s->is_removed(osp->index())) TRY(out->push_back(osp->index()));
    return kOk;
}

Status OstPool::for_new_objects(Vec<OstSpace>* out)
{
    Vec<uint32_t> all;
    TRY(indices(&all));
    Osp::Standing best = Osp::Standing::kUnknown;
    for (uint32_t index : all) {
        Ref<Osp> osp = find(index);
        Osp::Standing standing = osp ? osp->standing() : Osp::Standing::kUnknown;
        if (standing > best || standing == Osp::Standing::kUnknown) continue;
        if (standing < best) out->clear();
        best = standing;
        TRY(out->push_back({index, osp->avail_bytes()}));
    }
    return kOk;
}

Ref<Osp> OstPool::find(uint32_t index)
{
    auto s = state_.lock();
    for (Ref<Osp>& osp : s->osts)
        if (osp->index() == index) return osp;
    return {};
}

void OstPool::show(TextSink& out)
{
    Vec<uint32_t> all;
    if (!indices(&all).ok()) return;
    for (uint32_t index : all) {
        Ref<Osp> osp = find(index);
        out.printf("%u: %s %s\n", osp->index(), osp->target().c_str(),
                   osp->is_connected() ? "connected" : "disconnected");
    }
}

}  // namespace lull
