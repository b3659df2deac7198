// SPDX-License-Identifier: GPL-2.0-only
/* Reading through the page cache: read(2), readahead, sendfile(2). */
#include <linux/fadvise.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/splice.h>
#include <linux/uio.h>

#include "tests/kunit/llite_fixture.h"
#include "tests/kunit/suites.h"

static struct llc_inode *make_file(struct kunit *test, u64 bytes, u32 seed)
{
	struct llc_inode *i = fake_make_file(fake.root, "file", bytes, seed);

	KUNIT_ASSERT_NOT_NULL(test, i);
	return i;
}

/* A file that nothing is cached of, with this readahead window. */
static struct file *open_cold(struct kunit *test, unsigned int ra_pages)
{
	struct file *file = open_ok(test, "file", O_RDONLY);

	KUNIT_EXPECT_EQ(test, invalidate_inode_pages2(file->f_mapping), 0);
	file->f_ra.ra_pages = ra_pages;
	return file;
}

/* From pos to the end in pieces; every byte is compared. */
static void read_whole(struct kunit *test, struct file *file, loff_t pos, u64 size, size_t piece,
		       u32 seed)
{
	struct llite *l = llite(test);
	loff_t at = pos;
	ssize_t n;

	while ((n = read_at(file, at, l->scratch + at, piece)) > 0)
		at += n;
	KUNIT_EXPECT_EQ(test, n, (ssize_t)0);
	KUNIT_EXPECT_EQ(test, (u64)at, size);
	fake_pattern(l->expected, pos, size - pos, seed);
	expect_same(test, l->scratch + pos, l->expected, size - pos, pos);
}

/* Fault 1 of issue 12 was one of these: from the second megabyte of one window on, each page held
 * the one before it. */
static void every_window_and_size(struct kunit *test)
{
	static const unsigned int windows[] = { 0, 1, 3, 32, 255, 256, 257, 511, 512 };
	static const u32 sizes[] = { 1, 4095, 4096, 4097, SZ_1M - 4097, SZ_1M - 1, SZ_1M,
				     SZ_1M + 1, SZ_1M + 4096, 2 * SZ_1M - 1, 2 * SZ_1M + 4097 };
	unsigned int w, s;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		make_file(test, sizes[s], s);
		for (w = 0; w < ARRAY_SIZE(windows); w++) {
			struct file *file = open_cold(test, windows[w]);
			size_t piece = windows[w] < 256 ? SZ_128K : SZ_1M; /* one window */

			read_whole(test, file, 0, sizes[s], piece, s);
			close_file(test, file);
		}
		fake_remove(fake.root, "file");
	}
}

static void every_piece(struct kunit *test)
{
	static const size_t pieces[] = { 511, 4095, 4096, 4097, SZ_64K, SZ_1M - 1, SZ_1M,
					 SZ_1M + 1, 3 * SZ_1M };
	const u64 size = 2 * SZ_1M + 12345;
	unsigned int p;

	make_file(test, size, 5);
	for (p = 0; p < ARRAY_SIZE(pieces); p++) {
		struct file *file = open_cold(test, p % 2 ? 256 : 512);

		/* odd beginnings, too */
		read_whole(test, file, p * 1023, size, pieces[p], 5);
		close_file(test, file);
	}
}

/* Windows that begin anywhere, and meet pages that are there already. */
static void here_and_there(struct kunit *test)
{
	const u64 size = 3 * SZ_1M + 77;
	u32 x = 12345;
	unsigned int k;
	struct file *file;

	make_file(test, size, 6);
	file = open_cold(test, 512);
	for (k = 0; k < 300; k++) {
		loff_t pos;
		size_t bytes;

		x = x * 1664525 + 1013904223;
		pos = (x >> 8) % size;
		x = x * 1664525 + 1013904223;
		bytes = min_t(u64, 1 + (x >> 8) % (k % 3 ? 9000 : 700000), size - pos);
		KUNIT_ASSERT_EQ(test, read_at(file, pos, llite(test)->scratch, bytes),
				(ssize_t)bytes);
		fake_pattern(llite(test)->expected, pos, bytes, 6);
		expect_same(test, llite(test)->scratch, llite(test)->expected, bytes, pos);
		if (k % 50 == 49)
			invalidate_mapping_pages(file->f_mapping, x % 100, 100 + x % 500);
	}
}

static void advice_changes_no_byte(struct kunit *test)
{
	const u64 size = 3 * SZ_1M + 4001;
	struct file *file;

	make_file(test, size, 7);
	file = open_cold(test, 256);
	KUNIT_EXPECT_EQ(test, vfs_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
	KUNIT_EXPECT_EQ(test, file->f_ra.ra_pages, 512u);
	read_whole(test, file, 0, size, SZ_128K, 7);
	KUNIT_EXPECT_EQ(test, vfs_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
	KUNIT_EXPECT_EQ(test, vfs_fadvise(file, 4097, size, POSIX_FADV_WILLNEED), 0);
	read_whole(test, file, 0, size, SZ_1M, 7);
	KUNIT_EXPECT_EQ(test, vfs_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
	KUNIT_EXPECT_EQ(test, vfs_fadvise(file, 0, 0, POSIX_FADV_RANDOM), 0);
	read_whole(test, file, 0, size, SZ_64K + 1, 7);
}

/* A read that fails leaves nothing behind that the next one could take for data. */
static void what_failed_is_read_again(struct kunit *test)
{
	static const int errors[] = { -EIO, -ENOMEM, -ERESTARTNOINTR };
	const u64 size = 2 * SZ_1M + 5;
	unsigned int k, skip;

	make_file(test, size, 8);
	for (k = 0; k < ARRAY_SIZE(errors); k++)
		for (skip = 0; skip < 3; skip++) {
			struct file *file = open_cold(test, 256);
			u8 *to = llite(test)->scratch;
			ssize_t n;

			fake_fail(FAKE_read, skip, 1000, errors[k]);
			n = read_at(file, 0, to, size);
			/* Nothing, and the reason; or what was there before it. */
			if (n >= 0) {
				fake_pattern(llite(test)->expected, 0, n, 8);
				expect_same(test, to, llite(test)->expected, n, 0);
				KUNIT_EXPECT_TRUE(test, n > 0 && n < size);
				n = read_at(file, n, to, SZ_64K);
			}
			KUNIT_EXPECT_EQ(test, n, (ssize_t)errors[k]);
			fake_fail(FAKE_read, 0, 0, 0);
			read_whole(test, file, 0, size, SZ_128K, 8);
			close_file(test, file);
		}
}

/* B3: given up since another OST's drain may wait for the scope; done again in a new one. */
static void what_was_given_up_is_done_again(struct kunit *test)
{
	const u64 size = SZ_1M + 5000;
	unsigned int skip, scopes;

	make_file(test, size, 9);
	for (skip = 0; skip < 3; skip++) {
		struct file *file = open_cold(test, 64);

		scopes = fake.calls[FAKE_io_begin];
		/* of the window, and then of the page alone */
		fake_fail(FAKE_read, skip, 2, -EAGAIN);
		expect_pattern(test, file, 0, size, 9);
		KUNIT_EXPECT_GT(test, fake.calls[FAKE_io_begin], scopes + 1);
		KUNIT_EXPECT_EQ(test, fake.calls[FAKE_io_begin], fake.calls[FAKE_io_end]);
		close_file(test, file);
	}
}

static void errors_of_the_scope_are_told(struct kunit *test)
{
	static const int errors[] = { -EIO, -ERESTARTSYS, -ERESTARTNOINTR, -ENOMEM };
	struct file *file;
	unsigned int k;

	make_file(test, 2 * SZ_1M, 10);
	file = open_cold(test, 256);
	for (k = 0; k < ARRAY_SIZE(errors); k++) {
		fake_fail(FAKE_io_begin, 0, 1, errors[k]);
		KUNIT_EXPECT_EQ(test, read_at(file, 0, llite(test)->scratch, 10),
				(ssize_t)errors[k]);
		/* Only before anything was done. */
		fake_fail(FAKE_io_begin, 1, 1, errors[k]);
		KUNIT_EXPECT_EQ(test, read_at(file, 0, llite(test)->scratch, 2 * SZ_1M),
				(ssize_t)SZ_1M);
	}
	/* A7: what was written here, and lost, may be younger than what was read. */
	fake_fail(FAKE_intact, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, read_at(file, 0, llite(test)->scratch, 10), (ssize_t)-EIO);
	fake_fail(FAKE_intact, 1, 1, -EIO);
	KUNIT_EXPECT_EQ(test, read_at(file, 0, llite(test)->scratch, 2 * SZ_1M), (ssize_t)SZ_1M);
	expect_pattern(test, file, 0, 2 * SZ_1M, 10);
}

static void other_writes_the_second_part(struct llc_inode *i)
{
	fake_other_writes(i, SZ_1M, SZ_1M + 9, 12);
}

/* Between two scopes of one read another client writes: each part is of one time. */
static void others_writes_are_seen(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 2 * SZ_1M, 11);
	struct file *file = open_cold(test, 512);
	u8 *got = llite(test)->scratch, *want = llite(test)->expected;

	expect_pattern(test, file, 0, 2 * SZ_1M, 11);
	fake_before(FAKE_io_begin, 1, other_writes_the_second_part);
	KUNIT_EXPECT_EQ(test, read_at(file, 0, got, 3 * SZ_1M), (ssize_t)(2 * SZ_1M + 9));
	fake_pattern(want, 0, SZ_1M, 11);
	fake_pattern(want + SZ_1M, SZ_1M, SZ_1M + 9, 12);
	expect_same(test, got, want, 2 * SZ_1M + 9, 0);
	fake_other_writes(i, 100, 200, 13);
	expect_pattern(test, file, 2 * SZ_1M, 9, 12);
	KUNIT_EXPECT_EQ(test, read_at(file, 100, got, 200), (ssize_t)200);
	fake_pattern(want, 100, 200, 13);
	expect_same(test, got, want, 200, 100);
	fake_other_truncates(i, 150);
	KUNIT_EXPECT_EQ(test, read_at(file, 100, got, 200), (ssize_t)50);
	expect_same(test, got, want, 50, 100);
	KUNIT_EXPECT_EQ(test, read_at(file, 150, got, 200), (ssize_t)0);
	fake_other_truncates(i, 0);
	fake_other_writes(i, 5000, 1, 14);
	expect_zeros(test, file, 0, 5000);
	expect_pattern(test, file, 5000, 1, 14);
}

/* Evicted while a scope is open: what it has read is not believed afterwards. */
static void evict(struct llc_inode *i)
{
	struct llp_inode *host = i->host;

	llp_drop(host, 0, U64_MAX, true);
	fake_pattern(fake_data(i), 0, SZ_64K, 16);
}

static void an_eviction_drops_what_was_read(struct kunit *test)
{
	struct file *file;

	make_file(test, SZ_64K, 15);
	file = open_cold(test, 256);
	fake_before(FAKE_io_end, 0, evict);
	KUNIT_EXPECT_EQ(test, read_at(file, 0, llite(test)->scratch, SZ_64K), (ssize_t)SZ_64K);
	expect_pattern(test, file, 0, SZ_64K, 16);
}

static void the_end_is_asked_for(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 1000, 17);
	struct file *file = open_cold(test, 256);

	KUNIT_EXPECT_EQ(test, vfs_llseek(file, 0, SEEK_END), 1000ll);
	fake_other_writes(i, 1000, 500, 17);
	KUNIT_EXPECT_EQ(test, vfs_llseek(file, -1, SEEK_END), 1499ll);
	KUNIT_EXPECT_EQ(test, vfs_llseek(file, 0, SEEK_HOLE), 1500ll);
	KUNIT_EXPECT_EQ(test, vfs_llseek(file, 7, SEEK_DATA), 7ll);
	KUNIT_EXPECT_EQ(test, vfs_llseek(file, 1500, SEEK_DATA), (loff_t)-ENXIO);
	KUNIT_EXPECT_EQ(test, vfs_llseek(file, FAKE_FILE_BYTES, SEEK_SET), (loff_t)FAKE_FILE_BYTES);
	KUNIT_EXPECT_EQ(test, vfs_llseek(file, FAKE_FILE_BYTES + 1ll, SEEK_SET), (loff_t)-EINVAL);
	fake_fail(FAKE_revalidate, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, vfs_llseek(file, 0, SEEK_END), (loff_t)-EIO);
	expect_pattern(test, file, 0, 1500, 17);
}

static void nothing_is_there_to_read(struct kunit *test)
{
	struct file *file;
	loff_t pos = 0;

	make_file(test, 0, 0);
	file = open_cold(test, 256);
	KUNIT_EXPECT_EQ(test, read_at(file, 0, llite(test)->scratch, 10), (ssize_t)0);
	KUNIT_EXPECT_EQ(test, read_at(file, 5000, llite(test)->scratch, 10), (ssize_t)0);
	KUNIT_EXPECT_EQ(test, kernel_read(file, llite(test)->scratch, 0, &pos), (ssize_t)0);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_read], 0u);
}

/* ---- sendfile */

static struct file *memory_file(struct kunit *test)
{
	struct file *out = shmem_file_setup("lull_kunit", SCRATCH_BYTES, 0);

	KUNIT_ASSERT_FALSE(test, IS_ERR(out));
	return out;
}

/* As much as goes at once is more than the pipe between holds. */
static ssize_t send_all(struct file *in, loff_t pos, struct file *out, size_t piece)
{
	loff_t to = 0;
	long n;

	while ((n = do_splice_direct(in, &pos, out, &to, piece, 0)) > 0)
		;
	return n < 0 ? n : to;
}

/* The VFS asks nobody how long the file is before it cuts the copy short. */
static void copies_see_what_others_wrote(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 10, 1);
	struct file *from = open_cold(test, 32), *to;

	to = open_ok(test, "copy", O_RDWR | O_CREAT);
	expect_pattern(test, from, 0, 10, 1);
	fake_other_writes(i, 0, SZ_64K, 7);
	KUNIT_EXPECT_EQ(test, vfs_copy_file_range(from, 0, to, 0, SZ_128K, 0), (ssize_t)SZ_64K);
	expect_pattern(test, to, 0, SZ_64K, 7);
	fake_other_truncates(i, 100);
	KUNIT_EXPECT_EQ(test, vfs_copy_file_range(from, 50, to, 0, SZ_128K, 0), (ssize_t)50);
	KUNIT_EXPECT_EQ(test, vfs_copy_file_range(from, 100, to, 0, SZ_128K, 0), (ssize_t)0);
	KUNIT_EXPECT_EQ(test, i_size_read(file_inode(from)), 100ll);
}

static void sendfile_sends_every_byte(struct kunit *test)
{
	static const size_t pieces[] = { 4096, 100001, SZ_64K, SZ_1M, 4 * SZ_1M };
	const u64 size = 2 * SZ_1M + 1234;
	unsigned int p;

	make_file(test, size, 18);
	for (p = 0; p < ARRAY_SIZE(pieces); p++) {
		struct file *in = open_cold(test, 512), *out = memory_file(test);
		loff_t from = p * 777;

		KUNIT_EXPECT_EQ(test, send_all(in, from, out, pieces[p]), (ssize_t)(size - from));
		KUNIT_EXPECT_EQ(test, read_at(out, 0, llite(test)->scratch, size - from),
				(ssize_t)(size - from));
		fake_pattern(llite(test)->expected, from, size - from, 18);
		expect_same(test, llite(test)->scratch, llite(test)->expected, size - from, 0);
		KUNIT_EXPECT_EQ(test, fake.calls[FAKE_io_begin], fake.calls[FAKE_io_end]);
		fput(out);
		close_file(test, in);
	}
}

static void sendfile_into_a_file_here(struct kunit *test)
{
	const u64 size = SZ_1M + 4321;
	struct file *in, *out;

	make_file(test, size, 19);
	in = open_cold(test, 256);
	out = open_ok(test, "copy", O_RDWR | O_CREAT);
	KUNIT_EXPECT_EQ(test, send_all(in, 0, out, SZ_1M), (ssize_t)size);
	expect_pattern(test, out, 0, size, 19);
	KUNIT_EXPECT_EQ(test, vfs_fsync(out, 0), 0);
	expect_stored(test, fake_find(fake.root, "copy"), 0, size, 19);
	KUNIT_EXPECT_EQ(test, vfs_copy_file_range(in, 10, out, 0, SZ_64K, 0), (ssize_t)SZ_64K);
}

static void sendfile_tells_errors(struct kunit *test)
{
	struct file *in, *out = memory_file(test);
	loff_t pos = 0, to = 0;

	make_file(test, SZ_1M, 20);
	in = open_cold(test, 16);
	fake_fail(FAKE_io_begin, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, do_splice_direct(in, &pos, out, &to, SZ_64K, 0), (long)-EIO);
	fake_fail(FAKE_read, 0, 1000, -EIO);
	KUNIT_EXPECT_EQ(test, do_splice_direct(in, &pos, out, &to, SZ_64K, 0), (long)-EIO);
	fake_fail(FAKE_read, 0, 0, 0);
	KUNIT_EXPECT_EQ(test, pos, 0ll);
	KUNIT_EXPECT_EQ(test, send_all(in, 0, out, SZ_1M), (ssize_t)SZ_1M);
	fput(out);
}

/* It ends, with what was sent so far or the signal; it does not spin on a full pipe. */
static void a_kill_ends_sendfile(struct kunit *test)
{
	struct file *in, *out = memory_file(test);
	loff_t pos = 0, to = 0;
	long n;

	make_file(test, 2 * SZ_1M, 21);
	in = open_cold(test, 256);
	allow_signal(SIGKILL);
	send_sig(SIGKILL, current, 1);
	KUNIT_EXPECT_TRUE(test, fatal_signal_pending(current));
	n = do_splice_direct(in, &pos, out, &to, 2 * SZ_1M, 0);
	flush_signals(current);
	disallow_signal(SIGKILL);
	KUNIT_EXPECT_LT(test, n, (long)(2 * SZ_1M));
	KUNIT_EXPECT_EQ(test, pos, n > 0 ? (loff_t)n : 0ll);
	KUNIT_EXPECT_EQ(test, send_all(in, 0, out, SZ_1M), (ssize_t)(2 * SZ_1M));
	fput(out);
}

static void a_kill_ends_a_read(struct kunit *test)
{
	struct file *file;
	ssize_t n;

	make_file(test, 3 * SZ_1M, 22);
	file = open_cold(test, 256);
	allow_signal(SIGKILL);
	send_sig(SIGKILL, current, 1);
	n = read_at(file, 0, llite(test)->scratch, 3 * SZ_1M);
	flush_signals(current);
	disallow_signal(SIGKILL);
	KUNIT_EXPECT_LT(test, n, (ssize_t)(3 * SZ_1M));
	expect_pattern(test, file, 0, 3 * SZ_1M, 22);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(every_window_and_size),
	KUNIT_CASE(every_piece),
	KUNIT_CASE(here_and_there),
	KUNIT_CASE(advice_changes_no_byte),
	KUNIT_CASE(what_failed_is_read_again),
	KUNIT_CASE(what_was_given_up_is_done_again),
	KUNIT_CASE(errors_of_the_scope_are_told),
	KUNIT_CASE(others_writes_are_seen),
	KUNIT_CASE(an_eviction_drops_what_was_read),
	KUNIT_CASE(the_end_is_asked_for),
	KUNIT_CASE(nothing_is_there_to_read),
	KUNIT_CASE(copies_see_what_others_wrote),
	KUNIT_CASE(sendfile_sends_every_byte),
	KUNIT_CASE(sendfile_into_a_file_here),
	KUNIT_CASE(sendfile_tells_errors),
	KUNIT_CASE(a_kill_ends_sendfile),
	KUNIT_CASE(a_kill_ends_a_read),
	{}
};

struct kunit_suite llite_read_suite = {
	.name = "lull_llite_read",
	.init = llite_kunit_init,
	.exit = llite_kunit_exit,
	.test_cases = cases,
};
