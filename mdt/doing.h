/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A note, left in the client's record just before the one step that counts of an unlink or rename.
 * If the server crashes after that step and before the reply slot is stored, the client's resend
 * finds the name gone; the note tells that this was its own doing (invariant 5). Overwritten by the
 * next operation in the slot.
 */
#pragma once
#include "ptlrpc/server_request.h"
#include "osd/store.h"

namespace lull {

struct DoingRecord {
    uint64_t xid = 0, transno = 0;
    Fid fid, fid2;  // removed or moved; replaced
    template <class Io> void io(Io& x)
    {
        x.u64(xid);
        x.u64(transno);
        x.u64(fid.seq);
        x.u32(fid.oid);
        x.u32(fid.ver);
        x.u64(fid2.seq);
        x.u32(fid2.oid);
        x.u32(fid2.ver);
    }
};

Status note_doing(Store& store, ServerRequest& request, uint64_t transno, const Fid& fid,
                  const Fid& fid2);
// The highest transaction of which the disk shows a trace after a crash, in any client's notes and
// reply slots. What survives is a beginning of all steps: what was done before it, and led to it,
// is on the disk, too.
Result<uint64_t> highest_survivor(Store& store);
// False: this request is no resend, or it left no note.
bool find_doing(Store& store, ServerRequest& request, DoingRecord* out);

}  // namespace lull
