/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where identities come from (S9): sequences granted to version-2 clients, inode numbers for
 * version-1 creates, serials of OST objects.
 *
 * The generation of a version-1 object is derived from the client and the number of the request
 * that made it: a resend of that request (it knows no identity yet) recognises what it made before
 * a crash.
 */
#pragma once
#include "mdt/fid_grants.h"
#include "mdt/persistent_counter.h"

namespace lull {

class Identities {
public:
    static constexpr uint64_t kFirstIno = (1u << 20) + 1;
    explicit Identities(Store& store);
    Status load();  // synced when it returns

    // Durable only after a commit; the client must not be told before.
    Result<uint64_t> grant_sequence(Export& exp);
    Result<Fid> next_igif(uint32_t generation);  // -ENOSPC: version 1 has no numbers left
    Result<Fid> next_stripe(uint32_t ost_index);
    // every serial handed out so far is below
    uint64_t stripe_upper() const { return serials_.upper(); }
    // May this request make an object under the FID that its client chose (fid_grants.h)? Version-1
    // names are made only here: one comes from a client when it replays the request for which it
    // was made. -EINVAL, -EEXIST; the claim is the caller's to keep.
    Status claim(ServerRequest& request, const Fid& fid, FidClaim* out);
    // The object is gone, or about to go; its FID does not come back.
    Status note_removed(const Fid& fid) { return grants_.note_removed(fid); }
    void forget_client(const UuidText& client) { grants_.forget(client); }
    // The objects that a replayed create had been given: as only next_stripe() names them. -EINVAL.
    Status check_stripes(const Layout& layout) const;
    static uint32_t generation_of(Str client, uint64_t xid);

private:
    PersistentCounter sequences_, inos_, serials_;
    FidGrants grants_;
    Store& store_;
};

}  // namespace lull
