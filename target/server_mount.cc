// SPDX-License-Identifier: GPL-2.0-only
#include "target/server_mount.h"

#include "kapi/log.h"

namespace lull {

namespace {
Status parse_seconds(Str word, size_t at, uint32_t* out_ms, Text<200>* why)
{
    auto seconds = parse_u64(word.substr(at));
    if (seconds.ok() && seconds.value() >= 1 && seconds.value() <= 86400) {
        *out_ms = static_cast<uint32_t>(seconds.value() * 1000);
        return kOk;
    }
    Str shown = word.substr(0, 60);
    *why = text_format<200>("\"%.*s\": from 1 to 86400 seconds", STR_ARG(shown));
    return -kEINVAL;
}
}  // namespace

Status parse_start_options(Str text, StartOptions* out, Text<200>* why)
{
    while (!text.empty()) {
        size_t comma = text.find(',');
        Str word = text.substr(0, comma);
        text = comma == SIZE_MAX ? Str() : text.substr(comma + 1);
        if (word == Str("force")) out->force = true;
        else if (word == Str("abort_recov")) out->abort_recov = true;
        else if (word.starts_with("recovery_time_soft="))
            TRY(parse_seconds(word, 19, &out->recovery_soft_ms, why));
        else if (word.starts_with("recovery_time_hard="))
            TRY(parse_seconds(word, 19, &out->recovery_hard_ms, why));
        else if (!word.empty() && !(word == Str("rw")) && !(word == Str("defaults"))) {
            Str shown = word.substr(0, 60);
            *why = text_format<200>(
                "unknown option \"%.*s\": a target knows force, abort_recov, "
                "recovery_time_soft= and recovery_time_hard=",
                STR_ARG(shown));
            return -kEINVAL;
        }
    }
    return kOk;
}

Status ServerMount::read_identities(Store& store, Vec<TargetIdentity>* out, Text<200>* why)
{
    auto data = store.read_config("mountdata");
    if (!data.ok()) {
        *why = text_format<200>("CONFIGS/mountdata cannot be read (error %d)", data.error());
        return data.status();
    }
    return parse_mountdata(Str(reinterpret_cast<const char*>(data.value().data()),
                               data.value().size()),
                           out, why);
}

Status ServerMount::start_targets(Store& store, const StartOptions& options, Text<200>* why)
{
    Vec<TargetIdentity> identities;
    TRY(read_identities(store, &identities, why));
    TRY(targets_.reserve(identities.size()));
    for (TargetIdentity& identity : identities) {
        TRY(targets_.push_back(TRY(TargetImpl::create(node_, store, std::move(identity), *this))));
        TRY(targets_.back()->start(options, why));
    }
    Status s = node_.listen();
    if (!s.ok()) {
        *why = text_format<200>("cannot listen on port %u (error %d)", node_.options().port,
                                s.error());
        return s;
    }
    for (Owned<TargetImpl>& t : targets_) TRY(t->serve(why));
    return kOk;
}

Status ServerMount::register_targets(Text<200>* why)
{
    for (Owned<TargetImpl>& t : targets_) {
        if (t->identity().kind == TargetKind::kMgs) continue;
        Owned<Registrar> r = make<Registrar>(*t);
        if (!r) return -kENOMEM;
        TRY(registrars_.push_back(std::move(r)));
        TRY(registrars_.back()->start(why));
    }
    return kOk;
}

Status ServerMount::start(const char* device, const StartOptions& options, Text<200>* why)
{
    Store* store;
    {
        Owned<Store> mounted = TRY(Store::mount(node_.net(), device, why));
        store = mounted.get();
        *store_.lock() = std::move(mounted);
    }
    Status s = start_targets(*store, options, why);
    if (s.ok()) *why = {};
    if (s.ok()) s = register_targets(why);
    if (s.ok()) return kOk;
    if (why->empty()) *why = text_format<200>("%s cannot be started (error %d)", device, s.error());
    stop(false);
    return s;
}

void ServerMount::stop(bool force)
{
    for (Owned<Registrar>& r : registrars_) r->stop();
    for (size_t i = targets_.size(); i-- > 0;) targets_[i]->stop(force);  // the MGS last
    registrars_.clear();
    while (!targets_.empty()) targets_.pop_back();
    Owned<Store> store;
    {
        auto held = store_.lock();
        store = std::move(*held);
    }
}

// In the shutdown task of the target.
void ServerMount::on_halted(TargetImpl& target)
{
    if (target.identity().kind != TargetKind::kMgs) {
        for (Owned<Registrar>& r : registrars_) r->stop();
        for (Owned<TargetImpl>& other : targets_)
            if (other.get() != &target) other->halt_along();
    }
    unmount_if_all_halted();
}

void ServerMount::unmount_if_all_halted()
{
    for (Owned<TargetImpl>& t : targets_)
        if (!t->halted()) return;
    Owned<Store> store;
    {
        auto held = store_.lock();
        store = std::move(*held);
    }
    if (store) log_notice("%s: the device is free", targets_.back()->identity().name.c_str());
}

Status ServerMount::statfs(struct kbfs_statfs* out)
{
    auto held = store_.lock();
    return *held ? (*held)->statfs(out) : Status(-kESHUTDOWN);
}

}  // namespace lull

using namespace lull;

static ServerMount& mount_of(lull_server* server)
{
    return *reinterpret_cast<ServerMount*>(server);
}

int lull_server_start(lull_node* node, const char* device, const char* options, lull_server** out,
                      char* why, size_t why_bytes)
{
    Text<200> reason;
    StartOptions parsed;
    Status s = parse_start_options(Str(options), &parsed, &reason);
    if (s.ok()) {
        Owned<ServerMount> mount = make<ServerMount>(*reinterpret_cast<Node*>(node));
        s = mount ? mount->start(device, parsed, &reason) : Status(-kENOMEM);
        if (s.ok()) *out = reinterpret_cast<lull_server*>(mount.release());
    }
    if (why_bytes) kapi_snprintf(why, why_bytes, "%s", reason.c_str());
    return s.error();
}

void lull_server_stop(lull_server* server, unsigned flags)
{
    Owned<ServerMount> mount(&mount_of(server));
    mount->stop(flags & LULL_STOP_FORCE);
}

void lull_server_describe(lull_server* server, char* out, size_t bytes)
{
    ServerMount& mount = mount_of(server);
    Text<200> text;
    for (size_t i = 0; i < mount.target_count(); i++) {
        const TargetIdentity& identity = mount.target(i).identity();
        bool is_mgs = identity.kind == TargetKind::kMgs;
        (void)text.append(is_mgs ? Str(",mgs") : Str(",svname="));
        if (!is_mgs) (void)text.append(identity.name);
    }
    kapi_snprintf(out, bytes, "%s", text.c_str());
}

int lull_server_statfs(lull_server* server, uint64_t* total_bytes, uint64_t* free_bytes,
                       uint64_t* files, uint64_t* free_files)
{
    struct kbfs_statfs s = {};
    Status status = mount_of(server).statfs(&s);
    *total_bytes = s.total_bytes;
    *free_bytes = s.free_bytes;
    *files = s.files;
    *free_files = s.free_files;
    return status.error();
}
