// SPDX-License-Identifier: GPL-2.0-only
/* Address space: reading pages, and writing dirty ones back in pieces of up to a megabyte. */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/writeback.h>

#include "llite/linux/glue.h"

#define BATCH_PAGES ((1u << 20) >> PAGE_SHIFT)

static void copy_to_page(struct page *page, const void *from)
{
	void *p = kmap_local_page(page);

	memcpy(p, from, PAGE_SIZE);
	kunmap_local(p);
	flush_dcache_page(page);
	SetPageUptodate(page);
}

/* Only inside an I/O scope (a read, or a fault): the lock covers what is read. */
static int ll_read_folio(struct file *file, struct folio *folio)
{
	struct inode *inode = folio->mapping->host;
	void *p = kmap_local_folio(folio, 0);
	int64_t n = llc_read(ll_core(inode), folio_pos(folio), p, PAGE_SIZE);

	kunmap_local(p);
	flush_dcache_folio(folio);
	if (n >= 0)
		folio_mark_uptodate(folio);
	folio_unlock(folio);
	return n < 0 ? n : 0;
}

static void ll_readahead(struct readahead_control *rac)
{
	struct inode *inode = rac->mapping->host;
	void *buf = kvmalloc(READ_ONCE(rac->ra->ra_pages) ? BATCH_PAGES * PAGE_SIZE : PAGE_SIZE,
			     GFP_NOFS);
	unsigned int left, max = READ_ONCE(rac->ra->ra_pages) ? BATCH_PAGES : 1;
	loff_t pos;

	if (!buf)
		return; /* the pages are read one by one when they are needed */
	/* Taken before the walk: readahead_page() counts a page off at its next call only. */
	left = readahead_count(rac);
	pos = readahead_pos(rac);
	while (left) {
		unsigned int i, count = min(left, max);
		int64_t n = llc_read(ll_core(inode), pos, buf, (size_t)count << PAGE_SHIFT);

		for (i = 0; i < count; i++) {
			struct page *page = readahead_page(rac);

			if (!page)
				break;
			if (n >= 0)
				copy_to_page(page, buf + ((size_t)i << PAGE_SHIFT));
			unlock_page(page);
			put_page(page);
		}
		if (n < 0)
			break;
		left -= count;
		pos += (loff_t)count << PAGE_SHIFT;
	}
	kvfree(buf);
}

/*
 * Neighbouring dirty pages on their way out: under write-back, unlocked, clean; all or none of them
 * were reserved. The reservations are the batch's: who dirties such a page again reserves again.
 */
struct batch {
	struct inode *inode;
	void *buf;
	bool reserved;
	unsigned int count;
	struct page *pages[BATCH_PAGES];
};

static int send_batch(struct batch *b)
{
	struct inode *inode = b->inode;
	u64 pos, end, size = ll_size(inode);
	unsigned int i, pages = 0;
	int err = 0;

	if (!b->count)
		return 0;
	pos = page_offset(b->pages[0]);
	end = min_t(u64, pos + ((u64)b->count << PAGE_SHIFT), size);
	for (i = 0; i < b->count; i++) {
		void *p = kmap_local_page(b->pages[i]);

		memcpy(b->buf + ((size_t)i << PAGE_SHIFT), p, PAGE_SIZE);
		kunmap_local(p);
	}
	if (pos < end) {
		pages = DIV_ROUND_UP(end - pos, PAGE_SIZE);
		err = llc_write(ll_core(inode), pos, b->buf, end - pos, b->reserved ? pages : 0);
	}
	for (i = pages; b->reserved && i < b->count; i++) /* truncated meanwhile */
		llc_unreserve_page(ll_core(inode), b->pages[i]->index);
	if (err)
		mapping_set_error(inode->i_mapping, err);
	for (i = 0; i < b->count; i++) {
		end_page_writeback(b->pages[i]);
		put_page(b->pages[i]);
	}
	b->count = 0;
	return err;
}

/*
 * What a mapping has stored behind the end of the file is nobody's data: it must not be there when
 * the file grows. Called with the page locked.
 */
static void zero_behind(struct page *page, loff_t size)
{
	if (page_offset(page) < size && size - page_offset(page) < PAGE_SIZE)
		zero_user_segment(page, offset_in_page(size), PAGE_SIZE);
}

void ll_zero_tail(struct inode *inode)
{
	loff_t size = ll_size(inode);
	struct page *page;

	if (!offset_in_page(size))
		return;
	page = find_lock_page(inode->i_mapping, size >> PAGE_SHIFT);
	if (!page)
		return;
	zero_behind(page, size);
	unlock_page(page);
	put_page(page);
}

static int add_to_batch(struct page *page, struct batch *b)
{
	bool reserved = PagePrivate(page);
	int err = 0;

	zero_behind(page, ll_size(b->inode));
	if (b->count && (b->count == BATCH_PAGES || b->reserved != reserved ||
			 b->pages[b->count - 1]->index + 1 != page->index))
		err = send_batch(b);
	b->reserved = reserved;
	if (reserved)
		detach_page_private(page);
	get_page(page);
	set_page_writeback(page);
	unlock_page(page);
	b->pages[b->count++] = page;
	return err;
}

#if LULL_SINCE(6, 3)
static int collect(struct folio *folio, struct writeback_control *wbc, void *batch)
{
	return add_to_batch(folio_page(folio, 0), batch);
}
#else
static int collect(struct page *page, struct writeback_control *wbc, void *batch)
{
	return add_to_batch(page, batch);
}
#endif

/*
 * One stripe after the other: while an OST is waited for, no page of another one is locked or under
 * write-back. An error does not keep the others from being written when that is for integrity.
 */
static int write_stripes(struct address_space *mapping, struct writeback_control *wbc,
			 struct batch *b)
{
	unsigned long index = wbc->range_start >> PAGE_SHIFT;
	unsigned long end = wbc->range_end >> PAGE_SHIFT;
	struct writeback_control part = *wbc;
	int err = 0;

	if (wbc->range_cyclic) {
		index = mapping->writeback_index;
		end = ULONG_MAX;
		part.range_cyclic = 0;
	}
	while (index <= end && xa_find(&mapping->i_pages, &index, end, PAGECACHE_TAG_DIRTY)) {
		unsigned long last = min_t(u64, end,
					   llc_last_page_beside(ll_core(b->inode), index));
		int got, sent;

		part.range_start = (loff_t)index << PAGE_SHIFT;
		part.range_end = min_t(u64, ((u64)last << PAGE_SHIFT) | ~PAGE_MASK, LLONG_MAX);
		got = write_cache_pages(mapping, &part, collect, b);
		sent = send_batch(b);
		err = err ?: got ?: sent;
		index = last + 1;
		if (index == 0 ||
		    (wbc->sync_mode == WB_SYNC_NONE && (err || part.nr_to_write <= 0)))
			break;
	}
	wbc->nr_to_write = part.nr_to_write;
	wbc->pages_skipped = part.pages_skipped;
	if (wbc->range_cyclic)
		mapping->writeback_index = part.nr_to_write <= 0 ? index : 0;
	return err;
}

int ll_write_back(struct address_space *mapping, struct writeback_control *wbc)
{
	unsigned int flags = memalloc_nofs_save();
	struct batch *b = kzalloc(sizeof(*b), GFP_NOFS | __GFP_NOFAIL);
	int err;

	b->inode = mapping->host;
	b->buf = kvmalloc(BATCH_PAGES << PAGE_SHIFT, GFP_KERNEL);
	err = b->buf ? write_stripes(mapping, wbc, b) : -ENOMEM;
	kvfree(b->buf);
	kfree(b);
	memalloc_nofs_restore(flags);
	return err;
}

static void ll_invalidate_folio(struct folio *folio, size_t offset, size_t len)
{
	if (offset || len != folio_size(folio) || !folio_test_private(folio))
		return;
	folio_detach_private(folio);
	llc_unreserve_page(ll_core(folio->mapping->host), folio->index);
}

static bool ll_release_folio(struct folio *folio, gfp_t gfp)
{
	if (folio_test_dirty(folio) || folio_test_writeback(folio))
		return false;
	if (folio_test_private(folio)) {
		folio_detach_private(folio);
		llc_unreserve_page(ll_core(folio->mapping->host), folio->index);
	}
	return true;
}

const struct address_space_operations ll_aops = {
	.read_folio = ll_read_folio,
	.readahead = ll_readahead,
	.writepages = ll_write_back,
	.dirty_folio = filemap_dirty_folio,
	.invalidate_folio = ll_invalidate_folio,
	.release_folio = ll_release_folio,
};
