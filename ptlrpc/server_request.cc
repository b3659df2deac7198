// SPDX-License-Identifier: GPL-2.0-only
#include "ptlrpc/server_request.h"

#include "kapi/log.h"
#include "ptlrpc/message.h"
#include "ptlrpc/node.h"

namespace lull {

ServerRequest::ServerRequest(Node& node, Ref<Connection> connection, Message&& message)
    : node_(node), connection_(std::move(connection)), message_(std::move(message))
{}

ServerRequest::~ServerRequest()
{
    if (begun_) exp->end_request(xid(), is_owed());
}

Status ServerRequest::parse()
{
    std::span<const uint8_t> body;
    if (!parse_header(message_.body, message_.bulk.size(), &header_, &body).ok()) return -kEBADMSG;
    if (header_.kind != static_cast<uint16_t>(RpcKind::kRequest)) return -kEBADMSG;
    if (protocol() < kProtocol1 || protocol() > node_.options().protocol_max)
        return -kEPROTONOSUPPORT;
    info_ = opcode_info(static_cast<uint16_t>(header_.opcode));
    if (!info_) return -kEOPNOTSUPP;
    if (info_->gate == GateClass::kCallback) return -kEPROTO;
    return kOk;
}

std::span<const uint8_t> ServerRequest::body() const
{
    return std::span<const uint8_t>(message_.body).subspan(header_.header_bytes);
}

// What a drain needs never waits for a client's lock, and neither does a replay. A close may, as
// long as nothing is drained.
bool ServerRequest::is_owed() const
{
    bool waits_by_design = opcode() == Opcode::kActiveEnqueue || opcode() == Opcode::kMdsClose;
    return is_replay() || (info().gate == GateClass::kExempt && !waits_by_design);
}

Status ServerRequest::begin()
{
    TRY(exp->begin_request(xid(), *connection_, is_owed()));
    begun_ = true;
    return kOk;
}

void ServerRequest::finish(Status status, Status encoded, Bytes& body, Bytes&& bulk)
{
    LULL_ASSERT(!replied_);
    replied_ = true;
    replied_status_ = status;
    RpcHeader header;
    header.kind = static_cast<uint16_t>(RpcKind::kReply);
    header.opcode = header_.opcode;
    header.flags = reply_flags_;
    header.status = static_cast<uint32_t>(status.error());
    header.slot = header_.slot;
    header.xid = header_.xid;
    header.export_cookie = header_.export_cookie;
    header.transno = transno_;
    header.last_committed = last_committed_;
    for (unsigned i = 0; i < kVersionsMax; i++) header.versions[i] = versions_[i];
    // Before the connection is chosen: a resend that was dropped because we were in progress came
    // over the one of now.
    if (std::exchange(begun_, false)) exp->end_request(xid(), is_owed());
    if (exp && !exp->handler().may_answer(status)) {
        exp->disconnect();
        return connection_->close();
    }

    Encoder out(protocol());
    Status s = encoded;
    if (s.ok()) s = begin_message(out);
    out.raw(body.data(), body.size());
    if (s.ok()) s = finish_message(out, header, bulk.size());
    if (s.ok())
        s = exp ? exp->send_reply(out.output(), bulk) : connection_->send(out.output(), bulk);
    if (s.ok() || s.is(kENOTCONN)) return;
    // The client must not wait for it for ever: it will come back and ask again.
    log_warn("%s: no reply to %s (%d), closing the connection",
             to_text(connection_->peer()).c_str(), info_ ? info_->name : "a request", s.error());
    if (exp) exp->disconnect();
    connection_->close();
}

}  // namespace lull
