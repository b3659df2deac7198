// SPDX-License-Identifier: GPL-2.0-only
// Mount's tables: inodes by FID, stripes by the FID of their object. They hold no references: an
// inode leaves them in its destructor, and one that is being destroyed already makes room for its
// successor.
#include "llite/mount.h"

namespace lull {

Ref<Inode> Mount::find_inode(const Fid& fid)
{
    auto tables = tables_.lock();
    auto it = tables->inodes.find(fid);
    return it != tables->inodes.end() && it->try_ref() ? Ref<Inode>::adopt(&*it) : Ref<Inode>();
}

Result<Ref<Inode>> Mount::inode(const Fid& fid)
{
    if (fid.is_zero()) return -kEPROTO;
    if (Ref<Inode> known = find_inode(fid)) return known;
    auto fresh = make_ref<Inode>(*this, fid);
    if (!fresh) return -kENOMEM;
    Ref<Inode> known;  // dropped, like fresh, without the lock
    {
        auto tables = tables_.lock();
        auto it = tables->inodes.find(fid);
        if (it != tables->inodes.end()) {
            if (it->try_ref()) known = Ref<Inode>::adopt(&*it);
            else tables->inodes.erase(it);
        }
        if (!known) tables->inodes.insert(*fresh);
    }
    return known ? known : fresh;
}

Ref<Inode> Mount::next_inode(const Fid& after)
{
    auto tables = tables_.lock();
    for (auto it = tables->inodes.upper_bound(after); it != tables->inodes.end(); ++it)
        if (it->try_ref()) return Ref<Inode>::adopt(&*it);
    return {};
}

Fid Mount::last_inode()
{
    auto tables = tables_.lock();
    return tables->inodes.empty() ? Fid{} : tables->inodes.rbegin()->fid;
}

Ref<Inode> Mount::find_object(const Fid& object, uint32_t* stripe)
{
    auto tables = tables_.lock();
    auto it = tables->objects.find(object);
    if (it == tables->objects.end() || !it->inode->try_ref()) return {};
    *stripe = it->index;
    return Ref<Inode>::adopt(it->inode);
}

void Mount::add_objects(Inode::FileLayout& layout)
{
    auto tables = tables_.lock();
    for (Inode::Stripe& stripe : layout.stripes) {
        if (auto it = tables->objects.find(stripe.fid); it != tables->objects.end())
            tables->objects.erase(it);
        tables->objects.insert(stripe);
    }
}

void Mount::remove(Inode& inode)
{
    Inode::FileLayout* layout = inode.known_layout();
    auto tables = tables_.lock();
    if (inode.table_hook.is_linked()) tables->inodes.erase(tables->inodes.iterator_to(inode));
    if (!layout) return;
    for (Inode::Stripe& stripe : layout->stripes)
        if (stripe.hook.is_linked()) tables->objects.erase(tables->objects.iterator_to(stripe));
}

}  // namespace lull
