// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/orphans.h"

#include "kapi/log.h"
#include "mdt/names.h"

namespace lull {

namespace {
constexpr const char* kRecord = "stripes_in_doubt";

uint64_t serial_of(const Fid& object)
{
    return static_cast<uint64_t>(object.ver) << 32 | object.oid;
}
}  // namespace

Status Orphans::start()
{
    Record record;
    uint64_t upper = identities_.stripe_upper();
    Result<Bytes> stored = target_.store().get_record(Store::Area::kServer, "", kRecord);
    if (stored.ok()) {
        Decoder in(kProtocol2, stored.value());
        record.io(in);
        if (!in.finish().ok() || record.floor > upper || record.from > record.to) return -kEPROTO;
    } else if (!stored.is(kENODATA) && !stored.is(kENOENT)) {
        return stored.status();
    }
    if (record.from == record.to) record.from = target_.started_clean() ? upper : record.floor;
    record.to = record.floor = upper;
    TRY(save(record));
    {
        auto s = state_.lock();
        s->record = record;
    }
    return task_.start<&Orphans::task>(this, "mdt_orphans");
}

void Orphans::stop()
{
    {
        auto s = state_.lock();
        s->stop = true;
        changed_.wake_all();
    }
    task_.join();
}

void Orphans::recovery_done()
{
    auto s = state_.lock();
    if (s->ready) return;
    s->ready = true;
    s->second_round_ns = deadline_after_ms(kSecondRoundMs);
    changed_.wake_all();
}

void Orphans::park(bool on)
{
    auto s = state_.lock();
    s->parked = on;
    changed_.wake_all();
    while (on && s->in_store) (void)s.wait(changed_);
}

void Orphans::on_committed()
{
    auto s = state_.lock();
    if (s->ready) changed_.wake_all();
}

void Orphans::show(TextSink& out) const
{
    auto s = state_.lock();
    using ull = unsigned long long;
    out.printf("in_doubt: %llu\nremoved: %llu\n", static_cast<ull>(s->record.to - s->record.from),
               static_cast<ull>(s->removed));
}

Status Orphans::save(const Record& record)
{
    Record copy = record;
    Encoder out(kProtocol2);
    copy.io(out);
    TRY(out.status());
    return target_.store().put_record(Store::Area::kServer, "", kRecord, out.output());
}

// A step of the store may only be done between these two, so that a drain can count on silence.
bool Orphans::enter_store()
{
    auto s = state_.lock();
    if (s->parked || s->stop || !s->ready) return false;
    s->in_store = true;
    return true;
}

void Orphans::leave_store()
{
    auto s = state_.lock();
    s->in_store = false;
    changed_.wake_all();
}

void Orphans::task()
{
    for (;;) {
        advance_floor();
        uint64_t again_ns = look_for_orphans();
        auto s = state_.lock();
        if (s->stop) return;
        if (again_ns > now_ns()) (void)s.wait(changed_, s->parked ? kForever : again_ns);
        if (s->stop) return;
    }
}

// What this life handed out is settled by its commits.
void Orphans::advance_floor()
{
    // first: whoever has one below began its transaction before
    uint64_t upper = identities_.stripe_upper();
    uint64_t last = target_.last_transno(), committed = target_.last_committed();
    if (!enter_store()) return;
    Record record;
    bool rise = false;
    {
        auto s = state_.lock();
        if (!s->mark_serial && upper > s->record.floor) {
            s->mark_serial = upper;
            s->mark_transno = last;
        }
        if (s->mark_serial && committed >= s->mark_transno) {
            s->record.floor = std::exchange(s->mark_serial, 0);
            rise = true;
        }
        record = s->record;
    }
    // Lost or failed: the next crash leaves a little more in doubt.
    if (rise) (void)save(record);
    leave_store();
}

Result<Orphans::Ost*> Orphans::known(uint32_t index)
{
    for (Ost& ost : visited_)
        if (ost.index == index) return &ost;
    Ost fresh;
    fresh.index = index;
    TRY(visited_.push_back(fresh));
    return &visited_.back();
}

uint64_t Orphans::look_for_orphans()
{
    unsigned round;
    uint64_t second_round_ns;
    {
        auto s = state_.lock();
        if (!s->ready || s->parked || s->stop || s->record.from == s->record.to) return kForever;
        second_round_ns = s->second_round_ns;
        round = now_ns() >= second_round_ns;
    }
    Vec<uint32_t> indices;
    uint64_t later = deadline_after_ms(kRetryMs);
    if (!osts_.indices(&indices).ok()) return later;
    bool more = false, all = !indices.empty();
    for (uint32_t index : indices) {
        Result<Ost*> ost = known(index);
        Ref<Osp> osp = osts_.find(index);
        if (ost.ok() && ost.value()->rounds > round) continue;
        all = false;
        bool again = false;
        if (ost.ok() && osp && visit(*ost.value(), *osp, &again).ok()) more |= again;
    }
    if (all && round > 0) settle();
    return more ? 0 : all && round == 0 ? second_round_ns : later;
}

// One piece of the list of one OST. Not ok, or no more: later.
Status Orphans::visit(Ost& ost, Osp& osp, bool* more)
{
    if (osp.epoch() != ost.epoch) {  // what it was told to destroy may be lost
        ost.epoch = osp.epoch();
        ost.bucket = 0;
        ost.cookie = ost.transno = 0;
        ost.listed = false;
    }
    if (ost.listed) {
        if (!osp.is_committed(ost.transno)) return kOk;
        ost.rounds++;
        ost.bucket = 0;
        ost.cookie = 0;
        ost.listed = false;
        *more = true;
        return kOk;
    }
    OstListOp op;
    {
        auto s = state_.lock();
        op.from = s->record.from;
        op.to = s->record.to;
    }
    op.bucket = ost.bucket;
    op.cookie = ost.cookie;
    OstListReply found;
    TRY(osp.list(op, &found));
    Vec<OstFid> orphans;
    for (const OstListEntry& entry : found.entries) {
        uint64_t serial = serial_of(entry.object.fid);
        if (serial < op.from || serial >= op.to) continue;
        if (TRY(judge(ost, entry, ost.rounds)) == Verdict::kOrphan)
            TRY(orphans.push_back(entry.object));
    }
    TRY(destroy(ost, osp, orphans));
    ost.bucket = found.bucket;
    ost.cookie = found.cookie;
    ost.listed = found.end;
    *more = true;
    return kOk;
}

Result<Orphans::Verdict> Orphans::judge(const Ost& ost, const OstListEntry& entry, unsigned round)
{
    const Fid& file = entry.file.fid;
    if (entry.object.fid.seq != kFidSeqOstBase + ost.index) return Status(-kEPROTO);
    if (!is_namespace_fid(file))
        return round > 0 && entry.bytes == 0 ? Verdict::kOrphan : Verdict::kOwned;
    if (!enter_store()) return Status(-kEPark);
    Layout layout;
    Status status;
    {
        Result<Ref<Object>> object = target_.store().find(file);
        status = object.status();
        if (status.ok() && object.value()->type() == KBFS_FILE)
            status = target_.store().get_layout(*object.value(), &layout);
    }
    leave_store();
    if (status.is(kESTALE)) return Verdict::kOrphan;
    TRY(status);
    for (const StripeObject& stripe : layout.objects)
        if (stripe.ost_index == ost.index && stripe.fid == entry.object.fid) return Verdict::kOwned;
    return Verdict::kOrphan;
}

Status Orphans::destroy(Ost& ost, Osp& osp, Vec<OstFid>& objects)
{
    if (objects.empty()) return kOk;
    uint64_t transno = 0, epoch = osp.epoch();
    TRY(osp.destroy(objects, &transno));
    ost.epoch = epoch;
    if (transno > ost.transno) ost.transno = transno;
    state_.lock()->removed += objects.size();
    log_notice("%s: %zu objects on %s belonged to no file since a crash and were removed",
               target_.target_name().c_str(), objects.size(), osp.target().c_str());
    return kOk;
}

// Every OST has been asked twice, and what was removed is committed.
void Orphans::settle()
{
    if (!enter_store()) return;
    Record record = state_.lock()->record;
    record.from = record.to;
    Status status = save(record);
    leave_store();
    if (!status.ok()) return;
    auto s = state_.lock();
    s->record.from = s->record.to;
}

}  // namespace lull
