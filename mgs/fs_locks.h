/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file-system-wide active lock (T5): every client holds it in PR while it may send requests to
 * any target of the file system. "fs_freeze" wants it in EX: each holder is asked once, stops,
 * writes back, commits on every target and gives it back. When nobody holds it the file system is
 * frozen: all its servers can be shut down at once, each with nothing left to drain. "fs_thaw", or
 * the next instance of this MGS, ends that.
 *
 *   state     event                       next      what happens
 *   open      freeze                      freezing  one callback to each holder; whoever asks for
 *                                                   the lock waits
 *   freezing  last holder gave back/gone  frozen
 *   freezing, frozen  thaw                open      whoever waits gets the lock
 *
 * In memory only: an MGS that restarts has no holders, and clients that could not reach it in
 * between go on as they were. A client that is dead is not waited for longer than the MGS takes to
 * notice that it is gone.
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
        Vec<Ref<ServerRequest>> waiting;
    };
    struct State {
        Vec<Owned<Fs>> all;
        uint64_t last_handle = 0;
    };
    static Result<Fs*> find(State& s, Str fsname);
    static bool remove(Fs& fs, Export& client);
    static Result<uint64_t> grant(State& s, Fs& fs, const Ref<Export>& client);
    static void told_if_frozen(const Fs& fs);
    Guarded<State> mutable state_;
};

}  // namespace lull
