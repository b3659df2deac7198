// SPDX-License-Identifier: GPL-2.0-only
#include "ptlrpc/adaptive_timeout.h"

#include <gtest/gtest.h>

using namespace lull;

namespace {

TEST(AdaptiveTimeout, WorstOfTheHistory)
{
    AtTunables at;
    at.history_ms = 4000;
    AtEstimate e;
    uint64_t t = 1000 * kSec;
    EXPECT_EQ(e.worst_ns(t, at), 0u);
    e.add(3 * kSec, t, at);
    e.add(1 * kSec, t + 500 * kMsec, at);
    EXPECT_EQ(e.last_ns(), kSec);
    EXPECT_EQ(e.worst_ns(t + 500 * kMsec, at), 3 * kSec);
    e.add(2 * kSec, t + 1500 * kMsec, at);
    EXPECT_EQ(e.worst_ns(t + 3900 * kMsec, at), 3 * kSec);
    EXPECT_EQ(e.worst_ns(t + 4100 * kMsec, at), 2 * kSec);
    EXPECT_EQ(e.worst_ns(t + 5100 * kMsec, at), 0u);
    e.add(7 * kSec, t + 6000 * kMsec, at);
    EXPECT_EQ(e.worst_ns(t + 1000000 * kSec, at), 0u);
}

TEST(AdaptiveTimeout, PatienceHasLimits)
{
    AtTunables at;
    at.max_ms = 20000;
    AtEstimate e;
    uint64_t t = kSec;
    EXPECT_EQ(e.patience_ns(t, at, 5000), 5 * kSec);
    e.add(kSec, t, at);
    EXPECT_EQ(e.patience_ns(t, at, 5000), 5 * kSec);
    e.add(6 * kSec, t, at);
    EXPECT_EQ(e.patience_ns(t, at, 5000), 12 * kSec);
    e.add(60 * kSec, t, at);
    EXPECT_EQ(e.patience_ns(t, at, 5000), 20 * kSec);
    EXPECT_EQ(e.patience_ns(t, at, 30000), 30 * kSec);  // ldlm_enqueue_min above at_max
    at.max_ms = 0;
    EXPECT_FALSE(at.adaptive());
    EXPECT_EQ(e.patience_ns(t, at, 5000), 5 * kSec);
}

}  // namespace
