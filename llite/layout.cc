// SPDX-License-Identifier: GPL-2.0-only
// The "lull.layout" attribute: read of anything, written to directories (default for new files).
#include "llite/layout.h"

#include "llite/layout_text.h"

namespace lull {

constexpr size_t kLayoutTextMaxBytes = 4096;

Result<size_t> get_layout_text(Inode& inode, char* out, size_t bytes)
{
    auto call = make_ref<Call<MdsGetattrOp>>();
    if (!call) return -kENOMEM;
    call->op.fid = inode.fid;
    TRY(inode.mount.mdc().import().call(*call));
    TextSink text(kLayoutTextMaxBytes);
    print_layout(call->reply.layout, text);
    TRY(text.status());
    size_t n = text.text().size();
    if (bytes == 0) return n;  // only its length is wanted
    if (n > bytes) return -kERANGE;
    memcpy(out, text.text().data(), n);
    return n;
}

Status set_layout_text(Inode& dir, Str text)
{
    auto call = make_ref<Call<MdsSetLayoutOp>>();
    if (!call) return -kENOMEM;
    TRY(parse_layout(text, &call->op.layout));
    call->op.fid = dir.fid;
    TRY(dir.settle());
    OwnChange change(&dir, call.get());
    return dir.mount.mdc().import().call(*call);
}

}  // namespace lull
