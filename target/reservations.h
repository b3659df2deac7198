// SPDX-License-Identifier: GPL-2.0-only
/*
 * After a clean halt nobody is waited for (B1): what a client had open stays reserved until it is
 * back and has re-opened what it needs (settled), or its deadline has passed. No task: the
 * evictor's tick looks at the deadlines. Each client is found by its uuid: what one of them costs
 * does not depend on how many there are (S15).
 */
#pragma once
#include "target/target.h"

namespace lull {

class Reservations {
public:
    static constexpr uint32_t kDeadlineMsDefault = 300000;

    Reservations() : state_(LockRank::kTarget) {}
    ~Reservations();
    // Opens of nobody among the clients are dropped.
    Status begin(const Vec<UuidText>& clients, Vec<ReservedOpen>&& opens);
    bool has(const UuidText& client) const;
    void returned(const UuidText& client);  // it is connected again: no deadline
    // It needs nothing more of what was reserved. True: it was reserved until now.
    bool settle(const UuidText& client);
    size_t left() const;
    // Clients that did not return in time.
    Status expired(Vec<UuidText>* out) const;
    // Opens of those who have not settled: they belong into the next clean record, too. Which of
    // them out has already is not added.
    Status unsettled_opens(Vec<ReservedOpen>* out);

    std::atomic<uint32_t> deadline_ms{kDeadlineMsDefault};

private:
    struct Open {
        ReservedOpen what;
        bool listed = false;  // within unsettled_opens()
        ListHook hook;        // of its client
        SetHook handle_hook;
    };
    struct Client {
        UuidText uuid;
        bool returned = false;
        List<Open, &Open::hook> opens;
        SetHook hook;
    };
    struct HandleOf {
        using type = uint64_t;
        type operator()(const Open& o) const { return o.what.handle; }
    };
    using Opens = bi::multiset<Open, bi::member_hook<Open, SetHook, &Open::handle_hook>,
                               bi::key_of_value<HandleOf>>;
    struct Uuid {
        using type = Str;
        Str operator()(const Client& c) const { return c.uuid; }
    };
    using Clients =
        bi::set<Client, bi::member_hook<Client, SetHook, &Client::hook>, bi::key_of_value<Uuid>>;
    struct State {
        Clients clients;
        Opens opens;  // of all of them
        uint64_t began_ns = 0;
    };
    static Status add_locked(State& s, const UuidText& uuid);
    static Status add_locked(State& s, const ReservedOpen& open);
    static void erase_locked(State& s, Client& client);
    mutable Guarded<State> state_;
    std::atomic<size_t> left_{0};
};

}  // namespace lull
