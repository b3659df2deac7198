// SPDX-License-Identifier: GPL-2.0-only
/* Imports as parameters show them. */
#include "ptlrpc/import_impl.h"

namespace lull {

using ull = unsigned long long;

void ImportImpl::describe(TextSink& out) const
{
    MutexLock lock(lock_);
    out.printf(
        "import:\n    target: %s\n    client_uuid: %s\n    state: %s\n    active: %d\n    "
        "instance: %llu\n    protocol: %u\n",
        name(), options_.client_uuid.c_str(), to_string(state_), active_ ? 1 : 0,
        static_cast<ull>(instance_), protocol_);
    out.printf("    connect_flags: [%s%s%s ]\n",
               granted_flags_ & kConnectUpdateLock ? " update_lock" : "",
               granted_flags_ & kConnectMds ? " mds" : "",
               granted_flags_ & kConnectLight ? " light" : "");
    out.append("    connection:\n        failover_nids: [");
    for (size_t i = 0; i < options_.nids.size(); i++)
        out.printf("%s %s", i ? "," : "", to_text(options_.nids[i]).c_str());
    out.printf(
        " ]\n        current_connection: %s\n        connections: %llu\n        last_error: %d\n",
        current_nid_.is_zero() ? "none" : to_text(current_nid_).c_str(),
        static_cast<ull>(full_count_), last_error_.error());
    out.printf("        quiet_ms: %llu\n",
               connection_ ? static_cast<ull>((now_ns() - last_heard_ns_) / kMsec) : 0ull);
    out.printf("    requests:\n        in_flight: %zu\n        slots: %u\n", sent_.size(),
               slots_granted_);
    out.printf(
        "    transactions:\n        last: %llu\n        committed: %llu\n        kept: %zu\n       "
        " kept_opens: %zu\n"
        "        kept_bytes: %llu\n",
        static_cast<ull>(max_transno_), static_cast<ull>(last_committed_),
        count_replays_locked(false), count_replays_locked(true),
        static_cast<ull>(replay_bulk_bytes_));
    if (!last_recovery_.empty()) out.printf("    last_recovery: \"%s\"\n", last_recovery_.c_str());
}

void ImportImpl::describe_timeouts(TextSink& out) const
{
    MutexLock lock(lock_);
    uint64_t now = now_ns();
    out.printf("last_reply_ms: %llu\n",
               connection_ ? static_cast<ull>((now - last_heard_ns_) / kMsec) : 0ull);
    out.printf("ping_ms: last %llu worst %llu\n", static_cast<ull>(ping_time_.last_ns() / kMsec),
               static_cast<ull>(ping_time_.worst_ns(now, node_.adaptive()) / kMsec));
    out.printf("ping_patience_ms: %llu\nconnect_patience_ms: %llu\n",
               static_cast<ull>(ping_patience_locked() / kMsec),
               static_cast<ull>(connect_patience_locked() / kMsec));
}

}  // namespace lull
