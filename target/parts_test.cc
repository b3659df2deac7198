// SPDX-License-Identifier: GPL-2.0-only
// The pieces of a target alone: identity, slots, transaction numbers and group commit, clean
// record, start-up check, replay order.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "kapi/sim/world.h"
#include "kapi/walks.h"
#include "target/clean_record.h"
#include "target/commit.h"
#include "target/identity.h"
#include "ptlrpc/params.h"
#include "target/recovery.h"
#include "target/replay_queue.h"
#include "target/reservations.h"
#include "target/slots.h"
#include "target/start_check.h"

using namespace lull;

// ---- identity

TEST(Identity, CombinedDevice)
{
    Vec<TargetIdentity> ids;
    Text<200> why;
    Str text =
        "format=1\nfsname=lull\nkinds=mgs,mdt\nindex=0\nuuid=abc\n"
        "servicenode=10.0.0.1@tcp:10.0.0.2@tcp\n"
        "stripesize=131072\nstripecount=2\n";
    ASSERT_TRUE(parse_mountdata(text, &ids, &why).ok()) << why.c_str();
    ASSERT_EQ(ids.size(), 2u);
    EXPECT_STREQ(ids[0].name.c_str(), "MGS");
    EXPECT_STREQ(ids[1].name.c_str(), "lull-MDT0000");
    EXPECT_TRUE(ids[1].mgs_nids.empty());
    EXPECT_EQ(ids[1].service_nids.size(), 2u);
    EXPECT_EQ(ids[1].stripe_bytes, 131072u);
    EXPECT_EQ(ids[1].stripe_count, 2u);
}

TEST(Identity, OstAndErrors)
{
    struct Case {
        const char* text;
        const char* says;
    };
    const Case kBad[] = {
        {"format=2\nkinds=ost\n", "format 2"},
        {"format=1\nfsname=l\nkinds=ost\nuuid=u\n", "mgsnode"},
        {"format=1\nfsname=l\nuuid=u\nmgsnode=1.2.3.4@tcp\n", "kinds"},
        {"format=1\nkinds=ost\nuuid=u\nmgsnode=1.2.3.4@tcp\n", "fsname"},
        {"format=1\nfsname=l\nkinds=ost\nmgsnode=1.2.3.4@tcp\n", "uuid"},
        {"format=1\nwhat=ever\n", "line 2"},
        {"format=1\nkinds=ost,mdt\n", "line 2"},
        {"rubbish", "line 1"},
        {"", "format 0"},
    };
    for (const Case& c : kBad) {
        Vec<TargetIdentity> ids;
        Text<200> why;
        EXPECT_TRUE(parse_mountdata(c.text, &ids, &why).is(kEINVAL)) << c.text;
        EXPECT_NE(std::string(why.c_str()).find(c.says), std::string::npos) << why.c_str();
    }
    Vec<TargetIdentity> ids;
    Text<200> why;
    Str good = "format=1\nfsname=work\nkinds=ost\nindex=17\nuuid=u\nmgsnode=10.0.0.1@tcp";
    ASSERT_TRUE(parse_mountdata(good, &ids, &why).ok()) << why.c_str();
    EXPECT_STREQ(ids[0].name.c_str(), "work-OST0011");
    EXPECT_EQ(ids[0].index, 17u);
}

// ---- slots

// Invariant 5.
TEST(Slots, ExactlyOnce)
{
    sim::run(1, [] {
        Slots slots;
        Slots::Answer a;
        using Seen = Slots::Seen;
        EXPECT_TRUE(slots.look(Slots::kCount, 1, &a).is(kEPROTO));
        EXPECT_TRUE(slots.prepare(Slots::kCount).is(kEPROTO));
        EXPECT_EQ(slots.look(3, 7, &a).value(), Seen::kNever);
        ASSERT_TRUE(slots.prepare(3).ok());
        EXPECT_EQ(slots.look(3, 7, &a).value(), Seen::kNever);
        SlotRecord r;
        r.xid = 7;
        r.transno = 70;
        Bytes body;
        ASSERT_TRUE(body.push_back(42).ok());
        EXPECT_TRUE(slots.put(3, r, &body));
        EXPECT_EQ(slots.look(3, 8, &a).value(), Seen::kNever);
        EXPECT_EQ(slots.look(3, 6, &a).value(), Seen::kPassed);
        EXPECT_EQ(slots.look(3, 7, &a).value(), Seen::kAnswered);
        EXPECT_TRUE(a.has_reply);
        EXPECT_EQ(a.reply[0], 42);
        EXPECT_EQ(a.record.transno, 70u);
        r.xid = 5;  // a late replay of an open does not hide the newer one
        EXPECT_FALSE(slots.put(3, r, &body));
        EXPECT_EQ(slots.look(3, 7, &a).value(), Seen::kAnswered);
        r.xid = 9;
        slots.put_loaded(3, r);
        EXPECT_EQ(slots.look(3, 9, &a).value(), Seen::kAnswered);
        EXPECT_FALSE(a.has_reply);
    });
}

// ---- commit

namespace {

struct FakeDisk final : CommitEnv {
    Commit* commit = nullptr;
    unsigned syncs = 0;
    uint64_t persisted = 0, durable = 0, told = 0;
    int error = 0;
    Status sync() override
    {
        uint64_t number = persisted;
        syncs++;
        kapi_sleep_ns(20 * kMsec);
        if (error == 0) durable = number;
        return Status(error);
    }
    Status persist(uint64_t t) override
    {
        persisted = t;
        return kOk;
    }
    void on_committed(uint64_t t) override
    {
        told = t;
        EXPECT_LE(t, durable);
    }
};

constexpr uint64_t kBase = 5ull << Commit::kInstanceShift;

}  // namespace

TEST(Commit, NumbersAndFloor)
{
    sim::run(1, [] {
        FakeDisk disk;
        Commit c(disk, "t");
        c.open(5, 17);
        EXPECT_TRUE(c.all_committed());
        EXPECT_EQ(c.begin(0).value(), kBase + 1);
        EXPECT_EQ(c.begin(0).value(), kBase + 2);
        EXPECT_EQ(c.begin(0).value(), kBase + 3);
        c.end(kBase + 3);
        c.end(kBase + 1);
        EXPECT_TRUE(c.commit().ok());
        EXPECT_EQ(c.last_committed(), kBase + 1);  // 2 is in progress
        EXPECT_EQ(disk.persisted, kBase + 1);
        EXPECT_EQ(disk.told, kBase + 1);
        c.end(kBase + 2);
        EXPECT_FALSE(c.all_committed());
        EXPECT_TRUE(c.commit().ok());
        EXPECT_TRUE(c.all_committed());
        // Replays keep their numbers; those of no earlier instance are refused.
        EXPECT_EQ(c.begin((4ull << 40) + 9).value(), (4ull << 40) + 9);
        EXPECT_TRUE(c.begin(kBase + 100).is(kEPROTO));
        EXPECT_TRUE(c.begin(~0ull).is(kEPROTO));
        c.end((4ull << 40) + 9);
        EXPECT_EQ(c.last_transno(), kBase + 3);
    });
}

TEST(Commit, CallersShareOneSync)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        sim::World world(seed);
        sim::Host& host = world.host("a");
        auto* t = host.spawn("t", [&] {
            FakeDisk disk;
            Commit c(disk, "t");
            c.open(5, 0);
            unsigned done = 0;
            for (int i = 0; i < 20; i++) {
                host.spawn("c", [&] {
                    c.end(c.begin(0).value());
                    EXPECT_TRUE(c.commit().ok());
                    done++;
                });
            }
            while (done < 20) kapi_sleep_ns(kMsec);
            EXPECT_LE(disk.syncs, 10u);
            EXPECT_TRUE(c.all_committed());
        });
        ASSERT_TRUE(world.run_to_end(t, 100 * kSec)) << world.report();
    }
}

TEST(Commit, TaskCommitsAndErrorsAreTold)
{
    sim::run(3, [] {
        FakeDisk disk;
        Commit c(disk, "t");
        c.open(5, 0);
        c.set_interval_ms(100);
        ASSERT_TRUE(c.start_task().ok());
        kapi_sleep_ns(kSec);
        EXPECT_EQ(disk.syncs, 0u);  // nothing to do
        c.end(c.begin(0).value());
        kapi_sleep_ns(300 * kMsec);
        EXPECT_EQ(disk.syncs, 2u);  // the second one for the number
        EXPECT_TRUE(c.all_committed());
        disk.error = -kEIO;
        c.end(c.begin(0).value());
        EXPECT_TRUE(c.commit().is(kEIO));
        EXPECT_EQ(c.last_committed(), kBase + 1);
        disk.error = 0;
        EXPECT_TRUE(c.commit().ok());
        EXPECT_TRUE(c.all_committed());
        c.stop();
    });
}

// ---- clean record

TEST(CleanRecord, RoundTripAndDamage)
{
    sim::run(1, [] {
        CleanRecord r;
        r.software = kSoftwareVersion;
        r.protocol = 2;
        r.instance = 7;
        r.last_transno = 12345;
        for (int i = 0; i < 200; i++) {
            ASSERT_TRUE(r.clients.push_back(CleanRecord::Client{UuidText("some-client")}).ok());
            ReservedOpen o;
            o.client = "some-client";
            o.handle = static_cast<uint64_t>(i);
            o.fid = Fid{kFidSeqNormal, 1, 0};
            ASSERT_TRUE(r.opens.push_back(o).ok());
        }
        Bytes raw;
        ASSERT_TRUE(encode_clean_record(r, &raw).ok());
        EXPECT_GT(raw.size(), 3000u);
        auto back = decode_clean_record(raw);
        ASSERT_TRUE(back.ok());
        EXPECT_EQ(back.value().opens.size(), 200u);
        EXPECT_EQ(back.value().opens[199].handle, 199u);
        EXPECT_EQ(back.value().last_transno, 12345u);
        for (size_t i = 0; i < raw.size(); i += 97) {
            raw[i] ^= 1;
            EXPECT_FALSE(decode_clean_record(raw).ok());
            raw[i] ^= 1;
        }
        for (size_t n : {size_t{0}, size_t{3}, size_t{4}, raw.size() - 1})
            EXPECT_FALSE(decode_clean_record(std::span<const uint8_t>(raw.data(), n)).ok());
    });
}

// ---- start-up check: the table of start_check.h

// A4 S10 invariant 7.
TEST(StartCheck, Table)
{
    struct Row {
        bool clean;
        uint16_t before, now;
        bool force, abort;
        size_t clients;
        StartKind kind;
        bool evict, changed;
    };
    using enum StartKind;
    const Row kRows[] = {
        {true, 2, 2, false, false, 3, kResume, false, false},
        {true, 1, 2, false, false, 3, kResume, false, true},
        {true, 2, 1, false, false, 3, kFresh, true, true},
        {false, 2, 2, false, false, 3, kRecover, false, false},
        {false, 2, 2, false, false, 0, kFresh, false, false},
        {false, 1, 2, false, false, 3, kRefuse, false, true},
        {false, 1, 2, false, false, 0, kRefuse, false, true},
        {false, 1, 2, true, false, 3, kRecover, false, true},
        {false, 2, 1, false, false, 3, kRefuse, false, true},
        {false, 2, 1, true, false, 3, kFresh, true, true},
        {true, 2, 2, false, true, 3, kFresh, true, false},
        {false, 2, 2, false, true, 3, kFresh, true, false},
        {false, 1, 2, false, true, 3, kRefuse, false, true},
    };
    for (const Row& r : kRows) {
        SCOPED_TRACE(&r - kRows);
        StartFacts f;
        f.clean = r.clean;
        f.protocol_before = r.before;
        f.protocol_now = r.now;
        f.software_before = "Lull 0.0";
        f.force = r.force;
        f.abort_recov = r.abort;
        f.clients = r.clients;
        StartDecision d = check_start(f);
        EXPECT_EQ(d.kind, r.kind);
        EXPECT_EQ(d.evict_all, r.evict);
        EXPECT_EQ(d.version_changed, r.changed);
        EXPECT_EQ(d.why.empty(), r.kind != kRefuse);
    }
    StartFacts first;
    first.first = true;
    EXPECT_EQ(check_start(first).kind, kFresh);
}

// ---- replay order

TEST(ReplayQueue, SmallestOfAllWhoMayStillCome)
{
    sim::run(1, [] {
        using Stage = ReplayQueue::Stage;
        ReplayQueue q;
        UuidText a("a"), b("b"), c("c");
        for (const UuidText& u : {a, b, c}) ASSERT_TRUE(q.expect(u).ok());
        EXPECT_FALSE(q.ready());
        EXPECT_TRUE(q.hold(UuidText("x"), 1, nullptr).is(kENOENT));
        for (const UuidText& u : {a, b}) q.set_stage(*q.find(u), Stage::kReplaying);
        ASSERT_TRUE(q.hold(a, 10, nullptr).ok());
        ASSERT_TRUE(q.hold(b, 5, nullptr).ok());
        EXPECT_FALSE(q.ready());  // c is missing
        q.set_stage(*q.find(c), Stage::kReplayed);
        EXPECT_TRUE(q.ready());
        EXPECT_EQ(q.next_transno(), 5u);
        (void)q.next();
        EXPECT_FALSE(q.ready());  // b may still send 6
        ASSERT_TRUE(q.hold(b, 20, nullptr).ok());
        EXPECT_TRUE(q.ready());
        EXPECT_EQ(q.next_transno(), 10u);
        (void)q.next();
        q.set_stage(*q.find(a), Stage::kDone);
        EXPECT_TRUE(q.ready());
        (void)q.next();
        EXPECT_FALSE(q.all_done());
        q.remove(*q.find(b));
        q.set_stage(*q.find(c), Stage::kDone);
        EXPECT_TRUE(q.all_done());
        EXPECT_EQ(q.counts().expected, 2u);
        EXPECT_EQ(q.counts().done, 2u);
    });
}

// ---- the window's limits

namespace {

struct WindowEnv final : RecoveryEnv {
    Recovery* recovery = nullptr;
    std::map<std::string, std::string> evicted;
    uint64_t evicted_ns = 0, closed_ns = 0;
    void execute_replay(Ref<ServerRequest>) override {}
    void evict_absent(const UuidText& client, const char* why) override
    {
        evicted[client.c_str()] = why;
        evicted_ns = now_ns();
    }
    void evict_export(Export&, const char*) override { ADD_FAILURE(); }
    Text<65> nodename_of(const UuidText& client) override
    {
        return text_format<65>("node-%s", client.c_str());
    }
    void on_window_closed() override { closed_ns = now_ns(); }
};

struct Window {
    WindowEnv env;
    Recovery recovery{env, "lull-MDT0000"};
    uint64_t began_ns = now_ns();
    explicit Window(std::vector<const char*> clients, uint32_t soft_s = 10, uint32_t hard_s = 60,
                    uint32_t extend_s = 4)
    {
        Vec<UuidText> list;
        for (const char* c : clients) EXPECT_TRUE(list.push_back(UuidText(c)).ok());
        recovery.set_limits(soft_s * 1000, hard_s * 1000);
        recovery.set_extension(extend_s * 1000);
        EXPECT_TRUE(recovery.begin(list).ok());
    }
    void until(uint64_t s) { kapi_sleep_ns(began_ns + s * kSec - now_ns()); }
    uint64_t closed_s()
    {
        while (recovery.active()) kapi_sleep_ns(10 * kMsec);
        return (env.closed_ns - began_ns) / kSec;
    }
    std::string status()
    {
        TextSink out(4096);
        recovery.describe(out);
        return std::string(out.text().data(), out.text().size());
    }
};

}  // namespace

// R3 A7.
TEST(RecoveryWindow, MissingClientsAreNamedAndEvictedAtTheSoftLimit)
{
    sim::run(1, [] {
        Window w({"a", "b"});
        w.until(1);
        w.recovery.connected(UuidText("a"), nullptr);
        std::string s = w.status();
        EXPECT_NE(s.find("connected_clients: 1/2\ncompleted_clients: 0/2"), std::string::npos) << s;
        EXPECT_NE(s.find("missing: b (node-b)\nunfinished: a (node-a)\n"), std::string::npos) << s;
        EXPECT_NE(s.find("time_remaining: 9\ntime_remaining_hard: 59\n"), std::string::npos) << s;
        w.until(2);
        w.recovery.gone(UuidText("a"), Recovery::Gone::kLeft);
        EXPECT_EQ(w.closed_s(), 10u);
        EXPECT_EQ(w.env.evicted["b"], "it did not come back within the recovery window");
        s = w.status();
        EXPECT_NE(s.find("evicted_clients: 1\nleft_clients: 1\nevicted: b (node-b)"),
                  std::string::npos)
            << s;
    });
}

// R4.
TEST(RecoveryWindow, ProgressExtendsItUpToTheHardLimit)
{
    sim::run(1, [] {
        Window w({"a", "b", "c"});
        w.until(9);
        w.recovery.connected(UuidText("a"), nullptr);
        w.until(12);
        w.recovery.connected(UuidText("b"), nullptr);
        for (uint64_t t = 13; t < 60; t += 3) {
            w.until(t);
            EXPECT_TRUE(w.env.evicted.empty()) << t;
            w.recovery.note_progress(UuidText("a"));
            w.recovery.note_progress(UuidText("b"));
        }
        EXPECT_EQ(w.closed_s(), 60u);
        EXPECT_EQ(w.env.evicted.size(), 3u);
        EXPECT_EQ(w.env.evicted["a"], "it did not finish its recovery in time");
    });
}

TEST(RecoveryWindow, WhoDoesNotGoOnIsNotWaitedFor)
{
    sim::run(1, [] {
        Window w({"a", "b"}, 10, 60, 4);
        w.recovery.connected(UuidText("a"), nullptr);
        w.until(9);
        w.recovery.connected(UuidText("b"), nullptr);
        w.until(11);
        w.recovery.note_progress(UuidText("b"));
        w.until(14);
        EXPECT_TRUE(w.env.evicted.empty());
        w.until(16);
        EXPECT_EQ(w.env.evicted["a"], "it came back, but did not go on with its recovery");
        EXPECT_EQ(w.closed_s(), 15u);
        EXPECT_EQ(w.env.evicted.size(), 2u);
    });
}

// R2 R4.
TEST(RecoveryWindow, ClosedByHandAndLimitsChangedMeanwhile)
{
    sim::run(1, [] {
        Window w({"a", "b"});
        w.recovery.connected(UuidText("a"), nullptr);
        w.until(2);
        w.recovery.close();  // who has come may finish
        w.until(3);
        EXPECT_EQ(w.env.evicted.size(), 1u);
        EXPECT_EQ(w.env.evicted.count("b"), 1u);
        EXPECT_TRUE(w.recovery.active());
        w.recovery.gone(UuidText("a"), Recovery::Gone::kLeft);
        EXPECT_EQ(w.closed_s(), 3u);

        Window v({"a"}, 600, 900);
        v.until(5);
        v.recovery.set_limits(1000, 0);
        EXPECT_EQ(v.closed_s(), 5u);
        EXPECT_EQ(v.env.evicted.size(), 1u);
        Window u({"a"}, 600, 900);
        u.until(5);
        u.recovery.set_limits(0, 7000);
        EXPECT_EQ(u.closed_s(), 7u);
    });
}

// B1.
TEST(Reservations, SettleReturnExpire)
{
    sim::run(1, [] {
        Reservations r;
        Vec<UuidText> clients, gone;
        for (const char* u : {"a", "b", "c"}) ASSERT_TRUE(clients.push_back(UuidText(u)).ok());
        Vec<ReservedOpen> opens;
        for (const char* u : {"a", "a", "b"}) {
            ReservedOpen o;
            o.client = UuidText(u);
            o.handle = opens.size() + 1;
            ASSERT_TRUE(opens.push_back(o).ok());
        }
        ASSERT_TRUE(r.begin(clients, std::move(opens)).ok());
        r.deadline_ms.store(1000);
        EXPECT_TRUE(r.has(UuidText("b")));
        EXPECT_TRUE(r.settle(UuidText("a")));
        EXPECT_FALSE(r.settle(UuidText("a")));
        Vec<ReservedOpen> left;
        ASSERT_TRUE(r.unsettled_opens(&left).ok());
        ASSERT_EQ(left.size(), 1u);
        EXPECT_EQ(left[0].handle, 3u);
        r.returned(UuidText("b"));
        ASSERT_TRUE(r.expired(&gone).ok());
        EXPECT_TRUE(gone.empty());
        kapi_sleep_ns(2 * kSec);
        ASSERT_TRUE(r.expired(&gone).ok());
        ASSERT_EQ(gone.size(), 1u);
        EXPECT_STREQ(gone[0].c_str(), "c");
    });
}

// S15: what one client costs does not depend on how many there are.
TEST(Reservations, ManyClients)
{
    auto walks_per_client = [](size_t n) {
        uint64_t before = walks_counted;
        Reservations r;
        Vec<UuidText> clients;
        Vec<ReservedOpen> opens, reopened;
        for (size_t i = 0; i < n; i++) {
            // Not in their order, and handles repeat between clients.
            size_t number = i * 7919 % n;
            EXPECT_TRUE(clients.push_back(text_format<40>("c%zu", number)).ok());
            for (uint64_t k = 0; k < 2; k++) {
                ReservedOpen o;
                o.client = clients.back();
                o.handle = 1 + 2 * (number / 4) + k;
                EXPECT_TRUE(opens.push_back(o).ok());
                if (k == 1 && number % 2) {
                    EXPECT_TRUE(reopened.push_back(o).ok());
                }
            }
        }
        EXPECT_TRUE(r.begin(clients, std::move(opens)).ok());
        for (size_t i = 0; i < n; i += 10) {
            EXPECT_TRUE(r.has(clients[i]));
            r.returned(clients[i]);
            EXPECT_TRUE(r.settle(clients[i]));
            EXPECT_FALSE(r.has(clients[i]));
        }
        EXPECT_EQ(r.left(), n - n / 10);
        size_t known = reopened.size();
        EXPECT_TRUE(r.unsettled_opens(&reopened).ok());
        size_t of_settled = 0, twice = 0;
        std::map<std::string, size_t> seen;
        for (const ReservedOpen& o : reopened)
            twice += seen[std::string(o.client.c_str()) + "/" + std::to_string(o.handle)]++;
        for (size_t i = known; i < reopened.size(); i++) of_settled += !r.has(reopened[i].client);
        EXPECT_EQ(twice, 0u);
        EXPECT_EQ(of_settled, 0u);
        EXPECT_GT(reopened.size(), n);
        return static_cast<double>(walks_counted - before) / static_cast<double>(n);
    };
    sim::run(1, [&] {
        double few = walks_per_client(1000), many = walks_per_client(4000);
        EXPECT_LT(many, few * 1.1 + 1);
    });
}
