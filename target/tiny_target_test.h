/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the tests of a target: the least service that changes something (files in one directory, open
 * handles), a target with it on a simulated host, and clients with an import and its active lock.
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
#include "kapi/sim/network.h"
#include "kapi/sim/world.h"
#include "mdc/active_env.h"
#include "osd/sim/disk.h"
#include "target/target_impl.h"

namespace lull::test {

inline std::string str(Str s) { return std::string(s.data(), s.size()); }

class TinyService final : public TargetService {
public:
    explicit TinyService(Target& target) : target_(target) {}
    Status start() override { return target_.store().root().status(); }
    void stop() override {}
    void evict(Export& exp, const char* why) override { target_.evict(exp, why); }
    void execute(Ref<ServerRequest> request) override;
    void reconstruct(Ref<ServerRequest> request, const SlotRecord& slot) override;
    void on_export_gone(Export& exp) override { forget(exp.client_uuid()); }
    Status save_opens(Vec<ReservedOpen>* out) override
    {
        for (auto& o : opens_) TRY(out->push_back(o));
        return kOk;
    }
    Status reserve(const ReservedOpen& open) override
    {
        reserved_.push_back(open);
        return kOk;
    }
    void drop_reservations(const UuidText& client) override
    {
        std::erase_if(reserved_, [&](auto& o) { return o.client == client.str(); });
    }
    void on_recovery_done() override { recovery_done++; }
    std::span<const Param> params() const override { return kParams; }

    unsigned executed = 0, reconstructed = 0, recovery_done = 0;
    size_t reserved() const { return reserved_.size(); }
    size_t opens() const { return opens_.size(); }

private:
    static Status show_opens(void* o, TextSink& out)
    {
        out.printf("%zu\n", static_cast<TinyService*>(o)->opens_.size());
        return out.status();
    }
    static constexpr Param kParams[] = {{"open_files", show_opens, nullptr}};
    void create(Ref<ServerRequest> request);
    void unlink(Ref<ServerRequest> request);
    void open(Ref<ServerRequest> request);
    void close(Ref<ServerRequest> request);
    void forget(const UuidText& client)
    {
        std::erase_if(opens_, [&](auto& o) { return o.client == client.str(); });
    }
    // As the MDT does it: the directory knows the last transaction that changed it.
    bool was_done(ServerRequest& request, Object& root)
    {
        return request.is_replay() &&
               target_.store().version(root).value() >= request.replay_transno();
    }
    void note_done(Object& root, uint64_t transno)
    {
        if (target_.store().version(root).value() >= transno) return;
        EXPECT_TRUE(target_.store().set_version(root, transno).ok());
    }
    Target& target_;
    uint64_t next_handle_ = 1;
    std::vector<ReservedOpen> opens_, reserved_;
};

inline void TinyService::execute(Ref<ServerRequest> request)
{
    executed++;
    Empty empty;
    switch (request->opcode()) {
    case Opcode::kMdsCreate: return create(request);
    case Opcode::kMdsUnlink: return unlink(request);
    case Opcode::kMdsOpen: return open(request);
    case Opcode::kMdsClose: return close(request);
    case Opcode::kMdsSync: {
        Status s = target_.commit();
        request->set_last_committed(target_.last_committed());
        return s.ok() ? request->reply(empty) : request->reply_error(s);
    }
    case Opcode::kMdsGetattr: {
        MdsGetattrOp op;
        if (!request->decode(&op).ok()) return request->reply_error(-kEPROTO);
        auto found = target_.store().lookup(*target_.store().root().value(), op.name);
        if (!found.ok()) return request->reply_error(found.status());
        MdsGetattrReply reply;
        reply.fid = found.value()->fid();
        return request->reply(reply);
    }
    default: return request->reply_error(-kEOPNOTSUPP);
    }
}

inline void TinyService::create(Ref<ServerRequest> request)
{
    auto op = make<MdsCreateOp>();
    if (!request->decode(op.get()).ok()) return request->reply_error(-kEPROTO);
    Ref<Object> root = target_.store().root().release_value();
    auto there = target_.store().lookup(*root, op->name);
    bool done = was_done(*request, *root);
    // it survived the crash
    if (there.ok() && request->is_replay()) done = done || there.value()->fid() == op->fid;
    if (there.ok() && !done) return request->reply_error(-kEEXIST);
    Transaction tx(target_, request);
    if (Status s = tx.begin(); !s.ok()) return tx.fail(s);
    CreateSpec spec;
    spec.fid = op->fid;
    spec.mode = KBFS_FILE | 0600;
    spec.transno = tx.transno();
    Status s = done ? kOk : target_.store().create(*root, op->name, spec).status();
    if (!s.ok()) return tx.fail(s);
    note_done(*root, tx.transno());
    tx.slot.fid = op->fid;
    auto reply = make<MdsCreateReply>();
    reply->object.fid = op->fid;
    tx.reply(*reply);
}

inline void TinyService::unlink(Ref<ServerRequest> request)
{
    auto op = make<MdsUnlinkOp>();
    if (!request->decode(op.get()).ok()) return request->reply_error(-kEPROTO);
    Ref<Object> root = target_.store().root().release_value();
    auto there = target_.store().lookup(*root, op->name);
    if (!there.ok() && !request->is_replay()) return request->reply_error(there.status());
    Transaction tx(target_, request);
    if (Status s = tx.begin(); !s.ok()) return tx.fail(s);
    auto reply = make<MdsUnlinkReply>();
    reply->fid = op->fid;
    if (there.ok() && !was_done(*request, *root)) {
        bool pending;
        Status s = target_.store().unlink(*root, op->name, *there.value(), &pending);
        if (!s.ok()) return tx.fail(s);
        reply->fid = there.value()->fid();
    }
    note_done(*root, tx.transno());
    tx.slot.fid = reply->fid;
    tx.reply(*reply);
}

inline void TinyService::open(Ref<ServerRequest> request)
{
    auto op = make<MdsOpenOp>();
    if (!request->decode(op.get()).ok()) return request->reply_error(-kEPROTO);
    auto found = op->fid.is_zero()
                     ? target_.store().lookup(*target_.store().root().value(), op->name)
                     : target_.store().find(op->fid);
    if (!found.ok()) return request->reply_error(found.status());
    ReservedOpen o;
    o.client = request->exp->client_uuid();
    o.fid = found.value()->fid();
    o.handle = op->old_handle ? op->old_handle : target_.instance() << 32 | next_handle_++;
    std::erase_if(reserved_, [&](auto& r) { return r.handle == o.handle; });
    std::erase_if(opens_, [&](auto& r) { return r.handle == o.handle; });
    opens_.push_back(o);
    auto reply = make<MdsOpenReply>();
    reply->handle = o.handle;
    reply->object.fid = o.fid;
    if (request->flags() & kRpcReplayOpen) return request->reply(*reply);
    Transaction tx(target_, request);
    if (Status s = tx.begin(); !s.ok()) return tx.fail(s);
    tx.slot.handle = o.handle;
    tx.slot.fid = o.fid;
    tx.reply(*reply);
}

inline void TinyService::close(Ref<ServerRequest> request)
{
    auto op = make<MdsCloseOp>();
    if (!request->decode(op.get()).ok()) return request->reply_error(-kEPROTO);
    size_t n = std::erase_if(opens_, [&](auto& o) { return o.handle == op->handle; });
    if (n == 0 && !request->is_replay()) return request->reply_error(-kESTALE);
    Transaction tx(target_, request);
    if (Status s = tx.begin(); !s.ok()) return tx.fail(s);
    Empty reply;
    tx.reply(reply);
}

inline void TinyService::reconstruct(Ref<ServerRequest> request, const SlotRecord& slot)
{
    reconstructed++;
    if (slot.opcode == static_cast<uint16_t>(Opcode::kMdsCreate)) {
        auto reply = make<MdsCreateReply>();
        reply->object.fid = slot.fid;
        return request->reply(*reply);
    }
    if (slot.opcode == static_cast<uint16_t>(Opcode::kMdsUnlink)) {
        auto reply = make<MdsUnlinkReply>();
        reply->fid = slot.fid;
        return request->reply(*reply);
    }
    if (slot.opcode == static_cast<uint16_t>(Opcode::kMdsOpen)) {
        auto reply = make<MdsOpenReply>();
        reply->handle = slot.handle;
        reply->object.fid = slot.fid;
        ReservedOpen o;
        o.client = request->exp->client_uuid();
        o.fid = slot.fid;
        o.handle = slot.handle;
        opens_.push_back(o);
        return request->reply(*reply);
    }
    Empty empty;
    request->reply(empty);
}

inline Result<Owned<TargetService>> make_tiny(Target& target)
{
    auto made = make<TinyService>(target);
    if (!made) return -kENOMEM;
    return Owned<TargetService>(std::move(made));
}

inline lull_node_options node_options(uint32_t protocol, const std::string& name)
{
    lull_node_options o = {};
    o.protocol_max = protocol;
    o.port = 988;
    o.service_threads_max = 16;
    o.timeout_ms = 4000;
    std::snprintf(o.nodename, sizeof o.nodename, "%s", name.c_str());
    return o;
}

// A client: lives on its host.
struct TinyClient final : ImportClient {
    Owned<Node> node;
    Ref<Import> import;
    ActiveEnv env{LockType::kIbits};
    Owned<ActiveLock> active;
    unsigned evicted = 0;
    uint8_t last_result = 0;
    bool barred = false;  // ignores BlAsts

    Status start(kapi_net* net, const std::string& name, std::vector<uint32_t> servers,
                 uint32_t protocol = 2, uint32_t flags = kConnectUpdateLock)
    {
        node = TRY(Node::create(net, node_options(protocol, name)));
        ImportOptions o;
        o.target = "lull-MDT0000";
        o.client_uuid = node->make_uuid();
        o.connect_flags = flags;
        for (uint32_t s : servers) TRY(o.nids.push_back(Nid{s}));
        import = TRY(Import::create(*node, std::move(o), this));
        env.attach(*import, nullptr);
        active = TRY(ActiveLock::create(env, "tiny"));
        return import->connect(deadline_after_ms(200000), WaitMode::kKillable);
    }
    void stop()
    {
        import->close();
        active->shutdown();
        active.reset();
        import.reset();
        node.reset();
    }
    void on_evicted() override
    {
        evicted++;
        active->on_evicted();
    }
    void on_full(const ConnectReply& reply, bool first) override
    {
        last_result = reply.result;
        active->on_full(first, reply.flags & kConnectUpdateLock);
    }
    void on_parked() override { active->on_parked(); }
    void on_callback(Opcode, Decoder& body) override
    {
        LdlmBlAst ast;
        ast.io(body);
        if (!barred && ActiveEnv::is_active(ast)) active->on_bl_ast(ast.server_handle);
    }

    Status create(const std::string& name, uint32_t n)
    {
        auto call = make_ref<Call<MdsCreateOp>>();
        call->op.parent = kRootFid;
        call->op.name = NameText(Str(name.data(), name.size()));
        call->op.fid = Fid{kFidSeqNormal, n, 0};
        return import->call(*call);
    }
    Status unlink(const std::string& name)
    {
        auto call = make_ref<Call<MdsUnlinkOp>>();
        call->op.parent = kRootFid;
        call->op.name = NameText(Str(name.data(), name.size()));
        return import->call(*call);
    }
    Status stat(const std::string& name)
    {
        auto call = make_ref<Call<MdsGetattrOp>>();
        call->op.fid = kRootFid;
        call->op.name = NameText(Str(name.data(), name.size()));
        return import->call(*call);
    }
    Ref<Call<MdsOpenOp>> open(const std::string& name)
    {
        auto call = make_ref<Call<MdsOpenOp>>();
        call->op.parent = kRootFid;
        call->op.name = NameText(Str(name.data(), name.size()));
        call->keep_committed = true;
        EXPECT_TRUE(import->call(*call).ok());
        return call;
    }
    Status close(Ref<Call<MdsOpenOp>> open)
    {
        auto call = make_ref<Call<MdsCloseOp>>();
        call->op.handle = open->reply.handle;
        call->ends = open;
        return import->call(*call);
    }
    Status sync()
    {
        auto call = make_ref<Call<MdsSyncOp>>();
        return import->call(*call);
    }
};

// The target on a host.
struct TinyServer final : HaltListener {
    sim::Host& host;
    Owned<Node> node;
    Owned<Store> store;
    Owned<TargetImpl> target;

    explicit TinyServer(sim::Host& h) : host(h) {}
    TinyService& service() { return static_cast<TinyService&>(target->service()); }
    Status start(uint32_t protocol, StartOptions options, Text<200>* why)
    {
        node = TRY(Node::create(host.net(), node_options(protocol, host.name())));
        Status s = begin(options, why);
        if (!s.ok()) stop();
        return s;
    }
    Status begin(StartOptions options, Text<200>* why)
    {
        store = TRY(Store::mount(host.net(), "/dev/d", why));
        TargetIdentity id;
        id.fsname = "lull";
        id.name = "lull-MDT0000";
        id.uuid = "device";
        target = TRY(TargetImpl::create(*node, *store, std::move(id), *this, make_tiny));
        TRY(target->start(options, why));
        TRY(node->listen());
        return target->serve(why);
    }
    void stop(bool force = false)
    {
        if (target) target->stop(force);
        target.reset();
        store.reset();
        node.reset();
    }
    void forget()  // the host crashed
    {
        (void)target.release();
        (void)store.release();
        (void)node.release();
    }
    void on_halted(TargetImpl&) override { store.reset(); }
};

struct TinyLab {
    sim::World world;
    sim::Host &a, &b;  // failover pair
    sim::Disk& disk;
    std::unique_ptr<TinyServer> server;
    std::vector<std::unique_ptr<TinyClient>> clients;
    std::vector<sim::Host*> client_hosts;

    explicit TinyLab(uint64_t seed)
        : world(seed), a(world.host("a")), b(world.host("b")), disk(sim::make_disk(world, "d"))
    {
        disk.attach(a, "/dev/d");
        disk.attach(b, "/dev/d");
        on(a, [&] { format(); });
    }
    void format()
    {
        kbfs* fs;
        kbfs_node *top, *configs, *data;
        ASSERT_EQ(kbfs_mount(a.net(), "/dev/d", false, &fs), 0);
        ASSERT_EQ(kbfs_root(fs, &top), 0);
        ASSERT_EQ(kbfs_create(top, "CONFIGS", 7, KBFS_DIR | 0755, 0, &configs), 0);
        ASSERT_EQ(kbfs_create(configs, "mountdata", 9, KBFS_FILE | 0644, 0, &data), 0);
        for (kbfs_node* n : {data, configs, top}) kbfs_put(n);
        ASSERT_EQ(kbfs_sync(fs), 0);
        kbfs_unmount(fs);
    }
    bool until(std::function<bool()> p, uint64_t ms = 300000)
    {
        bool r = world.run_until(p, world.now_ns() + ms * kMsec);
        EXPECT_TRUE(r) << world.report();
        return r;
    }
    // Runs fn on a host to its end; false: the host crashed.
    bool on(sim::Host& host, std::function<void()> fn)
    {
        uint64_t boots = host.boots();
        auto* task = host.spawn("test", fn);
        until([&] { return sim::World::finished(task); });
        return host.up() && host.boots() == boots;
    }
    Status start(sim::Host& host, uint32_t protocol = 2, StartOptions options = {},
                 Text<200>* why_out = nullptr)
    {
        server = std::make_unique<TinyServer>(host);
        Status s;
        Text<200> why;
        on(host, [&] { s = server->start(protocol, options, &why); });
        if (why_out) *why_out = why;
        else EXPECT_TRUE(s.ok()) << why.c_str();
        return s;
    }
    void crash_server()
    {
        sim::Host& host = server->host;
        if (host.up()) host.crash();
        server->forget();
        host.boot();
    }
    void stop_server(bool force = false)
    {
        on(server->host, [&] { server->stop(force); });
    }
    TinyClient& mount(uint32_t protocol = 2, uint32_t flags = kConnectUpdateLock)
    {
        size_t n = clients.size();
        client_hosts.push_back(&world.host("c" + std::to_string(n)));
        clients.push_back(std::make_unique<TinyClient>());
        TinyClient* c = clients.back().get();
        on(*client_hosts[n], [=, this] {
            EXPECT_TRUE(c->start(client_hosts[n]->net(), "c" + std::to_string(n),
                                 {a.address(), b.address()}, protocol, flags)
                            .ok());
        });
        return *c;
    }
    sim::Host& host_of(TinyClient& c)
    {
        for (size_t i = 0; i < clients.size(); i++)
            if (clients[i].get() == &c) return *client_hosts[i];
        std::abort();
    }
    void drop(TinyClient& c)  // its host dies
    {
        host_of(c).crash();
        (void)c.import.leak();
        (void)c.node.release();
        (void)c.active.release();
    }
    // Everything stops; nothing may be left anywhere.
    void finish()
    {
        for (size_t i = 0; i < clients.size(); i++) {
            TinyClient* c = clients[i].get();
            if (!c->node.get()) continue;
            on(*client_hosts[i], [=] { c->stop(); });
            client_hosts[i]->shutdown_clean();
        }
        stop_server();
        a.shutdown_clean();
        b.shutdown_clean();
    }
    std::string param(const std::string& name, sim::Host* host = nullptr)
    {
        std::string value;
        on(host ? *host : server->host, [&] {
            TextSink out(65536);
            std::string glob = "mdt.lull-MDT0000." + name;
            Status s = server->node->control(2, Str(glob.data(), glob.size()), out);  // GET
            value = s.ok() ? str(out.text()) : "error " + std::to_string(s.error());
        });
        return value;
    }
    int set_param(const std::string& name, const std::string& value)
    {
        int error = 0;
        on(server->host, [&] {
            TextSink out(4096);
            std::string text = "mdt.lull-MDT0000." + name + "=" + value;
            error = server->node->control(3, Str(text.data(), text.size()), out).error();  // SET
        });
        return error;
    }
    bool halt(uint64_t ms = 300000)
    {
        EXPECT_EQ(set_param("controlled_shutdown", "1"), 0);
        return until([&] { return server->target->halted(); }, ms);
    }
};

// LULL_SEEDS=n runs n times as many seeds.
template <class F> void for_seeds(F story, uint64_t seeds = 6)
{
    const char* more = std::getenv("LULL_SEEDS");
    if (more) seeds *= std::strtoul(more, nullptr, 10);
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        SCOPED_TRACE(seed);
        story(seed);
        if (testing::Test::HasFailure()) return;
    }
}

// Creates and removes files until told to stop; every call must succeed.
struct Load {
    TinyLab& lab;
    TinyClient& client;
    uint32_t base;
    bool stop = false, ended = false;
    unsigned done = 0;
    uint64_t longest_ns = 0;
    std::vector<std::string> errors;

    Load(TinyLab& l, TinyClient& c, uint32_t b) : lab(l), client(c), base(b)
    {
        lab.host_of(c).spawn("load", [this] { run(); });
    }
    void run()
    {
        for (uint32_t i = 0; !stop; i++) {
            uint64_t began = now_ns();
            std::string name = "f" + std::to_string(base) + "-" + std::to_string(i);
            if (Status s = client.create(name, base + i); !s.ok())
                errors.push_back("create " + std::to_string(s.error()));
            if (Status s = client.stat(name); !s.ok())
                errors.push_back("stat " + std::to_string(s.error()));
            if (i % 2) {
                if (Status s = client.unlink(name); !s.ok())
                    errors.push_back("unlink " + std::to_string(s.error()));
            }
            done++;
            longest_ns = std::max(longest_ns, now_ns() - began);
            kapi_sleep_ns(5 * kMsec);
        }
        ended = true;
    }
    void end()
    {
        stop = true;
        lab.until([&] { return ended; });
        for (auto& e : errors) ADD_FAILURE() << e;
    }
};

}  // namespace lull::test
