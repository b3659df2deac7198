/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the tests of ldlm: a target that has nothing but a lock namespace and one number per
 * resource, and clients that cache
 * these numbers under locks, on simulated hosts with real nodes, imports and connections.
 */
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "include/lull/ops_ost.h"
#include "kapi/sim/network.h"
#include "kapi/sim/world.h"
#include "ldlm/active_lock.h"
#include "ldlm/client.h"
#include "ldlm/server.h"

namespace lull::test {

inline std::string str(Str s) { return std::string(s.data(), s.size()); }

class LockTarget final : public RequestHandler, public LdlmServerOwner {
public:
    LockTarget(Node& node, uint64_t inst, LdlmServerOptions options) : instance(inst), node_(node)
    {
        ldlm = LdlmServer::create(node, *this, options).release_value();
        EXPECT_TRUE(node_.register_target(*this).ok());
    }
    void stop()
    {
        withheld.clear();
        replayed.clear();
        node_.unregister_target(*this);
        ldlm->shutdown();
        exports.clear();
        ldlm.reset();
    }

    const TargetName& target_name() const override { return name_; }
    void handle_connect(Ref<ServerRequest> request) override
    {
        ConnectOp op;
        if (!request->decode(&op).ok()) return request->reply_error(-kEPROTO);
        std::string uuid = str(op.client_uuid);
        ConnectReply reply;
        bool known = exports.count(uuid) || (recovery && op.last_instance);
        auto result = !known                         ? ConnectResult::kNew
                      : op.last_instance == instance ? ConnectResult::kReconnect
                                                     : ConnectResult::kRecover;
        reply.result = static_cast<uint8_t>(result);
        if (result == ConnectResult::kNew && exports.count(uuid)) drop(*exports[uuid]);
        Ref<Export>& exp = exports[uuid];
        bool fresh = !exp;
        if (fresh) {
            exp = make_ref<Export>(*this, op.client_uuid);
            if (!exp || exp->is_dead() || !node_.add_export(exp).ok()) {
                exports.erase(uuid);
                return request->reply_error(-kENOMEM);
            }
        }
        reply.protocol = static_cast<uint16_t>(op.protocol_max);
        exp->attach(Ref<Connection>(&request->connection()), op.import_cookie, reply.protocol,
                    op.flags, op.nodename);
        reply.flags = op.flags;
        reply.export_cookie = exp->cookie();
        reply.instance = instance;
        reply.slots = 8;
        Ref<Export> keep = exp;
        request->reply(reply);
        if (!fresh) ldlm->on_export_reconnected(*keep);
    }
    void handle(Ref<ServerRequest> request) override
    {
        Empty empty;
        switch (request->opcode()) {
        case Opcode::kLdlmEnqueue:
            enqueues++;
            if (refuse_resends && request->is_resend()) {
                refuse_resends--;
                return request->reply_error(-kENOMEM);
            }
            if (park && !request->is_resend()) return request->reply_error(-kEPark);
            [[fallthrough]];
        case Opcode::kActiveEnqueue: return ldlm->handle_enqueue(std::move(request));
        case Opcode::kLdlmCancel:
            cancels++;
            (void)ldlm->handle_cancel(std::move(request));
            return;
        case Opcode::kDisconnect: drop(*request->exp); return request->reply(empty);
        case Opcode::kOstSync:
            if (sync_ns) kapi_sleep_ns(sync_ns);
            ldlm->note_progress(*request->exp);
            return request->reply(empty);
        case Opcode::kReplayDone:
            replayed.push_back(request);
            if (replayed.size() < recovery) return;
            for (auto& r : replayed) r->reply(empty);
            return replayed.clear();
        default: return request->reply(empty);  // Ping
        }
    }
    void drop(Export& exp)
    {
        Ref<Export> keep(&exp);
        exp.kill();
        node_.remove_export(exp);
        exports.erase(str(exp.client_uuid()));
        ldlm->drop_export(exp);
    }

    Status fill_lvb(const ResourceId& resource, Lvb* lvb) override
    {
        kapi_yield();
        if (lvb_fails) return -kENOENT;
        lvb->size = static_cast<uint64_t>(values[resource]);
        return kOk;
    }
    Status intent_resolve(const LdlmEnqueueOp& op, Export&, ResourceId* resource) override
    {
        kapi_yield();
        auto found = names.find(str(op.name));
        if (found == names.end()) return -kENOENT;
        *resource = found->second;
        return kOk;
    }
    Status intent_execute(const LdlmEnqueueOp& op, Export&, const ResourceId& resource,
                          LdlmEnqueueReply* reply, bool* gone) override
    {
        intents++;
        kapi_sleep_ns(intent_ns);
        if (static_cast<Intent>(op.intent) == Intent::kLookup) {
            auto found = names.find(str(op.name));
            *gone = found == names.end() || !(found->second == resource);
            if (*gone) return kOk;
        }
        if (op.fid.oid == 404) return -kENOENT;
        reply->object.attr.size = static_cast<uint64_t>(values[resource]);
        return kOk;
    }
    void evict(Export& exp, const char*) override
    {
        evicted.push_back(str(exp.nodename()));
        drop(exp);
    }
    bool withhold_active_cancel(Ref<ServerRequest> request) override
    {
        if (!withhold) return false;
        withheld.push_back(request);
        return true;
    }
    void release_cancels(bool committed)
    {
        auto those = std::move(withheld);
        withheld.clear();
        withhold = false;
        for (auto& r : those) {
            if (committed) r->set_reply_flags(kRpcCommitted);
            Empty empty;
            r->reply(empty);
        }
    }
    Ref<Export> only_export()
    {
        return exports.size() == 1 ? exports.begin()->second : Ref<Export>();
    }

    const uint64_t instance;
    size_t recovery = 0;   // so many clients are waited for
    uint64_t sync_ns = 0;  // how long a sync takes the server
    bool park = false, withhold = false, lvb_fails = false;
    uint64_t intent_ns = 0;
    unsigned refuse_resends = 0;
    unsigned enqueues = 0, cancels = 0, intents = 0;
    Owned<LdlmServer> ldlm;
    std::map<std::string, Ref<Export>> exports;
    std::vector<Ref<ServerRequest>> withheld, replayed;
    std::vector<std::string> evicted;
    std::map<std::string, ResourceId> names;
    std::map<ResourceId, int> values;

private:
    Node& node_;
    TargetName name_{"lull-OST0000"};
};

class LockPeer final : public ImportClient, public LdlmClientOwner, public ActiveLockEnv {
public:
    LockPeer(Node& node, sim::Host& server, LockTarget*& target, bool with_active)
        : target_(target), with_active_(with_active)
    {
        ImportOptions o;
        o.target = "lull-OST0000";
        o.client_uuid = node.make_uuid();
        EXPECT_TRUE(o.nids.push_back(Nid{server.address()}).ok());
        o.gate_closed_for = with_active ? uint32_t{Gate::kActiveLock} : 0;
        import = Import::create(node, std::move(o), this).release_value();
        locks = LdlmClient::create(node, *import, *this).release_value();
        active = ActiveLock::create(*this, "peer").release_value();
        Status s = import->connect(deadline_after_ms(60000), WaitMode::kKillable);
        EXPECT_TRUE(s.ok()) << s.error();
    }
    void stop()
    {
        locks->shutdown();
        import->close();
        active->shutdown();
        locks.reset();
        active.reset();
        import.reset();
    }

    // ---- what an application does
    Result<int> read(const ResourceId& id, bool admitted = false)
    {
        return use(id, LockMode::kPR, admitted, [](int& v) { return v; });
    }
    Result<int> add(const ResourceId& id, int n, bool admitted = false)
    {
        return use(id, LockMode::kPW, admitted, [&](int& v) { return v += n; });
    }
    template <class F> Result<int> use(const ResourceId& id, LockMode mode, bool admitted, F f)
    {
        LockUse lock;
        TRY(locks->lock(id, LockType::kExtent, mode, LockPolicy(),
                        admitted ? GatesHeld::kThis : GatesHeld::kNone, &lock));
        if (!cache.count(id)) {
            EXPECT_FALSE(mode == LockMode::kPR && dirty.count(id));
            kapi_yield();
            if (!cache.count(id)) cache[id] = target_->values[id];
        }
        kapi_yield();
        if (mode == LockMode::kPW) dirty[id] = true;
        int result = f(cache[id]);
        if (hold_ns) kapi_sleep_ns(hold_ns);
        return result;
    }

    // ---- ImportClient
    void on_evicted() override
    {
        evictions++;
        active->on_evicted();
        locks->drop_all();
    }
    Status on_replay_locks() override { return locks->replay_locks(); }
    void on_full(const ConnectReply& reply, bool first) override
    {
        if (with_active_) active->on_full(first, reply.flags & kConnectUpdateLock);
    }
    void on_parked() override { active->on_parked(); }
    void on_callback(Opcode opcode, Decoder& body) override
    {
        LdlmBlAst ast;
        ast.io(body);
        if (opcode != Opcode::kLdlmBlAst || !body.finish().ok()) return;
        asts++;
        if (deaf) return;
        if (ast.client_handle == kActiveHandle) active->on_bl_ast(ast.server_handle);
        else locks->handle_bl_ast(ast);
    }

    // ---- LdlmClientOwner
    void on_lock_cancel(ClientLock& lock, bool discard) override
    {
        flushes++;
        if (!discard && dirty.count(lock.resource)) {
            if (flush_ns) kapi_sleep_ns(flush_ns);
            else kapi_yield();
            target_->values[lock.resource] = cache[lock.resource];
        }
        dirty.erase(lock.resource);
        cache.erase(lock.resource);
    }

    // ---- ActiveLockEnv
    void close_gate() override { import->gate().close(Gate::kActiveLock); }
    void open_gate() override { import->gate().reopen(Gate::kActiveLock); }
    Status wait_gate_parked(uint64_t deadline_ns) override
    {
        return import->gate().wait_parked(deadline_ns);
    }
    Status flush_all(uint64_t deadline_ns) override { return locks->flush_all(deadline_ns); }
    Status enqueue(uint64_t* handle) override
    {
        auto call = make_ref<Call<ActiveEnqueueOp>>();
        if (!call) return -kENOMEM;
        call->op.resource = ResourceId::active_server_lock();
        call->op.type = static_cast<uint8_t>(LockType::kExtent);
        call->op.mode = static_cast<uint8_t>(LockMode::kPR);
        call->op.client_handle = kActiveHandle;
        call->reply_wait = WaitMode::kUninterruptible;
        TRY(import->call(*call));
        *handle = call->reply.server_handle;
        return kOk;
    }
    Status cancel(uint64_t handle, bool* committed) override
    {
        auto call = make_ref<Call<LdlmCancelOp>>();
        if (!call || !call->op.server_handles.push_back(handle).ok()) return -kENOMEM;
        call->reply_wait = WaitMode::kUninterruptible;
        EXPECT_TRUE(cache.empty() && dirty.empty()) << "nothing may be cached any more";
        TRY(import->call(*call));
        *committed = call->reply_flags & kRpcCommitted;
        return kOk;
    }
    void expect_restart() override { import->expect_restart(); }

    static constexpr uint64_t kActiveHandle = 1ull << 63;
    Ref<Import> import;
    Owned<LdlmClient> locks;
    Owned<ActiveLock> active;
    std::map<ResourceId, int> cache;
    std::map<ResourceId, bool> dirty;
    unsigned flushes = 0, asts = 0, evictions = 0;
    bool deaf = false;
    uint64_t flush_ns = 0, hold_ns = 0;

private:
    LockTarget*& target_;
    bool with_active_;
};

struct LockCluster {
    explicit LockCluster(uint64_t seed, LdlmServerOptions o = {})
        : world(seed), server(world.host("server")), options(o)
    {
        start_server();
    }
    ~LockCluster()
    {
        for (size_t i = 0; i < peers.size(); i++) unmount(i);
        if (target) stop_server();
        if (server.up()) server.shutdown_clean();
    }
    static lull_node_options node_options(const std::string& name)
    {
        lull_node_options o{};
        o.service_threads_max = 32;
        o.timeout_ms = 2000;
        kapi_snprintf(o.nodename, sizeof o.nodename, "%s", name.c_str());
        return o;
    }
    void on(sim::Host& host, std::function<void()> fn)
    {
        auto task = host.spawn("story", std::move(fn));
        ASSERT_TRUE(world.run_to_end(task, world.now_ns() + 3600 * kSec)) << world.report();
    }
    void start_server(size_t recovery = 0)
    {
        if (!server.up()) server.boot();
        on(server, [&] {
            server_node = Node::create(server.net(), node_options("server")).release_value();
            ASSERT_TRUE(server_node->listen().ok());
            target = new LockTarget(*server_node, ++instance, options);
            target->recovery = recovery;
            target->values = disk;
        });
    }
    void stop_server()
    {
        disk = target->values;
        on(server, [&] {
            target->stop();
            delete target;
            target = nullptr;
            server_node.reset();
        });
    }
    void crash_server()
    {
        disk = target->values;
        for (auto& e : target->exports) (void)e.second.leak();
        for (auto& r : target->withheld) (void)r.leak();
        for (auto& r : target->replayed) (void)r.leak();
        (void)target->ldlm.release();
        (void)server_node.release();
        server.crash();
        delete target;
        target = nullptr;
    }
    size_t mount(bool with_active = false)
    {
        size_t i = peers.size();
        std::string name = "client" + std::to_string(i);
        sim::Host& host = world.host(name);
        peers.emplace_back();
        nodes.emplace_back();
        hosts.push_back(&host);
        on(host, [&, i] {
            nodes[i] = Node::create(host.net(), node_options(name)).release_value();
            peers[i] = std::make_unique<LockPeer>(*nodes[i], server, target, with_active);
        });
        return i;
    }
    void unmount(size_t i)
    {
        if (!peers[i]) return;
        on(*hosts[i], [&] {
            peers[i]->stop();
            nodes[i].reset();
        });
        peers[i].reset();
        hosts[i]->shutdown_clean();
    }
    sim::TaskHandle spawn(size_t i, std::function<void()> fn)
    {
        return hosts[i]->spawn("app", std::move(fn));
    }
    bool until(const std::function<bool()>& p, uint64_t ms = 120000)
    {
        return world.run_until(p, world.now_ns() + ms * kMsec);
    }
    LockPeer& peer(size_t i) { return *peers[i]; }
    LdlmServer& ldlm() { return *target->ldlm; }

    sim::World world;
    sim::Host& server;
    LdlmServerOptions options;
    uint64_t instance = 0;
    Owned<Node> server_node;
    LockTarget* target = nullptr;
    std::map<ResourceId, int> disk;
    std::vector<Owned<Node>> nodes;
    std::vector<std::unique_ptr<LockPeer>> peers;
    std::vector<sim::Host*> hosts;
};

}  // namespace lull::test
