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

Status OstPool::load()
{
    Result<Bytes> stored = target_.store().read_config(file_name());
    if (stored.is(kENOENT)) return kOk;
    if (!stored.ok()) return stored.status();
    MgsConfigReply known;
    Decoder in(kProtocol2, stored.value());
    known.io(in);
    TRY(in.finish());
    bool fresh;
    for (const TargetConfig& ost : known.targets) TRY(add(ost, &fresh));
    return kOk;
}

Status OstPool::save(MgsConfigReply& known)
{
    Encoder out(kProtocol2);
    known.io(out);
    TRY(out.status());
    {
        auto s = state_.lock();
        if (s->parked || s->stop) return -kEPark;
        s->saving = true;
    }
    Status status = target_.store().write_config(file_name(), out.output());
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
    MgsConfigReply known;
    bool any_fresh = false;
    for (const TargetConfig& t : call->reply.targets) {
        if (t.kind != static_cast<uint8_t>(TargetKind::kOst)) continue;
        bool fresh = false;
        TRY(add(t, &fresh));
        any_fresh |= fresh;
        TRY(known.targets.push_back(t));
    }
    for (const TargetPlace& place : call->reply.places) (void)take_place(place);
    return any_fresh ? save(known) : kOk;
}

bool OstPool::take_place(const TargetPlace& place)
{
    Ref<Osp> osp;
    {
        auto s = state_.lock();
        for (Ref<Osp>& o : s->osts)
            if (o->target() == place.name.str()) osp = o;
    }
    if (osp) osp->import().target_is_at(Nid{place.nid}, place.instance);
    return osp.get() != nullptr;
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
    if (!take_place(news.place)) kick();  // an OST that has just registered
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

Status OstPool::add(const TargetConfig& ost, bool* fresh)
{
    *fresh = false;
    if (find(ost.index)) return kOk;
    if (ost.index >= kOstsMax) return -kEINVAL;
    Ref<Osp> osp = TRY(Osp::create(target_.node(), ost, target_.target_name()));
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
    *fresh = status.ok();
    if (!status.ok()) osp->close();
    else
        log_info("%s: uses %s at %s", target_.target_name().c_str(), ost.name.c_str(),
                 ost.nids.c_str());
    return status;
}

Status OstPool::wait_known()
{
    auto s = state_.lock();
    if (s->osts.empty()) {
        s->kicked = true;
        changed_.wake_all();
    }
    auto over = [&] { return s->stop || s->parked || !s->osts.empty(); };
    (void)s.wait_until(changed_, over, deadline_after_ms(kWaitKnownMs));
    if (!s->osts.empty()) return kOk;
    if (s->parked) return -kEPark;
    s.unlock();
    log_err("%s: a file cannot be created: no OST of %s has registered at the MGS",
            target_.target_name().c_str(), target_.identity().fsname.c_str());
    s.relock();
    return -kENODEV;
}

Status OstPool::indices(Vec<uint32_t>* out)
{
    auto s = state_.lock();
    for (Ref<Osp>& osp : s->osts) TRY(out->push_back(osp->index()));
    return kOk;
}

Status OstPool::for_new_objects(Vec<uint32_t>* out)
{
    Vec<uint32_t> all;
    TRY(indices(&all));
    for (uint32_t index : all)
        if (Ref<Osp> osp = find(index); osp && osp->takes_new_objects()) TRY(out->push_back(index));
    return out->empty() ? out->assign(all.data(), all.size()) : kOk;
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
    size_t n = state_.lock()->osts.size();
    for (size_t i = 0; i < n; i++) {
        Ref<Osp> osp = state_.lock()->osts[i];
        out.printf("%u: %s %s\n", osp->index(), osp->target().c_str(),
                   osp->is_connected() ? "connected" : "disconnected");
    }
}

}  // namespace lull
