// SPDX-License-Identifier: GPL-2.0-only
#include "ldlm/flock.h"

#include "kapi/walks.h"

namespace lull {

namespace {

bool overlap(const FlockRange& a, const FlockRange& b)
{
    return a.start <= b.end && b.start <= a.end;
}
bool is_exclusive(const FlockRange& r) { return r.mode == static_cast<uint8_t>(LockMode::kPW); }
bool is_unlock(const FlockRange& r) { return r.mode == static_cast<uint8_t>(LockMode::kNL); }
bool is_owner(const Flock& f, const UuidText& client, uint64_t owner)
{
    return f.range.owner == owner && f.client == client.str();
}

// b begins right behind a.
bool adjoins(const FlockRange& a, const FlockRange& b)
{
    return a.end != UINT64_MAX && a.end + 1 == b.start;
}

}  // namespace

FlockTable::~FlockTable()
{
    for (FlockFile& file : files_) LULL_ASSERT(file.waiting.empty());
    links_.clear_and_dispose([](Link* l) { Owned<Link> gone(l); });
    files_.clear_and_dispose([](FlockFile* f) { Owned<FlockFile> gone(f); });
}

Status FlockTable::check(const FlockRange& r)
{
    bool kind = r.kind == static_cast<uint8_t>(FlockKind::kPosix) ||
                r.kind == static_cast<uint8_t>(FlockKind::kFlock);
    auto mode = static_cast<LockMode>(r.mode);
    bool known = mode == LockMode::kNL || mode == LockMode::kPR || mode == LockMode::kPW;
    return kind && known && r.start <= r.end && !r.fid.is_zero() ? kOk : Status(-kEINVAL);
}

const FlockFile* FlockTable::find(const FlockRange& range) const
{
    auto i = files_.find(Key{range.fid, range.kind});
    return i == files_.end() ? nullptr : &*i;
}

Result<FlockFile*> FlockTable::get(const FlockRange& range)
{
    if (const FlockFile* known = find(range)) return const_cast<FlockFile*>(known);
    Owned<FlockFile> file = make<FlockFile>();
    if (!file) return -kENOMEM;
    file->fid = range.fid;
    file->kind = range.kind;
    files_.insert(*file);
    return file.release();
}

void FlockTable::free_if_empty(FlockFile& file)
{
    if (!file.held.empty() || !file.waiting.empty()) return;
    files_.erase(files_.iterator_to(file));
    Owned<FlockFile> gone(&file);
}

const Flock* FlockTable::blocker(const FlockFile& file, const UuidText& client,
                                 const FlockRange& want)
{
    if (is_unlock(want)) return nullptr;
    for (const Flock& f : file.held) {
        if (!overlap(f.range, want) || is_owner(f, client, want.owner)) continue;
        if (is_exclusive(f.range) || is_exclusive(want)) return &f;
    }
    return nullptr;
}

Status FlockTable::apply(FlockFile& file, const UuidText& client, const FlockRange& want,
                         bool reserved)
{
    Vec<Flock> after;
    TRY(after.reserve(file.held.size() + 2));  // at most one is cut in two, and one is new
    Flock fresh{client, want, reserved};
    auto keep = [&after](const Flock& f, uint64_t start, uint64_t end) {
        Flock piece = f;
        piece.range.start = start;
        piece.range.end = end;
        (void)after.push_back(piece);
    };
    for (const Flock& f : file.held) {
        bool mine = is_owner(f, client, want.owner);
        bool same = mine && !is_unlock(want) && f.range.mode == want.mode && f.reserved == reserved;
        if (same && (overlap(f.range, want) || adjoins(f.range, want) || adjoins(want, f.range))) {
            if (f.range.start < fresh.range.start) fresh.range.start = f.range.start;
            if (f.range.end > fresh.range.end) fresh.range.end = f.range.end;
        } else if (!mine || !overlap(f.range, want)) {
            keep(f, f.range.start, f.range.end);
        } else {
            if (f.range.start < want.start) keep(f, f.range.start, want.start - 1);
            if (f.range.end > want.end) keep(f, want.end + 1, f.range.end);
        }
    }
    if (!is_unlock(want)) (void)after.push_back(fresh);
    if (after.size() > kPerFileMax && after.size() > file.held.size()) return -kENOLCK;
    if (!is_unlock(want)) TRY(link(file, client));
    file.held.swap(after);
    if (is_unlock(want)) unlink_if_free(file, client);
    return kOk;
}

bool FlockTable::holds(const FlockFile& file, Str client)
{
    for (const Flock& f : file.held)
        if (f.client == client) return true;
    return false;
}

Status FlockTable::link(FlockFile& file, const UuidText& client)
{
    Links::insert_commit_data where;
    if (!links_.insert_check(LinkKey{client, KeyOf()(file)}, where).second) return kOk;
    auto fresh = make<Link>();
    if (!fresh) return -kENOMEM;
    fresh->client = client;
    fresh->file = &file;
    links_.insert_commit(*fresh.release(), where);
    return kOk;
}

void FlockTable::unlink_if_free(FlockFile& file, Str client)
{
    auto found = links_.find(LinkKey{client, KeyOf()(file)});
    if (found == links_.end() || holds(file, client)) return;
    Owned<Link> gone(&*found);
    links_.erase(found);
}

Status FlockTable::set(const UuidText& client, const FlockRange& want, bool reserved, Flock* other,
                       FlockWaiters* answered)
{
    TRY(check(want));
    if (is_unlock(want) && !find(want)) return kOk;
    FlockFile* file = TRY(get(want));
    Status status;
    if (const Flock* blocked_by = blocker(*file, client, want)) {
        if (other) *other = *blocked_by;
        status = -kEAGAIN;
        // flock(2) converts by giving up what it has first, as its manual says; so two that convert
        // do not wait for each other.
        bool converts = want.kind == static_cast<uint8_t>(FlockKind::kFlock);
        FlockRange nothing = want;
        nothing.mode = static_cast<uint8_t>(LockMode::kNL);
        if (converts) TRY(apply(*file, client, nothing, false));
    } else {
        status = apply(*file, client, want, reserved);
    }
    grant_waiters(*file, answered);
    free_if_empty(*file);
    return status;
}

bool FlockTable::test(const UuidText& client, const FlockRange& want, Flock* other) const
{
    const FlockFile* file = find(want);
    const Flock* blocked_by = file ? blocker(*file, client, want) : nullptr;
    if (blocked_by) *other = *blocked_by;
    return blocked_by;
}

void FlockTable::grant_waiters(FlockFile& file, FlockWaiters* answered)
{
    for (auto i = file.waiting.begin(); i != file.waiting.end();) {
        FlockWaiter& w = *i++;
        if (blocker(file, w.client, w.want)) continue;
        w.answer = apply(file, w.client, w.want, false);
        unlink(w);
        answered->push_back(w);
    }
}

// ---- waiting

void FlockTable::unlink(FlockWaiter& waiter)
{
    waiter.file->waiting.erase(waiter.file->waiting.iterator_to(waiter));
    waiter.file = nullptr;
    waiting_--;
}

Status FlockTable::wait(FlockWaiter& waiter)
{
    if (waiting_ >= kWaitingMax) return -kENOLCK;
    FlockFile* file = TRY(get(waiter.want));
    bool posix = waiter.want.kind == static_cast<uint8_t>(FlockKind::kPosix);
    waiter.file = file;
    if (posix && would_deadlock(waiter)) {
        waiter.file = nullptr;
        free_if_empty(*file);
        return -kEDEADLK;
    }
    file->waiting.push_back(waiter);
    waiting_++;
    return kOk;
}

Status FlockTable::add_holders(const FlockFile& file, const FlockWaiter& waiter, Vec<Owner>* owners)
{
    for (const Flock& f : file.held) {
        if (!overlap(f.range, waiter.want) || is_owner(f, waiter.client, waiter.want.owner))
            continue;
        if (!is_exclusive(f.range) && !is_exclusive(waiter.want)) continue;
        bool known = false;
        for (const Owner& o : *owners) known = known || o.is(f.client, f.range.owner);
        if (known) continue;
        if (owners->size() >= kSearchMax) return -kENOSPC;
        TRY(owners->push_back(Owner{f.client, f.range.owner}));
    }
    return kOk;
}

// Does anybody it would wait for, himself or through others, wait for its owner?
bool FlockTable::would_deadlock(const FlockWaiter& waiter) const
{
    Vec<Owner> owners;
    if (!add_holders(*waiter.file, waiter, &owners).ok()) return false;
    for (size_t i = 0; i < owners.size(); i++) {
        if (owners[i].is(waiter.client, waiter.want.owner)) return true;
        for (const FlockFile& file : files_) {
            if (file.kind != waiter.want.kind) continue;
            for (const FlockWaiter& w : file.waiting)
                if (owners[i].is(w.client, w.want.owner) && !add_holders(file, w, &owners).ok())
                    return false;
        }
    }
    return false;
}

FlockWaiter* FlockTable::find_waiter(Str client, uint64_t cookie) const
{
    for (const FlockFile& file : files_)
        for (const FlockWaiter& w : file.waiting)
            if (w.cookie == cookie && w.client == client) return const_cast<FlockWaiter*>(&w);
    return nullptr;
}

void FlockTable::cancel(FlockWaiter& waiter)
{
    FlockFile& file = *waiter.file;
    unlink(waiter);
    free_if_empty(file);
}

void FlockTable::cancel_all(Str client, FlockWaiters* cancelled)
{
    if (waiting_ == 0) return;
    for (auto i = files_.begin(); i != files_.end();) {
        FlockFile& file = *i++;
        for (auto k = file.waiting.begin(); k != file.waiting.end();) {
            FlockWaiter& w = *k++;
            if (!client.empty() && !(w.client == client)) continue;
            unlink(w);
            cancelled->push_back(w);
        }
        free_if_empty(file);
    }
}

void FlockTable::drop(Str client, bool only_reserved, FlockWaiters* answered)
{
    constexpr Key kFirst{};
    for (auto i = links_.lower_bound(LinkKey{client, kFirst});
         i != links_.end() && i->client == client;) {
        count_walk();
        FlockFile& file = *i->file;
        ++i;
        bool changed = false;
        for (size_t k = file.held.size(); k-- > 0;) {
            const Flock& f = file.held[k];
            if (!(f.client == client) || (only_reserved && !f.reserved)) continue;
            file.held.erase_at(k);
            changed = true;
        }
        if (!changed) continue;
        unlink_if_free(file, client);
        grant_waiters(file, answered);  // others': this client's link stays as it is
        free_if_empty(file);
    }
}

Status FlockTable::save(Vec<Flock>* out) const
{
    for (const FlockFile& file : files_)
        for (const Flock& f : file.held) TRY(out->push_back(f));
    return kOk;
}

FlockTable::Counts FlockTable::counts() const
{
    Counts n;
    for (const FlockFile& file : files_) {
        n.files++;
        n.held += file.held.size();
        n.waiting += file.waiting.size();
    }
    return n;
}

}  // namespace lull
