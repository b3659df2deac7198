// SPDX-License-Identifier: GPL-2.0-only
#include "ofd/ofd.h"

#include "kapi/log.h"

namespace lull {
namespace {

class OfdExportData final : public ExportData {
public:
    ClientGrant account;
};

ClientGrant* account_of(Export& exp)
{
    auto* data = static_cast<OfdExportData*>(exp.data[Export::kServiceData].get());
    return data ? &data->account : nullptr;
}

Status show_tot_granted(void* object, TextSink& out)
{
    out.printf("%llu", static_cast<unsigned long long>(
                           static_cast<OfdService*>(object)->grants().promised()));
    return out.status();
}

constexpr Param kParams[] = {
    {"tot_granted", show_tot_granted, nullptr},
};

}  // namespace

std::span<const Param> OfdService::params() const { return kParams; }

// Clients have no more dirty than they were granted.
void OfdService::estimate(TextSink& out)
{
    out.printf("dirty_bytes_at_most: %llu\n", static_cast<unsigned long long>(grants_.promised()));
}

void OfdService::execute(Ref<ServerRequest> request)
{
    Status s = run(request);
    if (!s.ok()) request->reply_error(s);
}

// Operations answer themselves once they began to change something; an error returned from here
// changed nothing.
Status OfdService::run(Ref<ServerRequest>& request)
{
    switch (request->opcode()) {
    case Opcode::kOstRead: return do_read(*request);
    case Opcode::kOstWrite: return do_write(request);
    case Opcode::kOstPunch: return do_punch(request);
    case Opcode::kOstSetattr: return do_setattr(request);
    case Opcode::kOstGetattr: return do_getattr(*request);
    case Opcode::kOstDestroy: return do_destroy(request);
    case Opcode::kOstStatfs: return do_statfs(*request);
    case Opcode::kOstSync: return do_sync(*request);
    case Opcode::kOstList: return do_list(*request);
    default: return -kEOPNOTSUPP;
    }
}

Status OfdService::check(const OstFid& object) const
{
    return object.fid.seq == kFidSeqOstBase + target_.identity().index ? kOk : Status(-kEINVAL);
}

void OfdService::on_export_created(Export& exp)
{
    Owned<OfdExportData> data = make<OfdExportData>();
    if (!data)
        log_warn("%s: no memory for the grants of client %s: it writes through",
                 target_.target_name().c_str(), exp.client_uuid().c_str());
    exp.data[Export::kServiceData] = std::move(data);
}

void OfdService::on_export_gone(Export& exp)
{
    if (ClientGrant* account = account_of(exp)) grants_.close(*account);
}

uint64_t OfdService::initial_grant(Export& exp)
{
    ClientGrant* account = account_of(exp);
    struct kbfs_statfs space;
    if (!account || (exp.connect_flags() & kConnectMds) || !target_.store().statfs(&space).ok())
        return 0;
    return grants_.initial(*account, space.avail_bytes, space.total_bytes);
}

// What a lock's next owner sees is committed first: who wrote it may die with us, and then nobody
// would write it again. In the window clients only take back what they had.
Status OfdService::commit_for_others(Object& object)
{
    Result<uint64_t> changed = target_.store().version(object);
    if (!changed.ok()) return changed.is(kENODATA) ? kOk : changed.status();
    bool known = changed.value() <= target_.last_committed() || target_.recovering();
    return known ? kOk : target_.commit();
}

Status OfdService::fill_lvb(const ResourceId& resource, Lvb* lvb)
{
    Fid fid{resource.name[0], static_cast<uint32_t>(resource.name[1]),
            static_cast<uint32_t>(resource.name[1] >> 32)};
    *lvb = Lvb();
    TRY(check(OstFid{fid}));
    Result<Ref<Object>> object = target_.store().ost_find(fid, false, 0, 0);
    if (object.is(kENOENT)) return kOk;
    if (!object.ok()) return object.status();
    TRY(commit_for_others(*object.value()));
    Attr attr;
    TRY(target_.store().getattr(*object.value(), &attr));
    *lvb = Lvb{attr.size, attr.blocks_512, attr.mtime_ns, attr.ctime_ns, attr.atime_ns};
    return kOk;
}

Status OfdService::admit(ServerRequest& request, const OstWriteOp& op, struct kbfs_statfs* space)
{
    TRY(target_.store().statfs(space));
    // A replay's grant was the old instance's, and it was answered "done".
    if (request.is_replay()) return kOk;
    Status s = grants_.admit(account_of(*request.exp), op.grant_used, op.bytes, space->avail_bytes,
                             space->total_bytes);
    // As on every file system: what has its place already can be written again on a full one.
    return s.is(kENOSPC) && replaces_data(op) ? kOk : s;
}

bool OfdService::replaces_data(const OstWriteOp& op)
{
    Result<Ref<Object>> object = target_.store().ost_find(op.object.fid, false, 0, 0);
    if (!object.ok()) return false;
    Result<bool> is = target_.store().ost_is_written(*object.value(), op.offset, op.bytes);
    return is.ok() && is.value();
}

Status OfdService::do_write(Ref<ServerRequest>& request)
{
    OstWriteOp op;
    TRY(request->decode(&op));
    TRY(check(op.object));
    if (op.bytes == 0 || op.bytes > kBulkMaxBytes || request->bulk().size() != op.bytes)
        return -kEPROTO;
    if (op.offset > kObjectMaxBytes - op.bytes) return -kEFBIG;
    target_.note_progress(*request->exp);
    struct kbfs_statfs space;
    TRY(admit(*request, op, &space));

    Transaction tx(target_, request);
    if (!begin_or_fail(tx)) return kOk;
    OstWriteReply reply;
    Status s = write_steps(op, request->bulk(), tx.transno(), &reply);
    if (!s.ok()) {
        if (op.grant_used)
            log_err("%s: write of client %s failed with error %d in spite of its grant",
                    target_.target_name().c_str(), request->exp->client_uuid().c_str(), s.error());
        tx.fail(s);
        return kOk;
    }
    ClientGrant* account = account_of(*request->exp);
    if (account && !request->is_replay())
        reply.grant_bytes =
            grants_.further(*account, op.grant_want, space.avail_bytes, space.total_bytes);
    tx.reply(reply);
    return kOk;
}

Status OfdService::do_statfs(ServerRequest& request)
{
    OstStatfsOp op;
    TRY(request.decode(&op));
    struct kbfs_statfs space;
    TRY(target_.store().statfs(&space));
    StatfsReply reply{space.total_bytes, space.free_bytes, space.avail_bytes, space.files,
                      space.free_files};
    // The MDT wants to know what new files could still get.
    if (request.exp->connect_flags() & kConnectMds)
        reply.avail_bytes = grants_.left(space.avail_bytes, space.total_bytes);
    request.reply(reply);
    return kOk;
}

Status OfdService::do_sync(ServerRequest& request)
{
    OstSyncOp op;
    TRY(request.decode(&op));
    TRY(target_.commit());
    request.set_last_committed(target_.last_committed());
    Empty reply;
    request.reply(reply);
    return kOk;
}

Result<Owned<TargetService>> make_ofd(Target& target)
{
    Owned<OfdService> ofd = make<OfdService>(target);
    if (!ofd) return -kENOMEM;
    return Owned<TargetService>(std::move(ofd));
}

}  // namespace lull
