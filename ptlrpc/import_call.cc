// SPDX-License-Identifier: GPL-2.0-only
#include "kapi/log.h"
#include "ptlrpc/import_impl.h"

namespace lull {

namespace {

// Lull's own codes say something to ptlrpc only.
Status without_own_codes(Status s)
{
    return s.is(kERetryLater) || s.is(kEEvicted) ? Status(-kEIO) : s;
}

// The active lock says that everything is re-established: the server then gives up what was
// reserved for us.
bool may_send_in_recovery(ImportState s, Opcode opcode)
{
    using enum ImportState;
    if (opcode == Opcode::kActiveEnqueue) return s == kFull;
    return s == kFull || s == kReplayLocks || s == kReplayWait || s == kRecover;
}

// An open's reply is waited for in any case; before it is sent it may be given up like others.
WaitMode turn_wait(const Request& r)
{
    bool of_reply_only = r.keep_committed && r.reply_wait == WaitMode::kUninterruptible;
    return of_reply_only ? WaitMode::kKillable : r.reply_wait;
}

}  // namespace

// ---- one operation, from the gate to its end

Status ImportImpl::call(Request& r)
{
    const OpcodeInfo& info = opcode_info(r.opcode());
    if (info.gate == GateClass::kCallback) return -kEINVAL;
    bool own;
    {
        MutexLock lock(lock_);
        own = is_own_task();
    }
    bool gated = info.gate == GateClass::kGated && !r.in_recovery && !own;
    bool enter = gated && !r.admitted;
    bool parks_here =
        !own && !r.try_gate && (enter || !gated);  // else the caller has to go back to its gates
    for (uint64_t backoff_ms = kParkBackoffMinMs;;
         backoff_ms = longer_backoff(backoff_ms, kParkBackoffMaxMs)) {
        if (enter) TRY(r.try_gate ? gate_->try_enter() : gate_->enter(r.gate_wait));
        uint64_t grants = gated ? client_.active_grants() : 0;
        Status s = call_once(r);
        if (enter) gate_->leave();
        if (s.is(kEGiveWay)) return s;
        if (!s.is(kEPark)) return without_own_codes(s);
        {
            MutexLock lock(lock_);
            stats_.parked++;
        }
        if (gated && client_.active_grants() == grants) client_.on_parked();
        if (!parks_here) return s;
        // The server parks us before the blocking callback closed our gate: do not run against it
        // in a loop.
        if (!enter || gate_->state() == Gate::State::kOpen) TRY(pause(backoff_ms, r.reply_wait));
    }
}

Status ImportImpl::pause(uint64_t ms, WaitMode mode)
{
    MutexLock lock(lock_);
    Status s = changed_.wait_until(
        lock, [&] { return closing_ || rests_; }, deadline_after_ms(ms), mode);
    return s.is(kETIMEDOUT) || s.ok() ? kOk : s;
}

Status ImportImpl::call_once(Request& r)
{
    MutexLock lock(lock_);
    bool own = is_own_task();
    LULL_ASSERT(!r.track.hook.is_linked());
    TRY(wait_turn(lock, r, own));
    CondVar done;
    r.track.waiter = &done;
    r.track.own = own;
    if (!own) stats_.requests++;
    if (Status s = send_first(lock, r); !s.ok()) {
        r.track.waiter = nullptr;
        return s;
    }
    return wait_reply(lock, r, done);
}

// Waits until the request may be sent; it has its slot then.
Status ImportImpl::wait_turn(MutexLock& lock, Request& r, bool own)
{
    bool needs_slot = opcode_info(r.opcode()).slot;
    r.track.slot = kNoSlot;
    bool patient = !r.holder || r.holder->patience_ns == kForever;
    r.track.let_go_ns = patient ? kForever : now_ns() + r.holder->patience_ns;
    uint64_t epoch = eviction_epoch_, interrupts = interrupts_;
    for (;;) {
        bool goodbye = own && own_deadline_ns_ != kForever;
        if (closing_ && !goodbye) return -kESHUTDOWN;
        // While the client drops its cache it may wait for what the caller holds (a page, say): the
        // caller must not wait for it.
        bool being_evicted = state_ == ImportState::kEvicted && !own && !r.in_recovery;
        if (epoch != eviction_epoch_ || being_evicted || (rests_ && !own)) return -kEIO;
        bool ready = own             ? connection_ && !lost_
                     : r.in_recovery ? may_send_in_recovery(state_, r.opcode())
                                     : state_ == ImportState::kFull && !quiesced_;
        if (ready && (!needs_slot || take_slot_locked(r))) return kOk;
        if (own) return ready ? Status(-kEBUSY) : Status(-kENOTCONN);
        if (r.gives_way && state_ != ImportState::kFull) return -kEGiveWay;
        if (holds_too_much_locked(r)) {
            give_back_others(lock, r);
            continue;
        }
        if (is_sent_away_locked(r, turn_wait(r), interrupts)) return -kERESTARTSYS;
        CondVar& event = ready ? slot_free_ : changed_;
        Status s = event.wait(lock, let_go_at(r), turn_wait(r));
        if (!s.ok() && !s.is(kETIMEDOUT)) return s;
    }
}

// Gives the request its number and sends it. An error: nothing was sent, and it is on no list.
Status ImportImpl::send_first(MutexLock& lock, Request& r)
{
    if (opcode_info(r.opcode()).gate == GateClass::kInternal) r.track.own = true;
    r.track.xid = next_xid_++;
    r.track.began_ns = now_ns();
    r.track.status = 0;
    r.track.answered = r.track.resend = r.track.replayed = false;
    Encoder message(wire_protocol_locked(r));
    if (Status s = encode_locked(r, 0, message); !s.ok()) {
        free_slot_locked(r);
        return s;
    }
    r.ref();
    if (sent_.empty()) outstanding_since_ns_ = now_ns();
    sent_.push_back(r);
    r.track.state = Request::Track::State::kSent;
    send_bytes(lock, message, r);
    return kOk;
}

// Drops the lock. A request that could not be sent is sent again after the reconnect that follows.
void ImportImpl::send_bytes(MutexLock& lock, Encoder& message, Request& r)
{
    last_sent_ns_ = now_ns();
    r.track.sent_over = connection_number_;
    Ref<Connection> connection = connection_;
    Ref<Request> keep(&r);
    lock.unlock();
    if (connection && !connection->send(message.output(), r.bulk_out()).ok()) connection->close();
    connection.reset();
    lock.relock();
}

// Its caller holds up a drain: of another target while this one cannot be reached, or of this one
// (B3).
bool ImportImpl::must_come_out_locked(const Request& r) const
{
    return (r.gives_way && state_ != ImportState::kFull) ||
           (r.yields && gate_->state() != Gate::State::kOpen);
}

uint64_t ImportImpl::let_go_at(const Request& r) { return r.holder ? r.track.let_go_ns : kForever; }

bool ImportImpl::holds_too_much_locked(const Request& r) const
{
    return r.holder && (state_ != ImportState::kFull || now_ns() >= r.track.let_go_ns);
}

// Without the lock, on the caller's task.
void ImportImpl::give_back_others(MutexLock& lock, Request& r)
{
    Holder* holder = std::exchange(r.holder, nullptr);
    lock.unlock();
    holder->give_back_others();
    lock.relock();
}

bool ImportImpl::is_sent_away_locked(const Request& r, WaitMode mode, uint64_t interrupts) const
{
    return interrupts_ != interrupts && mode != WaitMode::kUninterruptible && !r.track.own &&
           !r.in_recovery;
}

void ImportImpl::interrupt_waits()
{
    MutexLock lock(lock_);
    bool connected = state_ != ImportState::kNew && state_ != ImportState::kConnecting &&
                     state_ != ImportState::kDisconn;
    if (connected) return;
    interrupts_++;
    for (Request& r : sent_)
        if (r.track.waiter) r.track.waiter->wake_all();
    changed_.wake_all();
    gate_->interrupt_waits();
}

void ImportImpl::on_gate_closing()
{
    MutexLock lock(lock_);
    for (Request& r : sent_)
        if (r.yields && r.track.waiter) r.track.waiter->wake_all();
}

Status ImportImpl::wait_reply(MutexLock& lock, Request& r, CondVar& done)
{
    const uint64_t interrupts = interrupts_;
    while (r.track.state == Request::Track::State::kSent) {
        if (holds_too_much_locked(r)) {
            give_back_others(lock, r);
            continue;
        }
        uint64_t deadline = let_go_at(r);
        if (r.track.own)
            deadline = own_deadline_ns_ != kForever ? own_deadline_ns_ : next_keepalive_locked();
        Status s;
        if (!must_come_out_locked(r) && !is_sent_away_locked(r, r.reply_wait, interrupts))
            s = done.wait(lock, deadline, r.track.own ? WaitMode::kUninterruptible : r.reply_wait);
        if (r.track.state != Request::Track::State::kSent) break;
        if (must_come_out_locked(r)) s = -kEGiveWay;
        else if (is_sent_away_locked(r, r.reply_wait, interrupts)) s = -kERESTARTSYS;
        if (s.is(kERESTARTSYS) || s.is(kEGiveWay)) {
            r.track.waiter = nullptr;  // it goes on without us
            return s;
        }
        if (!s.is(kETIMEDOUT) || !r.track.own) continue;
        if (now_ns() >= own_deadline_ns_) {
            complete_locked(r, -kETIMEDOUT);
            break;
        }
        keepalive(lock);
    }
    return Status(r.track.status);
}

Status ImportImpl::await(Request& r, uint64_t deadline_ns, WaitMode mode)
{
    MutexLock lock(lock_);
    if (r.track.state == Request::Track::State::kNew) return -kERESTARTSYS;
    const uint64_t interrupts = interrupts_;
    auto is_over = [&] { return r.track.state != Request::Track::State::kSent; };
    auto is_sent_away = [&] { return is_sent_away_locked(r, mode, interrupts); };
    r.track.awaited = true;
    Status s = changed_.wait_until(
        lock, [&] { return is_over() || is_sent_away(); }, deadline_ns, mode);
    if (is_over()) return without_own_codes(Status(r.track.status));
    return s.ok() ? Status(-kERESTARTSYS) : s;
}

bool ImportImpl::goes_on(const Request& r) const
{
    MutexLock lock(lock_);
    return r.track.state == Request::Track::State::kSent;
}

// ---- encoding

uint16_t ImportImpl::wire_protocol_locked(const Request& r) const
{
    return r.opcode() == Opcode::kConnect || protocol_ == kProtocolNone ? uint16_t{kProtocol1}
                                                                        : protocol_;
}

Status ImportImpl::encode_locked(Request& r, uint32_t flags, Encoder& out)
{
    RpcHeader header;
    header.kind = static_cast<uint16_t>(RpcKind::kRequest);
    header.opcode = static_cast<uint16_t>(r.opcode());
    header.flags = flags;
    header.slot = r.track.slot;
    header.xid = r.track.xid;
    header.export_cookie = export_cookie_;
    if (flags & (kRpcReplay | kRpcReplayOpen)) {
        header.transno = r.transno;
        for (unsigned i = 0; i < kVersionsMax; i++) header.versions[i] = r.versions[i];
    }
    TRY(begin_message(out));
    r.encode(out);
    return finish_message(out, header, r.bulk_out().size());
}

bool ImportImpl::take_slot_locked(Request& r)
{
    for (uint16_t i = 0; i < slots_granted_ && i < slot_used_.size(); i++) {
        if (slot_used_[i]) continue;
        slot_used_[i] = 1;
        r.track.slot = i;
        return true;
    }
    return false;
}

void ImportImpl::free_slot_locked(Request& r)
{
    if (r.track.slot == kNoSlot || r.track.slot >= slot_used_.size()) return;
    slot_used_[r.track.slot] = 0;
    slot_free_.wake_one();
}

// ---- replies

void ImportImpl::on_message(Connection& from, Message&& message)
{
    RpcHeader header;
    std::span<const uint8_t> body;
    Status s = parse_header(message.body, message.bulk.size(), &header, &body);
    if (s.ok() && header.kind == static_cast<uint16_t>(RpcKind::kReply))
        return on_reply(from, header, body, message);
    if (s.ok() && header.kind == static_cast<uint16_t>(RpcKind::kCallback))
        return on_callback(from, header, body, std::move(message));
    if (log_limit_.allow())
        log_warn("%s: %s sent a message that is no reply, closing the connection", name(),
                 to_text(from.peer()).c_str());
    from.close();
}

void ImportImpl::on_reply(Connection& from, const RpcHeader& header, std::span<const uint8_t> body,
                          Message& message)
{
    MutexLock lock(lock_);
    if (connection_.get() != &from) return;
    last_heard_ns_ = now_ns();
    bool connecting = state_ == ImportState::kConnecting;
    if (peer_status(header).is(kEEvicted) && !connecting) {
        lock.unlock();
        from.close();  // what it does not know us for any more will be settled when we connect
                       // again
        return;
    }
    if (on_replay_reply_locked(header, body, message)) return;
    if (Request* r = find_sent_locked(header.xid)) {
        Status s = take_reply_locked(*r, header, body, message);
        if (s.is(kENOMEM) && peer_status(header).ok())
            return from.close();  // it will be sent and answered again
        complete_locked(*r, s);
    }
    if (!connecting) note_committed_locked(header.last_committed);
}

// Reads the reply into the request. Its status, or what is wrong with the reply.
Status ImportImpl::take_reply_locked(Request& r, const RpcHeader& header,
                                     std::span<const uint8_t> body, Message& message)
{
    if (header.opcode != static_cast<uint16_t>(r.opcode())) return -kEPROTO;
    if (header.protocol < kProtocol1 || header.protocol > node_.options().protocol_max)
        return -kEPROTO;
    r.reply_flags = header.flags;
    if (!r.track.answered) {
        r.transno = header.transno;
        for (unsigned i = 0; i < kVersionsMax; i++) r.versions[i] = header.versions[i];
    }
    TRY(peer_status(header));
    Decoder in(header.protocol, body);
    if (Status s = r.decode_reply(in); !s.ok()) {
        if (log_limit_.allow())
            log_warn("%s: bad reply to %s (%d)", name(), opcode_info(r.opcode()).name, s.error());
        return s;
    }
    if (!r.track.answered) r.reply_bulk = std::move(message.bulk);
    return kOk;
}

// The request leaves sent_, with the list's reference.
void ImportImpl::complete_locked(Request& r, Status status)
{
    kapi_trace_request(name(), opcode_info(r.opcode()).name, r.track.xid, r.transno, status.error(),
                       now_ns() - r.track.began_ns);
    sent_.erase(sent_.iterator_to(r));
    free_slot_locked(r);
    if (r.track.xid == ping_xid_) {
        ping_xid_ = 0;
        if (ping_wanted_) task_wake_.wake_all();
        if (status.ok()) ping_time_.add(now_ns() - ping_sent_ns_, now_ns(), node_.adaptive());
    }
    r.track.status = status.error();
    r.track.state = Request::Track::State::kDone;
    r.track.answered = status.ok();
    r.track.answered_by = instance_;
    const bool wake = quiesced_ || r.track.awaited;  // r may be gone then
    if (CondVar* waiter = std::exchange(r.track.waiter, nullptr)) waiter->wake_all();
    if (r.transno > max_transno_ && status.ok()) max_transno_ = r.transno;
    if (Ref<Request> open = std::move(r.ends); open && !status.is(kENOMEM))
        forget_locked(*open, status.ok() ? r.transno : 0);
    bool modifies = opcode_info(r.opcode()).modifies && r.transno > last_committed_;
    if (status.ok() && !r.no_replay && !closing_ && (r.keep_committed || modifies)) keep_locked(r);
    else drop_list_reference(r);
    if (wake) changed_.wake_all();
}

bool ImportImpl::outstanding_locked() const
{
    for (const Request& r : sent_)
        if (!r.track.own && !r.in_recovery) return true;
    return false;
}

Status ImportImpl::quiesce(uint64_t deadline_ns)
{
    MutexLock lock(lock_);
    quiesced_ = true;
    return changed_.wait_until(
        lock, [&] { return !outstanding_locked() || closing_; }, deadline_ns);
}

void ImportImpl::resume()
{
    MutexLock lock(lock_);
    quiesced_ = false;
    wake_all_locked();
}

Request* ImportImpl::find_sent_locked(uint64_t xid)
{
    for (Request& r : sent_) {
        if (r.track.xid == xid) return &r;
        if (r.track.xid > xid) break;
    }
    return nullptr;
}

// own: the requests that are never sent again; else the others.
void ImportImpl::fail_sent_locked(Status why, bool own)
{
    for (auto it = sent_.begin(); it != sent_.end();) {
        Request& r = *it++;
        if (r.track.own == own) complete_locked(r, why);
    }
}

// ---- callbacks

namespace {
struct CallbackWork : Node::Work {
    Ref<ImportImpl> import;
    RpcHeader header;
    Message message;
};
}  // namespace

// The server counts on it being seen: when it cannot be, a reconnect makes the server send it
// again.
void ImportImpl::on_callback(Connection& from, const RpcHeader& header, std::span<const uint8_t>,
                             Message&& message)
{
    const OpcodeInfo* info = opcode_info(static_cast<uint16_t>(header.opcode));
    if (!info || info->gate != GateClass::kCallback || header.export_cookie != cookie_ ||
        header.protocol < kProtocol1 || header.protocol > node_.options().protocol_max) {
        if (log_limit_.allow())
            log_warn("%s: callback %u ignored", name(), static_cast<unsigned>(header.opcode));
        return;
    }
    {
        MutexLock lock(lock_);
        if (connection_.get() != &from || closing_) return;
        last_heard_ns_ = now_ns();
        callbacks_++;
    }
    Owned<CallbackWork> work = make<CallbackWork>();
    Status s = -kENOMEM;
    if (work) {
        work->import = Ref<ImportImpl>(this);
        work->header = header;
        work->message = std::move(message);
        work->run = [](Node::Work* w) {
            Owned<CallbackWork> mine(static_cast<CallbackWork*>(w));
            std::span<const uint8_t> bytes = mine->message.body;
            mine->import->run_callback(mine->header, bytes.subspan(mine->header.header_bytes));
        };
        s = node_.queue_work(*work, Node::WorkKind::kCallback);
        if (s.ok()) (void)work.release();
    }
    if (s.ok()) return;
    log_warn("%s: no memory for a callback, connecting again", name());
    from.close();
    MutexLock lock(lock_);
    callbacks_--;
    changed_.wake_all();
}

void ImportImpl::run_callback(const RpcHeader& header, std::span<const uint8_t> body)
{
    bool wanted;
    {
        MutexLock lock(lock_);
        wanted = !closing_;
    }
    Decoder in(header.protocol, body);
    if (wanted) client_.on_callback(static_cast<Opcode>(static_cast<uint16_t>(header.opcode)), in);
    MutexLock lock(lock_);
    callbacks_--;
    changed_.wake_all();
}

}  // namespace lull
