// SPDX-License-Identifier: GPL-2.0-only
#include "target/replay_queue.h"

namespace lull {

Status ReplayQueue::expect(const UuidText& uuid, Str nodename)
{
    Client c;
    c.uuid = uuid;
    TRY(c.nodename.assign(nodename));
    return clients_.push_back(std::move(c));
}

ReplayQueue::Client* ReplayQueue::find(const UuidText& uuid)
{
    for (Client& c : clients_)
        if (c.uuid == uuid.str()) return &c;
    return nullptr;
}

void ReplayQueue::remove(const UuidText& uuid)
{
    for (size_t i = 0; i < held_.size();)
        if (held_[i].uuid == uuid.str()) held_.erase_at(i);
        else i++;
    for (size_t i = 0; i < clients_.size(); i++)
        if (clients_[i].uuid == uuid.str()) return clients_.erase_at(i);
}

Status ReplayQueue::hold(const UuidText& uuid, uint64_t transno, Ref<ServerRequest> request)
{
    Client* c = find(uuid);
    if (!c) return -kENOENT;
    Held h;
    h.uuid = uuid;
    h.transno = transno;
    h.request = std::move(request);
    TRY(held_.push_back(std::move(h)));
    c->held++;
    return kOk;
}

bool ReplayQueue::ready() const
{
    if (held_.empty()) return false;
    for (const Client& c : clients_)
        if (c.held == 0 && (c.stage == Stage::kMissing || c.stage == Stage::kReplaying))
            return false;
    return true;
}

size_t ReplayQueue::smallest() const
{
    size_t best = 0;
    for (size_t i = 1; i < held_.size(); i++)
        if (held_[i].transno < held_[best].transno) best = i;
    return best;
}

uint64_t ReplayQueue::next_transno() const { return held_[smallest()].transno; }

Ref<ServerRequest> ReplayQueue::next()
{
    LULL_ASSERT(!held_.empty());
    size_t i = smallest();
    Ref<ServerRequest> request = std::move(held_[i].request);
    if (Client* c = find(held_[i].uuid)) c->held--;
    held_.erase_at(i);
    return request;
}

bool ReplayQueue::all_done() const
{
    for (const Client& c : clients_)
        if (c.stage != Stage::kDone) return false;
    return held_.empty();
}

ReplayQueue::Counts ReplayQueue::counts() const
{
    Counts n;
    n.expected = clients_.size();
    for (const Client& c : clients_) {
        if (c.stage != Stage::kMissing) n.connected++;
        if (c.stage == Stage::kDone) n.done++;
    }
    return n;
}

}  // namespace lull
