/* SPDX-License-Identifier: GPL-2.0-only */
/* The one place that knows the differences between the kernels Lull is built for (6.1 and 6.12). */
#pragma once
#include <linux/version.h>
#include <linux/fs.h>
#include <linux/xattr.h>
#include <linux/namei.h>
#include <linux/mount.h>
#include <net/sock.h>

#define LULL_SINCE(major, minor) (LINUX_VERSION_CODE >= KERNEL_VERSION(major, minor, 0))

/* 6.3: functions that change a file take a mnt_idmap instead of a user namespace. */
#if LULL_SINCE(6, 3)
typedef struct mnt_idmap lull_idmap;
#define LULL_NOP_IDMAP (&nop_mnt_idmap)
#define lull_mnt_idmap(mnt) mnt_idmap(mnt)
#else
typedef struct user_namespace lull_idmap;
#define LULL_NOP_IDMAP (&init_user_ns)
#define lull_mnt_idmap(mnt) mnt_user_ns(mnt)
#endif

/* 6.2: a socket's allocations may use the task's page fragment unless told otherwise. */
static inline void lull_sock_own_frag(struct sock *sk)
{
#if LULL_SINCE(6, 2)
	sk->sk_use_task_frag = false;
#endif
}

/* 6.3: struct renamedata names an idmap per side. */
static inline void lull_renamedata(struct renamedata *rd, lull_idmap *idmap, struct dentry *old_dir,
				   struct dentry *old, struct dentry *new_dir, struct dentry *new)
{
	memset(rd, 0, sizeof(*rd));
#if LULL_SINCE(6, 3)
	rd->old_mnt_idmap = idmap;
	rd->new_mnt_idmap = idmap;
#else
	rd->old_mnt_userns = idmap;
	rd->new_mnt_userns = idmap;
#endif
	rd->old_dir = d_inode(old_dir);
	rd->old_dentry = old;
	rd->new_dir = d_inode(new_dir);
	rd->new_dentry = new;
}

/* 6.9: what posix locks and leases have in common is in a structure of its own. */
#if LULL_SINCE(6, 3)
#include <linux/filelock.h>
#endif
#if LULL_SINCE(6, 9)
#define lull_fl(fl, field) ((fl)->c.flc_##field)
#else
#define lull_fl(fl, field) ((fl)->fl_##field)
#endif

/* 6.7: the time of the last change of an inode is behind accessors. */
#if LULL_SINCE(6, 7)
#define lull_inode_atime(inode) inode_get_atime(inode)
#define lull_inode_mtime(inode) inode_get_mtime(inode)
#define lull_inode_ctime(inode) inode_get_ctime(inode)
#define lull_inode_set_atime(inode, ts) inode_set_atime_to_ts(inode, ts)
#define lull_inode_set_mtime(inode, ts) inode_set_mtime_to_ts(inode, ts)
#define lull_inode_set_ctime(inode, ts) inode_set_ctime_to_ts(inode, ts)
#else
#define lull_inode_atime(inode) ((inode)->i_atime)
#define lull_inode_mtime(inode) ((inode)->i_mtime)
#define lull_inode_ctime(inode) ((inode)->i_ctime)
#define lull_inode_set_atime(inode, ts) ((inode)->i_atime = (ts))
#define lull_inode_set_mtime(inode, ts) ((inode)->i_mtime = (ts))
#define lull_inode_set_ctime(inode, ts) ((inode)->i_ctime = (ts))
#endif
