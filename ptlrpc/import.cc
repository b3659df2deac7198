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
        lock, [&] { return full_count_ > 0 || closing_ || hopeless_; }, deadline_ns, mode);
    if (full_count_ > 0) return kOk;
    if (closing_) return -kESHUTDOWN;
    bool says_why = hopeless_ || last_error_.is(kENODEV);
    return says_why && !s.is(kERESTARTSYS) ? last_error_ : s;
}

void ImportImpl::close()
{
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
        wake_all_locked();
    }
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

void ImportImpl::expect_restart()
{
    MutexLock lock(lock_);
    expect_restart_until_ns_ = deadline_after_ms(kExpectRestartMs);
    reconnect_wanted_ = true;
    task_wake_.wake_all();
}

Status ImportImpl::recover_now(Nid nid, uint64_t deadline_ns)
{
    MutexLock lock(lock_);
    uint64_t before = full_count_;
    preferred_nid_ = nid;
    reconnect_wanted_ = true;
    task_wake_.wake_all();
    TRY(changed_.wait_until(
        lock, [&] { return full_count_ > before || closing_; }, deadline_ns,
        WaitMode::kInterruptible));
    return full_count_ > before ? kOk : Status(-kESHUTDOWN);
}

// ---- the task

void ImportImpl::run()
{
    {
        MutexLock lock(lock_);
        own_task_ = kapi_task_self();
    }
    for (;;) {
        {
            MutexLock lock(lock_);
            if (closing_) break;
        }
        Status s = connect_once();
        if (s.ok())
            stay_full();
        else
            back_off(s);
    }
    leave_connection();
}

// Until the connection is lost, somebody wants another one, or the import is closed.
void ImportImpl::stay_full()
{
    {
        MutexLock lock(lock_);
        while (!closing_ && !lost_ && !reconnect_wanted_) {
            (void)task_wake_.wait(lock, next_keepalive_locked());
            keepalive(lock);
        }
        if (closing_ && !lost_) {
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
        lost_ = false;
        ping_xid_ = 0;
        was_full = std::exchange(was_full_, false);
        expected = closing_ || now_ns() < expect_restart_until_ns_;
        fail_sent_locked(-kENOTCONN, true);
        set_state_locked(ImportState::kDisconn);
    }
    if (!gone) return;
    gone->close();
    if (!was_full) return;
    if (!expected)
        log_notice("%s: connection to %s lost, looking for the target", name(),
                   to_text(gone->peer()).c_str());
    client_.on_disconnected();
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
    bool first_of_its_kind = last_error_.error() != why.error();
    last_error_ = why;
    hopeless_ = why.is(kEPROTONOSUPPORT) && full_count_ == 0;
    if (hopeless_) changed_.wake_all();
    if (first_of_its_kind && !why.is(kERetryLater) && now_ns() >= expect_restart_until_ns_)
        log_info("%s: no connection to %s: error %d, trying on", name(),
                 to_text(current_nid_).c_str(), why.error());
    if (closing_ || ++failed_in_row_ % options_.nids.size() != 0) return;
    uint64_t limit = now_ns() < expect_restart_until_ns_ ? kReconnectExpectedMs : kReconnectMaxMs;
    uint64_t ms = backoff_ms_ < limit ? backoff_ms_ : limit;
    backoff_ms_ = longer_backoff(ms, kReconnectMaxMs);
    reconnect_wanted_ = false;
    (void)task_wake_.wait_until(
        lock, [&] { return closing_ || reconnect_wanted_; }, deadline_after_ms(ms));
}

uint64_t ImportImpl::next_keepalive_locked() const
{
    if (ping_xid_) return last_heard_ns_ + timeout_ns();
    return (last_heard_ns_ < last_sent_ns_ ? last_heard_ns_ : last_sent_ns_) + timeout_ns() / 4;
}

// Pings when it is time, gives the peer up when it does not answer. Drops the lock while it sends.
void ImportImpl::keepalive(MutexLock& lock)
{
    if (lost_ || !connection_ || now_ns() < next_keepalive_locked()) return;
    if (ping_xid_) {
        Ref<Connection> silent = connection_;
        lock.unlock();
        log_notice("%s: %s answers no ping, giving it up", name(), to_text(silent->peer()).c_str());
        silent->close();
        lock.relock();
        lost_ = true;
        return;
    }
    auto ping = make_ref<Call<PingOp>>();
    last_sent_ns_ = now_ns();  // without memory: tried again after the same time
    if (!ping) return;
    (void)send_first(lock, *ping);
    if (ping->track.state == Request::Track::State::kSent) ping_xid_ = ping->track.xid;
}

// ---- state

void ImportImpl::set_state_locked(ImportState next)
{
    if (state_ == next) return;
    LULL_ASSERT(transition_allowed(state_, next));
    state_ = next;
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
