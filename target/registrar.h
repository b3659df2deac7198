// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells the MGS where a target is. The mount waits for the answer, because the name may be taken
 * (-EADDRINUSE), or the target removed (-ESTALE): at the very first start for kFirstTryMs, later
 * for kKnownTryMs. When no MGS answers in time, a task repeats it until it has succeeded once or
 * was refused. It says where the target runs and as which instance, too, so that the MGS can tell
 * the clients (R5).
 *
 * An OST that is registered for the first time waits for the MDT to connect back, for kReachedMs at
 * most: whoever mounts one that nobody can reach is told so. Nobody waits where no MDT is known.
 */
#pragma once
#include "osd/store.h"
#include "ptlrpc/node.h"
#include "target/target.h"

namespace lull {

class Registrar {
public:
    static constexpr uint64_t kFirstTryMs = 10000, kKnownTryMs = 1000, kTryMs = 20000,
                              kRetryMs = 5000;
    // Longer than an MDT takes that was not told, and asks (OstPool::kRefreshMs).
    static constexpr uint64_t kReachedMs = 15000, kLookMs = 20;

    explicit Registrar(Target& target)
        : target_(target), node_(target.node()), store_(target.store()),
          identity_(target.identity()), instance_(target.instance()), state_(LockRank::kTarget)
    {}
    ~Registrar() { stop(); }

    // -EADDRINUSE, -ESTALE with *why: refused. An MGS that cannot be reached is no error: the task
    // goes on. Without an error *why is what whoever mounts it should know.
    Status start(Text<200>* why);
    void stop();

private:
    struct State {
        bool stop = false;
        Ref<Import> import;
    };
    Status attempt(uint64_t patience_ms);
    Status fill(MgsRegisterOp* op);
    Status options(ImportOptions* out);
    Status connect_and_call(Import& import, uint64_t patience_ms);
    void run();
    bool registered_before();
    bool is_service_node() const;
    void warn_if_lost(Text<200>* why);
    Status ask_for_mdt(Import& mgc);
    bool is_reached() const;
    void warn_if_not_reached(Text<200>* why);

    Target& target_;
    Node& node_;
    Store& store_;
    const TargetIdentity& identity_;
    const uint64_t instance_;
    Guarded<State> state_;
    CondVar changed_;
    Task task_;
    bool is_new_ = false;   // to the MGS, as far as is known here
    bool has_mdt_ = false;  // the file system, says the MGS; of an OST that is new
};

}  // namespace lull
