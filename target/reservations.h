// SPDX-License-Identifier: GPL-2.0-only
/*
 * After a clean halt nobody is waited for (B1): what a client had open stays reserved until it is back and has re-opened what it
 * needs (settled), or its deadline has passed. No task: the evictor's tick looks at the deadlines.
 */
#pragma once
#include "target/target.h"

namespace lull {

class Reservations {
public:
    static constexpr uint32_t kDeadlineMsDefault = 300000;

    Reservations() : state_(LockRank::kTarget) {}
    Status begin(const Vec<UuidText>& clients, Vec<ReservedOpen>&& opens);
    bool has(const UuidText& client) const;
    void returned(const UuidText& client);     // it is connected again: no deadline
    // It needs nothing more of what was reserved. True: it was reserved until now.
    bool settle(const UuidText& client);
    size_t left() const;
    // Clients that did not return in time.
    Status expired(Vec<UuidText>* out) const;
    // Opens of those who have not settled: they belong into the next clean record, too.
    Status unsettled_opens(Vec<ReservedOpen>* out) const;

    std::atomic<uint32_t> deadline_ms{kDeadlineMsDefault};

private:
    struct Client {
        UuidText uuid;
        bool returned = false;
    };
    struct State {
        Vec<Client> clients;
        Vec<ReservedOpen> opens;
        uint64_t began_ns = 0;
    };
    mutable Guarded<State> state_;
    std::atomic<size_t> left_{0};
};

}  // namespace lull
