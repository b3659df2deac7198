// SPDX-License-Identifier: GPL-2.0-only
#include "ptlrpc/target_table.h"

#include "kapi/walks.h"

namespace lull {

TargetTable::~TargetTable()
{
    LULL_ASSERT(state_.unsafe().targets.empty());
    LULL_ASSERT(state_.unsafe().exports.empty());
}

TargetTable::Entry* TargetTable::find_locked(State& state, const RequestHandler& handler)
{
    for (Entry& e : state.targets)
        if (e.handler == &handler) return &e;
    return nullptr;
}

Status TargetTable::add(RequestHandler& handler)
{
    Owned<Entry> entry = make<Entry>();
    if (!entry) return -kENOMEM;
    entry->handler = &handler;
    auto state = state_.lock();
    for (Entry& e : state->targets)
        if (e.handler->target_name() == handler.target_name().str()) return -kEALREADY;
    state->targets.push_back(*entry.release());
    return kOk;
}

void TargetTable::remove(RequestHandler& handler)
{
    {
        Owned<Entry> entry;
        auto state = state_.lock();
        Entry* found = find_locked(*state, handler);
        if (!found || found->leaving) return;
        found->leaving = true;
        (void)state.wait_until(unpinned_, [&] { return found->inside == 0; });
        state->targets.erase(state->targets.iterator_to(*found));
        entry.reset(found);
        state.unlock();
    }
    drop_exports_of(handler);
}

RequestHandler* TargetTable::pin(Str target_name)
{
    auto state = state_.lock();
    for (Entry& e : state->targets) {
        if (e.leaving || !(e.handler->target_name() == target_name)) continue;
        e.inside++;
        return e.handler;
    }
    return nullptr;
}

bool TargetTable::pin(RequestHandler& handler)
{
    auto state = state_.lock();
    Entry* e = find_locked(*state, handler);
    if (!e || e->leaving) return false;
    e->inside++;
    return true;
}

void TargetTable::unpin(RequestHandler& handler)
{
    auto state = state_.lock();
    Entry* e = find_locked(*state, handler);
    LULL_ASSERT(e && e->inside > 0);
    if (--e->inside == 0) unpinned_.wake_all();
}

Status TargetTable::add_export(Ref<Export> exp)
{
    auto state = state_.lock();
    if (exp->node_hook.is_linked()) return -kEEXIST;
    if (!state->exports.insert(*exp).second) return -kEEXIST;
    (void)exp.leak();
    return kOk;
}

void TargetTable::remove_export(Export& exp)
{
    {
        auto state = state_.lock();
        if (!exp.node_hook.is_linked()) return;
        state->exports.erase(state->exports.iterator_to(exp));
    }
    Ref<Export>::adopt(&exp).reset();
}

Ref<Export> TargetTable::find_export(uint64_t cookie)
{
    auto state = state_.lock();
    auto it = state->exports.find(cookie);
    return it == state->exports.end() ? Ref<Export>() : Ref<Export>(&*it);
}

// Lets a walk over all exports work on each without the lock.
template <class P> Ref<Export> TargetTable::first_after(uint64_t cookie, P wanted)
{
    auto state = state_.lock();
    for (auto it = state->exports.upper_bound(cookie); it != state->exports.end(); ++it) {
        count_walk();
        if (wanted(*it)) return Ref<Export>(&*it);
    }
    return nullptr;
}

void TargetTable::drop_exports_of(RequestHandler& handler)
{
    uint64_t cookie = 0;
    while (Ref<Export> exp =
               first_after(cookie, [&](Export& e) { return &e.handler() == &handler; })) {
        cookie = exp->cookie();
        exp->disconnect();
        remove_export(*exp);
    }
}

void TargetTable::detach(Export& exp, Connection& connection)
{
    RequestHandler& handler = exp.handler();
    if (!exp.detach(connection) || !pin(handler)) return;
    handler.on_export_disconnected(exp);
    unpin(handler);
}

// An import has a connection of its own; only a strange client makes us look at all exports.
void TargetTable::on_connection_closed(Connection& connection)
{
    uint64_t user = connection.user();
    if (user != Connection::kManyUsers) {
        if (Ref<Export> exp = user ? find_export(user) : Ref<Export>()) detach(*exp, connection);
        return;
    }
    uint64_t cookie = 0;
    while (Ref<Export> exp = first_after(cookie, [](Export&) { return true; })) {
        cookie = exp->cookie();
        detach(*exp, connection);
    }
}

}  // namespace lull
