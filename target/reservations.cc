// SPDX-License-Identifier: GPL-2.0-only
#include "target/reservations.h"

#include "kapi/walks.h"

namespace lull {

Reservations::~Reservations()
{
    State& s = state_.unsafe();
    while (!s.clients.empty()) erase_locked(s, *s.clients.begin());
}

Status Reservations::add_locked(State& s, const UuidText& uuid)
{
    Clients::insert_commit_data where;
    if (!s.clients.insert_check(uuid.str(), where).second) return kOk;
    auto client = make<Client>();
    if (!client) return -kENOMEM;
    client->uuid = uuid;
    s.clients.insert_commit(*client.release(), where);
    return kOk;
}

Status Reservations::add_locked(State& s, const ReservedOpen& what)
{
    auto client = s.clients.find(what.client.str());
    if (client == s.clients.end()) return kOk;
    auto open = make<Open>();
    if (!open) return -kENOMEM;
    open->what = what;
    s.opens.insert(*open);
    client->opens.push_back(*open.release());
    return kOk;
}

void Reservations::erase_locked(State& s, Client& client)
{
    while (!client.opens.empty()) {
        Owned<Open> open(&client.opens.front());
        client.opens.pop_front();
        s.opens.erase(s.opens.iterator_to(*open));
    }
    s.clients.erase(s.clients.iterator_to(client));
    Owned<Client> gone(&client);
}

Status Reservations::begin(const Vec<UuidText>& clients, Vec<ReservedOpen>&& opens)
{
    auto s = state_.lock();
    for (const UuidText& uuid : clients) TRY(add_locked(*s, uuid));
    for (const ReservedOpen& open : opens) TRY(add_locked(*s, open));
    opens.clear();
    s->began_ns = now_ns();
    left_.store(s->clients.size());
    return kOk;
}

bool Reservations::has(const UuidText& client) const
{
    if (left() == 0) return false;
    auto s = state_.lock();
    return s->clients.find(client.str()) != s->clients.end();
}

void Reservations::returned(const UuidText& client)
{
    auto s = state_.lock();
    auto found = s->clients.find(client.str());
    if (found != s->clients.end()) found->returned = true;
}

bool Reservations::settle(const UuidText& client)
{
    if (left() == 0) return false;
    auto s = state_.lock();
    auto found = s->clients.find(client.str());
    if (found == s->clients.end()) return false;
    erase_locked(*s, *found);
    left_.store(s->clients.size());
    return true;
}

size_t Reservations::left() const { return left_.load(); }

Status Reservations::expired(Vec<UuidText>* out) const
{
    if (left() == 0) return kOk;
    auto s = state_.lock();
    if (now_ns() - s->began_ns < deadline_ms.load() * kMsec) return kOk;
    for (const Client& c : s->clients) {
        count_walk();
        if (!c.returned) TRY(out->push_back(c.uuid));
    }
    return kOk;
}

Status Reservations::unsettled_opens(Vec<ReservedOpen>* out)
{
    auto s = state_.lock();
    for (Open& open : s->opens) open.listed = false;
    for (const ReservedOpen& known : *out) {
        auto [from, to] = s->opens.equal_range(known.handle);
        for (; from != to; ++from) {
            count_walk();
            from->listed |= from->what.client == known.client.str();
        }
    }
    for (const Client& client : s->clients)
        for (const Open& open : client.opens) {
            count_walk();
            if (!open.listed) TRY(out->push_back(open.what));
        }
    return kOk;
}

}  // namespace lull
