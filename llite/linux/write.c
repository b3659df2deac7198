// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffered writes: into the page cache under an I/O scope, each page paid for by grant, so that
 * write-back cannot run out of space.
 */
#include <linux/backing-dev.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>
#include <linux/writeback.h>

#include "llite/linux/glue.h"

#define WRITE_CHUNK_BYTES (1u << 20)

/* Makes the page's old content valid as far as the write does not replace it. */
static int prepare_page(struct inode *inode, struct page *page, u64 pos, size_t bytes)
{
	u64 start = page_offset(page);
	int64_t n;
	void *p;

	if (PageUptodate(page) || bytes == PAGE_SIZE)
		return 0;
	if (start >= ll_size(inode)) {
		zero_user(page, 0, PAGE_SIZE);
		SetPageUptodate(page);
		return 0;
	}
	p = kmap_local_page(page);
	n = llc_read(ll_core(inode), start, p, PAGE_SIZE);
	kunmap_local(p);
	if (n < 0)
		return n;
	flush_dcache_page(page);
	SetPageUptodate(page);
	return 0;
}

int ll_reserve_page(struct inode *inode, struct page *page)
{
	int err;

	if (PagePrivate(page))
		return 0;
	err = llc_reserve_page(ll_core(inode), page->index);
	if (!err)
		attach_page_private(page, (void *)1UL);
	return err;
}

int ll_write_through(struct inode *inode, struct llc_io *io, struct page *page, u64 pos,
		     size_t bytes)
{
	void *p = kmap_local_page(page);
	int err = llc_write_through(ll_core(inode), io, pos, p + offset_in_page(pos), bytes);

	kunmap_local(p);
	return err;
}

/*
 * One page's worth. Returns what was written; 0: the user's page is not there, fault it in again.
 * *last: the scope is to end.
 */
static ssize_t write_page(struct inode *inode, struct llc_io *io, u64 pos, struct iov_iter *from,
			  bool *last)
{
	size_t bytes = min_t(size_t, iov_iter_count(from), PAGE_SIZE - offset_in_page(pos));
	struct page *page = grab_cache_page_write_begin(inode->i_mapping, pos >> PAGE_SHIFT);
	bool through = false;
	size_t copied = 0;
	int err;

	if (!page)
		return -ENOMEM;
	err = prepare_page(inode, page, pos, bytes);
	if (err)
		goto out;
	err = ll_reserve_page(inode, page);
	if (err == -EAGAIN) {
		through = true;
		err = 0;
	}
	if (err)
		goto out;
	copied = copy_page_from_iter_atomic(page, offset_in_page(pos), bytes, from);
	flush_dcache_page(page);
	if (copied < bytes && !PageUptodate(page)) {
		/* A page without old content must be written whole. */
		iov_iter_revert(from, copied);
		copied = 0;
		goto out;
	}
	if (!copied)
		goto out;
	if (through) {
		err = ll_write_through(inode, io, page, pos, copied);
		*last = err != 0;
		if (err < 0) {
			iov_iter_revert(from, copied);
			/* What the cache shows, and mappings, was not written. */
			ClearPageUptodate(page);
			unmap_mapping_pages(inode->i_mapping, page->index, 1, false);
			goto out;
		}
		err = 0;
	}
	SetPageUptodate(page);
	llc_wrote(ll_core(inode), pos, copied);
	ll_copy_size(inode);
	if (!through)
		set_page_dirty(page);
out:
	unlock_page(page);
	put_page(page);
	return err ?: copied;
}

/* The rest of generic_write_checks(): where the end is, only a scope knows. */
static int limit_append(u64 pos, struct iov_iter *from)
{
	unsigned long limit = rlimit(RLIMIT_FSIZE);

	if (pos >= limit) {
		send_sig(SIGXFSZ, current, 0);
		return -EFBIG;
	}
	iov_iter_truncate(from, limit - pos);
	return 0;
}

static ssize_t write_checks(struct kiocb *iocb, struct iov_iter *from)
{
	int append = iocb->ki_flags & IOCB_APPEND;
	ssize_t n;

	if (append)
		iocb->ki_pos = 0;
	iocb->ki_flags &= ~append;
	n = generic_write_checks(iocb, from);
	iocb->ki_flags |= append;
	return n;
}

/* *again: nothing was written, begin anew. *last: the scope ended early, its OST was away. */
static ssize_t write_chunk(struct kiocb *iocb, struct iov_iter *from, size_t want, bool *again,
			   bool *last)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	bool append = iocb->ki_flags & IOCB_APPEND;
	struct llc_io io;
	ssize_t done = 0, n = 0;
	u64 pos = iocb->ki_pos;
	int err = llc_io_begin(ll_core(inode), pos & PAGE_MASK, (pos + want - 1) | ~PAGE_MASK,
			       append ? LLC_IO_APPEND : LLC_IO_WRITE, &io);

	if (err)
		return err;
	ll_copy_size(inode);
	if (append) {
		pos = io.size;
		n = limit_append(pos, from);
		want = min_t(u64, want, iov_iter_count(from));
	}
	if (pos > ll_size(inode))
		ll_zero_tail(inode);
	if (pos >= io.max_bytes)
		n = -EFBIG;
	want = min_t(u64, want, io.max_bytes - pos);
	while (n >= 0 && done < want && !*last) {
		size_t all = iov_iter_count(from);

		iov_iter_truncate(from, want - done);
		n = write_page(inode, &io, pos, from, last);
		iov_iter_reexpand(from, all - (n > 0 ? n : 0));
		if (n <= 0)
			break;
		pos += n;
		done += n;
	}
	*again = llc_io_end(ll_core(inode), &io) && n < 0;
	iocb->ki_pos = pos;
	return done ?: n;
}

/* Of a user that may not keep them, by the mode as it is now: another client may have set it. */
static int remove_privs(struct file *file)
{
	struct inode *inode = file_inode(file);
	struct llc_attr attr;
	int err;

	if (capable(CAP_FSETID))
		return file_remove_privs(file);
	err = llc_revalidate(ll_core(inode), false, &attr) ?: ll_update_inode(inode, &attr);
	if (err)
		return err;
	return file_remove_privs(file);
}

ssize_t ll_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct file *file = iocb->ki_filp;
	struct inode *inode = file_inode(file);
	bool append = iocb->ki_flags & IOCB_APPEND;
	ssize_t done = 0, n;

	if (iocb->ki_flags & IOCB_NOWAIT)
		return -EOPNOTSUPP;
	if (down_write_killable(&inode->i_rwsem))
		return -ERESTARTSYS;
	n = write_checks(iocb, from);
	if (n > 0) {
		int err = remove_privs(file);

		if (err)
			n = err;
	}
	while (n > 0 && iov_iter_count(from)) {
		size_t want = min_t(size_t, iov_iter_count(from), WRITE_CHUNK_BYTES);
		size_t missing = fault_in_iov_iter_readable(from, want);
		bool again = false, last = false;
		u64 start = append ? ll_size(inode) : iocb->ki_pos; /* or about there */

		if (missing == want) {
			n = -EFAULT;
			break;
		}
		want -= missing;
		n = llc_bring_grant(ll_core(inode), start & PAGE_MASK, want + PAGE_SIZE, 0);
		if (n < 0)
			break;
		n = write_chunk(iocb, from, want, &again, &last);
		if (n < 0 && again) {
			n = 1;
			continue;
		}
		if (n < 0)
			break;
		done += n;
		if (last && append)
			/* others may have appended since: what is left does not belong there */
			break;
		n = 1;
		balance_dirty_pages_ratelimited(file->f_mapping);
		if (fatal_signal_pending(current))
			break;
	}
	inode_unlock(inode);
	if (done <= 0)
		return n < 0 ? n : 0;
	return generic_write_sync(iocb, done);
}
