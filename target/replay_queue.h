// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order of replay (R2, R3): requests of all recovering clients are executed by their
 * transaction numbers. The smallest one held is next once every client that still replays has one
 * held (no smaller one can come: a client sends its own in order), or has said that it is done.
 * No lock of its own. No step is linear in the clients, but remove() is in what is held.
 *
 *   client:  missing → replaying → replayed (first lock replay, or ReplayDone) → done (ReplayDone)
 */
#pragma once
#include "ptlrpc/server_request.h"

namespace lull {

class ReplayQueue {
public:
    enum class Stage : uint8_t { kMissing, kReplaying, kReplayed, kDone };
    class Client {
    public:
        const UuidText uuid;
        const Text<65> nodename;
        bool lost = false;  // one of its replays failed: evicted at the end
        Ref<Export> exp;
        uint64_t progress_ns = 0;  // when it did something last

        Client(const UuidText& u, const Text<65>& node) : uuid(u), nodename(node) {}
        Stage stage() const { return stage_; }
        unsigned held() const { return held_; }

    private:
        friend class ReplayQueue;
        Stage stage_ = Stage::kMissing;
        unsigned held_ = 0;
        SetHook hook_;
        // no replay can be chosen before it has sent its next one
        bool awaited() const { return held_ == 0 && stage_ <= Stage::kReplaying; }
    };
    struct Counts {
        size_t expected = 0, connected = 0, done = 0;
    };

    ReplayQueue() = default;
    ReplayQueue(const ReplayQueue&) = delete;
    ReplayQueue& operator=(const ReplayQueue&) = delete;
    ~ReplayQueue();

    Status expect(const UuidText& uuid, const Text<65>& nodename = {});
    Client* find(const UuidText& uuid);
    void set_stage(Client& client, Stage stage);
    void remove(Client& client);  // with what is held of it
    // -ENOENT: no such client is expected; -ENOMEM.
    Status hold(const UuidText& uuid, uint64_t transno, Ref<ServerRequest> request);
    bool ready() const { return !held_.empty() && awaited_ == 0; }  // next() would give one
    Ref<ServerRequest> next();  // null in unit tests: check ready() first
    uint64_t next_transno() const { return held_.begin()->transno; }
    bool all_done() const { return done_ == clients_.size() && held_.empty(); }
    Counts counts() const { return {clients_.size(), connected_, done_}; }
    size_t held() const { return held_.size(); }
    auto& clients() { return clients_; }  // by uuid
    const auto& clients() const { return clients_; }

private:
    struct Held {
        uint64_t transno = 0;
        Client* client = nullptr;
        Ref<ServerRequest> request;
        SetHook hook;
    };
    struct UuidOf {
        using type = Str;
        Str operator()(const Client& c) const { return c.uuid; }
    };
    struct TransnoOf {
        using type = uint64_t;
        type operator()(const Held& h) const { return h.transno; }
    };
    using Clients =
        bi::set<Client, bi::member_hook<Client, SetHook, &Client::hook_>, bi::key_of_value<UuidOf>>;
    using HeldByTransno = bi::multiset<Held, bi::member_hook<Held, SetHook, &Held::hook>,
                                       bi::key_of_value<TransnoOf>>;

    // Around each change of a client: its share of the counts.
    void uncount(const Client& c);
    void count(const Client& c);
    Owned<Held> take(Held& held);

    Clients clients_;
    HeldByTransno held_;  // few, one for each client
    size_t connected_ = 0, done_ = 0, awaited_ = 0;
};

}  // namespace lull
