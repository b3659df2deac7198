// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/scenario.h"

#include <gtest/gtest.h>

#include "tests/sim/minimize.h"
#include "tests/sim/plan.h"

using namespace lull::sim;

// Byte by byte, every scheduling step, message and disk step.
TEST(Scenario, SameSeedSameTrace)
{
    for (uint64_t seed = 1; seed <= 3; seed++) {
        std::string first, second;
        for (std::string* out : {&first, &second})
            run_scenario(seed, ScenarioKind::kCrash, {},
                         [out](const char* line) { (*out += line) += '\n'; });
        EXPECT_GT(first.size(), 100000u);
        EXPECT_TRUE(first == second) << "seed " << seed;
    }
}

TEST(Plan, LeavingSomethingOutDoesNotChangeTheRest)
{
    Plan whole = Plan::make(4, ScenarioKind::kCrash, {});
    Plan less = Plan::make(4, ScenarioKind::kCrash, {"e0", "w0", "shared"});
    ASSERT_GE(whole.events.size(), 1u);
    EXPECT_EQ(less.events.size() + 1, whole.events.size());
    for (Event& e : less.events) {
        EXPECT_EQ(e.kind, whole.events[e.number].kind);
        EXPECT_EQ(e.rng.next(), whole.events[e.number].rng.next());
    }
    EXPECT_FALSE(less.shared);
    EXPECT_EQ(less.idle_workers.count(0), 1u);
    EXPECT_EQ(less.options.clients, whole.options.clients);
}

TEST(Minimizer, KeepsWhatTheFailureNeeds)
{
    std::vector<std::string> names;
    for (int i = 0; i < 20; i++) names.push_back("n" + std::to_string(i));
    auto attempt = [](const std::set<std::string>& without) {
        Minimizer::Outcome o;
        o.failed = true;
        o.where = without.count("n3") || without.count("n17") ? "elsewhere" : "here";
        return o;
    };
    Minimizer m(attempt, names);
    ASSERT_TRUE(m.run({}));
    EXPECT_EQ(m.without().size(), 18u);
    EXPECT_EQ(m.without().count("n3") + m.without().count("n17"), 0u);
    Minimizer none([](const std::set<std::string>&) { return Minimizer::Outcome(); }, names);
    EXPECT_FALSE(none.run({}));
}
