// SPDX-License-Identifier: GPL-2.0-only
// lctl del_ost: an OST that was added by mistake is taken out, and none that is in use.
#include "mgs/registry.h"
#include "tests/sim/fs_load.h"

using namespace lull::sim;
using lull::kMsec;
using lull::kSec;

namespace {

int del_ost(FsWorld& w, const std::string& text)
{
    int rc = w.set_param(*w.mdt().at, "mgs.MGS.del_ost", text);
    w.run_for_ms(1000);  // everybody is told
    return rc;
}

bool knows(FsWorld& w, FsWorld::Node& node, const std::string& param, const std::string& target)
{
    return w.get_param(node, param).find(target) != std::string::npos;
}

// What whoever works sees, at once: of two OSTs only, with these many bytes.
void work(FsWorld& w, const std::string& prefix, uint64_t bytes)
{
    w.on(0, [&] {
        SimMount& c = w.c(0);
        uint64_t began = lull::now_ns();
        struct llc_statfs all;
        EXPECT_EQ(c.statfs(&all), 0);
        EXPECT_EQ(all.total_bytes, bytes);
        for (unsigned i = 0; i < 4; i++) {
            std::string name = prefix + std::to_string(i), text;
            EXPECT_EQ(c.put(name, pattern(200000)), 0);
            EXPECT_EQ(c.get_layout(name, &text), 0);
            EXPECT_EQ(text.find("stripe_count=2"), 0u) << text;
        }
        EXPECT_EQ(c.sync(), 0);
        EXPECT_LT(lull::now_ns() - began, 2 * kSec);
    });
}

}  // namespace

// Never reached: it is as if it had never been there, for those that are mounted, for the next
// mount, after the MDT and the MGS have been restarted; and when it comes again it is told so.
TEST(FsRemoval, WhatWasAddedByMistakeIsTakenOut)
{
    FsOptions options;
    options.osts = 3;
    options.lost_osts = 1;
    FsWorld w(1, options);
    w.on(0, [&] { EXPECT_EQ(w.c(0).set_layout("/", "stripe_count=-1 stripe_size=65536"), 0); });
    EXPECT_EQ(w.set_param(w.mds1, "mgs.MGS.imperative_recovery", "0"), 0);
    const std::string name = "lull-OST0002";
    int err = -1;
    TaskHandle mounting = w.oss1.host->spawn("mount", [&] {
        err = lull_server_start(w.oss1.node, w.ost(2).device.c_str(), "", &w.ost(2).server, nullptr,
                                0);
    });
    w.run_for_ms(500);                                                  // registered
    EXPECT_EQ(w.set_param(w.mds1, "mgs.MGS.del_ost", name), -kEAGAIN);  // the MDT has not looked
    EXPECT_TRUE(w.world.run_to_end(mounting, w.world.now_ns() + 60 * kSec));
    EXPECT_EQ(err, 0);
    w.ost(2).at = &w.oss1;
    w.umount(1);
    EXPECT_EQ(w.mount(1), 0);  // knows it, and waits for it
    EXPECT_TRUE(knows(w, *w.client_nodes[1], "osc.*.import", name));
    w.run_for_ms(20000);
    w.stop(w.ost(2));
    EXPECT_EQ(del_ost(w, "lull-OST0009"), -kENOENT);
    EXPECT_EQ(del_ost(w, "lull-MDT0000"), -kEINVAL);
    EXPECT_EQ(del_ost(w, name + " really"), -kEINVAL);
    EXPECT_EQ(del_ost(w, name + " force"), -kEPERM);
    EXPECT_EQ(del_ost(w, "lull-OST0001"), -kEBUSY);
    EXPECT_TRUE(knows(w, w.mds1, "mgs.MGS.targets", name));
    EXPECT_EQ(del_ost(w, name), 0);
    EXPECT_EQ(del_ost(w, name), -kENOENT);
    EXPECT_FALSE(knows(w, w.mds1, "mgs.MGS.targets", name));
    EXPECT_FALSE(knows(w, w.mds1, "mdt.lull-MDT0000.osts", name));
    EXPECT_TRUE(knows(w, w.mds1, "mgs.MGS.del_ost", name + " uuid=lull-OST0002-uuid"));
    work(w, "/a", 512ull << 20);
    w.on(1, [&] {  // no client waits for it any more
        struct llc_statfs all;
        uint64_t began = lull::now_ns();
        EXPECT_EQ(w.c(1).statfs(&all), 0);
        EXPECT_EQ(w.c(1).sync(), 0);
        EXPECT_LT(lull::now_ns() - began, kSec);
    });
    w.umount(0);
    uint64_t began = w.world.now_ns();
    EXPECT_EQ(w.mount(0), 0);
    EXPECT_LT(w.world.now_ns() - began, kSec);
    EXPECT_FALSE(knows(w, *w.client_nodes[0], "osc.*.import", name));
    ASSERT_TRUE(w.controlled_shutdown(w.mdt()));
    EXPECT_EQ(w.start(w.mdt(), w.mds2), 0);
    w.run_for_ms(2000);
    EXPECT_FALSE(knows(w, w.mds2, "mgs.MGS.targets", name));
    for (unsigned again = 0; again < 2; again++) {
        std::string why;
        EXPECT_EQ(w.start(w.ost(2), w.oss1, "", &why), -kESTALE);
        EXPECT_NE(why.find("was removed from the file system"), std::string::npos) << why;
    }
    work(w, "/b", 512ull << 20);
    w.finish();
}

// One that the MDT has reached may have objects: nothing is removed before the MDT has told, by an
// MGS that has just started either. By force, when it is inactive: what lies there is told as EIO,
// names can be removed, and nothing is left of them.
TEST(FsRemoval, WhatIsInUseOnlyByForce)
{
    FsWorld w(1);
    w.on(0, [&] {
        EXPECT_EQ(w.c(0).set_layout("/", "stripe_count=1 stripe_size=65536"), 0);
        for (unsigned i = 0; i < 8; i++)
            EXPECT_EQ(w.c(0).put("/f" + std::to_string(i), pattern(1000)), 0);
        EXPECT_EQ(w.c(0).sync(), 0);
    });
    const std::string name = "lull-OST0001";
    ASSERT_TRUE(w.controlled_shutdown(w.ost(1)));
    ASSERT_TRUE(w.controlled_shutdown(w.mdt()));
    EXPECT_EQ(w.start(w.mdt(), w.mds1), 0);
    int rc = w.set_param(w.mds1, "mgs.MGS.del_ost", name);
    EXPECT_TRUE(rc == -kEAGAIN || rc == -kEBUSY) << rc;
    w.run_for_ms(3000);
    EXPECT_EQ(del_ost(w, name), -kEBUSY);
    EXPECT_EQ(del_ost(w, name + " force"), -kEPERM);
    EXPECT_EQ(w.set_param(w.mds1, "mgs.MGS.conf_param", name + ".osc.active=0"), 0);
    EXPECT_EQ(del_ost(w, name), -kEBUSY);
    unsigned gone = 0;
    auto look = [&](SimMount& c) {
        uint64_t began = lull::now_ns();
        gone = 0;
        for (unsigned i = 0; i < 8; i++) {
            int err = 0;
            (void)c.get("/f" + std::to_string(i), &err);
            EXPECT_TRUE(err == 0 || err == -kEIO) << err;
            gone += err == -kEIO;
        }
        EXPECT_LT(lull::now_ns() - began, kSec);
    };
    EXPECT_EQ(del_ost(w, name + " force"), 0);
    w.on(0, [&] { look(w.c(0)); });
    EXPECT_EQ(gone, 4u);
    w.umount(0);
    EXPECT_EQ(w.mount(0), 0);
    w.on(0, [&] {
        look(w.c(0));
        EXPECT_EQ(gone, 4u);
        for (unsigned i = 0; i < 8; i++) EXPECT_EQ(w.c(0).unlink("/f" + std::to_string(i)), 0);
        EXPECT_EQ(w.c(0).sync(), 0);
    });
    w.run_for_ms(10000);
    EXPECT_EQ(w.get_param(w.mds1, "mdt.lull-MDT0000.pending_destroys"),
              "mdt.lull-MDT0000.pending_destroys=0\n");
    w.finish();
}

// A life of the MDT that is over, and does not know it, may be the first that tells an MGS which
// has been restarted. It does not make anybody forget what its successor uses.
TEST(FsRemoval, AFormerMdtThatTellsFirst)
{
    FsWorld w(1, {}, false);
    w.on(w.mds1, [&] {
        lull::Text<200> why;
        auto store = lull::Store::mount(w.mds1.host->net(), w.mdt().device.c_str(), &why);
        ASSERT_TRUE(store.ok()) << why.c_str();
        lull::MgsOstsUsedOp told;
        lull::MgsTargetAt what;
        told.fsname = "lull";
        auto restarted = [&] {
            auto registry = std::make_unique<lull::Registry>(*store.value());
            EXPECT_TRUE(registry->load().ok());
            return registry;
        };
        auto mgs = restarted();
        for (uint32_t index : {0, 1, 2}) {
            lull::MgsRegisterOp op;
            op.fsname = "lull";
            op.target.name = lull::target_name_of("lull", lull::TargetKind::kOst, index);
            op.target.kind = static_cast<uint8_t>(lull::TargetKind::kOst);
            op.target.index = index;
            op.target.nids = "10.0.0.1@tcp";
            op.target_uuid = "uuid";
            bool moved;
            EXPECT_TRUE(mgs->register_target(op, &moved).ok());
        }
        told.instance = 5;
        EXPECT_TRUE(told.used.push_back({0}).ok() && told.used.push_back({1}).ok());
        EXPECT_TRUE(mgs->note_used(told).ok());
        mgs = restarted();
        EXPECT_TRUE(mgs->remove("lull-OST0002", &what).is(kEAGAIN));
        told.instance = 4;
        told.used.clear();
        EXPECT_TRUE(mgs->note_used(told).ok());
        EXPECT_TRUE(mgs->remove("lull-OST0001", &what).is(kEBUSY));
        told.instance = 5;
        EXPECT_TRUE(mgs->note_used(told).ok());
        told.instance = 4;
        EXPECT_TRUE(mgs->note_used(told).is(kESTALE));
        EXPECT_TRUE(mgs->remove("lull-OST0002", &what).ok());
        mgs = restarted();
        EXPECT_TRUE(mgs->remove("lull-OST0000", &what).is(kEBUSY));
        EXPECT_TRUE(mgs->remove("lull-OST0002", &what).is(kENOENT));
    });
    w.finish();
}
