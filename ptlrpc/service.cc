// SPDX-License-Identifier: GPL-2.0-only
#include "ptlrpc/service.h"

#include "kapi/log.h"

namespace lull {

void Service::receive(Node& node, Connection& from, Message&& message)
{
    auto request = make_ref<ServerRequest>(node, Ref<Connection>(&from), std::move(message));
    Status s = request ? request->parse() : Status(-kENOMEM);
    if (s.is(kENOMEM) || s.is(kEBADMSG)) {
        if (bad_request_log_.allow())
            log_warn("%s: connection closed: %s", to_text(from.peer()).c_str(),
                     request ? "its message is no request" : "no memory for its request");
        return from.close();
    }
    if (!s.ok()) return refuse(*request, s);
    if (request->opcode() != Opcode::kConnect) {
        request->exp = targets_.find_export(request->header().export_cookie);
        if (request->exp) request->exp->heard();
    }
    Pool& pool = request->info().gate == GateClass::kGated ? normal_
                 : request->opcode() == Opcode::kPing      ? pings_
                                                           : exempt_;
    request->ref();  // the queue's
    s = pool.push(*request);
    if (s.ok()) return;
    log_warn("%s: connection closed: its request cannot be queued (%d)",
             to_text(from.peer()).c_str(), s.error());
    Ref<ServerRequest>::adopt(request.get()).reset();
    from.close();
}

void Service::stop()
{
    normal_.stop();
    exempt_.stop();
    pings_.stop();
}

void Service::run(void* service, ServerRequest& request)
{
    static_cast<Service*>(service)->execute(Ref<ServerRequest>::adopt(&request));
}

void Service::refuse(ServerRequest& request, Status why)
{
    if (!why.is(kEEvicted) && bad_request_log_.allow())
        log_warn("%s: request %u refused: error %d", to_text(request.connection().peer()).c_str(),
                 static_cast<unsigned>(request.header().opcode), why.error());
    request.reply_error(why);
}

void Service::execute(Ref<ServerRequest> request)
{
    if (request->opcode() == Opcode::kConnect) return connect(std::move(request));
    if (!request->exp) return refuse(*request, -kEEvicted);
    RequestHandler& handler = request->exp->handler();
    if (!targets_.pin(handler)) {  // it is stopping: the client has to look for it
        request->exp.reset();
        return refuse(*request, -kEEvicted);
    }
    Status s = request->begin();
    if (s.ok() && request->protocol() != request->exp->protocol()) {
        // replays, too: what was kept is encoded anew for the server of now (S10)
        refuse(*request, -kEPROTO);
    } else if (s.ok()) {
        handler.handle(request);
    } else if (s.is(kEEvicted)) {
        request->exp.reset();
        refuse(*request, s);
    } else if (s.is(kENOMEM)) {
        request->connection().close();
    }
    // Else it is being executed already, or came over a connection that is not the client's any
    // more: its resend counts.
    targets_.unpin(handler);
}

void Service::connect(Ref<ServerRequest> request)
{
    ConnectOp op;
    if (Status s = request->decode(&op); !s.ok()) return refuse(*request, -kEPROTO);
    RequestHandler* handler = targets_.pin(op.target);
    if (!handler) return request->reply_error(-kENODEV);
    handler->handle_connect(request);
    targets_.unpin(*handler);
}

}  // namespace lull
