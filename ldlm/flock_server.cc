// SPDX-License-Identifier: GPL-2.0-only
#include "ldlm/flock_server.h"

#include "kapi/log.h"

namespace lull {

void FlockServer::answer(FlockWaiters& waiters)
{
    while (!waiters.empty()) {
        Owned<Wait> wait(static_cast<Wait*>(&waiters.front()));
        waiters.pop_front();
        LdlmFlockReply reply;
        if (wait->answer.ok()) wait->request->reply(reply);
        else wait->request->reply_error(wait->answer);
    }
}

void FlockServer::answer(FlockWaiters& waiters, Status status)
{
    for (FlockWaiter& w : waiters) w.answer = status;
    answer(waiters);
}

// -kEINPROGRESS: the request waits in the table, *wait is empty. Anything else is the answer.
Status FlockServer::place(State& s, const LdlmFlockOp& op, Owned<Wait>& wait,
                          FlockWaiters* answered)
{
    if (s.closed) return -kERetryLater;
    if (wait->request->exp->is_dead()) return -kEEvicted;
    Flock other;
    // keeps what it has
    if (s.parked && op.flags & kFlockWait && s.table.test(wait->client, op.range, &other))
        return -kEPark;
    Status status = s.table.set(wait->client, op.range, false, nullptr, answered);
    if (!status.is(kEAGAIN) || !(op.flags & kFlockWait)) return status;
    TRY(s.table.wait(*wait));
    (void)wait.release();
    return -kEINPROGRESS;
}

void FlockServer::handle(Ref<ServerRequest> request)
{
    LdlmFlockOp op;
    Status status = request->decode(&op);
    if (status.ok()) status = FlockTable::check(op.range);
    Owned<Wait> wait = make<Wait>();
    if (status.ok() && !wait) status = -kENOMEM;
    if (!status.ok()) return request->reply_error(status);
    LdlmFlockReply reply;
    if (op.flags & kFlockTest) {
        Flock other;
        if (state_.lock()->table.test(request->exp->client_uuid(), op.range, &other)) {
            reply.other = other.range;
            reply.same_client = other.client == request->exp->client_uuid().str();
        }
        return request->reply(reply);
    }
    wait->client = request->exp->client_uuid();
    wait->want = op.range;
    wait->cookie = op.cookie;
    wait->request = request;
    FlockWaiters answered;
    status = place(*state_.lock(), op, wait, &answered);
    answer(answered);
    if (status.is(kEINPROGRESS)) return;
    if (status.ok()) request->reply(reply);
    else request->reply_error(status);
}

void FlockServer::handle_cancel(Ref<ServerRequest> request)
{
    LdlmFlockCancelOp op;
    if (Status s = request->decode(&op); !s.ok()) return request->reply_error(s);
    FlockWaiters cancelled;
    {
        auto s = state_.lock();
        if (FlockWaiter* w = s->table.find_waiter(request->exp->client_uuid(), op.cookie)) {
            s->table.cancel(*w);
            cancelled.push_back(*w);
        }
    }
    answer(cancelled, -kERESTARTSYS);
    Empty reply;
    request->reply(reply);
}

// It held them when the instance before ended: granted as they are. Only who was evicted meanwhile
// can find somebody in the way.
void FlockServer::handle_replay(Ref<ServerRequest> request)
{
    LdlmFlockReplayOp op;
    if (Status s = request->decode(&op); !s.ok()) return request->reply_error(s);
    const UuidText& client = request->exp->client_uuid();
    LdlmFlockReplayReply reply;
    FlockWaiters answered;
    Status status;
    {
        auto s = state_.lock();
        if (s->closed) status = -kERetryLater;
        else if (request->exp->is_dead()) status = -kEEvicted;
        for (size_t i = 0; i < op.ranges.size() && status.ok(); i++) {
            status = s->table.set(client, op.ranges[i], false, nullptr, &answered);
            if (!status.is(kEAGAIN)) continue;
            reply.lost++;
            status = kOk;
        }
    }
    answer(answered);
    if (!status.ok()) return request->reply_error(status);
    if (reply.lost)
        log_warn("client %s lost %u file locks: others hold them by now", client.c_str(),
                 reply.lost);
    request->reply(reply);
}

void FlockServer::park_waiters(bool on)
{
    FlockWaiters parked;
    {
        auto s = state_.lock();
        s->parked = on;
        if (on) s->table.cancel_all("", &parked);
    }
    answer(parked, -kEPark);
}

void FlockServer::drop(const UuidText& client, bool only_reserved)
{
    FlockWaiters cancelled, granted;
    {
        auto s = state_.lock();
        if (!only_reserved) s->table.cancel_all(client, &cancelled);
        s->table.drop(client, only_reserved, &granted);
    }
    answer(cancelled, -kEEvicted);
    answer(granted);
}

Status FlockServer::reserve(const Flock& flock)
{
    FlockWaiters none;
    return state_.lock()->table.set(flock.client, flock.range, true, nullptr, &none);
}

void FlockServer::close()
{
    FlockWaiters left;
    {
        auto s = state_.lock();
        s->closed = true;
        s->table.cancel_all("", &left);
    }
    answer(left, -kERetryLater);
}

}  // namespace lull
