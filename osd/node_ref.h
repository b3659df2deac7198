// SPDX-License-Identifier: GPL-2.0-only
/* A counted reference to an object of the backing file system that puts itself. */
#pragma once
#include "kapi/backing_fs.h"
#include "kapi/containers.h"

namespace lull {

class NodeRef {
public:
    NodeRef() = default;
    explicit NodeRef(kbfs_node* n) : n_(n) {}  // takes over
    NodeRef(NodeRef&& o) : n_(std::exchange(o.n_, nullptr)) {}
    NodeRef& operator=(NodeRef&& o)
    {
        std::swap(n_, o.n_);
        return *this;
    }
    NodeRef(const NodeRef&) = delete;
    ~NodeRef() { reset(); }

    void reset()
    {
        if (kbfs_node* n = std::exchange(n_, nullptr)) kbfs_put(n);
    }
    kbfs_node** out()
    {
        reset();
        return &n_;
    }
    kbfs_node* get() const { return n_; }
    kbfs_node* release() { return std::exchange(n_, nullptr); }
    explicit operator bool() const { return n_ != nullptr; }

private:
    kbfs_node* n_ = nullptr;
};

inline Status bfs_lookup(kbfs_node* dir, Str name, NodeRef* out)
{
    return Status(kbfs_lookup(dir, name.data(), name.size(), out->out()));
}

}  // namespace lull
