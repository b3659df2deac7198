// SPDX-License-Identifier: GPL-2.0-only
#include "kapi/log.h"
#include "target/observer.h"
#include "target/target_impl.h"

namespace lull {

namespace {

struct EncodedBody {  // what was encoded already
    const Bytes& bytes;
    void io(Encoder& out) { out.raw(bytes.data(), bytes.size()); }
};

}  // namespace

Transaction::~Transaction()
{
    if (done_ || !(begun_ || !request_->replied())) return;
    log_err("%s: %s was not answered by its handler", target_.identity().name.c_str(),
            request_->info().name);
    fail(-kEIO);
}

Status Transaction::begin()
{
    LULL_ASSERT(!begun_ && !done_);
    auto& target = static_cast<TargetImpl&>(target_);
    TargetExport* client = TargetExport::of(*request_->exp);
    if (!client) return -kEEvicted;
    if (request_->info().slot) TRY(client->slots.prepare(request_->slot()));
    transno_ = TRY(target.commit_.begin(request_->is_replay() ? request_->replay_transno() : 0));
    begun_ = true;
    if (TargetObserver* o = target.node().observer())
        o->on_transaction(target, *request_, transno_);
    return kOk;
}

void Transaction::complete(Status status, Bytes* body)
{
    LULL_ASSERT(!done_);
    done_ = true;
    auto& target = static_cast<TargetImpl&>(target_);
    if (begun_) {
        if (request_->info().slot) {
            TargetExport* client = TargetExport::of(*request_->exp);
            slot.xid = request_->xid();
            slot.transno = transno_;
            slot.status = status.error();
            slot.opcode = static_cast<uint16_t>(request_->opcode());
            // The record last: if it survived a crash, so did the steps before it.
            if (client->slots.put(request_->slot(), slot, body)) {
                Status s = write_slot(target.store(), request_->exp->client_uuid(),
                                      request_->slot(), slot);
                if (!s.ok())
                    log_err(
                        "%s: reply slot of %s not recorded (error %d): "
                        "a crash now may execute %s twice",
                        target.name(), request_->exp->client_uuid().c_str(), s.error(),
                        request_->info().name);
            }
        }
        if (TargetObserver* o = target.node().observer())
            o->on_executed(target, *request_, transno_);
        target.commit_.end(transno_);
        request_->set_transno(transno_);
        request_->set_versions(slot.versions);
    }
    request_->set_last_committed(target.last_committed());
    if (!status.ok()) return request_->reply_error(status);
    EncodedBody encoded{*body};
    request_->reply(encoded);
}

}  // namespace lull
