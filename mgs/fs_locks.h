/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file-system-wide active lock (T5): every client holds it in PR while it may send requests to
 * any target of the file system. "fs_freeze" wants it in EX: each holder is asked once, stops,
 * writes back, commits on every target and gives it back. When nobody holds it the file system is
 * frozen: all its servers can be shut down at once, each with nothing left to drain. "fs_thaw", or
 * the next instance of this MGS, ends that.
 *
 *   state     event                       next      what happens
 *   open      freeze                      freezing  one callback to each holder
 *   freezing, frozen  asked for the lock  freezing  by a client that goes on, a new one or one of
 *                                                   before a restart: it gets the lock and is asked
 *                                                   for it; who has given it back waits
 *   freezing  last holder gave back/gone  frozen
 *   freezing, frozen  thaw                open      whoever waits gets the lock
 *
 * In memory only: an MGS that restarts has no holders, and clients that could not reach it in
 * between go on as they were. So nothing is called frozen before the clients of the life before had
 * time to return. A client that is dead is not waited for longer than the MGS takes to notice that
 * it is gone.
 *
 * Locking: state_ (outside of an export's); nothing is sent with it held.
 */
#pragma once
#include "include/lull/ops_mgs.h"
#include "ptlrpc/params.h"
#include "ptlrpc/server_request.h"

namespace lull {

class FsLocks {
public:
    FsLocks() : state_(LockRank::kOfd) {}  // as the registry: the MGS runs nothing of an OST
    // Once, before anything else: who was a client of the life before is back, or gone, by then.
    void expect_clients_until(uint64_t ns) { all_back_ns_ = ns; }
    void enqueue(Ref<ServerRequest> request, Str fsname);  // answers, perhaps later
    void release(Export& client, Str fsname);
    void gone(Export& client);
    Status freeze(Str fsname);  // -EALREADY
    Status thaw(Str fsname);    // -EALREADY: it is open
    void drop();                // the MGS stops: nobody is answered any more
    void show(TextSink& out) const;

private:
    static constexpr size_t kNamesShown = 32;
    struct Holder {
        Ref<Export> client;
        uint64_t handle = 0;
    };
    struct Fs {
        Text<32> name;
        bool wanted = false;
        Vec<Holder> holders;
        Vec<Ref<Export>> stopped;  // gave it back since it is wanted
        Vec<Ref<ServerRequest>> waiting;
    };
    struct State {
        Vec<Owned<Fs>> all;
        uint64_t last_handle = 0;
    };
    static Result<Fs*> find(State& s, Str fsname);
    static bool remove(Fs& fs, Export& client);
    static bool is_stopped(const Fs& fs, const Export& client);
    static Result<uint64_t> grant(State& s, Fs& fs, const Ref<Export>& client);
    bool is_frozen(const Fs& fs) const;
    void told_if_frozen(const Fs& fs) const;
    static void ask_for(Call<MgsFsWanted>* call, const Holder& holder);
    Guarded<State> mutable state_;
    uint64_t all_back_ns_ = 0;
};

}  // namespace lull
