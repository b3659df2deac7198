// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/mdt.h"

#include "include/lull/le.h"
#include "kapi/log.h"

namespace lull {

namespace {
constexpr const char* kLayoutRecord = "default_layout";
struct StoredDefault {
    le32 stripe_bytes, stripe_count;
};
}  // namespace

MdtService::MdtService(Target& target)
    : target_(target), identities_(target.store()), osts_(target),
      destroyer_(target, opens_, osts_, identities_), orphans_(target, identities_, osts_)
{}

Status MdtService::start()
{
    TRY(identities_.load());
    TRY(load_default_layout());
    (void)TRY(store().root());  // made now, by one task: two first requests would both make it
    if (!target_.started_clean()) survivor_ = TRY(highest_survivor(store()));
    Status s = osts_.start();
    if (s.ok()) s = destroyer_.start();
    if (s.ok()) s = orphans_.start();
    if (!s.ok()) stop();
    return s;
}

void MdtService::stop()
{
    osts_.close();
    destroyer_.stop();
    orphans_.stop();
}

Status MdtService::load_default_layout()
{
    stripe_bytes_ = target_.identity().stripe_bytes;
    stripe_count_ = target_.identity().stripe_count;
    Result<Bytes> stored = store().get_record(Store::Area::kServer, "", kLayoutRecord);
    if (stored.is(kENODATA) || stored.is(kENOENT)) return kOk;
    if (!stored.ok()) return stored.status();
    StoredDefault d;
    if (stored.value().size() != sizeof d) return -kEPROTO;
    memcpy(&d, stored.value().data(), sizeof d);
    stripe_bytes_ = d.stripe_bytes;
    stripe_count_ = d.stripe_count;
    return kOk;
}

Status MdtService::set_default_layout(uint32_t stripe_bytes, uint32_t stripe_count)
{
    Layout l;
    l.stripe_bytes = stripe_bytes;
    l.stripe_count = stripe_count;
    TRY(check_default_layout(l));
    if (stripe_bytes == 0 || stripe_count == 0) return -kEINVAL;
    StoredDefault d{stripe_bytes, stripe_count};
    TRY(store().put_record(Store::Area::kServer, "", kLayoutRecord,
                           {reinterpret_cast<const uint8_t*>(&d), sizeof d}));
    stripe_bytes_ = stripe_bytes;
    stripe_count_ = stripe_count;
    return kOk;
}

void MdtService::execute(Ref<ServerRequest> request)
{
    Status s = run(request);
    if (s.ok()) return;
    if (!s.is(kESTALE) || !is_history(*request)) return request->reply_error(s);
    Empty done;  // its client knows what it said then
    request->set_transno(request->replay_transno());
    request->reply(done);
}

// An object that was never made, because its maker is missing, leaves no survivors behind it.
bool MdtService::is_history(ServerRequest& request) const
{
    bool replay = request.flags() & kRpcReplay;
    return replay && request.opcode() != Opcode::kMdsOpen && request.replay_transno() < survivor_;
}

Status MdtService::run(Ref<ServerRequest>& request)
{
    switch (request->opcode()) {
    case Opcode::kMdsGetattr: return do_getattr(*request);
    case Opcode::kMdsReaddir: return do_readdir(*request);
    case Opcode::kMdsReadlink: return do_readlink(*request);
    case Opcode::kMdsStatfs: return do_statfs(*request);
    case Opcode::kMdsSync: return do_sync(*request);
    case Opcode::kMdsGetSeq: return do_get_seq(*request);
    case Opcode::kMdsOpen: return do_open(request);
    case Opcode::kMdsClose: return do_close(request);
    case Opcode::kMdsCreate: return do_create(request);
    case Opcode::kMdsUnlink: return do_unlink(request);
    case Opcode::kMdsLink: return do_link(request);
    case Opcode::kMdsRename: return do_rename(request);
    case Opcode::kMdsSetattr: return do_setattr(request);
    case Opcode::kMdsSetLayout: return do_set_layout(request);
    default: return -kEOPNOTSUPP;
    }
}

Status MdtService::do_statfs(ServerRequest& request)
{
    MdsStatfsOp op;
    TRY(request.decode(&op));
    struct kbfs_statfs space;
    TRY(store().statfs(&space));
    StatfsReply reply{space.total_bytes, space.free_bytes, space.avail_bytes, space.files,
                      space.free_files};
    request.reply(reply);
    return kOk;
}

Status MdtService::do_sync(ServerRequest& request)
{
    MdsSyncOp op;
    TRY(request.decode(&op));
    TRY(target_.commit());
    request.set_last_committed(target_.last_committed());
    Empty reply;
    request.reply(reply);
    return kOk;
}

Status MdtService::do_get_seq(ServerRequest& request)
{
    MdsGetSeqOp op;
    TRY(request.decode(&op));
    MdsGetSeqReply reply;
    reply.seq = TRY(identities_.grant_sequence(*request.exp));
    TRY(target_.commit());
    request.reply(reply);
    return kOk;
}

void MdtService::on_export_gone(Export& exp)
{
    Fid fid;
    bool orphan;
    while (opens_.remove_any(exp.client_uuid(), false, &fid, &orphan))
        if (orphan) destroyer_.add(fid, target_.last_transno());
    identities_.forget_client(exp.client_uuid());
}

Status MdtService::save_opens(Vec<ReservedOpen>* out) { return opens_.save(out); }
Status MdtService::reserve(const ReservedOpen& open)
{
    return opens_.add(open, OpenTable::Kind::kReserved);
}

void MdtService::drop_reservations(const UuidText& client)
{
    Fid fid;
    bool orphan;
    while (opens_.remove_any(client, true, &fid, &orphan))
        if (orphan) destroyer_.add(fid, target_.last_transno());
}

void MdtService::on_recovery_done()
{
    destroyer_.scan();
    orphans_.recovery_done();
}

void MdtService::background(bool run)
{
    osts_.park(!run);
    destroyer_.park(!run);
    orphans_.park(!run);
}

void MdtService::estimate(TextSink& out) { out.printf("opens: %zu\n", opens_.counts().opens); }

void MdtService::on_committed(uint64_t)
{
    destroyer_.on_committed();
    orphans_.on_committed();
}

Result<Owned<TargetService>> make_mdt(Target& target)
{
    Owned<MdtService> mdt = make<MdtService>(target);
    if (!mdt) return -kENOMEM;
    return Owned<TargetService>(std::move(mdt));
}

}  // namespace lull
