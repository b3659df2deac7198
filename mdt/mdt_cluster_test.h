/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For mdt_test.cc and ofd tests: real servers (MGS+MDT, OSTs) on simulated hosts and disks, and
 * clients that speak to them by bare imports. Crashes, starts and stops are called from the main
 * context, operations from tasks of a client.
 */
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "include/lull/ops_mds.h"
#include "include/lull/ops_ost.h"
#include "include/lull/user_api.h"
#include "kapi/sim/network.h"
#include "kapi/sim/world.h"
#include "mdc/active_env.h"
#include "osd/sim/disk.h"
#include "target/server_mount.h"

namespace lull::mdt_test {

inline std::string str(Str s) { return std::string(s.data(), s.size()); }

// LULL_TEST_SEEDS=n: n times as many.
inline uint64_t seed_factor()
{
    const char* text = getenv("LULL_TEST_SEEDS");
    return text ? strtoull(text, nullptr, 10) : 1;
}

inline lull_node_options node_options(const std::string& name, uint32_t protocol)
{
    lull_node_options o{};
    o.protocol_max = protocol;
    o.port = 988;
    o.service_threads_max = 32;
    o.timeout_ms = 4000;
    kapi_snprintf(o.nodename, sizeof o.nodename, "%s", name.c_str());
    return o;
}

// What mkfs.lull would do.
inline void format(kapi_net* net, const std::string& text)
{
    kbfs* fs;
    ASSERT_EQ(0, kbfs_mount(net, "/dev/vdb", false, &fs));
    kbfs_node *root, *dir, *file;
    ASSERT_EQ(0, kbfs_root(fs, &root));
    ASSERT_EQ(0, kbfs_create(root, "CONFIGS", 7, KBFS_DIR | 0755, 0, &dir));
    ASSERT_EQ(0, kbfs_create(dir, "mountdata", 9, KBFS_FILE | 0644, 0, &file));
    ASSERT_EQ(0, kbfs_write(file, 0, text.data(), text.size()));
    ASSERT_EQ(0, kbfs_sync(fs));
    kbfs_put(file);
    kbfs_put(dir);
    kbfs_put(root);
    kbfs_unmount(fs);
}

struct TestServer {
    sim::World& world;
    sim::Host& host;
    sim::Disk& disk;
    uint32_t protocol = 2;
    Owned<Node> node;
    Owned<ServerMount> mount;

    TestServer(sim::World& w, const std::string& name)
        : world(w), host(w.host(name)), disk(sim::make_disk(w, name, 128 << 20))
    {
        disk.attach(host, "/dev/vdb");
    }
    void on(std::function<void()> fn)
    {
        auto task = host.spawn("story", std::move(fn));
        ASSERT_TRUE(world.run_to_end(task, world.now_ns() + 3600 * kSec)) << world.report();
    }
    void start(const char* options = "")
    {
        if (!host.up()) host.boot();
        on([&] {
            auto n = Node::create(host.net(), node_options(host.name(), protocol));
            ASSERT_TRUE(n.ok());
            node = n.release_value();
            mount = make<ServerMount>(*node);
            StartOptions parsed;
            Text<200> why;
            ASSERT_TRUE(parse_start_options(options, &parsed, &why).ok());
            Status s = mount->start("/dev/vdb", parsed, &why);
            ASSERT_TRUE(s.ok()) << why.c_str() << " " << s.error();
        });
    }
    void stop()
    {
        if (!mount) return;
        on([&] {
            mount->stop(false);
            mount.reset();
            node.reset();
        });
    }
    void forget()  // it crashed
    {
        (void)mount.release();
        (void)node.release();
    }
    void crash()
    {
        forget();
        host.crash();
    }
    // The controlled shutdown, as far as the server goes; then umount.
    void halt_clean()
    {
        on([&] {
            TargetImpl& t = mount->target(mount->target_count() - 1);
            ASSERT_TRUE(t.begin_shutdown().ok());
            ASSERT_TRUE(t.shutdown().wait(ShutdownState::kHalted, deadline_after_ms(120000)).ok());
        });
        stop();
    }
    TargetImpl& target() { return mount->target(mount->target_count() - 1); }
    Status set(const char* name, const char* value)
    {
        TextSink sink(1 << 10);
        auto text = text_format<160>("%s=%s", name, value);
        return node->control(LULL_CTL_SET, text.c_str(), sink);
    }
    Status param(const char* name, std::string* out)
    {
        TextSink sink(1 << 16);
        TRY(node->control(LULL_CTL_GET, name, sink));
        *out = str(sink.text());
        return kOk;
    }
};

// A client's connection to one target.
struct TestImport : ImportClient {
    ActiveEnv env;
    Ref<Import> import;
    Owned<ActiveLock> active;
    std::vector<LdlmBlAst> asts;
    int evictions = 0;
    bool parked = false;
    std::function<void(const LdlmBlAst&)> at_ast;

    explicit TestImport(LockType type) : env(type) {}
    void connect(Node& node, const char* target, std::vector<uint32_t> addresses)
    {
        ImportOptions o;
        o.target = target;
        o.client_uuid = node.make_uuid();
        for (uint32_t a : addresses) ASSERT_TRUE(o.nids.push_back(Nid{a}).ok());
        auto made = Import::create(node, std::move(o), this);
        ASSERT_TRUE(made.ok());
        import = made.release_value();
        env.attach(*import, nullptr);
        auto lock = ActiveLock::create(env, target);
        ASSERT_TRUE(lock.ok());
        active = lock.release_value();
        Status s = import->connect(deadline_after_ms(60000), WaitMode::kKillable);
        ASSERT_TRUE(s.ok()) << target << " " << s.error();
    }
    void close()
    {
        if (import) import->close();
        if (active) active->shutdown();
        active.reset();
        import.reset();
    }
    void on_evicted() override
    {
        evictions++;
        active->on_evicted();
    }
    void on_full(const ConnectReply& reply, bool first) override
    {
        active->on_full(first, reply.flags & kConnectUpdateLock);
    }
    void on_parked() override
    {
        parked = true;
        active->on_parked();
    }
    void on_callback(Opcode opcode, Decoder& body) override
    {
        LdlmBlAst ast;
        ast.io(body);
        if (opcode != Opcode::kLdlmBlAst || !body.finish().ok()) return;
        if (ActiveEnv::is_active(ast)) return active->on_bl_ast(ast.server_handle);
        asts.push_back(ast);
        if (at_ast) at_ast(ast);
    }
};

struct TestClient {
    sim::World& world;
    sim::Host& host;
    Owned<Node> node;
    TestImport mdt{LockType::kIbits};
    std::vector<std::unique_ptr<TestImport>> osts;
    uint64_t seq = 0;
    uint32_t next_oid = 1;
    int seq_evictions = 0;  // it is lost with an eviction
    uint64_t next_lock = 1;

    TestClient(sim::World& w, const std::string& name) : world(w), host(w.host(name)) {}
    void on(std::function<void()> fn)
    {
        auto task = host.spawn("story", std::move(fn));
        ASSERT_TRUE(world.run_to_end(task, world.now_ns() + 3600 * kSec)) << world.report();
    }
    void start(uint32_t mds_address, std::vector<uint32_t> oss_addresses, uint32_t protocol = 2)
    {
        on([&] {
            auto n = Node::create(host.net(), node_options(host.name(), protocol));
            ASSERT_TRUE(n.ok());
            node = n.release_value();
            mdt.connect(*node, "lull-MDT0000", {mds_address});
            for (size_t i = 0; i < oss_addresses.size(); i++) {
                osts.push_back(std::make_unique<TestImport>(LockType::kExtent));
                osts[i]->connect(*node,
                                 text_format<20>("lull-OST%04x", static_cast<unsigned>(i)).c_str(),
                                 {oss_addresses[i]});
            }
        });
    }
    void stop()
    {
        on([&] {
            mdt.close();
            for (auto& o : osts) o->close();
            node.reset();
        });
        osts.clear();
        host.shutdown_clean();
    }
    void crash()
    {
        (void)mdt.import.leak();
        (void)mdt.active.release();
        for (auto& o : osts) {
            (void)o->import.leak();
            (void)o->active.release();
        }
        (void)node.release();
        host.crash();
    }

    // ---- operations, in a task of the client
    template <class Op> static Ref<Call<Op>> make_call() { return make_ref<Call<Op>>(); }
    template <class Op> Status call(const Ref<Call<Op>>& c) { return mdt.import->call(*c); }
    Fid next_fid()
    {
        if (mdt.import->protocol() == kProtocol1) return {};
        if (seq == 0 || seq_evictions != mdt.evictions) {
            auto c = make_call<MdsGetSeqOp>();
            EXPECT_TRUE(call(c).ok());
            seq = c->reply.seq;
            seq_evictions = mdt.evictions;
            next_oid = 1;
        }
        return {seq, next_oid++, 0};
    }
    Status create(const Fid& parent, const char* name, uint32_t mode, Fid* out = nullptr,
                  const char* target = "")
    {
        auto c = make_call<MdsCreateOp>();
        c->op.parent = parent;
        c->op.name = name;
        c->op.fid = next_fid();
        c->op.mode = mode;
        c->op.time_ns = 1000000 * ++clock;
        c->op.target = target;
        TRY(call(c));
        if (out) *out = c->reply.object.fid;
        return kOk;
    }
    Status mkdir(const Fid& parent, const char* name, Fid* out = nullptr)
    {
        return create(parent, name, KBFS_DIR | 0755, out);
    }
    Ref<Call<MdsOpenOp>> open_call(const Fid& parent, const char* name, uint32_t flags)
    {
        auto c = make_call<MdsOpenOp>();
        c->op.flags = flags;
        c->op.parent = parent;
        c->op.name = name;
        if (flags & kOpenCreate) c->op.fid = next_fid();
        c->op.mode = 0644;
        c->op.time_ns = 1000000 * ++clock;
        c->keep_committed = true;
        return c;
    }
    Status open(const Fid& parent, const char* name, uint32_t flags, Ref<Call<MdsOpenOp>>* out)
    {
        *out = open_call(parent, name, flags);
        return call(*out);
    }
    Status close(Ref<Call<MdsOpenOp>>& opened)
    {
        auto c = make_call<MdsCloseOp>();
        c->op.handle = opened->reply.handle;
        c->op.fid = opened->reply.object.fid;
        c->ends = opened;
        Status s = call(c);
        opened.reset();
        return s;
    }
    // A file that exists and is closed.
    Status touch(const Fid& parent, const char* name, Fid* out = nullptr)
    {
        Ref<Call<MdsOpenOp>> o;
        TRY(open(parent, name, kOpenCreate | kOpenWrite | kOpenExcl, &o));
        if (out) *out = o->reply.object.fid;
        return close(o);
    }
    Status unlink(const Fid& parent, const char* name, bool rmdir = false,
                  Ref<Call<MdsUnlinkOp>>* out = nullptr)
    {
        auto c = make_call<MdsUnlinkOp>();
        c->op.parent = parent;
        c->op.name = name;
        c->op.rmdir = rmdir;
        c->op.time_ns = 1000000 * ++clock;
        if (out) *out = c;
        return call(c);
    }
    Status link(const Fid& fid, const Fid& parent, const char* name)
    {
        auto c = make_call<MdsLinkOp>();
        c->op.fid = fid;
        c->op.parent = parent;
        c->op.name = name;
        c->op.time_ns = 1000000 * ++clock;
        return call(c);
    }
    Status rename(const Fid& from_parent, const char* from, const Fid& to_parent, const char* to,
                  bool no_replace = false, Ref<Call<MdsRenameOp>>* out = nullptr)
    {
        auto c = make_call<MdsRenameOp>();
        c->op.from_parent = from_parent;
        c->op.to_parent = to_parent;
        c->op.from = from;
        c->op.to = to;
        c->op.no_replace = no_replace;
        c->op.time_ns = 1000000 * ++clock;
        if (out) *out = c;
        return call(c);
    }
    Status setattr(const Fid& fid, const Attr& attr, Attr* out = nullptr)
    {
        auto c = make_call<MdsSetattrOp>();
        c->op.fid = fid;
        c->op.attr = attr;
        TRY(call(c));
        if (out) *out = c->reply.attr;
        return kOk;
    }
    Status chmod(const Fid& fid, uint32_t mode)
    {
        Attr a;
        a.valid = kAttrMode;
        a.mode = mode;
        return setattr(fid, a);
    }
    Status getattr(const Fid& fid, const char* name, MdsGetattrReply* out)
    {
        auto c = make_call<MdsGetattrOp>();
        c->op.fid = fid;
        c->op.name = name;
        TRY(call(c));
        *out = std::move(c->reply);
        return kOk;
    }
    Fid lookup(const Fid& dir, const char* name)
    {
        MdsGetattrReply r;
        return getattr(dir, name, &r).ok() ? r.fid : Fid();
    }
    std::vector<std::string> list(const Fid& dir, uint32_t chunk = 3)
    {
        std::vector<std::string> names;
        uint64_t cookie = 0;
        for (;;) {
            auto c = make_call<MdsReaddirOp>();
            c->op.fid = dir;
            c->op.cookie = cookie;
            c->op.max_entries = chunk;
            Status s = call(c);
            EXPECT_TRUE(s.ok()) << s.error();
            if (!s.ok()) break;
            for (DirEntry& e : c->reply.entries) {
                names.push_back(str(e.name));
                cookie = e.cookie;
            }
            if (c->reply.end) break;
        }
        std::sort(names.begin(), names.end());
        return names;
    }
    Status sync()
    {
        auto c = make_call<MdsSyncOp>();
        return call(c);
    }
    Status enqueue(const Fid& fid, Intent intent, const char* name, LdlmEnqueueReply* out)
    {
        auto c = make_call<LdlmEnqueueOp>();
        c->op.resource = ResourceId::of(fid);
        c->op.type = static_cast<uint8_t>(LockType::kIbits);
        c->op.mode = static_cast<uint8_t>(LockMode::kPR);
        c->op.policy.bits = kIbitLookup | kIbitUpdate | kIbitLayout;
        c->op.client_handle = next_lock++;
        c->op.intent = static_cast<uint8_t>(intent);
        c->op.fid = fid;
        c->op.name = name;
        TRY(call(c));
        *out = std::move(c->reply);
        return kOk;
    }
    Status cancel(uint64_t server_handle)
    {
        auto c = make_call<LdlmCancelOp>();
        TRY(c->op.server_handles.push_back(server_handle));
        return call(c);
    }
    // From now on what is asked for is given back. *answered: a cancel was answered.
    void cancel_what_is_asked_for(bool* answered)
    {
        mdt.at_ast = [this, answered](const LdlmBlAst& ast) {
            host.spawn("cancel", [this, answered, handle = ast.server_handle] {
                EXPECT_TRUE(cancel(handle).ok());
                *answered = true;
            });
        };
    }
    // ---- data
    Status write(size_t ost, const Fid& object, uint64_t offset, const std::string& data,
                 uint64_t grant_used = 0, const Fid& file = {})
    {
        auto c = make_call<OstWriteOp>();
        c->op.object.fid = object;
        c->op.offset = offset;
        c->op.bytes = static_cast<uint32_t>(data.size());
        c->op.grant_used = grant_used;
        c->op.file.fid = file;
        c->op.mtime_ns = 1000000 * ++clock;
        TRY(c->bulk.assign(reinterpret_cast<const uint8_t*>(data.data()), data.size()));
        return osts[ost]->import->call(*c);
    }
    Status read(size_t ost, const Fid& object, uint64_t offset, uint32_t bytes, std::string* out,
                uint64_t* size = nullptr)
    {
        auto c = make_call<OstReadOp>();
        c->op.object.fid = object;
        c->op.offset = offset;
        c->op.bytes = bytes;
        TRY(osts[ost]->import->call(*c));
        out->assign(reinterpret_cast<const char*>(c->reply_bulk.data()), c->reply_bulk.size());
        if (size) *size = c->reply.size;
        return kOk;
    }
    uint64_t clock = 1000;
};

struct MdtCluster {
    sim::World world;
    TestServer mds;
    std::vector<std::unique_ptr<TestServer>> oss;
    std::vector<std::unique_ptr<TestClient>> clients;

    explicit MdtCluster(uint64_t seed, unsigned osts = 1, uint32_t protocol = 2,
                        const char* mds_extra = "")
        : world(seed), mds(world, "mds")
    {
        mds.protocol = protocol;
        mds.on([&] {
            format(mds.host.net(),
                   std::string("format=1\nfsname=lull\nkinds=mgs,mdt\nindex=0\nuuid=mdt-uuid\n") +
                       mds_extra);
        });
        mds.start();
        for (unsigned i = 0; i < osts; i++) add_oss();
        if (osts) wait_osts(osts);
    }
    ~MdtCluster()
    {
        for (auto& c : clients)
            if (c->host.up()) c->stop();
        for (auto& s : oss)
            if (s->host.up()) {
                s->stop();
                s->host.shutdown_clean();
            }
        if (mds.host.up()) {
            mds.stop();
            mds.host.shutdown_clean();
        }
    }
    void add_oss()
    {
        std::string i = std::to_string(oss.size());
        oss.push_back(std::make_unique<TestServer>(world, "oss" + i));
        TestServer& s = *oss.back();
        s.on([&] {
            format(s.host.net(), "format=1\nfsname=lull\nkinds=ost\nindex=" + i +
                                     "\nuuid=ost-uuid-" + i +
                                     "\nmgsnode=" + str(to_text(Nid{mds.host.address()})) + "\n");
        });
        s.start();
    }
    TestClient& client(uint32_t protocol = 2)
    {
        clients.push_back(
            std::make_unique<TestClient>(world, "client" + std::to_string(clients.size())));
        std::vector<uint32_t> addresses;
        for (auto& s : oss) addresses.push_back(s->host.address());
        clients.back()->start(mds.host.address(), addresses, protocol);
        return *clients.back();
    }
    bool until(const std::function<bool()>& p, uint64_t ms = 300000)
    {
        return world.run_until(p, world.now_ns() + ms * kMsec);
    }
    // Until the MDT is connected to that many OSTs.
    void wait_osts(unsigned n)
    {
        mds.on([&] {
            std::string osts;
            size_t seen = 0;
            for (int i = 0; i < 600 && seen < n; i++) {
                seen = 0;
                if (mds.param("mdt.lull-MDT0000.osts", &osts).ok())
                    for (size_t at = 0; (at = osts.find(" connected", at)) != std::string::npos;
                         at++)
                        seen++;
                if (seen < n) kapi_sleep_ns(100 * kMsec);
            }
            ASSERT_EQ(n, seen) << osts;
        });
    }
    // Runs the story on the client while the MDS crashes after so many steps of its disk; true: it
    // did crash.
    bool run_with_crash(TestClient& c, uint64_t steps, std::function<void()> story)
    {
        bool crashed = false;
        mds.disk.crash_at_step(steps);
        auto task = c.host.spawn("story", std::move(story));
        uint64_t deadline = world.now_ns() + 3600 * kSec;
        EXPECT_TRUE(
            world.run_until([&] { return sim::World::finished(task) || !mds.host.up(); }, deadline))
            << world.report();
        if (!mds.host.up()) {
            crashed = true;
            mds.forget();
            mds.start();
        }
        EXPECT_TRUE(world.run_to_end(task, deadline)) << world.report();
        mds.disk.crash_at_step(0);
        return crashed;
    }
};

}  // namespace lull::mdt_test
