// SPDX-License-Identifier: GPL-2.0-only
/* The fake core's files: I/O scopes, grant, and one copy of the data for all OSTs. */
#include <linux/debug_locks.h>
#include <linux/mm.h>

#include "tests/kunit/fake_inside.h"

void fake_pattern(u8 *to, u64 pos, size_t bytes, u32 seed)
{
	size_t k;

	for (k = 0; k < bytes; k++) {
		u32 x = ((u32)(pos + k) ^ seed * 2654435761u) * 2246822519u;

		to[k] = x >> 24 ^ x >> 13;
	}
}

unsigned int fake_reserved(struct llc_inode *i)
{
	unsigned int k, sum = 0;

	for (k = 0; k < FAKE_FILE_PAGES; k++)
		sum += i->reserved[k];
	return sum;
}

/* ---- what other clients do */

int fake_flush(struct llc_inode *i, u64 start, u64 end)
{
	struct llp_inode *host = fake_host(i);
	int err = host ? llp_flush(host, start, end) : 0;

	if (host)
		llp_put(host);
	return err;
}

void fake_lose_lock(struct llc_inode *i, u64 start, u64 end, bool discard)
{
	struct llp_inode *host = fake_host(i);
	u64 left;

	down_write(&i->scope);
	if (host) {
		if (!discard)
			(void)llp_flush(host, start, end);
		llp_drop(host, start, end, discard);
		left = llp_next_cached(host, start & PAGE_MASK);
		FAKE_EXPECT(left > end || left == U64_MAX,
			    "a page is left at %llu when the lock is lost", left);
	}
	if (!start) {
		i->size_valid = i->known.size_known = false;
		if (host)
			llp_size_lost(host);
	}
	up_write(&i->scope);
	if (host)
		llp_put(host);
}

void fake_other_writes(struct llc_inode *i, u64 pos, size_t bytes, u32 seed)
{
	/* Ours reaches the end of the file, as the other's does. */
	fake_lose_lock(i, 0, U64_MAX, false);
	fake_pattern(fake_data(i) + pos, pos, bytes, seed);
	i->server.size = max_t(u64, i->server.size, pos + bytes);
}

void fake_other_truncates(struct llc_inode *i, u64 size)
{
	fake_lose_lock(i, 0, U64_MAX, false);
	memset(fake_data(i) + size, 0, FAKE_FILE_BYTES - size);
	i->server.size = size;
}

/* ---- scopes */

static unsigned int given_up;

/* Is this task in a scope? Lockdep knows, until it has found something. */
static bool holds_scope(struct llc_inode *i, bool if_unknown)
{
	return debug_locks ? lockdep_is_held(&i->scope) : if_unknown;
}

int llc_io_begin(struct llc_inode *i, uint64_t pos, uint64_t end, unsigned int mode,
		 struct llc_io *io)
{
	unsigned int kind = mode & ~LLC_IO_NOINTR;
	int err = fake_enter(FAKE_io_begin, i);

	fake.last_io_mode = mode;
	if (err)
		return err;
	FAKE_EXPECT(!offset_in_page(pos) && (end == U64_MAX || !offset_in_page(end + 1)),
		    "a scope of %llu-%llu is not of whole pages", pos, end);
	FAKE_EXPECT(!holds_scope(i, false), "scopes of one task inside each other");
	down_read(&i->scope);
	spin_lock(&fake_lock);
	fake_refresh_size(i);
	i->write_scopes += kind != LLC_IO_READ;
	spin_unlock(&fake_lock);
	io->opaque[0] = (void *)(unsigned long)kind;
	io->opaque[1] = (void *)(unsigned long)given_up;
	io->size = i->known.size;
	io->max_bytes = FAKE_FILE_BYTES;
	return 0;
}

bool llc_io_end(struct llc_inode *i, struct llc_io *io)
{
	spin_lock(&fake_lock);
	i->write_scopes -= (unsigned long)io->opaque[0] != LLC_IO_READ;
	spin_unlock(&fake_lock);
	up_read(&i->scope);
	fake_enter(FAKE_io_end, i);
	FAKE_EXPECT(refcount_read(&i->refs) > 1, "the inode is put before its scope has ended");
	return (unsigned long)io->opaque[1] != given_up;
}

/* ---- grant */

int llc_bring_grant(struct llc_inode *i, uint64_t pos, uint64_t bytes, unsigned int mode)
{
	unsigned int have = fake_reserved(i);
	int err = fake_enter(FAKE_bring_grant, i);

	FAKE_EXPECT(!holds_scope(i, false), "grant is waited for inside a scope");
	if (err || !have)
		return err;
	if (fake_will_fail(FAKE_reserve) ||
	    (fake.grant_pages && have + (bytes >> PAGE_SHIFT) > fake.grant_pages))
		(void)fake_flush(i, 0, U64_MAX);
	return 0;
}

int llc_reserve_page(struct llc_inode *i, uint64_t page_index)
{
	int err = fake_enter(FAKE_reserve, i);
	unsigned int times;

	if (err)
		return err;
	if (fake.grant_pages && fake_reserved(i) >= fake.grant_pages)
		return -EAGAIN;
	FAKE_EXPECT(i->write_scopes, "grant is reserved outside of a write scope");
	FAKE_EXPECT(page_index < FAKE_FILE_PAGES, "grant for page %llu", page_index);
	if (page_index >= FAKE_FILE_PAGES)
		return -EIO;
	spin_lock(&fake_lock);
	times = ++i->reserved[page_index];
	spin_unlock(&fake_lock);
	FAKE_EXPECT(times <= 1u + fake.many_tasks, "page %llu is reserved %u times", page_index,
		    times);
	return 0;
}

void llc_unreserve_page(struct llc_inode *i, uint64_t page_index)
{
	bool was;

	spin_lock(&fake_lock);
	was = i->reserved[page_index];
	i->reserved[page_index] -= was;
	spin_unlock(&fake_lock);
	FAKE_EXPECT(was, "page %llu was not reserved", page_index);
}

/* Takes `granted` reservations off, of the pages from this one on. */
static void use_grant(struct llc_inode *i, u64 first, u64 pages, u32 granted)
{
	u32 left = granted;
	bool forgotten = false;
	u64 p;

	spin_lock(&fake_lock);
	for (p = first; p < FAKE_FILE_PAGES && (left || p < first + pages); p++) {
		if (i->reserved[p] && left) {
			i->reserved[p]--;
			left--;
		}
		forgotten |= i->reserved[p] && p < first + pages;
	}
	spin_unlock(&fake_lock);
	FAKE_EXPECT(!left, "%u of %u granted pages were not reserved", left, granted);
	FAKE_EXPECT(!forgotten || fake.many_tasks, "a reserved page goes without its grant");
}

/* ---- data */

void llc_wrote(struct llc_inode *i, uint64_t pos, uint64_t bytes)
{
	FAKE_EXPECT(i->write_scopes, "something is written outside of a write scope");
	spin_lock(&fake_lock);
	i->known.size = max_t(u64, i->known.size, pos + bytes);
	spin_unlock(&fake_lock);
}

int64_t llc_read(struct llc_inode *i, uint64_t pos, void *buf, size_t bytes)
{
	int err = fake_enter(FAKE_read, i);
	u64 size = i->known.size, valid = pos < size ? min_t(u64, size - pos, bytes) : 0;

	FAKE_EXPECT(holds_scope(i, true), "%zu bytes are read outside of a scope", bytes);
	if (err == -EAGAIN)
		given_up++;
	if (err)
		return err;
	if (valid)
		memcpy(buf, fake_data(i) + pos, valid);
	memset(buf + valid, 0, bytes - valid);
	return valid;
}

static int store(struct llc_inode *i, u64 pos, const void *buf, size_t bytes)
{
	FAKE_EXPECT(bytes && pos + bytes <= FAKE_FILE_BYTES, "%zu bytes are written at %llu", bytes,
		    pos);
	if (pos + bytes > FAKE_FILE_BYTES)
		return -EIO;
	memcpy(fake_data(i) + pos, buf, bytes);
	spin_lock(&fake_lock);
	i->server.size = max_t(u64, i->server.size, pos + bytes);
	if (fake.writes_count < FAKE_WRITES_MAX)
		fake.writes[fake.writes_count] = (struct fake_write){ i, pos, bytes, 0 };
	fake.writes_count++;
	spin_unlock(&fake_lock);
	return 0;
}

static void check_write(struct llc_inode *i, u64 pos, size_t bytes, u32 granted)
{
	u64 first = pos >> PAGE_SHIFT, last = (pos + bytes - 1) >> PAGE_SHIFT;

	FAKE_EXPECT(pos + bytes <= i->known.size, "%llu-%llu is written, the size is %llu", pos,
		    pos + bytes, i->known.size);
	FAKE_EXPECT(last <= llc_last_page_beside(i, first), "%zu bytes at %llu: of two OSTs", bytes,
		    pos);
	FAKE_EXPECT(!granted || granted == last - first + 1, "%u of %llu pages were reserved",
		    granted, last - first + 1);
}

int llc_write(struct llc_inode *i, uint64_t pos, const void *buf, size_t bytes,
	      uint32_t granted_pages)
{
	int err = fake_enter(FAKE_write, i);

	check_write(i, pos, bytes, granted_pages);
	use_grant(i, pos >> PAGE_SHIFT, DIV_ROUND_UP(offset_in_page(pos) + bytes, PAGE_SIZE),
		  granted_pages);
	return err ?: store(i, pos, buf, bytes);
}

int llc_write_through(struct llc_inode *i, struct llc_io *io, uint64_t pos, const void *buf,
		      size_t bytes)
{
	int err = fake_enter(FAKE_write_through, i);

	FAKE_EXPECT(i->write_scopes, "written through outside of a write scope");
	FAKE_EXPECT(offset_in_page(pos) + bytes <= PAGE_SIZE, "more than a page written through");
	err = err ?: store(i, pos, buf, bytes);
	return err ?: fake.narrow;
}

uint64_t llc_last_page_beside(struct llc_inode *i, uint64_t page_index)
{
	if (!fake.stripe_pages)
		return U64_MAX;
	return page_index - page_index % fake.stripe_pages + fake.stripe_pages - 1;
}

int llc_fsync(struct llc_inode *i, bool data_only)
{
	return fake_enter(FAKE_fsync, i);
}
