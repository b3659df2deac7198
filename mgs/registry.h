/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the configuration server knows: one registration for each target of each file system, in
 * memory and as a small text file CONFIGS/<target> ("key=value" lines). The text form and the
 * checks stand alone. An OST that was removed leaves a file that says so, and keeps its index.
 *
 * Errors of register_target: -EINVAL (names that do not fit), -EADDRINUSE (another target has this
 * name), -ESTALE (removed), the store's.
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
    bool active = true;  // TargetSettings
    uint32_t max_create_count = TargetSettings::kMaxCreateCount;
    bool removed = false;
    // Of an OST, as an MDT has told: it may have objects there, for good. A former life of the MDT
    // may be the first that tells an MGS which has been restarted.
    bool used = false;
    // Not on disk: where it runs, and whether the MDT has told since the MGS has started.
    uint32_t nid = 0;
    uint64_t instance = 0;
    bool told = false;
    uint64_t started_ns = 0;  // when it said where it runs
    bool warned = false;

    bool is_ost() const { return target.kind == static_cast<uint8_t>(TargetKind::kOst); }
};

// "lull" + OST 1 = "lull-OST0001".
TargetName target_name_of(Str fsname, TargetKind kind, uint32_t index);
Status check_registration(const MgsRegisterOp& op);
Status registration_to_text(const Registration& r, TextSink& out);
Result<Owned<Registration>> registration_from_text(Str text);  // -EINVAL
// One setting, as Lustre's conf_param and set_param -P have it: lull-OST0001.osc.active=0,
// osp.lull-OST0001*.max_create_count=0. -EINVAL.
struct SettingText {
    Str target, key;
    uint32_t value = 0;
};
Status parse_setting(Str text, SettingText* out);
Status set_setting(const SettingText& setting, Registration* r);

class Registry {
public:
    static constexpr size_t kTargetsMax = 4096;
    // An OST that has started, and that the MDT has not reached by then, is named in the log.
    static constexpr uint64_t kReachedNs = 15 * kSec;
    explicit Registry(Store& store) : store_(store) {}
    Status load();  // a file that cannot be understood is named in the log and fails the start
    // *moved: it runs as an instance that was not known.
    Status register_target(const MgsRegisterOp& op, bool* moved);
    Status config(Str fsname, MgsConfigReply* out);  // -ENOENT
    bool knows(Str fsname);
    Status settings(Str fsname, MgsSettingsReply* out);
    // -ENOENT: no such OST. *what: of which file system and target.
    Status change(Str text, MgsTargetAt* what);
    // An OST that the MDT uses stays used. -ESTALE: of a former life of the MDT.
    Status note_used(const MgsOstsUsedOp& op);
    // "lull-OST0001", for good, with *what as above. -EINVAL: no OST; -ENOENT; -EBUSY: files may
    // have objects there; -EAGAIN: the MDT has not told yet. "lull-OST0001 force" asks for neither,
    // but -EPERM: it has to be inactive.
    Status remove(Str text, MgsTargetAt* what);
    void show_removed(TextSink& out);  // one line for each
    void show_settings(TextSink& out);
    void show(TextSink& out);  // one line for each target
    void show_filesystems(TextSink& out);

private:
    struct Teller {  // an MDT of which file system has told which OSTs it uses
        Text<32> fsname;
        uint64_t instance = 0;
    };
    struct Table : Vec<Owned<Registration>> {
        Vec<Teller> tellers;
    };
    static bool note_place(Registration& r, const MgsRegisterOp& op);
    static Result<Teller*> teller(Table& table, Str fsname);
    static Owned<Registration>* find(Table& table, Str name);  // null, too, if it was removed
    static Status may_remove(const Registration& r, bool force);
    Status note_used(Registration& r);
    static void warn_if_not_reached(Registration& r);
    Status save(const Registration& r);
    Store& store_;
    // The mgs runs nothing of an OST: this rank is free for it, and outside of the store's.
    Guarded<Table> table_{LockRank::kOfd};
};

}  // namespace lull
