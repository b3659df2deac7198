// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking an OST out of a file system. Nobody may have objects there: the MDT tells which OSTs it
 * uses before it uses them, and each new instance of the MGS again. Until then none is removed.
 */
#include "kapi/log.h"
#include "lnet/nid.h"
#include "mgs/registry.h"

namespace lull {

Result<Registry::Teller*> Registry::teller(Table& table, Str fsname)
{
    for (Teller& t : table.tellers)
        if (t.fsname == fsname) return &t;
    TRY(table.tellers.push_back({}));
    Teller& fresh = table.tellers.back();
    TRY(fresh.fsname.assign(fsname));
    return &fresh;
}

Status Registry::note_used(const MgsOstsUsedOp& op)
{
    if (!knows(op.fsname)) return -kENOENT;
    auto table = table_.lock();
    Teller& mdt = *TRY(teller(*table, op.fsname));
    if (op.instance < mdt.instance) return -kESTALE;
    mdt.instance = op.instance;
    for (Owned<Registration>& r : *table) {
        if (!(r->fsname == op.fsname.str())) continue;
        for (const OstIndex& used : op.used)
            if (used.index == r->target.index) TRY(note_used(*r));
        r->told = true;
        warn_if_not_reached(*r);
    }
    return kOk;
}

// Kept before it is answered.
Status Registry::note_used(Registration& r)
{
    if (r.used || r.removed || !r.is_ost()) return kOk;
    r.used = true;
    Status saved = save(r);
    r.used = saved.ok();
    return saved;
}

void Registry::warn_if_not_reached(Registration& r)
{
    if (!r.is_ost() || r.used || !r.active || r.removed || r.warned || r.started_ns == 0 ||
        now_ns() < r.started_ns + kReachedNs)
        return;
    r.warned = true;
    log_warn(
        "MGS: %s has started at %s, and the MDT does not reach it at %s: it gets no files "
        "(lctl del_ost %s takes it out)",
        r.target.name.c_str(), to_text(Nid{r.nid}).c_str(), r.target.nids.c_str(),
        r.target.name.c_str());
}

Status Registry::may_remove(const Registration& r, bool force)
{
    if (!r.is_ost()) return -kEINVAL;
    if (force) return r.active ? Status(-kEPERM) : kOk;
    if (r.used) return -kEBUSY;
    return r.told ? kOk : Status(-kEAGAIN);
}

Status Registry::remove(Str text, MgsTargetAt* what)
{
    size_t space = text.find(' ');
    bool force = space != SIZE_MAX;
    if (force && !(text.substr(space + 1) == Str("force"))) return -kEINVAL;
    auto table = table_.lock();
    Owned<Registration>* known = find(*table, text.substr(0, space));
    if (!known) return -kENOENT;
    TRY(may_remove(**known, force));
    Owned<Registration> removed = make<Registration>(**known);
    if (!removed) return -kENOMEM;
    removed->removed = true;
    TRY(save(*removed));
    log_notice("MGS: %s is removed%s; its index is not used again", removed->target.name.c_str(),
               force ? " by force, whatever lies there" : "");
    what->fsname = removed->fsname;
    what->place.name = removed->target.name;
    *known = std::move(removed);
    return kOk;
}

void Registry::show_removed(TextSink& out)
{
    auto table = table_.lock();
    for (const Owned<Registration>& r : *table)
        if (r->removed) out.printf("%s uuid=%s\n", r->target.name.c_str(), r->uuid.c_str());
}

}  // namespace lull
