// SPDX-License-Identifier: GPL-2.0-only
#include "llite/mgc.h"

namespace lull {

Result<Owned<Mgc>> Mgc::create(Node& node, ImportOptions options, Str fsname, MgcOwner& owner)
{
    auto mgc = make<Mgc>(fsname, owner);
    if (!mgc) return -kENOMEM;
    mgc->import_ = TRY(Import::create(node, std::move(options), mgc.get()));
    TRY(mgc->task_.start<&Mgc::task>(mgc.get(), "lull_mgc"));
    return mgc;
}

void Mgc::close()
{
    state_.lock()->stop = true;
    changed_.wake_all();
    if (import_) import_->close();  // ends what the task waits for
    task_.join();
}

void Mgc::task()
{
    for (;;) {
        {
            auto s = state_.lock();
            (void)s.wait_until(changed_, [&] { return s->ask || s->stop; });
            if (s->stop) return;
            s->ask = false;
        }
        ask();
    }
}

void Mgc::ask()
{
    auto call = make_ref<Call<MgsConfigOp>>();
    if (!call) return;
    call->op.fsname = fsname_;
    call->reply_wait = WaitMode::kUninterruptible;
    if (!import_->call(*call).ok()) return;
    for (const TargetPlace& place : call->reply.places) owner_.on_target_at(place);
    if (auto settings = fetch_settings()) owner_.on_settings(settings->reply);
}

Ref<Call<MgsSettingsOp>> Mgc::fetch_settings()
{
    auto call = make_ref<Call<MgsSettingsOp>>();
    if (!call) return {};
    call->op.fsname = fsname_;
    call->reply_wait = WaitMode::kUninterruptible;
    if (!import_->call(*call).ok()) return {};
    return call;
}

void Mgc::ask_again()
{
    state_.lock()->ask = true;
    changed_.wake_all();
}

void Mgc::on_full(const ConnectReply& reply, bool first)
{
    // we were away for too long
    bool forgotten = reply.result == static_cast<uint8_t>(ConnectResult::kNew);
    owner_.on_mgs_full(first || forgotten);
    ask_again();
}

void Mgc::on_callback(Opcode opcode, Decoder& body)
{
    if (opcode == Opcode::kMgsTargetAt) {
        MgsTargetAt news;
        news.io(body);
        if (!body.finish().ok() || !(news.fsname == fsname_.str())) return;
        if (news.place.nid) owner_.on_target_at(news.place);
        else ask_again();
    } else if (opcode == Opcode::kMgsFsWanted) {
        MgsFsWanted wanted;
        wanted.io(body);
        if (body.finish().ok() && wanted.fsname == fsname_.str())
            owner_.on_freeze_wanted(wanted.handle);
    }
}

}  // namespace lull
