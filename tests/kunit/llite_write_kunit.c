// SPDX-License-Identifier: GPL-2.0-only
/* Writing: into the page cache, from there to the OSTs, and what is lost on the way. */
#include <linux/fadvise.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/uio.h>
#include <linux/writeback.h>

#include "tests/kunit/llite_fixture.h"
#include "tests/kunit/suites.h"

static struct llc_inode *make_file(struct kunit *test, u64 bytes, u32 seed)
{
	struct llc_inode *i = fake_make_file(fake.root, "file", bytes, seed);

	KUNIT_ASSERT_NOT_NULL(test, i);
	return i;
}

static struct file *open_new(struct kunit *test, struct llc_inode **i)
{
	struct file *file = open_ok(test, "file", O_RDWR | O_CREAT);

	*i = fake_find(fake.root, "file");
	KUNIT_ASSERT_NOT_NULL(test, *i);
	return file;
}

static u64 bytes_sent(void)
{
	u64 sum = 0;
	unsigned int k;

	for (k = 0; k < min_t(unsigned int, fake.writes_count, FAKE_WRITES_MAX); k++)
		sum += fake.writes[k].bytes;
	return sum;
}

/* What lies behind the end of the file is not sent. (That no write ends behind it, and that each
 * has its grant, is what the fake looks at.) */
static void partial_last_pages(struct kunit *test)
{
	static const u32 sizes[] = { 1, 4095, 4096, 4097, SZ_64K - 1, SZ_64K + 1, SZ_1M - 1, SZ_1M,
				     SZ_1M + 1, SZ_1M + 4095, 2 * SZ_1M + 3 };
	unsigned int s;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct llc_inode *i;
		struct file *file = open_new(test, &i);
		u64 before = bytes_sent();

		write_pattern(test, file, 0, sizes[s], s);
		KUNIT_EXPECT_EQ(test, fake_reserved(i), DIV_ROUND_UP(sizes[s], (u32)PAGE_SIZE));
		KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
		KUNIT_EXPECT_EQ(test, bytes_sent() - before, (u64)sizes[s]);
		KUNIT_EXPECT_EQ(test, i->server.size, (u64)sizes[s]);
		KUNIT_EXPECT_EQ(test, fake_reserved(i), 0u);
		expect_stored(test, i, 0, sizes[s], s);
		expect_stored_zeros(test, i, sizes[s], FAKE_FILE_BYTES - sizes[s]);
		expect_pattern(test, file, 0, sizes[s], s);
		KUNIT_EXPECT_EQ(test, close_file(test, file), 0);
		KUNIT_EXPECT_EQ(test, do_unlink(test, "file"), 0);
	}
}

/* A write of a part of a page keeps the rest of it, whether it is cached or not. */
static void the_rest_of_the_page_stays(struct kunit *test)
{
	static const struct {
		u32 pos, bytes;
	} parts[] = { { 0, 1 }, { 5, 100 }, { 4095, 2 }, { 4096, 4096 }, { 8192 - 3, 4096 + 6 },
		      { SZ_1M - 7, 20 }, { SZ_1M + 4000, 5000 } };
	const u32 size = SZ_1M + 9001;
	u8 *model = kvmalloc(size, GFP_KERNEL);
	struct llc_inode *i = make_file(test, size, 1);
	struct file *file = open_ok(test, "file", O_RDWR);
	unsigned int p;

	KUNIT_ASSERT_NOT_NULL(test, model);
	fake_pattern(model, 0, size, 1);
	for (p = 0; p < ARRAY_SIZE(parts); p++) {
		write_pattern(test, file, parts[p].pos, parts[p].bytes, p + 2);
		fake_pattern(model + parts[p].pos, parts[p].pos, parts[p].bytes, p + 2);
		if (p % 2) {
			KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
			KUNIT_EXPECT_EQ(test, invalidate_inode_pages2(file->f_mapping), 0);
		}
		KUNIT_EXPECT_EQ(test, read_at(file, 0, llite(test)->scratch, size + 1),
				(ssize_t)size);
		expect_same(test, llite(test)->scratch, model, size, 0);
	}
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	expect_same(test, fake_data(i), model, size, 0);
	kvfree(model);
}

/* The old content of a page that is written in part cannot be had: the write fails, and the page
 * is not taken for the file's. */
static void no_old_content_no_write(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 3 * PAGE_SIZE, 1);
	struct file *file = open_ok(test, "file", O_RDWR);

	fake_fail(FAKE_read, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, write_at(file, 10, "abc", 3), (ssize_t)-EIO);
	expect_pattern(test, file, 0, 3 * PAGE_SIZE, 1);
	KUNIT_EXPECT_EQ(test, invalidate_inode_pages2(file->f_mapping), 0);
	fake_fail(FAKE_read, 0, 1, -EAGAIN); /* given up: once more, B3 */
	KUNIT_EXPECT_EQ(test, write_at(file, 10, "abc", 3), (ssize_t)3);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	KUNIT_EXPECT_EQ(test, memcmp(fake_data(i) + 10, "abc", 3), 0);
	expect_stored(test, i, 13, 3 * PAGE_SIZE - 13, 1);
}

static void holes_are_zeros(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_new(test, &i);

	write_pattern(test, file, 0, 100, 1);
	write_pattern(test, file, 3 * PAGE_SIZE + 50, 10, 2);
	expect_zeros(test, file, 100, 3 * PAGE_SIZE - 50);
	expect_pattern(test, file, 3 * PAGE_SIZE + 50, 10, 2);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	expect_stored(test, i, 0, 100, 1);
	expect_stored_zeros(test, i, 100, 3 * PAGE_SIZE - 50);
	expect_stored(test, i, 3 * PAGE_SIZE + 50, 10, 2);
}

/* B3: what is under way at one time lies on one OST. The fake looks at each write. */
static void one_stripe_at_a_time(struct kunit *test)
{
	const u32 size = SZ_1M + 4321;
	struct llc_inode *i;
	struct file *file;

	fake.stripe_pages = 16;
	file = open_new(test, &i);
	write_pattern(test, file, 0, size, 3);
	KUNIT_EXPECT_EQ(test, filemap_write_and_wait_range(file->f_mapping, 5 * PAGE_SIZE,
							   40 * PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	KUNIT_EXPECT_GE(test, fake.writes_count, size / SZ_64K);
	expect_stored(test, i, 0, size, 3);
}

/* ---- without grant */

static void without_grant_it_is_written_at_once(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_new(test, &i);

	fake_fail(FAKE_reserve, 1, 1000, -EAGAIN);
	write_pattern(test, file, 100, 5 * PAGE_SIZE, 4);
	/* the first page was paid for */
	expect_stored(test, i, PAGE_SIZE, 4 * PAGE_SIZE + 100, 4);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 1u);
	expect_pattern(test, file, 100, 5 * PAGE_SIZE, 4);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	expect_stored(test, i, 100, 5 * PAGE_SIZE, 4);
}

/* A stream that has more dirty than it was promised goes on in large messages. */
static void a_stream_brings_its_grant(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_new(test, &i);

	fake.grant_pages = 300;
	write_pattern(test, file, 0, FAKE_FILE_BYTES, 4);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_write_through], 0u);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_write], FAKE_FILE_BYTES >> 20);
	expect_stored(test, i, 0, FAKE_FILE_BYTES, 4);
}

/* The error reaches the writer; what the cache shows is what the OST has. */
static void a_full_ost_tells_the_writer(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 2 * PAGE_SIZE, 5);
	struct file *file = open_ok(test, "file", O_RDWR);

	expect_pattern(test, file, 0, 2 * PAGE_SIZE, 5);
	fake_fail(FAKE_reserve, 0, 1000, -EAGAIN);
	fake_fail(FAKE_write_through, 0, 1, -ENOSPC);
	fake_pattern(llite(test)->scratch, 0, PAGE_SIZE, 6);
	KUNIT_EXPECT_EQ(test, write_at(file, 100, llite(test)->scratch, 50), (ssize_t)-ENOSPC);
	expect_pattern(test, file, 0, 2 * PAGE_SIZE, 5);
	/* Of two pages the second one: a short write. */
	fake_fail(FAKE_write_through, 1, 1000, -ENOSPC);
	KUNIT_EXPECT_EQ(test, write_at(file, 0, llite(test)->scratch, 2 * PAGE_SIZE),
			(ssize_t)PAGE_SIZE);
	expect_pattern(test, file, PAGE_SIZE, PAGE_SIZE, 5);
	fake_fail(FAKE_write_through, 0, 1, -ENOSPC);
	KUNIT_EXPECT_EQ(test, write_at(file, 2 * PAGE_SIZE, "x", 1), (ssize_t)-ENOSPC);
	expect_pattern(test, file, PAGE_SIZE, PAGE_SIZE, 5);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	KUNIT_EXPECT_EQ(test, i->server.size, (u64)(2 * PAGE_SIZE));
}

static void append_there(struct llc_inode *i)
{
	fake_other_writes(i, i->server.size, 100, 7);
}

/* B3: its OST was away, so that the scope ended early: an append is short, others may have
 * appended since; another write goes on. */
static void a_scope_that_ended_early(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 0, 0);
	struct file *file = open_ok(test, "file", O_RDWR), *append;
	ssize_t n;

	fake_fail(FAKE_reserve, 0, 1000, -EAGAIN);
	fake.narrow = true;
	write_pattern(test, file, 0, 3 * PAGE_SIZE, 7);
	expect_stored(test, i, 0, 3 * PAGE_SIZE, 7);
	append = open_ok(test, "file", O_WRONLY | O_APPEND);
	fake_before(FAKE_io_begin, 1, append_there);
	fake_pattern(llite(test)->scratch, 3 * PAGE_SIZE, 2 * PAGE_SIZE, 7);
	n = write_at(append, 0, llite(test)->scratch, 2 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, n, (ssize_t)PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_io_begin], fake.calls[FAKE_io_end]);
}

static void appends_go_to_the_end(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 1000, 7);
	struct file *file = open_ok(test, "file", O_RDWR | O_APPEND);
	loff_t pos = 5;

	fake_before(FAKE_io_begin, 0, append_there);
	fake_pattern(llite(test)->scratch, 1100, 5000, 7);
	KUNIT_EXPECT_EQ(test, kernel_write(file, llite(test)->scratch, 5000, &pos), (ssize_t)5000);
	KUNIT_EXPECT_EQ(test, pos, 6100ll);
	expect_pattern(test, file, 0, 6100, 7);
	fake_other_truncates(i, 10);
	fake_pattern(llite(test)->scratch, 10, 10, 7);
	KUNIT_EXPECT_EQ(test, kernel_write(file, llite(test)->scratch, 10, &pos), (ssize_t)10);
	KUNIT_EXPECT_EQ(test, pos, 20ll);
	expect_pattern(test, file, 0, 20, 7);
}

/* ---- limits */

/* The limit is that of the offset, and where the end is, another client decides. */
static void appends_have_the_users_limit(struct kunit *test)
{
	struct rlimit *limit = &current->signal->rlim[RLIMIT_FSIZE];
	unsigned long before = limit->rlim_cur;
	struct llc_inode *i = make_file(test, 1000, 7);
	struct file *file = open_ok(test, "file", O_RDWR | O_APPEND);

	limit->rlim_cur = 5000;
	fake_other_truncates(i, 4990);
	fake_pattern(llite(test)->scratch, 4990, 100, 7);
	KUNIT_EXPECT_EQ(test, write_at(file, 0, llite(test)->scratch, 100), (ssize_t)10);
	KUNIT_EXPECT_FALSE(test, signal_pending(current));
	KUNIT_EXPECT_EQ(test, write_at(file, 0, "abc", 3), (ssize_t)-EFBIG);
	fake_other_truncates(i, 100);
	KUNIT_EXPECT_EQ(test, vfs_truncate(&file->f_path, 5001), -EFBIG);
	KUNIT_EXPECT_EQ(test, vfs_truncate(&file->f_path, 5000), 0);
	limit->rlim_cur = before;
	flush_signals(current);
}

/* Fault 5 of issue 12: what no OST can store is told to the writer. */
static void too_far_is_efbig(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_new(test, &i);
	loff_t end = FAKE_FILE_BYTES;

	KUNIT_EXPECT_EQ(test, write_at(file, end, "abc", 3), (ssize_t)-EFBIG);
	KUNIT_EXPECT_EQ(test, write_at(file, end + SZ_1M, "abc", 3), (ssize_t)-EFBIG);
	KUNIT_EXPECT_EQ(test, write_at(file, 1ll << 45, "abc", 3), (ssize_t)-EFBIG);
	KUNIT_EXPECT_EQ(test, write_at(file, 1ll << 60, "abc", 3), (ssize_t)-EFBIG);
	KUNIT_EXPECT_EQ(test, i->known.size, 0ull);
	/* Across it: short. */
	KUNIT_EXPECT_EQ(test, write_at(file, end - 2, "abc", 3), (ssize_t)2);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	KUNIT_EXPECT_EQ(test, memcmp(fake_data(i) + end - 2, "ab", 2), 0);
	KUNIT_EXPECT_EQ(test, vfs_truncate(&file->f_path, end + 1), -EFBIG);
	KUNIT_EXPECT_EQ(test, vfs_truncate(&file->f_path, 1ll << 60), -EFBIG);
	KUNIT_EXPECT_EQ(test, i->known.size, (u64)end);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_io_begin], fake.calls[FAKE_io_end]);
}

static void no_blocks_are_reserved(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_new(test, &i);

	KUNIT_EXPECT_EQ(test, vfs_fallocate(file, 0, 0, SZ_1M), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, i->known.size, 0ull);
}

static void a_scope_that_fails_is_told(struct kunit *test)
{
	static const int errors[] = { -EIO, -ERESTARTSYS, -ERESTARTNOINTR, -ENOMEM };
	struct llc_inode *i;
	struct file *file = open_new(test, &i);
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(errors); k++) {
		fake_fail(FAKE_io_begin, 0, 1, errors[k]);
		KUNIT_EXPECT_EQ(test, write_at(file, 0, "abc", 3), (ssize_t)errors[k]);
		KUNIT_EXPECT_EQ(test, i->known.size, 0ull);
	}
	fake_pattern(llite(test)->scratch, 0, 2 * SZ_1M, 8);
	fake_fail(FAKE_io_begin, 1, 1, -ERESTARTNOINTR);
	KUNIT_EXPECT_EQ(test, write_at(file, 0, llite(test)->scratch, 2 * SZ_1M), (ssize_t)SZ_1M);
	expect_pattern(test, file, 0, SZ_1M, 8);
}

/* ---- what cannot be written */

/* fsync tells it to each open file once (A7), close tells what fsync has not. */
static void a_failed_write_back_is_told(struct kunit *test)
{
	struct llc_inode *i;
	struct file *a = open_new(test, &i), *b = open_ok(test, "file", O_RDWR), *c;

	write_pattern(test, a, 0, 100, 1);
	fake_fail(FAKE_write, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, fake_flush(i, 0, U64_MAX), -EIO);
	KUNIT_EXPECT_EQ(test, vfs_fsync(a, 0), -EIO);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_loss_was_told], 1u);
	KUNIT_EXPECT_EQ(test, vfs_fsync(a, 0), 0);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_loss_was_told], 1u);
	KUNIT_EXPECT_EQ(test, close_file(test, b), -EIO);
	KUNIT_EXPECT_EQ(test, close_file(test, a), 0);
	c = open_ok(test, "file", O_RDWR);
	KUNIT_EXPECT_EQ(test, vfs_fsync(c, 0), 0);
	write_pattern(test, c, 0, 100, 1);
	fake_fail(FAKE_write, 0, 1, -ENOSPC);
	KUNIT_EXPECT_EQ(test, vfs_fsync(c, 0), -ENOSPC);
	fake_fail(FAKE_fsync, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, vfs_fsync(c, 0), -EIO);
}

static void an_error_does_not_keep_others_from_being_written(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file;

	fake.stripe_pages = 4;
	file = open_new(test, &i);
	write_pattern(test, file, 0, 16 * PAGE_SIZE, 9);
	fake_fail(FAKE_write, 1, 1, -EIO);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), -EIO);
	expect_stored(test, i, 0, 4 * PAGE_SIZE, 9);
	expect_stored(test, i, 8 * PAGE_SIZE, 8 * PAGE_SIZE, 9);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 0u);
}

/* Evicted: what was not written is lost, who wrote it learns of it (A7), and what is there now is
 * read from the OST. */
static void what_is_discarded_is_told(struct kunit *test)
{
	struct llc_inode *i = make_file(test, SZ_64K, 10);
	struct file *file = open_ok(test, "file", O_RDWR);
	struct file *reader = open_ok(test, "file", O_RDONLY);

	write_pattern(test, file, 5000, 10000, 11);
	fake_lose_lock(i, 0, U64_MAX, true);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 0u);
	KUNIT_EXPECT_EQ(test, fake.writes_count, 0u);
	expect_pattern(test, reader, 0, SZ_64K, 10);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), -EIO);
	KUNIT_EXPECT_EQ(test, vfs_fsync(reader, 0), -EIO);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	/* Nothing dirty, nothing lost. */
	fake_lose_lock(i, 0, U64_MAX, true);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
}

/* The lock goes to another client: written first, dropped then. */
static void a_lost_lock_writes_back(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_new(test, &i);

	write_pattern(test, file, 0, 3 * PAGE_SIZE + 5, 12);
	fake_lose_lock(i, 0, U64_MAX, false);
	KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0ul);
	expect_stored(test, i, 0, 3 * PAGE_SIZE + 5, 12);
	fake_other_writes(i, 10, 10, 13);
	expect_pattern(test, file, 20, 3 * PAGE_SIZE - 15, 12);
	/* Of a part: the rest stays cached. */
	write_pattern(test, file, 0, 3 * PAGE_SIZE, 14);
	fake_lose_lock(i, PAGE_SIZE, U64_MAX, false);
	KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 1ul);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	expect_stored(test, i, 0, 3 * PAGE_SIZE, 14);
}

/* A page that cannot be written must not stay when its lock goes; fsync tells. */
static void a_lost_lock_leaves_nothing_behind(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 2 * PAGE_SIZE, 15);
	struct file *file = open_ok(test, "file", O_RDWR);

	write_pattern(test, file, 0, 100, 16);
	fake_fail(FAKE_write, 0, 1, -EIO);
	fake_lose_lock(i, 0, U64_MAX, false);
	KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0ul);
	expect_pattern(test, file, 0, 2 * PAGE_SIZE, 15);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), -EIO);
}

static void sync_writes_everything(struct kunit *test)
{
	struct super_block *sb = llite(test)->mnt->mnt_sb;
	struct llc_inode *i;
	struct file *file = open_new(test, &i);

	write_pattern(test, file, 0, 5000, 17);
	down_read(&sb->s_umount);
	KUNIT_EXPECT_EQ(test, sync_filesystem(sb), 0);
	up_read(&sb->s_umount);
	expect_stored(test, i, 0, 5000, 17);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_sync], 1u);
}

/* POSIX_FADV_DONTNEED and drop_caches: dirty pages are written, not dropped. */
static void dropping_caches_drops_nothing_dirty(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_new(test, &i);

	write_pattern(test, file, 0, 5000, 18);
	invalidate_mapping_pages(file->f_mapping, 0, -1);
	expect_pattern(test, file, 0, 5000, 18);
	KUNIT_EXPECT_EQ(test, vfs_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
	expect_pattern(test, file, 0, 5000, 18);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	expect_stored(test, i, 0, 5000, 18);
}

/* ---- truncation */

static void truncated_is_gone(struct kunit *test)
{
	static const u32 ends[] = { 0, 1, 4095, 4096, 4097, 3 * 4096, SZ_64K - 1 };
	struct llc_inode *i;
	struct file *file;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(ends); k++) {
		file = open_new(test, &i);
		write_pattern(test, file, 0, SZ_64K, 19);
		if (k % 2)
			KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
		KUNIT_EXPECT_EQ(test, vfs_truncate(&file->f_path, ends[k]), 0);
		KUNIT_EXPECT_EQ(test, i_size_read(file_inode(file)), (loff_t)ends[k]);
		expect_pattern(test, file, 0, ends[k], 19);
		/* What comes back is zeros. */
		KUNIT_EXPECT_EQ(test, vfs_truncate(&file->f_path, SZ_64K), 0);
		expect_zeros(test, file, ends[k], SZ_64K - ends[k]);
		KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
		expect_stored(test, i, 0, ends[k], 19);
		expect_stored_zeros(test, i, ends[k], SZ_64K - ends[k]);
		close_file(test, file);
		KUNIT_EXPECT_EQ(test, do_unlink(test, "file"), 0);
	}
}

/* Fault 3 of issue 12: a truncation that fails has changed nothing. */
static void a_failed_truncate_changes_nothing(struct kunit *test)
{
	static const int errors[] = { -EFBIG, -ENOMEM, -EIO, -ERESTARTNOINTR, -ENOENT };
	struct llc_inode *i;
	struct file *file = open_new(test, &i);
	unsigned int k;

	write_pattern(test, file, 0, 5005, 20);
	for (k = 0; k < ARRAY_SIZE(errors); k++) {
		fake_fail(FAKE_setattr, 0, 1, errors[k]);
		KUNIT_EXPECT_EQ(test, vfs_truncate(&file->f_path, k % 2 ? 3 : 70000), errors[k]);
		KUNIT_EXPECT_EQ(test, i_size_read(file_inode(file)), 5005ll);
		expect_pattern(test, file, 0, 5005, 20);
	}
	KUNIT_EXPECT_EQ(test, vfs_truncate(&file->f_path, 1ll << 45), -EFBIG);
	expect_pattern(test, file, 0, 5005, 20);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	expect_stored(test, i, 0, 5005, 20);
}

static struct kunit *reading_test;
static struct file *reading_file;

static void read_it(struct llc_inode *i)
{
	struct llite *l = llite(reading_test);

	KUNIT_EXPECT_EQ(reading_test, read_at(reading_file, 0, l->scratch, SZ_64K), (ssize_t)4097);
}

/* The host has dropped its pages, and the OSTs have not heard of it: what is read now must not come
 * back when the file grows again. */
static void a_read_in_the_middle_of_a_truncate(struct kunit *test)
{
	make_file(test, SZ_64K, 21);
	reading_test = test;
	reading_file = open_ok(test, "file", O_RDWR);
	expect_pattern(test, reading_file, 0, SZ_64K, 21);
	fake_before(FAKE_punch, 0, read_it);
	KUNIT_EXPECT_EQ(test, vfs_truncate(&reading_file->f_path, 4097), 0);
	KUNIT_EXPECT_EQ(test, vfs_truncate(&reading_file->f_path, 20000), 0);
	expect_zeros(test, reading_file, 4097, 20000 - 4097);
}

static void others_truncate_between_writes(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_new(test, &i);

	write_pattern(test, file, 0, SZ_64K, 22);
	fake_other_truncates(i, 10);
	write_pattern(test, file, 5000, 100, 22);
	expect_zeros(test, file, 10, 4990);
	expect_pattern(test, file, 5000, 100, 22);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	expect_stored(test, i, 0, 10, 22);
	expect_stored_zeros(test, i, 10, 4990);
	expect_stored(test, i, 5000, 100, 22);
	KUNIT_EXPECT_EQ(test, i->server.size, 5100ull);
}

/* Reads, writes, truncations and lost locks in a seeded order, against a model of one copy. */
static void a_long_story(struct kunit *test)
{
	u8 *model = kvzalloc(SZ_256K, GFP_KERNEL);
	struct llc_inode *i;
	struct file *file;
	u32 x = 4711, size = 0;
	unsigned int k;

	KUNIT_ASSERT_NOT_NULL(test, model);
	fake.stripe_pages = 16;
	file = open_new(test, &i);
	for (k = 0; k < 600; k++) {
		u32 what, pos, bytes;

		x = x * 1664525 + 1013904223;
		what = (x >> 12) % 10;
		pos = (x >> 16) % SZ_64K * 3;
		x = x * 1664525 + 1013904223;
		bytes = 1 + (x >> 10) % (k % 4 ? 5000 : SZ_64K - 1);
		if (what < 4) {
			fake_pattern(model + pos, pos, bytes, k);
			write_pattern(test, file, pos, bytes, k);
			size = max(size, pos + bytes);
		} else if (what == 4) {
			fake_other_writes(i, pos, bytes, k);
			fake_pattern(model + pos, pos, bytes, k);
			size = max(size, pos + bytes);
		} else if (what == 5) {
			KUNIT_ASSERT_EQ(test, vfs_truncate(&file->f_path, pos), 0);
			if (pos < size)
				memset(model + pos, 0, size - pos);
			size = pos;
		} else if (what == 6) {
			fake_lose_lock(i, pos & PAGE_MASK, U64_MAX, false);
		} else if (what == 7) {
			KUNIT_ASSERT_EQ(test, vfs_fsync(file, 0), 0);
			expect_same(test, fake_data(i), model, size, 0);
		}
		KUNIT_ASSERT_EQ(test, read_at(file, 0, llite(test)->scratch, SZ_256K),
				(ssize_t)size);
		expect_same(test, llite(test)->scratch, model, size, 0);
	}
	kvfree(model);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(partial_last_pages),
	KUNIT_CASE(the_rest_of_the_page_stays),
	KUNIT_CASE(no_old_content_no_write),
	KUNIT_CASE(holes_are_zeros),
	KUNIT_CASE(one_stripe_at_a_time),
	KUNIT_CASE(without_grant_it_is_written_at_once),
	KUNIT_CASE(a_stream_brings_its_grant),
	KUNIT_CASE(a_full_ost_tells_the_writer),
	KUNIT_CASE(a_scope_that_ended_early),
	KUNIT_CASE(appends_go_to_the_end),
	KUNIT_CASE(appends_have_the_users_limit),
	KUNIT_CASE(too_far_is_efbig),
	KUNIT_CASE(no_blocks_are_reserved),
	KUNIT_CASE(a_scope_that_fails_is_told),
	KUNIT_CASE(a_failed_write_back_is_told),
	KUNIT_CASE(an_error_does_not_keep_others_from_being_written),
	KUNIT_CASE(what_is_discarded_is_told),
	KUNIT_CASE(a_lost_lock_writes_back),
	KUNIT_CASE(a_lost_lock_leaves_nothing_behind),
	KUNIT_CASE(sync_writes_everything),
	KUNIT_CASE(dropping_caches_drops_nothing_dirty),
	KUNIT_CASE(truncated_is_gone),
	KUNIT_CASE(a_failed_truncate_changes_nothing),
	KUNIT_CASE(a_read_in_the_middle_of_a_truncate),
	KUNIT_CASE(others_truncate_between_writes),
	KUNIT_CASE(a_long_story),
	{}
};

struct kunit_suite llite_write_suite = {
	.name = "lull_llite_write",
	.init = llite_kunit_init,
	.exit = llite_kunit_exit,
	.test_cases = cases,
};
