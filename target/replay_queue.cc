// SPDX-License-Identifier: GPL-2.0-only
#include "target/replay_queue.h"

namespace lull {

ReplayQueue::~ReplayQueue()
{
    while (!held_.empty()) take(*held_.begin());
    while (!clients_.empty()) remove(*clients_.begin());
}

void ReplayQueue::uncount(const Client& c)
{
    if (c.stage_ != Stage::kMissing) connected_--;
    if (c.stage_ == Stage::kDone) done_--;
    if (c.awaited()) awaited_--;
}

void ReplayQueue::count(const Client& c)
{
    if (c.stage_ != Stage::kMissing) connected_++;
    if (c.stage_ == Stage::kDone) done_++;
    if (c.awaited()) awaited_++;
}

Status ReplayQueue::expect(const UuidText& uuid, const Text<65>& nodename)
{
    auto client = make<Client>(uuid, nodename);
    if (!client) return -kENOMEM;
    Clients::insert_commit_data where;
    if (!clients_.insert_check(uuid.str(), where).second) return -kEEXIST;
    count(*client);
    clients_.insert_commit(*client.release(), where);
    return kOk;
}

ReplayQueue::Client* ReplayQueue::find(const UuidText& uuid)
{
    auto it = clients_.find(uuid.str());
    return it == clients_.end() ? nullptr : &*it;
}

void ReplayQueue::set_stage(Client& client, Stage stage)
{
    uncount(client);
    client.stage_ = stage;
    count(client);
}

void ReplayQueue::remove(Client& client)
{
    for (auto it = held_.begin(); client.held_ && it != held_.end();) {
        Held& held = *it++;
        if (held.client == &client) take(held);
    }
    uncount(client);
    clients_.erase(clients_.iterator_to(client));
    Owned<Client> gone(&client);
}

Status ReplayQueue::hold(const UuidText& uuid, uint64_t transno, Ref<ServerRequest> request)
{
    Client* client = find(uuid);
    if (!client) return -kENOENT;
    auto held = make<Held>();
    if (!held) return -kENOMEM;
    held->transno = transno;
    held->client = client;
    held->request = std::move(request);
    held_.insert(*held.release());
    uncount(*client);
    client->held_++;
    count(*client);
    return kOk;
}

Owned<ReplayQueue::Held> ReplayQueue::take(Held& held)
{
    held_.erase(held_.iterator_to(held));
    uncount(*held.client);
    held.client->held_--;
    count(*held.client);
    return Owned<Held>(&held);
}

Ref<ServerRequest> ReplayQueue::next()
{
    LULL_ASSERT(!held_.empty());
    return std::move(take(*held_.begin())->request);
}

}  // namespace lull
