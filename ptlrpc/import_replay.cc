// SPDX-License-Identifier: GPL-2.0-only
/* What is kept for a replay, and the sending of it. */
#include "kapi/log.h"
#include "ptlrpc/import_impl.h"

namespace lull {

// Takes over the reference of sent_. Replies come nearly in the order of their transno, so the
// place is near the end.
void ImportImpl::keep_locked(Request& r)
{
    r.track.state = Request::Track::State::kReplayable;
    r.track.committed = r.transno <= last_committed_;
    RequestList& list = r.track.committed ? opens_ : replay_;
    auto at = list.end();
    while (at != list.begin()) {
        auto before = at;
        if ((--before)->transno <= r.transno) break;
        at = before;
    }
    list.insert(at, r);
    if (!r.track.committed) replay_bulk_bytes_ += r.bulk_out().size();
}

RequestList& ImportImpl::list_of_locked(Request& r)
{
    return !r.track.committed ? replay_ : r.track.forgotten_at ? closed_opens_ : opens_;
}

void ImportImpl::drop_kept_locked(RequestList& list, Request& r)
{
    list.erase(list.iterator_to(r));
    if (&list == &replay_) replay_bulk_bytes_ -= r.bulk_out().size();
    r.track.state = Request::Track::State::kDone;
    drop_list_reference(r);
}

void ImportImpl::note_committed_locked(uint64_t last_committed)
{
    if (last_committed <= last_committed_) return;
    last_committed_ = last_committed;
    while (!replay_.empty() && replay_.front().transno <= last_committed_) {
        Request& r = replay_.front();
        bool stays = r.keep_committed || r.track.forgotten_at > last_committed_;
        if (!stays) {
            drop_kept_locked(replay_, r);
            continue;
        }
        replay_.pop_front();
        replay_bulk_bytes_ -= r.bulk_out().size();
        r.track.committed = true;
        add_committed_locked(r);
    }
    while (!closed_opens_.empty() && closed_opens_.front().track.forgotten_at <= last_committed_)
        drop_kept_locked(closed_opens_, closed_opens_.front());
}

void ImportImpl::forget(Request& open)
{
    Ref<Request> keep(&open);
    MutexLock lock(lock_);
    forget_locked(open, max_transno_);
}

// Ended by transaction ended_at: until that is committed, a replay of it needs its open; afterwards
// nobody would close it again.
void ImportImpl::forget_locked(Request& open, uint64_t ended_at)
{
    open.keep_committed = false;
    if (open.track.state != Request::Track::State::kReplayable || open.track.forgotten_at) return;
    if (!open.track.committed) {
        open.track.forgotten_at = ended_at;
        return;
    }
    if (ended_at <= last_committed_) return drop_kept_locked(opens_, open);
    opens_.erase(opens_.iterator_to(open));
    open.track.forgotten_at = ended_at;
    add_committed_locked(open);
}

// To opens_, or to closed_opens_, whose order is by forgotten_at: closes are not answered in the
// order of their opens.
void ImportImpl::add_committed_locked(Request& r)
{
    RequestList& list = list_of_locked(r);
    auto at = list.end();
    while (at != list.begin() && std::prev(at)->track.forgotten_at > r.track.forgotten_at) --at;
    list.insert(at, r);
}

void ImportImpl::drop_all_kept_locked()
{
    for (RequestList* list : {&replay_, &opens_, &closed_opens_})
        while (!list->empty()) drop_kept_locked(*list, list->front());
}

void ImportImpl::lose_all_kept_locked()
{
    stats_.losses += !replay_.empty();
    drop_all_kept_locked();
}

size_t ImportImpl::count_replays_locked(bool opens) const
{
    size_t n = opens ? opens_.size() + closed_opens_.size() : 0;
    for (const Request& r : replay_)
        if ((r.opcode() == Opcode::kMdsOpen) == opens) n++;
    return n;
}

bool ImportImpl::is_owed_a_commit() const
{
    MutexLock lock(lock_);
    return !replay_.empty();
}

size_t ImportImpl::replay_count(bool opens) const
{
    MutexLock lock(lock_);
    return count_replays_locked(opens);
}

uint64_t ImportImpl::replay_bulk_bytes() const
{
    MutexLock lock(lock_);
    return replay_bulk_bytes_;
}

// ---- sending

// Replays a list in its order, at most window of it in flight. The list may lose elements
// meanwhile, it gains none.
Status ImportImpl::replay_list(MutexLock& lock, RequestList& list, uint32_t flags, size_t window)
{
    for (Request& r : list) r.track.replayed = false;
    Ref<Request> last;
    for (;;) {
        bool still_there = last && last->track.state == Request::Track::State::kReplayable &&
                           &list_of_locked(*last) == &list;
        auto it = still_there ? std::next(list.iterator_to(*last)) : list.begin();
        while (it != list.end() && (it->track.replayed || it->track.replayed_in == instance_)) ++it;
        if (it == list.end()) break;
        last = Ref<Request>(&*it);
        last->track.replayed = true;
        TRY(replay_send(lock, *last, flags));
        TRY(replay_wait(lock, window - 1));
    }
    return replay_wait(lock, 0);
}

Status ImportImpl::replay_send(MutexLock& lock, Request& r, uint32_t flags)
{
    if (lost_) return -kENOTCONN;
    LULL_ASSERT(replaying_count_ < kOpenReplayWindow);
    Encoder message(wire_protocol_locked(r));
    TRY(encode_locked(r, flags, message));
    r.ref();
    replaying_[replaying_count_++] = &r;
    send_bytes(lock, message, r);
    return kOk;
}

// Until so many are in flight. On an error none is: what was in flight is forgotten.
Status ImportImpl::replay_wait(MutexLock& lock, size_t in_flight_max)
{
    while (replaying_count_ > in_flight_max && !lost_ && !closing_ && !rests_) {
        (void)task_wake_.wait(lock, next_keepalive_locked());
        keepalive(lock);
    }
    if (replaying_count_ <= in_flight_max) return kOk;
    while (replaying_count_ > 0) drop_list_reference(*replaying_[--replaying_count_]);
    return closing_ ? Status(-kESHUTDOWN) : Status(-kENOTCONN);
}

// True: it answers a replay. One that failed is dropped: its effect is gone, as the server's log
// says, too.
bool ImportImpl::on_replay_reply_locked(const RpcHeader& header, std::span<const uint8_t> body,
                                        Message& message)
{
    size_t i = 0;
    while (i < replaying_count_ && replaying_[i]->track.xid != header.xid) i++;
    if (i == replaying_count_) return false;
    Ref<Request> r = Ref<Request>::adopt(replaying_[i]);
    replaying_[i] = replaying_[--replaying_count_];
    Status s = peer_status(header);
    // Without a body: executed before, and what it said then we know.
    if (!s.ok() || !body.empty()) s = take_reply_locked(*r, header, body, message);
    bool not_now =
        s.is(kEPark) || s.is(kERetryLater) || (s.is(kENOMEM) && peer_status(header).ok());
    if (not_now) {  // all of it again over another connection
        connection_->close();
        lost_ = true;
        task_wake_.wake_all();
        return true;
    }
    r->track.replayed_in = instance_;
    bool is_open = r->opcode() == Opcode::kMdsOpen;
    (is_open ? stats_.open_replays : stats_.replays)++;
    (is_open ? replayed_opens_now_ : replayed_now_)++;
    if (!s.ok()) {
        log_warn("%s: replay of %s, transaction %llu, failed: error %d", name(),
                 opcode_info(r->opcode()).name, static_cast<unsigned long long>(r->transno),
                 s.error());
        if (r->track.state == Request::Track::State::kReplayable)
            drop_kept_locked(list_of_locked(*r), *r);
    }
    note_committed_locked(header.last_committed);
    task_wake_.wake_all();
    return true;
}

}  // namespace lull
