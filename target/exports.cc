// SPDX-License-Identifier: GPL-2.0-only
#include "target/exports.h"

#include "kapi/walks.h"

namespace lull {

void Exports::add(Ref<Export> exp)
{
    TargetExport* t = TargetExport::of(*exp);
    auto table = table_.lock();
    bool fresh = table->insert(*t).second;
    LULL_ASSERT(fresh);
    (void)exp.leak();
}

bool Exports::remove(Export& exp)
{
    TargetExport* t = TargetExport::of(exp);
    {
        auto table = table_.lock();
        if (!t || !t->hook.is_linked()) return false;
        table->erase(table->iterator_to(*t));
    }
    Ref<Export>::adopt(&exp).reset();
    return true;
}

Ref<Export> Exports::find(Str uuid) const
{
    auto table = table_.lock();
    auto it = table->find(uuid);
    return it == table->end() ? Ref<Export>() : Ref<Export>(&const_cast<TargetExport&>(*it).exp);
}

Status Exports::list(Vec<Ref<Export>>* out) const
{
    auto table = table_.lock();
    TRY(out->reserve(out->size() + table->size()));
    for (const TargetExport& t : *table) {
        count_walk();
        TRY(out->push_back(Ref<Export>(&t.exp)));
    }
    return kOk;
}

void Exports::clear()
{
    for (;;) {
        Ref<Export> gone;  // dropped after the lock
        auto table = table_.lock();
        if (table->empty()) return;
        TargetExport& first = *table->begin();
        table->erase(table->begin());
        gone = Ref<Export>::adopt(&first.exp);
    }
}

}  // namespace lull
