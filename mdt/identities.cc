// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/identities.h"

#include "include/lull/le.h"
#include "mdt/names.h"

namespace lull {

namespace {
constexpr uint64_t kInoEnd = 0x100000000ull;  // Fid::is_igif
constexpr uint64_t kSequenceBlock = 1024, kNumberBlock = 65536;
}

Identities::Identities(Store& store)
    : sequences_(store, "next_sequence", kFidSeqNormal, kSequenceBlock),
      inos_(store, "next_ino", kFirstIno, kNumberBlock),
      serials_(store, "next_stripe", 1, kNumberBlock), store_(store)
{}

Status Identities::load()
{
    TRY(sequences_.load());
    TRY(inos_.load());
    TRY(serials_.load());
    return store_.sync();
}

Result<Fid> Identities::next_igif(uint32_t generation)
{
    uint64_t ino = TRY(inos_.next());
    if (ino >= kInoEnd) return -kENOSPC;
    return Fid{ino, generation, 0};
}

Result<Fid> Identities::next_stripe(uint32_t ost_index)
{
    uint64_t serial = TRY(serials_.next());
    return Fid{kFidSeqOstBase + ost_index, static_cast<uint32_t>(serial),
               static_cast<uint32_t>(serial >> 32)};
}

Status Identities::check_chosen(const Fid& fid, bool replay) const
{
    if (!is_namespace_fid(fid) || fid == kRootFid) return -kEINVAL;
    if (fid.is_igif()) return replay && fid.seq < inos_.upper() ? kOk : Status(-kEINVAL);
    return fid.seq < sequences_.upper() ? kOk : Status(-kEINVAL);
}

uint32_t Identities::generation_of(Str client, uint64_t xid)
{
    uint32_t g = kapi_crc32c(0, client.data(), client.size());
    le64 number = xid;
    g = kapi_crc32c(g, &number, sizeof number);
    return g ? g : 1;
}

}  // namespace lull
