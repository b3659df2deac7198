// SPDX-License-Identifier: GPL-2.0-only
/*
 * Steps that change the namespace. Their order is what makes a crash between any two of them
 * harmless: see store.h.
 */
#include "osd/store_impl.h"

namespace lull {

namespace {

Status is_empty(kbfs_node* dir)
{
    bool found = false;
    TRY(Status(kbfs_iterate(
        dir, 0,
        [](void* arg, const char*, size_t, uint64_t, uint32_t, uint64_t) {
            *static_cast<bool*>(arg) = true;
            return false;
        },
        &found)));
    return found ? Status(-kENOTEMPTY) : kOk;
}

Status check_name(Object& dir, Str name)
{
    if (dir.type() != KBFS_DIR) return -kENOTDIR;
    if (name.size() > KBFS_NAME_MAX) return -kENAMETOOLONG;
    return valid_name(name) ? kOk : Status(-kEINVAL);
}

}  // namespace

bool valid_name(Str name)
{
    if (name.empty() || name.size() > KBFS_NAME_MAX || name == Str(".") || name == Str(".."))
        return false;
    for (size_t i = 0; i < name.size(); i++)
        if (name[i] == '/' || name[i] == 0) return false;
    return true;
}

Status StoreImpl::create_node(const CreateSpec& spec, const FidName& name, NodeRef* out)
{
    uint32_t type = spec.mode & kTypeMask;
    if (type != KBFS_SYMLINK)
        return Status(
            kbfs_create(tmp.get(), name.c_str(), name.size(), spec.mode, spec.rdev, out->out()));
    if (spec.symlink_target.empty() || spec.symlink_target.size() > kSymlinkMax) return -kEINVAL;
    Vec<char> target;
    TRY(target.assign(spec.symlink_target.data(), spec.symlink_target.size()));
    TRY(target.push_back(0));
    return Status(kbfs_symlink(tmp.get(), name.c_str(), name.size(), target.data(), out->out()));
}

Status StoreImpl::make_in_tmp(const CreateSpec& spec, const FidName& name, const Fid& parent,
                              NodeRef* out)
{
    Status s = create_node(spec, name, out);
    if (s.is(kEEXIST)) {  // an earlier attempt that failed
        undo_create(spec.fid, name);
        s = create_node(spec, name, out);
    }
    TRY(s);
    kbfs_attr attr = {};
    attr.mode = spec.mode & 07777;
    attr.uid = spec.uid;
    attr.gid = spec.gid;
    attr.atime_ns = attr.mtime_ns = attr.ctime_ns = spec.time_ns;
    uint32_t valid = KBFS_UID | KBFS_GID | KBFS_ATIME | KBFS_MTIME | KBFS_CTIME;
    if ((spec.mode & kTypeMask) != KBFS_SYMLINK) valid |= KBFS_MODE;
    TRY(Status(kbfs_setattr(out->get(), &attr, valid)));
    return write_mark(out->get(), ObjectMark{ObjectMark::kFormat, spec.fid, spec.transno, parent});
}

void StoreImpl::undo_create(const Fid& fid, const FidName& name)
{
    (void)index_remove(fid);
    Status s(kbfs_unlink(tmp.get(), name.c_str(), name.size()));
    if (s.is(kEISDIR) || s.is(kEPERM)) (void)kbfs_rmdir(tmp.get(), name.c_str(), name.size());
}

Result<Ref<Object>> StoreImpl::create(Object& dir, Str name, const CreateSpec& spec)
{
    TRY(check_name(dir, name));
    if (spec.fid.is_zero()) return -kEINVAL;
    NodeRef there;
    Status s = bfs_lookup(dir.node(), name, &there);
    if (s.ok()) return -kEEXIST;
    if (!s.is(kENOENT)) return s;
    if (cached(spec.fid)) return -kEEXIST;
    s = index_open(spec.fid, &there);
    if (s.ok()) {
        // The index entry of something that has no mark yet is left over from an attempt in TMP.
        ObjectMark mark;
        if (read_mark(there.get(), &mark).ok() && mark.fid == spec.fid) {
            NodeRef left;
            if (!bfs_lookup(tmp.get(), fid_name(spec.fid), &left).ok()) return -kEEXIST;
        }
    } else if (!s.is(kENOENT) && !s.is(kESTALE)) {
        return s;
    }
    there.reset();

    FidName at_tmp = fid_name(spec.fid);
    bool is_dir = (spec.mode & kTypeMask) == KBFS_DIR;
    Fid parent = is_dir ? dir.fid() : Fid{};
    NodeRef node;
    Ref<Object> object;
    s = make_in_tmp(spec, at_tmp, parent, &node);
    if (s.ok()) s = index_put(spec.fid, node.get());
    if (s.ok()) {
        auto made =
            adopt(std::move(node), ObjectMark{ObjectMark::kFormat, spec.fid, spec.transno, parent},
                  spec.mode & kTypeMask, false);
        s = made.status();
        if (s.ok()) object = made.release_value();
    }
    if (s.ok() && spec.layout && spec.layout->is_set()) s = set_layout(*object, *spec.layout);
    if (s.ok())
        s = Status(kbfs_rename(tmp.get(), at_tmp.c_str(), at_tmp.size(), dir.node(), name.data(),
                               name.size()));
    if (!s.ok()) {
        forget(spec.fid);
        undo_create(spec.fid, at_tmp);
        return s;
    }
    return object;
}

Status StoreImpl::link(Object& object, Object& dir, Str name)
{
    TRY(check_name(dir, name));
    if (object.type() == KBFS_DIR) return -kEPERM;
    {
        auto c = cache.lock();
        if (object.pending_) return -kENOENT;
    }
    return Status(kbfs_link(object.node(), dir.node(), name.data(), name.size()));
}

// Through TMP, so that a crash leaves no index entry of a directory that is gone.
Status StoreImpl::remove_directory(Object& dir, Str name, Object& object)
{
    TRY(is_empty(object.node()));
    FidName at_tmp = fid_name(object.fid());
    TRY(Status(kbfs_rename(dir.node(), name.data(), name.size(), tmp.get(), at_tmp.c_str(),
                           at_tmp.size())));
    Status s = index_remove(object.fid());
    if (s.ok()) s = Status(kbfs_rmdir(tmp.get(), at_tmp.c_str(), at_tmp.size()));
    if (s.is(kENOTEMPTY)) {
        TRY(index_put(object.fid(), object.node()));
        TRY(Status(kbfs_rename(tmp.get(), at_tmp.c_str(), at_tmp.size(), dir.node(), name.data(),
                               name.size())));
        return s;
    }
    forget(object.fid());
    return s;
}

Status StoreImpl::unlink(Object& dir, Str name, Object& object, bool* is_pending)
{
    *is_pending = false;
    TRY(check_name(dir, name));
    if (object.type() == KBFS_DIR) return remove_directory(dir, name, object);
    kbfs_attr attr;
    TRY(Status(kbfs_getattr(object.node(), &attr)));
    if (attr.nlink > 1) return Status(kbfs_unlink(dir.node(), name.data(), name.size()));
    FidName at_pending = fid_name(object.fid());
    TRY(Status(kbfs_rename(dir.node(), name.data(), name.size(), pending.get(), at_pending.c_str(),
                           at_pending.size())));
    auto c = cache.lock();
    object.pending_ = true;
    *is_pending = true;
    return kOk;
}

Status StoreImpl::rename(Object& from_dir, Str from, Object& to_dir, Str to, Object& moved,
                         Object* replaced, bool* is_pending)
{
    *is_pending = false;
    TRY(check_name(from_dir, from));
    TRY(check_name(to_dir, to));
    // two names of one object: nothing happens
    if (replaced && replaced->fid() == moved.fid()) return kOk;
    bool last_name = false;
    FidName at_pending;
    if (replaced && replaced->type() == KBFS_DIR) {
        TRY(is_empty(replaced->node()));
    } else if (replaced) {
        kbfs_attr attr;
        TRY(Status(kbfs_getattr(replaced->node(), &attr)));
        last_name = attr.nlink <= 1;
    }
    if (last_name) {
        // A second name first: at no moment is it without one. A crash here leaves both; mounting
        // removes this one.
        at_pending = fid_name(replaced->fid());
        Status s(kbfs_link(replaced->node(), pending.get(), at_pending.c_str(), at_pending.size()));
        if (!s.ok() && !s.is(kEEXIST)) return s;
    }
    Status s(kbfs_rename(from_dir.node(), from.data(), from.size(), to_dir.node(), to.data(),
                         to.size()));
    if (!s.ok()) {
        if (last_name) (void)kbfs_unlink(pending.get(), at_pending.c_str(), at_pending.size());
        return s;
    }
    if (last_name) {
        auto c = cache.lock();
        replaced->pending_ = true;
        *is_pending = true;
    } else if (replaced && replaced->type() == KBFS_DIR) {
        (void)index_remove(replaced->fid());
        forget(replaced->fid());
    }
    if (moved.type() == KBFS_DIR && from_dir.fid() != to_dir.fid()) {
        {
            auto c = cache.lock();
            moved.parent_ = to_dir.fid();
        }
        TRY(write_mark(moved));
    }
    return kOk;
}

Status StoreImpl::destroy_pending(const Fid& fid)
{
    TRY(index_remove(fid));
    FidName name = fid_name(fid);
    Status s(kbfs_unlink(pending.get(), name.c_str(), name.size()));
    if (!s.ok() && !s.is(kENOENT)) return s;
    forget(fid);
    return kOk;
}

}  // namespace lull
