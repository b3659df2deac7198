// SPDX-License-Identifier: GPL-2.0-only
#include "mgs/registry.h"

#include "kapi/log.h"
#include "lnet/nid.h"

namespace lull {

Status Registry::load()
{
    Vec<NameText> files;
    TRY(store_.list_configs(&files));
    auto table = table_.lock();
    for (const NameText& file : files) {
        Result<Bytes> data = store_.read_config(file);
        if (!data.ok()) return data.status();
        Str text(reinterpret_cast<const char*>(data.value().data()), data.value().size());
        if (!text.starts_with("registration=1\n") && !text.starts_with("removed=1\n")) continue;
        Result<Owned<Registration>> r = registration_from_text(text);
        if (!r.ok()) {
            log_err("MGS: CONFIGS/%s is not a target's registration: error %d", file.c_str(),
                    r.error());
            return r.status();
        }
        if (table->size() >= kTargetsMax) return -kENOSPC;
        TRY(table->push_back(r.release_value()));
    }
    return kOk;
}

Status Registry::save(const Registration& r)
{
    TextSink text(2048);
    TRY(registration_to_text(r, text));
    Str s = text.text();
    return store_.write_config(r.target.name,
                               {reinterpret_cast<const uint8_t*>(s.data()), s.size()});
}

// A former instance that is still alive somewhere (failover) is not news.
bool Registry::note_place(Registration& r, const MgsRegisterOp& op)
{
    if (op.nid == 0 || op.instance <= r.instance) return false;
    r.nid = op.nid;
    r.instance = op.instance;
    r.started_ns = now_ns();
    return true;
}

Status Registry::register_target(const MgsRegisterOp& op, bool* moved)
{
    *moved = false;
    TRY(check_registration(op));
    Owned<Registration> fresh = make<Registration>();
    if (!fresh) return -kENOMEM;
    fresh->fsname = op.fsname;
    fresh->target = op.target;
    fresh->uuid = op.target_uuid;

    auto table = table_.lock();
    for (Owned<Registration>& known : *table) {
        if (!(known->target.name == op.target.name.str())) continue;
        if (known->removed) {
            log_err("MGS: %s was removed, and is refused: its index is not used again",
                    op.target.name.c_str());
            return -kESTALE;
        }
        if (!(known->uuid == op.target_uuid.str())) {
            log_err("MGS: %s is taken by another target (uuid %s), refused to the one with uuid %s",
                    op.target.name.c_str(), known->uuid.c_str(), op.target_uuid.c_str());
            return -kEADDRINUSE;
        }
        if (!(known->target.nids == op.target.nids.str())) {
            *fresh = *known;
            fresh->target = op.target;
            fresh->warned = false;  // these nodes are looked at anew
            TRY(save(*fresh));
            log_notice("MGS: %s is now at %s", op.target.name.c_str(), op.target.nids.c_str());
            known = std::move(fresh);
        }
        *moved = note_place(*known, op);
        return kOk;
    }
    if (table->size() >= kTargetsMax) return -kENOSPC;
    TRY(table->reserve(table->size() + 1));
    TRY(save(*fresh));
    log_notice("MGS: new target %s at %s", op.target.name.c_str(), op.target.nids.c_str());
    *moved = note_place(*fresh, op);
    return table->push_back(std::move(fresh));
}

Status Registry::config(Str fsname, MgsConfigReply* out)
{
    auto table = table_.lock();
    for (const Owned<Registration>& r : *table) {
        if (r->removed || !(r->fsname == fsname)) continue;
        TRY(out->targets.push_back(r->target));
        if (r->nid) TRY(out->places.push_back(TargetPlace{r->target.name, r->nid, r->instance}));
    }
    return out->targets.empty() ? Status(-kENOENT) : kOk;
}

Status Registry::settings(Str fsname, MgsSettingsReply* out)
{
    auto table = table_.lock();
    for (const Owned<Registration>& r : *table) {
        bool plain = r->active && r->max_create_count == TargetSettings::kMaxCreateCount;
        if ((plain && !r->removed) || !(r->fsname == fsname)) continue;
        TargetUse use = r->removed  ? TargetUse::kRemoved
                        : r->active ? TargetUse::kActive
                                    : TargetUse::kInactive;
        TRY(out->settings.push_back(
            TargetSettings{r->target.name, static_cast<uint8_t>(use), r->max_create_count}));
    }
    return kOk;
}

Status Registry::change(Str text, MgsTargetAt* what)
{
    SettingText setting;
    TRY(parse_setting(text, &setting));
    auto table = table_.lock();
    Owned<Registration>* known = find(*table, setting.target);
    if (!known) return -kENOENT;
    Owned<Registration> changed = make<Registration>(**known);
    if (!changed) return -kENOMEM;
    TRY(set_setting(setting, changed.get()));
    TRY(save(*changed));
    log_notice("MGS: %s: %.*s is %u now", changed->target.name.c_str(), STR_ARG(setting.key),
               setting.value);
    what->fsname = changed->fsname;
    what->place.name = changed->target.name;
    *known = std::move(changed);
    return kOk;
}

Owned<Registration>* Registry::find(Table& table, Str name)
{
    for (Owned<Registration>& r : table)
        if (r->target.name == name && !r->removed) return &r;
    return nullptr;
}

void Registry::show_settings(TextSink& out)
{
    auto table = table_.lock();
    for (const Owned<Registration>& r : *table) {
        if (r->removed) continue;
        if (!r->active) out.printf("%s.osc.active=0\n", r->target.name.c_str());
        if (r->max_create_count != TargetSettings::kMaxCreateCount)
            out.printf("%s.osc.max_create_count=%u\n", r->target.name.c_str(), r->max_create_count);
    }
}

bool Registry::knows(Str fsname)
{
    auto table = table_.lock();
    for (const Owned<Registration>& r : *table)
        if (r->fsname == fsname) return true;
    return false;
}

void Registry::show(TextSink& out)
{
    auto table = table_.lock();
    for (const Owned<Registration>& r : *table)
        if (!r->removed)
            out.printf("%s uuid=%s nids=%s at=%s instance=%llu%s\n", r->target.name.c_str(),
                       r->uuid.c_str(), r->target.nids.c_str(),
                       r->nid ? to_text(Nid{r->nid}).c_str() : "?",
                       static_cast<unsigned long long>(r->instance), r->active ? "" : " active=0");
}

void Registry::show_filesystems(TextSink& out)
{
    auto table = table_.lock();
    for (size_t i = 0; i < table->size(); i++) {
        bool seen = false;
        for (size_t k = 0; k < i && !seen; k++)
            seen = (*table)[k]->fsname == (*table)[i]->fsname.str();
        if (!seen) out.printf("%s\n", (*table)[i]->fsname.c_str());
    }
}

}  // namespace lull
