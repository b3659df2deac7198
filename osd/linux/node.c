// SPDX-License-Identifier: GPL-2.0-only
#include <linux/exportfs.h>

#include "osd/linux/kbfs.h"

int kbfs_node_new(struct kbfs *fs, struct dentry *dentry, struct kbfs_node **out)
{
	struct kbfs_node *n = kapi_zalloc(sizeof(*n));

	if (!n) {
		dput(dentry);
		return -ENOMEM;
	}
	refcount_set(&n->refs, 1);
	n->fs = fs;
	n->dentry = dentry;
	atomic_inc(&fs->nodes);
	*out = n;
	return 0;
}

int kbfs_root(struct kbfs *fs, struct kbfs_node **out)
{
	return kbfs_node_new(fs, dget(fs->mnt->mnt_root), out);
}

struct kbfs_node *kbfs_get(struct kbfs_node *n)
{
	refcount_inc(&n->refs);
	return n;
}

void kbfs_put(struct kbfs_node *n)
{
	struct kbfs *fs;

	if (!n || !refcount_dec_and_test(&n->refs))
		return;
	fs = n->fs;
	if (n->file)
		kbfs_close_file(fs, n->file);
	dput(n->dentry);
	kapi_free(n);
	atomic_dec(&fs->nodes);
}

static int any_dentry(void *context, struct dentry *dentry)
{
	return 1;
}

int kbfs_open_handle(struct kbfs *fs, uint64_t ino, uint32_t generation, struct kbfs_node **out)
{
	struct fid fid = { .i32 = { .ino = ino, .gen = generation } };
	struct dentry *dentry;

	if (!ino || ino > U32_MAX)
		return -ESTALE;
	/* Directories come back connected to the root, which rename needs. */
	dentry = exportfs_decode_fh(fs->mnt, &fid, 2, FILEID_INO32_GEN, any_dentry, NULL);
	if (IS_ERR_OR_NULL(dentry))
		return dentry && PTR_ERR(dentry) == -ENOMEM ? -ENOMEM : -ESTALE;
	/* ext4 takes generation 0 for "any". */
	if (d_is_negative(dentry) || d_inode(dentry)->i_generation != generation) {
		dput(dentry);
		return -ESTALE;
	}
	return kbfs_node_new(fs, dentry, out);
}
