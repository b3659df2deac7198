// SPDX-License-Identifier: GPL-2.0-only
/* Many tasks at one file: they write, store through a mapping and read, while its lock goes. */
#include <linux/completion.h>
#include <linux/iopoll.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "tests/kunit/llite_fixture.h"
#include "tests/kunit/suites.h"

#define PAGES 64
/*
 * Fits a byte: a reader may see a word of which some bytes are of the page's last round and some of
 * this one, since copies are made byte by byte (as `rep movsb` is on an emulated processor).
 */
#define ROUNDS U8_MAX
#define WORDS (PAGE_SIZE / sizeof(u64))

/* Each word of a page says which page it is of, and of which round. */
struct load {
	struct kunit *test;
	struct llc_inode *inode;
	struct file *file;
	unsigned long map;
	u32 begun[PAGES], done[PAGES]; /* rounds, of each page */
	atomic_t writers; /* the others end with them */
};

struct task {
	struct load *load;
	struct completion ended;
	void (*fn)(struct load *load, u64 *page);
};

static void fill(u64 *page, u32 index, u32 round)
{
	unsigned int k;

	for (k = 0; k < WORDS; k++)
		page[k] = (u64)index << 32 | round;
}

static u32 next(u32 *x)
{
	*x = *x * 1664525 + 1013904223;
	return *x >> 8;
}

/* Even pages by write(2), odd ones through the mapping: each page has one writer. */
static void store_pages(struct load *load, u64 *page, bool mapped)
{
	u32 x = 7 + mapped, round;

	for (round = 1; round <= ROUNDS; round++) {
		u32 index = next(&x) % (PAGES / 2) * 2 + mapped;
		bool ok;

		fill(page, index, round);
		WRITE_ONCE(load->begun[index], round);
		if (mapped) {
			kthread_use_mm(loader_mm);
			ok = !copy_to_user((void __user *)load->map + index * PAGE_SIZE, page,
					   PAGE_SIZE);
			kthread_unuse_mm(loader_mm);
		} else {
			ok = write_at(load->file, index * PAGE_SIZE, page, PAGE_SIZE) == PAGE_SIZE;
		}
		if (!ok)
			KUNIT_FAIL(load->test, "page %u cannot be written", index);
		smp_store_release(&load->done[index], round);
	}
	atomic_dec(&load->writers);
}

static void write_pages(struct load *load, u64 *page)
{
	store_pages(load, page, false);
}

static void map_pages(struct load *load, u64 *page)
{
	store_pages(load, page, true);
}

static void expect_page(struct load *load, const u64 *page, u32 index, u32 low, u32 high)
{
	unsigned int k;

	for (k = 0; k < WORDS; k++) {
		u32 of = page[k] >> 32, round = page[k];

		if (of == index && round >= low && round <= high)
			continue;
		KUNIT_FAIL(load->test, "page %u, word %u: of page %u, round %u, not %u-%u", index,
			   k, of, round, low, high);
		return;
	}
}

/* What is read is not older than what was written before, nor of another page. */
static void read_pages(struct load *load, u64 *page)
{
	u32 x = 11;

	while (atomic_read(&load->writers)) {
		u32 index = next(&x) % PAGES, low = smp_load_acquire(&load->done[index]);

		if (read_at(load->file, index * PAGE_SIZE, page, PAGE_SIZE) != PAGE_SIZE)
			KUNIT_FAIL(load->test, "page %u cannot be read", index);
		expect_page(load, page, index, low, READ_ONCE(load->begun[index]));
		cond_resched();
	}
}

static void lose_locks(struct load *load, u64 *page)
{
	u32 x = 13;

	while (atomic_read(&load->writers)) {
		u64 start = next(&x) % 2 ? 0 : (u64)(next(&x) % PAGES) << PAGE_SHIFT;

		fake_lose_lock(load->inode, start, U64_MAX, false);
		cond_resched();
	}
}

static void write_back(struct load *load, u64 *page)
{
	u32 x = 17;

	while (atomic_read(&load->writers)) {
		if (next(&x) % 2) {
			int err = vfs_fsync(load->file, 0);

			KUNIT_EXPECT_EQ(load->test, err, 0);
		} else {
			invalidate_mapping_pages(load->file->f_mapping, next(&x) % PAGES, PAGES);
		}
		cond_resched();
	}
}

static int run_task(void *arg)
{
	struct task *t = arg;
	u64 *page = kmalloc(PAGE_SIZE, GFP_KERNEL | __GFP_NOFAIL);

	t->fn(t->load, page);
	kfree(page);
	kthread_complete_and_exit(&t->ended, 0);
}

static void start(struct load *load, struct task *t, void (*fn)(struct load *load, u64 *page))
{
	t->load = load;
	t->fn = fn;
	init_completion(&t->ended);
	if (!IS_ERR(kthread_run(run_task, t, "lull_kunit_load")))
		return;
	KUNIT_FAIL(load->test, "no task can be made");
	atomic_set(&load->writers, 0);
	complete(&t->ended);
}

static void expect_last_rounds(struct load *load)
{
	u64 *page = kmalloc(PAGE_SIZE, GFP_KERNEL | __GFP_NOFAIL);
	u32 k;

	for (k = 0; k < PAGES; k++) {
		KUNIT_EXPECT_EQ(load->test, read_at(load->file, k * PAGE_SIZE, page, PAGE_SIZE),
				(ssize_t)PAGE_SIZE);
		expect_page(load, page, k, load->done[k], load->done[k]);
	}
	kfree(page);
	KUNIT_EXPECT_EQ(load->test, vfs_fsync(load->file, 0), 0);
	KUNIT_EXPECT_EQ(load->test, fake_reserved(load->inode), 0u);
	for (k = 0; k < PAGES; k++)
		expect_page(load, (u64 *)(fake_data(load->inode) + k * PAGE_SIZE), k,
			    load->done[k], load->done[k]);
}

static void map_it(struct load *load)
{
	kthread_use_mm(loader_mm);
	load->map = vm_mmap(load->file, 0, PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			    0);
	kthread_unuse_mm(loader_mm);
	KUNIT_ASSERT_FALSE(load->test, IS_ERR_VALUE(load->map));
}

static void unmap_it(struct load *load)
{
	kthread_use_mm(loader_mm);
	vm_munmap(load->map, PAGES * PAGE_SIZE);
	kthread_unuse_mm(loader_mm);
}

/* Invariant 9: whatever goes when, each read sees what was written, and nothing is lost. */
static void all_at_once(struct kunit *test)
{
	struct load *load = kunit_kzalloc(test, sizeof(*load), GFP_KERNEL);
	struct task tasks[5];
	unsigned int k;

	KUNIT_ASSERT_NOT_NULL(test, load);
	load->test = test;
	fake.many_tasks = true;
	load->inode = fake_make_file(fake.root, "file", PAGES * PAGE_SIZE, 0);
	for (k = 0; k < PAGES; k++)
		fill((u64 *)(fake_data(load->inode) + k * PAGE_SIZE), k, 0);
	load->file = open_ok(test, "file", O_RDWR);
	map_it(load);

	atomic_set(&load->writers, 2);
	start(load, &tasks[0], write_pages);
	start(load, &tasks[1], map_pages);
	start(load, &tasks[2], read_pages);
	start(load, &tasks[3], lose_locks);
	start(load, &tasks[4], write_back);
	for (k = 0; k < ARRAY_SIZE(tasks); k++)
		wait_for_completion(&tasks[k].ended);
	expect_last_rounds(load);
	unmap_it(load);
}

/* ---- two tasks and the size */

static struct load *racing;
static struct task racer;

static void truncate_it(struct load *load, u64 *page)
{
	KUNIT_EXPECT_EQ(load->test, vfs_truncate(&load->file->f_path, 100), 0);
}

/* Either it waits for who copies the size, or it is through before. */
static void truncate_meanwhile(struct llc_inode *i)
{
	start(racing, &racer, truncate_it);
	if (wait_for_completion_timeout(&racer.ended, HZ))
		complete(&racer.ended);
}

/* The host's copy of the size is the core's when all is done. */
static void the_size_is_copied_under_its_lock(struct kunit *test)
{
	struct load *load = kunit_kzalloc(test, sizeof(*load), GFP_KERNEL);
	char byte;

	KUNIT_ASSERT_NOT_NULL(test, load);
	load->test = test;
	load->inode = fake_make_file(fake.root, "file", 5000, 0);
	load->file = open_ok(test, "file", O_RDWR);
	racing = load;
	fake_before(FAKE_cached_attr, 0, truncate_meanwhile);
	KUNIT_EXPECT_EQ(test, read_at(load->file, 0, &byte, 1), (ssize_t)1);
	wait_for_completion(&racer.ended);
	KUNIT_EXPECT_EQ(test, i_size_read(file_inode(load->file)), 100ll);
}

/* ---- two tasks and the write-back: it has taken the first pages and waits for the third one */

static void sync_it(struct load *load, u64 *page)
{
	KUNIT_EXPECT_EQ(load->test, vfs_fsync(load->file, 0), 0);
}

static void shorten_it(struct load *load, u64 *page)
{
	KUNIT_EXPECT_EQ(load->test, vfs_truncate(&load->file->f_path, PAGE_SIZE), 0);
}

/* Returns the third page, locked. */
static struct page *begin_write_back(struct kunit *test, struct load *load, struct task *syncer)
{
	struct address_space *mapping;
	struct page *first, *third;
	bool taken;

	load->test = test;
	fake.many_tasks = true;
	load->inode = fake_make_file(fake.root, "file", 3 * PAGE_SIZE, 0);
	load->file = open_ok(test, "file", O_RDWR);
	write_pattern(test, load->file, 0, 3 * PAGE_SIZE, 1);
	mapping = load->file->f_mapping;
	third = find_lock_page(mapping, 2);
	first = find_get_page(mapping, 0);
	KUNIT_ASSERT_TRUE(test, first && third);
	start(load, syncer, sync_it);
	read_poll_timeout(PageWriteback, taken, taken, 1000, 60 * USEC_PER_SEC, false, first);
	KUNIT_EXPECT_TRUE(test, taken);
	put_page(first);
	return third;
}

static void end_write_back(struct page *third, struct task *syncer)
{
	unlock_page(third);
	put_page(third);
	wait_for_completion(&syncer->ended);
}

/* Or a full OST could refuse what was taken into the cache. */
static void what_is_dirtied_on_its_way_is_reserved_again(struct kunit *test)
{
	struct load *load = kunit_kzalloc(test, sizeof(*load), GFP_KERNEL);
	struct task syncer;
	struct page *third = begin_write_back(test, load, &syncer);

	write_pattern(test, load->file, 0, PAGE_SIZE, 2);
	end_write_back(third, &syncer);
	KUNIT_EXPECT_EQ(test, fake_reserved(load->inode), 1u);
	KUNIT_EXPECT_EQ(test, vfs_fsync(load->file, 0), 0);
	KUNIT_EXPECT_EQ(test, fake_reserved(load->inode), 0u);
	expect_stored(test, load->inode, 0, PAGE_SIZE, 2);
	expect_stored(test, load->inode, PAGE_SIZE, 2 * PAGE_SIZE, 1);
}

static void what_is_truncated_on_its_way_gives_its_grant_back(struct kunit *test)
{
	struct load *load = kunit_kzalloc(test, sizeof(*load), GFP_KERNEL);
	struct task syncer, shortener;
	struct page *third = begin_write_back(test, load, &syncer);
	loff_t size;

	start(load, &shortener, shorten_it);
	read_poll_timeout(i_size_read, size, size == PAGE_SIZE, 1000, 60 * USEC_PER_SEC, false,
			  file_inode(load->file));
	KUNIT_EXPECT_EQ(test, size, (loff_t)PAGE_SIZE);
	end_write_back(third, &syncer);
	wait_for_completion(&shortener.ended);
	KUNIT_EXPECT_EQ(test, fake_reserved(load->inode), 0u);
	KUNIT_EXPECT_EQ(test, fake.writes_count, 1u);
	expect_stored(test, load->inode, 0, PAGE_SIZE, 1);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(all_at_once),
	KUNIT_CASE(the_size_is_copied_under_its_lock),
	KUNIT_CASE(what_is_dirtied_on_its_way_is_reserved_again),
	KUNIT_CASE(what_is_truncated_on_its_way_gives_its_grant_back),
	{}
};

struct kunit_suite llite_tasks_suite = {
	.name = "lull_llite_tasks",
	.init = llite_kunit_init,
	.exit = llite_kunit_exit,
	.test_cases = cases,
};
