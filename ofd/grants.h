/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Space promised to clients, so that what they took into their caches never fails for lack of
 * space.
 *
 *   free space of the file system = reserve + promised (sum over the clients) + available
 *
 * A client's account is all it was promised and has not yet sent, dirty pages included. The file
 * system's free space shrinks by what is written, the account by the same number of bytes. What a
 * write without grant may take, and what further grants are made of, is "available"; the reserve is
 * never given to anybody: it pays for the metadata of the writes.
 *
 * In bytes. Thread-safe, takes no other lock.
 */
#pragma once
#include "kapi/sync.h"

namespace lull {

struct ClientGrant {
    uint64_t promised = 0;  // under the lock of its Grants
    bool open = true;       // false: its client is gone
};

class Grants {
public:
    static constexpr uint64_t kClientMaxBytes = 32u << 20;
    static constexpr uint64_t kChunkBytes = 1u << 20;     // smaller ones are not worth it…
    static constexpr uint64_t kGranuleBytes = 64u << 10;  // …and all are multiples of this
    static constexpr uint64_t kReserveMaxBytes = 256u << 20, kReserveMinBytes = 1u << 20;

    static uint64_t reserve_of(uint64_t total_bytes);

    // The first promise of a connection: the same again when the client only reconnects. Also
    // settles what it may count on after a restart, its dirty pages included.
    uint64_t initial(ClientGrant& account, uint64_t free_bytes, uint64_t total_bytes);
    // A write that arrives: -ENOSPC only without grant. Takes used from the account.
    Status admit(ClientGrant* account, uint64_t used, uint64_t bytes, uint64_t free_bytes,
                 uint64_t total_bytes);
    // More, as far as there is. Added to the account.
    uint64_t further(ClientGrant& account, uint64_t want, uint64_t free_bytes,
                     uint64_t total_bytes);
    void close(ClientGrant& account);
    uint64_t promised() const;
    // What nobody was promised.
    uint64_t left(uint64_t free_bytes, uint64_t total_bytes) const;

private:
    struct State {
        uint64_t promised = 0;
    };
    static uint64_t available(const State& s, uint64_t free_bytes, uint64_t total_bytes);
    static uint64_t give(State& s, ClientGrant& account, uint64_t want, uint64_t free_bytes,
                         uint64_t total_bytes);
    mutable Guarded<State> state_{LockRank::kOfd};
};

}  // namespace lull
