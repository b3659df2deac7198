// SPDX-License-Identifier: GPL-2.0-only
#include "ofd/grants.h"

namespace lull {

uint64_t Grants::reserve_of(uint64_t total_bytes)
{
    uint64_t r = total_bytes / 32;
    return r < kReserveMinBytes ? kReserveMinBytes : r > kReserveMaxBytes ? kReserveMaxBytes : r;
}

uint64_t Grants::available(const State& s, uint64_t free_bytes, uint64_t total_bytes)
{
    uint64_t taken = s.promised + reserve_of(total_bytes);
    return free_bytes > taken ? free_bytes - taken : 0;
}

uint64_t Grants::give(State& s, ClientGrant& account, uint64_t want, uint64_t free_bytes,
                      uint64_t total_bytes)
{
    if (!account.open || account.promised >= kClientMaxBytes) return 0;
    uint64_t n = kClientMaxBytes - account.promised;
    if (n > want) n = want;
    // An eighth of what is left, so that the last space is shared by all and reached in small
    // steps.
    uint64_t share = available(s, free_bytes, total_bytes) / 8;
    if (n > share) n = share;
    n -= n % kGranuleBytes;
    if (n < kChunkBytes && n < want) return 0;
    account.promised += n;
    s.promised += n;
    return n;
}

uint64_t Grants::initial(ClientGrant& account, uint64_t free_bytes, uint64_t total_bytes)
{
    auto s = state_.lock();
    if (account.promised == 0) give(*s, account, kClientMaxBytes, free_bytes, total_bytes);
    return account.promised;
}

Status Grants::admit(ClientGrant* account, uint64_t used, uint64_t bytes, uint64_t free_bytes,
                     uint64_t total_bytes)
{
    auto s = state_.lock();
    if (account && used) {
        uint64_t n = used < account->promised ? used : account->promised;
        account->promised -= n;
        s->promised -= n;
        return kOk;
    }
    return available(*s, free_bytes, total_bytes) >= bytes ? kOk : Status(-kENOSPC);
}

uint64_t Grants::further(ClientGrant& account, uint64_t want, uint64_t free_bytes,
                         uint64_t total_bytes)
{
    auto s = state_.lock();
    return want ? give(*s, account, want, free_bytes, total_bytes) : 0;
}

void Grants::close(ClientGrant& account)
{
    auto s = state_.lock();
    s->promised -= account.promised;
    account.promised = 0;
    account.open = false;
}

uint64_t Grants::left(uint64_t free_bytes, uint64_t total_bytes) const
{
    auto s = state_.lock();
    return available(*s, free_bytes, total_bytes);
}

uint64_t Grants::promised() const
{
    auto s = state_.lock();
    return s->promised;
}

}  // namespace lull
