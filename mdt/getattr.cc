// SPDX-License-Identifier: GPL-2.0-only
/* Reading: attributes by FID or name, with and without a lock (intents), symlinks, directories. */
#include "mdt/mdt.h"
#include "mdt/names.h"

namespace lull {

namespace {
constexpr uint32_t kReaddirMax = 512;  // entries of a reply; their names fit into a body
static_assert(kReaddirMax * (kNameMax + 32) < kRpcBodyMaxBytes);
}

Status MdtService::do_getattr(ServerRequest& request)
{
    Owned<MdsGetattrOp> op = make<MdsGetattrOp>();
    if (!op) return -kENOMEM;
    TRY(request.decode(op.get()));
    Ref<Object> object;
    if (op->name.empty()) {
        object = TRY(find(op->fid));
    } else {
        TRY(check_name(op->name));
        Ref<Object> dir = TRY(find_dir(op->fid));
        object = TRY(store().lookup(*dir, op->name));
    }
    MdsGetattrReply reply;
    TRY(fill(*object, &reply));
    request.reply(reply);
    return kOk;
}

namespace {
Fid fid_of(const ResourceId& resource)
{
    return {resource.name[0], static_cast<uint32_t>(resource.name[1]),
            static_cast<uint32_t>(resource.name[1] >> 32)};
}
}  // namespace

// The rename token is ours.
bool MdtService::is_lockable(const ResourceId& resource) const
{
    return is_namespace_fid(fid_of(resource));
}

Status MdtService::intent_resolve(const LdlmEnqueueOp& op, Export&, ResourceId* resource)
{
    switch (static_cast<Intent>(op.intent)) {
    case Intent::kGetattr: {
        Ref<Object> object = TRY(find(op.fid));
        *resource = ResourceId::of(object->fid());
        return kOk;
    }
    case Intent::kLookup: {
        TRY(check_name(op.name));
        Ref<Object> dir = TRY(find_dir(op.fid));
        Ref<Object> object = TRY(store().lookup(*dir, op.name));
        *resource = ResourceId::of(object->fid());
        return kOk;
    }
    default: return -kEOPNOTSUPP;
    }
}

Status MdtService::intent_execute(const LdlmEnqueueOp& op, Export& exp, const ResourceId& resource,
                                  LdlmEnqueueReply* reply, bool* gone)
{
    ResourceId now;
    TRY(intent_resolve(op, exp, &now));
    *gone = !(now == resource);
    if (*gone) return kOk;
    Ref<Object> object = TRY(find(fid_of(resource)));
    return fill(*object, &reply->object);
}

Status MdtService::do_readlink(ServerRequest& request)
{
    MdsReadlinkOp op;
    TRY(request.decode(&op));
    Ref<Object> object = TRY(find(op.fid));
    if (object->type() != KBFS_SYMLINK) return -kEINVAL;
    Owned<MdsReadlinkReply> reply = make<MdsReadlinkReply>();
    if (!reply) return -kENOMEM;
    TRY(store().readlink(*object, &reply->target));
    request.reply(*reply);
    return kOk;
}

Status MdtService::do_readdir(ServerRequest& request)
{
    MdsReaddirOp op;
    TRY(request.decode(&op));
    Result<Ref<Object>> dir = find_dir(op.fid);
    if (dir.is(kESTALE)) return -kENOENT;  // removed while open
    if (!dir.ok()) return dir.status();
    uint32_t max = op.max_entries == 0            ? 1
                   : op.max_entries > kReaddirMax ? kReaddirMax
                                                  : op.max_entries;
    MdsReaddirReply reply;
    TRY(store().readdir(*dir.value(), op.cookie, max, &reply.entries, &reply.end));
    request.reply(reply);
    return kOk;
}

}  // namespace lull
