// SPDX-License-Identifier: GPL-2.0-only
// Parameters that mdc and osc devices have in common.
#include "mdc/target_client.h"

namespace lull::target_client_params {

static TargetClient& self(void* object) { return *static_cast<TargetClient*>(object); }

static const char* gate_state(Gate::State s)
{
    switch (s) {
    case Gate::State::kOpen: return "open";
    case Gate::State::kClosing: return "closing";
    case Gate::State::kParked: return "parked";
    case Gate::State::kShut: return "shut";
    }
    return "?";
}

Status show_import(void* object, TextSink& out)
{
    self(object).import().describe(out);
    return out.status();
}

Status show_state(void* object, TextSink& out)
{
    Import& import = self(object).import();
    out.printf("%s", to_string(import.state()));
    return out.status();
}

Status show_timeouts(void* object, TextSink& out)
{
    self(object).import().describe_timeouts(out);
    return out.status();
}

Status store_recover(void* object, Str value)
{
    return recover_as_told(self(object).import(), value);
}

Status show_active_lock(void* object, TextSink& out)
{
    ActiveLock& active = self(object).active_lock();
    out.printf("state: %s\ngrants: %llu\n", to_string(active.state()),
               static_cast<unsigned long long>(active.grants()));
    return out.status();
}

Status show_gate(void* object, TextSink& out)
{
    Gate& gate = self(object).import().gate();
    uint32_t reasons = gate.reasons();
    out.printf("state: %s\nreasons:%s%s%s\nwaiting: %u\nlongest_pause_ms: %llu\n",
               gate_state(gate.state()), reasons & Gate::kActiveLock ? " active_lock" : "",
               reasons & Gate::kBarrier ? " barrier" : "",
               reasons & Gate::kFileSystem ? " file_system" : "", gate.waiting(),
               static_cast<unsigned long long>(gate.longest_wait_ns() / kMsec));
    return out.status();
}

Status store_gate(void* object, Str value)
{
    if (TRY(parse_u64(value)) != 0) return -kEINVAL;
    self(object).import().gate().reset_longest_wait();
    return kOk;
}

Status show_barrier(void* object, TextSink& out)
{
    out.printf("%d", self(object).barrier() ? 1 : 0);
    return out.status();
}

Status store_barrier(void* object, Str value)
{
    uint64_t on = TRY(parse_u64(value));
    if (on > 1) return -kEINVAL;
    return self(object).set_barrier(on == 1);
}

Status show_ldlm(void* object, TextSink& out)
{
    LdlmClient& locks = self(object).locks();
    out.printf("locks: %zu\nlru_size: %u\n", locks.lock_count(), locks.lru_size());
    return out.status();
}

Status show_stats(void* object, TextSink& out)
{
    Import& import = self(object).import();
    ImportStats s = import.stats();
    using ull = unsigned long long;
    out.printf("requests: %llu\nreplays: %llu\nopen_replays: %llu\nresends: %llu\n",
               static_cast<ull>(s.requests), static_cast<ull>(s.replays),
               static_cast<ull>(s.open_replays), static_cast<ull>(s.resends));
    out.printf(
        "evictions: %llu\nreconnects: %llu\nparked: %llu\nkept_opens: %zu\nkept_replays: %zu\n",
        static_cast<ull>(s.evictions), static_cast<ull>(s.reconnects), static_cast<ull>(s.parked),
        import.replay_count(true), import.replay_count(false));
    return out.status();
}

static Status show_lru_size(void* object, TextSink& out)
{
    out.printf("%u", self(object).locks().lru_size());
    return out.status();
}

static Status store_lru_size(void* object, Str value)
{
    uint64_t n = TRY(parse_u64(value));
    if (n > 1000000) return -kERANGE;
    self(object).locks().set_lru_size(static_cast<uint32_t>(n));
    return kOk;
}

static Status show_lock_count(void* object, TextSink& out)
{
    out.printf("%zu", self(object).locks().lock_count());
    return out.status();
}

const Param kNamespaceParams[2] = {
    {"lru_size", show_lru_size, store_lru_size},
    {"lock_count", show_lock_count, nullptr},
};

}  // namespace lull::target_client_params
