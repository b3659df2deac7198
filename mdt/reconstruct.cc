// SPDX-License-Identifier: GPL-2.0-only
/*
 * Replies made again from what a reply slot remembers, for a resend or replay of something executed
 * by an earlier life. Attributes are those of now: the client asks for the truth under a lock
 * anyway. Opens and closes are done again in the table, which the earlier life took with it.
 */
#include "mdt/mdt.h"

namespace lull {

void MdtService::reconstruct(Ref<ServerRequest> request, const SlotRecord& slot)
{
    if (slot.status) return request->reply_error(Status(slot.status));
    if (slot.opcode != static_cast<uint16_t>(request->opcode()))
        return request->reply_error(-kEPROTO);
    request->set_transno(slot.transno);
    Status s = rebuild(request, slot);
    if (!s.ok()) request->reply_error(s);
}

Status MdtService::rebuild(Ref<ServerRequest>& request, const SlotRecord& slot)
{
    switch (request->opcode()) {
    case Opcode::kMdsOpen: return rebuild_open(*request, slot);
    case Opcode::kMdsClose: return rebuild_close(*request, slot);
    case Opcode::kMdsCreate: return rebuild_create(*request, slot);
    case Opcode::kMdsUnlink: return rebuild_unlink(*request, slot);
    case Opcode::kMdsLink: return rebuild_link(*request);
    case Opcode::kMdsRename: return rebuild_rename(*request, slot);
    case Opcode::kMdsSetattr: return rebuild_setattr(*request);
    case Opcode::kMdsSetLayout: {
        Empty reply;
        request->reply(reply);
        return kOk;
    }
    default: return -kEOPNOTSUPP;
    }
}

Status MdtService::rebuild_open(ServerRequest& request, const SlotRecord& slot)
{
    Owned<MdsOpenOp> op = make<MdsOpenOp>();
    if (!op) return -kENOMEM;
    TRY(request.decode(op.get()));
    Ref<Object> object = TRY(find(slot.fid));
    MdsOpenReply reply;
    reply.handle = slot.handle;
    reply.created = slot.extra != 0;
    TRY(fill(*object, &reply.object));
    if (reply.created) fill_if_there(op->parent, &reply.parent);
    TRY(opens_.add(ReservedOpen{request.exp->client_uuid(), slot.fid, slot.handle, op->flags},
                   OpenTable::Kind::kKnown));
    request.reply(reply);
    return kOk;
}

Status MdtService::rebuild_close(ServerRequest& request, const SlotRecord& slot)
{
    drop_open(request, slot.handle, slot.transno);
    Empty reply;
    request.reply(reply);
    return kOk;
}

Status MdtService::rebuild_create(ServerRequest& request, const SlotRecord& slot)
{
    Owned<MdsCreateOp> op = make<MdsCreateOp>();
    if (!op) return -kENOMEM;
    TRY(request.decode(op.get()));
    MdsCreateReply reply;
    reply.object.fid = slot.fid;
    if (Result<Ref<Object>> object = find(slot.fid); object.ok())
        TRY(fill(*object.value(), &reply.object));
    fill_if_there(op->parent, &reply.parent);
    request.reply(reply);
    return kOk;
}

Status MdtService::rebuild_unlink(ServerRequest& request, const SlotRecord& slot)
{
    Owned<MdsUnlinkOp> op = make<MdsUnlinkOp>();
    if (!op) return -kENOMEM;
    TRY(request.decode(op.get()));
    MdsUnlinkReply reply;
    reply.fid = slot.fid;
    fill_if_there(op->parent, &reply.parent);
    fill_if_there(slot.fid, &reply.object);
    tell_unused(request, slot.fid, &reply.object);
    request.reply(reply);
    return kOk;
}

Status MdtService::rebuild_link(ServerRequest& request)
{
    Owned<MdsLinkOp> op = make<MdsLinkOp>();
    if (!op) return -kENOMEM;
    TRY(request.decode(op.get()));
    MdsLinkReply reply;
    fill_if_there(op->parent, &reply.parent);
    fill_if_there(op->fid, &reply.object);
    request.reply(reply);
    return kOk;
}

Status MdtService::rebuild_rename(ServerRequest& request, const SlotRecord& slot)
{
    Owned<MdsRenameOp> op = make<MdsRenameOp>();
    Owned<MdsRenameReply> reply = make<MdsRenameReply>();
    if (!op || !reply) return -kENOMEM;
    TRY(request.decode(op.get()));
    fill_if_there(op->from_parent, &reply->from_parent);
    fill_if_there(op->to_parent, &reply->to_parent);
    reply->fid = slot.fid;
    reply->replaced = slot.fid2;
    fill_if_there(slot.fid, &reply->object);
    fill_if_there(slot.fid2, &reply->replaced_attr);
    tell_unused(request, slot.fid2, &reply->replaced_attr);
    request.reply(*reply);
    return kOk;
}

Status MdtService::rebuild_setattr(ServerRequest& request)
{
    Owned<MdsSetattrOp> op = make<MdsSetattrOp>();
    if (!op) return -kENOMEM;
    TRY(request.decode(op.get()));
    MdsSetattrReply reply;
    fill_if_there(op->fid, &reply.attr);
    request.reply(reply);
    return kOk;
}

}  // namespace lull
