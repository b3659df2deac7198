// SPDX-License-Identifier: GPL-2.0-only
#include "target/recovery.h"

#include "kapi/log.h"
#include "ptlrpc/params.h"

namespace lull {

using Stage = ReplayQueue::Stage;

namespace {
// Who has not come, or who came and is not done (R3).
void name_clients(const ReplayQueue& queue, const char* title, bool missing, TextSink& out)
{
    size_t n = 0;
    for (const ReplayQueue::Client& c : queue.clients()) {
        if (c.stage() == Stage::kDone || (c.stage() == Stage::kMissing) != missing) continue;
        if (n++ == 0) out.printf("%s:", title);
        if (n <= Recovery::kNamesShown) out.printf(" %s (%s)", c.uuid.c_str(), c.nodename.c_str());
    }
    if (n > Recovery::kNamesShown) out.printf(" and %zu more", n - Recovery::kNamesShown);
    if (n) out.append("\n");
}
}  // namespace

Status Recovery::begin(const Vec<UuidText>& clients)
{
    for (const UuidText& c : clients) {
        Text<65> nodename = env_.nodename_of(c);
        TRY(state_.lock()->queue.expect(c, nodename));
    }
    {
        auto s = state_.lock();
        s->began_ns = s->progress_ns = now_ns();
        s->total = clients.size();
    }
    active_.store(true);
    kapi_trace_state(KAPI_RECOVERY, name_, "inactive", "open");
    Status s = task_.start<&Recovery::run>(this, "lull_recovery");
    if (!s.ok()) active_.store(false);
    return s;
}

void Recovery::stop()
{
    state_.lock()->stop = true;
    changed_.wake_all();
    task_.join();
}

void Recovery::close()
{
    auto s = state_.lock();
    s->close = true;
    changed_.wake_all();
}

bool Recovery::expects(const UuidText& client) const
{
    if (!active()) return false;
    auto s = state_.lock();
    return s->queue.find(client) != nullptr;
}

bool Recovery::is_done(const UuidText& client) const
{
    if (!active()) return true;
    auto s = state_.lock();
    const ReplayQueue::Client* c = s->queue.find(client);
    return !c || c->stage() == Stage::kDone;
}

void Recovery::connected(const UuidText& client, Ref<Export> exp)
{
    auto s = state_.lock();
    ReplayQueue::Client* c = s->queue.find(client);
    if (!c) return;
    if (c->stage() != Stage::kDone) s->queue.set_stage(*c, Stage::kReplaying);
    std::swap(c->exp, exp);
    progress_locked(*s, *c);
    changed_.wake_all();
}

void Recovery::note_progress(const UuidText& client)
{
    if (!active()) return;
    auto s = state_.lock();
    if (ReplayQueue::Client* c = s->queue.find(client)) progress_locked(*s, *c);
}

void Recovery::set_limits(uint32_t soft, uint32_t hard)
{
    auto s = state_.lock();
    if (soft) soft_ms_.store(soft);
    if (hard) hard_ms_.store(hard);
    changed_.wake_all();
}

void Recovery::gone(const UuidText& client, Gone how)
{
    auto s = state_.lock();
    ReplayQueue::Client* c = s->queue.find(client);
    if (!c) return;
    if (how == Gone::kEvicted && s->evicted_names.size() + c->uuid.size() + c->nodename.size() + 5 <
                                     s->evicted_names.capacity()) {
        auto name = text_format<112>(" %s (%s)", c->uuid.c_str(), c->nodename.c_str());
        (void)s->evicted_names.append(name);
    }
    s->queue.remove(*c);
    (how == Gone::kEvicted ? s->evicted : s->left)++;
    changed_.wake_all();
}

bool Recovery::hold_replay(Ref<ServerRequest> request)
{
    auto s = state_.lock();
    if (!active()) return false;
    Status held = s->queue.hold(request->exp->client_uuid(), request->replay_transno(), request);
    changed_.wake_all();
    if (held.is(kENOENT)) return false;
    s.unlock();
    if (!held.ok()) request->reply_error(held);
    s.relock();
    return true;
}

bool Recovery::replay_done(Ref<ServerRequest> request)
{
    auto s = state_.lock();
    ReplayQueue::Client* c = active() ? s->queue.find(request->exp->client_uuid()) : nullptr;
    if (!c) return false;
    if (!s->done_requests.push_back(request).ok()) {
        s.unlock();
        request->reply_error(-kENOMEM);
        s.relock();
        return true;
    }
    s->queue.set_stage(*c, Stage::kDone);
    progress_locked(*s, *c);
    changed_.wake_all();
    return true;
}

void Recovery::requests_replayed(const UuidText& client)
{
    auto s = state_.lock();
    ReplayQueue::Client* c = s->queue.find(client);
    if (!c || c->stage() != Stage::kReplaying) return;
    s->queue.set_stage(*c, Stage::kReplayed);
    changed_.wake_all();
}

uint64_t Recovery::soft_end_locked(const State& s) const
{
    if (s.close) return s.began_ns;
    uint64_t soft = s.began_ns + soft_ms_.load() * kMsec,
             extended = s.progress_ns + extend_ms_.load() * kMsec;
    uint64_t hard = hard_end_locked(s);
    if (soft < extended) soft = extended;
    return soft < hard ? soft : hard;
}

// Of a client that has come back. What the server has not answered yet is not its fault.
uint64_t Recovery::patience_end(const ReplayQueue::Client& c) const
{
    uint64_t since = c.exp ? c.exp->idle_since_ns() : 0;
    if (since < c.progress_ns) since = c.progress_ns;
    return since + extend_ms_.load() * kMsec;
}

// When there is something to decide next, if nothing happens.
uint64_t Recovery::deadline_locked(const State& s) const
{
    uint64_t next = soft_end_locked(s);
    if (now_ns() < next) return next;
    next = hard_end_locked(s);
    for (const auto& c : s.queue.clients()) {
        bool waited_for =
            c.stage() != Stage::kMissing && c.stage() != Stage::kDone && c.held() == 0;
        uint64_t end = patience_end(c);
        if (waited_for && end < next) next = end;
    }
    return next;
}

// all: whoever is not done, or has lost something. Else who has not come, and who does nothing.
bool Recovery::find_late_locked(State& s, bool all, Late* out) const
{
    for (auto& c : s.queue.clients()) {
        bool done = c.stage() == Stage::kDone;
        if (done && !(all && c.lost)) continue;
        bool missing = c.stage() == Stage::kMissing;
        bool stuck = c.held() == 0 && now_ns() >= patience_end(c);
        if (!missing && !stuck && !all) continue;
        out->uuid = c.uuid;
        out->exp = c.exp;
        out->why = missing ? "it did not come back within the recovery window"
                   : done  ? "not all it had done could be replayed"
                   : all   ? "it did not finish its recovery in time"
                           : "it came back, but did not go on with its recovery";
        return true;
    }
    return false;
}

void Recovery::evict_late(Late& late)
{
    if (late.exp) env_.evict_export(*late.exp, late.why);
    else env_.evict_absent(late.uuid, late.why);
    gone(late.uuid, Gone::kEvicted);  // if the environment did not say so already
    late = {};
}

bool Recovery::over_locked(const State& s, const char** why) const
{
    if (s.stop) return true;
    auto counts = s.queue.counts();
    if (s.queue.all_done()) *why = "every client is done";
    else if (now_ns() >= hard_end_locked(s)) *why = "its time is over (recovery_time_hard)";
    else if (soft_passed_locked(s) && counts.connected == counts.done && s.queue.held() == 0)
        *why = s.close ? "the administrator closed it (abort_recov)"
                       : "nobody else came (recovery_time_soft)";
    else return false;
    return true;
}

void Recovery::run()
{
    const char* why = "";
    auto s = state_.lock();
    // After the soft limit who is late is not waited for any more: he would hold up the replays of
    // the others.
    while (!over_locked(*s, &why)) {
        Late late;
        if (soft_passed_locked(*s) && find_late_locked(*s, false, &late)) {
            s.unlock();
            evict_late(late);
            s.relock();
            continue;
        }
        if (!s->queue.ready()) {
            (void)s.wait(changed_, deadline_locked(*s));
            continue;
        }
        Ref<ServerRequest> request = s->queue.next();
        s->executed++;
        s->progress_ns = now_ns();
        s.unlock();
        env_.execute_replay(request);
        note_loss(*request);
        request.reset();
        s.relock();
    }
    bool stopped = s->stop;
    Text<60> reason(why);
    s.unlock();
    if (!stopped) {
        evict_incomplete();
        finish(reason.c_str());
    }
    s.relock();
}

void Recovery::note_loss(const ServerRequest& request)
{
    Status status = request.replied() ? request.replied_status() : kOk;
    bool is_loss =
        !status.ok() && !status.is(kEEvicted) && !status.is(kEPark) && !status.is(kERetryLater);
    if (!is_loss) return;
    const UuidText& uuid = request.exp->client_uuid();
    log_warn(
        "%s: replay of %s, transaction %llu, of client %s (%s) failed: "
        "error %d%s; it will be evicted when recovery ends",
        name_, request.info().name, static_cast<unsigned long long>(request.replay_transno()),
        uuid.c_str(), request.exp->nodename().c_str(), status.error(),
        status.is(kEOVERFLOW) || status.is(kESTALE)
            ? ", it builds on what another client did who is missing"
            : "");
    auto s = state_.lock();
    if (ReplayQueue::Client* c = s->queue.find(uuid)) c->lost = true;
}

void Recovery::evict_incomplete()
{
    for (;;) {
        Late late;
        if (!find_late_locked(*state_.lock(), true, &late)) return;
        evict_late(late);
    }
}

void Recovery::finish(const char* why)
{
    Vec<Ref<ServerRequest>> done;
    {
        auto s = state_.lock();
        s->ended_ns = now_ns();
        s->completed = s->queue.counts().done;
        done.swap(s->done_requests);
        active_.store(false);
        kapi_trace_state(KAPI_RECOVERY, name_, "open", "complete");
        for (auto& c : s->queue.clients()) c.exp.reset();
        log_notice(
            "%s: recovery complete after %llu ms, %s: "
            "%zu of %zu clients recovered, %zu evicted, %zu replays",
            name_, static_cast<unsigned long long>((s->ended_ns - s->began_ns) / kMsec), why,
            s->completed, s->total, s->evicted, s->executed);
    }
    env_.on_window_closed();
    for (Ref<ServerRequest>& request : done) {
        Empty reply;
        if (request->exp->is_dead()) request->reply_error(-kEEvicted);
        else request->reply(reply);
    }
}

void Recovery::describe(TextSink& out) const
{
    auto s = state_.lock();
    if (s->total == 0) {
        out.printf("status: INACTIVE\n");
        return;
    }
    using ull = unsigned long long;
    if (!active()) {
        out.printf("status: COMPLETE\nrecovery_duration: %llu\n",
                   static_cast<ull>((s->ended_ns - s->began_ns) / kSec));
        out.printf(
            "completed_clients: %zu/%zu\nreplayed_requests: %zu\n"
            "evicted_clients: %zu\nleft_clients: %zu\n",
            s->completed, s->total, s->executed, s->evicted, s->left);
        if (!s->evicted_names.empty()) out.printf("evicted:%s\n", s->evicted_names.c_str());
        return;
    }
    auto counts = s->queue.counts();
    auto seconds_to = [now = now_ns()](uint64_t t) {
        return static_cast<ull>(t > now ? (t - now) / kSec : 0);
    };
    out.printf("status: RECOVERING\ntime_remaining: %llu\ntime_remaining_hard: %llu\n",
               seconds_to(deadline_locked(*s)), seconds_to(hard_end_locked(*s)));
    out.printf("connected_clients: %zu/%zu\ncompleted_clients: %zu/%zu\n", counts.connected,
               s->total, counts.done, s->total);
    out.printf(
        "replayed_requests: %zu\nqueued_requests: %zu\nevicted_clients: %zu\nleft_clients: %zu\n",
        s->executed, s->queue.held(), s->evicted, s->left);
    name_clients(s->queue, "missing", true, out);
    name_clients(s->queue, "unfinished", false, out);
}

}  // namespace lull
