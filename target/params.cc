// SPDX-License-Identifier: GPL-2.0-only
#include "target/params.h"

#include "target/target_impl.h"

namespace lull {

namespace {

using ull = unsigned long long;

ull ms(uint64_t ns) { return ns / kMsec; }

Result<uint32_t> parse_ms(Str value)
{
    uint64_t v = TRY(parse_u64(trimmed(value)));
    if (v == 0 || v > 86400000) return -kEINVAL;
    return static_cast<uint32_t>(v);
}

}  // namespace

// A friend of the target.
struct TargetParams {
    static TargetImpl& of(void* object) { return *static_cast<TargetImpl*>(object); }

    // Service, store, locks are there while one of these lives.
    class Alive {
    public:
        explicit Alive(TargetImpl& t) : t_(t), ok_(t.alive_.enter()) {}
        ~Alive()
        {
            if (ok_) t_.alive_.leave();
        }
        Status status() const { return ok_ ? kOk : Status(-kESHUTDOWN); }

    private:
        TargetImpl& t_;
        bool ok_;
    };

    template <class Get> static Status number(TextSink& out, Get get)
    {
        out.printf("%llu\n", static_cast<ull>(get));
        return out.status();
    }

    static Status uuid(void* o, TextSink& out)
    {
        out.printf("%s\n", of(o).identity_.uuid.c_str());
        return out.status();
    }
    static Status instance(void* o, TextSink& out) { return number(out, of(o).instance_); }
    static Status last_committed(void* o, TextSink& out)
    {
        return number(out, of(o).last_committed());
    }
    static Status last_transno(void* o, TextSink& out) { return number(out, of(o).last_transno()); }
    static Status store_lost(void* o, TextSink& out)
    {
        return number(out, of(o).store_lost_.load());
    }
    static Status num_exports(void* o, TextSink& out) { return number(out, of(o).exports_.size()); }
    static Status version(void* o, TextSink& out)
    {
        out.printf("%s, protocol 1 to %u\n", kSoftwareVersion, of(o).node_.options().protocol_max);
        return out.status();
    }
    static Status protocol(void* o, TextSink& out)
    {
        return number(out, of(o).node_.options().protocol_max);
    }

    static Status commit_now(void* o, Str)
    {
        Alive alive(of(o));
        TRY(alive.status());
        return of(o).commit();
    }
    static Status commit_interval(void* o, TextSink& out)
    {
        return number(out, of(o).commit_.interval_ms());
    }
    static Status set_commit_interval(void* o, Str value)
    {
        of(o).commit_.set_interval_ms(TRY(parse_ms(value)));
        return kOk;
    }

    static Status exports(void* o, TextSink& out)
    {
        Alive alive(of(o));
        TRY(alive.status());
        Vec<Ref<Export>> list;
        TRY(of(o).exports_.list(&list));
        for (Ref<Export>& e : list)
            out.printf("%s nid=%s nodename=%s locks=%zu connected=%d protocol=%u\n",
                       e->client_uuid().c_str(), to_text(e->peer()).c_str(), e->nodename().c_str(),
                       of(o).ldlm_->export_locks(*e), e->is_connected(), e->protocol());
        return out.status();
    }
    static Status evict_client(void* o, Str value)
    {
        Alive alive(of(o));
        TRY(alive.status());
        value = trimmed(value);
        Vec<Ref<Export>> list;
        TRY(of(o).exports_.list(&list));
        bool by_nid = value.starts_with("nid:");
        Nid nid;
        if (by_nid) nid = TRY(parse_nid(value.substr(4)));
        bool found = false;
        for (Ref<Export>& e : list) {
            if (by_nid ? !(e->peer() == nid) : !(e->client_uuid() == value)) continue;
            of(o).evict(*e, "the administrator said so");
            found = true;
        }
        return found ? kOk : Status(-kENOENT);
    }

    static Status recovery_status(void* o, TextSink& out)
    {
        of(o).recovery_.describe(out);
        if (size_t left = of(o).reservations_.left()) out.printf("reserved_clients: %zu\n", left);
        return out.status();
    }
    static Status recovery_soft(void* o, TextSink& out)
    {
        return number(out, of(o).recovery_.soft_limit_ms());
    }
    static Status recovery_hard(void* o, TextSink& out)
    {
        return number(out, of(o).recovery_.hard_limit_ms());
    }
    static Status set_recovery_soft(void* o, Str v)
    {
        of(o).recovery_.set_limits(TRY(parse_ms(v)), 0);
        return kOk;
    }
    static Status set_recovery_hard(void* o, Str v)
    {
        of(o).recovery_.set_limits(0, TRY(parse_ms(v)));
        return kOk;
    }
    static Status reservation(void* o, TextSink& out)
    {
        return number(out, of(o).reservations_.deadline_ms.load());
    }
    static Status set_reservation(void* o, Str v)
    {
        of(o).reservations_.deadline_ms.store(TRY(parse_ms(v)));
        return kOk;
    }
    static Status abort_recov(void* o, Str)
    {
        if (!of(o).recovering()) return -kEALREADY;
        of(o).recovery_.close();
        return kOk;
    }

    static Status shutdown_state(void* o, TextSink& out)
    {
        out.printf("%s\n", to_string(of(o).shutdown_->state()));
        return out.status();
    }
    static Status set_shutdown(void* o, Str value)
    {
        uint64_t v = TRY(parse_u64(trimmed(value)));
        if (v > 1) return -kEINVAL;
        return v ? of(o).begin_shutdown() : of(o).cancel_shutdown();
    }
    static Status shutdown_status(void* o, TextSink& out)
    {
        TargetImpl& t = of(o);
        ShutdownState state = t.shutdown_->state();
        auto drain = t.shutdown_env_.drain();
        size_t holding = 0, locks = 0;
        Text<256> names;
        {
            Alive alive(t);
            bool draining = state >= ShutdownState::kNotifying && state < ShutdownState::kClean;
            if (alive.status().ok() && draining) {
                holding = t.shutdown_env_.holders();
                t.shutdown_env_.name_holders(&names);
                locks = t.ldlm_->counts().granted;
            }
        }
        out.printf("state: %s\n", to_string(state));
        size_t drained = drain.told >= holding + drain.late ? drain.told - holding - drain.late : 0;
        out.printf("clients_told: %zu\nclients_drained: %zu\nclients_late: %zu\n", drain.told,
                   drained, drain.late);
        if (!drain.silent_names.empty())
            out.printf("not_heard_of:%s\n", drain.silent_names.c_str());
        if (holding) out.printf("waiting_for:%s\nlocks_left: %zu\n", names.c_str(), locks);
        if (drain.late) out.printf("late: %s\n", drain.late_names.c_str());
        if (drain.deaf)
            out.printf("clients_without_update_lock: %zu\nnot_told: %s\n", drain.deaf,
                       drain.deaf_names.c_str());
        ShutdownPhases p = t.shutdown_->phases();
        out.printf("phases_ms: warm %llu notify %llu drain %llu commit %llu halt %llu\n",
                   ms(p.warm), ms(p.notify), ms(p.drain), ms(p.commit), ms(p.halt));
        if (t.previous_.written_at) out.printf("previous: %s\n", t.describe_upgrade().c_str());
        if (auto error = t.shutdown_->last_error(); !error.empty())
            out.printf("last_error: %s\n", error.c_str());
        return out.status();
    }
    // B5: what a shutdown would cost now, without starting it.
    static Status shutdown_estimate(void* o, TextSink& out)
    {
        TargetImpl& t = of(o);
        Alive alive(t);
        TRY(alive.status());
        Vec<Ref<Export>> list;
        TRY(t.exports_.list(&list));
        size_t away = 0;
        for (Ref<Export>& e : list) away += !e->is_connected();
        out.printf("clients: %zu\nclients_away: %zu\nlocks: %zu\n", list.size(), away,
                   t.ldlm_->counts().granted);
        t.service_->estimate(out);
        out.printf("uncommitted_transactions: %s\n", t.commit_.all_committed() ? "no" : "yes");
        out.printf("last_commit_ms: %llu\n", ms(t.commit_.last_took_ns()));
        return out.status();
    }
    static Status warm(void* o, TextSink& out) { return number(out, of(o).tunables_.warm_ms); }
    static Status set_warm(void* o, Str v)
    {
        uint64_t ms = TRY(parse_u64(trimmed(v)));
        if (ms > 600000) return -kEINVAL;
        of(o).tunables_.warm_ms = static_cast<uint32_t>(ms);
        return kOk;
    }
    static Status soft(void* o, TextSink& out) { return number(out, of(o).tunables_.soft_ms); }
    static Status hard(void* o, TextSink& out) { return number(out, of(o).tunables_.hard_ms); }
    static Status set_soft(void* o, Str v)
    {
        of(o).tunables_.soft_ms = TRY(parse_ms(v));
        return kOk;
    }
    static Status set_hard(void* o, Str v)
    {
        of(o).tunables_.hard_ms = TRY(parse_ms(v));
        return kOk;
    }

    static Status space(void* o, TextSink& out, bool free)
    {
        Alive alive(of(o));
        TRY(alive.status());
        struct kbfs_statfs s;
        TRY(of(o).store_.statfs(&s));
        return number(out, (free ? s.free_bytes : s.total_bytes) / 1024);
    }
    static Status kbytes_total(void* o, TextSink& out) { return space(o, out, false); }
    static Status kbytes_free(void* o, TextSink& out) { return space(o, out, true); }
    static Status timeouts(void* o, TextSink& out)
    {
        Alive alive(of(o));
        TRY(alive.status());
        of(o).ldlm_->describe_timeouts(out);
        return out.status();
    }
    static Status clean_start(void* o, TextSink& out)
    {
        out.printf("%d start_ms %llu\n", of(o).decision_.kind == StartKind::kResume,
                   ms(of(o).start_took_ns_));
        return out.status();
    }

    // A service's parameters have the service as their object: one pair of functions for each place
    // in its list.
    static constexpr size_t kServiceParamsMax = 24;
    template <size_t I> static Status show_service(void* o, TextSink& out)
    {
        Alive alive(of(o));
        TRY(alive.status());
        return of(o).service_->params()[I].show(of(o).service_.get(), out);
    }
    template <size_t I> static Status store_service(void* o, Str value)
    {
        Alive alive(of(o));
        TRY(alive.status());
        return of(o).service_->params()[I].store(of(o).service_.get(), value);
    }
    template <size_t... I>
    static Status add_service_params(std::span<const Param> theirs, Vec<Param>* out,
                                     std::index_sequence<I...>)
    {
        static constexpr Param kTable[] = {{"", show_service<I>, store_service<I>}...};
        if (theirs.size() > kServiceParamsMax) return -kEOVERFLOW;
        for (size_t i = 0; i < theirs.size(); i++)
            TRY(out->push_back(Param{theirs[i].name, theirs[i].show ? kTable[i].show : nullptr,
                                     theirs[i].store ? kTable[i].store : nullptr}));
        return kOk;
    }
};

namespace {

using P = TargetParams;
constexpr Param kTargetParams[] = {
    {"uuid", P::uuid, nullptr},
    {"instance", P::instance, nullptr},
    {"version", P::version, nullptr},
    {"protocol", P::protocol, nullptr},
    {"last_committed", P::last_committed, nullptr},
    {"last_transno", P::last_transno, nullptr},
    {"commit", nullptr, P::commit_now},
    {"commit_interval_ms", P::commit_interval, P::set_commit_interval},
    {"num_exports", P::num_exports, nullptr},
    {"exports", P::exports, nullptr},
    {"evict_client", nullptr, P::evict_client},
    {"recovery_status", P::recovery_status, nullptr},
    {"recovery_time_soft_ms", P::recovery_soft, P::set_recovery_soft},
    {"recovery_time_hard_ms", P::recovery_hard, P::set_recovery_hard},
    {"reservation_ms", P::reservation, P::set_reservation},
    {"abort_recov", nullptr, P::abort_recov},
    {"store_lost", P::store_lost, nullptr},
    {"controlled_shutdown", P::shutdown_state, P::set_shutdown},
    {"controlled_shutdown_status", P::shutdown_status, nullptr},
    {"controlled_shutdown_estimate", P::shutdown_estimate, nullptr},
    {"controlled_shutdown_warm_ms", P::warm, P::set_warm},
    {"controlled_shutdown_soft_ms", P::soft, P::set_soft},
    {"controlled_shutdown_hard_ms", P::hard, P::set_hard},
    {"kbytestotal", P::kbytes_total, nullptr},
    {"kbytesfree", P::kbytes_free, nullptr},
    {"timeouts", P::timeouts, nullptr},
    {"clean_start", P::clean_start, nullptr},
};

}  // namespace

Result<Vec<Param>> target_params(TargetService& service)
{
    Vec<Param> all;
    TRY(all.assign(kTargetParams, sizeof kTargetParams / sizeof kTargetParams[0]));
    TRY(P::add_service_params(service.params(), &all,
                              std::make_index_sequence<P::kServiceParamsMax>()));
    return all;
}

}  // namespace lull
