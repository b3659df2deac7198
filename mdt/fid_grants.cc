// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/fid_grants.h"

#include "include/lull/le.h"

namespace lull {

namespace {

constexpr const char kGrantsRecord[] = "sequences", kFirstRecord[] = "sequences_recorded_from";

struct GrantsRecord {
    static constexpr uint32_t kFormat = 1;
    uint32_t format = kFormat;
    uint64_t seqs[FidGrants::kKept] = {};  // the newest first; 0: none
    template <class Io> void io(Io& x)
    {
        x.u32(format);
        for (uint64_t& seq : seqs) x.u64(seq);
    }
    bool has(uint64_t seq) const
    {
        for (uint64_t granted : seqs)
            if (granted == seq) return true;
        return false;
    }
};

Status read_grants(Store& store, const UuidText& client, GrantsRecord* out)
{
    Result<Bytes> stored = store.get_record(Store::Area::kClients, client, kGrantsRecord);
    if (stored.is(kENODATA) || stored.is(kENOENT)) return kOk;
    TRY(stored.status());
    Decoder in(kProtocol2, stored.value());
    out->io(in);
    return in.finish().ok() && out->format == GrantsRecord::kFormat ? kOk : Status(-kEIO);
}

Status write_grants(Store& store, const UuidText& client, GrantsRecord& record)
{
    Encoder out(kProtocol2);
    record.io(out);
    TRY(out.status());
    return store.put_record(Store::Area::kClients, client, kGrantsRecord, out.output());
}

}  // namespace

FidGrants::~FidGrants()
{
    State& s = state_.unsafe();
    while (!s.all.empty()) erase_locked(s, *s.all.begin());
}

Status FidGrants::load(uint64_t first)
{
    Result<Bytes> stored = store_.get_record(Store::Area::kServer, "", kFirstRecord);
    le64 value = first;
    if (stored.ok()) {
        if (stored.value().size() != sizeof value) return -kEPROTO;
        memcpy(&value, stored.value().data(), sizeof value);
        recorded_from_ = value;
        return kOk;
    }
    if (!stored.is(kENODATA) && !stored.is(kENOENT)) return stored.status();
    recorded_from_ = first;
    return store_.put_record(Store::Area::kServer, "", kFirstRecord,
                             {reinterpret_cast<const uint8_t*>(&value), sizeof value});
}

Result<FidGrants::Sequence*> FidGrants::get_locked(State& s, uint64_t seq)
{
    auto it = s.all.find(seq);
    if (it != s.all.end()) return &*it;
    auto fresh = make<Sequence>();
    if (!fresh) return -kENOMEM;
    fresh->seq = seq;
    s.all.insert(*fresh);
    return fresh.release();
}

void FidGrants::own_locked(State& s, Sequence& sequence, const UuidText& client)
{
    if (sequence.owner_hook.is_linked()) return;
    sequence.owner = client;
    s.owned.insert(sequence);
}

void FidGrants::erase_locked(State& s, Sequence& sequence)
{
    s.all.erase(s.all.iterator_to(sequence));
    if (sequence.owner_hook.is_linked()) s.owned.erase(s.owned.iterator_to(sequence));
    Owned<Sequence> freed(&sequence);
}

Status FidGrants::add(const UuidText& client, uint64_t seq)
{
    auto s = state_.lock();
    GrantsRecord record;
    TRY(read_grants(store_, client, &record));
    uint64_t oldest = record.seqs[kKept - 1];
    for (size_t i = kKept - 1; i > 0; i--) record.seqs[i] = record.seqs[i - 1];
    record.seqs[0] = seq;
    TRY(write_grants(store_, client, record));
    if (auto it = s->all.find(oldest); it != s->all.end()) erase_locked(*s, *it);
    return kOk;
}

// The disk is asked once in a life.
Result<FidGrants::Sequence*> FidGrants::granted_locked(State& s, const UuidText& client,
                                                       uint64_t seq)
{
    auto it = s.all.find(seq);
    if (it != s.all.end() && it->owner_hook.is_linked()) {
        if (!(it->owner == client)) return -kEINVAL;
        return &*it;
    }
    GrantsRecord record;
    TRY(read_grants(store_, client, &record));
    if (!record.has(seq)) return -kEINVAL;
    Sequence* sequence = TRY(get_locked(s, seq));
    own_locked(s, *sequence, client);
    return sequence;
}

Result<bool> FidGrants::take(const UuidText& client, const Fid& fid, bool replay)
{
    if (fid.seq < recorded_from_) return true;
    if (fid.oid > kFidsPerSequence) return -kEINVAL;
    auto s = state_.lock();
    Sequence* sequence = TRY(granted_locked(*s, client, fid.seq));
    bool fresh = TRY(sequence->used.set(fid.oid));
    if (!fresh && !replay) return -kEEXIST;
    return fresh;
}

void FidGrants::give_back(const Fid& fid)
{
    auto s = state_.lock();
    if (auto it = s->all.find(fid.seq); it != s->all.end()) it->used.clear(fid.oid);
}

Status FidGrants::note_removed(const Fid& fid)
{
    if (fid.seq < recorded_from_ || fid.oid > kFidsPerSequence) return kOk;
    auto s = state_.lock();
    bool full = s->all.size() - s->owned.size() >= kUnownedMax;
    if (full && s->all.find(fid.seq) == s->all.end()) return kOk;
    Sequence* sequence = TRY(get_locked(*s, fid.seq));
    return sequence->used.set(fid.oid).status();
}

void FidGrants::forget(const UuidText& client)
{
    auto s = state_.lock();
    for (auto it = s->owned.find(Str(client)); it != s->owned.end();
         it = s->owned.find(Str(client)))
        erase_locked(*s, *it);
}

}  // namespace lull
