// SPDX-License-Identifier: GPL-2.0-only
#include "osd/linux/kbfs.h"

int kbfs_getattr(struct kbfs_node *n, struct kbfs_attr *out)
{
	struct path path = { .mnt = n->fs->mnt, .dentry = n->dentry };
	struct kstat st;
	int err = vfs_getattr_nosec(&path, &st, STATX_BASIC_STATS, AT_STATX_SYNC_AS_STAT);

	if (err)
		return err;
	*out = (struct kbfs_attr){
		.ino = st.ino,
		.generation = kbfs_inode(n)->i_generation,
		.mode = st.mode,
		.uid = from_kuid(&init_user_ns, st.uid),
		.gid = from_kgid(&init_user_ns, st.gid),
		.nlink = st.nlink,
		.rdev = new_encode_dev(st.rdev),
		.size = st.size,
		.blocks_512 = st.blocks,
		.atime_ns = timespec64_to_ns(&st.atime),
		.mtime_ns = timespec64_to_ns(&st.mtime),
		.ctime_ns = timespec64_to_ns(&st.ctime),
	};
	return 0;
}

static void fill_iattr(struct iattr *ia, const struct kbfs_attr *attr, u32 valid, umode_t old_mode)
{
	/* Checked by the core; ctime is always now. */
	ia->ia_valid = ATTR_FORCE | ATTR_CTIME;
	if (valid & KBFS_MODE) {
		ia->ia_valid |= ATTR_MODE;
		ia->ia_mode = (old_mode & S_IFMT) | (attr->mode & S_IALLUGO);
	}
	if (valid & KBFS_UID) {
		ia->ia_valid |= ATTR_UID;
		ia->ia_uid = make_kuid(&init_user_ns, attr->uid);
	}
	if (valid & KBFS_GID) {
		ia->ia_valid |= ATTR_GID;
		ia->ia_gid = make_kgid(&init_user_ns, attr->gid);
	}
	if (valid & KBFS_SIZE) {
		ia->ia_valid |= ATTR_SIZE;
		ia->ia_size = attr->size;
	}
	if (valid & KBFS_ATIME) {
		ia->ia_valid |= ATTR_ATIME | ATTR_ATIME_SET;
		ia->ia_atime = ns_to_timespec64(attr->atime_ns);
	}
	if (valid & KBFS_MTIME) {
		ia->ia_valid |= ATTR_MTIME | ATTR_MTIME_SET;
		ia->ia_mtime = ns_to_timespec64(attr->mtime_ns);
	}
}

int kbfs_setattr(struct kbfs_node *n, const struct kbfs_attr *attr, uint32_t valid)
{
	struct inode *inode = kbfs_inode(n);
	struct iattr ia = {};
	int err;

	if ((valid & KBFS_SIZE) && !S_ISREG(inode->i_mode))
		return S_ISDIR(inode->i_mode) ? -EISDIR : -EINVAL;
	if (((valid & KBFS_UID) && attr->uid == U32_MAX) ||
	    ((valid & KBFS_GID) && attr->gid == U32_MAX) ||
	    ((valid & KBFS_SIZE) && attr->size > S64_MAX))
		return -EINVAL;
	err = mnt_want_write(n->fs->mnt);
	if (err)
		return err;
	inode_lock(inode);
	fill_iattr(&ia, attr, valid, inode->i_mode);
	err = notify_change(kbfs_idmap(n->fs), n->dentry, &ia, NULL);
	inode_unlock(inode);
	mnt_drop_write(n->fs->mnt);
	return err;
}
