// SPDX-License-Identifier: GPL-2.0-only
/* Whole files under CONFIGS/: written beside their place, synced, renamed, synced. */
#include "osd/store_impl.h"

namespace lull {

namespace {

constexpr uint64_t kConfigBytesMax = 4u << 20;

struct CollectNames {
    Vec<NameText>* out;
    Status status;
};

bool collect_name(void* arg, const char* name, size_t len, uint64_t, uint32_t type, uint64_t)
{
    auto* c = static_cast<CollectNames*>(arg);
    bool is_file = type == KBFS_FILE || type == 0;  // not every backing file system tells the type
    if (len && name[0] != '.' && is_file) c->status = c->out->push_back(NameText(Str(name, len)));
    return c->status.ok();
}

bool valid_config(Str name) { return valid_name(name) && name[0] != '.' && name.size() < 200; }

}  // namespace

Result<Bytes> StoreImpl::read_config(Str name)
{
    if (!valid_config(name)) return -kEINVAL;
    NodeRef node;
    TRY(bfs_lookup(configs.get(), name, &node));
    kbfs_attr attr;
    TRY(Status(kbfs_getattr(node.get(), &attr)));
    if (attr.size > kConfigBytesMax) return -kEFBIG;
    Bytes data;
    TRY(data.resize(attr.size));
    size_t done = 0;
    while (done < data.size()) {
        int64_t n = kbfs_read(node.get(), done, data.data() + done, data.size() - done);
        if (n < 0) return static_cast<int>(n);
        if (n == 0) break;
        done += static_cast<size_t>(n);
    }
    TRY(data.resize(done));
    return data;
}

Status StoreImpl::write_config(Str name, std::span<const uint8_t> data)
{
    if (!valid_config(name)) return -kEINVAL;
    if (data.size() > kConfigBytesMax) return -kEFBIG;
    Text<210> beside(".");
    TRY(beside.append(name));
    Status s(kbfs_unlink(configs.get(), beside.c_str(), beside.size()));
    if (!s.ok() && !s.is(kENOENT)) return s;
    NodeRef node;
    TRY(Status(kbfs_create(configs.get(), beside.c_str(), beside.size(), KBFS_FILE | 0644, 0,
                           node.out())));
    s = data.empty() ? kOk : Status(kbfs_write(node.get(), 0, data.data(), data.size()));
    if (s.ok()) s = sync();
    if (s.ok())
        s = Status(kbfs_rename(configs.get(), beside.c_str(), beside.size(), configs.get(),
                               name.data(), name.size()));
    if (!s.ok()) {
        (void)kbfs_unlink(configs.get(), beside.c_str(), beside.size());
        return s;
    }
    return sync();
}

Status StoreImpl::remove_config(Str name)
{
    if (!valid_config(name)) return -kEINVAL;
    Status s(kbfs_unlink(configs.get(), name.data(), name.size()));
    if (s.is(kENOENT)) return kOk;
    TRY(s);
    return sync();
}

Status StoreImpl::list_configs(Vec<NameText>* out)
{
    CollectNames c{out, kOk};
    TRY(Status(kbfs_iterate(configs.get(), 0, collect_name, &c)));
    return c.status;
}

}  // namespace lull
