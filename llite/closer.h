/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Closes of files that find the MDT's gate closed. close(2) neither waits there nor sends into a
 * target that is about to halt (it would have to be sent again to the next instance): the open
 * stays in force, is saved and replayed like any other, and is closed once the gate is open.
 * Unmounting does not wait for them: disconnecting closes everything.
 *
 * Limit: as many as there were open files; each is the file's own memory. Requirements: A8, S8,
 * invariant 4.
 */
#pragma once
#include "ptlrpc/import.h"

namespace lull {

class File;

class Closer {
public:
    static constexpr uint64_t kRetryNs = 10 * kMsec;

    explicit Closer(Import& import) : import_(import), state_(LockRank::kLliteMount) {}
    ~Closer();
    Status start() { return task_.start<&Closer::run>(this, "lull_closer"); }
    void add(Owned<File> file);
    void stop();  // the import was closed: what waits is dropped
    size_t waiting() { return state_.lock()->count; }
    bool is_busy();
    // Until every close that was added is done; -ERESTARTSYS. The caller holds no gate.
    Status wait_idle();

private:
    struct State {
        File* first = nullptr;  // owned, linked by File::next_
        File* last = nullptr;
        size_t count = 0;
        bool stopping = false, sending = false;
    };
    Owned<File> next();
    void send(Owned<File> file);
    void sent();
    void run();
    Import& import_;
    Guarded<State> state_;
    CondVar changed_;
    Task task_;
};

}  // namespace lull
