/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every server target shares: connections and exports, client records, transaction numbers,
 * reply slots (exactly once), group commit, recovery window, eviction, the start-up check (A4) and
 * the controlled shutdown. The services (mgs, mdt, ofd) are below this interface's TargetService
 * and execute operations.
 *
 * Life of a request: handle() → connected and alive? → a shutdown commits: it waits, for the cancel
 * or the next instance (T4) → recovering: replays go through the recovery queue in transno order,
 * new gated requests wait for the end of the window → resend of something executed: answered from
 * its slot → shutting down and gated: "park" (S14) → no active lock held: "park" (invariant 3; not
 * for resends and replays) → service.execute().
 *
 * Transaction numbers: instance << 40 | counter, so that they grow over crashes without knowing the
 * last one. Every modifying operation runs inside a Transaction. last_committed is what was
 * complete when the sync that made it durable began.
 *
 * A target that cannot commit has lost its store (taken away by its partner, or broken). It answers
 * nobody any more, so that its clients go to the next instance with everything that was not
 * committed, as after a crash (A2).
 *
 * Requirements: A2 A4 A7 A12 A13 E1 E2 S5 S13 S14 T3 T4 T7 T8 T9 R2 R3 R4 B1 B3.
 */
#pragma once
#include "include/lull/ops_connect.h"
#include "include/lull/ops_mgs.h"
#include "ldlm/server.h"
#include "osd/store.h"
#include "ptlrpc/node.h"

namespace lull {

class Target;

// What mkfs.lull wrote: CONFIGS/mountdata, "key=value" lines.
struct TargetIdentity {
    Text<32> fsname;
    TargetKind kind = TargetKind::kMdt;
    uint32_t index = 0;
    TargetName name;  // lull-MDT0000, lull-OST0001, MGS
    UuidText uuid;
    Vec<Nid> mgs_nids;      // empty: the MGS is on this device
    Vec<Nid> service_nids;  // where this target may run; empty: this node's own NID
    uint32_t stripe_bytes = 1u << 20, stripe_count = 1;  // MDT: file-system default
};

// What is kept of the last modifying request in a reply slot, on disk and in memory: enough to
// answer a resend.
struct SlotRecord {
    uint64_t xid = 0, transno = 0;
    int32_t status = 0;
    uint16_t opcode = 0;
    Fid fid, fid2;                         // what the operation made, removed, moved
    uint64_t handle = 0;                   // open
    uint32_t extra = 0;                    // operation's own (created…)
    uint64_t versions[kVersionsMax] = {};  // of the objects it changed, before it
    template <class Io> void io(Io& x)
    {
        x.u64(xid);
        x.u64(transno);
        x.i32(status);
        x.u16(opcode);
        x.u64(fid.seq);
        x.u32(fid.oid);
        x.u32(fid.ver);
        x.u64(fid2.seq);
        x.u32(fid2.oid);
        x.u32(fid2.ver);
        x.u64(handle);
        x.u32(extra);
        for (uint64_t& v : versions) x.u64(v);
    }
};

// One modifying operation. Take locks and check everything first; then begin(); then the steps;
// then exactly one of reply()/fail(). Not begun: nothing was changed, no transaction number is
// used.
class Transaction {
public:
    Transaction(Target& target, Ref<ServerRequest> request)
        : target_(target), request_(std::move(request))
    {}
    ~Transaction();
    Status begin();  // assigns the number (a replay keeps its own)
    uint64_t transno() const { return transno_; }
    SlotRecord slot;  // fill in fid, handle, extra before reply()
    template <class Reply>
    void reply(Reply& body)  // stores the slot, completes the transaction, answers
    {
        Encoder out(request_->protocol());
        body.io(out);
        if (!out.status().ok()) return fail(out.status());
        complete(kOk, &out.output());
    }
    // steps that were done stay; the client gets the error
    void fail(Status status) { complete(status, nullptr); }

private:
    void complete(Status status, Bytes* body);
    Target& target_;
    Ref<ServerRequest> request_;
    uint64_t transno_ = 0;
    bool begun_ = false, done_ = false;
};

// An open or lock that survives a clean halt (clean record, B1) and is reserved until its client is
// back or given up.
struct ReservedOpen {
    UuidText client;
    Fid fid;
    uint64_t handle = 0;
    uint32_t flags = 0;  // OpenFlags
    template <class Io> void io(Io& x)
    {
        x.text(client);
        x.u64(fid.seq);
        x.u32(fid.oid);
        x.u32(fid.ver);
        x.u64(handle);
        x.u32(flags);
    }
};

// Nobody hears of a client for so long: it is evicted.
uint32_t evict_after_ms(const Node& node);

// What a kind of target does. Created by the factory of its room.
class TargetService : public LdlmServerOwner {
public:
    virtual ~TargetService() = default;
    // store is mounted, identity known; before the first connection
    virtual Status start() = 0;
    virtual void stop() = 0;  // no request runs any more
    // Gated and exempt operations of this kind, except those the target layer handles. Must reply.
    virtual void execute(Ref<ServerRequest> request) = 0;
    // Answer a resend of an executed operation from what the slot remembers (after a restart; in
    // one life the target itself keeps the reply).
    virtual void reconstruct(Ref<ServerRequest> request, const SlotRecord& /*slot*/)
    {
        request->reply_error(-kEIO);
    }
    virtual void on_export_created(Export& /*exp*/) {}
    // evicted or unmounted: close its opens, return its grants
    virtual void on_export_gone(Export& /*exp*/) {}
    virtual uint64_t initial_grant(Export& /*exp*/) { return 0; }
    // Clean record (B1).
    virtual Status save_opens(Vec<ReservedOpen>* /*out*/) { return kOk; }
    virtual Status reserve(const ReservedOpen& /*open*/) { return kOk; }
    virtual void drop_reservations(const UuidText& /*client*/) {}
    // Recovery is over (window closed) or there was none and every reservation is settled: orphans
    // without an owner may go.
    virtual void on_recovery_done() {}
    // Background work that a drain must not wait for (destroys); false stops it, true lets it go on
    // (shutdown cancelled).
    virtual void background(bool /*run*/) {}
    // What a shutdown would have to see to (B5): "name: number" lines.
    virtual void estimate(class TextSink& /*out*/) {}
    virtual void on_committed(uint64_t /*last_committed*/) {}
    // further parameters; object: this service
    virtual std::span<const Param> params() const { return {}; }
};
using ServiceFactory = Result<Owned<TargetService>> (*)(Target& target);
// Defined by mgs, mdt, ofd; target/services.cc is the one place that lists them.
Result<Owned<TargetService>> make_mgs(Target& target);
Result<Owned<TargetService>> make_mdt(Target& target);
Result<Owned<TargetService>> make_ofd(Target& target);

struct StartOptions {
    bool force = false;        // -o force: start in spite of A4, evict who cannot be recovered
    bool abort_recov = false;  // -o abort_recov: no window, evict everybody who was connected
    // -o recovery_time_soft=SECONDS, …_hard=; 0: the default (R4)
    uint32_t recovery_soft_ms = 0, recovery_hard_ms = 0;
};

class Target : public RequestHandler {
public:
    virtual ~Target() = default;
    virtual Node& node() = 0;
    virtual Store& store() = 0;
    virtual LdlmServer& ldlm() = 0;
    virtual TargetService& service() = 0;
    virtual const TargetIdentity& identity() const = 0;
    virtual uint64_t instance() const = 0;
    virtual uint64_t last_transno() const = 0;
    virtual uint64_t last_committed() const = 0;
    // Returns when everything executed before is durable (fsync, commit on demand T2).
    virtual Status commit() = 0;
    // The client has done what a drain, or whoever waits for its lock, needs of it: a write, a
    // punch, a close of what was open. Not for what asks for nothing (S12, invariant 11).
    virtual void note_progress(Export& exp) = 0;
    virtual void evict(Export& exp, const char* why) = 0;
    virtual bool recovering() const = 0;
    virtual bool started_clean() const = 0;  // nothing of the instance before is lost
    virtual bool shutting_down() const = 0;  // park is in force
    virtual Status list_exports(Vec<Ref<Export>>* out) const = 0;
    virtual Ref<Export> find_export(const UuidText& client) = 0;
    // True while client is expected back (recovery window, reservation).
    virtual bool is_expected(const UuidText& client) const = 0;
};

}  // namespace lull
