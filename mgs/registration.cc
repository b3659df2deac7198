// SPDX-License-Identifier: GPL-2.0-only
/* One registration: its checks and its text form. */
#include "lnet/nid.h"
#include "mgs/registry.h"

namespace lull {

TargetName target_name_of(Str fsname, TargetKind kind, uint32_t index)
{
    return text_format<64>("%.*s-%s%04x", STR_ARG(fsname), kind == TargetKind::kMdt ? "MDT" : "OST",
                           index);
}

namespace {

bool is_fsname(Str s)
{
    if (s.empty() || s.size() > 32) return false;
    for (size_t i = 0; i < s.size(); i++) {
        char c = s[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-';
        if (!fine) return false;
    }
    return true;
}

// What ends up in a line of text may not bring its own line ends.
bool is_plain(Str s)
{
    for (size_t i = 0; i < s.size(); i++)
        if (s[i] <= ' ' || s[i] > '~') return false;
    return true;
}

// Whatever follows "registration=" an MGS of version 0.1 ignores: it starts, and takes no notice.
Status set_if_setting(Registration& r, Str value)
{
    size_t colon = value.find(':');
    if (value == "used") r.used = true;
    if (colon == SIZE_MAX) return kOk;
    uint64_t n = TRY(parse_u64(value.substr(colon + 1)));
    if (n > UINT32_MAX) return -kEINVAL;
    return set_setting({{}, value.substr(0, colon), static_cast<uint32_t>(n)}, &r);
}

Status set_field(Registration& r, Str key, Str value)
{
    if (key == "registration") return set_if_setting(r, value);
    if (key == "removed") {
        r.removed = true;
        return kOk;
    }
    if (key == "fsname") return r.fsname.assign(value);
    if (key == "name") return r.target.name.assign(value);
    if (key == "uuid") return r.uuid.assign(value);
    if (key == "nids") return r.target.nids.assign(value);
    uint64_t n = TRY(parse_u64(value));
    if (key == "kind" && n <= UINT8_MAX) r.target.kind = static_cast<uint8_t>(n);
    else if (key == "index" && n <= UINT32_MAX) r.target.index = static_cast<uint32_t>(n);
    else if (n <= UINT32_MAX) return set_setting({{}, key, static_cast<uint32_t>(n)}, &r);
    else return -kEINVAL;
    return kOk;
}

Status check_target(Str fsname, const TargetConfig& target, Str uuid)
{
    if (!is_fsname(fsname) || !is_plain(uuid) || uuid.empty()) return -kEINVAL;
    auto kind = static_cast<TargetKind>(target.kind);
    if (kind != TargetKind::kMdt && kind != TargetKind::kOst) return -kEINVAL;
    if (target.index > 0xffff || !(target.name == target_name_of(fsname, kind, target.index).str()))
        return -kEINVAL;
    Vec<Nid> nids;
    TRY(parse_nids(target.nids, &nids));
    return nids.empty() ? Status(-kEINVAL) : kOk;
}

}  // namespace

Status check_registration(const MgsRegisterOp& op)
{
    return check_target(op.fsname, op.target, op.target_uuid);
}

Status parse_setting(Str text, SettingText* out)
{
    size_t equals = text.find('=');
    if (equals == SIZE_MAX) return -kEINVAL;
    uint64_t n = TRY(parse_u64(trimmed(text.substr(equals + 1))));
    if (n > UINT32_MAX) return -kERANGE;
    out->value = static_cast<uint32_t>(n);
    for (Str left = text.substr(0, equals); !left.empty();) {
        size_t dot = left.find('.');
        Str word = left.substr(0, dot);
        left = dot == SIZE_MAX ? Str() : left.substr(dot + 1);
        if (left.empty()) out->key = word;
        else if (!(word == "osc") && !(word == "osp")) {
            if (!out->target.empty()) return -kEINVAL;
            out->target = word;
        }
    }
    if (out->target.empty()) return -kEINVAL;
    if (out->target[out->target.size() - 1] == '*')
        out->target = out->target.substr(0, out->target.size() - 1);
    return kOk;
}

Status set_setting(const SettingText& setting, Registration* r)
{
    if (!r->is_ost()) return -kEINVAL;
    if (setting.key == "active" && setting.value <= 1) r->active = setting.value == 1;
    else if (setting.key == "max_create_count") r->max_create_count = setting.value;
    else return -kEINVAL;
    return kOk;
}

Status registration_to_text(const Registration& r, TextSink& out)
{
    out.printf("%s=1\nfsname=%s\nname=%s\nkind=%u\nindex=%u\n",
               r.removed ? "removed" : "registration", r.fsname.c_str(), r.target.name.c_str(),
               r.target.kind, r.target.index);
    out.printf("uuid=%s\nnids=%s\n", r.uuid.c_str(), r.target.nids.c_str());
    if (!r.active) out.append("registration=active:0\n");
    if (r.max_create_count != TargetSettings::kMaxCreateCount)
        out.printf("registration=max_create_count:%u\n", r.max_create_count);
    if (r.used) out.append("registration=used\n");
    return out.status();
}

Result<Owned<Registration>> registration_from_text(Str text)
{
    Owned<Registration> r = make<Registration>();
    if (!r) return -kENOMEM;
    for (size_t at = 0; at < text.size();) {
        size_t end = text.find('\n', at);
        if (end == SIZE_MAX) return -kEINVAL;
        Str line = text.substr(at, end - at);
        size_t eq = line.find('=');
        if (eq == SIZE_MAX) return -kEINVAL;
        TRY(set_field(*r, line.substr(0, eq), line.substr(eq + 1)));
        at = end + 1;
    }
    TRY(check_target(r->fsname, r->target, r->uuid));
    return r;
}

}  // namespace lull
