// SPDX-License-Identifier: GPL-2.0-only
// The active server lock as it is on a mounted client.
#include <gtest/gtest.h>

#include "ldlm/resource.h"
#include "tests/sim/fs_world.h"

using namespace lull;
using namespace lull::sim;

// S3: name[0] = FID_SEQ_START + 3, name[1] = 0x0ba771e7, and nothing else.
TEST(ActiveServerLock, ResourceId)
{
    ResourceId id = ResourceId::active_server_lock();
    EXPECT_EQ(id.name[0], 0x200000003ull);
    EXPECT_EQ(id.name[1], 0x0ba771e7ull);
    EXPECT_EQ(std::size(id.name), 2u);
}

// S6: emptying the LRU takes every lock of a client but this one; no operation has to ask for it
// again.
TEST(ActiveServerLock, IsNotOnTheLru)
{
    FsWorld w(1);
    w.on(0, [&] { EXPECT_EQ(w.c(0).put("/f", "cached"), 0); });
    FsWorld::Node& client = *w.client_nodes[0];
    for (std::string target : {"mdc.*MDT0000*.", "osc.*OST0000*."}) {
        w.set_param(client, "ldlm.namespaces." + target.substr(4) + "lru_size", "0");
        w.run_for_ms(5000);
        std::string ldlm = w.get_param(client, target + "ldlm");
        std::string active = w.get_param(client, target + "active_lock");
        EXPECT_NE(ldlm.find("locks: 0\n"), std::string::npos) << ldlm;
        EXPECT_NE(active.find("state: held\ngrants: 1\n"), std::string::npos) << active;
    }
    w.on(0, [&] { EXPECT_EQ(w.c(0).put("/g", "more"), 0); });
    w.finish();
}
