/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long to wait before somebody is taken for dead. Two questions that Lustre answers with one
 * number are kept apart here:
 *
 *   is the peer alive?      One ping on a connection vouches for every request that waits there, as
 *                           an early reply for each would: it runs in service tasks of its own,
 *                           which touch no disk and wait for no lock. So a request never times out
 *                           by itself, however slow the disk is, and a reply needs no estimate of
 *                           how long it will take; what has to be learned is the time of a ping
 *                           alone, and that is short enough to notice a dead peer soon.
 *   is the client at work?  A lock that has to be given back waits for data to be written. How long
 *                           that takes is learned from the locks that were given back before, and
 *                           while the server itself owes that client an answer
 *                           (Export::owed_ns) its time does not run, and when it makes progress
 *                           it begins again; but only up to ldlm_enqueue_max for one lock.
 *
 * Patience is twice the worst of the last at_history seconds, not below the minimum (at_min, at
 * first timeout_ms; ldlm_enqueue_min for locks), not above at_max. Whoever was given up too early
 * and came back raises the estimate (a late answer is never seen, so the patience that was not
 * enough is what is learned). at_max = 0: not adaptive, always the fixed timeout_ms (and
 * ldlm_enqueue_min).
 *
 * A Connect has no export to ping for: its patience begins with timeout_ms and doubles at each
 * attempt that was not answered.
 *
 * The tunables belong to a node: "lctl set_param at_min=10". AtEstimate has no lock of its own.
 */
#pragma once
#include "kapi/sync.h"

namespace lull {

struct AtTunables {
    static constexpr uint32_t kMaxMsDefault = 600000, kHistoryMsDefault = 600000,
                              kLdlmMinMsDefault = 30000, kLdlmMaxMsDefault = 300000;
    std::atomic<uint32_t> min_ms{5000}, max_ms{kMaxMsDefault}, history_ms{kHistoryMsDefault};
    std::atomic<uint32_t> ldlm_min_ms{kLdlmMinMsDefault}, ldlm_max_ms{kLdlmMaxMsDefault};

    bool adaptive() const { return max_ms.load() != 0; }
};

// The worst of what was measured in the last at_history, to a quarter of it.
class AtEstimate {
public:
    void add(uint64_t ns, uint64_t now, const AtTunables& at)
    {
        advance(now, at);
        last_ns_ = ns;
        if (ns > bins_[0]) bins_[0] = ns;
    }
    uint64_t worst_ns(uint64_t now, const AtTunables& at)
    {
        advance(now, at);
        uint64_t worst = 0;
        for (uint64_t bin : bins_)
            if (bin > worst) worst = bin;
        return worst;
    }
    uint64_t last_ns() const { return last_ns_; }
    // minimum_ms: what is given even to who was always quick.
    uint64_t patience_ns(uint64_t now, const AtTunables& at, uint64_t minimum_ms)
    {
        uint64_t least = minimum_ms * kMsec, most = at.max_ms.load() * kMsec,
                 twice = 2 * worst_ns(now, at);
        if (twice > most) twice = most;
        return twice > least ? twice : least;
    }

private:
    static constexpr size_t kBins = 4;
    void advance(uint64_t now, const AtTunables& at)
    {
        uint64_t width = at.history_ms.load() * kMsec / kBins;
        if (width == 0) width = 1;
        uint64_t passed = began_ns_ && now > began_ns_ ? (now - began_ns_) / width : 0;
        if (began_ns_ == 0 || passed > 0) began_ns_ = passed ? began_ns_ + passed * width : now;
        for (; passed > 0; passed = passed > kBins ? kBins - 1 : passed - 1) {
            for (size_t i = kBins - 1; i > 0; i--) bins_[i] = bins_[i - 1];
            bins_[0] = 0;
        }
    }
    uint64_t bins_[kBins] = {};  // the newest first
    uint64_t began_ns_ = 0;      // of the newest
    uint64_t last_ns_ = 0;
};

}  // namespace lull
