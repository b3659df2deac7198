/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The targets of a node by name and the exports of all of them by cookie. A target is pinned while
 * one of its handlers runs, so that remove() can wait for them.
 */
#pragma once
#include "ptlrpc/server_request.h"

namespace lull {

class TargetTable {
public:
    TargetTable() = default;
    ~TargetTable();

    Status add(RequestHandler& handler);   // -EALREADY
    void remove(RequestHandler& handler);  // waits until it is not pinned; drops its exports and
                                           // closes their connections
    RequestHandler* pin(Str target_name);  // null: no such target
    bool pin(RequestHandler& handler);     // false: it is not registered (any more)
    void unpin(RequestHandler& handler);

    Status add_export(Ref<Export> exp);  // -EEXIST
    void remove_export(Export& exp);
    Ref<Export> find_export(uint64_t cookie);
    void on_connection_closed(Connection& connection);

private:
    struct Entry {
        RequestHandler* handler = nullptr;
        unsigned inside = 0;
        bool leaving = false;
        ListHook hook;
    };
    struct Cookie {
        using type = uint64_t;
        type operator()(const Export& e) const { return e.cookie(); }
    };
    using ExportHook = bi::member_hook<Export, SetHook, &Export::node_hook>;
    struct State {
        List<Entry, &Entry::hook> targets;
        bi::set<Export, ExportHook, bi::key_of_value<Cookie>> exports;  // one reference each
    };
    static Entry* find_locked(State& state, const RequestHandler& handler);
    void drop_exports_of(RequestHandler& handler);
    void detach(Export& exp, Connection& connection);
    template <class P> Ref<Export> first_after(uint64_t cookie, P wanted);

    Guarded<State> state_{LockRank::kNode};
    CondVar unpinned_;
};

}  // namespace lull
