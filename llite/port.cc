// SPDX-License-Identifier: GPL-2.0-only
// The C face of the client core: llite_port.h.
#include "llite/file.h"
#include "llite/io.h"
#include "llite/layout.h"
#include "llite/namei.h"

using namespace lull;

namespace {

Mount* of(llc_mount* m) { return reinterpret_cast<Mount*>(m); }
llc_mount* of(Mount* m) { return reinterpret_cast<llc_mount*>(m); }
Inode* of(llc_inode* i) { return reinterpret_cast<Inode*>(i); }
llc_inode* of(Inode* i) { return reinterpret_cast<llc_inode*>(i); }
File* of(llc_file* f) { return reinterpret_cast<File*>(f); }

// What an application may see.
int to_errno(Status s)
{
    int e = s.error();
    // Sent away without a signal: by a forced umount.
    if (e == -kERESTARTSYS && !kapi_signal_pending()) return -kEIO;
    if (e >= -133 || e == -kERESTARTSYS) return e;
    return -kEIO;  // Lull's own codes
}
int to_errno_or_dead(Status s) { return s.is(kESHUTDOWN) ? -kEIO : to_errno(s); }

// No local file system's call ends for a signal with a handler: a wait that has just begun is begun
// again when the handler has run. The option "intr" leaves that to SA_RESTART.
int answer(const Mount& mount, Status s)
{
    if (s.is(kERESTARTSYS) && !mount.options().intr && kapi_signal_pending())
        return -kERESTARTNOINTR;
    return to_errno_or_dead(s);
}

// Hands the reference over.
void give(Ref<Inode> inode, llc_inode** out, llc_attr* attr)
{
    inode->fill(attr);
    *out = of(inode.leak());
}

static_assert(LLC_FLOCK_POSIX == static_cast<unsigned>(FlockKind::kPosix) &&
              LLC_FLOCK_BSD == static_cast<unsigned>(FlockKind::kFlock));

FlockRange to_range(const llc_flock& l)
{
    FlockRange r;
    LockMode mode = l.type == LLC_FLOCK_UNLOCK   ? LockMode::kNL
                    : l.type == LLC_FLOCK_SHARED ? LockMode::kPR
                                                 : LockMode::kPW;
    r.kind = static_cast<uint8_t>(l.kind);
    r.mode = static_cast<uint8_t>(mode);
    r.start = l.start;
    r.end = l.end;
    r.owner = l.owner;
    r.pid = l.pid;
    return r;
}

uint32_t to_type(uint8_t mode)
{
    if (mode == static_cast<uint8_t>(LockMode::kNL)) return LLC_FLOCK_UNLOCK;
    return mode == static_cast<uint8_t>(LockMode::kPR) ? LLC_FLOCK_SHARED : LLC_FLOCK_EXCLUSIVE;
}

Owned<IoScope> scope_of(llc_io* io) { return Owned<IoScope>(static_cast<IoScope*>(io->opaque[0])); }

}  // namespace

extern "C" {

// ---- mount

int llc_mount_create(lull_node* node, const char* source, const char* options, llc_mount** out,
                     char* why, size_t why_bytes)
{
    WhyText text;
    auto mount = Mount::create(*reinterpret_cast<Node*>(node), source, options, &text);
    if (why && why_bytes) kapi_snprintf(why, why_bytes, "%s", text.c_str());
    if (!mount.ok()) return to_errno(mount.status());
    *out = of(mount.release_value().release());
    return 0;
}

void llc_mount_destroy(llc_mount* m) { Owned<Mount> freed(of(m)); }
void llc_mount_leave_host(llc_mount* m) { (void)of(m)->host_uses().close(kForever); }
void llc_mount_interrupt(llc_mount* m) { of(m)->interrupt_waits(); }
void llc_mount_force(llc_mount* m) { of(m)->end_by_force(); }
int llc_statfs(llc_mount* m, struct llc_statfs* out) { return answer(*of(m), of(m)->statfs(out)); }
int llc_sync(llc_mount* m) { return answer(*of(m), of(m)->sync()); }
bool llc_take_loss(llc_mount* m) { return of(m)->take_loss(); }

// ---- inodes

int llc_root(llc_mount* m, llc_inode** out, llc_attr* attr)
{
    auto root = of(m)->inode(kRootFid);
    if (!root.ok()) return to_errno(root.status());
    if (Status s = root.value()->revalidate(false); !s.ok()) return answer(*of(m), s);
    give(root.release_value(), out, attr);
    return 0;
}

void llc_inode_get(llc_inode* i) { of(i)->ref(); }
void llc_inode_put(llc_inode* i) { Ref<Inode>::adopt(of(i)).reset(); }
void llc_inode_bind(llc_inode* i, llp_inode* host) { of(i)->bind(host); }
uint64_t llc_inode_number(llc_inode* i) { return of(i)->number(); }
uint64_t llc_max_bytes(llc_inode* i)
{
    if (Inode::FileLayout* known = i ? of(i)->known_layout() : nullptr) return known->max_bytes();
    return kStripesMax * kObjectMaxBytes;
}
void llc_cached_attr(llc_inode* i, llc_attr* attr) { of(i)->fill(attr); }

int llc_revalidate(llc_inode* i, bool size_too, llc_attr* attr)
{
    Status s = of(i)->revalidate(size_too);
    if (s.ok()) of(i)->fill(attr);
    return answer(of(i)->mount, s);
}

int llc_dir_epoch(llc_inode* dir, bool acquire, uint64_t* epoch)
{
    return answer(of(dir)->mount, of(dir)->dir_epoch(acquire, epoch));
}

// ---- names

int llc_lookup(llc_inode* dir, const char* name, size_t len, llc_inode** out, llc_attr* attr,
               uint64_t* epoch)
{
    if (Status s = of(dir)->dir_epoch(true, epoch); !s.ok()) return answer(of(dir)->mount, s);
    auto found = lookup(*of(dir), Str(name, len));
    if (!found.ok()) return answer(of(dir)->mount, found.status());
    give(found.release_value(), out, attr);
    return 0;
}

int llc_create(llc_inode* dir, const char* name, size_t len, const struct llc_create* how,
               llc_inode** out, llc_attr* attr, uint64_t* epoch)
{
    (void)of(dir)->dir_epoch(false, epoch);
    auto made = create(*of(dir), Str(name, len), *how);
    if (!made.ok()) return answer(of(dir)->mount, made.status());
    give(made.release_value(), out, attr);
    return 0;
}

int llc_unlink(llc_inode* dir, const char* name, size_t len, bool rmdir, llc_inode* victim)
{
    return answer(of(dir)->mount, lull::unlink(*of(dir), Str(name, len), rmdir, of(victim)));
}

int llc_link(llc_inode* i, llc_inode* dir, const char* name, size_t len, llc_attr* attr)
{
    Status s = lull::link(*of(i), *of(dir), Str(name, len));
    if (s.ok()) of(i)->fill(attr);
    return answer(of(i)->mount, s);
}

int llc_rename(llc_inode* from_dir, const char* from, size_t from_len, llc_inode* to_dir,
               const char* to, size_t to_len, bool no_replace, llc_inode* moved,
               llc_inode* replaced)
{
    return answer(of(from_dir)->mount,
                  lull::rename(*of(from_dir), Str(from, from_len), *of(to_dir), Str(to, to_len),
                               no_replace, of(moved), of(replaced)));
}

int llc_readlink(llc_inode* i, char* out, size_t bytes)
{
    auto n = lull::readlink(*of(i), out, bytes);
    return n.ok() ? static_cast<int>(n.value()) : answer(of(i)->mount, n.status());
}

int llc_readdir(llc_inode* dir, uint64_t cookie, llc_emit emit, void* arg)
{
    return answer(of(dir)->mount, lull::readdir(*of(dir), cookie, emit, arg));
}

int llc_setattr(llc_inode* i, const llc_attr* to, uint32_t valid, llc_attr* attr)
{
    Status s = of(i)->setattr(*to, valid);
    if (s.ok()) of(i)->fill(attr);
    return answer(of(i)->mount, s);
}

// ---- open files

int llc_open(llc_inode* i, uint32_t flags, llc_file** out)
{
    auto file = File::open(*of(i), flags);
    if (!file.ok()) return answer(of(i)->mount, file.status());
    *out = reinterpret_cast<llc_file*>(file.release_value().release());
    return 0;
}

int llc_open_create(llc_inode* dir, const char* name, size_t len, uint32_t flags,
                    const struct llc_create* how, llc_inode** out, llc_attr* attr, uint64_t* epoch,
                    llc_file** file, bool* created)
{
    (void)of(dir)->dir_epoch(false, epoch);
    Ref<Inode> inode;
    Owned<File> opened;
    Status s = File::open_name(*of(dir), Str(name, len), *how, flags, &inode, &opened, created);
    if (!s.ok()) return answer(of(dir)->mount, s);
    *file = reinterpret_cast<llc_file*>(opened.release());
    give(std::move(inode), out, attr);
    return 0;
}

int llc_file_intact(llc_file* f) { return of(f)->has_lost_data() ? -kEIO : 0; }
void llc_loss_was_told(llc_file* f) { of(f)->loss_was_told(); }
int llc_close(llc_file* f) { return to_errno_or_dead(File::close(Owned<File>(of(f)))); }

int llc_fsync(llc_inode* i, bool data_only)
{
    return answer(of(i)->mount, of(i)->fsync(data_only));
}

// ---- data

int llc_io_begin(llc_inode* i, uint64_t pos, uint64_t end, unsigned mode, llc_io* io)
{
    (void)end;  // locks reach the end of the file: io.h
    auto scope = make<IoScope>();
    if (!scope) return -kENOMEM;
    WaitMode wait = mode & LLC_IO_NOINTR ? WaitMode::kKillable : WaitMode::kInterruptible;
    mode &= ~LLC_IO_NOINTR;
    LockMode lock_mode = mode == LLC_IO_READ ? LockMode::kPR : LockMode::kPW;
    Status s = of(i)->begin_io(mode == LLC_IO_APPEND ? 0 : pos, lock_mode, wait, scope.get());
    if (!s.ok()) return answer(of(i)->mount, s);
    io->opaque[0] = scope.release();
    io->size = of(i)->size();
    io->max_bytes = of(i)->known_layout()->max_bytes();
    return 0;
}

bool llc_io_end(llc_inode* i, llc_io* io)
{
    Owned<IoScope> scope = scope_of(io);
    return of(i)->end_io(*scope);
}

int llc_reserve_page(llc_inode* i, uint64_t page_index)
{
    return of(i)->reserve_page(page_index) ? 0 : -kEAGAIN;
}
int llc_bring_grant(llc_inode* i, uint64_t pos, uint64_t bytes, unsigned mode)
{
    WaitMode wait = mode & LLC_IO_NOINTR ? WaitMode::kKillable : WaitMode::kInterruptible;
    return answer(of(i)->mount, of(i)->bring_grant(pos, bytes, wait));
}
uint64_t llc_last_page_beside(llc_inode* i, uint64_t page_index)
{
    return of(i)->last_page_beside(page_index);
}

void llc_unreserve_page(llc_inode* i, uint64_t page_index) { of(i)->unreserve_page(page_index); }
void llc_wrote(llc_inode* i, uint64_t pos, uint64_t bytes) { of(i)->wrote(pos, bytes); }

int64_t llc_read(llc_inode* i, uint64_t pos, void* buf, size_t bytes)
{
    auto n = of(i)->read(pos, buf, bytes);
    return n.ok() ? static_cast<int64_t>(n.value()) : answer(of(i)->mount, n.status());
}

int llc_write(llc_inode* i, uint64_t pos, const void* buf, size_t bytes, uint32_t granted_pages)
{
    Status s = of(i)->write(pos, buf, bytes, granted_pages);
    if (s.is(kEIO)) of(i)->data_lost();
    return answer(of(i)->mount, s);
}

int llc_write_through(llc_inode* i, llc_io* io, uint64_t pos, const void* buf, size_t bytes)
{
    auto narrowed = of(i)->write_through(pos, buf, bytes, static_cast<IoScope*>(io->opaque[0]));
    return narrowed.ok() ? narrowed.value() : answer(of(i)->mount, narrowed.status());
}

// ---- file locks

int llc_flock_set(llc_inode* i, llc_file* f, const llc_flock* lock, bool wait)
{
    FlockRange range = to_range(*lock);
    range.fid = of(i)->fid;
    Status s = f ? of(f)->flock(range, wait) : of(i)->mount.flocks().set(range, wait);
    return wait ? to_errno_or_dead(s) : answer(of(i)->mount, s);  // POSIX: a handler ends F_SETLKW
}

void llc_flock_release(llc_inode* i, const llc_flock* lock)
{
    FlockRange range = to_range(*lock);
    range.fid = of(i)->fid;
    of(i)->mount.flocks().release(range);
}

int llc_flock_test(llc_inode* i, llc_flock* lock)
{
    FlockRange range = to_range(*lock), other;
    range.fid = of(i)->fid;
    Status s = of(i)->mount.flocks().test(range, &other, &lock->same_client);
    if (!s.ok()) return answer(of(i)->mount, s);
    lock->type = to_type(other.mode);
    if (lock->type == LLC_FLOCK_UNLOCK) return 0;
    lock->start = other.start;
    lock->end = other.end;
    lock->pid = other.pid;
    return 0;
}

// ---- layout

int llc_get_layout_text(llc_inode* i, char* out, size_t bytes)
{
    auto n = get_layout_text(*of(i), out, bytes);
    return n.ok() ? static_cast<int>(n.value()) : answer(of(i)->mount, n.status());
}

int llc_set_layout_text(llc_inode* dir, const char* text, size_t len)
{
    return answer(of(dir)->mount, set_layout_text(*of(dir), Str(text, len)));
}

}  // extern "C"
