// SPDX-License-Identifier: GPL-2.0-only
#include "mgs/fs_locks.h"

#include "kapi/log.h"
#include "ptlrpc/export.h"

namespace lull {
namespace {

Ref<Call<MgsFsWanted>> new_wanted(Str fsname)
{
    auto call = make_ref<Call<MgsFsWanted>>();
    if (call) call->op.fsname = fsname;
    return call;
}

}  // namespace

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

bool FsLocks::is_stopped(const Fs& fs, const Export& client)
{
    for (const Ref<Export>& stopped : fs.stopped)
        if (stopped.get() == &client) return true;
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

bool FsLocks::is_frozen(const Fs& fs) const
{
    return fs.wanted && fs.holders.empty() && now_ns() >= all_back_ns_;
}

void FsLocks::told_if_frozen(const Fs& fs) const
{
    if (is_frozen(fs))
        log_notice("MGS: %s is frozen: no client sends anything to its targets", fs.name.c_str());
}

void FsLocks::enqueue(Ref<ServerRequest> request, Str fsname)
{
    MgsFsLockReply reply;
    Ref<Export> client = request->exp;
    bool wanted = false;
    Status s;
    {
        auto state = state_.lock();
        auto fs = find(*state, fsname);
        if (fs.ok()) wanted = fs.value()->wanted;
        if (!fs.ok()) {
            s = fs.status();
        } else if (wanted && is_stopped(*fs.value(), *client)) {
            s = fs.value()->waiting.push_back(request);
            if (s.ok()) return;
        } else {
            auto handle = grant(*state, *fs.value(), client);
            s = handle.status();
            if (s.ok()) reply.handle = handle.value();
        }
    }
    if (!s.ok()) return request->reply_error(s);
    request->reply(reply);
    if (wanted) ask_for(new_wanted(fsname).get(), {client, reply.handle});
}

// No call: there was no memory for one. It is not asked, and the file system goes on freezing until
// a thaw.
void FsLocks::ask_for(Call<MgsFsWanted>* call, const Holder& holder)
{
    if (!call) return;
    call->op.handle = holder.handle;
    (void)holder.client->post(*call);
}

void FsLocks::release(Export& client, Str fsname)
{
    auto state = state_.lock();
    for (Owned<Fs>& fs : state->all) {
        if (fs->name != fsname || !remove(*fs, client)) continue;
        if (fs->wanted && !is_stopped(*fs, client))
            (void)fs->stopped.push_back(Ref<Export>(&client));  // else it is asked once more
        told_if_frozen(*fs);
    }
}

void FsLocks::gone(Export& client)
{
    Vec<Ref<ServerRequest>> dropped;  // freed without the lock
    auto state = state_.lock();
    for (Owned<Fs>& fs : state->all) {
        if (remove(*fs, client)) told_if_frozen(*fs);
        for (size_t i = fs->stopped.size(); i-- > 0;)
            if (fs->stopped[i].get() == &client) fs->stopped.erase_at(i);
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
    auto call = new_wanted(fsname);
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
    for (Holder& h : told) ask_for(call.get(), h);
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
        fs->stopped.clear();
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
        const char* name = !fs->wanted ? "open" : is_frozen(*fs) ? "frozen" : "freezing";
        out.printf("%s: %s\n  holders: %zu\n  waiting: %zu\n", fs->name.c_str(), name,
                   fs->holders.size(), fs->waiting.size());
        uint64_t now = now_ns();
        if (fs->wanted && now < all_back_ns_)
            out.printf("  clients_may_return_for_s: %llu\n",
                       static_cast<unsigned long long>((all_back_ns_ - now) / kSec + 1));
        if (!fs->wanted || fs->holders.empty()) continue;
        out.printf("  waiting_for:");
        for (size_t i = 0; i < fs->holders.size() && i < kNamesShown; i++)
            out.printf(" %s", fs->holders[i].client->nodename().c_str());
        out.printf("\n");
    }
}

}  // namespace lull
