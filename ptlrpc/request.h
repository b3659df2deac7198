/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A request is an operation, not bytes: it keeps the logical operation and is encoded for the
 * negotiated protocol version each time it is sent, resent or replayed (design: Requests are
 * operations). Heap objects, counted: after the call returned, the import keeps a modifying request
 * until its transaction is committed, and an open until its close.
 */
#pragma once
#include "include/lull/ops_common.h"
#include "include/lull/rpc_header.h"
#include "kapi/sync.h"

namespace lull {

class Import;

// What the caller of an operation holds: nothing, the gate of its import, or that and gates of
// others.
enum class GatesHeld : uint8_t { kNone, kThis, kSeveral };

// A caller that holds more than its request needs: gates of other imports, locks. It is told, once
// and on its own task, before the request waits for more than an answer: because the server cannot
// be reached, or because the answer takes longer than patience_ns. Then the request waits on, as if
// its caller had never held more (B3, invariant 11).
class Holder {
public:
    explicit Holder(uint64_t patience = kForever) : patience_ns(patience) {}
    virtual void give_back_others() = 0;
    const uint64_t patience_ns;

protected:
    ~Holder() = default;
};

class Request : public RefCounted {
public:
    explicit Request(Opcode opcode) : opcode_(opcode) {}
    Opcode opcode() const { return opcode_; }
    virtual void encode(Encoder& out) = 0;
    // also lets the operation absorb what a replay needs
    virtual Status decode_reply(Decoder& in) = 0;
    // Data that travels with the request; must stay valid and unchanged as long as the request
    // lives.
    virtual std::span<const uint8_t> bulk_out() const { return {}; }

    // Result, valid once Import::call() returned 0.
    Bytes reply_bulk;
    uint64_t transno = 0;
    uint64_t versions[kVersionsMax] = {};  // of what it changed, before: for the replay
    uint32_t reply_flags = 0;              // RpcFlags

    // How the call behaves; set before it.
    bool admitted = false;  // the caller holds the gate (GateScope): do not enter it again
    // it holds other gates, too: -kEGiveWay rather than wait for a server that cannot be reached
    // (B3)
    bool gives_way = false;
    Holder* holder = nullptr;  // instead: told then; null when it has been
    // its answer may take for ever: -kEGiveWay when the gate begins to close, and the caller
    // cancels it
    bool yields = false;
    bool try_gate = false;     // -kEPark instead of waiting at the gate
    bool in_recovery = false;  // may be sent before the import is full (lock replay, active lock)
    bool no_replay = false;    // an exception from the opcode table (tests)
    WaitMode gate_wait = WaitMode::kInterruptible;
    // a killed caller lets go; the import still completes the request
    WaitMode reply_wait = WaitMode::kKillable;
    // Keep after commit, until Import::forget() (an open until its close): replayed with
    // kRpcReplayOpen.
    bool keep_committed = false;
    // A close: the open to forget with the very transaction that ends it. -ENOMEM: it was not
    // ended.
    Ref<Request> ends;

private:
    friend class Import;
    friend struct ImportImpl;
    const Opcode opcode_;
    // Owned by the import, under its lock.
public:
    struct Track {
        ListHook hook;
        enum class State : uint8_t {
            kNew,
            kWaitingSlot,
            kSent,
            kDone,
            kReplayable
        } state = State::kNew;
        uint64_t xid = 0;
        uint16_t slot = 0xffff;
        bool resend = false, replayed = false, committed = false;
        bool awaited = false;      // by await()
        bool own = false;          // of the import's own task or itself: never resent
        uint64_t sent_over = 0;    // number of the connection
        uint64_t began_ns = 0;     // when it got its number
        uint64_t let_go_ns = 0;    // when its holder's patience ends
        uint64_t answered_by = 0;  // the instance that answered it last
        uint64_t replayed_in = 0;  // instance that answered the replay
        // a closed open: kept until this transno (its close) is committed
        uint64_t forgotten_at = 0;
        int32_t status = 0;
        bool answered = false;
        CondVar* waiter = nullptr;
    } track;
};

// The request for an operation of include/lull/ops_*.h.
template <class Op> class Call final : public Request {
public:
    Call() : Request(Op::kOpcode) {}
    Op op;
    typename Op::Reply reply;
    Bytes bulk;  // sent with it

    void encode(Encoder& out) override { op.io(out); }
    Status decode_reply(Decoder& in) override
    {
        // too large for a kernel stack
        Owned<typename Op::Reply> fresh = make<typename Op::Reply>();
        if (!fresh) return -kENOMEM;
        fresh->io(in);
        TRY(in.finish());
        if constexpr (requires { op.absorb(*fresh); }) op.absorb(*fresh);
        // else the answer to a replay, and our caller reads the first one
        if (!track.answered) reply = std::move(*fresh);
        return kOk;
    }
    std::span<const uint8_t> bulk_out() const override { return bulk; }
};

}  // namespace lull
