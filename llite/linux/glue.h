/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * llite/linux joins the mountable client (llite/llite_port.h) to the VFS and the page cache. No
 * policy here: what may be cached and who waits where is the core's to say.
 *
 * super.c mount and super block   inode.c inodes and attributes   namei.c names   dir.c readdir
 * file.c open, read, fsync   flock.c file locks   write.c buffered write   pages.c address space
 * fault.c mmap   xattr.c layouts   port.c what the core asks of us
 */
#pragma once
#include <linux/fs.h>
#include <linux/pagemap.h>

#include "kapi/linux/compat.h"
#include "kapi/linux/fstype.h"
#include "llite/llite_port.h"

/* One mounted client. */
struct ll_mount {
	struct net *net;
	struct llc_mount *core;
};

/* One inode: bound to the core's inode from its creation to its eviction. */
struct ll_inode {
	struct inode vfs;
	struct llc_inode *core;
	/*
	 * The size as the core knows it. i_size is the same as long as locks cover the end of the
	 * file, and otherwise no smaller than the size that it may have: the VFS asks nobody before
	 * it cuts copy_file_range(2) short. Both are set under size_lock.
	 */
	u64 size;
	struct mutex size_lock;
	bool unused;		/* see llc_attr; set under the inode lock */
};

static inline struct ll_mount *ll_mount(struct super_block *sb)
{
	return lull_sb(sb)->private;
}

static inline struct ll_inode *ll_i(struct inode *inode)
{
	return container_of(inode, struct ll_inode, vfs);
}

static inline struct llc_inode *ll_core(struct inode *inode)
{
	return ll_i(inode)->core;
}

static inline struct inode *ll_vfs(struct llp_inode *host)
{
	return (struct inode *)host;
}

/* The epoch of the parent under which a dentry was true (see llite_port.h). */
static inline void ll_set_epoch(struct dentry *dentry, u64 epoch)
{
	WRITE_ONCE(dentry->d_fsdata, (void *)(unsigned long)epoch);
}

static inline u64 ll_epoch(const struct dentry *dentry)
{
	return (unsigned long)READ_ONCE(dentry->d_fsdata);
}

extern const struct lull_mount_ops ll_client_mount_ops;
extern const struct super_operations ll_super_ops;
extern const struct dentry_operations ll_dentry_ops;
extern const struct inode_operations ll_dir_iops, ll_file_iops, ll_symlink_iops, ll_special_iops;
extern const struct file_operations ll_dir_fops, ll_file_fops;
extern const struct address_space_operations ll_aops;
extern const struct vm_operations_struct ll_vm_ops;
extern const struct xattr_handler *const ll_xattr_handlers[];

int ll_inode_cache_init(void);
void ll_inode_cache_exit(void);
struct inode *ll_alloc_inode(struct super_block *sb);
void ll_free_inode(struct inode *inode);
int ll_drop_inode(struct inode *inode);
void ll_evict_inode(struct inode *inode);
/* The inode of core; takes over the caller's reference to core, also when it fails. */
struct inode *ll_iget(struct super_block *sb, struct llc_inode *core, const struct llc_attr *attr);
/* -ESTALE, and nothing is changed: it is said to be of another type, or another device. */
int ll_update_inode(struct inode *inode, const struct llc_attr *attr);
void ll_copy_size(struct inode *inode);

static inline u64 ll_size(struct inode *inode)
{
	return READ_ONCE(ll_i(inode)->size);
}
/* Before a file grows: zeroes what lies behind its end in its last page, if that is cached. */
void ll_zero_tail(struct inode *inode);
int ll_permission(lull_idmap *idmap, struct inode *inode, int mask);
/* After a name of the inode was removed: what is known of its other names and users. */
void ll_name_removed(struct inode *inode);
int ll_setattr(lull_idmap *idmap, struct dentry *dentry, struct iattr *attr);
#if LULL_SINCE(6, 3)
int ll_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat, u32 mask,
	       unsigned int flags);
#else
int ll_getattr(struct user_namespace *idmap, const struct path *path, struct kstat *stat, u32 mask,
	       unsigned int flags);
#endif

int ll_lock(struct file *file, int cmd, struct file_lock *fl);
int ll_flock(struct file *file, int cmd, struct file_lock *fl);
ssize_t ll_write_iter(struct kiocb *iocb, struct iov_iter *from);
/*
 * Before a page is dirtied: under its lock, in a write scope. PagePrivate: grant is reserved for
 * it. 0; -EAGAIN: no grant is to be had.
 */
int ll_reserve_page(struct inode *inode, struct page *page);
/* What is written of a page for which there is no grant: see llc_write_through(). */
int ll_write_through(struct inode *inode, struct llc_io *io, struct page *page, u64 pos,
		     size_t bytes);
int ll_open_known(struct inode *inode, struct file *file);
u32 ll_open_flags(unsigned int f_flags);
int ll_write_back(struct address_space *mapping, struct writeback_control *wbc);
