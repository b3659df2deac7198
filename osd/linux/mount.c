// SPDX-License-Identifier: GPL-2.0-only
#include <linux/statfs.h>

#include "osd/linux/kbfs.h"

#define BACKING_TYPE "ext4"
#define BACKING_OPTIONS "data=ordered,errors=remount-ro"

/*
 * ext4 shares one super block among all mounts of a device on this node; a target wants it alone.
 */
static int check_alone(struct super_block *sb)
{
	return atomic_read(&sb->s_active) == 1 ? 0 : -EBUSY;
}

static int mount_backing(const char *device, bool read_only, struct vfsmount **out)
{
	char options[] = BACKING_OPTIONS;
	struct file_system_type *type = get_fs_type(BACKING_TYPE);
	struct vfsmount *mnt;
	int err;

	if (!type)
		return -ENODEV;
	/* SB_KERNMOUNT: the last reference unmounts at once, in the task that drops it. */
	mnt = vfs_kern_mount(type, SB_KERNMOUNT | SB_NOATIME | (read_only ? SB_RDONLY : 0), device,
			     options);
	module_put(type->owner);
	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	err = check_alone(mnt->mnt_sb);
	if (!err && !read_only && sb_rdonly(mnt->mnt_sb))
		err = -EROFS;
	if (err) {
		kern_unmount(mnt);
		return err;
	}
	*out = mnt;
	return 0;
}

int kbfs_mount(struct kapi_net *net, const char *device, bool read_only, struct kbfs **out)
{
	struct kbfs *fs = kapi_zalloc(sizeof(*fs));
	int err;

	if (!fs)
		return -ENOMEM;
	err = mount_backing(device, read_only, &fs->mnt);
	if (err) {
		kapi_free(fs);
		return err;
	}
	mutex_init(&fs->sync_lock);
	fs->wb_error = errseq_sample(&fs->mnt->mnt_sb->s_wb_err);
	kbfs_close_init(fs);
	*out = fs;
	return 0;
}

void kbfs_unmount(struct kbfs *fs)
{
	kbfs_close_all(fs);
	if (atomic_read(&fs->nodes))
		pr_err("Lull: unmounting with %d nodes in use\n", atomic_read(&fs->nodes));
	kern_unmount(fs->mnt);
	mutex_destroy(&fs->sync_lock);
	kapi_free(fs);
}

int kbfs_sync(struct kbfs *fs)
{
	struct super_block *sb = fs->mnt->mnt_sb;
	int err, data_err;

	down_read(&sb->s_umount);
	/*
	 * Writes back all data, then waits for the journal's commit and flushes the device's cache.
	 */
	err = sync_filesystem(sb);
	up_read(&sb->s_umount);

	mutex_lock(&fs->sync_lock);
	data_err = errseq_check_and_advance(&sb->s_wb_err, &fs->wb_error);
	mutex_unlock(&fs->sync_lock);
	if (!err)
		err = data_err;
	return err ?: (sb_rdonly(sb) ? -EROFS : 0);
}

int kbfs_statfs(struct kbfs *fs, struct kbfs_statfs *out)
{
	struct path root = { .mnt = fs->mnt, .dentry = fs->mnt->mnt_root };
	struct kstatfs st;
	int err = vfs_statfs(&root, &st);

	if (err)
		return err;
	*out = (struct kbfs_statfs){
		.total_bytes = st.f_blocks * st.f_bsize,
		.free_bytes = st.f_bfree * st.f_bsize,
		.avail_bytes = st.f_bavail * st.f_bsize,
		.files = st.f_files,
		.free_files = st.f_ffree,
		.block_bytes = st.f_bsize,
		.name_max = st.f_namelen,
	};
	return 0;
}
