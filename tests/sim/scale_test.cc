// SPDX-License-Identifier: GPL-2.0-only
// S15: what a controlled shutdown and restart cost one client does not depend on how many there
// are, and nobody gets two messages in a phase. Counts only: no machine is too slow for it.
#include <gtest/gtest.h>

#include "tests/sim/scale.h"

using namespace lull::sim;

namespace {

constexpr size_t kFew = 1000, kMany = 4000;
constexpr double kSlack = 1.25;    // of a count per client, from few clients to many…
constexpr double kSlackLooks = 4;  // …and so many more: what is done by time, not by client
constexpr double kSlackSteps = 6;

void compare(const char* what, const char* stage, uint64_t few, uint64_t many, double slack)
{
    double a = static_cast<double>(few) / kFew, b = static_cast<double>(many) / kMany;
    EXPECT_LE(b, a * kSlack + slack) << what << " per client in " << stage << ": " << a << " with "
                                     << kFew << " clients, " << b << " with " << kMany;
}

}  // namespace

TEST(Scale, NothingGrowsWithTheNumberOfClients)
{
    ScaleOptions o;
    o.clients = kFew;
    ScaleResult few = run_scale(o);
    o.clients = kMany;
    ScaleResult many = run_scale(o);
    ASSERT_TRUE(few.ok) << few.why;
    ASSERT_TRUE(many.ok) << many.why;
    for (const ScaleResult* r : {&few, &many})
        for (unsigned i = 0; i < kScaleStages; i++) {
            if (i == static_cast<unsigned>(ScaleStage::kMount)) continue;
            const StageCost& s = r->stages[i];
            const char* stage = to_string(static_cast<ScaleStage>(i));
            EXPECT_LE(s.most, 1u) << stage << " with " << r->clients << " clients";
            // Two halves: connect, and the active lock.
            unsigned halves = i == static_cast<unsigned>(ScaleStage::kReconnect) ? 2 : 1;
            EXPECT_LE(s.to_clients, halves * r->clients) << stage;
            EXPECT_LE(s.from_clients, halves * r->clients) << stage;
        }
    for (unsigned i = 0; i < kScaleStages; i++) {
        const StageCost &a = few.stages[i], &b = many.stages[i];
        const char* stage = to_string(static_cast<ScaleStage>(i));
        compare("looks at tables", stage, a.walks, b.walks, kSlackLooks);
        compare("allocations", stage, a.allocations, b.allocations, 1);
        compare("steps", stage, a.steps, b.steps, kSlackSteps);
        compare("bytes", stage, a.bytes, b.bytes, 1);
    }
    EXPECT_LE(many.bytes_per_client, few.bytes_per_client * kSlack);
    EXPECT_LE(many.drained_bytes_per_client, few.drained_bytes_per_client * kSlack);
    EXPECT_LE(many.tasks_per_1000, 1100u);
    if (HasFailure()) print_scale(few), print_scale(many);
}

// The clients come back one after another, as the server asked for; without that they come all at
// once.
TEST(Scale, NoHerdAtTheRestart)
{
    ScaleOptions o;
    o.clients = 2000;
    ScaleResult spread = run_scale(o);
    o.spread = false;
    ScaleResult herd = run_scale(o);
    ASSERT_TRUE(spread.ok) << spread.why;
    ASSERT_TRUE(herd.ok) << herd.why;
    EXPECT_EQ(spread.spread_ms, 200u);
    EXPECT_LT(spread.rush_per_ms, 50u);  // 10 on the average: kClientsPerSecond
    EXPECT_GT(herd.rush_per_ms, 500u);
}
