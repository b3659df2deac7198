/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For import_test.cc: the least target that an import can be tested against (transactions, slots,
 * recovery, clean halt), and two simulated hosts with a node each. What a Disk holds survives a
 * crash as far as it was committed.
 */
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "include/lull/ops_ldlm.h"
#include "include/lull/ops_mds.h"
#include "include/lull/ops_ost.h"
#include "kapi/sim/network.h"
#include "kapi/sim/world.h"
#include "ptlrpc/node.h"

namespace lull::test {

using Text64 = std::string;
inline std::string str(Str s) { return std::string(s.data(), s.size()); }
inline bool soon(const std::function<bool()>& p, uint64_t ms = 60000)
{
    for (uint64_t end = now_ns() + ms * kMsec; !p() && now_ns() < end;) kapi_sleep_ns(kMsec);
    return p();
}

struct Disk {
    uint64_t instance = 1;
    uint64_t last = 0, committed = 0;
    bool clean = false;
    std::set<std::string> clients;
    std::map<uint64_t, std::string> log;  // what each transaction did
    struct Slot {
        uint64_t xid, transno;
        int32_t status;
    };
    std::map<std::pair<std::string, unsigned>, Slot> slots;

    void commit() { committed = last; }
    // Power was lost.
    void lose()
    {
        log.erase(log.upper_bound(committed), log.end());
        std::erase_if(slots, [&](auto& s) { return s.second.transno > committed; });
        last = committed;
        clean = false;
        instance++;
    }
    void halt_clean()
    {
        commit();
        clean = true;
        instance++;
    }
};

class FakeTarget : public RequestHandler {
public:
    FakeTarget(Node& node, Disk& disk, const char* name = "lull-MDT0000")
        : node_(node), disk_(disk), name_(name)
    {}
    void start() { ASSERT_TRUE(node_.register_target(*this).ok()); }
    void stop()
    {
        withheld.clear();
        node_.unregister_target(*this);
        exports.clear();
    }
    void forget_memory()  // the host crashed
    {
        for (auto& e : exports) (void)e.second.leak();
        for (auto& r : withheld) (void)r.leak();
        exports.clear();
        withheld.clear();
    }

    // ---- what tests turn
    bool retry_later = false, withhold = false, park = false, window_open = false,
         version_changed = false;
    int connect_status = 0;
    uint64_t connect_ns = 0;
    uint16_t slots = 8;
    std::function<bool(ServerRequest&)> before;  // true: it was handled
    // ---- what tests look at
    std::map<std::string, Ref<Export>> exports;
    std::vector<Ref<ServerRequest>> withheld;
    std::vector<std::string>
        executed;  // "create a", "replay create a", "open f", "reopen f", "close"…
    std::map<std::string, ConnectOp> connects;
    unsigned pings = 0, parked = 0;

    const TargetName& target_name() const override { return name_; }
    void handle_connect(Ref<ServerRequest> request) override;
    void handle(Ref<ServerRequest> request) override;
    void release()
    {
        withhold = false;
        auto those = std::move(withheld);
        withheld.clear();
        for (auto& r : those) execute(r);
    }
    void close_window()
    {
        window_open = false;
        release();
    }
    size_t count(const std::string& what) const
    {
        size_t n = 0;
        for (auto& e : executed) n += e == what;
        return n;
    }

private:
    ConnectResult decide(const std::string& uuid, const ConnectOp& op);
    void execute(Ref<ServerRequest> request);
    void create(ServerRequest& request);
    void open(ServerRequest& request);
    bool answer_from_slot(ServerRequest& request);
    uint64_t transaction(ServerRequest& request, const std::string& what);
    template <class Reply> void answer(ServerRequest& request, Reply& reply)
    {
        request.set_last_committed(disk_.committed);
        request.reply(reply);
    }

    Node& node_;
    Disk& disk_;
    TargetName name_;
    std::set<uint64_t> handles_;
};

inline ConnectResult FakeTarget::decide(const std::string& uuid, const ConnectOp& op)
{
    if (!disk_.clients.count(uuid)) return ConnectResult::kNew;
    if (op.last_instance == disk_.instance) return ConnectResult::kReconnect;
    return disk_.clean ? ConnectResult::kResume : ConnectResult::kRecover;
}

inline void FakeTarget::handle_connect(Ref<ServerRequest> request)
{
    ConnectOp op;
    if (!request->decode(&op).ok()) return request->reply_error(-kEPROTO);
    if (connect_ns) kapi_sleep_ns(connect_ns);
    if (retry_later) return request->reply_error(-kERetryLater);
    if (connect_status) return request->reply_error(connect_status);
    std::string uuid = str(op.client_uuid);
    connects[uuid] = op;
    ConnectReply reply;
    reply.result = static_cast<uint8_t>(decide(uuid, op));
    disk_.clients.insert(uuid);
    Ref<Export>& exp = exports[uuid];
    if (reply.result == static_cast<uint8_t>(ConnectResult::kNew) && exp) {
        exp->kill();
        node_.remove_export(*exp);
        exp.reset();
    }
    if (!exp) {
        exp = make_ref<Export>(*this, op.client_uuid);
        if (!exp) return request->reply_error(-kENOMEM);
        ASSERT_TRUE(node_.add_export(exp).ok());
    }
    reply.protocol =
        static_cast<uint16_t>(std::min<uint32_t>(op.protocol_max, node_.options().protocol_max));
    exp->attach(Ref<Connection>(&request->connection()), op.import_cookie, reply.protocol, op.flags,
                op.nodename);
    reply.flags = op.flags;
    reply.export_cookie = exp->cookie();
    reply.instance = disk_.instance;
    reply.last_committed = disk_.committed;
    reply.slots = slots;
    reply.version_changed = version_changed;
    request->reply(reply);
}

inline void FakeTarget::handle(Ref<ServerRequest> request)
{
    if (before && before(*request)) return;
    Empty empty;
    switch (request->opcode()) {
    case Opcode::kPing: pings++; return answer(*request, empty);
    case Opcode::kDisconnect: {
        std::string uuid = str(request->exp->client_uuid());
        disk_.clients.erase(uuid);
        node_.remove_export(*request->exp);
        exports.erase(uuid);
        return answer(*request, empty);
    }
    case Opcode::kReplayDone:
        if (!window_open) return answer(*request, empty);
        withheld.push_back(request);
        return;
    default: break;
    }
    if (park && request->info().gate == GateClass::kGated && !request->is_replay()) {
        parked++;
        return request->reply_error(-kEPark);
    }
    if (withhold) withheld.push_back(request);
    else execute(request);
}

inline bool FakeTarget::answer_from_slot(ServerRequest& request)
{
    auto found = disk_.slots.find({str(request.exp->client_uuid()), request.slot()});
    if (found == disk_.slots.end() || found->second.xid != request.xid()) return false;
    EXPECT_TRUE(request.is_resend() || request.is_replay());
    request.set_transno(found->second.transno);
    return true;
}

inline uint64_t FakeTarget::transaction(ServerRequest& request, const std::string& what)
{
    uint64_t transno = request.flags() & kRpcReplay ? request.replay_transno() : disk_.last + 1;
    EXPECT_FALSE(disk_.log.count(transno)) << what;
    if (request.flags() & kRpcReplay) {
        EXPECT_GT(transno, disk_.last) << "replay out of order: " << what;
    }
    disk_.last = std::max(disk_.last, transno);
    disk_.log[transno] = what;
    disk_.slots[{str(request.exp->client_uuid()), request.slot()}] = {request.xid(), transno, 0};
    request.set_transno(transno);
    return transno;
}

inline void FakeTarget::create(ServerRequest& request)
{
    auto op = std::make_unique<MdsCreateOp>();
    if (!request.decode(op.get()).ok()) return request.reply_error(-kEPROTO);
    std::string what = "create " + str(op->name);
    if (!answer_from_slot(request)) {
        executed.push_back(request.is_replay() ? "replay " + what : what);
        transaction(request, what);
    }
    MdsCreateReply reply;
    reply.object.fid = op->fid.is_zero() ? Fid{77, static_cast<uint32_t>(disk_.last), 0} : op->fid;
    answer(request, reply);
}

inline void FakeTarget::open(ServerRequest& request)
{
    MdsOpenOp op;
    if (!request.decode(&op).ok()) return request.reply_error(-kEPROTO);
    MdsOpenReply reply;
    std::string what = "open " + str(op.name);
    if (request.flags() & kRpcReplayOpen) {
        EXPECT_NE(op.old_handle, 0u);
        executed.push_back("re" + what);
    } else if (!answer_from_slot(request)) {
        executed.push_back(request.is_replay() ? "replay " + what : what);
        transaction(request, what);
    }
    reply.handle = op.old_handle ? op.old_handle : 1000 + disk_.last;
    reply.object.fid = op.fid;
    handles_.insert(reply.handle);
    answer(request, reply);
}

inline void FakeTarget::execute(Ref<ServerRequest> request)
{
    Empty empty;
    switch (request->opcode()) {
    case Opcode::kMdsCreate: return create(*request);
    case Opcode::kMdsOpen: return open(*request);
    case Opcode::kMdsClose: {
        MdsCloseOp op;
        if (!request->decode(&op).ok()) return request->reply_error(-kEPROTO);
        if (!answer_from_slot(*request)) {
            EXPECT_TRUE(handles_.count(op.handle)) << "close of an unknown handle";
            executed.push_back(request->is_replay() ? "replay close" : "close");
            transaction(*request, "close");
        }
        return answer(*request, empty);
    }
    case Opcode::kMdsGetattr: {
        MdsGetattrReply reply;
        executed.push_back("getattr");
        return answer(*request, reply);
    }
    case Opcode::kOstWrite: {
        OstWriteOp op;
        OstWriteReply reply;
        if (!request->decode(&op).ok() || op.bytes != request->bulk().size())
            return request->reply_error(-kEPROTO);
        executed.push_back("write");
        transaction(*request, "write");
        return answer(*request, reply);
    }
    case Opcode::kReplayDone: return answer(*request, empty);
    default: return request->reply_error(-kEOPNOTSUPP);
    }
}

struct Client : ImportClient {
    int disconnected = 0, evicted = 0, lock_replays = 0, full = 0, first_full = 0;
    uint8_t last_result = 0;
    std::vector<uint64_t> blasts;
    std::function<Status()> replay_locks;
    std::function<void()> at_full;
    void on_disconnected() override { disconnected++; }
    void on_evicted() override { evicted++; }
    Status on_replay_locks() override
    {
        lock_replays++;
        return replay_locks ? replay_locks() : kOk;
    }
    void on_full(const ConnectReply& reply, bool first) override
    {
        full++;
        first_full += first;
        last_result = reply.result;
        if (at_full) at_full();
    }
    void on_callback(Opcode opcode, Decoder& body) override
    {
        LdlmBlAst ast;
        ast.io(body);
        if (opcode == Opcode::kLdlmBlAst && body.finish().ok()) blasts.push_back(ast.client_handle);
    }
};

struct Cluster {
    sim::World world;
    sim::Host &server, &server2, &client_host;
    Disk disk;
    Owned<Node> server_node, client_node;
    std::unique_ptr<FakeTarget> target;
    Client client;
    Ref<Import> import;
    uint32_t server_protocol = 2;
    sim::Host* active = nullptr;  // where the target runs

    bool one_node = false;    // for make_import()
    uint32_t nowhere_ms = 0;  // likewise
    explicit Cluster(uint64_t seed, uint32_t client_protocol = 2)
        : world(seed), server(world.host("server")), server2(world.host("server2")),
          client_host(world.host("client"))
    {
        on(client_host, [&] {
            auto n = Node::create(client_host.net(), options(client_protocol, "client"));
            ASSERT_TRUE(n.ok());
            client_node = n.release_value();
        });
        start_server();
    }
    ~Cluster()
    {
        on(client_host, [&] {
            if (import) import->close();
            import.reset();
            client_node.reset();
        });
        client_host.shutdown_clean();
        if (active) stop_server();
        for (sim::Host* h : {&server, &server2})
            if (h->up()) h->shutdown_clean();
    }
    static lull_node_options options(uint32_t protocol, const char* name)
    {
        lull_node_options o{};
        o.protocol_max = protocol;
        o.service_threads_max = 16;
        o.timeout_ms = 2000;
        kapi_snprintf(o.nodename, sizeof o.nodename, "%s", name);
        return o;
    }
    void on(sim::Host& host, std::function<void()> fn)
    {
        auto task = host.spawn("story", std::move(fn));
        ASSERT_TRUE(world.run_to_end(task, world.now_ns() + 3600 * kSec)) << world.report();
    }
    // Crash, restart and such are called from outside of any task.
    void start_server() { start_server(server); }
    void start_server(sim::Host& host)
    {
        active = &host;
        if (!host.up()) host.boot();
        on(host, [&] {
            auto n = Node::create(host.net(), options(server_protocol, "server"));
            ASSERT_TRUE(n.ok());
            server_node = n.release_value();
            ASSERT_TRUE(server_node->listen().ok());
            target = std::make_unique<FakeTarget>(*server_node, disk);
            target->start();
        });
    }
    void stop_server()
    {
        on(*active, [&] {
            target->stop();
            target.reset();
            server_node.reset();
        });
        active = nullptr;
    }
    void crash_server()
    {
        target->forget_memory();
        (void)server_node.release();
        active->crash();
        disk.lose();
        target.reset();
        active = nullptr;
    }
    void restart_clean(sim::Host* to = nullptr)
    {
        sim::Host& where = to ? *to : *active;
        stop_server();
        disk.halt_clean();
        start_server(where);
    }
    void mount(uint32_t closed_for = 0, uint32_t flags = kConnectUpdateLock)
    {
        on(client_host, [&] {
            make_import(closed_for, flags);
            Status s = import->connect(deadline_after_ms(30000), WaitMode::kKillable);
            ASSERT_TRUE(s.ok()) << s.error();
        });
    }
    void make_import(uint32_t closed_for, uint32_t flags)
    {
        ImportOptions o;
        o.target = "lull-MDT0000";
        o.client_uuid = client_node->make_uuid();
        ASSERT_TRUE(o.nids.push_back(Nid{server.address()}).ok());
        if (!one_node) {
            ASSERT_TRUE(o.nids.push_back(Nid{server2.address()}).ok());
        }
        o.nowhere_ms = nowhere_ms;
        o.gate_closed_for = closed_for;
        o.connect_flags = flags;
        auto made = Import::create(*client_node, std::move(o), &client);
        ASSERT_TRUE(made.ok());
        import = made.release_value();
    }
    // ---- in a task of the client
    Status create(const std::string& name)
    {
        auto call = make_ref<Call<MdsCreateOp>>();
        if (!call) return -kENOMEM;
        call->op.name = NameText(name.c_str());
        return import->call(*call);
    }
    Ref<Call<MdsOpenOp>> open(const std::string& name)
    {
        auto call = make_ref<Call<MdsOpenOp>>();
        call->op.name = NameText(name.c_str());
        call->keep_committed = true;
        EXPECT_TRUE(import->call(*call).ok());
        return call;
    }
    void close(Ref<Call<MdsOpenOp>> open_call)
    {
        auto call = make_ref<Call<MdsCloseOp>>();
        call->op.handle = open_call->reply.handle;
        call->ends = open_call;
        EXPECT_TRUE(import->call(*call).ok());
    }
    // Runs in the background; *status is kEINPROGRESS until it is over.
    sim::TaskHandle create_async(const std::string& name, int* status)
    {
        *status = kEINPROGRESS;
        return client_host.spawn("create " + name,
                                 [this, name, status] { *status = create(name).error(); });
    }
    bool until(const std::function<bool()>& p, uint64_t ms = 120000)
    {
        return world.run_until(p, world.now_ns() + ms * kMsec);
    }
    bool full() { return import->state() == ImportState::kFull; }
    bool until_full_again(uint64_t reconnects)
    {
        return until([&] { return import->stats().reconnects >= reconnects && full(); });
    }
};

}  // namespace lull::test
