// SPDX-License-Identifier: GPL-2.0-only
#include "osc/osc.h"

#include "kapi/retry.h"
#include "mdc/target_client.h"
#include "osc/grant.h"

namespace lull {
namespace {

constexpr uint64_t kGrantTargetBytes = 32u << 20;  // spare grant a client likes to have
// written data kept until the OST has committed it
constexpr uint64_t kReplayLimitDefaultBytes = 64u << 20;
constexpr size_t kSmallWriteBytes = 64u << 10;  // without memory for more
// While an OST that is about to be shut down asks for what is dirty (B2): who writes goes on at
// the speed of the wire, and the drain finds little. The limit ends with the next connect, or by
// itself, for nobody is told that a shutdown was cancelled.
constexpr uint64_t kWarmDirtyBytes = 2u << 20;
constexpr uint64_t kWarmMs = 30000;
constexpr uint64_t kWarmSayMs = 100;  // how often the OST is told meanwhile what is left

Status show_grant(void* object, TextSink& out);
Status show_dirty(void* object, TextSink& out);
Status show_kept(void* object, TextSink& out);
Status show_replay_limit(void* object, TextSink& out);
Status store_replay_limit(void* object, Str value);

constexpr Param kOscParams[] = {
    LULL_TARGET_CLIENT_PARAMS,
    {"cur_grant_bytes", show_grant, nullptr},
    {"cur_dirty_bytes", show_dirty, nullptr},
    {"kept_bytes", show_kept, nullptr},
    {"replay_limit_bytes", show_replay_limit, store_replay_limit},
};
constexpr TargetClient::Kind kOscKind{"osc", LockType::kExtent, kOscParams};

class OscImpl final : public Osc, public TargetClientOwner {
public:
    OscImpl(uint32_t index, OscOwner& owner) : index_(index), owner_(owner), state_(LockRank::kOsc)
    {}
    ~OscImpl() override { close(); }
    Status init(Node& node, ImportOptions options, Str instance_name)
    {
        client_ = TRY(
            TargetClient::create(node, std::move(options), kOscKind, instance_name, *this, this));
        return kOk;
    }

    uint32_t index() const override { return index_; }
    Import& import() override { return client_->import(); }
    LdlmClient& locks() override { return client_->locks(); }
    ActiveLock& active_lock() override { return client_->active_lock(); }
    Status connect(uint64_t deadline_ns, WaitMode mode) override
    {
        return import().connect(deadline_ns, mode);
    }
    void close() override
    {
        if (client_) client_->close();
    }

    bool reserve_grant(uint64_t bytes) override { return state_.lock()->grant.reserve(bytes); }
    void return_grant(uint64_t bytes) override { state_.lock()->grant.release(bytes); }
    bool has_grant(uint64_t bytes) override
    {
        auto state = state_.lock();
        if (!state->grant.has(bytes)) return false;
        return now_ns() >= state->warm_until_ns ||
               state->grant.reserved() + bytes <= kWarmDirtyBytes;
    }
    uint64_t reserved_grant() override { return state_.lock()->grant.reserved(); }
    Status write(const Fid& file, const Fid& object, uint64_t offset, const void* data,
                 size_t bytes, uint64_t grant_used, uint64_t mtime_ns, uint64_t* blocks_512,
                 Holder* holder) override;
    Result<uint32_t> read(const Fid& object, GatesHeld gates, uint64_t offset, void* into,
                          size_t bytes) override;
    Ref<Request> new_punch(const Fid& file, const Fid& object, uint64_t size,
                           uint64_t time_ns) override;
    Ref<Request> new_setattr(const Fid& file, const Fid& object, const Attr& attr) override;
    Status getattr(const Fid& object, GatesHeld gates, Attr* attr) override;
    Status statfs(bool wait, StatfsReply* out) override;
    Status sync() override { return sync(nullptr, WaitMode::kKillable); }

    GrantAccount grant() { return state_.lock()->grant; }
    uint64_t replay_limit() const { return replay_limit_bytes_.load(); }
    void set_replay_limit(uint64_t bytes) { replay_limit_bytes_.store(bytes); }

private:
    struct State {
        GrantAccount grant;
        bool syncing = false;
        uint64_t warm_until_ns = 0, said_ns = 0;  // 0: it is not about to be shut down
    };
    void written(uint64_t grant_used, uint64_t grant_more);
    Status write_one(const Fid& file, const Fid& object, uint64_t offset, const uint8_t* data,
                     size_t bytes, uint64_t grant_used, uint64_t mtime_ns, uint64_t* blocks_512,
                     Holder* holder);
    Status sync(Holder* holder, WaitMode reply_wait);
    bool is_full();  // of data that is kept for replay
    Result<uint32_t> read_one(const Fid& object, GatesHeld gates, uint64_t offset, uint8_t* into,
                              size_t bytes);
    Status make_room(Holder* holder);
    void on_lock_lost(ClientLock& lock, bool discard) override
    {
        owner_.on_extent_lock_lost(index_, lock.resource, lock.policy.start, lock.policy.end,
                                   discard);
    }
    void on_evicted() override { owner_.on_ost_evicted(index_); }
    void on_warm_asked() override { state_.lock()->warm_until_ns = deadline_after_ms(kWarmMs); }
    void on_warm() override { owner_.on_ost_warm(index_); }
    uint64_t dirty_bytes() override { return reserved_grant(); }
    void on_connected(const ConnectReply& reply, bool first) override
    {
        auto state = state_.lock();
        state->warm_until_ns = 0;
        if (first || reply.result == static_cast<uint8_t>(ConnectResult::kNew))
            state->grant.restart(reply.grant_bytes);
    }

    const uint32_t index_;
    OscOwner& owner_;
    Owned<TargetClient> client_;
    Guarded<State> state_;
    CondVar synced_;
    std::atomic<uint64_t> replay_limit_bytes_{kReplayLimitDefaultBytes};
};

// Everything here runs inside an operation that was admitted by the gate, or is write-back that a
// drain waits for.
template <class Op> Ref<Call<Op>> new_call(const Fid& object, WaitMode reply_wait)
{
    auto call = make_ref<Call<Op>>();
    if (!call) return call;
    if constexpr (requires { call->op.object; }) call->op.object.fid = object;
    call->admitted = true;
    call->reply_wait = reply_wait;
    return call;
}

Status OscImpl::write(const Fid& file, const Fid& object, uint64_t offset, const void* data,
                      size_t bytes, uint64_t grant_used, uint64_t mtime_ns, uint64_t* blocks_512,
                      Holder* holder)
{
    const uint8_t* from = static_cast<const uint8_t*>(data);
    size_t piece = kBulkMaxBytes;
    Status s;
    while (bytes > 0) {
        size_t n = bytes < piece ? bytes : piece;
        uint64_t grant = grant_used < n ? grant_used : n;
        auto write_it = [&]() -> Status {
            TRY(make_room(holder));
            return write_one(file, object, offset, from, n, grant, mtime_ns, blocks_512, holder);
        };
        s = write_it();
        if (s.is(kENOMEM)) {
            if (holder) holder->give_back_others();
            if (piece > kSmallWriteBytes) {
                piece = kSmallWriteBytes;
                (void)sync(nullptr,
                           WaitMode::kUninterruptible);  // what is kept for replay goes by a commit
                continue;
            }
            s = while_no_memory(write_it);  // an error would lose the data
        }
        if (!s.ok()) break;
        grant_used -= grant;
        from += n;
        offset += n;
        bytes -= n;
    }
    return_grant(grant_used);  // more than the data was
    return s;
}

Status OscImpl::write_one(const Fid& file, const Fid& object, uint64_t offset, const uint8_t* data,
                          size_t bytes, uint64_t grant_used, uint64_t mtime_ns,
                          uint64_t* blocks_512, Holder* holder)
{
    auto call = new_call<OstWriteOp>(object, WaitMode::kUninterruptible);
    if (!call) return -kENOMEM;
    TRY(call->bulk.assign(data, bytes));
    call->op.file.fid = file;
    call->op.offset = offset;
    call->op.bytes = static_cast<uint32_t>(bytes);
    call->op.mtime_ns = mtime_ns;
    call->op.grant_used = grant_used;
    call->op.grant_want = state_.lock()->grant.want(kGrantTargetBytes);
    call->holder = holder;
    TRY(import().call(*call));
    written(grant_used, call->reply.grant_bytes);
    if (blocks_512) *blocks_512 = call->reply.blocks_512;
    return kOk;
}

void OscImpl::written(uint64_t grant_used, uint64_t grant_more)
{
    {
        auto state = state_.lock();
        uint64_t now = now_ns();
        state->grant.used(grant_used, grant_more);
        if (now >= state->warm_until_ns || now - state->said_ns < kWarmSayMs * kMsec) return;
        state->said_ns = now;
    }
    import().ping();
}

bool OscImpl::is_full() { return import().replay_bulk_bytes() > replay_limit_bytes_.load(); }

// One writer asks for a commit when too much is kept; the others wait for it. A signal ends this as
// little as it ends the write itself: other processes wrote the data, too, and nobody would write
// it again.
Status OscImpl::make_room(Holder* holder)
{
    auto state = state_.lock();
    while (is_full()) {
        if (state->syncing) {
            if (holder) {
                state.unlock();
                holder->give_back_others();
                state.relock();
                holder = nullptr;
            } else {
                TRY(state.wait(synced_));
            }
            continue;
        }
        state->syncing = true;
        state.unlock();
        Status s = sync(holder, WaitMode::kUninterruptible);
        state.relock();
        state->syncing = false;
        synced_.wake_all();
        if (!s.ok()) return s;
        // A server that says it has committed and gives no number: do not ask it in a circle.
        if (is_full()) break;
    }
    return kOk;
}

Result<uint32_t> OscImpl::read(const Fid& object, GatesHeld gates, uint64_t offset, void* into,
                               size_t bytes)
{
    uint8_t* to = static_cast<uint8_t*>(into);
    uint32_t done = 0;
    while (done < bytes) {
        size_t n = bytes - done < kBulkMaxBytes ? bytes - done : kBulkMaxBytes;
        uint32_t got = TRY(read_one(object, gates, offset + done, to + done, n));
        done += got;
        if (got < n) break;
    }
    return done;
}

Result<uint32_t> OscImpl::read_one(const Fid& object, GatesHeld gates, uint64_t offset,
                                   uint8_t* into, size_t bytes)
{
    auto call = new_call<OstReadOp>(object, WaitMode::kKillable);
    if (!call) return -kENOMEM;
    call->op.offset = offset;
    call->op.bytes = static_cast<uint32_t>(bytes);
    call->gives_way = gates == GatesHeld::kSeveral;
    TRY(import().call(*call));
    if (call->reply.bytes > bytes || call->reply_bulk.size() != call->reply.bytes) return -kEPROTO;
    if (call->reply.bytes) memcpy(into, call->reply_bulk.data(), call->reply.bytes);
    return call->reply.bytes;
}

Ref<Request> OscImpl::new_punch(const Fid& file, const Fid& object, uint64_t size, uint64_t time_ns)
{
    auto call = new_call<OstPunchOp>(object, WaitMode::kUninterruptible);
    if (!call) return nullptr;
    call->op.file.fid = file;
    call->op.size = size;
    call->op.time_ns = time_ns;
    return call;
}

Ref<Request> OscImpl::new_setattr(const Fid& file, const Fid& object, const Attr& attr)
{
    auto call = new_call<OstSetattrOp>(object, WaitMode::kUninterruptible);
    if (!call) return nullptr;
    call->op.file.fid = file;
    call->op.attr = attr;
    return call;
}

Status OscImpl::getattr(const Fid& object, GatesHeld gates, Attr* attr)
{
    auto call = new_call<OstGetattrOp>(object, WaitMode::kKillable);
    if (!call) return -kENOMEM;
    call->gives_way = gates == GatesHeld::kSeveral;
    TRY(import().call(*call));
    *attr = call->reply.attr;
    return kOk;
}

Status OscImpl::statfs(bool wait, StatfsReply* out)
{
    auto call = make_ref<Call<OstStatfsOp>>();
    if (!call) return -kENOMEM;
    call->try_gate = call->gives_way = !wait;
    TRY(import().call(*call));
    *out = call->reply;
    return kOk;
}

Status OscImpl::sync(Holder* holder, WaitMode reply_wait)
{
    if (!import().is_owed_a_commit()) return kOk;
    auto call = new_call<OstSyncOp>(Fid{}, reply_wait);
    if (!call) return -kENOMEM;
    call->holder = holder;
    return import().call(*call);
}

OscImpl& self(void* object)
{
    return *static_cast<OscImpl*>(static_cast<TargetClient*>(object)->upper());
}

Status show_grant(void* object, TextSink& out)
{
    out.printf("%llu", static_cast<unsigned long long>(self(object).grant().granted()));
    return out.status();
}
Status show_dirty(void* object, TextSink& out)
{
    out.printf("%llu", static_cast<unsigned long long>(self(object).grant().reserved()));
    return out.status();
}
Status show_kept(void* object, TextSink& out)
{
    out.printf("%llu", static_cast<unsigned long long>(self(object).import().replay_bulk_bytes()));
    return out.status();
}
Status show_replay_limit(void* object, TextSink& out)
{
    out.printf("%llu", static_cast<unsigned long long>(self(object).replay_limit()));
    return out.status();
}
Status store_replay_limit(void* object, Str value)
{
    uint64_t n = TRY(parse_u64(value));
    if (n < kBulkMaxBytes) return -kERANGE;
    self(object).set_replay_limit(n);
    return kOk;
}

}  // namespace

Result<Owned<Osc>> Osc::create(Node& node, ImportOptions options, uint32_t ost_index,
                               OscOwner& owner, Str instance_name)
{
    auto osc = make<OscImpl>(ost_index, owner);
    if (!osc) return -kENOMEM;
    TRY(osc->init(node, std::move(options), instance_name));
    return Owned<Osc>(std::move(osc));
}

}  // namespace lull
