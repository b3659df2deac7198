// SPDX-License-Identifier: GPL-2.0-only
#include "target/identity.h"

namespace lull {

namespace {

struct MountData {
    uint64_t format = 0, index = 0, stripe_bytes = 1u << 20, stripe_count = 1;
    Text<32> fsname;
    bool mgs = false, mdt = false, ost = false;
    UuidText uuid;
    Vec<Nid> mgs_nids, service_nids;
};

Status parse_kinds(Str value, MountData* d)
{
    size_t at = 0;
    while (at <= value.size()) {
        size_t comma = value.find(',', at);
        Str kind = value.substr(at, comma == SIZE_MAX ? SIZE_MAX : comma - at);
        if (kind == Str("mgs")) d->mgs = true;
        else if (kind == Str("mdt")) d->mdt = true;
        else if (kind == Str("ost")) d->ost = true;
        else return -kEINVAL;
        if (comma == SIZE_MAX) break;
        at = comma + 1;
    }
    return d->ost && (d->mgs || d->mdt) ? Status(-kEINVAL) : kOk;
}

Status parse_number(Str value, uint64_t max, uint64_t* out)
{
    if (value == Str("-1")) {  // "all", as Lustre writes it
        *out = max;
        return kOk;
    }
    *out = TRY(parse_u64(value));
    return *out <= max ? kOk : Status(-kERANGE);
}

bool valid_fsname(Str name)
{
    if (name.empty()) return false;
    for (size_t i = 0; i < name.size(); i++) {
        char c = name[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '_' || c == '-'))
            return false;
    }
    return true;
}

Status parse_line(Str key, Str value, MountData* d)
{
    if (key == Str("format")) return parse_number(value, 1000, &d->format);
    if (key == Str("fsname"))
        return valid_fsname(value) ? d->fsname.assign(value) : Status(-kEINVAL);
    if (key == Str("kinds")) return parse_kinds(value, d);
    if (key == Str("index")) return parse_number(value, 0xffff, &d->index);
    if (key == Str("uuid")) return d->uuid.assign(value);
    if (key == Str("mgsnode")) return value.empty() ? kOk : parse_nids(value, &d->mgs_nids);
    if (key == Str("servicenode")) return value.empty() ? kOk : parse_nids(value, &d->service_nids);
    if (key == Str("stripesize")) return parse_number(value, 1u << 30, &d->stripe_bytes);
    if (key == Str("stripecount")) return parse_number(value, UINT32_MAX, &d->stripe_count);
    return -kEINVAL;
}

Status parse_lines(Str text, MountData* d, Text<200>* why)
{
    unsigned number = 0;
    while (!text.empty()) {
        size_t end = text.find('\n');
        Str line = text.substr(0, end);
        text = end == SIZE_MAX ? Str() : text.substr(end + 1);
        number++;
        if (line.empty() || line[0] == '#') continue;
        size_t equals = line.find('=');
        Status s = equals == SIZE_MAX
                       ? Status(-kEINVAL)
                       : parse_line(line.substr(0, equals), line.substr(equals + 1), d);
        if (s.ok()) continue;
        Str shown = line.substr(0, 80);
        *why = text_format<200>("CONFIGS/mountdata, line %u is not understood: \"%.*s\"", number,
                                STR_ARG(shown));
        return -kEINVAL;
    }
    return kOk;
}

Status check(const MountData& d, Text<200>* why)
{
    if (d.format != 1)
        *why = text_format<200>("CONFIGS/mountdata has format %llu, this version reads format 1",
                                static_cast<unsigned long long>(d.format));
    else if (!d.mgs && !d.mdt && !d.ost)
        *why = "CONFIGS/mountdata does not say which targets the device holds (kinds=)";
    else if ((d.mdt || d.ost) && d.fsname.empty())
        *why = "CONFIGS/mountdata does not name the file system (fsname=)";
    else if (d.uuid.empty()) *why = "CONFIGS/mountdata has no uuid=";
    else if (!d.mgs && d.mgs_nids.empty())
        *why = "CONFIGS/mountdata does not say where the MGS is (mgsnode=)";
    else if (d.stripe_bytes == 0 || d.stripe_bytes % 65536)
        *why = "CONFIGS/mountdata: stripesize is not a multiple of 64 KiB";
    else return kOk;
    return -kEINVAL;
}

Status add(TargetKind kind, const MountData& d, Vec<TargetIdentity>* out)
{
    TargetIdentity id;
    id.kind = kind;
    id.fsname = d.fsname;
    id.uuid = d.uuid;
    id.index = kind == TargetKind::kMgs ? 0 : static_cast<uint32_t>(d.index);
    if (kind == TargetKind::kMgs) id.name = "MGS";
    else
        id.name = text_format<64>("%s-%s%04x", d.fsname.c_str(),
                                  kind == TargetKind::kMdt ? "MDT" : "OST", id.index);
    if (!d.mgs) TRY(id.mgs_nids.assign(d.mgs_nids.data(), d.mgs_nids.size()));
    TRY(id.service_nids.assign(d.service_nids.data(), d.service_nids.size()));
    id.stripe_bytes = static_cast<uint32_t>(d.stripe_bytes);
    id.stripe_count = static_cast<uint32_t>(d.stripe_count);
    return out->push_back(std::move(id));
}

}  // namespace

Status parse_mountdata(Str text, Vec<TargetIdentity>* out, Text<200>* why)
{
    Owned<MountData> d = make<MountData>();
    if (!d) return -kENOMEM;
    TRY(parse_lines(text, d.get(), why));
    TRY(check(*d, why));
    if (d->mgs) TRY(add(TargetKind::kMgs, *d, out));
    if (d->mdt) TRY(add(TargetKind::kMdt, *d, out));
    if (d->ost) TRY(add(TargetKind::kOst, *d, out));
    return kOk;
}

const char* device_type(TargetKind kind)
{
    switch (kind) {
    case TargetKind::kMgs: return "mgs";
    case TargetKind::kMdt: return "mdt";
    case TargetKind::kOst: return "obdfilter";
    }
    return "target";
}

}  // namespace lull
