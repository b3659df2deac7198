// SPDX-License-Identifier: GPL-2.0-only
#include "target/recovery.h"

#include "kapi/log.h"
#include "ptlrpc/params.h"

namespace lull {

using Stage = ReplayQueue::Stage;

Status Recovery::begin(const Vec<UuidText>& clients)
{
    {
        auto s = state_.lock();
        for (const UuidText& c : clients) TRY(s->queue.expect(c));
        s->began_ns = now_ns();
        s->total = clients.size();
    }
    active_.store(true);
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
    return !c || c->stage == Stage::kDone;
}

void Recovery::connected(const UuidText& client, Ref<Export> exp)
{
    auto s = state_.lock();
    ReplayQueue::Client* c = s->queue.find(client);
    if (!c) return;
    if (c->stage != Stage::kDone) c->stage = Stage::kReplaying;
    std::swap(c->exp, exp);
    changed_.wake_all();
}

void Recovery::gone(const UuidText& client)
{
    auto s = state_.lock();
    if (!s->queue.find(client)) return;
    s->queue.remove(client);
    s->evicted++;
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
    c->stage = Stage::kDone;
    changed_.wake_all();
    return true;
}

void Recovery::requests_replayed(const UuidText& client)
{
    auto s = state_.lock();
    ReplayQueue::Client* c = s->queue.find(client);
    if (!c || c->stage != Stage::kReplaying) return;
    c->stage = Stage::kReplayed;
    changed_.wake_all();
}

uint64_t Recovery::deadline_locked(const State& s) const
{
    uint64_t soft = s.began_ns + soft_ms.load() * kMsec, hard = s.began_ns + hard_ms.load() * kMsec;
    return !s.close && now_ns() < soft && soft < hard ? soft : hard;
}

bool Recovery::over_locked(const State& s, const char** why) const
{
    if (s.stop) return true;
    uint64_t passed = now_ns() - s.began_ns;
    auto counts = s.queue.counts();
    if (s.queue.all_done()) *why = "every client is done";
    else if (passed >= hard_ms.load() * kMsec) *why = "its time is over (recovery_time_hard)";
    else if (soft_passed_locked(s) && counts.connected == counts.done && s.queue.held() == 0)
        *why = s.close ? "the administrator closed it (abort_recov)" : "nobody else came (recovery_time_soft)";
    else return false;
    return true;
}

void Recovery::run()
{
    const char* why = "";
    auto s = state_.lock();
    // After the soft limit the missing ones are not waited for any more: they would hold up the replays of the others.
    bool missing_evicted = false;
    while (!over_locked(*s, &why)) {
        if (!missing_evicted && soft_passed_locked(*s)) {
            missing_evicted = true;
            Vec<UuidText> missing;
            for (auto& c : s->queue.clients())
                if (c.stage == Stage::kMissing && !missing.push_back(c.uuid).ok()) break;  // the rest at the hard limit
            s.unlock();
            for (const UuidText& uuid : missing) env_.evict_absent(uuid, "it did not come back within the recovery window");
            s.relock();
            continue;
        }
        if (!s->queue.ready()) {
            (void)s.wait(changed_, deadline_locked(*s));
            continue;
        }
        Ref<ServerRequest> request = s->queue.next();
        s->executed++;
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
    bool is_loss = !status.ok() && !status.is(kEEvicted) && !status.is(kEPark) && !status.is(kERetryLater);
    if (!is_loss) return;
    const UuidText& uuid = request.exp->client_uuid();
    log_warn("%s: replay of %s, transaction %llu, of client %s (%s) failed: error %d%s; it will be evicted when recovery ends", name_,
             request.info().name, static_cast<unsigned long long>(request.replay_transno()), uuid.c_str(),
             request.exp->nodename().c_str(), status.error(),
             status.is(kEOVERFLOW) || status.is(kESTALE) ? ", it builds on what another client did who is missing" : "");
    auto s = state_.lock();
    if (ReplayQueue::Client* c = s->queue.find(uuid)) c->lost = true;
}

void Recovery::evict_incomplete()
{
    for (;;) {
        UuidText uuid;
        Ref<Export> exp;
        bool found = false, lost = false;
        {
            auto s = state_.lock();
            for (auto& c : s->queue.clients()) {
                if (c.stage == Stage::kDone && !c.lost) continue;
                uuid = c.uuid;
                exp = c.exp;
                lost = c.lost;
                found = true;
                break;
            }
        }
        if (!found) return;
        if (exp) env_.evict_export(*exp, lost ? "not all it had done could be replayed" : "it did not finish its recovery in time");
        else env_.evict_absent(uuid, "it did not come back within the recovery window");
        gone(uuid);  // if the environment did not say so already
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
        for (auto& c : s->queue.clients()) c.exp.reset();
        log_notice("%s: recovery complete after %llu ms, %s: %zu of %zu clients recovered, %zu evicted, %zu replays", name_,
                   static_cast<unsigned long long>((s->ended_ns - s->began_ns) / kMsec), why, s->completed, s->total,
                   s->evicted, s->executed);
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
        out.printf("status: COMPLETE\nrecovery_duration: %llu\n", static_cast<ull>((s->ended_ns - s->began_ns) / kSec));
        out.printf("completed_clients: %zu/%zu\nreplayed_requests: %zu\nevicted_clients: %zu\n", s->completed, s->total,
                   s->executed, s->evicted);
        return;
    }
    auto counts = s->queue.counts();
    uint64_t deadline = deadline_locked(*s), now = now_ns();
    out.printf("status: RECOVERING\ntime_remaining: %llu\n", static_cast<ull>(deadline > now ? (deadline - now) / kSec : 0));
    out.printf("connected_clients: %zu/%zu\ncompleted_clients: %zu/%zu\n", counts.connected, s->total, counts.done, s->total);
    out.printf("replayed_requests: %zu\nqueued_requests: %zu\nevicted_clients: %zu\n", s->executed, s->queue.held(), s->evicted);
}

}  // namespace lull
