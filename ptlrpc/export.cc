// SPDX-License-Identifier: GPL-2.0-only
#include "ptlrpc/export.h"

#include "ptlrpc/message.h"

namespace lull {

namespace {
struct State {
    Ref<Connection> connection;
    uint64_t import_cookie = 0;
    uint16_t protocol = kProtocolNone;
    uint32_t flags = 0;
    Text<65> nodename;
    Nid peer;
    bool dead = false;
    struct Running {
        uint64_t xid, began_ns;
        bool owed;
    };
    Vec<Running> in_progress;  // unordered
    size_t owed = 0;           // so many of them
    uint64_t idle_since_ns = 0, owing_since_ns = 0, owed_before_ns = 0;

    bool contains(uint64_t xid) const
    {
        for (const Running& r : in_progress)
            if (r.xid == xid) return true;
        return false;
    }
};

uint64_t fresh_cookie()
{
    uint64_t cookie;
    do cookie = kapi_random_u64();
    while (cookie == 0);
    return cookie;
}
}  // namespace

struct Export::Impl {
    Guarded<State> state{LockRank::kExport};
    std::atomic<uint64_t> last_heard_ns{now_ns()};
};

// Without memory for its state an export is dead from the beginning.
Export::Export(RequestHandler& handler, UuidText client_uuid)
    : impl_(make<Impl>()), handler_(handler), client_uuid_(client_uuid), cookie_(fresh_cookie())
{}

Export::~Export() = default;

uint16_t Export::protocol() const
{
    return impl_ ? impl_->state.lock()->protocol : uint16_t{kProtocolNone};
}
uint32_t Export::connect_flags() const { return impl_ ? impl_->state.lock()->flags : 0; }
uint64_t Export::import_cookie() const { return impl_ ? impl_->state.lock()->import_cookie : 0; }
Nid Export::peer() const { return impl_ ? impl_->state.lock()->peer : Nid{}; }
Text<65> Export::nodename() const { return impl_ ? impl_->state.lock()->nodename : Text<65>(); }
bool Export::is_dead() const { return !impl_ || impl_->state.lock()->dead; }
uint64_t Export::last_heard_ns() const { return impl_ ? impl_->last_heard_ns.load() : 0; }

bool Export::is_connected() const
{
    if (!impl_) return false;
    auto state = impl_->state.lock();
    return state->connection && state->connection->is_open();
}

void Export::heard()
{
    if (impl_) impl_->last_heard_ns.store(now_ns());
}

void Export::attach(Ref<Connection> connection, uint64_t import_cookie, uint16_t protocol,
                    uint32_t flags, Text<65> nodename)
{
    if (!impl_) return;
    heard();
    connection->add_user(cookie_);
    Ref<Connection> old = connection;
    {
        auto state = impl_->state.lock();
        std::swap(state->connection, old);
        state->import_cookie = import_cookie;
        state->protocol = protocol;
        state->flags = flags;
        state->nodename = nodename;
        state->peer = connection->peer();
    }
    if (old && !(old == connection)) old->close();
}

bool Export::detach(Connection& connection)
{
    if (!impl_) return false;
    Ref<Connection> gone;
    auto state = impl_->state.lock();
    if (state->connection.get() != &connection) return false;
    std::swap(state->connection, gone);
    return true;
}

void Export::disconnect()
{
    if (!impl_) return;
    Ref<Connection> gone;
    {
        auto state = impl_->state.lock();
        std::swap(state->connection, gone);
    }
    if (gone) gone->close();
}

void Export::kill()
{
    if (impl_) impl_->state.lock()->dead = true;
}

bool Export::begin_request(uint64_t xid)
{
    if (!impl_) return false;
    auto state = impl_->state.lock();
    return !state->contains(xid) && state->in_progress.push_back({xid, now_ns(), false}).ok();
}

uint64_t Export::idle_since_ns() const
{
    if (!impl_) return 0;
    auto state = impl_->state.lock();
    return state->owed ? now_ns() : state->idle_since_ns;
}

uint64_t Export::owed_ns() const
{
    if (!impl_) return 0;
    auto state = impl_->state.lock();
    return state->owed_before_ns + (state->owed ? now_ns() - state->owing_since_ns : 0);
}

uint64_t Export::longest_owed_ns() const
{
    if (!impl_) return 0;
    auto state = impl_->state.lock();
    uint64_t now = now_ns(), oldest = now;
    for (const State::Running& r : state->in_progress)
        if (r.owed && r.began_ns < oldest) oldest = r.began_ns;
    return now - oldest;
}

Status Export::begin_request(uint64_t xid, const Connection& from, bool owed)
{
    if (!impl_) return -kEEvicted;
    auto state = impl_->state.lock();
    if (state->dead) return -kEEvicted;
    if (state->connection.get() != &from) return -kENOTCONN;
    if (state->contains(xid)) return -kEALREADY;
    uint64_t now = now_ns();
    TRY(state->in_progress.push_back({xid, now, owed}));
    if (owed && state->owed++ == 0) state->owing_since_ns = now;
    return kOk;
}

void Export::end_request(uint64_t xid, bool owed)
{
    if (!impl_) return;
    auto state = impl_->state.lock();
    if (owed && --state->owed == 0) {
        state->idle_since_ns = now_ns();
        state->owed_before_ns += state->idle_since_ns - state->owing_since_ns;
    }
    for (size_t i = 0; i < state->in_progress.size(); i++) {
        if (state->in_progress[i].xid != xid) continue;
        state->in_progress[i] = state->in_progress.back();
        state->in_progress.pop_back();
        return;
    }
}

Status Export::send_reply(std::span<const uint8_t> message, std::span<const uint8_t> bulk)
{
    Ref<Connection> connection;
    if (impl_) connection = impl_->state.lock()->connection;
    if (!connection) return -kENOTCONN;
    return connection->send(message, bulk);
}

Status Export::post(Request& callback)
{
    Ref<Connection> connection;
    uint64_t import_cookie = 0;
    uint16_t protocol = kProtocolNone;
    if (impl_) {
        auto state = impl_->state.lock();
        connection = state->connection;
        import_cookie = state->import_cookie;
        protocol = state->protocol;
    }
    if (!connection) return -kENOTCONN;
    RpcHeader header;
    header.kind = static_cast<uint16_t>(RpcKind::kCallback);
    header.opcode = static_cast<uint16_t>(callback.opcode());
    header.export_cookie = import_cookie;
    Encoder out(protocol);
    TRY(begin_message(out));
    callback.encode(out);
    TRY(finish_message(out, header, 0));
    return connection->send(out.output(), {});
}

}  // namespace lull
