// SPDX-License-Identifier: GPL-2.0-only
#include <linux/cred.h>
#include <linux/namei.h>

#include "llite/linux/glue.h"

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
	if (same && inode)
		ll_update_inode(inode, &attr);
	if (!err)
		llc_inode_put(core);
	return same;
}

static int ll_d_revalidate(struct dentry *dentry, unsigned int flags)
{
	struct dentry *parent;
	struct inode *dir;
	u64 epoch;
	int ret;

	if (flags & LOOKUP_RCU)
		return -ECHILD;
	parent = dget_parent(dentry);
	dir = d_inode(parent);
	ret = epoch_of(dir, true, &epoch);
	if (!ret)
		ret = epoch && epoch == ll_epoch(dentry) ? 1 : revalidate_by_lookup(dentry, dir);
	dput(parent);
	return ret == -ESTALE ? 0 : ret;
}

const struct dentry_operations ll_dentry_ops = {
	.d_revalidate = ll_d_revalidate,
};

/* The dentry to use instead, as ->lookup returns it. Takes core over. */
static struct dentry *splice(struct inode *dir, struct dentry *dentry, struct llc_inode *core,
			     const struct llc_attr *attr, u64 epoch)
{
	struct inode *inode = core ? ll_iget(dir->i_sb, core, attr) : NULL;
	struct dentry *other;

	ll_set_epoch(dentry, epoch);
	other = d_splice_alias(inode, dentry);
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
	if (err)
		return err;
	ll_update_inode(inode, &attr);
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

static int ll_atomic_open(struct inode *dir, struct dentry *dentry, struct file *file,
			  unsigned int open_flags, umode_t mode)
{
	struct llc_create how = {};
	struct llc_inode *core = NULL;
	struct llc_file *handle = NULL;
	struct dentry *other = NULL;
	struct llc_attr attr;
	uint64_t epoch = 0;
	bool created = false;
	u32 flags = ll_open_flags(open_flags) | LLC_OPEN_CREATE;
	int err;

	if (d_in_lookup(dentry)) {
		other = ll_lookup(dir, dentry, 0);
		if (IS_ERR(other))
			return PTR_ERR(other);
		if (other)
			dentry = other;
	}
	if (!(open_flags & O_CREAT) || d_really_is_positive(dentry))
		return finish_no_open(file, other);

	owner_of_new(dir, mode | S_IFREG, &how);
	err = llc_open_create(ll_core(dir), dentry->d_name.name, dentry->d_name.len, flags, &how,
			      &core, &attr, &epoch, &handle, &created);
	if (err)
		goto out;
	if (!created) {
		/*
		 * Somebody else was quicker: open it the ordinary way, with the checks of
		 * permission that go with it.
		 */
		llc_close(handle);
		llc_inode_put(core);
		d_drop(dentry);
		err = -ESTALE; /* the VFS walks the path again, asking us */
		goto out;
	}
	{
		struct inode *inode = ll_iget(dir->i_sb, core, &attr);

		if (IS_ERR(inode)) {
			llc_close(handle);
			d_drop(dentry);
			err = PTR_ERR(inode);
			goto out;
		}
		ll_set_epoch(dentry, epoch);
		d_instantiate(dentry, inode);
	}
	file->f_mode |= FMODE_CREATED;
	file->private_data = handle;
	err = finish_open(file, dentry, use_open_handle);
	if (err && !(file->f_mode & FMODE_OPENED)) {
		file->private_data = NULL;
		llc_close(handle);
	}
out:
	dput(other);
	return err;
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
