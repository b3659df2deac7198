/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * File-system type "lull" has two faces: a source that begins with '/' is a target's device
 * (lull_server.ko), any other is NID[:NID]:/fsname (lull_client.ko). lull.ko registers the type;
 * the other modules register their face at load.
 *
 * For both: fc->s_fs_info and then sb->s_fs_info is a struct lull_sb made here; ->private is the
 * face's own. get_tree is called with it in place (get_tree_nodev() and vfs_get_super() then hand
 * it to the super block). kill_sb must call kill_anon_super(sb); ->private may still be NULL. Both
 * faces may sleep; errorf(fc, …) reaches the administrator.
 */
#pragma once
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/module.h>

enum lull_mount_kind { LULL_MOUNT_CLIENT, LULL_MOUNT_SERVER, LULL_MOUNT_KINDS };

struct lull_mount_ops {
	struct module *owner;
	/* source: as given; options: "a,b=c", without the generic ones (ro, nosuid…), maybe "". */
	int (*get_tree)(struct fs_context *fc, const char *source, const char *options);
	/* may be NULL: remount changes nothing */
	int (*reconfigure)(struct fs_context *fc, const char *options);
	void (*kill_sb)(struct super_block *sb);
};

struct lull_sb {
	const struct lull_mount_ops *ops;
	void *private;
};

static inline struct lull_sb *lull_sb(struct super_block *sb)
{
	return sb->s_fs_info;
}

void lull_register_mount(enum lull_mount_kind kind, const struct lull_mount_ops *ops);
void lull_unregister_mount(enum lull_mount_kind kind); /* at module exit: no mount is left then */

/*
 * For kill_sb: the super block ends within "umount -f". umount_begin comes before the VFS looks
 * whether the mount is busy, so that a note taken there would outlive a refusal and make the next,
 * plain umount a forced one. The system call itself, which is still under way here, cannot.
 */
bool lull_umount_is_forced(void);

int lull_fstype_init(void);
void lull_fstype_exit(void);
