// SPDX-License-Identifier: GPL-2.0-only
#include "osd/linux/kbfs.h"

/* A directory locked for a change of the entry called name; entry may be negative. */
struct change {
	struct inode *dir;
	struct dentry *entry;
};

static int begin_change(struct kbfs_node *dir, const char *name, size_t len, struct change *c)
{
	int err;

	if (!S_ISDIR(kbfs_inode(dir)->i_mode))
		return -ENOTDIR;
	err = mnt_want_write(dir->fs->mnt);
	if (err)
		return err;
	c->dir = kbfs_inode(dir);
	inode_lock_nested(c->dir, I_MUTEX_PARENT);
	c->entry = lookup_one_len(name, dir->dentry, len);
	if (!IS_ERR(c->entry))
		return 0;
	inode_unlock(c->dir);
	mnt_drop_write(dir->fs->mnt);
	return PTR_ERR(c->entry);
}

static void end_change(struct kbfs_node *dir, struct change *c)
{
	dput(c->entry);
	inode_unlock(c->dir);
	mnt_drop_write(dir->fs->mnt);
}

int kbfs_lookup(struct kbfs_node *dir, const char *name, size_t len, struct kbfs_node **out)
{
	struct dentry *entry;

	if (!S_ISDIR(kbfs_inode(dir)->i_mode))
		return -ENOTDIR;
	entry = lookup_positive_unlocked(name, dir->dentry, len);
	if (IS_ERR(entry))
		return PTR_ERR(entry);
	return kbfs_node_new(dir->fs, entry, out);
}

/* The umask of a calling process and mkdir's own mask have no say in what a client asked for. */
static int exact_mode(struct kbfs *fs, struct dentry *entry, umode_t mode)
{
	struct iattr attr = { .ia_valid = ATTR_MODE | ATTR_FORCE, .ia_mode = mode };
	struct inode *inode = d_inode(entry);
	int err;

	if ((inode->i_mode & S_IALLUGO) == (mode & S_IALLUGO))
		return 0;
	inode_lock(inode);
	err = notify_change(kbfs_idmap(fs), entry, &attr, NULL);
	inode_unlock(inode);
	return err;
}

static int make_entry(struct kbfs *fs, struct change *c, umode_t mode, u32 rdev)
{
	lull_idmap *idmap = kbfs_idmap(fs);
	int err;

	switch (mode & S_IFMT) {
	case S_IFREG:
		err = vfs_create(idmap, c->dir, c->entry, mode, true);
		break;
	case S_IFDIR:
		err = vfs_mkdir(idmap, c->dir, c->entry, mode);
		break;
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		err = vfs_mknod(idmap, c->dir, c->entry, mode, new_decode_dev(rdev));
		break;
	default:
		return -EINVAL;
	}
	return err ?: exact_mode(fs, c->entry, mode);
}

int kbfs_create(struct kbfs_node *dir, const char *name, size_t len, uint32_t mode, uint32_t rdev,
		struct kbfs_node **out)
{
	struct dentry *made = NULL;
	struct change c;
	int err;

	err = begin_change(dir, name, len, &c);
	if (err)
		return err;
	err = d_is_positive(c.entry) ? -EEXIST : make_entry(dir->fs, &c, mode, rdev);
	if (!err)
		made = dget(c.entry);
	end_change(dir, &c);
	return err ?: kbfs_node_new(dir->fs, made, out);
}

int kbfs_symlink(struct kbfs_node *dir, const char *name, size_t len, const char *target,
		 struct kbfs_node **out)
{
	struct dentry *made = NULL;
	struct change c;
	int err;

	err = begin_change(dir, name, len, &c);
	if (err)
		return err;
	err = d_is_positive(c.entry) ? -EEXIST :
	      vfs_symlink(kbfs_idmap(dir->fs), c.dir, c.entry, target);
	if (!err)
		made = dget(c.entry);
	end_change(dir, &c);
	return err ?: kbfs_node_new(dir->fs, made, out);
}

int kbfs_readlink(struct kbfs_node *n, char *out, size_t bytes)
{
	DEFINE_DELAYED_CALL(done);
	const char *target;
	size_t len;

	if (!S_ISLNK(kbfs_inode(n)->i_mode))
		return -EINVAL;
	target = vfs_get_link(n->dentry, &done);
	if (IS_ERR(target))
		return PTR_ERR(target);
	len = min_t(size_t, strlen(target), bytes);
	memcpy(out, target, len);
	do_delayed_call(&done);
	return len;
}

int kbfs_link(struct kbfs_node *n, struct kbfs_node *dir, const char *name, size_t len)
{
	struct change c;
	int err;

	err = begin_change(dir, name, len, &c);
	if (err)
		return err;
	err = d_is_positive(c.entry) ? -EEXIST :
	      vfs_link(n->dentry, kbfs_idmap(dir->fs), c.dir, c.entry, NULL);
	end_change(dir, &c);
	return err;
}

static int remove(struct kbfs_node *dir, const char *name, size_t len, bool is_dir)
{
	struct inode *victim = NULL;
	struct change c;
	int err;

	err = begin_change(dir, name, len, &c);
	if (err)
		return err;
	if (d_is_negative(c.entry)) {
		err = -ENOENT;
	} else {
		/*
		 * The blocks of a big file are freed by the last reference, which should not hold
		 * the directory up.
		 */
		victim = d_inode(c.entry);
		ihold(victim);
		if (is_dir)
			err = vfs_rmdir(kbfs_idmap(dir->fs), c.dir, c.entry);
		else
			err = vfs_unlink(kbfs_idmap(dir->fs), c.dir, c.entry, NULL);
	}
	end_change(dir, &c);
	if (victim)
		iput(victim);
	return err;
}

int kbfs_unlink(struct kbfs_node *dir, const char *name, size_t len)
{
	return remove(dir, name, len, false);
}

int kbfs_rmdir(struct kbfs_node *dir, const char *name, size_t len)
{
	return remove(dir, name, len, true);
}

static int rename_locked(struct kbfs_node *from_dir, struct dentry *from, struct kbfs_node *to_dir,
			 struct dentry *to, struct dentry *trap)
{
	struct renamedata rd;

	if (d_is_negative(from))
		return -ENOENT;
	/* A directory into itself, or over one that holds it. */
	if (from == trap)
		return -EINVAL;
	if (to == trap)
		return -ENOTEMPTY;
	lull_renamedata(&rd, kbfs_idmap(from_dir->fs), from_dir->dentry, from, to_dir->dentry, to);
	return vfs_rename(&rd);
}

int kbfs_rename(struct kbfs_node *from_dir, const char *from_name, size_t from_len,
		struct kbfs_node *to_dir, const char *to_name, size_t to_len)
{
	struct dentry *trap, *from, *to;
	int err;

	if (!S_ISDIR(kbfs_inode(from_dir)->i_mode) || !S_ISDIR(kbfs_inode(to_dir)->i_mode))
		return -ENOTDIR;
	err = mnt_want_write(from_dir->fs->mnt);
	if (err)
		return err;
	trap = lock_rename(to_dir->dentry, from_dir->dentry);
	if (IS_ERR(trap)) {
		err = PTR_ERR(trap);
		goto out_write;
	}
	from = lookup_one_len(from_name, from_dir->dentry, from_len);
	err = PTR_ERR_OR_ZERO(from);
	if (err)
		goto out_unlock;
	to = lookup_one_len(to_name, to_dir->dentry, to_len);
	err = PTR_ERR_OR_ZERO(to);
	if (!err) {
		err = rename_locked(from_dir, from, to_dir, to, trap);
		dput(to);
	}
	dput(from);
out_unlock:
	unlock_rename(to_dir->dentry, from_dir->dentry);
out_write:
	mnt_drop_write(from_dir->fs->mnt);
	return err;
}
