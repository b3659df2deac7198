// SPDX-License-Identifier: GPL-2.0-only
#include "lnet/connection.h"

#include "kapi/log.h"

namespace lull {
namespace {

// What is sent or received of bulk data between two looks at the clock: a peer that moves less than
// this in timeout_ms is taken for dead.
constexpr size_t kProgressBytes = 64 << 10;

// Messages that overtake bulk, one after another.
constexpr unsigned kOvertakesMax = 16;

bool older(uint64_t then, uint64_t now, uint64_t than)
{
    return then != 0 && now > then && now - then > than;
}

}  // namespace

TcpConnection::TcpConnection(ConnectionOwner& owner, kapi_sock* sock, Nid peer, Acceptor& acceptor,
                             const TransportOptions& options)
    : owner_(owner), sock_(sock), peer_(peer), sink_(nullptr), acceptor_(&acceptor),
      open_until_ns_(kForever), options_(options), last_received_ns_(now_ns())
{}

TcpConnection::TcpConnection(ConnectionOwner& owner, kapi_sock* sock, Nid peer,
                             ConnectionSink* sink, uint64_t open_until_ns,
                             const TransportOptions& options)
    : owner_(owner), sock_(sock), peer_(peer), sink_(sink), acceptor_(nullptr),
      open_until_ns_(open_until_ns), options_(options), last_received_ns_(now_ns())
{}

TcpConnection::~TcpConnection()
{
    receive_task_.join();
    kapi_sock_close(sock_);
}

Status TcpConnection::start()
{
    return receive_task_.start<&TcpConnection::receive_task>(this, "lull_rx");
}

void TcpConnection::close_because(Status why)
{
    auto state = state_.lock();
    close_locked(*state, why);
}

void TcpConnection::close_locked(State& state, Status why)
{
    if (phase_.load() == Phase::kClosed) return;
    phase_.store(Phase::kClosed);
    state.why = why;
    kapi_sock_shutdown(sock_);  // ends the receive task and whoever sends
    token_free_.wake_all();
    changed_.wake_all();
}

// ---- sending

Status TcpConnection::send(std::span<const uint8_t> body, std::span<const uint8_t> bulk)
{
    if (body.size() > kLnetBodyMaxBytes || bulk.size() > kLnetBulkMaxBytes) return -kEMSGSIZE;
    auto state = state_.lock();
    TRY(wait_token(state, bulk.empty()));
    return transmit_and_release(state, LnetType::kData, 0, body, bulk);
}

// A message without bulk overtakes those with bulk that wait, so that a ping waits for one bulk at
// most; a limit keeps bulk from waiting for ever. The wait goes on as long as the peer takes what
// is being sent.
Status TcpConnection::wait_token(Locked& state, bool is_small)
{
    unsigned& mine = is_small ? state->small_waiting : state->bulk_waiting;
    unsigned& others = is_small ? state->bulk_waiting : state->small_waiting;
    mine++;
    auto ready = [&] {
        bool small_first = state->overtakes < kOvertakesMax;
        return phase_.load() != Phase::kOpen ||
               (!state->sending && (others == 0 || is_small == small_first));
    };
    uint64_t began = now_ns(), limit = options_.timeout_ms * kMsec;
    Status s;
    do {
        uint64_t progress = send_progress_ns_.load();
        s = state.wait_until(token_free_, ready, (progress > began ? progress : began) + limit);
    } while (!s.ok() && state->sending && !older(send_progress_ns_.load(), now_ns(), limit));
    mine--;
    if (phase_.load() != Phase::kOpen) return -kENOTCONN;
    if (s.ok()) state->overtakes = is_small && others ? state->overtakes + 1 : 0;
    else token_free_.wake_all();  // somebody may have waited for this one
    return s;
}

// Takes the token (which is free), sends without the lock, answers a ping that came meanwhile,
// gives the token back.
Status TcpConnection::transmit_and_release(Locked& state, LnetType type, uint64_t cookie,
                                           std::span<const uint8_t> body,
                                           std::span<const uint8_t> bulk)
{
    state->sending = true;
    state.unlock();
    Status s = transmit(type, cookie, body, bulk);
    state.relock();
    while (s.ok() && state->pong_due) {
        state->pong_due = false;
        uint64_t due = state->pong_cookie;
        state.unlock();
        s = transmit(LnetType::kPong, due, {}, {});
        state.relock();
    }
    if (!s.ok()) {
        close_locked(*state, s);
        s = Status(-kENOTCONN);
    }
    state->sending = false;
    token_free_.wake_all();
    return s;
}

Status TcpConnection::transmit(LnetType type, uint64_t cookie, std::span<const uint8_t> body,
                               std::span<const uint8_t> bulk)
{
    LnetHeader header;
    header.magic = kLnetMagic;
    header.version = kLnetVersion;
    header.type = static_cast<uint16_t>(type);
    header.body_bytes = static_cast<uint32_t>(body.size());
    header.bulk_bytes = static_cast<uint32_t>(bulk.size());
    header.cookie = cookie;
    uint32_t crc = kapi_crc32c(~0u, &header, sizeof header);
    header.crc = body.empty() ? crc : kapi_crc32c(crc, body.data(), body.size());

    kapi_iov iov[3] = {{&header, sizeof header}, {}, {}};
    unsigned count = 1;
    if (!body.empty()) iov[count++] = {const_cast<uint8_t*>(body.data()), body.size()};
    auto part = bulk.first(bulk.size() < kProgressBytes ? bulk.size() : kProgressBytes);
    if (!part.empty()) iov[count++] = {const_cast<uint8_t*>(part.data()), part.size()};
    send_progress_ns_.store(now_ns());
    Status s(kapi_sock_send(sock_, iov, count));
    for (size_t sent = part.size(); s.ok() && sent < bulk.size(); sent += part.size()) {
        send_progress_ns_.store(now_ns());
        size_t left = bulk.size() - sent;
        part = bulk.subspan(sent, left < kProgressBytes ? left : kProgressBytes);
        kapi_iov more{const_cast<uint8_t*>(part.data()), part.size()};
        s = Status(kapi_sock_send(sock_, &more, 1));
    }
    send_progress_ns_.store(0);
    return s;
}

Result<uint64_t> TcpConnection::round_trip(uint64_t deadline_ns)
{
    uint64_t began = now_ns();
    auto state = state_.lock();
    uint64_t seen = state->pongs;
    TRY(state.wait_until(
        token_free_, [&] { return !state->sending || phase_.load() != Phase::kOpen; },
        deadline_ns));
    if (phase_.load() != Phase::kOpen) return -kENOTCONN;
    TRY(transmit_and_release(state, LnetType::kPing, began, {}, {}));
    TRY(state.wait_until(
        changed_, [&] { return state->pongs > seen || phase_.load() != Phase::kOpen; },
        deadline_ns));
    if (state->pongs == seen) return -kENOTCONN;
    return now_ns() - began;
}

// ---- keepalive

bool TcpConnection::wants_probe(uint64_t now) const
{
    if (phase_.load() != Phase::kOpen || send_progress_ns_.load() != 0) return false;
    uint64_t quiet_since = last_received_ns_.load(), probed = last_probe_ns_.load();
    uint64_t last = quiet_since > probed ? quiet_since : probed;
    return now > last && now - last >= options_.keepalive_ms * kMsec;
}

void TcpConnection::probe()
{
    auto state = state_.lock();
    if (phase_.load() != Phase::kOpen || state->sending) return;
    uint64_t now = now_ns();
    if (probed_ns_.load() <= last_received_ns_.load()) probed_ns_.store(now);
    last_probe_ns_.store(now);
    (void)transmit_and_release(state, LnetType::kPing, now, {}, {});
}

// A peer counts as silent only when it was asked: a node that was itself asleep must not take
// everybody for dead.
bool TcpConnection::is_expired(uint64_t now) const
{
    Phase phase = phase_.load();
    if (phase == Phase::kClosed) return false;
    uint64_t limit = options_.timeout_ms * kMsec;
    uint64_t received = last_received_ns_.load(), probed = probed_ns_.load();
    if (phase == Phase::kGreeting) return older(received, now, limit);
    if (older(send_progress_ns_.load(), now, limit)) return true;
    return probed > received && older(received, now, limit) && older(probed, now, limit / 2);
}

// ---- receiving

void TcpConnection::receive_task()
{
    Status s = greet();
    while (s.ok()) s = receive_one();
    finish_receiving(s);
}

// Nobody else sends before the phase is kOpen, so the token is not needed.
Status TcpConnection::greet()
{
    if (!acceptor_) {
        TRY(Status(kapi_sock_connect(sock_, peer_.addr, options_.port, open_until_ns_)));
        TRY(transmit(LnetType::kHello, 0, {}, {}));
    }
    LnetHeader hello;
    TRY(receive_header(&hello));
    if (hello.type != static_cast<uint16_t>(LnetType::kHello) || hello.body_bytes != 0 ||
        hello.bulk_bytes != 0)
        return -kEPROTO;
    if (acceptor_) {
        sink_ = acceptor_->on_accept(*this);
        if (!sink_) return -kECONNREFUSED;
        state_.lock()->sink_knows = true;
        TRY(transmit(LnetType::kHello, 0, {}, {}));
    }
    auto state = state_.lock();
    // Closed in the last moment: an acceptor that knows of us must hear the end, a connector must
    // not.
    if (!acceptor_) state->sink_knows = phase_.load() == Phase::kGreeting;
    if (phase_.load() != Phase::kGreeting) return state->why;
    phase_.store(Phase::kOpen);
    changed_.wake_all();
    return kOk;
}

Status TcpConnection::wait_open(WaitMode mode)
{
    auto state = state_.lock();
    Status s = state.wait_until(
        changed_, [&] { return phase_.load() != Phase::kGreeting; }, open_until_ns_, mode);
    if (state->sink_knows) return kOk;
    if (phase_.load() == Phase::kGreeting) close_locked(*state, s);
    return state->why;
}

Status TcpConnection::receive_header(LnetHeader* header)
{
    TRY(Status(kapi_sock_recv(sock_, header, sizeof *header)));
    last_received_ns_.store(now_ns());
    return check_header(*header);
}

Status TcpConnection::check_header(const LnetHeader& header) const
{
    if (header.magic != kLnetMagic || header.version != kLnetVersion) return -kEPROTO;
    if (header.body_bytes > kLnetBodyMaxBytes || header.bulk_bytes > kLnetBulkMaxBytes)
        return -kEMSGSIZE;
    if (header.type != static_cast<uint16_t>(LnetType::kData)) {
        LnetHeader copy = header;
        copy.crc = 0;
        if (kapi_crc32c(~0u, &copy, sizeof copy) != header.crc) return -kEBADMSG;
    }
    return kOk;
}

Status TcpConnection::receive_one()
{
    LnetHeader header;
    TRY(receive_header(&header));
    LnetType type = static_cast<LnetType>(static_cast<uint16_t>(header.type));
    if (type == LnetType::kData) return receive_data(header);
    if (header.body_bytes != 0 || header.bulk_bytes != 0) return -kEPROTO;
    if (type == LnetType::kPing) {
        answer_ping(header.cookie);
        return kOk;
    }
    if (type != LnetType::kPong) return -kEPROTO;
    auto state = state_.lock();
    state->pongs++;
    changed_.wake_all();
    return kOk;
}

Status TcpConnection::receive_data(const LnetHeader& header)
{
    if (!sink_) return -kEPROTO;
    Message message;
    TRY(message.body.resize(header.body_bytes));
    TRY(message.bulk.resize(header.bulk_bytes));
    if (!message.body.empty())
        TRY(Status(kapi_sock_recv(sock_, message.body.data(), message.body.size())));
    LnetHeader copy = header;
    copy.crc = 0;
    uint32_t crc = kapi_crc32c(~0u, &copy, sizeof copy);
    if (!message.body.empty()) crc = kapi_crc32c(crc, message.body.data(), message.body.size());
    if (crc != header.crc) return -kEBADMSG;
    TRY(receive_bulk(message.bulk));
    last_received_ns_.store(now_ns());
    sink_->on_message(*this, std::move(message));
    return kOk;
}

// Each part that comes is a sign of life: a slow wire is no dead peer.
Status TcpConnection::receive_bulk(std::span<uint8_t> bulk)
{
    while (!bulk.empty()) {
        last_received_ns_.store(now_ns());
        size_t part = bulk.size() < kProgressBytes ? bulk.size() : kProgressBytes;
        TRY(Status(kapi_sock_recv(sock_, bulk.data(), part)));
        bulk = bulk.subspan(part);
    }
    return kOk;
}

// The receive task must not queue behind a sender that waits for the peer to read: then that sender
// answers for it.
void TcpConnection::answer_ping(uint64_t cookie)
{
    auto state = state_.lock();
    if (state->sending) {
        state->pong_due = true;
        state->pong_cookie = cookie;
        return;
    }
    (void)transmit_and_release(state, LnetType::kPong, cookie, {}, {});
}

void TcpConnection::finish_receiving(Status why)
{
    bool tell;
    {
        auto state = state_.lock();
        close_locked(*state, why);
        why = state->why;
        tell = sink_ && state->sink_knows;
    }
    bool their_fault = why.is(kEPROTO) || why.is(kEBADMSG) || why.is(kEMSGSIZE) || why.is(kENOMEM);
    if (their_fault && owner_.bad_peer_log.allow())
        log_warn("%s: connection closed: %s (%d)", to_text(peer_).c_str(),
                 why.is(kENOMEM) ? "no memory for its message" : "it does not follow the protocol",
                 why.error());
    if (tell) sink_->on_closed(*this, why);
    owner_.on_receive_task_done(*this);
}

}  // namespace lull
