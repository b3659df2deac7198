// SPDX-License-Identifier: GPL-2.0-only
/* What the core asks of its host: see llite/llite_port.h. */
#include <linux/mm.h>
#include <linux/writeback.h>

#include "llite/linux/glue.h"

#define DROP_TRIES 100

bool llp_get(struct llp_inode *host)
{
	return igrab(ll_vfs(host)) != NULL;
}

void llp_put(struct llp_inode *host)
{
	iput(ll_vfs(host));
}

int llp_flush(struct llp_inode *host, uint64_t start, uint64_t end)
{
	return filemap_write_and_wait_range(ll_vfs(host)->i_mapping, start,
					    min_t(u64, end, LLONG_MAX));
}

/* Who has written what is lost learns of it from fsync and close. */
static bool discard_pages(struct address_space *mapping, pgoff_t first, pgoff_t last)
{
	loff_t end = last >= LLONG_MAX >> PAGE_SHIFT ? -1 : ((loff_t)(last + 1) << PAGE_SHIFT) - 1;
	unsigned long index = first;
	bool lost;

	/* First, so that the dirty bits of mappings are seen, too. */
	unmap_mapping_pages(mapping, first, last - first + 1, false);
	lost = xa_find(&mapping->i_pages, &index, last, PAGECACHE_TAG_DIRTY);
	if (lost)
		mapping_set_error(mapping, -EIO);
	truncate_inode_pages_range(mapping, (loff_t)first << PAGE_SHIFT, end);
	return lost;
}

bool llp_drop(struct llp_inode *host, uint64_t start, uint64_t end, bool discard)
{
	struct address_space *mapping = ll_vfs(host)->i_mapping;
	pgoff_t first = start >> PAGE_SHIFT, last = min_t(u64, end, LLONG_MAX) >> PAGE_SHIFT;
	int tries;

	/*
	 * A mapping may dirty a page between write-back and here; the lock is no longer given out,
	 * so this ends.
	 */
	for (tries = 0; !discard && tries < DROP_TRIES; tries++) {
		if (!invalidate_inode_pages2_range(mapping, first, last))
			return false;
		filemap_write_and_wait_range(mapping, start, min_t(u64, end, LLONG_MAX));
	}
	if (!discard)
		pr_err("Lull: inode %lu: pages %lu-%lu could not be written and are dropped\n",
		       ll_vfs(host)->i_ino, first, last);
	return discard_pages(mapping, first, last);
}

uint64_t llp_next_cached(struct llp_inode *host, uint64_t pos)
{
	unsigned long index = pos >> PAGE_SHIFT;

	return xa_find(&ll_vfs(host)->i_mapping->i_pages, &index, ULONG_MAX, XA_PRESENT) ?
		       max_t(u64, pos, (u64)index << PAGE_SHIFT) : U64_MAX;
}

void llp_set_size(struct llp_inode *host, uint64_t size)
{
	struct inode *inode = ll_vfs(host);
	bool shorter = size < ll_size(inode);

	if (!shorter)
		ll_zero_tail(inode);
	/* Nobody's older copy of the core's size may come after it. (Pages are locked first.) */
	mutex_lock(&ll_i(inode)->size_lock);
	WRITE_ONCE(ll_i(inode)->size, size);
	i_size_write(inode, size);
	mutex_unlock(&ll_i(inode)->size_lock);
	if (shorter)
		truncate_pagecache(inode, size);
}

void llp_size_lost(struct llp_inode *host)
{
	ll_copy_size(ll_vfs(host));
}

void llp_invalidate_dentries(struct llp_inode *host)
{
	/* Epochs keep them from being believed; unused ones age on the dentry LRU. */
}
