// SPDX-License-Identifier: GPL-2.0-only
#include <linux/slab.h>

#include "llite/linux/glue.h"

static struct kmem_cache *inode_cache;

static void init_once(void *p)
{
	struct ll_inode *i = p;

	inode_init_once(&i->vfs);
	mutex_init(&i->size_lock);
}

int ll_inode_cache_init(void)
{
	inode_cache = kmem_cache_create("lull_inode", sizeof(struct ll_inode), 0,
					SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT, init_once);
	return inode_cache ? 0 : -ENOMEM;
}

void ll_inode_cache_exit(void)
{
	rcu_barrier(); /* inodes are freed after a grace period */
	kmem_cache_destroy(inode_cache);
}

struct inode *ll_alloc_inode(struct super_block *sb)
{
	struct ll_inode *i = alloc_inode_sb(sb, inode_cache, GFP_KERNEL);

	if (!i)
		return NULL;
	i->core = NULL;
	i->unused = false;
	return &i->vfs;
}

void ll_free_inode(struct inode *inode)
{
	kmem_cache_free(inode_cache, ll_i(inode));
}

/*
 * The last reference is gone; called with i_lock held. A file without a name stays while it has
 * pages to be written: another client has it open, or gave it another name meanwhile. The flusher
 * writes them, or the loss of their lock does, which asks for an inode that is not being freed.
 */
int ll_drop_inode(struct inode *inode)
{
	struct address_space *mapping = inode->i_mapping;

	if (inode_unhashed(inode) || ll_i(inode)->unused)
		return 1;
	return !inode->i_nlink && !mapping_tagged(mapping, PAGECACHE_TAG_DIRTY) &&
	       !mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK);
}

void ll_evict_inode(struct inode *inode)
{
	struct llc_inode *core = ll_core(inode);

	truncate_inode_pages_final(&inode->i_data);
	clear_inode(inode);
	if (!core)
		return;
	llc_inode_bind(core, NULL);
	llc_inode_put(core);
}

/*
 * Asked for under the lock, not taken from io->size: a writer on another CPU may have moved the
 * size since the scope began, and an older idea of it would make write-back cut off what was
 * written.
 */
void ll_copy_size(struct inode *inode)
{
	struct llc_attr attr;
	loff_t shown;

	mutex_lock(&ll_i(inode)->size_lock);
	llc_cached_attr(ll_core(inode), &attr);
	shown = attr.size_known ? attr.size : inode->i_sb->s_maxbytes & PAGE_MASK;
	WRITE_ONCE(ll_i(inode)->size, attr.size);
	if (i_size_read(inode) != shown)
		i_size_write(inode, shown);
	mutex_unlock(&ll_i(inode)->size_lock);
}

/* The VFS finds and makes nothing in such a directory, and no path leads to it. */
static void removed_elsewhere(struct inode *dir)
{
	struct dentry *dentry;

	inode_set_flags(dir, S_DEAD, S_DEAD);
	dentry = d_find_any_alias(dir);
	if (!dentry)
		return;
	d_invalidate(dentry);
	dput(dentry);
}

static void copy_attr(struct inode *inode, const struct llc_attr *attr)
{
	spin_lock(&inode->i_lock);
	inode->i_mode = attr->mode;
	inode->i_uid = make_kuid(&init_user_ns, attr->uid);
	inode->i_gid = make_kgid(&init_user_ns, attr->gid);
	inode->i_generation = attr->generation;
	lull_inode_set_atime(inode, ns_to_timespec64(attr->atime_ns));
	lull_inode_set_mtime(inode, ns_to_timespec64(attr->mtime_ns));
	lull_inode_set_ctime(inode, ns_to_timespec64(attr->ctime_ns));
	inode->i_blocks = attr->blocks_512;
	spin_unlock(&inode->i_lock);
	if (inode->i_nlink != attr->nlink)
		set_nlink(inode, attr->nlink);
	if (!S_ISREG(inode->i_mode))
		i_size_write(inode, attr->size);
	if (S_ISDIR(inode->i_mode) && !attr->nlink && !IS_DEADDIR(inode))
		removed_elsewhere(inode);
}

/* Its operations, its driver and what "nodev" looked at were chosen by these, once. */
static bool same_kind(const struct inode *inode, const struct llc_attr *attr)
{
	if ((inode->i_mode ^ attr->mode) & S_IFMT)
		return false;
	return !(S_ISCHR(attr->mode) || S_ISBLK(attr->mode)) ||
	       inode->i_rdev == new_decode_dev(attr->rdev);
}

int ll_update_inode(struct inode *inode, const struct llc_attr *attr)
{
	if (!same_kind(inode, attr)) {
		pr_warn_ratelimited("lull: inode %llu is said to be another thing: %o, now %o\n",
				    (u64)inode->i_ino, inode->i_mode, attr->mode);
		return -ESTALE;
	}
	copy_attr(inode, attr);
	return 0;
}

void ll_name_removed(struct inode *inode)
{
	struct llc_attr attr;

	llc_cached_attr(ll_core(inode), &attr);
	if (!ll_update_inode(inode, &attr) && attr.unused)
		ll_i(inode)->unused = true;
}

static int same_core(struct inode *inode, void *core)
{
	return ll_core(inode) == core;
}

static int set_core(struct inode *inode, void *core)
{
	ll_i(inode)->core = core;
	return 0;
}

static void set_operations(struct inode *inode, u32 rdev)
{
	inode->i_flags |= S_NOATIME | S_NOCMTIME;
	switch (inode->i_mode & S_IFMT) {
	case S_IFREG:
		inode->i_op = &ll_file_iops;
		inode->i_fop = &ll_file_fops;
		inode->i_mapping->a_ops = &ll_aops;
		break;
	case S_IFDIR:
		inode->i_op = &ll_dir_iops;
		inode->i_fop = &ll_dir_fops;
		break;
	case S_IFLNK:
		inode->i_op = &ll_symlink_iops;
		break;
	default:
		inode->i_op = &ll_special_iops;
		init_special_inode(inode, inode->i_mode, new_decode_dev(rdev));
	}
}

struct inode *ll_iget(struct super_block *sb, struct llc_inode *core, const struct llc_attr *attr)
{
	u64 ino = llc_inode_number(core);
	struct inode *inode = iget5_locked(sb, ino, same_core, set_core, core);
	int err;

	if (!inode) {
		llc_inode_put(core);
		return ERR_PTR(-ENOMEM);
	}
	if (!(inode->i_state & I_NEW)) {
		err = ll_update_inode(inode, attr);
		llc_inode_put(core); /* the inode has its own */
		if (!err)
			return inode;
		iput(inode);
		return ERR_PTR(err);
	}
	inode->i_ino = ino;
	copy_attr(inode, attr);
	set_operations(inode, attr->rdev);
	llc_inode_bind(core, (struct llp_inode *)inode);
	if (S_ISREG(attr->mode))
		ll_copy_size(inode);
	unlock_new_inode(inode);
	return inode;
}

int ll_permission(lull_idmap *idmap, struct inode *inode, int mask)
{
	struct llc_attr attr;
	int err;

	if (mask & MAY_NOT_BLOCK)
		return -ECHILD;
	err = llc_revalidate(ll_core(inode), false, &attr) ?: ll_update_inode(inode, &attr);
	if (err)
		return err;
	return generic_permission(idmap, inode, mask);
}

#if LULL_SINCE(6, 3)
int ll_getattr(struct mnt_idmap *idmap, const struct path *path, struct kstat *stat, u32 mask,
	       unsigned int flags)
#else
int ll_getattr(struct user_namespace *idmap, const struct path *path, struct kstat *stat, u32 mask,
	       unsigned int flags)
#endif
{
	struct inode *inode = d_inode(path->dentry);
	bool size_too = S_ISREG(inode->i_mode) &&
			(mask & (STATX_SIZE | STATX_BLOCKS | STATX_MTIME | STATX_CTIME |
				 STATX_ATIME));
	struct llc_attr attr;
	int err = llc_revalidate(ll_core(inode), size_too, &attr) ?:
		  ll_update_inode(inode, &attr);

	if (err)
		return err;
#if LULL_SINCE(6, 6)
	generic_fillattr(idmap, mask, inode, stat);
#else
	generic_fillattr(idmap, inode, stat);
#endif
	if (size_too)
		ll_copy_size(inode);
	if (S_ISREG(inode->i_mode))
		stat->size = size_too ? attr.size : ll_size(inode);
	stat->blksize = 1 << 20;
	return 0;
}

static u32 to_core(const struct iattr *from, struct llc_attr *to)
{
	bool kill = from->ia_valid & (ATTR_KILL_SUID | ATTR_KILL_SGID);
	u32 valid = 0;

	/*
	 * The VFS derives a mode from the one that it knows, where set-id bits have to go. The
	 * server knows better.
	 */
	if (from->ia_valid & ATTR_KILL_SUID)
		valid |= LLC_KILL_SUID;
	if (from->ia_valid & ATTR_KILL_SGID)
		valid |= LLC_KILL_SGID;
	if (from->ia_valid & ATTR_MODE && !kill) {
		to->mode = from->ia_mode;
		valid |= LLC_MODE;
	}
	if (from->ia_valid & ATTR_UID) {
		to->uid = from_kuid(&init_user_ns, from->ia_uid);
		valid |= LLC_UID;
	}
	if (from->ia_valid & ATTR_GID) {
		to->gid = from_kgid(&init_user_ns, from->ia_gid);
		valid |= LLC_GID;
	}
	if (from->ia_valid & ATTR_SIZE) {
		to->size = from->ia_size;
		valid |= LLC_SIZE;
	}
	if (from->ia_valid & (ATTR_ATIME | ATTR_ATIME_SET)) {
		to->atime_ns = timespec64_to_ns(&from->ia_atime);
		valid |= LLC_ATIME;
	}
	if (from->ia_valid & (ATTR_MTIME | ATTR_MTIME_SET)) {
		to->mtime_ns = timespec64_to_ns(&from->ia_mtime);
		valid |= LLC_MTIME;
	}
	return valid;
}

int ll_setattr(lull_idmap *idmap, struct dentry *dentry, struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	struct llc_attr to = {}, now;
	struct llc_file *opened = NULL;
	u32 valid;
	bool limited = attr->ia_valid & ATTR_SIZE && rlimit(RLIMIT_FSIZE) != RLIM_INFINITY;
	int err = llc_revalidate(ll_core(inode), limited, &now) ?: ll_update_inode(inode, &now);

	if (err)
		return err;
	if (limited)
		ll_copy_size(inode);
	err = setattr_prepare(idmap, dentry, attr);
	if (err)
		return err;
	/* The VFS looked at the mode before it was fresh. */
	if (attr->ia_valid & ATTR_SIZE)
		attr->ia_valid |= setattr_should_drop_suidgid(idmap, inode);
	valid = to_core(attr, &to);
	if (!valid)
		return 0;
	/* truncate(2), without an open file: not while a program runs from it anywhere. */
	if (attr->ia_valid & ATTR_SIZE && !(attr->ia_valid & ATTR_FILE))
		err = llc_open(ll_core(inode), LLC_OPEN_WRITE, &opened);
	if (!err)
		err = llc_setattr(ll_core(inode), &to, valid, &now);
	if (!err)
		err = ll_update_inode(inode, &now);
	if (opened)
		llc_close(opened);
	return err;
}

static const char *get_link(struct dentry *dentry, struct inode *inode, struct delayed_call *done)
{
	char *text;
	int n;

	if (!dentry)
		return ERR_PTR(-ECHILD);
	text = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!text)
		return ERR_PTR(-ENOMEM);
	n = llc_readlink(ll_core(inode), text, PATH_MAX - 1);
	if (n < 0) {
		kfree(text);
		return ERR_PTR(n);
	}
	text[n] = 0;
	set_delayed_call(done, kfree_link, text);
	return text;
}

const struct inode_operations ll_symlink_iops = {
	.get_link = get_link,
	.getattr = ll_getattr,
	.setattr = ll_setattr,
};

const struct inode_operations ll_special_iops = {
	.permission = ll_permission,
	.getattr = ll_getattr,
	.setattr = ll_setattr,
};
