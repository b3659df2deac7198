// SPDX-License-Identifier: GPL-2.0-only
#include <linux/backing-dev.h>
#include <linux/nsproxy.h>
#include <linux/statfs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "kapi/linux/node.h"
#include "llite/linux/glue.h"

#define LULL_SUPER_MAGIC 0x4c554c4c

static int ll_statfs(struct dentry *dentry, struct kstatfs *to)
{
	struct llc_statfs s;
	int err = llc_statfs(ll_mount(dentry->d_sb)->core, &s);

	if (err)
		return err;
	to->f_type = LULL_SUPER_MAGIC;
	to->f_bsize = s.block_bytes ?: PAGE_SIZE;
	to->f_blocks = div_u64(s.total_bytes, to->f_bsize);
	to->f_bfree = div_u64(s.free_bytes, to->f_bsize);
	to->f_bavail = div_u64(s.avail_bytes, to->f_bsize);
	to->f_files = s.files;
	to->f_ffree = s.free_files;
	to->f_namelen = s.name_max ?: NAME_MAX;
	to->f_fsid = u64_to_fsid(dentry->d_sb->s_dev);
	return 0;
}

static int ll_sync_fs(struct super_block *sb, int wait)
{
	struct llc_mount *core = ll_mount(sb)->core;
	int err = wait ? llc_sync(core) : 0;

	/* Each open file's next syncfs tells it once; sync(2) asks, too, and has nobody to tell. */
	if (wait && llc_take_loss(core))
		errseq_set(&sb->s_wb_err, -EIO);
	return err;
}

/* Before the VFS looks whether the mount is busy: it may yet refuse. */
static void ll_umount_begin(struct super_block *sb)
{
	llc_mount_interrupt(ll_mount(sb)->core);
}

static void free_mount(struct ll_mount *m)
{
	if (!m)
		return;
	if (m->core)
		llc_mount_destroy(m->core);
	if (m->net)
		lull_node_put(m->net);
	kfree(m);
}

static void ll_kill_sb(struct super_block *sb)
{
	struct ll_mount *m = ll_mount(sb);

	/*
	 * With the last page written, callbacks let go of the inodes, and no more of them take one:
	 * the VFS frees them next.
	 */
	if (m && sb->s_root) {
		if (lull_umount_is_forced())
			llc_mount_force(m->core);
		sync_filesystem(sb);
		llc_mount_leave_host(m->core);
	}
	kill_anon_super(sb);
	free_mount(m);
}

const struct super_operations ll_super_ops = {
	.alloc_inode = ll_alloc_inode,
	.free_inode = ll_free_inode,
	.drop_inode = ll_drop_inode,
	.evict_inode = ll_evict_inode,
	.statfs = ll_statfs,
	.sync_fs = ll_sync_fs,
	.umount_begin = ll_umount_begin,
};

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct ll_mount *m = ll_mount(sb);
	struct llc_inode *core;
	struct llc_attr attr;
	struct inode *root;
	int err;

	sb->s_magic = LULL_SUPER_MAGIC;
	sb->s_op = &ll_super_ops;
	sb->s_d_op = &ll_dentry_ops;
	sb->s_xattr = (void *)ll_xattr_handlers; /* const differs between kernels */
	sb->s_maxbytes = llc_max_bytes(NULL);
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_time_gran = 1;
	sb->s_time_min = S32_MIN; /* what ext4 stores, and 64 bits of ns carry */
	sb->s_time_max = div_s64(S64_MAX, NSEC_PER_SEC);
	sb->s_flags |= SB_NOATIME | SB_NODIRATIME;
	err = super_setup_bdi(sb);
	if (err)
		return err;
	sb->s_bdi->ra_pages = sb->s_bdi->io_pages = (1 << 20) >> PAGE_SHIFT;
	err = llc_root(m->core, &core, &attr);
	if (err)
		return err;
	root = ll_iget(sb, core, &attr);
	if (IS_ERR(root))
		return PTR_ERR(root);
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

static int ll_get_tree(struct fs_context *fc, const char *source, const char *options)
{
	struct net *net = fc->net_ns ?: current->nsproxy->net_ns;
	struct ll_mount *m = kzalloc(sizeof(*m), GFP_KERNEL);
	struct lull_node *node;
	char why[200] = "";
	int err;

	if (!m)
		return -ENOMEM;
	node = lull_node_get(net);
	if (IS_ERR(node)) {
		err = PTR_ERR(node);
		goto fail;
	}
	m->net = net;
	/* Before the super block, so that what goes wrong is told with its reason. */
	err = llc_mount_create(node, source, options, &m->core, why, sizeof(why));
	if (err) {
		errorf(fc, "lull: %s", *why ? why : "mount failed");
		goto fail;
	}
	((struct lull_sb *)fc->s_fs_info)->private = m;
	err = get_tree_nodev(fc, fill_super);
	if (!err)
		return 0;
	/* Without a super block nobody else ends the mount; with one, kill_sb has. */
	if (fc->s_fs_info)
		goto fail;
	return err;
fail:
	if (fc->s_fs_info)
		((struct lull_sb *)fc->s_fs_info)->private = NULL;
	free_mount(m);
	return err;
}

const struct lull_mount_ops ll_client_mount_ops = {
	.owner = THIS_MODULE,
	.get_tree = ll_get_tree,
	.kill_sb = ll_kill_sb,
};

static int __init ll_init(void)
{
	int err = ll_inode_cache_init();

	if (!err)
		lull_register_mount(LULL_MOUNT_CLIENT, &ll_client_mount_ops);
	return err;
}
module_init(ll_init);

static void __exit ll_exit(void)
{
	lull_unregister_mount(LULL_MOUNT_CLIENT);
	ll_inode_cache_exit();
}
module_exit(ll_exit);

MODULE_LICENSE("GPL");
MODULE_VERSION(LULL_VERSION);
MODULE_AUTHOR("The developers of Lull");
MODULE_DESCRIPTION("Lull client");
