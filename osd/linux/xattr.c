// SPDX-License-Identifier: GPL-2.0-only
#include <linux/xattr.h>

#include "osd/linux/kbfs.h"

#define LULL_XATTR_PREFIX XATTR_TRUSTED_PREFIX "lull."

struct xattr_name {
	char text[XATTR_NAME_MAX + 1];
};

static int full_name(struct xattr_name *full, const char *name)
{
	int n = snprintf(full->text, sizeof(full->text), LULL_XATTR_PREFIX "%s", name);

	return n < sizeof(full->text) ? 0 : -ERANGE;
}

int kbfs_getxattr(struct kbfs_node *n, const char *name, void *value, size_t bytes)
{
	struct xattr_name full;
	int err = full_name(&full, name);

	return err ?: vfs_getxattr(kbfs_idmap(n->fs), n->dentry, full.text, value, bytes);
}

int kbfs_setxattr(struct kbfs_node *n, const char *name, const void *value, size_t bytes)
{
	struct xattr_name full;
	int err = full_name(&full, name);

	if (err)
		return err;
	err = mnt_want_write(n->fs->mnt);
	if (err)
		return err;
	err = vfs_setxattr(kbfs_idmap(n->fs), n->dentry, full.text, (void *)value, bytes, 0);
	mnt_drop_write(n->fs->mnt);
	return err;
}

int kbfs_removexattr(struct kbfs_node *n, const char *name)
{
	struct xattr_name full;
	int err = full_name(&full, name);

	if (err)
		return err;
	err = mnt_want_write(n->fs->mnt);
	if (err)
		return err;
	err = vfs_removexattr(kbfs_idmap(n->fs), n->dentry, full.text);
	mnt_drop_write(n->fs->mnt);
	return err;
}
