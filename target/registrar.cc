// SPDX-License-Identifier: GPL-2.0-only
#include "target/registrar.h"

#include "kapi/log.h"
#include "ptlrpc/import.h"
#include "ptlrpc/outage_log.h"
#include "target/identity.h"

namespace lull {

namespace {

Text<40> flag_name(TargetKind kind) { return text_format<40>("%s.registered", device_type(kind)); }

Status append_nids(const Vec<Nid>& nids, Text<256>* out)
{
    for (const Nid& nid : nids) {
        if (!out->empty()) TRY(out->append(":"));
        TRY(out->append(to_text(nid)));
    }
    return kOk;
}

// Null: no answer of an MGS that will stay so.
const char* refusal(Status s)
{
    if (s.is(kEADDRINUSE))
        return "the MGS knows another target of this name: use another index, or another fsname";
    if (s.is(kESTALE))
        return "it was removed from the file system (lctl del_ost), and its index is not used "
               "again: make a new target";
    return s.is(kEINVAL) ? "the MGS does not accept the name or the NIDs" : nullptr;
}

}  // namespace

bool Registrar::registered_before()
{
    return store_.get_record(Store::Area::kServer, "", flag_name(identity_.kind).c_str()).ok();
}

Status Registrar::options(ImportOptions* out)
{
    out->target = "MGS";
    out->client_uuid = node_.make_uuid();
    out->connect_flags = kConnectLight;
    out->gate_closed_for = 0;
    if (!identity_.mgs_nids.empty())
        return out->nids.assign(identity_.mgs_nids.data(), identity_.mgs_nids.size());
    Nid own = node_.transport().own_nid();
    return own.is_zero() ? Status(-kENETUNREACH) : out->nids.push_back(own);
}

Status Registrar::fill(MgsRegisterOp* op)
{
    op->fsname = identity_.fsname;
    op->target.name = identity_.name;
    op->target.kind = static_cast<uint8_t>(identity_.kind);
    op->target.index = identity_.index;
    op->target_uuid = identity_.uuid;
    op->nid = node_.transport().own_nid().addr;
    op->instance = instance_;
    if (!identity_.service_nids.empty())
        return append_nids(identity_.service_nids, &op->target.nids);
    Nid own = node_.transport().own_nid();
    if (own.is_zero()) return -kENETUNREACH;
    return op->target.nids.append(to_text(own));
}

Status Registrar::connect_and_call(Import& import, uint64_t patience_ms)
{
    TRY(import.connect(deadline_after_ms(patience_ms), WaitMode::kKillable));
    auto call = make_ref<Call<MgsRegisterOp>>();
    if (!call) return -kENOMEM;
    TRY(fill(&call->op));
    return import.call(*call);
}

Status Registrar::attempt(uint64_t patience_ms)
{
    ImportOptions opt;
    TRY(options(&opt));
    Ref<Import> import = TRY(Import::create(node_, std::move(opt), nullptr));
    {
        auto s = state_.lock();
        if (s->stop) return -kESHUTDOWN;
        s->import = import;
    }
    Status status = connect_and_call(*import, patience_ms);
    if (status.ok() && is_new_ && identity_.kind == TargetKind::kOst) (void)ask_for_mdt(*import);
    {
        auto s = state_.lock();
        s->import.reset();
    }
    import->close();
    if (!status.ok()) return status;
    uint8_t yes = 1;
    return store_.put_record(Store::Area::kServer, "", flag_name(identity_.kind).c_str(),
                             {&yes, 1});
}

Status Registrar::ask_for_mdt(Import& mgc)
{
    auto call = make_ref<Call<MgsConfigOp>>();
    if (!call) return -kENOMEM;
    call->op.fsname = identity_.fsname;
    TRY(mgc.call(*call));
    for (const TargetConfig& t : call->reply.targets)
        has_mdt_ |= t.kind == static_cast<uint8_t>(TargetKind::kMdt);
    return kOk;
}

bool Registrar::is_reached() const
{
    Vec<Ref<Export>> clients;
    if (!target_.list_exports(&clients).ok()) return false;
    for (const Ref<Export>& client : clients)
        if (client->connect_flags() & kConnectMds) return true;
    return false;
}

bool Registrar::is_service_node() const
{
    Nid own = node_.transport().own_nid();
    return identity_.service_nids.empty() || own.is_zero() || is_among(own, identity_.service_nids);
}

// Whoever is not told by the MGS looks for it at its service nodes alone.
void Registrar::warn_if_lost(Text<200>* why)
{
    if (is_service_node()) return;
    *why = text_format<200>(
        "%s: this node, %s, is none of its service nodes (%s first): clients and "
        "the MDT will look for it in vain",
        identity_.name.c_str(), to_text(node_.transport().own_nid()).c_str(),
        to_text(identity_.service_nids[0]).c_str());
    log_warn("%s", why->c_str());
}

// The MDT's connection says more than what this node knows of its own addresses.
void Registrar::warn_if_not_reached(Text<200>* why)
{
    if (!has_mdt_) return;
    uint64_t deadline = deadline_after_ms(kReachedMs);
    while (!is_reached() && now_ns() < deadline) {
        auto s = state_.lock();
        Status waited = s.wait_until(
            changed_, [&] { return s->stop; }, deadline_after_ms(kLookMs), WaitMode::kKillable);
        if (!waited.is(kETIMEDOUT)) return;
    }
    if (is_reached()) {
        *why = {};
        return;
    }
    MgsRegisterOp told;
    (void)fill(&told);
    Str nids = Str(told.target.nids).substr(0, 64);
    *why = text_format<200>(
        "%s: the MDT does not reach it at %.*s%s: it gets no files. Unless the MDT is down, umount "
        "it and lctl del_ost it on the MGS",
        identity_.name.c_str(), STR_ARG(nids), is_service_node() ? "" : " (not this node)");
    log_warn("%s", why->c_str());
}

Status Registrar::start(Text<200>* why)
{
    is_new_ = !registered_before();
    warn_if_lost(why);
    Status s = attempt(is_new_ ? kFirstTryMs : kKnownTryMs);
    if (s.ok()) {
        warn_if_not_reached(why);
        return kOk;
    }
    const char* cause = refusal(s);
    if (is_new_ && s.is(kENETUNREACH)) cause = "this node has no network address yet";
    if (cause) {
        *why = text_format<200>("%s: %s", identity_.name.c_str(), cause);
        return s;
    }
    if (is_new_)
        log_warn(
            "%s: no MGS answers (error %d); "
            "clients cannot find this target before one does, trying on",
            identity_.name.c_str(), s.error());
    return task_.start<&Registrar::run>(this, "lull_register");
}

void Registrar::stop()
{
    Ref<Import> import;
    {
        auto s = state_.lock();
        s->stop = true;
        import = s->import;
    }
    changed_.wake_all();
    if (import) import->close();
    task_.join();
}

void Registrar::run()
{
    OutageLog outage;
    for (;;) {
        Status status = attempt(kTryMs);
        auto s = state_.lock();
        if (s->stop) return;
        if (status.ok()) {
            log_info("%s: registered at the MGS", identity_.name.c_str());
            s.unlock();
            Text<200> why;
            warn_if_not_reached(&why);
            return;
        }
        if (const char* cause = refusal(status)) {
            log_err("%s: %s; nobody uses it here, umount it", identity_.name.c_str(), cause);
            return;
        }
        if (uint64_t now = now_ns(); outage.failed(now))
            log_warn("%s: registration at the MGS failed (error %d), %s", identity_.name.c_str(),
                     status.error(), outage.describe(now).c_str());
        (void)s.wait_until(
            changed_, [&] { return s->stop; }, deadline_after_ms(kRetryMs));
        if (s->stop) return;
    }
}

}  // namespace lull
