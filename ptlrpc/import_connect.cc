// SPDX-License-Identifier: GPL-2.0-only
/* Finding the target: one NID at a time, a connection, Connect, and what its reply says. */
#include "kapi/log.h"
#include "ptlrpc/import_impl.h"

namespace lull {

// From nothing to FULL. On an error whatever was begun is undone by back_off().
Status ImportImpl::connect_once()
{
    uint64_t began = now_ns();
    Nid nid;
    {
        MutexLock lock(lock_);
        set_state_locked(ImportState::kConnecting);
        reconnect_wanted_ = false;
        nid = current_nid_ = next_nid_locked();
    }
    TRY(open_connection(nid));
    ConnectReply reply;
    TRY(ask_to_connect(&reply));
    TRY(check_reply(reply));
    bool known_before;
    {
        MutexLock lock(lock_);
        known_before = instance_ != 0;
        TRY(adopt_locked(reply));
    }
    return recover(reply, known_before, now_ns() - began);
}

// The one that worked last, as long as nothing failed since.
Nid ImportImpl::next_nid_locked()
{
    if (Nid wanted = std::exchange(preferred_nid_, Nid{}); !wanted.is_zero()) {
        for (size_t i = 0; i < options_.nids.size(); i++)
            if (options_.nids[i] == wanted) nid_index_ = i;
        return wanted;
    }
    if (failed_in_row_ > 0) nid_index_ = (nid_index_ + 1) % options_.nids.size();
    return options_.nids[nid_index_];
}

Status ImportImpl::open_connection(Nid nid)
{
    uint64_t attempt_ms;
    {
        MutexLock lock(lock_);
        open_connections_++;
        bool expected = now_ns() < expect_restart_until_ns_;
        attempt_ms = expected ? spread_.attempt_ms(kConnectExpectedMs, kConnectAttemptMs)
                              : kConnectAttemptMs;
    }
    auto dialled = node_.transport().dial(nid, this, deadline_after_ms(attempt_ms));
    Status s = dialled.ok() ? wait_open(dialled.value()) : dialled.status();
    MutexLock lock(lock_);
    if (!s.ok()) {
        connection_.reset();
        open_connections_--;
        changed_.wake_all();
        return s;
    }
    lost_ = !connection_->is_open();  // if so, on_closed() may have been before we knew it
    last_heard_ns_ = last_sent_ns_ = now_ns();
    return lost_ ? Status(-kENOTCONN) : kOk;
}

// Whoever knows of a better place, or closes the import, ends the attempt.
Status ImportImpl::wait_open(Ref<Connection> dialled)
{
    {
        MutexLock lock(lock_);
        connection_ = dialled;
        connection_number_++;
        lost_ = true;  // for now
        last_heard_ns_ = last_sent_ns_ = now_ns();
        bool elsewhere = !preferred_nid_.is_zero() && !(preferred_nid_ == current_nid_);
        if (closing_ || rests_ || elsewhere) dialled->close();
    }
    return dialled->wait_open(WaitMode::kUninterruptible);
}

Status ImportImpl::ask_to_connect(ConnectReply* reply)
{
    auto request = make_ref<Call<ConnectOp>>();
    if (!request) return -kENOMEM;
    ConnectOp& op = request->op;
    op.target = options_.target;
    op.client_uuid = options_.client_uuid;
    op.protocol_min = kProtocol1;
    op.protocol_max = static_cast<uint16_t>(node_.options().protocol_max);
    op.flags = options_.connect_flags;
    op.import_cookie = cookie_;
    op.nodename = Text<65>(node_.options().nodename);
    {
        MutexLock lock(lock_);
        own_deadline_ns_ = now_ns() + connect_patience_locked();
        op.last_instance = instance_;
        op.replays = static_cast<uint32_t>(count_replays_locked(false));
        for (const Request& r : sent_)
            if (opcode_info(r.opcode()).modifies) op.resends++;
    }
    Status s = call_once(*request);
    {
        MutexLock lock(lock_);
        own_deadline_ns_ = kForever;
        connects_unanswered_ = s.is(kETIMEDOUT) ? connects_unanswered_ + 1 : 0;
    }
    TRY(s);
    *reply = request->reply;
    return kOk;
}

Status ImportImpl::check_reply(const ConnectReply& reply) const
{
    bool sane = reply.result >= static_cast<uint8_t>(ConnectResult::kNew) &&
                reply.result <= static_cast<uint8_t>(ConnectResult::kResume) &&
                reply.protocol >= kProtocol1 && reply.protocol <= node_.options().protocol_max &&
                reply.export_cookie != 0 && reply.instance != 0;
    if (sane) return kOk;
    log_warn("%s: %s answers a connect with nonsense", name(), to_text(current_nid_).c_str());
    return -kEPROTO;
}

Status ImportImpl::adopt_locked(const ConnectReply& reply)
{
    uint16_t slots = reply.slots == 0          ? uint16_t{1}
                     : reply.slots < kSlotsMax ? reply.slots
                                               : kSlotsMax;
    if (slots > slot_used_.size()) TRY(slot_used_.resize(slots));
    slots_granted_ = slots;
    if (protocol_ != kProtocolNone && protocol_ != reply.protocol)
        log_notice("%s: protocol version %u, was %u", name(), reply.protocol, protocol_);
    protocol_ = reply.protocol;
    granted_flags_ = reply.flags;
    export_cookie_ = reply.export_cookie;
    if (reply.instance != instance_) spread_.over();
    // It was only slow: the time in which it was silent is what it may need again.
    bool lives = reply.result == static_cast<uint8_t>(ConnectResult::kReconnect);
    if (uint64_t silent = std::exchange(given_up_after_ns_, 0); silent && lives)
        ping_time_.add(silent, now_ns(), node_.adaptive());
    instance_ = reply.instance;
    // T7: what the clean instance before committed needs no replay, although nobody could tell us
    // then.
    if (reply.result != static_cast<uint8_t>(ConnectResult::kNew))
        note_committed_locked(reply.last_committed);
    return kOk;
}

}  // namespace lull
