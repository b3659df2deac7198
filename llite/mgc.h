/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A mount's connection to the MGS: for the configuration, and to be told where a target has started
 * (R5). What was missed while it was away, or while the MGS was, is asked for after each reconnect;
 * nobody waits for that. An MGS that is dead does no harm: the imports find their targets by
 * themselves.
 *
 * Life: create() → import().connect() → … → close(), after which the owner is not called any more.
 */
#pragma once
#include "include/lull/ops_mgs.h"
#include "ptlrpc/node.h"

namespace lull {

class MgcOwner {
public:
    // In a task of the Mgc, of its import or a service task; must not block for long.
    virtual void on_target_at(const TargetPlace& place) = 0;
    // What an administrator has told of some OSTs; the others are as ever. In the task of the Mgc.
    virtual void on_settings(const MgsSettingsReply& settings) = 0;
    virtual void on_mgs_full(bool first_of_instance) = 0;
    virtual void on_freeze_wanted(uint64_t handle) = 0;  // T5

protected:
    ~MgcOwner() = default;
};

class Mgc final : ImportClient {
public:
    static Result<Owned<Mgc>> create(Node& node, ImportOptions options, Str fsname,
                                     MgcOwner& owner);
    Mgc(Str fsname, MgcOwner& owner) : fsname_(fsname), owner_(owner), state_(LockRank::kLeaf) {}
    virtual ~Mgc() { close(); }
    Import& import() { return *import_; }
    void close();
    void ask_again();  // in its task
    // Null: no memory, or an MGS that knows none.
    Ref<Call<MgsSettingsOp>> fetch_settings();

private:
    struct State {
        bool ask = false, stop = false;
    };
    void task();
    void ask();
    void on_full(const ConnectReply& reply, bool first) override;
    void on_callback(Opcode opcode, Decoder& body) override;

    const Text<32> fsname_;
    MgcOwner& owner_;
    Ref<Import> import_;
    Guarded<State> state_;
    CondVar changed_;
    Task task_;
};

}  // namespace lull
