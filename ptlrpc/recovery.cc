// SPDX-License-Identifier: GPL-2.0-only
/*
 * From an answered Connect to FULL: one straight list of steps, of which the connect result
 * chooses. An error in any of them gives the connection up; the next attempt begins with a new
 * Connect.
 */
#include "kapi/log.h"
#include "ptlrpc/import_impl.h"

namespace lull {

namespace {

constexpr unsigned bit(ConnectResult r) { return 1u << static_cast<unsigned>(r); }
constexpr unsigned kAfterCrash = bit(ConnectResult::kRecover);
constexpr unsigned kAfterHalt = bit(ConnectResult::kResume);
constexpr unsigned kSameInstance = bit(ConnectResult::kReconnect);
constexpr unsigned kEvicted = bit(ConnectResult::kNew);

struct Step {
    const char* name;
    ImportState state;
    unsigned results;
    Status (ImportImpl::*run)();
};
constexpr Step kSteps[] = {
    {"replay", ImportState::kReplay, kAfterCrash | kAfterHalt, &ImportImpl::step_replay},
    {"locks", ImportState::kReplayLocks, kAfterCrash, &ImportImpl::step_replay_locks},
    {"flocks", ImportState::kReplayLocks, kAfterCrash | kAfterHalt,
     &ImportImpl::step_replay_flocks},
    {"wait", ImportState::kReplayWait, kAfterCrash, &ImportImpl::step_replay_done},
    {"evict", ImportState::kEvicted, kEvicted, &ImportImpl::step_evict},
    {"resend", ImportState::kRecover, kAfterCrash | kAfterHalt | kSameInstance,
     &ImportImpl::step_resend},
    {"full", ImportState::kFull, ~0u, &ImportImpl::step_full},
};
static_assert(std::size(kSteps) <= RecoveryTimes::kStepsMax);

const char* describe_result(uint8_t result)
{
    constexpr const char* kWords[] = {"", "evicted", "reconnected", "recovered after a crash",
                                      "resumed after a clean halt"};
    return kWords[result];
}

unsigned long long in_ms(uint64_t ns) { return ns / kMsec; }

}  // namespace

// The connection may have broken in the middle of a recovery that the server takes for done: then
// we go on where we were.
unsigned ImportImpl::choose_recovery(const ConnectReply& reply, bool known_before)
{
    bool same = reply.result == static_cast<uint8_t>(ConnectResult::kReconnect);
    if (same && recovery_.chosen && recovery_.instance == reply.instance) return recovery_.chosen;
    unsigned chosen = 1u << reply.result;
    bool is_new = reply.result == static_cast<uint8_t>(ConnectResult::kNew);
    if (is_new && !known_before) chosen = 0;
    // Nothing of such a client is lost with its export: what has no answer is asked again.
    if (is_new && known_before && (options_.connect_flags & kConnectLight)) chosen = kSameInstance;
    recovery_ = {chosen, 0, reply.instance};
    return chosen;
}

Status ImportImpl::run_step(size_t index, uint64_t* took_ns)
{
    const Step& step = kSteps[index];
    {
        MutexLock lock(lock_);
        if (closing_) return -kESHUTDOWN;
        if (rests_) return -kEIO;
        if (lost_) return -kENOTCONN;
        if (step.state != ImportState::kFull) set_state_locked(step.state);
    }
    if (recovery_.done & (1u << index)) return kOk;
    uint64_t began = now_ns();
    Status s = (this->*step.run)();
    *took_ns = now_ns() - began;
    bool lasts = step.state != ImportState::kRecover &&
                 step.state != ImportState::kFull;  // a resend is as good as its connection
    if (s.ok() && lasts) recovery_.done |= 1u << index;
    else if (!s.ok())
        log_notice("%s: recovery stopped in step %s: error %d", name(), step.name, s.error());
    return s;
}

Status ImportImpl::recover(const ConnectReply& reply, bool known_before, uint64_t connect_ns)
{
    RecoveryTimes times;
    times.connect_ns = connect_ns;
    unsigned chosen = choose_recovery(reply, known_before);
    replayed_opens_now_ = replayed_now_ = resent_now_ = 0;
    for (size_t i = 0; i < std::size(kSteps); i++)
        if (kSteps[i].results & chosen || kSteps[i].state == ImportState::kFull)
            TRY(run_step(i, &times.step_ns[i]));
    recovery_ = {};
    if (known_before) report_recovery(reply, times);
    bool is_new = reply.result == static_cast<uint8_t>(ConnectResult::kNew);
    bool first_of_instance =
        std::exchange(full_instance_, reply.instance) != reply.instance || is_new;
    client_.on_full(reply, first_of_instance);
    return kOk;
}

// Opens that are committed are only re-established, in any order; the rest is executed again in its
// order.
Status ImportImpl::step_replay()
{
    MutexLock lock(lock_);
    TRY(replay_list(lock, opens_, kRpcReplayOpen, kOpenReplayWindow));
    TRY(replay_list(lock, closed_opens_, kRpcReplayOpen, kOpenReplayWindow));
    return replay_list(lock, replay_, kRpcReplay, 1);
}

Status ImportImpl::step_replay_locks() { return client_.on_replay_locks(); }
Status ImportImpl::step_replay_flocks() { return client_.on_replay_flocks(); }

// The server answers when its recovery window is closed.
Status ImportImpl::step_replay_done()
{
    auto request = make_ref<Call<ReplayDoneOp>>();
    if (!request) return -kENOMEM;
    return call_once(*request);
}

Status ImportImpl::step_evict()
{
    {
        MutexLock lock(lock_);
        log_err("%s: evicted by %s: operations in progress fail, what was not committed is lost",
                name(), to_text(current_nid_).c_str());
        eviction_epoch_++;
        stats_.evictions++;
        fail_sent_locked(-kEIO, false);
        lose_all_kept_locked();
        last_committed_ = 0;
        wake_all_locked();
    }
    client_.on_evicted();
    return kOk;
}

// Same xid, same slot, encoded anew. Nobody waits for the replies here: their callers do. What was
// sent over this connection already (during the recovery) is left alone.
Status ImportImpl::step_resend()
{
    MutexLock lock(lock_);
    uint64_t after = 0;
    for (;;) {
        auto it = sent_.begin();
        while (it != sent_.end() && (it->track.xid <= after || it->track.own ||
                                     it->track.sent_over == connection_number_))
            ++it;
        if (it == sent_.end() || closing_) return kOk;
        if (lost_) return -kENOTCONN;
        Request& r = *it;
        after = r.track.xid;
        r.track.resend = true;
        Encoder message(wire_protocol_locked(r));
        if (Status s = encode_locked(r, kRpcResend, message); s.is(kENOMEM)) {
            return s;
        } else if (!s.ok()) {
            complete_locked(r, s);
            continue;
        }
        if (r.opcode() !=
            Opcode::kActiveEnqueue) {  // it waits there by design (S11), nothing was interrupted
            stats_.resends++;
            resent_now_++;
        }
        send_bytes(lock, message, r);
    }
}

Status ImportImpl::step_full()
{
    MutexLock lock(lock_);
    if (lost_) return -kENOTCONN;
    set_state_locked(ImportState::kFull);
    if (full_count_++ > 0) stats_.reconnects++;
    was_full_ = true;
    if (preferred_nid_.is_zero() || preferred_nid_ == current_nid_) {
        preferred_nid_ = {};
        reconnect_wanted_ = false;
    }
    failed_in_row_ = 0;
    backoff_ms_ = kReconnectMinMs;
    last_error_ = kOk;
    outage_.over();
    wake_all_locked();
    return kOk;
}

void ImportImpl::report_recovery(const ConnectReply& reply, const RecoveryTimes& times)
{
    uint64_t total = times.connect_ns;
    for (uint64_t ns : times.step_ns) total += ns;
    using ull = unsigned long long;
    MutexLock lock(lock_);
    last_recovery_ = text_format<240>(
        "%s, instance %llu at %s, %llu ms: connect %llu, replay %llu (%llu opens, %llu others), "
        "locks %llu, wait %llu, "
        "evict %llu, resend %llu (%llu)",
        describe_result(reply.result), static_cast<ull>(reply.instance),
        to_text(current_nid_).c_str(), in_ms(total), in_ms(times.connect_ns),
        in_ms(times.step_ns[0]), static_cast<ull>(replayed_opens_now_),
        static_cast<ull>(replayed_now_), in_ms(times.step_ns[1] + times.step_ns[2]),
        in_ms(times.step_ns[3]), in_ms(times.step_ns[4]), in_ms(times.step_ns[5]),
        static_cast<ull>(resent_now_));
    log_notice("%s: %s", name(), last_recovery_.c_str());
}

}  // namespace lull
