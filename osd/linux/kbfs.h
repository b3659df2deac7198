/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of osd/linux share: kapi/backing_fs.h over a privately mounted ext4. */
#pragma once
#include <linux/fs.h>
#include <linux/llist.h>
#include <linux/mount.h>
#include <linux/refcount.h>
#include <linux/workqueue.h>

#include "kapi/backing_fs.h"
#include "kapi/linux/compat.h"

struct kbfs {
	struct vfsmount *mnt;
	atomic_t nodes; /* must be 0 at unmount */
	struct mutex sync_lock; /* wb_error */
	errseq_t wb_error; /* data write-back errors reported so far */
	struct llist_head closing; /* files whose last user was not a kernel thread */
	struct work_struct close_work;
};

struct kbfs_node {
	refcount_t refs;
	struct kbfs *fs;
	struct dentry *dentry;
	struct file *file; /* of a regular file, opened at its first read or write */
};

/* Takes over the reference to the dentry, also when it fails. */
int kbfs_node_new(struct kbfs *fs, struct dentry *dentry, struct kbfs_node **out);

struct file *kbfs_open_file(struct kbfs_node *n, int flags);
/* Closes now, not at the task's return to user space: an unmount must find nothing open. */
void kbfs_close_file(struct kbfs *fs, struct file *file);
void kbfs_close_init(struct kbfs *fs);
void kbfs_close_all(struct kbfs *fs);

static inline struct inode *kbfs_inode(struct kbfs_node *n)
{
	return d_inode(n->dentry);
}

static inline lull_idmap *kbfs_idmap(struct kbfs *fs)
{
	return lull_mnt_idmap(fs->mnt);
}
