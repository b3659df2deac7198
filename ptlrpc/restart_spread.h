/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * No thundering herd after a controlled shutdown (S15). The server knows how many clients it told;
 * with the answer to the cancel of the active lock, which every client gets anyway, it says over
 * how many milliseconds they shall spread their return. Each client takes a place in that time by
 * chance and keeps it for all its attempts: while the server is away, too, it sees no more than
 * kClientsPerSecond of them a second. Few clients are not told to wait at all.
 *
 *   state       event                                 next       may connect
 *   off         told(ms > 0)                          on         after a part of ms
 *   on          told by the MGS that the target runs  on         after a part of ms from now
 *   on          connected, or the limit has passed    off        at once
 */
#pragma once
#include "kapi/sync.h"

namespace lull {

inline constexpr uint32_t kSpreadFromClients = 1000;  // fewer come back all at once
inline constexpr uint32_t kClientsPerSecond = 10000;  // else not more than so many
// a client waits no longer, whatever it is told
inline constexpr uint32_t kSpreadMaxMs = 60000;

inline uint32_t restart_spread_ms(size_t clients)
{
    if (clients < kSpreadFromClients) return 0;
    uint64_t ms = clients * 1000ull / kClientsPerSecond;
    return ms < kSpreadMaxMs ? static_cast<uint32_t>(ms) : kSpreadMaxMs;
}

// Of one client; its owner's lock protects it. random: any number, another one each time.
class RestartSpread {
public:
    void told(uint32_t spread_ms, uint64_t random)
    {
        spread_ms_ = spread_ms < kSpreadMaxMs ? spread_ms : kSpreadMaxMs;
        take_place(random);
    }
    void target_runs(uint64_t random) { take_place(random); }
    void over() { spread_ms_ = 0, not_before_ns_ = 0; }
    bool on() const { return spread_ms_ != 0; }
    // The next attempt.
    uint64_t not_before_ns() const { return not_before_ns_; }
    // How long it may take: when a first packet is lost (TCP sends it again after a second), a
    // whole round would be.
    uint64_t attempt_ms(uint64_t least, uint64_t most) const
    {
        return spread_ms_ < least ? least : spread_ms_ < most ? spread_ms_ : most;
    }
    // The pause after one that failed.
    uint64_t pause_ms(uint64_t ms) const { return ms < spread_ms_ ? spread_ms_ : ms; }

private:
    void take_place(uint64_t random)
    {
        if (on()) not_before_ns_ = now_ns() + random % (spread_ms_ * kMsec);
    }
    uint32_t spread_ms_ = 0;
    uint64_t not_before_ns_ = 0;
};

}  // namespace lull
