// SPDX-License-Identifier: GPL-2.0-only
// A client is evicted because it hangs, never because another one does; and who was is told of it.
#include <gtest/gtest.h>

#include "include/lull/ops_ldlm.h"
#include "kapi/sim/network.h"
#include "ptlrpc/import.h"
#include "ptlrpc/node.h"
#include "tests/sim/fs_load.h"

namespace lull::sim {
namespace {

constexpr const char* kPath = "/striped";
constexpr size_t kBytes = 200000;  // on both stripes
constexpr const char* kShort = "5";
constexpr const char* kLong = "60";  // ldlm_enqueue_min, seconds

void evict(FsWorld& w, FsWorld::Target& target, const std::string& nodename)
{
    std::string exports = w.get_param(*target.at, target.param + "exports");
    size_t at = exports.find("nodename=" + nodename);
    ASSERT_NE(at, std::string::npos) << exports;
    size_t line = exports.rfind('\n', at) + 1;
    std::string uuid = exports.substr(line, exports.find(' ', line) - line);
    if (size_t eq = uuid.rfind('='); eq != std::string::npos) uuid = uuid.substr(eq + 1);
    ASSERT_EQ(w.set_param(*target.at, target.param + "evict_client", uuid), 0) << uuid;
}

// The last client hangs with the lock of the file's second stripe alone. Its OST has more patience
// with it than the first stripe's has with anybody.
struct HungHolder {
    static constexpr size_t kHung = 2;
    FsWorld w;
    FsWorld::Target *first = nullptr, *second = nullptr;
    explicit HungHolder(uint64_t seed) : w(seed, options())
    {
        for (size_t i : {0, 1})
            w.on(i, [&] { EXPECT_EQ(w.c(i).put(mine(i), pattern(kBytes, i)), 0); });
        std::string layout;
        w.on(kHung, [&] {
            EXPECT_EQ(w.c(kHung).put(kPath, pattern(kBytes)), 0);
            EXPECT_EQ(w.c(kHung).sync(), 0);
            EXPECT_EQ(w.c(kHung).get_layout(kPath, &layout), 0);
        });
        size_t index = layout.find("objects=1:") == std::string::npos ? 0 : 1;
        first = &w.ost(index);
        second = &w.ost(1 - index);
        EXPECT_EQ(w.set_param(*first->at, "ldlm_enqueue_min", kShort), 0);
        EXPECT_EQ(w.set_param(*second->at, "ldlm_enqueue_min", kLong), 0);
        FsWorld::Node& hung = *w.client_nodes[kHung];
        std::string locks = "ldlm.namespaces." + first->name + "*.lru_size";
        EXPECT_EQ(w.set_param(hung, locks, "0"), 0);
        w.run_for_ms(1000);
        hung.host->pause();
    }
    static FsOptions options()
    {
        FsOptions o;
        o.clients = 3;
        return o;
    }
    // Dirty, and not synced: an eviction would lose it.
    static std::string mine(size_t i) { return "/mine" + std::to_string(i); }
    // All but the one that hangs.
    void nobody_else_was_evicted()
    {
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        for (size_t i : {0, 1})
            w.on(i, [&] { EXPECT_TRUE(w.c(i).get(mine(i)) == pattern(kBytes, i)); });
    }
    void finish()
    {
        nobody_else_was_evicted();
        w.client_nodes[kHung]->host->resume();
        w.run_for_ms(60000);
        w.finish();
    }
};

}  // namespace

// Invariant 11. c1 has read the first stripe's lock and waits for the second; c2 wants the first.
TEST(Eviction, WhoWaitsForAHungClientIsNotEvicted)
{
    for_seeds([](uint64_t seed) {
        HungHolder h(seed);
        bool read = false, written = false;
        h.w.spawn(0, "read", [&] {
            std::string got = h.w.c(0).get(kPath);  // before the append, or after it
            EXPECT_TRUE(got.substr(0, kBytes) == pattern(kBytes));
            read = true;
        });
        h.w.run_for_ms(2000);
        EXPECT_FALSE(read);
        h.w.spawn(1, "append", [&] {
            int fd = h.w.c(1).open(kPath, SimMount::kWrite | SimMount::kAppend);
            EXPECT_EQ(h.w.c(1).append(fd, "more", 4), 4);
            EXPECT_EQ(h.w.c(1).close(fd), 0);
            written = true;
        });
        ASSERT_TRUE(h.w.join());
        EXPECT_TRUE(read && written);
        h.w.on(0, [&] { EXPECT_TRUE(h.w.c(0).get(kPath) == pattern(kBytes) + "more"); });
        h.finish();
    });
}

// B3: nor does it keep the gate of an OST that it does not wait for.
TEST(Eviction, WhoWaitsForAHungClientHoldsUpNoOtherDrain)
{
    for_seeds([](uint64_t seed) {
        HungHolder h(seed);
        bool read = false;
        h.w.spawn(0, "read", [&] {
            EXPECT_TRUE(h.w.c(0).get(kPath) == pattern(kBytes));
            read = true;
        });
        h.w.run_for_ms(2000);
        ASSERT_EQ(h.w.set_param(*h.first->at, h.first->param + "controlled_shutdown_soft_ms",
                                "1000"),
                  0);
        ASSERT_TRUE(h.w.controlled_shutdown(*h.first, 15000));
        EXPECT_FALSE(read);
        ASSERT_EQ(h.w.start(*h.first, *h.first->partner), 0);
        ASSERT_TRUE(h.w.join());
        h.finish();
    });
}

// Locks that take longer than anybody's patience, wanted by all at once: everybody gets on, and an
// append or a truncation is still one change.
TEST(Eviction, SlowLocksOfManyStripesAreNoLivelock)
{
    for_seeds([](uint64_t seed) {
        constexpr unsigned kClients = 4, kRounds = 6;
        FsOptions o;
        o.clients = kClients;
        o.osts = 3;
        o.stripe_count = 3;
        FsWorld w(seed, o);
        const std::string piece = pattern(60000, 1);
        w.on(0, [&] { EXPECT_EQ(w.c(0).put(kPath, ""), 0); });
        w.world.network().set_default_delay(60 * kMsec, 200 * kMsec);
        for (size_t i = 0; i < kClients; i++)
            w.spawn(i, "append", [&w, &piece, i] {
                int fd = w.c(i).open(kPath, SimMount::kWrite | SimMount::kAppend);
                for (unsigned n = 0; n < kRounds; n++) {
                    std::string text(piece.size(), static_cast<char>('a' + i));
                    EXPECT_EQ(w.c(i).append(fd, text.data(), text.size()),
                              static_cast<int64_t>(text.size()));
                    llc_attr attr;
                    EXPECT_EQ(w.c(i).stat(kPath, &attr), 0);
                    EXPECT_EQ(attr.size % text.size(), 0u) << "half of an append was seen";
                }
                EXPECT_EQ(w.c(i).close(fd), 0);
            });
        ASSERT_TRUE(w.join(300 * kSec));
        std::string got;
        w.on(0, [&] { got = w.c(0).get(kPath); });
        ASSERT_EQ(got.size(), kClients * kRounds * piece.size());
        unsigned by[kClients] = {};
        for (size_t at = 0; at < got.size(); at += piece.size()) {
            ASSERT_EQ(got.substr(at, piece.size()), std::string(piece.size(), got[at]));
            by[got[at] - 'a']++;
        }
        for (unsigned n : by) EXPECT_EQ(n, kRounds);
        EXPECT_EQ(w.client_counter("evictions"), 0u);
        w.world.network().set_default_delay(50000, 500000);
        w.finish();
    });
}

// A7. An OST has evicted the client: what was written there is lost, and the process that wrote it
// is told so by its next read, not shown what others see. fsync says it, too, and that settles it.
TEST(Eviction, WhoLostDataReadsNoOlderData)
{
    for_seeds([](uint64_t seed) {
        FsWorld w(seed);
        const std::string synced = pattern(kBytes, 1), lost = pattern(kBytes, 2);
        int fd = -1;
        w.on(0, [&] {
            EXPECT_EQ(w.c(0).put(kPath, synced), 0);
            fd = w.c(0).open(kPath, SimMount::kRead | SimMount::kWrite);
            EXPECT_EQ(w.c(0).fsync(fd), 0);
            EXPECT_EQ(w.c(0).pwrite(fd, 0, lost.data(), lost.size()),
                      static_cast<int64_t>(lost.size()));
        });
        evict(w, w.ost(1), "c1");
        w.run_for_ms(60000);
        w.on(0, [&] {
            std::string got(kBytes, 0);
            EXPECT_EQ(w.c(0).pread(fd, 0, got.data(), got.size()), -kEIO);
            EXPECT_EQ(w.c(0).fsync(fd), -kEIO);
            EXPECT_EQ(w.c(0).pread(fd, 0, got.data(), got.size()), static_cast<int64_t>(kBytes));
            EXPECT_EQ(w.c(0).close(fd), 0);
            // who opens it now is told of nothing
            int err = 0;
            EXPECT_EQ(w.c(0).get(kPath, &err), got);
            EXPECT_EQ(err, 0);
        });
        w.finish();
    });
}

// Eight OSTs go down together, each with as many locks on their way back as the client works off at
// a time: more than a kernel's client has service tasks. Another OST is drained, and a third one's
// lock is wanted. Invariant 11, B3.
TEST(Eviction, WhatWaitsForDeadOstsKeepsNoOtherFromBeingHeard)
{
    FsOptions o;
    o.stripe_count = 1;
    o.osts = 16;
    o.client_threads = 32;
    FsWorld w(1, o);
    constexpr unsigned kFiles = 96;
    auto path = [](unsigned i) { return "/f" + std::to_string(i); };
    w.on(0, [&] {
        for (unsigned i = 0; i < kFiles; i++) EXPECT_EQ(w.c(0).put(path(i), pattern(20000, i)), 0);
    });
    FsWorld::Node& down = *w.ost(0).at;
    w.crash(down);
    EXPECT_EQ(w.set_param(*w.client_nodes[0], "ldlm.namespaces.*OST*.lru_size", "0"), 0);
    w.run_for_ms(1000);
    FsWorld::Target& drained = w.ost(1);
    ASSERT_TRUE(drained.at && drained.at != &down);
    ASSERT_TRUE(w.controlled_shutdown(drained, 10000));
    ASSERT_EQ(w.start(drained, *drained.home), 0);
    for (auto& t : w.targets())
        if (!t->at) {
            ASSERT_EQ(w.start(*t, *t->home), 0);
        }
    w.on(1, [&] {
        for (unsigned i = 0; i < kFiles; i++)
            EXPECT_TRUE(w.c(1).get(path(i)) == pattern(20000, i)) << i;
    });
    EXPECT_EQ(w.client_counter("evictions"), 0u);
    w.finish();
}

namespace {

// A peer that has a lock of ROOT, never gives it back, and does what may look like work.
class Hostile final : public ImportClient {
public:
    enum class Does { kEmptyCancels, kCancelsOfUnwanted };
    Hostile(FsWorld& w, FsWorld::Node& at, Does does) : does_(does)
    {
        w.on(at, [&] {
            ImportOptions o;
            o.target = "lull-MDT0000";
            o.client_uuid = node_of(at.node).make_uuid();
            o.connect_flags = 0;  // it knows no controlled shutdown
            o.gate_closed_for = 0;
            EXPECT_TRUE(o.nids.push_back(Nid{w.mds1.host->address()}).ok());
            import_ = Import::create(node_of(at.node), std::move(o), this).release_value();
            EXPECT_TRUE(import_->connect(deadline_after_ms(20000), WaitMode::kKillable).ok());
            EXPECT_NE(enqueue(ResourceId::of(kRootFid)), 0u);
        });
        task_ = at.host->spawn("hostile", [this] {
            while (!stop_) {
                cancel(does_ == Does::kEmptyCancels ? 0 : enqueue(ResourceId{{77, next_}}));
                kapi_sleep_ns(kSec);
            }
        });
    }
    void finish(FsWorld& w, FsWorld::Node& at)
    {
        stop_ = true;
        EXPECT_TRUE(w.world.run_to_end(task_, w.world.now_ns() + 60 * kSec));
        EXPECT_EQ(evictions_, 1u);
        w.on(at, [&] {
            import_->close();
            import_.reset();
        });
    }

private:
    uint64_t enqueue(const ResourceId& what)
    {
        auto call = make_ref<Call<LdlmEnqueueOp>>();
        call->op.resource = what;
        call->op.type = static_cast<uint8_t>(LockType::kIbits);
        call->op.mode = static_cast<uint8_t>(LockMode::kPR);
        call->op.policy = {0, UINT64_MAX, kIbitLookup | kIbitUpdate};
        call->op.client_handle = next_++;
        return import_->call(*call).ok() ? call->reply.server_handle : 0;
    }
    void cancel(uint64_t handle)
    {
        auto call = make_ref<Call<LdlmCancelOp>>();
        if (handle) (void)call->op.server_handles.push_back(handle);
        (void)import_->call(*call);
    }
    void on_evicted() override { evictions_++; }
    void on_full(const ConnectReply&, bool) override {}
    void on_callback(Opcode, Decoder&) override {}

    const Does does_;
    Ref<Import> import_;
    TaskHandle task_;
    uint64_t next_ = 1;
    unsigned evictions_ = 0;
    bool stop_ = false;
};

}  // namespace

// Invariant 11: a peer that holds on to a lock delays an honest mkdir by what its eviction takes.
TEST(Eviction, WhatLooksLikeWorkKeepsNoLock)
{
    for (auto does : {Hostile::Does::kEmptyCancels, Hostile::Does::kCancelsOfUnwanted}) {
        FsOptions o;
        o.unmounted = 1;
        FsWorld w(1, o);
        FsWorld::Node& at = *w.client_nodes.back();
        EXPECT_EQ(w.set_param(*w.mdt().at, "ldlm_enqueue_min", kShort), 0);
        Hostile hostile(w, at, does);
        uint64_t began = w.world.now_ns();
        w.on(0, [&] { EXPECT_EQ(w.c(0).mkdir("/d"), 0); });
        EXPECT_LT(w.world.now_ns() - began, 8 * kSec);
        w.run_for_ms(2000);
        hostile.finish(w, at);
        w.finish();
    }
}

}  // namespace lull::sim
