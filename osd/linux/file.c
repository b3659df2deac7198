// SPDX-License-Identifier: GPL-2.0-only
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/slab.h>

#include "osd/linux/kbfs.h"

struct file *kbfs_open_file(struct kbfs_node *n, int flags)
{
	struct path path = { .mnt = n->fs->mnt, .dentry = n->dentry };

	return dentry_open(&path, flags | O_LARGEFILE | O_NOATIME, current_cred());
}

/* A file on its way to the worker. */
struct closing_file {
	struct llist_node node;
	struct file *file;
};

static void close_queued(struct work_struct *work)
{
	struct kbfs *fs = container_of(work, struct kbfs, close_work);
	struct closing_file *c, *next;

	llist_for_each_entry_safe(c, next, llist_del_all(&fs->closing), node) {
		__fput_sync(c->file);
		kfree(c);
	}
}

void kbfs_close_init(struct kbfs *fs)
{
	init_llist_head(&fs->closing);
	INIT_WORK(&fs->close_work, close_queued);
}

void kbfs_close_file(struct kbfs *fs, struct file *file)
{
	struct closing_file *c;

	if (current->flags & PF_KTHREAD) {
		__fput_sync(file);
		return;
	}
	c = kmalloc(sizeof(*c), GFP_NOFS | __GFP_NOFAIL);
	c->file = file;
	llist_add(&c->node, &fs->closing);
	schedule_work(&fs->close_work);
}

void kbfs_close_all(struct kbfs *fs)
{
	flush_work(&fs->close_work);
}

static struct file *data_file(struct kbfs_node *n)
{
	struct file *file = READ_ONCE(n->file), *other;

	if (file)
		return file;
	if (!S_ISREG(kbfs_inode(n)->i_mode))
		return ERR_PTR(S_ISDIR(kbfs_inode(n)->i_mode) ? -EISDIR : -EINVAL);
	file = kbfs_open_file(n, sb_rdonly(n->fs->mnt->mnt_sb) ? O_RDONLY : O_RDWR);
	if (IS_ERR(file))
		return file;
	other = cmpxchg(&n->file, NULL, file);
	if (other) {
		kbfs_close_file(n->fs, file);
		file = other;
	}
	return file;
}

int64_t kbfs_read(struct kbfs_node *n, uint64_t offset, void *buf, size_t bytes)
{
	struct file *file = data_file(n);
	loff_t pos = offset;
	size_t done = 0;
	ssize_t got;

	if (IS_ERR(file))
		return PTR_ERR(file);
	while (done < bytes) {
		got = kernel_read(file, buf + done, bytes - done, &pos);
		if (got < 0)
			return got;
		if (!got)
			break;
		done += got;
	}
	return done;
}

int kbfs_write(struct kbfs_node *n, uint64_t offset, const void *buf, size_t bytes)
{
	struct file *file = data_file(n);
	loff_t pos = offset;
	size_t done = 0;
	ssize_t put;

	if (IS_ERR(file))
		return PTR_ERR(file);
	if (!(file->f_mode & FMODE_WRITE))
		return -EROFS;
	while (done < bytes) {
		put = kernel_write(file, buf + done, bytes - done, &pos);
		if (put <= 0)
			return put ?: -EIO;
		done += put;
	}
	return 0;
}

int kbfs_is_written(struct kbfs_node *n, uint64_t offset, size_t bytes)
{
	struct file *file = data_file(n);
	loff_t hole;

	if (IS_ERR(file))
		return PTR_ERR(file);
	hole = vfs_llseek(file, offset, SEEK_HOLE);
	if (hole == -ENXIO) /* behind the end of the file */
		return 0;
	return hole < 0 ? hole : hole >= offset + bytes;
}
