// SPDX-License-Identifier: GPL-2.0-only
#include "mdc/fid_source.h"

#include "include/lull/ops_mds.h"

namespace lull {

Result<Fid> FidSource::next()
{
    if (import_.protocol() < kProtocol2) return Fid{};
    auto state = state_.lock();
    for (;;) {
        if (state->seq != 0 && state->oid < kFidsPerSequence)
            return Fid{state->seq, ++state->oid, 0};
        // the fetcher has a deadline: the import's life
        if (state->fetching) TRY(state.wait(fetched_, kForever, WaitMode::kKillable));
        else TRY(fetch(state));
    }
}

Status FidSource::fetch(Guarded<State>::Access& state)
{
    auto call = make_ref<Call<MdsGetSeqOp>>();
    if (!call) return -kENOMEM;
    state->fetching = true;
    state.unlock();
    Status s = import_.call(*call);
    if (s.ok() && call->reply.seq < kFidSeqNormal) s = -kEPROTO;
    state.relock();
    state->fetching = false;
    if (s.ok()) {
        state->seq = call->reply.seq;
        state->oid = 0;
    }
    fetched_.wake_all();
    return s;
}

void FidSource::forget()
{
    auto state = state_.lock();
    if (state->seq > state->forgotten) state->forgotten = state->seq;
    state->seq = 0;
}

bool FidSource::has_lapsed(const Fid& fid)
{
    return !fid.is_igif() && !fid.is_zero() && fid.seq <= state_.lock()->forgotten;
}

}  // namespace lull
