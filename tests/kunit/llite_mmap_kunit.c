// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapped files. The mappings are in the address space of the process that loads the module; the
 * test's thread borrows it for each access, so that no failed assertion can take it along.
 */
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "tests/kunit/llite_fixture.h"
#include "tests/kunit/suites.h"

#define MAPPINGS_MAX 8

struct mm_struct *loader_mm;
static struct {
	unsigned long at;
	size_t bytes;
} mappings[MAPPINGS_MAX];

static unsigned long map_as(struct kunit *test, struct file *file, size_t bytes, unsigned long prot,
			    unsigned long flags)
{
	unsigned long at;
	unsigned int k;

	kthread_use_mm(loader_mm);
	at = vm_mmap(file, 0, bytes, prot, flags, 0);
	kthread_unuse_mm(loader_mm);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(at));
	for (k = 0; k < MAPPINGS_MAX && mappings[k].bytes; k++)
		;
	KUNIT_ASSERT_LT(test, k, (unsigned int)MAPPINGS_MAX);
	mappings[k].at = at;
	mappings[k].bytes = bytes;
	return at;
}

static unsigned long map(struct kunit *test, struct file *file, size_t bytes)
{
	return map_as(test, file, bytes, PROT_READ | PROT_WRITE, MAP_SHARED);
}

static void unmap_all(void)
{
	unsigned int k;

	kthread_use_mm(loader_mm);
	for (k = 0; k < MAPPINGS_MAX; k++)
		if (mappings[k].bytes)
			vm_munmap(mappings[k].at, mappings[k].bytes);
	kthread_unuse_mm(loader_mm);
	memset(mappings, 0, sizeof(mappings));
}

static int unmap_thread(void *done)
{
	unmap_all();
	kthread_complete_and_exit(done, 0);
}

static void mmap_exit(struct kunit *test)
{
	DECLARE_COMPLETION_ONSTACK(done);

	if (!IS_ERR(kthread_run(unmap_thread, &done, "lull_kunit_unmap")))
		wait_for_completion(&done);
	llite_kunit_exit(test);
}

/* 0, or -EFAULT (a user's access would meet SIGBUS). What fails once is tried again. */
static int peek(unsigned long at, void *to, size_t bytes)
{
	unsigned long left;

	kthread_use_mm(loader_mm);
	left = copy_from_user(to, (void __user *)at, bytes);
	kthread_unuse_mm(loader_mm);
	return left ? -EFAULT : 0;
}

static int poke(unsigned long at, const void *from, size_t bytes)
{
	unsigned long left;

	kthread_use_mm(loader_mm);
	left = copy_to_user((void __user *)at, from, bytes);
	kthread_unuse_mm(loader_mm);
	return left ? -EFAULT : 0;
}

static void poke_pattern(struct kunit *test, unsigned long map, loff_t pos, size_t bytes, u32 seed)
{
	fake_pattern(llite(test)->scratch, pos, bytes, seed);
	KUNIT_EXPECT_EQ(test, poke(map + pos, llite(test)->scratch, bytes), 0);
}

static void expect_mapped(struct kunit *test, unsigned long map, loff_t pos, size_t bytes, u32 seed)
{
	struct llite *l = llite(test);

	KUNIT_EXPECT_EQ(test, peek(map + pos, l->scratch, bytes), 0);
	fake_pattern(l->expected, pos, bytes, seed);
	expect_same(test, l->scratch, l->expected, bytes, pos);
}

static void expect_mapped_zeros(struct kunit *test, unsigned long map, loff_t pos, size_t bytes)
{
	struct llite *l = llite(test);

	KUNIT_EXPECT_EQ(test, peek(map + pos, l->scratch, bytes), 0);
	memset(l->expected, 0, bytes);
	expect_same(test, l->scratch, l->expected, bytes, pos);
}

static struct file *open_file(struct kunit *test, u64 bytes, u32 seed, struct llc_inode **i)
{
	*i = fake_make_file(fake.root, "file", bytes, seed);
	KUNIT_ASSERT_NOT_NULL(test, *i);
	return open_ok(test, "file", O_RDWR);
}

static void scopes_are_closed(struct kunit *test)
{
	unsigned int failed = fake.calls[FAKE_io_begin] - fake.calls[FAKE_io_end];

	KUNIT_EXPECT_EQ(test, failed, 0u);
}

/* ---- reading */

static void what_is_mapped_is_the_file(struct kunit *test)
{
	static const u32 sizes[] = { 1, 4095, 4096, 4097, SZ_1M - 1, SZ_1M + 1, 2 * SZ_1M + 100 };
	struct llc_inode *i;
	unsigned int s;
	u8 byte;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		u32 size = sizes[s], whole = PAGE_ALIGN(size);
		struct file *file = open_file(test, size, s, &i);
		unsigned long at = map(test, file, whole + PAGE_SIZE);

		file->f_ra.ra_pages = s % 2 ? 512 : 256;
		expect_mapped(test, at, 0, size, s);
		expect_mapped_zeros(test, at, size, whole - size);
		KUNIT_EXPECT_EQ(test, peek(at + whole, &byte, 1), -EFAULT);
		unmap_all();
		close_file(test, file);
		fake_remove(fake.root, "file");
	}
	scopes_are_closed(test);
}

static void others_writes_are_seen(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_file(test, SZ_64K, 1, &i);
	unsigned long at = map(test, file, SZ_64K);
	u8 byte;

	expect_mapped(test, at, 0, SZ_64K, 1);
	fake_other_writes(i, 0, SZ_64K, 2);
	expect_mapped(test, at, 0, SZ_64K, 2);
	fake_other_truncates(i, 5000);
	expect_mapped(test, at, 0, 5000, 2);
	expect_mapped_zeros(test, at, 5000, 2 * PAGE_SIZE - 5000);
	KUNIT_EXPECT_EQ(test, peek(at + 2 * PAGE_SIZE, &byte, 1), -EFAULT);
	fake_other_writes(i, 5000, SZ_64K - 5000, 2);
	expect_mapped(test, at, 0, SZ_64K, 2);
}

static void a_failed_fault_is_a_bus_error(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_file(test, SZ_64K, 3, &i);
	unsigned long at = map(test, file, SZ_64K);
	u8 byte;

	fake_fail(FAKE_io_begin, 0, 1000, -EIO);
	KUNIT_EXPECT_EQ(test, peek(at, &byte, 1), -EFAULT);
	fake_fail(FAKE_io_begin, 0, 1000, -ENOMEM);
	KUNIT_EXPECT_EQ(test, peek(at, &byte, 1), -EFAULT);
	fake_fail(FAKE_io_begin, 0, 0, 0);
	fake_fail(FAKE_read, 0, 1000, -EIO);
	KUNIT_EXPECT_EQ(test, peek(at, &byte, 1), -EFAULT);
	fake_fail(FAKE_read, 0, 0, 0);
	fake_fail(FAKE_intact, 0, 1000, -EIO); /* A7 */
	KUNIT_EXPECT_EQ(test, peek(at, &byte, 1), -EFAULT);
	fake_fail(FAKE_intact, 0, 0, 0);
	/* B3: in a new scope */
	fake_fail(FAKE_read, 0, 2, -EAGAIN);
	expect_mapped(test, at, 0, SZ_64K, 3);
}

/* A user's fault ends for a signal and is taken again; the kernel's own says that it cannot. */
static void signals_end_a_users_fault(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_file(test, SZ_64K, 4, &i);
	unsigned long at = map(test, file, SZ_64K);
	struct vm_area_struct *vma;
	vm_fault_t ret = 0;
	u8 byte;

	fake_fail(FAKE_io_begin, 0, 1, -ERESTARTNOINTR);
	KUNIT_EXPECT_EQ(test, peek(at, &byte, 1), 0);
	KUNIT_EXPECT_EQ(test, fake.last_io_mode, LLC_IO_READ | LLC_IO_NOINTR);
	invalidate_inode_pages2(file->f_mapping);
	fake_fail(FAKE_io_begin, 0, 1, -ERESTARTNOINTR);
	kthread_use_mm(loader_mm);
	mmap_read_lock(loader_mm);
	vma = find_vma(loader_mm, at);
	if (vma)
		ret = handle_mm_fault(vma, at, FAULT_FLAG_USER, NULL);
	mmap_read_unlock(loader_mm);
	kthread_unuse_mm(loader_mm);
	KUNIT_EXPECT_EQ(test, fake.last_io_mode, LLC_IO_READ);
	KUNIT_EXPECT_EQ(test, ret, VM_FAULT_NOPAGE);
	expect_mapped(test, at, 0, SZ_64K, 4);
}

static struct kunit *losing_test;
static struct file *losing_file;

static void lose_the_file(struct llc_inode *i)
{
	vm_munmap(mappings[0].at, mappings[0].bytes);
	mappings[0].bytes = 0;
	KUNIT_EXPECT_EQ(losing_test, do_unlink(losing_test, "file"), 0);
	close_file(losing_test, losing_file);
}

/* While a fault waits for data, it holds no lock that keeps the mapping: another thread unmaps,
 * closes and removes the file. The fault's scope is one of an inode that is still there. */
static void the_file_goes_while_a_fault_waits(struct kunit *test)
{
	struct llc_inode *i;
	unsigned long at;
	u8 byte;

	losing_test = test;
	losing_file = open_file(test, SZ_64K, 4, &i);
	at = map(test, losing_file, SZ_64K);
	fake_before(FAKE_io_end, 0, lose_the_file);
	KUNIT_EXPECT_EQ(test, peek(at, &byte, 1), -EFAULT);
	scopes_are_closed(test);
	expect_closed(test);
}

/* ---- writing */

static void stores_are_written(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_file(test, SZ_64K, 5, &i);
	unsigned long at = map(test, file, SZ_64K);

	poke_pattern(test, at, 5000, 10000, 6);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 3u); /* pages 1 to 3 */
	KUNIT_EXPECT_EQ(test, read_at(file, 5000, llite(test)->scratch, 10000), (ssize_t)10000);
	fake_pattern(llite(test)->expected, 5000, 10000, 6);
	expect_same(test, llite(test)->scratch, llite(test)->expected, 10000, 5000);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 0u);
	expect_stored(test, i, 0, 5000, 5);
	expect_stored(test, i, 5000, 10000, 6);
	expect_stored(test, i, 15000, SZ_64K - 15000, 5);
	/* Again: write-back has made the page read-only. */
	poke_pattern(test, at, 5000, 10, 7);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 1u);
	fake_lose_lock(i, 0, U64_MAX, false);
	expect_stored(test, i, 5000, 10, 7);
	fake_other_writes(i, 0, SZ_64K, 8);
	expect_mapped(test, at, 0, SZ_64K, 8);
	poke_pattern(test, at, 0, SZ_64K, 9);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	expect_stored(test, i, 0, SZ_64K, 9);
	scopes_are_closed(test);
}

static void others_grow_it(struct llc_inode *i)
{
	fake_other_writes(i, 9000, 1, 10);
}

/* Fault 4 of issue 12: what is stored behind the end of the file is nobody's data; it does not
 * reach the OST, and is not there when the file grows, however it does. */
static void stores_behind_the_end(struct kunit *test)
{
	unsigned int how, synced;

	for (how = 0; how < 6; how++)
		for (synced = 0; synced < 2; synced++) {
			struct llc_inode *i;
			struct file *file = open_file(test, 100, 10, &i);
			unsigned long at = map(test, file, PAGE_SIZE);
			u64 from = 100;

			poke_pattern(test, at, 50, 1000, 10);
			if (synced) {
				KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
				KUNIT_EXPECT_EQ(test, i->server.size, 100ull);
				expect_stored(test, i, 0, 100, 10);
				expect_stored_zeros(test, i, 100, PAGE_SIZE);
				expect_mapped_zeros(test, at, 100, PAGE_SIZE - 100);
				poke_pattern(test, at, 200, 1000, 10);
			}
			switch (how) {
			case 0:
				write_pattern(test, file, 9000, 1, 10);
				break;
			case 1:
				KUNIT_EXPECT_EQ(test, vfs_truncate(&file->f_path, 9001), 0);
				break;
			case 2: /* at the end, and then behind it */
				write_pattern(test, file, 100, 7, 10);
				from = 107;
				write_pattern(test, file, 9000, 1, 10);
				break;
			case 3:
				write_pattern(test, file, 3000, 7, 10);
				expect_zeros(test, file, 100, 2900);
				KUNIT_EXPECT_EQ(test, vfs_truncate(&file->f_path, 100), 0);
				KUNIT_EXPECT_EQ(test, vfs_truncate(&file->f_path, 9001), 0);
				break;
			case 4:
				others_grow_it(i);
				break;
			case 5: /* while we begin to write */
				fake_before(FAKE_io_begin, 0, others_grow_it);
				write_pattern(test, file, 9000, 1, 10);
				break;
			}
			expect_zeros(test, file, from, PAGE_SIZE - from);
			expect_mapped_zeros(test, at, from, PAGE_SIZE - from);
			KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
			expect_stored(test, i, 0, from, 10);
			expect_stored_zeros(test, i, from, 9000 - from);
			KUNIT_EXPECT_EQ(test, i->server.size, 9001ull);
			unmap_all();
			close_file(test, file);
			fake_remove(fake.root, "file");
		}
}

/*
 * Without grant a store waits for write-back, which brings some; if none comes, for the place of
 * the page on the OST.
 */
static void a_store_without_grant(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_file(test, SZ_64K, 11, &i);
	unsigned long at = map(test, file, SZ_64K);

	poke_pattern(test, at, 0, 10, 12);
	fake_fail(FAKE_reserve, 0, 1, -EAGAIN);
	poke_pattern(test, at, PAGE_SIZE, 10, 12);
	expect_stored(test, i, 0, 10, 12);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_write_through], 0u);
	fake_fail(FAKE_reserve, 0, 1000, -EAGAIN);
	poke_pattern(test, at, 3 * PAGE_SIZE, 10, 12);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_write_through], 1u);
	expect_stored(test, i, 3 * PAGE_SIZE, PAGE_SIZE, 11);
	fake_fail(FAKE_write_through, 0, 1000, -ENOSPC);
	KUNIT_EXPECT_EQ(test, poke(at + 5 * PAGE_SIZE, "x", 1), -EFAULT);
	fake_fail(FAKE_reserve, 0, 0, 0);
	expect_mapped(test, at, 3 * PAGE_SIZE, 10, 12);
	expect_mapped(test, at, 4 * PAGE_SIZE, SZ_64K - 4 * PAGE_SIZE, 11);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	expect_stored(test, i, PAGE_SIZE, 10, 12);
	expect_stored(test, i, 3 * PAGE_SIZE, 10, 12);
	expect_stored(test, i, 4 * PAGE_SIZE, SZ_64K - 4 * PAGE_SIZE, 11);
	scopes_are_closed(test);
}

static void write_there(struct llc_inode *i)
{
	fake_other_writes(i, 0, 2 * PAGE_SIZE, 14);
}

static void truncate_there(struct llc_inode *i)
{
	fake_other_truncates(i, 0);
}

/* Between the fault and the permission to write, the page goes to another client. */
static void the_page_goes_before_the_store(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_file(test, 2 * PAGE_SIZE, 13, &i);
	unsigned long at = map(test, file, 2 * PAGE_SIZE);

	expect_pattern(test, file, 0, 2 * PAGE_SIZE, 13); /* cached, so that one fault does */
	fake_before(FAKE_io_begin, 1, write_there);
	KUNIT_EXPECT_EQ(test, poke(at + 10, "abc", 3), 0);
	expect_mapped(test, at, 0, 10, 14);
	expect_mapped(test, at, 13, PAGE_SIZE, 14);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	KUNIT_EXPECT_EQ(test, memcmp(fake_data(i) + 10, "abc", 3), 0);
	expect_stored(test, i, 13, 2 * PAGE_SIZE - 13, 14);
	fake_before(FAKE_io_begin, 0, truncate_there);
	KUNIT_EXPECT_EQ(test, poke(at + 10, "abc", 3), -EFAULT);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 0u);
	fake_other_writes(i, 0, PAGE_SIZE, 15);
	expect_pattern(test, file, 0, PAGE_SIZE, 15);
	fake_fail(FAKE_io_begin, 1, 1000, -EIO);
	KUNIT_EXPECT_EQ(test, poke(at + 10, "abc", 3), -EFAULT);
	fake_fail(FAKE_io_begin, 0, 0, 0);
	expect_mapped(test, at, 0, PAGE_SIZE, 15);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 0u);
}

/* A7: stored through a mapping, and lost with an eviction. */
static void what_is_discarded_is_told(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_file(test, SZ_64K, 16, &i);
	unsigned long at = map(test, file, SZ_64K);

	poke_pattern(test, at, 100, 5000, 17);
	fake_lose_lock(i, 0, U64_MAX, true);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 0u);
	expect_mapped(test, at, 0, SZ_64K, 16);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), -EIO);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
}

static void truncation_takes_pages_from_mappings(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_file(test, SZ_64K, 18, &i);
	unsigned long at = map(test, file, SZ_64K);
	u8 byte;

	poke_pattern(test, at, 0, SZ_64K, 19);
	KUNIT_EXPECT_EQ(test, vfs_truncate(&file->f_path, 5000), 0);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 2u);
	expect_mapped(test, at, 0, 5000, 19);
	expect_mapped_zeros(test, at, 5000, 2 * PAGE_SIZE - 5000);
	KUNIT_EXPECT_EQ(test, peek(at + 2 * PAGE_SIZE, &byte, 1), -EFAULT);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	expect_stored(test, i, 0, 5000, 19);
	KUNIT_EXPECT_EQ(test, i->server.size, 5000ull);
}

static void private_stores_stay_here(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_file(test, SZ_64K, 20, &i);
	unsigned long at = map_as(test, file, SZ_64K, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	poke_pattern(test, at, 100, 5000, 21);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 0u);
	fake_other_writes(i, 0, SZ_64K, 22);
	expect_mapped(test, at, 100, 5000, 21); /* its copies */
	expect_mapped(test, at, 2 * PAGE_SIZE, PAGE_SIZE, 22);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	KUNIT_EXPECT_EQ(test, fake.writes_count, 0u);
}

/* ---- read(2) and write(2) of a mapping of the same file: nothing faults inside a scope */

static ssize_t read_user(struct file *file, loff_t pos, unsigned long to, size_t bytes)
{
	struct iov_iter iter;
	ssize_t n;

	kthread_use_mm(loader_mm);
	iov_iter_ubuf(&iter, ITER_DEST, (void __user *)to, bytes);
	n = vfs_iter_read(file, &iter, &pos, 0);
	kthread_unuse_mm(loader_mm);
	return n;
}

static ssize_t write_user(struct file *file, loff_t pos, unsigned long from, size_t bytes)
{
	struct iov_iter iter;
	ssize_t n;

	kthread_use_mm(loader_mm);
	iov_iter_ubuf(&iter, ITER_SOURCE, (void __user *)from, bytes);
	file_start_write(file);
	n = vfs_iter_write(file, &iter, &pos, 0);
	file_end_write(file);
	kthread_unuse_mm(loader_mm);
	return n;
}

static void buffers_are_mappings_of_the_file(struct kunit *test)
{
	const size_t half = SZ_64K;
	struct llc_inode *i;
	struct file *file = open_file(test, 2 * half, 23, &i);
	unsigned long at = map(test, file, 2 * half);

	/* from its first half into its second */
	KUNIT_EXPECT_EQ(test, read_user(file, 0, at + half, half), (ssize_t)half);
	fake_pattern(llite(test)->expected, 0, half, 23);
	KUNIT_EXPECT_EQ(test, peek(at + half, llite(test)->scratch, half), 0);
	expect_same(test, llite(test)->scratch, llite(test)->expected, half, half);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	expect_same(test, fake_data(i) + half, llite(test)->expected, half, half);
	/* a page from itself, cold */
	fake_other_writes(i, 0, 2 * half, 24);
	KUNIT_EXPECT_EQ(test, write_user(file, 0, at, half), (ssize_t)half);
	expect_pattern(test, file, 0, 2 * half, 24);
	KUNIT_EXPECT_EQ(test, write_user(file, 10, at + half, 5000), (ssize_t)5000);
	KUNIT_EXPECT_EQ(test, read_at(file, 10, llite(test)->scratch, 5000), (ssize_t)5000);
	fake_pattern(llite(test)->expected, half, 5000, 24);
	expect_same(test, llite(test)->scratch, llite(test)->expected, 5000, 10);
	scopes_are_closed(test);
}

/* The second half of the buffer is not there: what was moved is told, and right. */
static void buffers_that_end_early(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_file(test, SZ_64K, 25, &i);
	unsigned long at = map_as(test, NULL, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS);
	ssize_t n;

	kthread_use_mm(loader_mm);
	vm_munmap(at + PAGE_SIZE, PAGE_SIZE);
	kthread_unuse_mm(loader_mm);
	n = read_user(file, 0, at + 100, SZ_64K);
	KUNIT_EXPECT_GT(test, n, (ssize_t)0);
	KUNIT_EXPECT_LE(test, n, (ssize_t)(PAGE_SIZE - 100));
	expect_mapped(test, at + 100, 0, n, 25);
	KUNIT_EXPECT_EQ(test, read_user(file, 0, at + PAGE_SIZE, 10), (ssize_t)-EFAULT);
	poke_pattern(test, at, 0, PAGE_SIZE, 26);
	n = write_user(file, 0, at, SZ_64K);
	KUNIT_EXPECT_EQ(test, n, (ssize_t)PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, write_user(file, 0, at + PAGE_SIZE, 10), (ssize_t)-EFAULT);
	/* ending in the middle of a page that is not cached */
	invalidate_inode_pages2(file->f_mapping);
	n = write_user(file, 2 * PAGE_SIZE, at + PAGE_SIZE - 8, 100);
	KUNIT_EXPECT_EQ(test, n, (ssize_t)8);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	expect_stored(test, i, 0, PAGE_SIZE, 26);
	expect_stored(test, i, PAGE_SIZE, PAGE_SIZE, 25);
	fake_pattern(llite(test)->expected, PAGE_SIZE - 8, 8, 26);
	expect_same(test, fake_data(i) + 2 * PAGE_SIZE, llite(test)->expected, 8, 2 * PAGE_SIZE);
	expect_stored(test, i, 2 * PAGE_SIZE + 8, PAGE_SIZE, 25);
	scopes_are_closed(test);
}

/* What write(2) could not write is not seen through a mapping, either. */
static void a_failed_write_is_not_mapped(struct kunit *test)
{
	struct llc_inode *i;
	struct file *file = open_file(test, SZ_64K, 27, &i);
	unsigned long at = map(test, file, SZ_64K);

	expect_mapped(test, at, 0, SZ_64K, 27);
	fake_fail(FAKE_reserve, 0, 1000, -EAGAIN);
	fake_fail(FAKE_write_through, 0, 1000, -ENOSPC);
	KUNIT_EXPECT_EQ(test, write_at(file, 100, "abc", 3), (ssize_t)-ENOSPC);
	expect_mapped(test, at, 0, SZ_64K, 27);
	expect_pattern(test, file, 0, SZ_64K, 27);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(what_is_mapped_is_the_file),
	KUNIT_CASE(others_writes_are_seen),
	KUNIT_CASE(a_failed_fault_is_a_bus_error),
	KUNIT_CASE(signals_end_a_users_fault),
	KUNIT_CASE(the_file_goes_while_a_fault_waits),
	KUNIT_CASE(stores_are_written),
	KUNIT_CASE(stores_behind_the_end),
	KUNIT_CASE(a_store_without_grant),
	KUNIT_CASE(the_page_goes_before_the_store),
	KUNIT_CASE(what_is_discarded_is_told),
	KUNIT_CASE(truncation_takes_pages_from_mappings),
	KUNIT_CASE(private_stores_stay_here),
	KUNIT_CASE(buffers_are_mappings_of_the_file),
	KUNIT_CASE(buffers_that_end_early),
	KUNIT_CASE(a_failed_write_is_not_mapped),
	{}
};

struct kunit_suite llite_mmap_suite = {
	.name = "lull_llite_mmap",
	.init = llite_kunit_init,
	.exit = mmap_exit,
	.test_cases = cases,
};
