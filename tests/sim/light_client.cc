// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/light_client.h"

#include <algorithm>
#include <cstdio>

#include "include/lull/ops_connect.h"
#include "kapi/sim/network.h"
#include "lnet/lnet_header.h"
#include "lnet/transport.h"
#include "ptlrpc/message.h"

namespace lull::sim {

namespace {
constexpr uint64_t kMs = 1000000, kConnectExpectedMs = 1000, kConnectMs = 3000, kPingEveryMs = 5000,
                   kPingGroups = 50;
// as the import's
constexpr uint64_t kBackoffMinMs = 20, kBackoffMaxMs = 1000, kBackoffExpectedMs = 50;
// as ActiveEnv's
constexpr uint64_t kHandleBit = 1ull << 63;
constexpr uint16_t kNoSlot = 0xffff;
}  // namespace

struct LightClients::Client {
    uint32_t index = 0;
    kapi_sock* sock = nullptr;
    SimLock sending;
    uint64_t export_cookie = 0, import_cookie = 0, instance = 0, handle = 0, serial = 0;
    uint64_t xid = 0, waits_for[kWaits] = {};
    uint64_t backoff_ms = kBackoffMinMs;
    RestartSpread spread;
    bool connected = false, expects_restart = false, leaves = false, done = false;
    uint8_t seen[kScalePhases][2] = {};
};

LightClients::LightClients(World& world, Host& host, std::string target, size_t count,
                           uint32_t server)
    : world_(world), host_(host), target_(std::move(target)), server_(server)
{
    for (size_t i = 0; i < count; i++) {
        clients_.push_back(std::make_unique<Client>());
        clients_[i]->index = static_cast<uint32_t>(i);
        clients_[i]->import_cookie = (uint64_t{1} << 32) + i;
    }
}

LightClients::~LightClients() = default;

void LightClients::start(uint64_t spread_ns)
{
    for (auto& c : clients_)
        host_.spawn("light", [this, c = c.get(), wait = world_.user_rng().below(spread_ns + 1)] {
            world_.sleep_until(world_.now_ns() + wait);
            run(*c);
        });
    host_.spawn("pings", [this] { ping_task(); });
}

void LightClients::run(Client& c)
{
    while (!c.done) {
        if (c.spread.on() && world_.now_ns() < c.spread.not_before_ns())
            world_.sleep_until(c.spread.not_before_ns());
        bool was_connected = session(c);
        hang_up(c);
        if (c.done || c.leaves) break;
        if (was_connected) continue;
        failed_attempts_ += restarted;
        uint64_t ms =
            std::min(c.backoff_ms, c.expects_restart ? kBackoffExpectedMs : kBackoffMaxMs);
        c.backoff_ms = std::min(2 * ms, kBackoffMaxMs);
        world_.sleep_until(world_.now_ns() + c.spread.pause_ms(ms) * kMs);
    }
    c.done = true;
    gone_++;
}

// Those who have said nothing for long would be evicted.
void LightClients::ping_task()
{
    for (uint64_t group = 0; gone_ < count(); group = (group + 1) % kPingGroups) {
        world_.sleep_until(world_.now_ns() + kPingEveryMs / kPingGroups * kMs);
        for (size_t i = group; i < count(); i += kPingGroups) {
            Client& c = *clients_[i];
            PingOp op;
            if (c.connected && !c.leaves) send(c, op, kPingReply, kPhaseAlive);
        }
    }
}

void LightClients::leave(uint64_t spread_ns)
{
    leaving_ = true;
    host_.spawn("leave", [this, spread_ns] {
        for (auto& c : clients_) {
            world_.sleep_until(world_.now_ns() + spread_ns / count());
            DisconnectOp op;
            c->leaves = true;
            if (c->connected) send(*c, op, kLeaveReply, kPhaseLeave);
        }
    });
}

// True: it was connected.
bool LightClients::session(Client& c)
{
    if (restarted) note_attempt();
    if (!open(c) || !send_connect(c)) return false;
    bool was_connected = false;
    while (handle(c)) was_connected |= c.connected;
    return was_connected;
}

bool LightClients::open(Client& c)
{
    uint64_t attempt_ms =
        c.expects_restart ? c.spread.attempt_ms(kConnectExpectedMs, kConnectMs) : kConnectMs;
    if (dial(host_.net(), server_, kLnetPort, world_.now_ns() + attempt_ms * kMs, &c.sock) != 0)
        return false;
    if (!send_frame(c, static_cast<uint16_t>(LnetType::kHello), 0, nullptr)) return false;
    LnetHeader hello;
    return kapi_sock_recv(c.sock, &hello, sizeof hello) == 0 &&
           hello.type == static_cast<uint16_t>(LnetType::kHello);
}

void LightClients::note_attempt()
{
    attempts_++;
    if (attempts_in_ms_.empty()) attempts_from_ns_ = world_.now_ns();
    size_t ms = (world_.now_ns() - attempts_from_ns_) / kMs;
    if (attempts_in_ms_.size() <= ms) attempts_in_ms_.resize(ms + 1);
    attempts_in_ms_[ms]++;
}

void LightClients::hang_up(Client& c)
{
    SimLockGuard guard(c.sending);
    c.connected = false;
    if (c.handle) holding_--;
    c.handle = 0;
    if (kapi_sock* sock = std::exchange(c.sock, nullptr)) kapi_sock_close(sock);
}

// ---- what it gets

bool LightClients::handle(Client& c)
{
    LnetHeader frame;
    if (kapi_sock_recv(c.sock, &frame, sizeof frame) != 0) return false;
    if (frame.type == static_cast<uint16_t>(LnetType::kPing)) {
        note(c, kPhaseAlive, true, sizeof frame);
        return send_frame(c, static_cast<uint16_t>(LnetType::kPong), frame.cookie, nullptr);
    }
    std::vector<uint8_t> bytes(frame.body_bytes);
    if (frame.type != static_cast<uint16_t>(LnetType::kData) ||
        kapi_sock_recv(c.sock, bytes.data(), bytes.size()) != 0)
        return false;
    RpcHeader header;
    std::span<const uint8_t> rest;
    if (!parse_header(bytes, 0, &header, &rest).ok()) return false;
    Decoder body(header.protocol, rest);
    bool is_reply = header.kind == static_cast<uint16_t>(RpcKind::kReply);
    return is_reply ? on_reply(c, header, body) : on_callback(c, header, body);
}

bool LightClients::on_reply(Client& c, const RpcHeader& header, Decoder& body)
{
    size_t bytes = sizeof(LnetHeader) + sizeof header + header.body_bytes;
    unsigned which = 0;
    while (which < kWaits && c.waits_for[which] != header.xid) which++;
    Status status = peer_status(header);
    switch (which) {
    case kConnectReply: {
        ConnectReply reply;
        reply.io(body);
        note(c, phase_of_session(kPhaseMount, kPhaseConnect), true, bytes);
        if (!status.ok() || !body.status().ok()) return false;
        c.export_cookie = reply.export_cookie;
        not_resumed_ += c.instance &&
                        reply.result != static_cast<uint8_t>(ConnectResult::kResume) &&
                        c.instance != reply.instance;
        c.instance = reply.instance;
        c.backoff_ms = kBackoffMinMs;
        c.connected = true;
        c.expects_restart = false;
        c.spread.over();
        return send_enqueue(c);
    }
    case kEnqueueReply: {
        LdlmEnqueueReply reply;
        reply.io(body);
        note(c, phase_of_session(kPhaseMount, kPhaseResume), true, bytes);
        // the halt: the connection goes with it
        if (!status.ok() || !body.status().ok()) return status.is(kERetryLater);
        c.handle = reply.server_handle;
        holding_++;
        last_resume_ns_ = world_.now_ns();
        return true;
    }
    case kCancelReply: {
        LdlmCancelReply reply;
        if (status.ok()) reply.io(body);
        note(c, kPhaseCommit, true, bytes);
        if (!status.ok() || !body.finish().ok()) return false;
        if (!(header.flags & kRpcCommitted)) return send_enqueue(c);  // the shutdown was cancelled
        c.expects_restart = true;
        told_spread_ms_ = reply.restart_spread_ms;
        if (use_spread_) c.spread.told(reply.restart_spread_ms, kapi_random_u64());
        return false;
    }
    case kPingReply: note(c, kPhaseAlive, true, bytes); return status.ok();
    case kLeaveReply:
        note(c, kPhaseLeave, true, bytes);
        c.done = true;
        return false;
    default:
        // of a ping that another one, for the warm-up, has followed before it was answered
        bool ping = header.opcode == static_cast<uint16_t>(Opcode::kPing);
        note(c, ping ? kPhaseAlive : kPhaseOther, true, bytes);
        return true;
    }
}

bool LightClients::on_callback(Client& c, const RpcHeader& header, Decoder& body)
{
    size_t bytes = sizeof(LnetHeader) + sizeof header + header.body_bytes;
    bool warm = header.opcode == static_cast<uint16_t>(Opcode::kActiveWarm);
    bool bl_ast = header.opcode == static_cast<uint16_t>(Opcode::kLdlmBlAst);
    note(c, warm ? kPhaseWarm : bl_ast ? kPhaseDrain : kPhaseOther, true, bytes);
    PingOp ping;
    if (warm) return send(c, ping, kPingReply, kPhaseWarm);
    if (!bl_ast) return true;
    LdlmBlAst ast;
    ast.io(body);
    return body.finish().ok() && send_cancel(c, ast.server_handle);
}

// ---- what it sends

bool LightClients::send_frame(Client& c, uint16_t type, uint64_t cookie, const Bytes* body)
{
    LnetHeader frame;
    frame.magic = kLnetMagic;
    frame.version = kLnetVersion;
    frame.type = type;
    frame.body_bytes = static_cast<uint32_t>(body ? body->size() : 0);
    frame.cookie = cookie;
    uint32_t crc = kapi_crc32c(~0u, &frame, sizeof frame);
    frame.crc = body ? kapi_crc32c(crc, body->data(), body->size()) : crc;
    kapi_iov iov[2] = {{&frame, sizeof frame}, {}};
    if (body) iov[1] = {const_cast<uint8_t*>(body->data()), body->size()};
    SimLockGuard guard(c.sending);
    return c.sock && kapi_sock_send(c.sock, iov, body ? 2 : 1) == 0;
}

template <class Op> bool LightClients::send(Client& c, Op& op, Wait wait, ScalePhase phase)
{
    RpcHeader header;
    header.kind = static_cast<uint16_t>(RpcKind::kRequest);
    header.opcode = static_cast<uint16_t>(Op::kOpcode);
    header.slot = kNoSlot;
    header.xid = c.waits_for[wait] = ++c.xid;
    header.export_cookie = c.export_cookie;
    Encoder out(kProtocol2);
    if (!begin_message(out).ok()) return false;
    op.io(out);
    if (!finish_message(out, header, 0).ok()) return false;
    note(c, phase, false, sizeof(LnetHeader) + out.output().size());
    return send_frame(c, static_cast<uint16_t>(LnetType::kData), 0, &out.output());
}

bool LightClients::send_connect(Client& c)
{
    char name[24];
    ConnectOp op;
    snprintf(name, sizeof name, "light-%06u", c.index);
    op.target = Str(target_.data(), target_.size());
    op.client_uuid = name;
    op.nodename = name;
    op.protocol_min = kProtocol1;
    op.protocol_max = kProtocol2;
    op.flags = kConnectUpdateLock;
    op.import_cookie = c.import_cookie;
    op.last_instance = c.instance;
    c.export_cookie = 0;
    return send(c, op, kConnectReply, phase_of_session(kPhaseMount, kPhaseConnect));
}

bool LightClients::send_enqueue(Client& c)
{
    ActiveEnqueueOp op;
    op.resource = ResourceId::active_server_lock();
    op.type = static_cast<uint8_t>(LockType::kExtent);
    op.mode = static_cast<uint8_t>(LockMode::kPR);
    op.flags = kLdlmNoLru | kLdlmNoExpand;
    op.client_handle = kHandleBit | ++c.serial;
    return send(c, op, kEnqueueReply, phase_of_session(kPhaseMount, kPhaseResume));
}

bool LightClients::send_cancel(Client& c, uint64_t handle)
{
    LdlmCancelOp op;
    if (!op.server_handles.push_back(handle).ok()) return false;
    if (c.handle) holding_--;
    c.handle = 0;
    last_cancel_ns_ = world_.now_ns();
    return send(c, op, kCancelReply, kPhaseDrain);
}

// ---- the account

void LightClients::note(Client& c, ScalePhase phase, bool to_client, size_t bytes)
{
    Traffic& t = traffic_[phase];
    uint8_t& seen = c.seen[phase][to_client];
    if (seen < 255) seen++;
    (to_client ? t.to_clients : t.from_clients)++;
    uint64_t& most = to_client ? t.most_to : t.most_from;
    most = std::max<uint64_t>(most, seen);
    t.bytes += bytes;
}

uint64_t LightClients::rush_per_ms() const
{
    return attempts_in_ms_.empty()
               ? 0
               : *std::max_element(attempts_in_ms_.begin(), attempts_in_ms_.end());
}

}  // namespace lull::sim
