// SPDX-License-Identifier: GPL-2.0-only
/* What the shutdown's state machine asks of a real target. */
#pragma once
#include "target/shutdown.h"
#include "target/target.h"

namespace lull {

class TargetImpl;

class TargetShutdownEnv final : public ShutdownEnv {
public:
    explicit TargetShutdownEnv(TargetImpl& target) : target_(target), withheld_(LockRank::kTarget)
    {}

    void begin_warm() override;
    bool is_warm() override;
    bool all_heard() override;
    void evict_unheard() override;
    void refuse_connections(bool on) override;
    void park(bool on) override;
    Status begin_exclusive() override;
    Status wait_exclusive(uint64_t deadline_ns) override;
    void end_exclusive() override;
    size_t evict_late(uint64_t progress_since_ns) override;
    size_t holders() override;
    void name_holders(Text<256>* names);  // some of them, as fit
    Status commit_all() override;
    Status write_clean_record(const ShutdownPhases& so_far) override;
    Status erase_clean_record() override;
    void release_cancels(bool committed) override;
    void halt() override;

    // The cancel of an active lock: its reply waits for release_cancels(). False: nothing is shut
    // down, answer it.
    bool withhold(Ref<ServerRequest> request);
    // For the status.
    struct Drain {
        size_t told = 0, late = 0;  // clients that held the lock at the beginning; evicted
        // connected without the feature: for them this is a restart like any other (S1)
        size_t deaf = 0;
        // silent: not heard of since the warm-up asked for it
        Text<256> late_names, deaf_names, silent_names;
    };
    Drain drain() const { return withheld_.lock()->drain; }

private:
    struct State {
        bool withholding = false;
        Vec<Ref<ServerRequest>> cancels;
        Drain drain;
    };
    Status freeze();
    void thaw();
    void report_deaf(Drain& drain);
    void forget_unheard();
    void give_up(Export& exp, const char* why);
    void let_go_of_absent(Export& exp);
    TargetImpl& target_;
    mutable Guarded<State> withheld_;
    // The shutdown task's own.
    bool is_frozen_ = false;
    Vec<Ref<Export>> asked_, unheard_;  // asked at asked_ns_; silent since
    uint64_t asked_ns_ = 0;
    // the least that was dirty since then, as far as clients say, and when it was that
    uint64_t least_dirty_ = 0, least_at_ns_ = 0;
};

}  // namespace lull
