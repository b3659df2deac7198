// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapped files. A fault takes an I/O scope over the whole file, so that what gets mapped is covered
 * by a lock; when the lock goes, the pages are unmapped (port.c) and the next access faults again.
 */
#include <linux/mm.h>

#include "llite/linux/glue.h"

/*
 * A user's fault can be given up for a signal and is taken again afterwards; the kernel's own
 * cannot.
 */
static int begin(struct vm_fault *vmf, u64 pos, u64 end, unsigned int mode, struct llc_io *io)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);

	if (!(vmf->flags & FAULT_FLAG_USER))
		mode |= LLC_IO_NOINTR;
	return llc_io_begin(ll_core(inode), pos, end, mode, io);
}

static vm_fault_t fault_error(int err)
{
	switch (err) {
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
		return VM_FAULT_NOPAGE; /* the signal first, then the access again */
	case -ENOMEM:
		return VM_FAULT_OOM;
	default:
		return VM_FAULT_SIGBUS;
	}
}

static vm_fault_t ll_fault(struct vm_fault *vmf)
{
	struct file *file = get_file(vmf->vma->vm_file);
	struct inode *inode = file_inode(file);
	struct llc_io io;
	vm_fault_t ret;
	bool again;
	int err;

	do {
		err = begin(vmf, 0, U64_MAX, LLC_IO_READ, &io);
		if (err) {
			ret = fault_error(err);
			break;
		}
		ll_copy_size(inode);
		if (llc_file_intact(file->private_data))
			ret = VM_FAULT_SIGBUS;
		else /* may let go of mmap_lock to wait, and then the mapping of the file */
			ret = filemap_fault(vmf);
		again = llc_io_end(ll_core(inode), &io);
	} while (again && (ret & VM_FAULT_SIGBUS));
	fput(file);
	return ret;
}

/*
 * VM_FAULT_RETRY (ours): no grant. `through`: then the page is written as it is, so that its place
 * is taken; what is stored into it can be written there on a full OST, too.
 */
static vm_fault_t mkwrite_locked(struct inode *inode, struct llc_io *io, struct page *page,
				 bool through)
{
	u64 pos = page_offset(page);
	u64 size = ll_size(inode);
	size_t bytes = min_t(u64, PAGE_SIZE, size - pos);
	int err;

	if (page->mapping != inode->i_mapping || pos >= size)
		return VM_FAULT_NOPAGE; /* truncated or dropped: fault again */
	err = ll_reserve_page(inode, page);
	if (err == -EAGAIN && !through)
		return VM_FAULT_RETRY;
	if (err == -EAGAIN)
		err = ll_write_through(inode, io, page, pos, bytes);
	if (err < 0)
		return fault_error(err);
	set_page_dirty(page);
	wait_for_stable_page(page);
	llc_wrote(ll_core(inode), pos, bytes);
	return VM_FAULT_LOCKED;
}

static vm_fault_t ll_page_mkwrite(struct vm_fault *vmf)
{
	struct inode *inode = file_inode(vmf->vma->vm_file);
	struct page *page = vmf->page;
	u64 pos = page_offset(page);
	vm_fault_t ret = VM_FAULT_RETRY;
	unsigned int nointr = vmf->flags & FAULT_FLAG_USER ? 0 : LLC_IO_NOINTR;
	bool through;

	for (through = false; ret == VM_FAULT_RETRY; through = true) {
		int err = llc_bring_grant(ll_core(inode), pos, PAGE_SIZE, nointr);
		struct llc_io io;

		if (err)
			return fault_error(err);
		err = begin(vmf, pos, pos | ~PAGE_MASK, LLC_IO_WRITE, &io);
		if (err)
			return fault_error(err);
		ll_copy_size(inode);
		lock_page(page);
		ret = mkwrite_locked(inode, &io, page, through);
		if (ret != VM_FAULT_LOCKED)
			unlock_page(page);
		llc_io_end(ll_core(inode), &io);
	}
	return ret;
}

const struct vm_operations_struct ll_vm_ops = {
	.fault = ll_fault,
	.map_pages = filemap_map_pages, /* what is cached is covered by a lock */
	.page_mkwrite = ll_page_mkwrite,
};
