// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clients of a target: what the target layer keeps for each export, and the table of them by
 * client uuid.
 */
#pragma once
#include "target/slots.h"

namespace lull {

// Lives in Export::data[kTargetData].
struct TargetExport final : ExportData {
    explicit TargetExport(Export& e) : exp(e) {}
    Export& exp;
    Slots slots;
    bool light = false;
    ConnectResult first_result = ConnectResult::kNew;
    bool version_changed = false;
    uint64_t grant_bytes = 0;
    std::atomic<bool> durable{false};  // its record is on disk, its connect may be answered
    std::atomic<bool> settled{true};   // kResume: has re-opened what it needs
    // it was away when a shutdown drained: it resumes at the next instance (T7)
    std::atomic<bool> let_go{false};
    std::atomic<uint64_t> progress_ns{0};  // see Target::note_progress()
    // what its last ping that told of it said is not yet written back, and when; 0: never
    std::atomic<uint64_t> dirty_bytes{0}, dirty_said_ns{0};
    SetHook hook;

    static TargetExport* of(const Export& e)
    {
        return static_cast<TargetExport*>(e.data[Export::kTargetData].get());
    }
};

class Exports {
public:
    Exports() : table_(LockRank::kTarget) {}
    ~Exports() { clear(); }

    void add(Ref<Export> exp);  // its TargetExport is set; the uuid is not in the table
    bool remove(Export& exp);   // false: it was not there
    Ref<Export> find(Str uuid) const;
    Status list(Vec<Ref<Export>>* out) const;  // by uuid
    size_t size() const { return table_.lock()->size(); }
    void clear();

private:
    struct Uuid {
        using type = Str;
        Str operator()(const TargetExport& t) const { return t.exp.client_uuid(); }
    };
    using Hook = bi::member_hook<TargetExport, SetHook, &TargetExport::hook>;
    // one reference to each export
    using Table = bi::set<TargetExport, Hook, bi::key_of_value<Uuid>>;
    mutable Guarded<Table> table_;
};

}  // namespace lull
