// SPDX-License-Identifier: GPL-2.0-only
/* Imports as parameters show them. */
#include "ptlrpc/import_impl.h"
#include "ptlrpc/import_params.h"

namespace lull {

namespace {
constexpr uint64_t kRecoverDeadlineMs = 120000;
using ull = unsigned long long;

const char* to_string(Gate::State s)
{
    constexpr const char* kNames[] = {"open", "closing", "parked", "shut"};
    return kNames[static_cast<size_t>(s)];
}
}  // namespace

void ImportImpl::describe(TextSink& out) const
{
    MutexLock lock(lock_);
    out.printf(
        "import:\n    target: %s\n    client_uuid: %s\n    state: %s\n    instance: %llu\n    "
        "protocol: %u\n",
        name(), options_.client_uuid.c_str(), to_string(state_), static_cast<ull>(instance_),
        protocol_);
    out.printf(
        "    connect_flags: [%s%s%s ]\n", granted_flags_ & kConnectUpdateLock ? " update_lock" : "",
        granted_flags_ & kConnectMds ? " mds" : "", granted_flags_ & kConnectLight ? " light" : "");
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

Status show_import(const Import& import, TextSink& out)
{
    import.describe(out);
    return out.status();
}

Status store_import(Import& import, Str value)
{
    Nid nid;
    constexpr Str kConnection("connection=");
    if (value.starts_with(kConnection))
        nid = TRY(parse_nid(value.substr(kConnection.size())));
    else if (!(value == Str("recover")))
        return -kEINVAL;
    return import.recover_now(nid, deadline_after_ms(kRecoverDeadlineMs));
}

Status show_import_state(const Import& import, TextSink& out)
{
    out.printf("%s\n", to_string(import.state()));
    return out.status();
}

Status show_import_stats(const Import& import, TextSink& out)
{
    ImportStats s = import.stats();
    out.printf(
        "requests: %llu\nreplays: %llu\nopen_replays: %llu\nresends: %llu\nevictions: "
        "%llu\nreconnects: %llu\nparked: %llu\n",
        static_cast<ull>(s.requests), static_cast<ull>(s.replays), static_cast<ull>(s.open_replays),
        static_cast<ull>(s.resends), static_cast<ull>(s.evictions), static_cast<ull>(s.reconnects),
        static_cast<ull>(s.parked));
    return out.status();
}

Status show_gate(Gate& gate, TextSink& out)
{
    out.printf("state: %s\nreasons: %u\nwaiting: %u\nlongest_pause_ms: %llu\n",
               to_string(gate.state()), gate.reasons(), gate.waiting(),
               static_cast<ull>(gate.longest_wait_ns() / kMsec));
    return out.status();
}

Status store_gate(Gate& gate, Str value)
{
    if (TRY(parse_u64(value)) != 0) return -kEINVAL;
    gate.reset_longest_wait();
    return kOk;
}

}  // namespace lull
