// SPDX-License-Identifier: GPL-2.0-only
#include "osd/store_impl.h"

namespace lull {

namespace {

constexpr size_t kRecordBytesMax = 3000;

// The name comes from a peer.
bool valid_client(Str name)
{
    if (name.empty() || name.size() > UuidText::capacity() || name[0] == '.') return false;
    for (size_t i = 0; i < name.size(); i++) {
        char c = name[i];
        bool fine = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    c == '-' || c == '_' || c == '.';
        if (!fine) return false;
    }
    return true;
}

struct CollectClients {
    Vec<UuidText>* out;
    Status status;
};

bool collect_client(void* arg, const char* name, size_t len, uint64_t, uint32_t, uint64_t)
{
    auto* c = static_cast<CollectClients*>(arg);
    if (valid_client(Str(name, len))) c->status = c->out->push_back(UuidText(Str(name, len)));
    return c->status.ok();
}

}  // namespace

Status StoreImpl::record_node(Area area, Str file, bool create, NodeRef* out)
{
    if (area == Area::kServer) {
        *out = NodeRef(kbfs_get(server_file.get()));
        return kOk;
    }
    if (!valid_client(file)) return -kEINVAL;
    Status s = bfs_lookup(clients.get(), file, out);
    if (!s.is(kENOENT) || !create) return s;
    s = Status(
        kbfs_create(clients.get(), file.data(), file.size(), KBFS_FILE | 0600, 0, out->out()));
    return s.is(kEEXIST) ? bfs_lookup(clients.get(), file, out) : s;
}

Result<Bytes> StoreImpl::get_record(Area area, Str file, const char* record)
{
    NodeRef node;
    TRY(record_node(area, file, false, &node));
    Bytes value;
    TRY(value.resize(kRecordBytesMax));
    int n = kbfs_getxattr(node.get(), record, value.data(), value.size());
    if (n < 0) return n;
    TRY(value.resize(static_cast<size_t>(n)));
    return value;
}

Status StoreImpl::put_record(Area area, Str file, const char* record,
                             std::span<const uint8_t> value)
{
    if (value.size() > kRecordBytesMax) return -kERANGE;
    NodeRef node;
    TRY(record_node(area, file, true, &node));
    return Status(kbfs_setxattr(node.get(), record, value.data(), value.size()));
}

Status StoreImpl::remove_record(Area area, Str file, const char* record)
{
    NodeRef node;
    Status s = record_node(area, file, false, &node);
    if (s.ok()) s = Status(kbfs_removexattr(node.get(), record));
    return s.is(kENODATA) || s.is(kENOENT) ? kOk : s;
}

Status StoreImpl::remove_client(Str file)
{
    if (!valid_client(file)) return -kEINVAL;
    Status s(kbfs_unlink(clients.get(), file.data(), file.size()));
    return s.is(kENOENT) ? kOk : s;
}

Status StoreImpl::list_clients(Vec<UuidText>* out)
{
    CollectClients c{out, kOk};
    TRY(Status(kbfs_iterate(clients.get(), 0, collect_client, &c)));
    return c.status;
}

}  // namespace lull
