// SPDX-License-Identifier: GPL-2.0-only
#include <linux/fadvise.h>
#include <linux/pagemap.h>
#include <linux/splice.h>
#include <linux/uio.h>

#include "llite/linux/glue.h"

#define READ_CHUNK_BYTES (1u << 20)

u32 ll_open_flags(unsigned int f_flags)
{
	u32 flags = 0;

	if ((f_flags & O_ACCMODE) != O_WRONLY)
		flags |= LLC_OPEN_READ;
	if ((f_flags & O_ACCMODE) != O_RDONLY)
		flags |= LLC_OPEN_WRITE;
	if (f_flags & O_APPEND)
		flags |= LLC_OPEN_APPEND;
	if (f_flags & O_EXCL)
		flags |= LLC_OPEN_EXCL;
	if (f_flags & __FMODE_EXEC)
		flags |= LLC_OPEN_EXEC;
	return flags;
}

int ll_open_known(struct inode *inode, struct file *file)
{
	struct llc_file *handle;
	int err;

	if (file->f_flags & O_DIRECT)
		return -EINVAL;
	err = llc_open(ll_core(inode), ll_open_flags(file->f_flags & ~O_EXCL), &handle);
	if (!err)
		file->private_data = handle;
	return err;
}

static int ll_release(struct inode *inode, struct file *file)
{
	if (file->private_data)
		llc_close(file->private_data);
	file->private_data = NULL;
	return 0;
}

/*
 * User pages are faulted in before the scope and not inside it: a fault on a mapping of this very
 * file system would need a scope of its own, and a gate that closes between the two would wait for
 * ever.
 */
static ssize_t read_chunk(struct kiocb *iocb, struct iov_iter *to, size_t want, bool *again)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	size_t all = iov_iter_count(to);
	struct llc_io io;
	ssize_t n;
	int err = llc_io_begin(ll_core(inode), iocb->ki_pos & PAGE_MASK, U64_MAX, LLC_IO_READ, &io);

	if (err)
		return err;
	ll_copy_size(inode);
	iov_iter_truncate(to, want);
	pagefault_disable();
	to->nofault = true;
	n = filemap_read(iocb, to, 0);
	to->nofault = false;
	pagefault_enable();
	iov_iter_reexpand(to, all - (n > 0 ? n : 0));
	*again = llc_io_end(ll_core(inode), &io) && n < 0;
	/* The user's page was paged out meanwhile. (A pipe says so when it is full.) */
	if (n == -EFAULT && user_backed_iter(to))
		*again = true;
	if (n >= 0 && llc_file_intact(iocb->ki_filp->private_data)) {
		iocb->ki_pos -= n;
		iov_iter_revert(to, n);
		return -EIO;
	}
	return n;
}

static ssize_t ll_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	ssize_t done = 0;

	if (iocb->ki_flags & IOCB_NOWAIT)
		return -EOPNOTSUPP;
	while (iov_iter_count(to)) {
		size_t want = min_t(size_t, iov_iter_count(to), READ_CHUNK_BYTES);
		size_t missing = fault_in_iov_iter_writeable(to, want);
		bool again = false;
		ssize_t n;

		if (missing == want)
			return done ?: -EFAULT;
		want -= missing;
		n = read_chunk(iocb, to, want, &again);
		if (again && !fatal_signal_pending(current))
			continue;
		if (n < 0)
			return done ?: n;
		done += n;
		if (n < want && iocb->ki_pos >= ll_size(file_inode(iocb->ki_filp)))
			break;
		if (n == 0)
			break;
		if (fatal_signal_pending(current))
			break;
	}
	return done;
}

static int ll_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	int err = file_write_and_wait_range(file, start, end);

	if (err)
		llc_loss_was_told(file->private_data);
	return err ?: llc_fsync(ll_core(file_inode(file)), datasync);
}

static loff_t ll_llseek(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);
	struct llc_attr attr;
	int err;

	if (whence == SEEK_SET || whence == SEEK_CUR)
		return generic_file_llseek_size(file, offset, whence,
						llc_max_bytes(ll_core(inode)), 0);
	err = llc_revalidate(ll_core(inode), true, &attr);
	if (err)
		return err;
	/* No holes are told apart: data up to the end of the file. */
	return generic_file_llseek_size(file, offset, whence, llc_max_bytes(ll_core(inode)),
					attr.size);
}

static int ll_mmap(struct file *file, struct vm_area_struct *vma)
{
	file_accessed(file);
	vma->vm_ops = &ll_vm_ops;
	return 0;
}

/* Errors of write-back that nobody has seen yet reach close(2), too. */
static int ll_flush(struct file *file, fl_owner_t id)
{
	if (!(file->f_mode & FMODE_WRITE))
		return 0;
	return filemap_check_wb_err(file->f_mapping, READ_ONCE(file->f_wb_err));
}

/*
 * Pages are only read under a lock. (readahead(2) and madvise(MADV_WILLNEED) come here, too; what
 * they cannot have is no error.)
 */
static int ll_fadvise(struct file *file, loff_t start, loff_t end, int advice)
{
	struct inode *inode = file_inode(file);
	struct llc_io io;
	int err;

	if (advice != POSIX_FADV_WILLNEED)
		return generic_fadvise(file, start, end, advice);
	if (llc_io_begin(ll_core(inode), start & PAGE_MASK, U64_MAX, LLC_IO_READ, &io))
		return 0;
	ll_copy_size(inode);
	err = generic_fadvise(file, start, end, advice);
	llc_io_end(ll_core(inode), &io);
	return err;
}

const struct file_operations ll_file_fops = {
	.open = ll_open_known,
	.release = ll_release,
	.flush = ll_flush,
	.llseek = ll_llseek,
	.read_iter = ll_read_iter,
	.write_iter = ll_write_iter,
	.fsync = ll_fsync,
	.lock = ll_lock,
	.flock = ll_flock,
	.mmap = ll_mmap,
#if LULL_SINCE(6, 5)
	.splice_read = copy_splice_read,
#else
	.splice_read = generic_file_splice_read,
#endif
	.splice_write = iter_file_splice_write,
	.fadvise = ll_fadvise,
	.setlease = simple_nosetlease, /* other clients would not break it */
};

const struct inode_operations ll_file_iops = {
	.permission = ll_permission,
	.getattr = ll_getattr,
	.setattr = ll_setattr,
	.listxattr = generic_listxattr,
};
