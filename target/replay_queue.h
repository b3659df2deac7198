// SPDX-License-Identifier: GPL-2.0-only
/*
 * The order of replay (R2, R3): requests of all recovering clients are executed by their
 * transaction numbers. The smallest one held is next once every client that still replays has one
 * held (no smaller one can come: a client sends its own in order), or has said that it is done.
 * Pure data, no lock of its own.
 *
 *   client:  missing → replaying → replayed (first lock replay, or ReplayDone) → done (ReplayDone)
 */
#pragma once
#include "ptlrpc/server_request.h"

namespace lull {

class ReplayQueue {
public:
    enum class Stage : uint8_t { kMissing, kReplaying, kReplayed, kDone };
    struct Client {
        UuidText uuid;
        Stage stage = Stage::kMissing;
        unsigned held = 0;
        bool lost = false;  // one of its replays failed: evicted at the end
        Ref<Export> exp;
        Text<65> nodename;
        uint64_t progress_ns = 0;  // when it did something last
    };
    struct Counts {
        size_t expected = 0, connected = 0, done = 0;
    };

    Status expect(const UuidText& uuid, Str nodename = {});
    Client* find(const UuidText& uuid);
    void remove(const UuidText& uuid);  // evicted: with what is held of it
    // -ENOENT: no such client is expected; -ENOMEM.
    Status hold(const UuidText& uuid, uint64_t transno, Ref<ServerRequest> request);
    bool ready() const;         // next() would give one
    Ref<ServerRequest> next();  // null in unit tests: check ready() first
    uint64_t next_transno() const;
    bool all_done() const;
    Counts counts() const;
    size_t held() const { return held_.size(); }
    Vec<Client>& clients() { return clients_; }
    const Vec<Client>& clients() const { return clients_; }

private:
    struct Held {
        UuidText uuid;
        uint64_t transno = 0;
        Ref<ServerRequest> request;
    };
    Vec<Client> clients_;
    Vec<Held> held_;  // unordered: few, one for each client
    size_t smallest() const;
};

}  // namespace lull
