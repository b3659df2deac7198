// SPDX-License-Identifier: GPL-2.0-only
#include "osd/store_impl.h"

namespace lull {

namespace {

using IndexText = Text<40>;

Result<uint64_t> decimal(Str text)
{
    if (text.empty() || text.size() > 19) return -kEINVAL;
    uint64_t v = 0;
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] < '0' || text[i] > '9') return -kEINVAL;
        v = v * 10 + static_cast<uint64_t>(text[i] - '0');
    }
    return v;
}

Status parse_entry(Str text, uint64_t* ino, uint32_t* generation)
{
    size_t colon = text.find(':');
    if (colon == SIZE_MAX) return -kEINVAL;
    *ino = TRY(decimal(text.substr(0, colon)));
    uint64_t g = TRY(decimal(text.substr(colon + 1)));
    if (g > UINT32_MAX) return -kEINVAL;
    *generation = static_cast<uint32_t>(g);
    return kOk;
}

}  // namespace

Status StoreImpl::index_put(const Fid& fid, kbfs_node* node)
{
    kbfs_attr attr;
    TRY(Status(kbfs_getattr(node, &attr)));
    IndexText entry =
        text_format<40>("%llu:%u", static_cast<unsigned long long>(attr.ino), attr.generation);
    NodeRef bucket, link;
    TRY(make_directory(oi.get(), fid_bucket(fid), &bucket));
    FidName name = fid_name(fid);
    Status s(kbfs_symlink(bucket.get(), name.c_str(), name.size(), entry.c_str(), link.out()));
    if (!s.is(kEEXIST)) return s;
    // Left behind by an object that is gone.
    TRY(Status(kbfs_unlink(bucket.get(), name.c_str(), name.size())));
    return Status(kbfs_symlink(bucket.get(), name.c_str(), name.size(), entry.c_str(), link.out()));
}

Status StoreImpl::index_remove(const Fid& fid)
{
    NodeRef bucket;
    Status s = bfs_lookup(oi.get(), fid_bucket(fid), &bucket);
    if (s.is(kENOENT)) return kOk;
    TRY(s);
    FidName name = fid_name(fid);
    s = Status(kbfs_unlink(bucket.get(), name.c_str(), name.size()));
    return s.is(kENOENT) ? kOk : s;
}

Status StoreImpl::index_open(const Fid& fid, NodeRef* out)
{
    NodeRef bucket, link;
    TRY(bfs_lookup(oi.get(), fid_bucket(fid), &bucket));
    TRY(bfs_lookup(bucket.get(), fid_name(fid), &link));
    char text[40];
    int n = kbfs_readlink(link.get(), text, sizeof text);
    if (n < 0) return n;
    uint64_t ino;
    uint32_t generation;
    if (!parse_entry(Str(text, static_cast<size_t>(n)), &ino, &generation).ok()) return -kESTALE;
    return Status(kbfs_open_handle(fs, ino, generation, out->out()));
}

}  // namespace lull
