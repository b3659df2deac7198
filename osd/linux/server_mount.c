// SPDX-License-Identifier: GPL-2.0-only
/*
 * A mounted target shows an empty directory; mounting starts the targets of the device, unmounting
 * stops them.
 */
#include <linux/err.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>

#include "kapi/linux/compat.h"
#include "kapi/linux/fstype.h"
#include "kapi/linux/node.h"
#include "osd/linux/server_mount.h"
#include "target/target_glue.h"

#define LULL_SERVER_MAGIC 0x4c554c53 /* "LULS" */
#define WHY_BYTES 256

struct server_sb {
	struct lull_server *server;
	struct net *net;
	const char *source, *options; /* only during the start */
	char why[WHY_BYTES];
};

static struct server_sb *server_sb(struct super_block *sb)
{
	return lull_sb(sb)->private;
}

static int server_statfs(struct dentry *dentry, struct kstatfs *st)
{
	u64 total, free, files, free_files;
	int err = lull_server_statfs(server_sb(dentry->d_sb)->server, &total, &free, &files,
				     &free_files);

	if (err)
		return err;
	st->f_type = LULL_SERVER_MAGIC;
	st->f_bsize = PAGE_SIZE;
	st->f_blocks = total / PAGE_SIZE;
	st->f_bfree = free / PAGE_SIZE;
	st->f_bavail = free / PAGE_SIZE;
	st->f_files = files;
	st->f_ffree = free_files;
	st->f_namelen = NAME_MAX;
	return 0;
}

static int server_show_options(struct seq_file *seq, struct dentry *root)
{
	char text[200];

	lull_server_describe(server_sb(root->d_sb)->server, text, sizeof(text));
	seq_puts(seq, text);
	return 0;
}

static const struct super_operations server_super_ops = {
	.statfs = server_statfs,
	.show_options = server_show_options,
	.drop_inode = generic_delete_inode,
};

static struct dentry *make_root(struct super_block *sb)
{
	struct inode *root = new_inode(sb);
	struct timespec64 now;

	if (!root)
		return NULL;
	root->i_ino = 1;
	root->i_mode = S_IFDIR | 0555;
	root->i_op = &simple_dir_inode_operations;
	root->i_fop = &simple_dir_operations;
	now = current_time(root);
	lull_inode_set_atime(root, now);
	lull_inode_set_mtime(root, now);
	lull_inode_set_ctime(root, now);
	set_nlink(root, 2);
	return d_make_root(root);
}

static int start_server(struct server_sb *s, struct fs_context *fc)
{
	struct lull_node *node = lull_node_get(fc->net_ns);
	int err;

	if (IS_ERR(node)) {
		errorf(fc, "lull: cannot make a node: error %ld", PTR_ERR(node));
		return PTR_ERR(node);
	}
	err = lull_server_start(node, s->source, s->options, &s->server, s->why, sizeof(s->why));
	if (err) {
		lull_node_put(fc->net_ns);
		errorf(fc, "lull: %s: %s", s->source, s->why[0] ? s->why : "cannot start");
		return err;
	}
	if (s->why[0])
		warnf(fc, "lull: %s", s->why);
	s->net = fc->net_ns;
	return 0;
}

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	int err;

	sb->s_magic = LULL_SERVER_MAGIC;
	sb->s_op = &server_super_ops;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	err = start_server(server_sb(sb), fc);
	if (err)
		return err;
	/* Without a root, kill_sb stops the server again. */
	sb->s_root = make_root(sb);
	return sb->s_root ? 0 : -ENOMEM;
}

static int server_get_tree(struct fs_context *fc, const char *source, const char *options)
{
	struct lull_sb *sb_info = fc->s_fs_info;
	struct server_sb *s;
	int err;

	if (fc->sb_flags & SB_RDONLY)
		return invalf(fc, "lull: a target cannot be mounted read-only");
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	s->source = source;
	s->options = options;
	sb_info->private = s;
	err = get_tree_nodev(fc, fill_super);
	/* Still ours if there was not even a super block. */
	if (err && fc->s_fs_info)
		kfree(s);
	return err;
}

static void server_kill_sb(struct super_block *sb)
{
	struct server_sb *s = server_sb(sb);

	kill_anon_super(sb);
	if (s->server) {
		lull_server_stop(s->server, lull_umount_is_forced() ? LULL_STOP_FORCE : 0);
		lull_node_put(s->net);
	}
	kfree(s);
}

static const struct lull_mount_ops server_mount_ops = {
	.owner = THIS_MODULE,
	.get_tree = server_get_tree,
	.kill_sb = server_kill_sb,
};

void lull_server_mount_init(void)
{
	lull_register_mount(LULL_MOUNT_SERVER, &server_mount_ops);
}

void lull_server_mount_exit(void)
{
	lull_unregister_mount(LULL_MOUNT_SERVER);
}
