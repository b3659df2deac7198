// SPDX-License-Identifier: GPL-2.0-only
#include "mdt/identities.h"

#include "include/lull/le.h"
#include "mdt/layout_alloc.h"
#include "mdt/names.h"

namespace lull {

namespace {
constexpr uint64_t kInoEnd = 0x100000000ull;  // Fid::is_igif
constexpr uint64_t kSequenceBlock = 1024, kNumberBlock = 65536;
}

Identities::Identities(Store& store)
    : sequences_(store, "next_sequence", kFidSeqNormal, kSequenceBlock),
      inos_(store, "next_ino", kFirstIno, kNumberBlock),
      serials_(store, "next_stripe", 1, kNumberBlock), grants_(store), store_(store)
{}

Status Identities::load()
{
    TRY(sequences_.load());
    TRY(inos_.load());
    TRY(serials_.load());
    TRY(grants_.load(sequences_.upper()));
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

Result<uint64_t> Identities::grant_sequence(Export& exp)
{
    uint64_t seq = TRY(sequences_.next());
    TRY(grants_.add(exp.client_uuid(), seq));
    return seq;
}

Status Identities::claim(ServerRequest& request, const Fid& fid, FidClaim* out)
{
    if (!is_namespace_fid(fid) || fid == kRootFid) return -kEINVAL;
    if (fid.is_igif()) {
        bool its_own = fid.oid == generation_of(request.exp->client_uuid(), request.xid());
        return request.is_replay() && its_own && fid.seq < inos_.upper() ? kOk : Status(-kEINVAL);
    }
    if (fid.seq >= sequences_.upper()) return -kEINVAL;
    return out->take(grants_, request.exp->client_uuid(), fid, request.is_replay());
}

Status Identities::check_stripes(const Layout& layout) const
{
    if (layout.objects.empty() || layout.stripe_bytes % kStripeUnitBytes != 0) return -kEINVAL;
    for (size_t i = 0; i < layout.objects.size(); i++) {
        const StripeObject& stripe = layout.objects[i];
        uint64_t serial = (uint64_t{stripe.fid.ver} << 32) | stripe.fid.oid;
        bool ours = serial != 0 && serial < serials_.upper();
        if (stripe.fid.seq != kFidSeqOstBase + stripe.ost_index || !ours) return -kEINVAL;
        for (size_t k = 0; k < i; k++)
            if (layout.objects[k].fid == stripe.fid) return -kEINVAL;
    }
    return kOk;
}

uint32_t Identities::generation_of(Str client, uint64_t xid)
{
    uint32_t g = kapi_crc32c(0, client.data(), client.size());
    le64 number = xid;
    g = kapi_crc32c(g, &number, sizeof number);
    return g ? g : 1;
}

}  // namespace lull
