// SPDX-License-Identifier: GPL-2.0-only
#include "mgs/fs_locks.h"

#include "kapi/log.h"
#include "ptlrpc/export.h"

namespace lull {

Result<FsLocks::Fs*> FsLocks::find(State& s, Str fsname)
{
    for (Owned<Fs>& fs : s.all)
        if (fs->name == fsname) return fs.get();
    auto fresh = make<Fs>();
    if (!fresh) return -kENOMEM;
    fresh->name = fsname;
    Fs* fs = fresh.get();
    TRY(s.all.push_back(std::move(fresh)));
    return fs;
}

bool FsLocks::remove(Fs& fs, Export& client)
{
    for (size_t i = 0; i < fs.holders.size(); i++) {
        if (fs.holders[i].client.get() != &client) continue;
        fs.holders.erase_at(i);
        return true;
    }
    return false;
}

// Asked again by a holder (its answer was lost): the same lock.
Result<uint64_t> FsLocks::grant(State& s, Fs& fs, const Ref<Export>& client)
{
    for (Holder& h : fs.holders)
        if (h.client.get() == client.get()) return h.handle;
    TRY(fs.holders.push_back(Holder{client, s.last_handle + 1}));
    return ++s.last_handle;
}

void FsLocks::told_if_frozen(const Fs& fs)
{
    if (fs.wanted && fs.holders.empty())
        log_notice("MGS: %s is frozen: no client sends anything to its targets", fs.name.c_str());
}

void FsLocks::enqueue(Ref<ServerRequest> request, Str fsname)
{
    MgsFsLockReply reply;
    Status s;
    {
        auto state = state_.lock();
        auto fs = find(*state, fsname);
        if (!fs.ok()) {
            s = fs.status();
        } else if (fs.value()->wanted) {
            s = fs.value()->waiting.push_back(request);
            if (s.ok()) return;
        } else {
            auto handle = grant(*state, *fs.value(), request->exp);
            s = handle.status();
            if (s.ok()) reply.handle = handle.value();
        }
    }
    if (s.ok()) request->reply(reply);
    else request->reply_error(s);
}

void FsLocks::release(Export& client, Str fsname)
{
    auto state = state_.lock();
    for (Owned<Fs>& fs : state->all)
        if (fs->name == fsname && remove(*fs, client)) told_if_frozen(*fs);
}

void FsLocks::gone(Export& client)
{
    Vec<Ref<ServerRequest>> dropped;  // freed without the lock
    auto state = state_.lock();
    for (Owned<Fs>& fs : state->all) {
        if (remove(*fs, client)) told_if_frozen(*fs);
        for (size_t i = 0; i < fs->waiting.size();) {
            if (fs->waiting[i]->exp.get() != &client) {
                i++;
                continue;
            }
            (void)dropped.push_back(fs->waiting[i]);
            fs->waiting.erase_at(i);
        }
    }
    state.unlock();
}

Status FsLocks::freeze(Str fsname)
{
    Vec<Holder> told;
    auto call = make_ref<Call<MgsFsWanted>>();
    if (!call) return -kENOMEM;
    {
        auto state = state_.lock();
        Fs* fs = TRY(find(*state, fsname));
        if (fs->wanted) return -kEALREADY;
        for (Holder& h : fs->holders) TRY(told.push_back(h));
        fs->wanted = true;
        told_if_frozen(*fs);
    }
    log_notice("MGS: freezing %.*s: %zu clients are asked", static_cast<int>(fsname.size()),
               fsname.data(), told.size());
    call->op.fsname = fsname;
    for (Holder& h : told) {
        call->op.handle = h.handle;
        (void)h.client->post(*call);
    }
    return kOk;
}

Status FsLocks::thaw(Str fsname)
{
    Vec<Ref<ServerRequest>> waiting;
    {
        auto state = state_.lock();
        Fs* fs = TRY(find(*state, fsname));
        if (!fs->wanted) return -kEALREADY;
        fs->wanted = false;
        waiting.swap(fs->waiting);
    }
    log_notice("MGS: %.*s goes on", static_cast<int>(fsname.size()), fsname.data());
    for (Ref<ServerRequest>& request : waiting) enqueue(request, fsname);
    return kOk;
}

void FsLocks::drop()
{
    Vec<Owned<Fs>> all;
    state_.lock()->all.swap(all);
}

void FsLocks::show(TextSink& out) const
{
    auto state = state_.lock();
    for (const Owned<Fs>& fs : state->all) {
        const char* name = !fs->wanted ? "open" : fs->holders.empty() ? "frozen" : "freezing";
        out.printf("%s: %s\n  holders: %zu\n  waiting: %zu\n", fs->name.c_str(), name,
                   fs->holders.size(), fs->waiting.size());
        if (!fs->wanted || fs->holders.empty()) continue;
        out.printf("  waiting_for:");
        for (size_t i = 0; i < fs->holders.size() && i < kNamesShown; i++)
            out.printf(" %s", fs->holders[i].client->nodename().c_str());
        out.printf("\n");
    }
}

}  // namespace lull
