// SPDX-License-Identifier: GPL-2.0-only
/* Parameters of mdt.<target>.… beside those every target has. */
#include "mdt/mdt.h"

namespace lull {
namespace {

MdtService& mdt_of(void* object) { return *static_cast<MdtService*>(object); }

template <class T> Status show_number(TextSink& out, T n)
{
    out.printf("%llu", static_cast<unsigned long long>(n));
    return out.status();
}

Status show_open_files(void* o, TextSink& out)
{
    return show_number(out, mdt_of(o).opens().counts().opens);
}
Status show_reserved(void* o, TextSink& out)
{
    return show_number(out, mdt_of(o).opens().counts().reserved);
}
Status show_destroys(void* o, TextSink& out)
{
    return show_number(out, mdt_of(o).destroyer().pending());
}
Status show_stripesize(void* o, TextSink& out)
{
    return show_number(out, mdt_of(o).stripe_bytes());
}
Status show_stripecount(void* o, TextSink& out)
{
    if (mdt_of(o).stripe_count() != kAllOsts) return show_number(out, mdt_of(o).stripe_count());
    out.append("-1");
    return out.status();
}

Status show_osts(void* o, TextSink& out)
{
    mdt_of(o).osts().show(out);
    return out.status();
}

Status store_stripesize(void* o, Str value)
{
    uint64_t n = TRY(parse_u64(value));
    if (n > UINT32_MAX) return -kERANGE;
    return mdt_of(o).set_default_layout(static_cast<uint32_t>(n), mdt_of(o).stripe_count());
}

Status store_stripecount(void* o, Str value)
{
    uint64_t n = kAllOsts;
    if (!(value == "-1")) n = TRY(parse_u64(value));
    if (n > UINT32_MAX) return -kERANGE;
    return mdt_of(o).set_default_layout(mdt_of(o).stripe_bytes(), static_cast<uint32_t>(n));
}

Status show_threshold(void* o, TextSink& out)
{
    out.printf("%u%%", mdt_of(o).qos_threshold_rr());
    return out.status();
}

// "17%", as it is shown, or "17".
Status store_threshold(void* o, Str value)
{
    if (!value.empty() && value[value.size() - 1] == '%') value = value.substr(0, value.size() - 1);
    uint64_t percent = TRY(parse_u64(value));
    if (percent > 100) return -kERANGE;
    mdt_of(o).set_qos_threshold_rr(static_cast<uint32_t>(percent));
    return kOk;
}

Status show_orphans(void* o, TextSink& out)
{
    mdt_of(o).orphans().show(out);
    return out.status();
}

constexpr Param kParams[] = {
    {"open_files", show_open_files, nullptr},
    {"reserved_opens", show_reserved, nullptr},
    {"pending_destroys", show_destroys, nullptr},
    {"orphans", show_orphans, nullptr},
    {"stripesize", show_stripesize, store_stripesize},
    {"stripecount", show_stripecount, store_stripecount},
    {"osts", show_osts, nullptr},
    {"qos_threshold_rr", show_threshold, store_threshold},
};

}  // namespace

std::span<const Param> MdtService::params() const { return kParams; }

}  // namespace lull
