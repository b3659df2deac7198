// SPDX-License-Identifier: GPL-2.0-only
#include <linux/sizes.h>
#include <linux/stat.h>

#include "kapi/backing_fs.h"
#include "tests/kunit/suites.h"

#define MANY 3000

struct fixture {
	struct kbfs *fs;
	struct kbfs_node *root, *dir; /* dir: a fresh one for each case */
};

static void mount_fixture(struct kunit *test, struct fixture *f)
{
	KUNIT_ASSERT_EQ(test, kbfs_mount(net_to_kapi(&init_net), device, false, &f->fs), 0);
	KUNIT_ASSERT_EQ(test, kbfs_root(f->fs, &f->root), 0);
}

static void unmount_fixture(struct fixture *f)
{
	kbfs_put(f->root);
	kbfs_unmount(f->fs);
}

static int kbfs_kunit_init(struct kunit *test)
{
	struct fixture *f;

	if (!device)
		kunit_skip(test, "no device=");
	f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f);
	test->priv = f;
	mount_fixture(test, f);
	KUNIT_ASSERT_EQ(test, kbfs_create(f->root, "case", 4, S_IFDIR | 0755, 0, &f->dir), 0);
	return 0;
}

static bool remove_entry(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next)
{
	struct kbfs_node *dir = arg;

	if (type == S_IFDIR)
		kbfs_rmdir(dir, name, len);
	else
		kbfs_unlink(dir, name, len);
	return true;
}

static void kbfs_kunit_exit(struct kunit *test)
{
	struct fixture *f = test->priv;

	if (!f || !f->dir)
		return;
	kbfs_iterate(f->dir, 0, remove_entry, f->dir);
	kbfs_put(f->dir);
	kbfs_rmdir(f->root, "case", 4);
	unmount_fixture(f);
}

static struct kbfs_node *make(struct kunit *test, const char *name, u32 mode)
{
	struct fixture *f = test->priv;
	struct kbfs_node *n = NULL;

	KUNIT_ASSERT_EQ(test, kbfs_create(f->dir, name, strlen(name), mode, 0, &n), 0);
	return n;
}

static void names_and_modes(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct kbfs_node *n, *again;
	struct kbfs_attr a;

	n = make(test, "file", S_IFREG | 04777);
	KUNIT_EXPECT_EQ(test, kbfs_getattr(n, &a), 0);
	KUNIT_EXPECT_EQ(test, a.mode, S_IFREG | 04777u);
	KUNIT_EXPECT_EQ(test, a.nlink, 1u);
	KUNIT_EXPECT_EQ(test, kbfs_create(f->dir, "file", 4, S_IFREG | 0600, 0, &again), -EEXIST);
	KUNIT_EXPECT_EQ(test, kbfs_lookup(f->dir, "none", 4, &again), -ENOENT);
	KUNIT_EXPECT_EQ(test, kbfs_lookup(n, "x", 1, &again), -ENOTDIR);
	KUNIT_ASSERT_EQ(test, kbfs_lookup(f->dir, "filexx", 4, &again), 0);
	kbfs_put(again);
	KUNIT_EXPECT_EQ(test, kbfs_link(n, f->dir, "link", 4), 0);
	KUNIT_EXPECT_EQ(test, kbfs_link(n, f->dir, "link", 4), -EEXIST);
	KUNIT_EXPECT_EQ(test, kbfs_getattr(n, &a), 0);
	KUNIT_EXPECT_EQ(test, a.nlink, 2u);
	KUNIT_EXPECT_EQ(test, kbfs_rmdir(f->dir, "file", 4), -ENOTDIR);
	KUNIT_EXPECT_EQ(test, kbfs_unlink(f->dir, "file", 4), 0);
	KUNIT_EXPECT_EQ(test, kbfs_unlink(f->dir, "link", 4), 0);
	/* Open-unlinked: the node lives as long as it is held. */
	KUNIT_EXPECT_EQ(test, kbfs_write(n, 0, "abc", 3), 0);
	KUNIT_EXPECT_EQ(test, kbfs_getattr(n, &a), 0);
	KUNIT_EXPECT_EQ(test, a.nlink, 0u);
	KUNIT_EXPECT_EQ(test, a.size, 3ull);
	kbfs_put(n);

	n = make(test, "sticky", S_IFDIR | 03777);
	KUNIT_EXPECT_EQ(test, kbfs_getattr(n, &a), 0);
	KUNIT_EXPECT_EQ(test, a.mode, S_IFDIR | 03777u);
	kbfs_put(n);
	KUNIT_ASSERT_EQ(test, kbfs_create(f->dir, "null", 4, S_IFCHR | 0666,
					  new_encode_dev(MKDEV(1, 3)), &n), 0);
	KUNIT_EXPECT_EQ(test, kbfs_getattr(n, &a), 0);
	KUNIT_EXPECT_EQ(test, a.rdev, new_encode_dev(MKDEV(1, 3)));
	KUNIT_EXPECT_EQ(test, kbfs_write(n, 0, "a", 1), -EINVAL);
	kbfs_put(n);
}

static void symlinks(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct kbfs_node *n;
	char text[16] = {};

	KUNIT_ASSERT_EQ(test, kbfs_symlink(f->dir, "sym", 3, "/to/somewhere", &n), 0);
	KUNIT_EXPECT_EQ(test, kbfs_readlink(n, text, sizeof(text)), 13);
	KUNIT_EXPECT_STREQ(test, text, "/to/somewhere");
	KUNIT_EXPECT_EQ(test, kbfs_setxattr(n, "fid", "x", 1), 0);
	kbfs_put(n);
}

static void renames(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct kbfs_node *a = make(test, "a", S_IFDIR | 0700),
			 *b = make(test, "b", S_IFDIR | 0700), *in, *n;

	KUNIT_ASSERT_EQ(test, kbfs_create(a, "in", 2, S_IFDIR | 0700, 0, &in), 0);
	KUNIT_EXPECT_EQ(test, kbfs_rename(f->dir, "none", 4, f->dir, "x", 1), -ENOENT);
	/* Into itself, and over what holds it. */
	KUNIT_EXPECT_EQ(test, kbfs_rename(f->dir, "a", 1, in, "x", 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, kbfs_rename(a, "in", 2, f->dir, "a", 1), -ENOTEMPTY);
	KUNIT_EXPECT_EQ(test, kbfs_rename(f->dir, "b", 1, f->dir, "a", 1), -ENOTEMPTY);
	KUNIT_EXPECT_EQ(test, kbfs_rename(a, "in", 2, b, "in", 2), 0);
	KUNIT_EXPECT_EQ(test, kbfs_rename(f->dir, "b", 1, f->dir, "a", 1), 0);
	KUNIT_EXPECT_EQ(test, kbfs_lookup(f->dir, "b", 1, &n), -ENOENT);
	KUNIT_ASSERT_EQ(test, kbfs_lookup(b, "in", 2, &n), 0);
	kbfs_put(n);
	KUNIT_EXPECT_EQ(test, kbfs_lookup(a, "in", 2, &n), -ENOENT);
	KUNIT_EXPECT_EQ(test, kbfs_create(a, "x", 1, S_IFREG | 0600, 0, &n), -ENOENT);
	KUNIT_EXPECT_EQ(test, kbfs_rmdir(f->dir, "a", 1), -ENOTEMPTY);
	KUNIT_EXPECT_EQ(test, kbfs_rmdir(b, "in", 2), 0);
	kbfs_put(in);
	kbfs_put(a);
	kbfs_put(b);
}

static void attributes(struct kunit *test)
{
	struct kbfs_node *n = make(test, "file", S_IFREG | 0600);
	struct kbfs_attr set = {
		.mode = 0640, .uid = 1000, .gid = 1001, .size = 100000,
		.atime_ns = 1111111111222222222ull, .mtime_ns = 1333333333444444444ull,
	}, got;

	KUNIT_EXPECT_EQ(test, kbfs_setattr(n, &set, KBFS_MODE | KBFS_UID | KBFS_GID | KBFS_SIZE |
						    KBFS_ATIME | KBFS_MTIME | KBFS_CTIME), 0);
	KUNIT_EXPECT_EQ(test, kbfs_getattr(n, &got), 0);
	KUNIT_EXPECT_EQ(test, got.mode, S_IFREG | 0640u);
	KUNIT_EXPECT_EQ(test, got.uid, 1000u);
	KUNIT_EXPECT_EQ(test, got.gid, 1001u);
	KUNIT_EXPECT_EQ(test, got.size, 100000ull);
	KUNIT_EXPECT_EQ(test, got.atime_ns, set.atime_ns);
	KUNIT_EXPECT_EQ(test, got.mtime_ns, set.mtime_ns);
	set.size = U64_MAX;
	KUNIT_EXPECT_EQ(test, kbfs_setattr(n, &set, KBFS_SIZE), -EINVAL);
	kbfs_put(n);
}

static void data_in_and_out(struct kunit *test)
{
	struct kbfs_node *n = make(test, "file", S_IFREG | 0600);
	u8 *out = kapi_alloc(SZ_1M), *in = kapi_zalloc(SZ_1M);
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, out);
	KUNIT_ASSERT_NOT_NULL(test, in);
	for (i = 0; i < SZ_1M; i++)
		out[i] = i * 2654435761u >> 24;
	KUNIT_EXPECT_EQ(test, kbfs_write(n, 12345, out, SZ_1M), 0);
	KUNIT_EXPECT_EQ(test, kbfs_read(n, 12345, in, SZ_1M), (s64)SZ_1M);
	KUNIT_EXPECT_EQ(test, memcmp(in, out, SZ_1M), 0);
	KUNIT_EXPECT_EQ(test, kbfs_read(n, 12345 + SZ_1M - 10, in, 100), 10ll);
	KUNIT_EXPECT_EQ(test, kbfs_read(n, SZ_16M, in, 100), 0ll);
	KUNIT_EXPECT_EQ(test, kbfs_read(n, 0, in, 10), 10ll);
	KUNIT_EXPECT_EQ(test, in[0], 0);
	/* The first 8 KiB are a hole. */
	KUNIT_EXPECT_EQ(test, kbfs_is_written(n, 12345, SZ_1M), 1);
	KUNIT_EXPECT_EQ(test, kbfs_is_written(n, SZ_64K, 100), 1);
	KUNIT_EXPECT_EQ(test, kbfs_is_written(n, SZ_4K, SZ_64K), 0);
	KUNIT_EXPECT_EQ(test, kbfs_is_written(n, 12345, SZ_1M + 1), 0);
	KUNIT_EXPECT_EQ(test, kbfs_is_written(n, SZ_16M, 1), 0);
	kapi_free(out);
	kapi_free(in);
	kbfs_put(n);
}

static void xattrs(struct kunit *test)
{
	struct kbfs_node *n = make(test, "file", S_IFREG | 0600);
	u8 *value = kunit_kzalloc(test, 3000, GFP_KERNEL),
	   *got = kunit_kzalloc(test, 3000, GFP_KERNEL);

	memset(value, 0x5a, 3000);
	KUNIT_EXPECT_EQ(test, kbfs_getxattr(n, "fid", got, 100), -ENODATA);
	KUNIT_EXPECT_EQ(test, kbfs_setxattr(n, "fid", value, 3000), 0);
	KUNIT_EXPECT_EQ(test, kbfs_getxattr(n, "fid", got, 100), -ERANGE);
	KUNIT_EXPECT_EQ(test, kbfs_getxattr(n, "fid", got, 3000), 3000);
	KUNIT_EXPECT_EQ(test, memcmp(value, got, 3000), 0);
	KUNIT_EXPECT_EQ(test, kbfs_setxattr(n, "fid", value, 16), 0);
	KUNIT_EXPECT_EQ(test, kbfs_getxattr(n, "fid", got, 3000), 16);
	KUNIT_EXPECT_EQ(test, kbfs_removexattr(n, "fid"), 0);
	KUNIT_EXPECT_EQ(test, kbfs_removexattr(n, "fid"), -ENODATA);
	kbfs_put(n);
}

static void handles_survive_a_remount(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct kbfs_node *file = make(test, "file", S_IFREG | 0600),
			 *dir = make(test, "dir", S_IFDIR | 0700), *n;
	struct kbfs_attr fa, da, got;

	KUNIT_EXPECT_EQ(test, kbfs_write(file, 0, "hello", 5), 0);
	KUNIT_EXPECT_EQ(test, kbfs_setxattr(file, "fid", "12345678", 8), 0);
	KUNIT_EXPECT_EQ(test, kbfs_getattr(file, &fa), 0);
	KUNIT_EXPECT_EQ(test, kbfs_getattr(dir, &da), 0);
	kbfs_put(file);
	kbfs_put(dir);
	kbfs_put(f->dir);
	f->dir = NULL;
	KUNIT_EXPECT_EQ(test, kbfs_sync(f->fs), 0);
	unmount_fixture(f);
	mount_fixture(test, f);

	KUNIT_EXPECT_EQ(test, kbfs_open_handle(f->fs, fa.ino, fa.generation + 1, &n), -ESTALE);
	KUNIT_EXPECT_EQ(test, kbfs_open_handle(f->fs, 1ull << 40, 0, &n), -ESTALE);
	KUNIT_ASSERT_EQ(test, kbfs_open_handle(f->fs, fa.ino, fa.generation, &n), 0);
	KUNIT_EXPECT_EQ(test, kbfs_getattr(n, &got), 0);
	KUNIT_EXPECT_EQ(test, got.size, 5ull);
	/*
	 * A directory found by handle is part of the tree: the file can be moved there, and it
	 * cannot go into itself.
	 */
	KUNIT_ASSERT_EQ(test, kbfs_open_handle(f->fs, da.ino, da.generation, &dir), 0);
	KUNIT_ASSERT_EQ(test, kbfs_lookup(f->root, "case", 4, &f->dir), 0);
	KUNIT_EXPECT_EQ(test, kbfs_rename(f->dir, "dir", 3, dir, "x", 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, kbfs_link(n, dir, "file", 4), 0);
	KUNIT_EXPECT_EQ(test, kbfs_unlink(dir, "file", 4), 0);
	KUNIT_EXPECT_EQ(test, kbfs_unlink(f->dir, "file", 4), 0);
	kbfs_put(n);
	KUNIT_EXPECT_EQ(test, kbfs_open_handle(f->fs, fa.ino, fa.generation, &n), -ESTALE);
	kbfs_put(dir);
}

struct listing {
	int seen, limit;
	u64 next;
	bool bad_type;
	u8 *found;
};

static bool list_entry_seen(void *arg, const char *name, size_t len, u64 ino, u32 type, u64 next)
{
	struct listing *l = arg;
	int i;

	l->bad_type |= type != S_IFREG;
	if (sscanf(name, "f%4d", &i) == 1 && i >= 0 && i < MANY)
		l->found[i]++;
	l->next = next;
	return ++l->seen < l->limit;
}

/* Across batches, and stopped and resumed at any entry: each is seen once. */
static void listings_resume(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct listing l = { .limit = 7 };
	int i, before, twice = 0, never = 0;

	l.found = kunit_kzalloc(test, MANY, GFP_KERNEL);
	for (i = 0; i < MANY; i++) {
		struct kbfs_node *n;
		char name[8];

		snprintf(name, sizeof(name), "f%04d", i);
		KUNIT_ASSERT_EQ(test, kbfs_create(f->dir, name, 5, S_IFREG | 0600, 0, &n), 0);
		kbfs_put(n);
	}
	do {
		before = l.seen;
		KUNIT_ASSERT_EQ(test, kbfs_iterate(f->dir, l.next, list_entry_seen, &l), 0);
		l.limit = l.seen + 701;
	} while (l.seen > before);
	for (i = 0; i < MANY; i++) {
		twice += l.found[i] > 1;
		never += l.found[i] == 0;
	}
	KUNIT_EXPECT_EQ(test, l.seen, MANY);
	KUNIT_EXPECT_EQ(test, twice, 0);
	KUNIT_EXPECT_EQ(test, never, 0);
	KUNIT_EXPECT_FALSE(test, l.bad_type);
}

static void a_device_is_mounted_once(struct kunit *test)
{
	struct kbfs *second;

	KUNIT_EXPECT_EQ(test, kbfs_mount(net_to_kapi(&init_net), device, false, &second), -EBUSY);
	KUNIT_EXPECT_EQ(test, kbfs_mount(net_to_kapi(&init_net), "/dev/none", false, &second),
			-ENOENT);
}

static void numbers(struct kunit *test)
{
	struct fixture *f = test->priv;
	struct kbfs_statfs st;

	KUNIT_EXPECT_EQ(test, kbfs_statfs(f->fs, &st), 0);
	KUNIT_EXPECT_GT(test, st.total_bytes, st.free_bytes);
	KUNIT_EXPECT_GT(test, st.files, st.free_files);
	KUNIT_EXPECT_EQ(test, st.name_max, (u32)KBFS_NAME_MAX);
}

static struct kunit_case kbfs_cases[] = {
	KUNIT_CASE(names_and_modes),
	KUNIT_CASE(symlinks),
	KUNIT_CASE(renames),
	KUNIT_CASE(attributes),
	KUNIT_CASE(data_in_and_out),
	KUNIT_CASE(xattrs),
	KUNIT_CASE(handles_survive_a_remount),
	KUNIT_CASE(listings_resume),
	KUNIT_CASE(a_device_is_mounted_once),
	KUNIT_CASE(numbers),
	{}
};
struct kunit_suite kbfs_suite = {
	.name = "lull_kbfs", .init = kbfs_kunit_init, .exit = kbfs_kunit_exit,
	.test_cases = kbfs_cases,
};
