// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/destroyer.h"

#include "kapi/log.h"

namespace lull {

namespace {
constexpr size_t kObjectsPerRequest = 256;  // OstDestroyOp's limit
}

Destroyer::~Destroyer()
{
    LULL_ASSERT(!task_.started());
    state_.unsafe().items.clear_and_dispose(free_item);
}

Status Destroyer::start() { return task_.start<&Destroyer::task>(this, "mdt_destroyer"); }

void Destroyer::stop()
{
    {
        auto s = state_.lock();
        s->stop = true;
        changed_.wake_all();
    }
    task_.join();
}

void Destroyer::park(bool on)
{
    auto s = state_.lock();
    s->parked = on;
    changed_.wake_all();
    while (on && s->in_store) (void)s.wait(changed_);
}

void Destroyer::add(const Fid& fid, uint64_t transno)
{
    Owned<Item> item = make<Item>();
    auto s = state_.lock();
    if (!item || s->items.size() >= kQueueMax) {
        s->rescan = true;
        return;
    }
    item->fid = fid;
    item->transno = transno;
    if (s->items.empty()) changed_.wake_all();
    s->items.push_back(*item.release());
}

void Destroyer::scan()
{
    auto s = state_.lock();
    s->rescan = true;
    changed_.wake_all();
}

void Destroyer::on_committed()
{
    auto s = state_.lock();
    if (!s->items.empty()) changed_.wake_all();
}

size_t Destroyer::pending() const
{
    auto s = state_.lock();
    return s->items.size();
}

void Destroyer::free_item(Item* item) { Owned<Item> gone(item); }

void Destroyer::task()
{
    for (;;) {
        bool idle = target_.recovering() || !pass();
        auto s = state_.lock();
        if (s->stop) return;
        if (!idle) continue;
        bool nothing = s->parked || (s->items.empty() && !s->rescan);
        (void)s.wait(changed_, nothing ? kForever : deadline_after_ms(kTickMs));
        if (s->stop) return;
    }
}

// A step of the store may only be done between these two, so that a drain can count on silence.
bool Destroyer::enter_store()
{
    auto s = state_.lock();
    if (s->parked || s->stop) return false;
    s->in_store = true;
    return true;
}

void Destroyer::leave_store()
{
    auto s = state_.lock();
    s->in_store = false;
    changed_.wake_all();
}

bool Destroyer::pass()
{
    Items batch;
    take_ready(batch);
    if (batch.empty()) {
        do_scan();
        return false;
    }
    bool progress = false;
    Vec<Group> groups;
    for (auto i = batch.begin(); i != batch.end();) {
        Item& item = *i++;
        Next next = prepare(item, groups);
        if (next == Next::kLater) item.not_before_ns = deadline_after_ms(kRetryMs);
        if (next != Next::kDone) continue;
        batch.erase(batch.iterator_to(item));
        free_item(&item);
        progress = true;
    }
    for (Group& group : groups) send(batch, group);
    for (Item& item : batch) {
        if (item.not_before_ns > now_ns()) continue;
        item.sent = true;
        for (Sent& o : item.osts) item.sent &= o.transno != 0 && !o.failed;
        if (item.sent) progress = true;
        item.not_before_ns = deadline_after_ms(item.sent ? kTickMs : kRetryMs);
    }
    put_back(batch);
    return progress;
}

void Destroyer::take_ready(Items& into)
{
    uint64_t committed = target_.last_committed(), now = now_ns();
    auto s = state_.lock();
    if (s->parked || s->stop) return;
    for (auto i = s->items.begin(); i != s->items.end() && into.size() < kBatch;) {
        Item& item = *i++;
        if (item.transno > committed || item.not_before_ns > now) continue;
        s->items.erase(s->items.iterator_to(item));
        into.push_back(item);
    }
}

void Destroyer::put_back(Items& items)
{
    auto s = state_.lock();
    s->items.splice(s->items.end(), items);
}

void Destroyer::do_scan()
{
    {
        auto s = state_.lock();
        if (!s->rescan || !s->items.empty() || s->parked || s->stop) return;
        s->rescan = false;
    }
    Vec<Fid> fids;
    Status status = enter_store() ? kOk : Status(-kEPark);
    if (status.ok()) {
        status = target_.store().list_pending(&fids);
        leave_store();
    }
    if (status.ok()) status = target_.commit();  // what was found has been unlinked for good
    if (!status.ok()) {
        auto s = state_.lock();
        s->rescan = true;
        return;
    }
    for (const Fid& fid : fids)  // what is open comes back with its last close
        if (!opens_.mark_pending(fid)) add(fid, 0);
}

Destroyer::Next Destroyer::prepare(Item& item, Vec<Group>& groups)
{
    if (item.sent) {
        if (!is_committed(item)) return Next::kLater;
        return finish(item).ok() ? Next::kDone : Next::kLater;
    }
    Status s = item.begun ? kOk : opens_.begin_destroy(item.fid);
    if (s.is(kEBUSY) || s.is(kEALREADY)) return Next::kDone;
    item.begun = s.ok();
    if (!s.ok() || !enter_store()) return Next::kLater;
    s = read_stripes(item, groups);
    leave_store();
    if (s.is(kESTALE)) {  // destroyed before
        opens_.forget(item.fid);
        return Next::kDone;
    }
    if (!s.ok()) return Next::kLater;
    if (item.osts.empty()) return finish(item).ok() ? Next::kDone : Next::kLater;
    return Next::kSend;
}

Status Destroyer::read_stripes(Item& item, Vec<Group>& groups)
{
    item.osts.clear();
    Layout layout;
    {
        Ref<Object> object = TRY(target_.store().find(item.fid));
        if (object->type() != KBFS_FILE) return kOk;
        TRY(target_.store().get_layout(*object, &layout));
    }
    for (const StripeObject& stripe : layout.objects) {
        if (osts_.is_removed(stripe.ost_index)) continue;
        Sent o;
        o.index = stripe.ost_index;
        TRY(item.osts.push_back(o));
        Group* group = nullptr;
        for (Group& g : groups)
            if (g.index == stripe.ost_index && g.objects.size() < kObjectsPerRequest) group = &g;
        if (!group) {
            Group fresh;
            fresh.index = stripe.ost_index;
            TRY(groups.push_back(std::move(fresh)));
            group = &groups.back();
        }
        TRY(group->objects.push_back(OstFid{stripe.fid}));
    }
    return kOk;
}

void Destroyer::send(Items& items, Group& group)
{
    Ref<Osp> osp = osts_.find(group.index);
    uint64_t transno = 0, epoch = osp ? osp->epoch() : 0;
    bool done = osp && osp->destroy(group.objects, &transno).ok();
    for (Item& item : items) {
        if (item.sent) continue;
        for (Sent& o : item.osts) {
            if (o.index != group.index) continue;
            o.transno = transno;
            o.epoch = epoch;
            o.failed |= !done;
        }
    }
}

bool Destroyer::is_committed(Item& item)
{
    for (Sent& o : item.osts) {
        if (osts_.is_removed(o.index)) continue;
        Ref<Osp> osp = osts_.find(o.index);
        if (!osp) return false;
        if (osp->epoch() != o.epoch) {
            item.sent = false;
            return false;
        }
        if (!osp->is_committed(o.transno)) return false;
    }
    return true;
}

Status Destroyer::finish(Item& item)
{
    if (!enter_store()) return -kEPark;
    Status s = identities_.note_removed(item.fid);
    if (s.ok()) s = target_.store().destroy_pending(item.fid);
    leave_store();
    if (s.is(kESTALE) || s.is(kENOENT)) s = kOk;
    if (s.ok()) opens_.forget(item.fid);
    else
        log_err("%s: " FID_FMT " cannot be removed from PENDING: error %d",
                target_.target_name().c_str(), FID_ARG(item.fid), s.error());
    return s;
}

}  // namespace lull
