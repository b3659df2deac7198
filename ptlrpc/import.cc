// SPDX-License-Identifier: GPL-2.0-only
#include "kapi/log.h"
#include "ptlrpc/import_impl.h"

namespace lull {

namespace {

// For imports that nobody stands above.
class Nobody final : public ImportClient {};
constinit Nobody nobody;

// The table of import.h; DISCONN and CLOSED are reached from everywhere.
bool transition_allowed(ImportState from, ImportState to)
{
    using enum ImportState;
    if (to == kClosed || to == kDisconn) return from != kClosed;
    switch (from) {
    case kNew:
    case kDisconn: return to == kConnecting;
    case kConnecting: return to == kReplay || to == kEvicted || to == kRecover || to == kFull;
    case kReplay: return to == kReplayLocks || to == kRecover;
    case kReplayLocks: return to == kReplayWait || to == kRecover;
    case kReplayWait: return to == kRecover;
    case kRecover:
    case kEvicted: return to == kFull;
    default: return false;
    }
}

uint64_t fresh_cookie()
{
    uint64_t cookie;
    do cookie = kapi_random_u64();
    while (cookie == 0);
    return cookie;
}

}  // namespace

const char* to_string(ImportState s)
{
    constexpr const char* kNames[] = {"NEW",         "CONNECTING", "REPLAY", "REPLAY_LOCKS",
                                      "REPLAY_WAIT", "RECOVER",    "FULL",   "DISCONN",
                                      "EVICTED",     "CLOSED"};
    return kNames[static_cast<size_t>(s)];
}

ImportImpl::ImportImpl(Node& node, ImportOptions&& options, ImportClient* client)
    : node_(node), options_(std::move(options)), client_(client ? *client : nobody),
      cookie_(fresh_cookie())
{}

Result<Ref<Import>> Import::create(Node& node, ImportOptions options, ImportClient* client)
{
    if (options.nids.empty() || options.target.empty()) return -kEINVAL;
    auto import = make_ref<ImportImpl>(node, std::move(options), client);
    if (!import) return -kENOMEM;
    TRY(import->init());
    return Ref<Import>(import);
}

Status ImportImpl::init()
{
    gate_ = TRY(Gate::create(options_.gate_closed_for));
    gate_->set_watcher(this);
    return kOk;
}

ImportImpl::~ImportImpl()
{
    if (gate_) close();
}

// ---- life

Status ImportImpl::connect(uint64_t deadline_ns, WaitMode mode)
{
    MutexLock lock(lock_);
    if (closing_) return -kESHUTDOWN;
    if (!std::exchange(starting_, true)) {
        lock.unlock();
        Status s = task_.start<&ImportImpl::run>(this, "lull_import");
        lock.relock();
        if (!s.ok()) {
            starting_ = false;
            return s;
        }
    }
    Status s = changed_.wait_until(
        lock, [&] { return full_count_ > 0 || closing_ || hopeless_ || rests_; }, deadline_ns,
        mode);
    if (full_count_ > 0) return kOk;
    if (closing_) return -kESHUTDOWN;
    if (rests_) return -kEIO;
    bool says_why = hopeless_ || last_error_.is(kENODEV);
    return says_why && !s.is(kERESTARTSYS) ? last_error_ : s;
}

void ImportImpl::close()
{
    Ref<Connection> dialled;
    {
        MutexLock lock(lock_);
        if (closing_) {
            (void)changed_.wait_until(lock, [&] { return closed_; });
            return;
        }
        LULL_ASSERT(!is_own_task());
        closing_ = true;
        fail_sent_locked(-kESHUTDOWN, false);
        fail_sent_locked(-kESHUTDOWN, true);
        if (state_ == ImportState::kConnecting) dialled = connection_;
        wake_all_locked();
    }
    if (dialled) dialled->close();
    gate_->shut(-kESHUTDOWN);
    task_.join();
    MutexLock lock(lock_);
    (void)changed_.wait_until(lock, [&] { return callbacks_ == 0 && open_connections_ == 0; });
    fail_sent_locked(-kESHUTDOWN, true);
    drop_all_kept_locked();
    set_state_locked(ImportState::kClosed);
    closed_ = true;
    wake_all_locked();
}

Status ImportImpl::wait_full(uint64_t deadline_ns, WaitMode mode)
{
    MutexLock lock(lock_);
    TRY(changed_.wait_until(
        lock, [&] { return state_ == ImportState::kFull || closing_; }, deadline_ns, mode));
    return closing_ ? Status(-kESHUTDOWN) : kOk;
}

void ImportImpl::expect_restart(uint32_t spread_ms)
{
    MutexLock lock(lock_);
    expect_restart_until_ns_ = deadline_after_ms(kExpectRestartMs);
    spread_.told(spread_ms, kapi_random_u64());
    reconnect_wanted_ = true;
    task_wake_.wake_all();
}

void ImportImpl::ping()
{
    MutexLock lock(lock_);
    ping_wanted_ = true;
    task_wake_.wake_all();
}

Status ImportImpl::recover_now(Nid nid, uint64_t deadline_ns)
{
    Ref<Connection> other;
    MutexLock lock(lock_);
    if (closing_) return -kESHUTDOWN;
    if (rests_) return -kEIO;
    if (!nid.is_zero() && !is_among(nid, options_.nids)) return -kEINVAL;
    uint64_t before = full_count_;
    spread_.over();
    go_to_locked(nid, &other);
    if (other) {
        lock.unlock();
        other->close();
        lock.relock();
    }
    TRY(changed_.wait_until(
        lock, [&] { return full_count_ > before || closing_ || rests_; }, deadline_ns,
        WaitMode::kInterruptible));
    if (full_count_ == before) return closing_ ? Status(-kESHUTDOWN) : Status(-kEIO);
    return nid.is_zero() || current_nid_ == nid ? kOk : Status(-kENODEV);
}

// The next connection is tried at once and there. other: one that is dialled, or asked to connect,
// at another node, to be closed.
void ImportImpl::go_to_locked(Nid nid, Ref<Connection>* other)
{
    preferred_nid_ = nid;
    reconnect_wanted_ = true;
    backoff_ms_ = kReconnectMinMs;
    if (state_ == ImportState::kConnecting && connection_ && !nid.is_zero() &&
        !(current_nid_ == nid))
        *other = connection_;
    task_wake_.wake_all();
}

void ImportImpl::target_is_at(Nid nid, uint64_t instance)
{
    Ref<Connection> other;
    {
        MutexLock lock(lock_);
        bool there = connection_ && !lost_ && state_ != ImportState::kConnecting;
        if (closing_ || rests_ || nid.is_zero() || instance < instance_ ||
            (instance == instance_ && there))
            return;
        bool asking_there = state_ == ImportState::kConnecting && current_nid_ == nid && !lost_;
        spread_.target_runs(kapi_random_u64());  // everybody hears it now
        go_to_locked(nid, &other);
        // To a former instance; or dialled before that node was up.
        if (connection_ && !asking_there) other = connection_;
        bool news = instance != told_instance_ || nid != told_nid_;
        told_nid_ = nid;
        told_instance_ = instance;
        if (news)
            log_info("%s: instance %llu has started at %s, says the MGS", name(),
                     static_cast<unsigned long long>(instance), to_text(nid).c_str());
    }
    if (other) other->close();
}

Status recover_as_told(Import& import, Str value)
{
    Nid nid;
    uint64_t seconds = kRecoverSeconds;
    size_t space = value.find(' ');
    Str where = value.substr(0, space);
    if (space != SIZE_MAX) seconds = TRY(parse_u64(value.substr(space + 1)));
    if (seconds == 0 || seconds > kRecoverSecondsMax) return -kERANGE;
    if (!where.empty() && !(where == Str("1"))) nid = TRY(parse_nid(where));
    return import.recover_now(nid, deadline_after_ms(seconds * 1000));
}

// ---- the task

void ImportImpl::run()
{
    {
        MutexLock lock(lock_);
        own_task_ = kapi_task_self();
    }
    for (;;) {
        rest();
        {
            MutexLock lock(lock_);
            if (closing_) break;
        }
        await_place();
        Status s = connect_once();
        if (s.ok()) stay_full();
        else back_off(s);
    }
    leave_connection();
}

// Until the connection is lost, somebody wants another one, or the import is closed.
void ImportImpl::stay_full()
{
    {
        MutexLock lock(lock_);
        while (!closing_ && !rests_ && !lost_ && !reconnect_wanted_) {
            (void)task_wake_.wait(lock, next_look_locked());
            keepalive(lock);
        }
        if ((closing_ || rests_) && !lost_) {
            lock.unlock();
            say_goodbye();
            lock.relock();
        }
    }
    leave_connection();
}

void ImportImpl::leave_connection()
{
    Ref<Connection> gone;
    bool expected, was_full;
    {
        MutexLock lock(lock_);
        std::swap(connection_, gone);
        lost_ = ping_wanted_ = false;
        ping_xid_ = 0;
        was_full = std::exchange(was_full_, false);
        expected = closing_ || rests_ || now_ns() < expect_restart_until_ns_;
        fail_sent_locked(-kENOTCONN, true);
        set_state_locked(ImportState::kDisconn);
    }
    if (!gone) return;
    gone->close();
    if (!was_full) return;
    if (!expected) {
        {
            MutexLock lock(lock_);
            outage_.begin(now_ns());
        }
        log_notice("%s: connection to %s lost, looking for the target", name(),
                   to_text(gone->peer()).c_str());
    }
    client_.on_disconnected();
}

void ImportImpl::set_active(bool yes)
{
    Ref<Connection> halfway;
    if (!yes) gate_->close(Gate::kInactive);
    {
        MutexLock lock(lock_);
        if (active_ == yes || closing_) return;
        active_ = yes;
        if (!yes) {
            rests_ = true;
            eviction_epoch_++;
            fail_sent_locked(-kEIO, false);
            if (state_ != ImportState::kFull) halfway = connection_;
        }
        wake_all_locked();
    }
    log_notice("%s: %s", name(),
               yes ? "active again" : "inactive: what lies there cannot be used, says the MGS");
    if (halfway) halfway->close();
}

bool ImportImpl::is_active() const
{
    MutexLock lock(lock_);
    return active_;
}

// While it is inactive: everything of the target is dropped, as by an eviction, and it is not
// looked for. Then it is another client to the target, which so drops what it has of this one.
void ImportImpl::rest()
{
    MutexLock lock(lock_);
    if (!rests_) return;
    while (rests_ && !closing_) {
        stats_.evictions++;
        fail_sent_locked(-kEIO, false);
        lose_all_kept_locked();
        last_committed_ = instance_ = full_instance_ = told_instance_ = 0;
        recovery_ = {};
        cookie_ = fresh_cookie();
        lock.unlock();
        client_.on_evicted();
        lock.relock();
        (void)task_wake_.wait_until(lock, [&] { return active_ || closing_; });
        rests_ = !active_;
    }
    if (closing_) return;
    outage_.over();
    failed_in_row_ = 0;
    lock.unlock();
    gate_->reopen(Gate::kInactive);
}

void ImportImpl::say_goodbye()
{
    auto request = make_ref<Call<DisconnectOp>>();
    if (!request) return;
    {
        MutexLock lock(lock_);
        own_deadline_ns_ = deadline_after_ms(kDisconnectMs);
    }
    (void)call_once(*request);
    MutexLock lock(lock_);
    own_deadline_ns_ = kForever;
}

// Every NID is tried once before we wait.
void ImportImpl::back_off(Status why)
{
    leave_connection();
    MutexLock lock(lock_);
    last_error_ = why;
    hopeless_ = (why.is(kEPROTONOSUPPORT) || is_nowhere_locked(why)) && full_count_ == 0;
    if (hopeless_) changed_.wake_all();
    bool on_purpose = closing_ || rests_ || reconnect_wanted_;
    uint64_t now = now_ns();
    if (!on_purpose && now >= expect_restart_until_ns_ && outage_.failed(now))
        log_info("%s: no connection to %s: error %d, %s", name(), to_text(current_nid_).c_str(),
                 why.error(), outage_.describe(now).c_str());
    if (closing_ || rests_ || ++failed_in_row_ % options_.nids.size() != 0) return;
    uint64_t limit = now < expect_restart_until_ns_ ? kReconnectExpectedMs : kReconnectMaxMs;
    uint64_t ms = backoff_ms_ < limit ? backoff_ms_ : limit;
    backoff_ms_ = longer_backoff(ms, kReconnectMaxMs);
    ms = spread_.pause_ms(ms);
    (void)task_wake_.wait_until(
        lock, [&] { return closing_ || rests_ || reconnect_wanted_; }, deadline_after_ms(ms));
}

// Its nodes are up, and none of them has it. A target that is being moved is so for a moment.
bool ImportImpl::is_nowhere_locked(Status why)
{
    if (!why.is(kENODEV)) nowhere_in_row_ = 0;
    else if (nowhere_in_row_++ == 0) nowhere_since_ns_ = now_ns();
    return options_.nowhere_ms && nowhere_in_row_ >= options_.nids.size() &&
           now_ns() - nowhere_since_ns_ >= options_.nowhere_ms * kMsec;
}

// Of many clients that return after a controlled shutdown.
void ImportImpl::await_place()
{
    MutexLock lock(lock_);
    while (!closing_ && !rests_ && spread_.on()) {
        if (now_ns() >= expect_restart_until_ns_) spread_.over();
        if (now_ns() >= spread_.not_before_ns()) return;
        (void)task_wake_.wait(lock, spread_.not_before_ns());
    }
}

uint64_t ImportImpl::ping_patience_locked() const
{
    AtTunables& at = node_.adaptive();
    if (!at.adaptive()) return timeout_ns();
    return ping_time_.patience_ns(now_ns(), at, at.min_ms.load());
}

uint64_t ImportImpl::connect_patience_locked() const
{
    uint64_t ns = timeout_ns(), most = node_.adaptive().max_ms.load() * kMsec;
    for (unsigned i = 0; i < connects_unanswered_ && ns < most; i++)
        ns = 2 * ns < most ? 2 * ns : most;
    return ns;
}

uint64_t ImportImpl::next_keepalive_locked() const
{
    if (ping_xid_)
        return (last_heard_ns_ > ping_sent_ns_ ? last_heard_ns_ : ping_sent_ns_) +
               ping_patience_locked();
    if (ping_wanted_) return 0;
    uint64_t quiet =
        (last_heard_ns_ < last_sent_ns_ ? last_heard_ns_ : last_sent_ns_) + timeout_ns() / 4;
    if (sent_.empty() || !node_.adaptive().adaptive()) return quiet;
    uint64_t waiting =
        (last_heard_ns_ > outstanding_since_ns_ ? last_heard_ns_ : outstanding_since_ns_) +
        busy_ping_ns();
    return waiting < quiet ? waiting : quiet;
}

// Nobody wakes the task because a request was sent: it looks often enough.
uint64_t ImportImpl::next_look_locked() const
{
    uint64_t keepalive = next_keepalive_locked(), look = now_ns() + busy_ping_ns();
    return keepalive < look ? keepalive : look;
}

// Pings when it is time, gives the peer up when it does not answer. Drops the lock while it sends.
void ImportImpl::keepalive(MutexLock& lock)
{
    if (lost_ || !connection_ || now_ns() < next_keepalive_locked()) return;
    if (ping_xid_) {
        Ref<Connection> silent = connection_;
        given_up_after_ns_ = ping_patience_locked();
        lock.unlock();
        log_notice("%s: %s answers no ping, giving it up", name(), to_text(silent->peer()).c_str());
        silent->close();
        lock.relock();
        lost_ = true;
        return;
    }
    auto ping = make_ref<Call<PingOp>>();
    last_sent_ns_ = now_ns();  // without memory: tried again after the same time
    ping_wanted_ = false;
    if (!ping) return;
    lock.unlock();
    ping->op.dirty_bytes = client_.dirty_bytes();
    lock.relock();
    if (lost_ || !connection_) return;
    (void)send_first(lock, *ping);
    if (ping->track.state != Request::Track::State::kSent) return;
    ping_xid_ = ping->track.xid;
    ping_sent_ns_ = last_sent_ns_;
}

// ---- state

void ImportImpl::set_state_locked(ImportState next)
{
    if (state_ == next) return;
    LULL_ASSERT(transition_allowed(state_, next));
    kapi_trace_state(KAPI_IMPORT, name(), to_string(state_), to_string(next));
    state_ = next;
    gate_->set_reachable(state_ == ImportState::kFull);
    for (Request& r : sent_)
        if ((r.gives_way || r.holder) && r.track.waiter) r.track.waiter->wake_all();
    wake_all_locked();
}

void ImportImpl::wake_all_locked()
{
    changed_.wake_all();
    slot_free_.wake_all();
    task_wake_.wake_all();
}

void ImportImpl::on_closed(Connection& connection, Status)
{
    MutexLock lock(lock_);
    LULL_ASSERT(open_connections_ > 0);
    open_connections_--;
    if (connection_.get() == &connection) {
        lost_ = true;
        fail_sent_locked(-kENOTCONN, true);
    }
    wake_all_locked();
}

ImportState ImportImpl::state() const
{
    MutexLock lock(lock_);
    return state_;
}

uint64_t ImportImpl::instance() const
{
    MutexLock lock(lock_);
    return instance_;
}

uint16_t ImportImpl::protocol() const
{
    MutexLock lock(lock_);
    return protocol_;
}

uint64_t ImportImpl::last_committed() const
{
    MutexLock lock(lock_);
    return last_committed_;
}

ImportStats ImportImpl::stats() const
{
    MutexLock lock(lock_);
    return stats_;
}

}  // namespace lull
