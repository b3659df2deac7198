/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * C ABI between the mountable client (core, llite) and the world that mounts it: llite/linux joins
 * it to the VFS and the page cache; tests/sim has a plain page cache of its own (kapi/sim style).
 * llc_*: calls into the core. llp_*: what the core asks of its host.
 *
 * Coherency: the host may use cached attributes, entries and pages only as the core's answers
 * allow:
 *   - attributes: llc_revalidate() first (cheap while a lock is held);
 *   - a dentry: valid while llc_dir_epoch(parent) equals the epoch that was current *before* the
 *     lookup which made it, and is not 0;
 *   - pages: only inside an I/O scope (llc_io_begin … llc_io_end), which holds the gate and the
 *     extent locks.
 *   - the size of a file is the core's; io->size is what it was when the scope began, and other
 *     tasks of this host may have moved it since. A host that keeps a copy (i_size) changes it only
 *     under a sleeping lock of its own: writers { llc_wrote; copy; mark the page dirty }, everybody
 *     else { llc_cached_attr; copy its size }. Write-back clips at the copy, so it must never be
 *     behind what was written.
 *
 * Requirements: A5 A6 A8 A9, invariant 9. Errors: negative errno; -ERESTARTNOINTR, or -ERESTARTSYS
 * with the mount option "intr" and of waits for file locks, only before anything was done.
 */
#pragma once
#include "kapi/kapi.h"
#include "ptlrpc/node_glue.h"

#ifdef __cplusplus
extern "C" {
#endif

struct llc_mount; /* class Mount: one mounted client */
struct llc_inode; /* class Inode of the core: counted, one per FID and mount */
struct llp_inode; /* the host's inode (struct inode in Linux), opaque for the core */

struct llc_attr {
    uint64_t ino; /* from the FID */
    uint32_t generation;
    uint32_t mode, uid, gid, nlink, rdev;
    uint64_t size, blocks_512;
    uint64_t atime_ns, mtime_ns, ctime_ns; /* since 1970; before: the two's complement */
    /* It has no name left, and no other client has it open or ever will: nobody reads what is not
     * written yet. Without it the host writes back what is dirty before it lets the inode go. */
    bool unused;
    /* Of a regular file: locks cover its end, and size is right until llp_size_lost(). */
    bool size_known;
};
enum llc_attr_valid {
    LLC_MODE = 1,
    LLC_UID = 2,
    LLC_GID = 4,
    LLC_SIZE = 8,
    LLC_ATIME = 16,
    LLC_MTIME = 32,
    LLC_CTIME = 64,
    LLC_ATIME_NOW = 1024,
    LLC_MTIME_NOW = 2048,
    /* The server takes set-id bits from the mode that it has: S_ISUID, and S_ISGID where the group
     * may execute the file; S_ISGID in any case. */
    LLC_KILL_SUID = 4096,
    LLC_KILL_SGID = 8192
};

/* ---- mount. source: "NID[:NID]:/fsname"; why: a sentence for the administrator. Waits for a
 * server that restarts; -ERESTARTSYS. */
int llc_mount_create(struct lull_node *node, const char *source, const char *options,
                     struct llc_mount **out, char *why, size_t why_bytes);
/* Umount, first step, when the host has written its pages back: waits for the uses (llp_get) of the
 * host's inodes and begins no more. */
void llc_mount_leave_host(struct llc_mount *m);
/* all inodes were put; writes back nothing: the host has done that */
void llc_mount_destroy(struct llc_mount *m);
/* umount -f, which may yet be refused: what waits for a target that is not connected, and may be
 * killed there, fails -EIO; all else is as before. */
void llc_mount_interrupt(struct llc_mount *m);
/* umount -f goes on: before the last pages are written back. Targets that are not there fail
 * -EIO. */
void llc_mount_force(struct llc_mount *m);
struct llc_statfs {
    uint64_t total_bytes, free_bytes, avail_bytes, files, free_files;
    uint32_t block_bytes, name_max;
};
int llc_statfs(struct llc_mount *m, struct llc_statfs *out);
/* everything answered is committed on every target */
int llc_sync(struct llc_mount *m);
/* Since this was asked last, an OST has lost for good what it had answered and not committed: it
 * was made inactive, or has evicted this client. syncfs has to tell it. */
bool llc_take_loss(struct llc_mount *m);

/* ---- inodes. Every function that gives an inode gives a reference. attr: filled in where not
 * NULL. */
int llc_root(struct llc_mount *m, struct llc_inode **out, struct llc_attr *attr);
void llc_inode_get(struct llc_inode *i);
void llc_inode_put(struct llc_inode *i);
/* Ties the host's inode to it (and unties, host == NULL, when the host drops its inode: all pages
 * are gone then). */
void llc_inode_bind(struct llc_inode *i, struct llp_inode *host);
uint64_t llc_inode_number(struct llc_inode *i);
/* Fresh attributes: from cache while locked, else from the servers. size_too: of a regular file
 * also size, blocks, times from the OSTs. Of what other clients have removed: the last ones known,
 * with nlink 0; names are neither found nor made in such a directory. */
int llc_revalidate(struct llc_inode *i, bool size_too, struct llc_attr *attr);
/* No byte at or behind it can be stored, and no offset be there: of this file as far as its layout
 * is known, else, and for NULL, of any. */
uint64_t llc_max_bytes(struct llc_inode *i);
/* The attributes as last known, no message. */
void llc_cached_attr(struct llc_inode *i, struct llc_attr *attr);

/* 0: entries of this directory are not covered by a lock now. Otherwise changes whenever they may
 * have changed behind our back. acquire: take the lock if it is not held (one message). */
int llc_dir_epoch(struct llc_inode *dir, bool acquire, uint64_t *epoch);

/* ---- names. epoch: of dir, taken before the answer. Lookup sets it with -ENOENT, too. */
int llc_lookup(struct llc_inode *dir, const char *name, size_t len, struct llc_inode **out,
               struct llc_attr *attr, uint64_t *epoch);
struct llc_create {
    uint32_t mode, uid, gid, rdev;
    const char *symlink_target;
};
int llc_create(struct llc_inode *dir, const char *name, size_t len, const struct llc_create *how,
               struct llc_inode **out,
               /* mkdir, symlink, mknod by mode's S_IFMT; also plain files without opening */
               struct llc_attr *attr, uint64_t *epoch);
int llc_unlink(struct llc_inode *dir, const char *name, size_t len, bool rmdir,
               struct llc_inode *victim);
int llc_link(struct llc_inode *i, struct llc_inode *dir, const char *name, size_t len,
             struct llc_attr *attr);
int llc_rename(struct llc_inode *from_dir, const char *from, size_t from_len,
               struct llc_inode *to_dir, const char *to, size_t to_len, bool no_replace,
               struct llc_inode *moved, struct llc_inode *replaced);
int llc_readlink(struct llc_inode *i, char *out, size_t bytes); /* length */
/* emit returns false to stop. cookies as in kbfs_iterate. "." and ".." are the host's. */
typedef bool (*llc_emit)(void *arg, const char *name, size_t len, uint64_t ino, uint32_t type,
                         uint64_t next_cookie);
int llc_readdir(struct llc_inode *dir, uint64_t cookie, llc_emit emit, void *arg);
/* valid: LLC_*. A size change takes locks and truncates on the OSTs; the host has not changed its
 * i_size yet and is told by llp_*. */
int llc_setattr(struct llc_inode *i, const struct llc_attr *to, uint32_t valid,
                struct llc_attr *attr);

/* ---- open files */
struct llc_file;
#define LLC_OPEN_READ 1u
#define LLC_OPEN_WRITE 2u
#define LLC_OPEN_CREATE 4u
#define LLC_OPEN_EXCL 8u
#define LLC_OPEN_APPEND 32u
/* to run a program from: -ETXTBSY while somebody has it open to write, on any client, and the
 * other way round */
#define LLC_OPEN_EXEC 128u
int llc_open(struct llc_inode *i, uint32_t flags, struct llc_file **out);
/* Lookup, open and, with LLC_OPEN_CREATE, create in one message, so that it cannot meet a name
 * that another client is replacing. *created tells. *file is NULL with 0 when the name is of
 * something that the MDT does not keep open (a FIFO, a device): *out is what was found. -ELOOP: a
 * symbolic link. */
int llc_open_create(struct llc_inode *dir, const char *name, size_t len, uint32_t flags,
                    const struct llc_create *how, struct llc_inode **out, struct llc_attr *attr,
                    uint64_t *epoch, struct llc_file **file, bool *created);
/* 0, or -EIO: written data of the file was lost while it was open, and fsync has not told of it
 * yet. To be asked after each read: what was read may be older than what its owner had written
 * (A7). */
int llc_file_intact(struct llc_file *f);
void llc_loss_was_told(struct llc_file *f); /* fsync of it has failed */
int llc_close(struct llc_file *f);          /* frees f in any case; never waits for a parked gate */
/* pages were written by the host; commits on MDT (unless data_only) and OSTs */
int llc_fsync(struct llc_inode *i, bool data_only);

/* ---- file locks, at the MDT. They hold between all clients, and over crashes and restarts of the
 * MDT. Of one client's own open files and processes, too: the host keeps a record of them only to
 * know what to release. */
#define LLC_FLOCK_POSIX 1u /* fcntl */
#define LLC_FLOCK_BSD 2u   /* flock */
#define LLC_FLOCK_UNLOCK 0u
#define LLC_FLOCK_SHARED 1u
#define LLC_FLOCK_EXCLUSIVE 2u
struct llc_flock {
    uint32_t kind, type;
    uint64_t start, end; /* inclusive */
    uint64_t owner;      /* different for different owners of this host */
    uint32_t pid;
    bool same_client; /* llc_flock_test: what was found is of this mount */
};
/* Locks or unlocks. -EAGAIN: somebody is in the way (not wait); -EDEADLK; -ERESTARTSYS:
 * interrupted, nothing was changed. f: NULL for a directory. */
int llc_flock_set(struct llc_inode *i, struct llc_file *f, const struct llc_flock *lock, bool wait);
/* Unlocks as part of a close: never waits at a gate. */
void llc_flock_release(struct llc_inode *i, const struct llc_flock *lock);
/* Who is in the way of the lock: replaces it; type unlock: nobody. */
int llc_flock_test(struct llc_inode *i, struct llc_flock *lock);

/* ---- data. An I/O scope holds the gates of all OSTs of the file and extent locks over [pos, end]
 * in the mode. The host must not fault on user memory inside (prefault, copy with page faults off).
 * end inclusive, UINT64_MAX: to the end of the file. The host passes page-aligned ranges and, as
 * its readahead may go further, end = UINT64_MAX for reads. */
struct llc_io {
    void *opaque[8];
    uint64_t size;      /* size of the file, valid inside */
    uint64_t max_bytes; /* no write at or behind it: -EFBIG, short across it */
};
#define LLC_IO_READ 0u
#define LLC_IO_WRITE 1u
#define LLC_IO_APPEND 2u /* write at the end: pos is ignored, use io->size */
/* or-ed: only a fatal signal ends a wait (page faults of the kernel itself) */
#define LLC_IO_NOINTR 16u
int llc_io_begin(struct llc_inode *i, uint64_t pos, uint64_t end, unsigned mode, struct llc_io *io);
/* True: a read in it was given up, since its OST cannot be reached while a drain of the file's
 * other OSTs may wait for the scope (B3). What has failed meanwhile is to be done again in a new
 * scope, which waits until all can be reached. */
bool llc_io_end(struct llc_inode *i, struct llc_io *io);
/* Inside a write scope: reserve grant for a page that is about to be dirtied and was not. -EAGAIN:
 * none to be had: write it through (llc_write_through, at once) so that an error reaches the
 * writer. */
int llc_reserve_page(struct llc_inode *i, uint64_t page_index);
/* Before such a scope and outside of any: where there is no grant for these bytes, writes back what
 * this client has dirty on their OSTs, in whatever file; the answers bring grant, as far as the OST
 * has space. mode: 0 or LLC_IO_NOINTR. 0, or -ERESTARTSYS while the OST is away. */
int llc_bring_grant(struct llc_inode *i, uint64_t pos, uint64_t bytes, unsigned mode);
/* page was dropped without being written */
void llc_unreserve_page(struct llc_inode *i, uint64_t page_index);
/* After data was copied: size and mtime grow. */
void llc_wrote(struct llc_inode *i, uint64_t pos, uint64_t bytes);
/* Read pages (file offset, page aligned or not) into buf: zero filled behind the end of file.
 * Returns bytes valid in the file. -EAGAIN: given up, see llc_io_end(). */
int64_t llc_read(struct llc_inode *i, uint64_t pos, void *buf, size_t bytes);
/* Send [pos, pos+bytes) from buf to the OSTs; returns when answered (not committed). granted_pages:
 * how many of the reserved pages these were: all of them, or none. Called for write-back from any
 * context that may sleep; never waits at a gate; not interruptible: the data is in flight. An error
 * of write-back is the host's to keep; it may be a loss (llc_file_intact). */
int llc_write(struct llc_inode *i, uint64_t pos, const void *buf, size_t bytes,
              uint32_t granted_pages);

/* Inside a write scope, of one page. 1: written, but its OST was away, and the scope now covers
 * that page alone: llc_wrote() of it, then the scope's end. A write at the end of the file is short
 * then: others may have written behind it. */
int llc_write_through(struct llc_inode *i, struct llc_io *io, uint64_t pos, const void *buf,
                      size_t bytes);

/* The last page that lies on the same OST as this one, with all between them. What is locked or
 * under write-back at one time must lie on one: an OST that is down would keep the pages of the
 * others from being written, and with them their drain from ending (B3). */
uint64_t llc_last_page_beside(struct llc_inode *i, uint64_t page_index);

/* ---- default layout of a directory ("lull.layout" attribute): text "stripe_count=N
 * stripe_size=BYTES"; of a file: also its objects. */
int llc_get_layout_text(struct llc_inode *i, char *out, size_t bytes); /* length */
int llc_set_layout_text(struct llc_inode *dir, const char *text, size_t len);

/* ---- what the core asks of its host. Any task, no core lock held except where noted; may
 * sleep. */
/* Write back dirty pages of [start, end] and wait. 0 or the first error. What a mapping has stored
 * behind the end of the file is zeroed first: nobody may see it when the file grows. */
int llp_flush(struct llp_inode *host, uint64_t start, uint64_t end);
/* Drop clean (and, with discard, dirty) pages of [start, end]; unmaps them. Must leave none behind.
 * When a dirty page is dropped, the host keeps -EIO for the next fsync of every open file (A7).
 * True: one was. */
bool llp_drop(struct llp_inode *host, uint64_t start, uint64_t end, bool discard);
/* The offset of the first cached page at or behind this one; UINT64_MAX: there is none. It must
 * cost nothing for what is not cached: a lock of terabytes may cover one page. */
uint64_t llp_next_cached(struct llp_inode *host, uint64_t pos);
/* A truncation (or extension) by llc_setattr, on the task that called it: take the size over, drop
 * what lies behind, zero the rest of the page with the new end, and wait for write-back under way
 * of any of these pages. */
void llp_set_size(struct llp_inode *host, uint64_t size);
/* From now on others may change the size: a host that shows one where nobody asks the core first
 * must not go on with it. Under no lock; llc_cached_attr() tells what is known. */
void llp_size_lost(struct llp_inode *host);
/* References to the host's inode while the core calls it: false when it is being freed (then
 * nothing is cached). llp_get alone is called with a core lock held: it must not sleep nor call
 * back. */
bool llp_get(struct llp_inode *host);
void llp_put(struct llp_inode *host);
/* The entries of this directory, or the dentries of this inode, may be stale: drop what is unused
 * (a hint). */
void llp_invalidate_dentries(struct llp_inode *host);

#ifdef __cplusplus
}
#endif
