// SPDX-License-Identifier: GPL-2.0-only
#include "target/reservations.h"

namespace lull {

Status Reservations::begin(const Vec<UuidText>& clients, Vec<ReservedOpen>&& opens)
{
    auto s = state_.lock();
    for (const UuidText& uuid : clients) TRY(s->clients.push_back(Client{uuid, false}));
    s->opens = std::move(opens);
    s->began_ns = now_ns();
    left_.store(s->clients.size());
    return kOk;
}

bool Reservations::has(const UuidText& client) const
{
    if (left() == 0) return false;
    auto s = state_.lock();
    for (const Client& c : s->clients)
        if (c.uuid == client.str()) return true;
    return false;
}

void Reservations::returned(const UuidText& client)
{
    auto s = state_.lock();
    for (Client& c : s->clients)
        if (c.uuid == client.str()) c.returned = true;
}

bool Reservations::settle(const UuidText& client)
{
    if (left() == 0) return false;
    auto s = state_.lock();
    for (size_t i = 0; i < s->clients.size(); i++) {
        if (!(s->clients[i].uuid == client.str())) continue;
        s->clients.erase_at(i);
        for (size_t k = s->opens.size(); k-- > 0;)
            if (s->opens[k].client == client.str()) s->opens.erase_at(k);
        left_.store(s->clients.size());
        return true;
    }
    return false;
}

size_t Reservations::left() const { return left_.load(); }

Status Reservations::expired(Vec<UuidText>* out) const
{
    if (left() == 0) return kOk;
    auto s = state_.lock();
    if (now_ns() - s->began_ns < deadline_ms.load() * kMsec) return kOk;
    for (const Client& c : s->clients)
        if (!c.returned) TRY(out->push_back(c.uuid));
    return kOk;
}

Status Reservations::unsettled_opens(Vec<ReservedOpen>* out) const
{
    auto s = state_.lock();
    for (const ReservedOpen& open : s->opens) {
        bool known = false;
        for (const ReservedOpen& o : *out) known |= o.handle == open.handle && o.client == open.client.str();
        if (!known) TRY(out->push_back(open));
    }
    return kOk;
}

}  // namespace lull
