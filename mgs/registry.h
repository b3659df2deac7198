/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the configuration server knows: one registration for each target of each file system, in
 * memory and as a small text file CONFIGS/<target> ("key=value" lines). The text form and the
 * checks stand alone.
 *
 * Errors of register_target: -EINVAL (names that do not fit), -EADDRINUSE (another target has this
 * name), the store's.
 */
#pragma once
#include "include/lull/ops_mgs.h"
#include "osd/store.h"
#include "ptlrpc/params.h"

namespace lull {

struct Registration {
    Text<32> fsname;
    TargetConfig target;
    UuidText uuid;
    uint32_t nid = 0;  // where it runs; not on disk
    uint64_t instance = 0;
};

// "lull" + OST 1 = "lull-OST0001".
TargetName target_name_of(Str fsname, TargetKind kind, uint32_t index);
Status check_registration(const MgsRegisterOp& op);
Status registration_to_text(const Registration& r, TextSink& out);
Result<Owned<Registration>> registration_from_text(Str text);  // -EINVAL

class Registry {
public:
    static constexpr size_t kTargetsMax = 4096;
    explicit Registry(Store& store) : store_(store) {}
    Status load();  // a file that cannot be understood is named in the log and fails the start
    // *moved: it runs as an instance that was not known.
    Status register_target(const MgsRegisterOp& op, bool* moved);
    Status config(Str fsname, MgsConfigReply* out);  // -ENOENT
    bool knows(Str fsname);
    void show(TextSink& out);  // one line for each target
    void show_filesystems(TextSink& out);

private:
    using Table = Vec<Owned<Registration>>;
    static bool note_place(Registration& r, const MgsRegisterOp& op);
    Status save(const Registration& r);
    Store& store_;
    // The mgs runs nothing of an OST: this rank is free for it, and outside of the store's.
    Guarded<Table> table_{LockRank::kOfd};
};

}  // namespace lull
