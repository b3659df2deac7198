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
#include "mdt/persistent_counter.h"
#include "ptlrpc/server_request.h"

namespace lull {

class Identities {
public:
    static constexpr uint64_t kFirstIno = (1u << 20) + 1;
    explicit Identities(Store& store);
    Status load();  // synced when it returns

    Result<uint64_t> next_sequence() { return sequences_.next(); }
    Result<Fid> next_igif(uint32_t generation);  // -ENOSPC: version 1 has no numbers left
    Result<Fid> next_stripe(uint32_t ost_index);
    // every serial handed out so far is below
    uint64_t stripe_upper() const { return serials_.upper(); }
    // May an object be made under this FID? Sequences must have been granted; version-1 names are
    // made only here, so a new one comes from a client only when it replays. -EINVAL.
    Status check_chosen(const Fid& fid, bool replay) const;
    static uint32_t generation_of(Str client, uint64_t xid);

private:
    PersistentCounter sequences_, inos_, serials_;
    Store& store_;
};

}  // namespace lull
