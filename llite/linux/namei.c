// SPDX-License-Identifier: GPL-2.0-only
#include <linux/cred.h>
#include <linux/namei.h>

#include "llite/linux/glue.h"

#define OPEN_TRIES 16

static int epoch_of(struct inode *dir, bool acquire, u64 *epoch)
{
	uint64_t e = 0;
	int err = llc_dir_epoch(ll_core(dir), acquire, &e);

	*epoch = e;
	return err;
}

/*
 * Is the name still what this dentry says? Asks the server only if the directory's lock was lost
 * since.
 */
static int revalidate_by_lookup(struct dentry *dentry, struct inode *dir)
{
	struct inode *inode = d_inode(dentry);
	struct llc_inode *core = NULL;
	struct llc_attr attr;
	uint64_t epoch = 0;
	int err = llc_lookup(ll_core(dir), dentry->d_name.name, dentry->d_name.len, &core, &attr,
			     &epoch);
	bool same = err == -ENOENT ? !inode : !err && inode && core == ll_core(inode);

	if (err && err != -ENOENT)
		return err;
	if (same)
		ll_set_epoch(dentry, epoch);
	if (!err)
		llc_inode_put(core);
	err = same && inode ? ll_update_inode(inode, &attr) : 0;
	return err ?: same;
}

/*
 * The VFS looks at the owner that an inode has, and asks nobody, when it removes, follows or opens
 * a name in a directory with the sticky bit, and before a touch. What this client last heard may be
 * old: another one's chown, or an own one whose answer came after the lock had gone.
 */
static bool owner_decides(const struct inode *dir, unsigned int flags)
{
	if (READ_ONCE(dir->i_mode) & S_ISVTX)
		return true;
	return (flags & (LOOKUP_FOLLOW | LOOKUP_PARENT | LOOKUP_OPEN)) == LOOKUP_FOLLOW &&
	       !uid_eq(current_fsuid(), GLOBAL_ROOT_UID);
}

static int refresh(struct inode *inode)
{
	struct llc_attr attr;
	int err = llc_revalidate(ll_core(inode), false, &attr) ?: ll_update_inode(inode, &attr);

	return err ?: 1;
}

static int ll_d_revalidate(struct dentry *dentry, unsigned int flags)
{
	struct dentry *parent;
	struct inode *dir;
	u64 epoch;
	int ret;

	if (flags & LOOKUP_RCU)
		return -ECHILD;
	/* The second try of an open that met another file: by its name (ll_atomic_open). */
	if ((flags & (LOOKUP_REVAL | LOOKUP_OPEN)) == (LOOKUP_REVAL | LOOKUP_OPEN) &&
	    d_is_reg(dentry) && !d_mountpoint(dentry))
		return 0;
	parent = dget_parent(dentry);
	dir = d_inode(parent);
	ret = epoch_of(dir, true, &epoch);
	if (!ret)
		ret = epoch && epoch == ll_epoch(dentry) ? 1 : revalidate_by_lookup(dentry, dir);
	if (ret > 0 && d_really_is_positive(dentry) && owner_decides(dir, flags))
		ret = refresh(d_inode(dentry));
	dput(parent);
	return ret == -ESTALE ? 0 : ret;
}

const struct dentry_operations ll_dentry_ops = {
	.d_revalidate = ll_d_revalidate,
};

/*
 * Another client has moved this directory. The VFS moves our dentry of it after it, but not in a
 * rename between directories, whose mutex it needs, too. Unless somebody uses it, that dentry can
 * go.
 */
static void forget_old_place(struct inode *dir)
{
	struct dentry *old = d_find_any_alias(dir);

	if (!old)
		return;
	shrink_dcache_parent(old);
	dput(old);
	d_prune_aliases(dir);
}

/* The dentry to use instead, as ->lookup returns it. Takes core over. */
static struct dentry *splice(struct inode *dir, struct dentry *dentry, struct llc_inode *core,
			     const struct llc_attr *attr, u64 epoch)
{
	struct inode *inode = core ? ll_iget(dir->i_sb, core, attr) : NULL;
	struct dentry *other;

	ll_set_epoch(dentry, epoch);
	if (!IS_ERR_OR_NULL(inode))
		ihold(inode);
	other = d_splice_alias(inode, dentry);
	if (!IS_ERR_OR_NULL(inode) && other == ERR_PTR(-ESTALE)) {
		forget_old_place(inode);
		other = d_splice_alias(inode, dentry);
	} else if (!IS_ERR_OR_NULL(inode)) {
		iput(inode);
	}
	if (!IS_ERR_OR_NULL(other))
		ll_set_epoch(other, epoch);
	return other;
}

static struct dentry *ll_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	struct llc_inode *core = NULL;
	struct llc_attr attr;
	uint64_t epoch = 0;
	int err;

	if (dentry->d_name.len > NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);
	err = llc_lookup(ll_core(dir), dentry->d_name.name, dentry->d_name.len, &core, &attr,
			 &epoch);
	if (err && err != -ENOENT)
		return ERR_PTR(err);
	return splice(dir, dentry, err ? NULL : core, &attr, epoch);
}

static void owner_of_new(struct inode *dir, umode_t mode, struct llc_create *how)
{
	how->mode = mode;
	how->uid = from_kuid(&init_user_ns, current_fsuid());
	how->gid = from_kgid(&init_user_ns, dir->i_mode & S_ISGID ? dir->i_gid : current_fsgid());
	if (dir->i_mode & S_ISGID && S_ISDIR(mode))
		how->mode |= S_ISGID;
}

static int create_any(struct inode *dir, struct dentry *dentry, const struct llc_create *how)
{
	struct llc_inode *core;
	struct llc_attr attr;
	struct inode *inode;
	uint64_t epoch = 0;
	int err;

	if (dentry->d_name.len > NAME_MAX)
		return -ENAMETOOLONG;
	err = llc_create(ll_core(dir), dentry->d_name.name, dentry->d_name.len, how, &core, &attr,
			 &epoch);
	if (err)
		return err;
	inode = ll_iget(dir->i_sb, core, &attr);
	if (IS_ERR(inode)) {
		d_drop(dentry); /* it exists: look it up next time */
		return PTR_ERR(inode);
	}
	ll_set_epoch(dentry, epoch);
	d_instantiate(dentry, inode);
	return 0;
}

static int ll_create(lull_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode,
		     bool excl)
{
	struct llc_create how = {};

	owner_of_new(dir, mode | S_IFREG, &how);
	return create_any(dir, dentry, &how);
}

static int ll_mkdir(lull_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct llc_create how = {};

	owner_of_new(dir, mode | S_IFDIR, &how);
	return create_any(dir, dentry, &how);
}

static int ll_mknod(lull_idmap *idmap, struct inode *dir, struct dentry *dentry, umode_t mode,
		    dev_t rdev)
{
	struct llc_create how = {};

	owner_of_new(dir, mode, &how);
	how.rdev = new_encode_dev(rdev);
	return create_any(dir, dentry, &how);
}

static int ll_symlink(lull_idmap *idmap, struct inode *dir, struct dentry *dentry,
		      const char *target)
{
	struct llc_create how = {};

	owner_of_new(dir, S_IFLNK | 0777, &how);
	how.symlink_target = target;
	return create_any(dir, dentry, &how);
}

static int ll_link(struct dentry *old, struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(old);
	struct llc_attr attr;
	u64 epoch = 0;
	int err = epoch_of(dir, false, &epoch);

	if (!err)
		err = llc_link(ll_core(inode), ll_core(dir), dentry->d_name.name,
			       dentry->d_name.len, &attr);
	if (!err)
		err = ll_update_inode(inode, &attr);
	if (err)
		return err;
	ihold(inode);
	ll_set_epoch(dentry, epoch);
	d_instantiate(dentry, inode);
	return 0;
}

static int remove_name(struct inode *dir, struct dentry *dentry, bool rmdir)
{
	struct inode *inode = d_inode(dentry);
	int err = llc_unlink(ll_core(dir), dentry->d_name.name, dentry->d_name.len, rmdir,
			     ll_core(inode));

	if (err)
		return err;
	if (rmdir)
		clear_nlink(inode);
	else
		ll_name_removed(inode);
	return 0;
}

static int ll_unlink(struct inode *dir, struct dentry *dentry)
{
	return remove_name(dir, dentry, false);
}

static int ll_rmdir(struct inode *dir, struct dentry *dentry)
{
	return remove_name(dir, dentry, true);
}

static int ll_rename(lull_idmap *idmap, struct inode *old_dir, struct dentry *old,
		     struct inode *new_dir, struct dentry *new, unsigned int flags)
{
	struct inode *replaced = d_inode(new);
	u64 epoch = 0;
	int err;

	if (flags & ~RENAME_NOREPLACE)
		return -EINVAL;
	err = epoch_of(new_dir, false, &epoch);
	if (!err)
		err = llc_rename(ll_core(old_dir), old->d_name.name, old->d_name.len,
				 ll_core(new_dir), new->d_name.name, new->d_name.len,
				 flags & RENAME_NOREPLACE, ll_core(d_inode(old)),
				 replaced ? ll_core(replaced) : NULL);
	if (err)
		return err;
	if (replaced && S_ISDIR(replaced->i_mode))
		clear_nlink(replaced);
	else if (replaced)
		ll_name_removed(replaced);
	/* FS_RENAME_DOES_D_MOVE: so that the dentry and its epoch change together. */
	ll_set_epoch(old, epoch);
	d_move(old, new);
	return 0;
}

static int use_open_handle(struct inode *inode, struct file *file)
{
	return 0; /* private_data is set already */
}

/* Hands what was opened by name to the VFS; takes core and handle over. */
static int finish_by_name(struct inode *dir, struct dentry *dentry, struct file *file,
			  struct llc_inode *core, const struct llc_attr *attr, u64 epoch,
			  struct llc_file *handle)
{
	struct dentry *other;
	int err;

	if (!d_in_lookup(dentry))
		d_drop(dentry); /* it was negative */
	other = splice(dir, dentry, core, attr, epoch);
	if (IS_ERR(other)) {
		if (handle)
			llc_close(handle);
		return PTR_ERR(other);
	}
	if (!handle || !S_ISREG(attr->mode)) {
		/* The VFS goes on as after a lookup, and asks for the file's own ->open. */
		if (handle)
			llc_close(handle);
		return finish_no_open(file, other);
	}
	file->private_data = handle;
	err = finish_open(file, other ?: dentry, use_open_handle);
	if (err && !(file->f_mode & FMODE_OPENED)) {
		file->private_data = NULL;
		llc_close(handle);
	}
	dput(other);
	return err;
}

static int finish_lookup(struct file *file, struct dentry *found)
{
	return IS_ERR(found) ? PTR_ERR(found) : finish_no_open(file, found);
}

/* What the name is now. The dentry may have been negative, and become something else. */
static struct dentry *look_again(struct inode *dir, struct dentry *dentry)
{
	if (!d_in_lookup(dentry))
		d_drop(dentry);
	return ll_lookup(dir, dentry, 0);
}

/*
 * Open by name, in one message: what is found is what gets opened, whatever other clients do to
 * the name meanwhile. The VFS checks permissions afterwards, unless the file was created.
 */
static int ll_atomic_open(struct inode *dir, struct dentry *dentry, struct file *file,
			  unsigned int open_flags, umode_t mode)
{
	struct llc_create how = {};
	struct llc_inode *core = NULL;
	struct llc_file *handle = NULL;
	struct llc_attr attr;
	uint64_t epoch = 0;
	bool created = false;
	u32 flags = ll_open_flags(open_flags);
	int err, tries;

	if (dentry->d_name.len > NAME_MAX)
		return -ENAMETOOLONG;
	if (!(open_flags & O_CREAT)) {
		flags &= ~LLC_OPEN_EXCL;
		if (!d_in_lookup(dentry))
			return finish_no_open(file, NULL);
		if (open_flags & (O_DIRECTORY | O_DIRECT))
			return finish_lookup(file, ll_lookup(dir, dentry, 0));
	} else if (open_flags & O_DIRECT) {
		return -EINVAL; /* before anything is made */
	} else {
		flags |= LLC_OPEN_CREATE;
		owner_of_new(dir, mode | S_IFREG, &how);
	}
	for (tries = 0; tries < OPEN_TRIES; tries++) {
		struct dentry *other;

		err = llc_open_create(ll_core(dir), dentry->d_name.name, dentry->d_name.len, flags,
				      &how, &core, &attr, &epoch, &handle, &created);
		if (err != -ELOOP && err != -EISDIR)
			break;
		/* A link is followed, a directory refused, unless it is gone already. */
		other = look_again(dir, dentry);
		if (other || d_really_is_positive(dentry) || !(open_flags & O_CREAT))
			return finish_lookup(file, other);
		err = -ESTALE; /* the VFS begins anew, once */
	}
	if (err == -ENOENT && d_in_lookup(dentry))
		splice(dir, dentry, NULL, NULL, epoch);
	if (err)
		return err;
	if (created)
		file->f_mode |= FMODE_CREATED;
	return finish_by_name(dir, dentry, file, core, &attr, epoch, handle);
}

const struct inode_operations ll_dir_iops = {
	.lookup = ll_lookup,
	.create = ll_create,
	.atomic_open = ll_atomic_open,
	.mkdir = ll_mkdir,
	.mknod = ll_mknod,
	.symlink = ll_symlink,
	.link = ll_link,
	.unlink = ll_unlink,
	.rmdir = ll_rmdir,
	.rename = ll_rename,
	.permission = ll_permission,
	.getattr = ll_getattr,
	.setattr = ll_setattr,
	.listxattr = generic_listxattr,
};
