// SPDX-License-Identifier: GPL-2.0-only
/*
 * The configuration server: targets register, clients and MDTs ask where the targets of a file
 * system are. Its clients are light: no locks, no recovery. Nothing here has a transaction number:
 * a registration is durable before it is answered, and idempotent.
 *
 * A target that has started registers, and everybody who is connected is told where it runs (R5),
 * by a task of its own: a client whose connection is stuck delays nobody's registration. Nothing
 * waits for it to arrive; imperative_recovery=0 switches it off.
 */
#include "kapi/log.h"
#include "mgs/fs_locks.h"
#include "mgs/registry.h"
#include "target/target.h"

namespace lull {
namespace {

class MgsService final : public TargetService {
public:
    explicit MgsService(Target& target) : target_(target), registry_(target.store()) {}
    Status start() override
    {
        TRY(registry_.load());
        // Light clients leave no record: whoever was here has to be given the time to return.
        if (target_.instance() > 1)
            fs_locks_.expect_clients_until(deadline_after_ms(evict_after_ms(target_.node())));
        return announcer_.start<&MgsService::announce_task>(this, "mgs_announce");
    }
    void stop() override
    {
        state_.lock()->stop = true;
        changed_.wake_all();
        announcer_.join();
        fs_locks_.drop();
    }
    void execute(Ref<ServerRequest> request) override;
    void evict(Export& exp, const char* why) override { target_.evict(exp, why); }
    void on_export_gone(Export& exp) override { fs_locks_.gone(exp); }
    std::span<const Param> params() const override;
    Registry& registry() { return registry_; }
    FsLocks& fs_locks() { return fs_locks_; }
    Status change_setting(Str text) { return tell_change(text, &Registry::change); }
    Status remove_ost(Str text) { return tell_change(text, &Registry::remove); }
    std::atomic<bool> announces{true};

private:
    struct State {
        Vec<MgsTargetAt> news;
        bool stop = false;
    };
    void announce(const MgsRegisterOp& op);
    void announce_task();
    void tell_everybody(const MgsTargetAt& what);
    Status run(ServerRequest& request);
    Status do_register(ServerRequest& request);
    Status do_config(ServerRequest& request);
    Status do_settings(ServerRequest& request);
    Status do_osts_used(ServerRequest& request);
    Status tell_change(Str text, Status (Registry::*change)(Str text, MgsTargetAt* what));
    Status do_fs_lock(ServerRequest& request);
    Status do_fs_unlock(ServerRequest& request);
    Target& target_;
    Registry registry_;
    FsLocks fs_locks_;
    Guarded<State> state_{LockRank::kLeaf};
    CondVar changed_;
    Task announcer_;
};

void MgsService::execute(Ref<ServerRequest> request)
{
    Status s = run(*request);
    if (!s.ok()) request->reply_error(s);
}

Status MgsService::run(ServerRequest& request)
{
    switch (request.opcode()) {
    case Opcode::kMgsRegister: return do_register(request);
    case Opcode::kMgsConfig: return do_config(request);
    case Opcode::kMgsSettings: return do_settings(request);
    case Opcode::kMgsOstsUsed: return do_osts_used(request);
    case Opcode::kMgsFsLock: return do_fs_lock(request);
    case Opcode::kMgsFsUnlock: return do_fs_unlock(request);
    default: return -kEOPNOTSUPP;
    }
}

Status MgsService::do_register(ServerRequest& request)
{
    Owned<MgsRegisterOp> op = make<MgsRegisterOp>();
    if (!op) return -kENOMEM;
    TRY(request.decode(op.get()));
    bool moved = false;
    TRY(registry_.register_target(*op, &moved));
    Empty reply;
    request.reply(reply);
    if (moved && announces.load()) announce(*op);
    return kOk;
}

// Without memory nobody is told, and clients find the target as they would without an MGS.
void MgsService::announce(const MgsRegisterOp& op)
{
    MgsTargetAt what;
    what.fsname = op.fsname;
    what.place = TargetPlace{op.target.name, op.nid, op.instance};
    (void)state_.lock()->news.push_back(what);
    changed_.wake_all();
}

void MgsService::announce_task()
{
    for (;;) {
        Vec<MgsTargetAt> news;
        {
            auto s = state_.lock();
            (void)s.wait_until(changed_, [&] { return s->stop || !s->news.empty(); });
            if (s->stop) return;
            news.swap(s->news);
        }
        for (const MgsTargetAt& what : news) tell_everybody(what);
    }
}

void MgsService::tell_everybody(const MgsTargetAt& what)
{
    Vec<Ref<Export>> clients;
    auto call = make_ref<Call<MgsTargetAt>>();
    if (!call || !target_.list_exports(&clients).ok()) return;
    call->op = what;
    for (Ref<Export>& client : clients)
        if (!state_.lock()->stop) (void)client->post(*call);
}

Status MgsService::do_config(ServerRequest& request)
{
    MgsConfigOp op;
    TRY(request.decode(&op));
    MgsConfigReply reply;
    TRY(registry_.config(op.fsname, &reply));
    if (!announces.load()) reply.places.clear();
    request.reply(reply);
    return kOk;
}

Status MgsService::do_settings(ServerRequest& request)
{
    MgsSettingsOp op;
    TRY(request.decode(&op));
    MgsSettingsReply reply;
    TRY(registry_.settings(op.fsname, &reply));
    request.reply(reply);
    return kOk;
}

Status MgsService::do_osts_used(ServerRequest& request)
{
    MgsOstsUsedOp op;
    TRY(request.decode(&op));
    TRY(registry_.note_used(op));
    Empty reply;
    request.reply(reply);
    return kOk;
}

// Everybody is told, and asks what it is.
Status MgsService::tell_change(Str text, Status (Registry::*change)(Str text, MgsTargetAt* what))
{
    MgsTargetAt what;
    TRY((registry_.*change)(text, &what));
    TRY(state_.lock()->news.push_back(what));
    changed_.wake_all();
    return kOk;
}

// Answered by fs_locks_, perhaps later.
Status MgsService::do_fs_lock(ServerRequest& request)
{
    MgsFsLockOp op;
    TRY(request.decode(&op));
    if (!registry_.knows(op.fsname)) return -kENOENT;
    fs_locks_.enqueue(Ref<ServerRequest>(&request), op.fsname);
    return kOk;
}

Status MgsService::do_fs_unlock(ServerRequest& request)
{
    MgsFsUnlockOp op;
    TRY(request.decode(&op));
    fs_locks_.release(*request.exp, op.fsname);
    Empty reply;
    request.reply(reply);
    return kOk;
}

Status show_fs_state(void* object, TextSink& out)
{
    static_cast<MgsService*>(object)->fs_locks().show(out);
    return out.status();
}

template <Status (FsLocks::*Act)(Str fsname)> Status store_fs(void* object, Str value)
{
    MgsService& mgs = *static_cast<MgsService*>(object);
    Str fsname = trimmed(value);
    return mgs.registry().knows(fsname) ? (mgs.fs_locks().*Act)(fsname) : Status(-kENOENT);
}

Status show_targets(void* object, TextSink& out)
{
    static_cast<MgsService*>(object)->registry().show(out);
    return out.status();
}

Status show_settings(void* object, TextSink& out)
{
    static_cast<MgsService*>(object)->registry().show_settings(out);
    return out.status();
}

Status store_setting(void* object, Str value)
{
    return static_cast<MgsService*>(object)->change_setting(trimmed(value));
}

Status show_removed(void* object, TextSink& out)
{
    static_cast<MgsService*>(object)->registry().show_removed(out);
    return out.status();
}

Status store_removal(void* object, Str value)
{
    return static_cast<MgsService*>(object)->remove_ost(trimmed(value));
}

Status show_filesystems(void* object, TextSink& out)
{
    static_cast<MgsService*>(object)->registry().show_filesystems(out);
    return out.status();
}

Status show_announces(void* object, TextSink& out)
{
    out.printf("%d\n", static_cast<MgsService*>(object)->announces.load() ? 1 : 0);
    return out.status();
}

Status store_announces(void* object, Str value)
{
    uint64_t on = TRY(parse_u64(value));
    if (on > 1) return -kEINVAL;
    static_cast<MgsService*>(object)->announces.store(on == 1);
    return kOk;
}

constexpr Param kParams[] = {
    {"imperative_recovery", show_announces, store_announces},
    {"fs_freeze", nullptr, store_fs<&FsLocks::freeze>},
    {"fs_thaw", nullptr, store_fs<&FsLocks::thaw>},
    {"fs_state", show_fs_state, nullptr},
    {"targets", show_targets, nullptr},
    {"conf_param", show_settings, store_setting},
    {"del_ost", show_removed, store_removal},
    {"filesystems", show_filesystems, nullptr},
};

std::span<const Param> MgsService::params() const { return kParams; }

}  // namespace

Result<Owned<TargetService>> make_mgs(Target& target)
{
    Owned<MgsService> mgs = make<MgsService>(target);
    if (!mgs) return -kENOMEM;
    return Owned<TargetService>(std::move(mgs));
}

}  // namespace lull
