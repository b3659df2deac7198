// SPDX-License-Identifier: GPL-2.0-only
/* Names: opens, what is believed of a name and for how long, and what happens without one. */
#include <linux/namei.h>
#include <linux/sizes.h>
#include <linux/statfs.h>

#include "tests/kunit/llite_fixture.h"
#include "tests/kunit/suites.h"

/* What a name can be. LINK leads to a file, DANGLING to nothing. */
enum kind { NONE, FILE, DIR, FIFO, DEVICE, LINK, DANGLING, KINDS };
static const char *const kind_names[] = { "nothing", "a file", "a directory", "a FIFO",
					  "a device", "a link", "a dangling link" };

static struct llc_inode *make_kind(enum kind kind, const char *name)
{
	static const u32 modes[] = { 0, S_IFREG | 0644, S_IFDIR | 0755, S_IFIFO | 0644,
				     S_IFCHR | 0666, S_IFLNK | 0777, S_IFLNK | 0777 };
	struct llc_inode *i;

	if (kind == NONE)
		return NULL;
	i = fake_make(fake.root, name, modes[kind]);
	if (kind == DEVICE)
		i->server.rdev = new_encode_dev(MKDEV(1, 3)); /* null */
	if (kind == LINK && !fake_find(fake.root, "there"))
		fake_make(fake.root, "there", S_IFREG | 0644);
	if (kind >= LINK)
		strscpy(i->target, kind == LINK ? "there" : "nowhere", sizeof(i->target));
	return i;
}

static void remove_all(const char *name)
{
	static const char *const others[] = { "there", "nowhere" };
	unsigned int k;

	if (fake_find(fake.root, name))
		fake_remove(fake.root, name);
	for (k = 0; k < ARRAY_SIZE(others); k++)
		if (fake_find(fake.root, others[k]))
			fake_remove(fake.root, others[k]);
}

/* As a local file system answers. */
static const struct {
	int flags;
	int want[KINDS];
} opens[] = {
	{ O_RDONLY | O_NONBLOCK, { -ENOENT, 0, 0, 0, 0, 0, -ENOENT } },
	{ O_WRONLY | O_NONBLOCK, { -ENOENT, 0, -EISDIR, -ENXIO, 0, 0, -ENOENT } },
	{ O_RDWR, { -ENOENT, 0, -EISDIR, 0, 0, 0, -ENOENT } },
	{ O_RDWR | O_CREAT, { 0, 0, -EISDIR, 0, 0, 0, 0 } },
	{ O_RDONLY | O_CREAT | O_NONBLOCK, { 0, 0, -EISDIR, 0, 0, 0, 0 } },
	{ O_RDWR | O_CREAT | O_EXCL,
	  { 0, -EEXIST, -EEXIST, -EEXIST, -EEXIST, -EEXIST, -EEXIST } },
	{ O_RDWR | O_CREAT | O_TRUNC, { 0, 0, -EISDIR, 0, 0, 0, 0 } },
	{ O_RDWR | O_TRUNC, { -ENOENT, 0, -EISDIR, 0, 0, 0, -ENOENT } },
	{ O_RDONLY | O_NOFOLLOW | O_NONBLOCK, { -ENOENT, 0, 0, 0, 0, -ELOOP, -ELOOP } },
	{ O_RDWR | O_CREAT | O_NOFOLLOW, { 0, 0, -EISDIR, 0, 0, -ELOOP, -ELOOP } },
	{ O_RDONLY | O_DIRECTORY,
	  { -ENOENT, -ENOTDIR, 0, -ENOTDIR, -ENOTDIR, -ENOTDIR, -ENOENT } },
};

/* The name is opened, and what the answer should be; then it is what it is said to be. */
static void try_open(struct kunit *test, unsigned int k, enum kind kind, const char *when)
{
	int flags = opens[k].flags, want = opens[k].want[kind];
	struct file *file = open_name(test, "name", flags);
	struct llc_inode *i;

	KUNIT_EXPECT_EQ_MSG(test, PTR_ERR_OR_ZERO(file), want, "flags %o, %s, %s", flags,
			    kind_names[kind], when);
	if (IS_ERR(file)) {
		expect_closed(test);
		return;
	}
	i = fake_find(fake.root, kind == LINK ? "there" : kind == DANGLING ? "nowhere" : "name");
	KUNIT_EXPECT_NOT_ERR_OR_NULL(test, i);
	if (i) {
		KUNIT_EXPECT_EQ_MSG(test, (u64)file_inode(file)->i_ino, i->server.ino,
				    "flags %o, %s, %s", flags, kind_names[kind], when);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_mode & S_IFMT, i->server.mode & S_IFMT);
	}
	KUNIT_EXPECT_EQ_MSG(test, !!(file->f_mode & FMODE_CREATED),
			    kind == NONE || kind == DANGLING, "flags %o, %s, %s", flags,
			    kind_names[kind], when);
	close_file(test, file);
	expect_closed(test);
}

static void opens_of_what_was_never_seen(struct kunit *test)
{
	unsigned int k;
	enum kind kind;

	for (k = 0; k < ARRAY_SIZE(opens); k++)
		for (kind = NONE; kind < KINDS; kind++) {
			make_kind(kind, "name");
			try_open(test, k, kind, "never seen");
			remove_all("name");
		}
}

static void opens_of_what_is_known(struct kunit *test)
{
	unsigned int k;
	enum kind kind;

	for (k = 0; k < ARRAY_SIZE(opens); k++)
		for (kind = NONE; kind < KINDS; kind++) {
			make_kind(kind, "name");
			look(test, "name");
			try_open(test, k, kind, "known");
			remove_all("name");
		}
}

/* What is known of the name is no longer true: it was something else. */
static void opens_of_what_was_something_else(struct kunit *test)
{
	enum kind kind, before;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(opens); k++)
		for (kind = NONE; kind < KINDS; kind++)
			for (before = NONE; before < KINDS; before++) {
				make_kind(before, "name");
				look(test, "name");
				remove_all("name");
				make_kind(kind, "name");
				try_open(test, k, kind, kind_names[before]);
				remove_all("name");
			}
}

static enum kind appearing;

static void appear(struct llc_inode *dir)
{
	make_kind(appearing, "name");
}

/* Fault 22 of issue 12: it is made by another client between our lookup and our create. */
static void opens_of_what_appears(struct kunit *test)
{
	unsigned int k, known;

	for (k = 0; k < ARRAY_SIZE(opens); k++)
		for (appearing = FILE; appearing < KINDS; appearing++)
			for (known = 0; known < 2; known++) {
				if (!(opens[k].flags & O_CREAT))
					continue;
				if (known)
					KUNIT_EXPECT_EQ(test, look(test, "name"), (s64)-ENOENT);
				fake_before(FAKE_open_create, 0, appear);
				try_open(test, k, appearing, "made meanwhile");
				remove_all("name");
			}
}

static void vanish(struct llc_inode *dir)
{
	remove_all("name");
}

static void opens_of_what_vanishes(struct kunit *test)
{
	unsigned int k;
	enum kind kind;

	for (k = 0; k < ARRAY_SIZE(opens); k++)
		for (kind = FILE; kind <= DEVICE; kind++) {
			if (opens[k].flags & O_EXCL)
				continue;
			make_kind(kind, "name");
			fake_before(FAKE_open_create, 0, vanish);
			if (opens[k].flags & O_DIRECTORY)
				fake_before(FAKE_lookup, 0, vanish);
			try_open(test, k, NONE, "removed meanwhile");
			fake_before(FAKE_open_create, 0, NULL);
			remove_all("name");
		}
}

/* It has a dentry, and another file is behind the name before the open reaches the MDT. */
static void replace(struct llc_inode *i)
{
	remove_all("name");
	make_kind(FILE, "name");
}

static void opens_of_what_is_replaced(struct kunit *test)
{
	make_kind(FILE, "name");
	look(test, "name");
	fake_before(FAKE_open, 0, replace);
	try_open(test, 2, FILE, "replaced before the open");
	fake_before(FAKE_open_create, 0, replace);
	try_open(test, 3, FILE, "replaced before the create");
}

static void errors_of_opens(struct kunit *test)
{
	static const int errors[] = { -EIO, -ENOSPC, -EACCES, -ENOMEM, -ERESTARTNOINTR,
				      -ERESTARTSYS, -EROFS, -EDQUOT, -ETXTBSY };
	unsigned int k, there;

	for (there = 0; there < 2; there++)
		for (k = 0; k < ARRAY_SIZE(errors); k++) {
			if (there)
				make_kind(FILE, "name");
			fake_fail(FAKE_open_create, 0, 1, errors[k]);
			KUNIT_EXPECT_EQ(test, open_error(test, "name", O_RDWR | O_CREAT),
					errors[k]);
			expect_closed(test);
			try_open(test, 3, there ? FILE : NONE, "after an error");
			fake_fail(FAKE_open, 0, 1, errors[k]);
			fake_fail(FAKE_open_create, 0, 1, errors[k]);
			KUNIT_EXPECT_EQ(test, open_error(test, "name", O_RDWR), errors[k]);
			fake_fail(FAKE_open_create, 0, 0, 0);
			fake_fail(FAKE_open, 0, 0, 0);
			remove_all("name");
		}
}

/* Of a race that is over: once more. */
static void answers_that_are_over(struct kunit *test)
{
	static const int answers[] = { -ESTALE, -EISDIR, -ELOOP };
	unsigned int k;

	for (k = 0; k < 2 * ARRAY_SIZE(answers); k++) {
		make_kind(FILE, "name");
		fake_fail(FAKE_open_create, 0, 1, answers[k / 2]);
		try_open(test, k % 2 ? 2 : 3, FILE, "after an answer that is over");
		remove_all("name");
	}
}

/* An open that is refused for its flags makes nothing. */
static void refused_opens_make_nothing(struct kunit *test)
{
	const struct cred *root;
	char name[NAME_MAX + 2];

	KUNIT_EXPECT_EQ(test, open_error(test, "name", O_RDWR | O_CREAT | O_DIRECT), -EINVAL);
	KUNIT_EXPECT_NULL(test, fake_find(fake.root, "name"));
	memset(name, 'n', NAME_MAX + 1);
	name[NAME_MAX + 1] = 0;
	KUNIT_EXPECT_EQ(test, open_error(test, name, O_RDWR | O_CREAT), -ENAMETOOLONG);
	KUNIT_EXPECT_EQ(test, do_mkdir(test, name, 0755), -ENAMETOOLONG);
	name[NAME_MAX] = 0;
	KUNIT_EXPECT_EQ(test, open_error(test, name, O_RDWR | O_CREAT), 0);
	root = become_user(test, 1000);
	KUNIT_EXPECT_EQ(test, open_error(test, "name", O_RDWR | O_CREAT), -EACCES);
	become_root(root);
	KUNIT_EXPECT_NULL(test, fake_find(fake.root, "name"));
	expect_closed(test);
}

static void permissions_are_of_the_file(struct kunit *test)
{
	struct llc_inode *i = make_kind(FILE, "name");
	const struct cred *root;

	i->server.mode = S_IFREG | 0600;
	root = become_user(test, 1000);
	KUNIT_EXPECT_EQ(test, open_error(test, "name", O_RDWR), -EACCES);
	expect_closed(test);
	fake_other_changes(i, S_IFREG | 0644, 0);
	KUNIT_EXPECT_EQ(test, open_error(test, "name", O_RDONLY), 0);
	KUNIT_EXPECT_EQ(test, open_error(test, "name", O_RDWR), -EACCES);
	fake_other_changes(fake.root, S_IFDIR | 0777, 0);
	/* Its mode does not count for who has made it. */
	KUNIT_EXPECT_EQ(test, open_error(test, "name", O_RDWR | O_CREAT), -EACCES);
	KUNIT_EXPECT_EQ(test, open_error(test, "mine", O_RDWR | O_CREAT), 0);
	become_root(root);
	KUNIT_EXPECT_EQ(test, fake.last_create.uid, 1000u);
	expect_closed(test);
}

static void a_truncation_that_fails_at_open(struct kunit *test)
{
	struct llc_inode *i = fake_make_file(fake.root, "name", 5000, 1);

	fake_fail(FAKE_setattr, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, open_error(test, "name", O_RDWR | O_CREAT | O_TRUNC), -EIO);
	expect_closed(test);
	KUNIT_EXPECT_EQ(test, i->server.size, 5000ull);
	KUNIT_EXPECT_EQ(test, open_error(test, "name", O_RDWR | O_TRUNC), 0);
	KUNIT_EXPECT_EQ(test, i->server.size, 0ull);
}

/* ---- what is believed of a name */

static void names_are_believed_under_their_epoch(struct kunit *test)
{
	s64 ino, other;

	make_kind(FILE, "name");
	ino = look(test, "name");
	KUNIT_EXPECT_EQ(test, look(test, "name"), ino);
	KUNIT_EXPECT_EQ(test, look(test, "none"), (s64)-ENOENT);
	KUNIT_EXPECT_EQ(test, look(test, "none"), (s64)-ENOENT);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_lookup], 2u);
	fake_lose_inode_lock(fake.root);
	KUNIT_EXPECT_EQ(test, look(test, "name"), ino);
	KUNIT_EXPECT_EQ(test, look(test, "name"), ino);
	KUNIT_EXPECT_EQ(test, look(test, "none"), (s64)-ENOENT);
	KUNIT_EXPECT_EQ(test, look(test, "none"), (s64)-ENOENT);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_lookup], 4u);
	fake_remove(fake.root, "name");
	KUNIT_EXPECT_EQ(test, look(test, "name"), (s64)-ENOENT);
	make_kind(DIR, "name");
	other = look(test, "name");
	KUNIT_EXPECT_GT(test, other, ino);
	remove_all("name");
	make_kind(FILE, "name");
	KUNIT_EXPECT_GT(test, look(test, "name"), other);
	make_kind(FILE, "none");
	KUNIT_EXPECT_GT(test, look(test, "none"), other);
}

static void names_are_not_believed_without_an_answer(struct kunit *test)
{
	s64 ino;

	make_kind(FILE, "name");
	ino = look(test, "name");
	fake_fail(FAKE_dir_epoch, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, look(test, "name"), (s64)-EIO);
	fake_lose_inode_lock(fake.root);
	fake_fail(FAKE_lookup, 0, 1, -ERESTARTNOINTR);
	KUNIT_EXPECT_EQ(test, look(test, "name"), (s64)-ERESTARTNOINTR);
	fake_fail(FAKE_lookup, 0, 1, -ESTALE);
	KUNIT_EXPECT_EQ(test, look(test, "name"), ino);
	KUNIT_EXPECT_EQ(test, look(test, "name"), ino);
}

struct listing {
	struct dir_context ctx;
	unsigned int count, left;
	u64 inos;
};

static bool list_entry_of(struct dir_context *ctx, const char *name, int len, loff_t pos, u64 ino,
			  unsigned int type)
{
	struct listing *l = container_of(ctx, struct listing, ctx);

	if (!l->left)
		return false;
	l->left--;
	l->count++;
	l->inos += ino;
	return true;
}

/* In pieces, as getdents(2) reads: every entry once. */
static void directories_are_listed(struct kunit *test)
{
	struct listing l = { .ctx.actor = list_entry_of };
	unsigned int k, piece;
	struct file *dir;
	char name[8];
	u64 inos = 2 * fake.root->server.ino;

	for (k = 0; k < 50; k++) {
		snprintf(name, sizeof(name), "f%u", k);
		inos += make_kind(k % 2 ? FILE : DIR, name)->server.ino;
	}
	dir = open_ok(test, ".", O_RDONLY | O_DIRECTORY);
	for (piece = 1; piece < 60; piece += 7) {
		l.count = l.inos = 0;
		KUNIT_EXPECT_EQ(test, vfs_llseek(dir, 0, SEEK_SET), 0ll);
		do {
			k = l.count;
			l.left = piece;
			KUNIT_EXPECT_EQ(test, iterate_dir(dir, &l.ctx), 0);
		} while (l.count > k);
		KUNIT_EXPECT_EQ(test, l.count, 52u);
		KUNIT_EXPECT_EQ(test, l.inos, inos);
	}
	fake_fail(FAKE_readdir, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, vfs_llseek(dir, 0, SEEK_SET), 0ll);
	l.left = 100;
	KUNIT_EXPECT_EQ(test, iterate_dir(dir, &l.ctx), -EIO);
}

/* Fault 9 of issue 12: what another client has removed is not there, as on one machine. */
static void a_directory_removed_under_ones_feet(struct kunit *test)
{
	struct listing l = { .ctx.actor = list_entry_of, .left = 100 };
	struct file *dir, *file;
	struct kstat stat;

	make_kind(DIR, "dir");
	dir = open_ok(test, "dir", O_RDONLY | O_DIRECTORY);
	fake_remove(fake.root, "dir");
	KUNIT_EXPECT_EQ(test, open_error(test, "dir", O_RDONLY), -ENOENT);
	KUNIT_EXPECT_EQ(test, open_error(test, "dir/x", O_RDWR | O_CREAT), -ENOENT);
	file = file_open_root(&dir->f_path, "x", O_RDWR | O_CREAT, 0644);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(file), -ENOENT);
	file = file_open_root(&dir->f_path, "x", O_RDONLY, 0);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(file), -ENOENT);
	KUNIT_EXPECT_EQ(test, vfs_getattr(&dir->f_path, &stat, STATX_BASIC_STATS, 0), 0);
	KUNIT_EXPECT_EQ(test, stat.nlink, 0u);
	fake_fail(FAKE_readdir, 0, 1, -ESTALE);
	iterate_dir(dir, &l.ctx);
	KUNIT_EXPECT_LE(test, l.count, 2u);
	KUNIT_EXPECT_EQ(test, do_rmdir(test, "dir"), -ENOENT);
	KUNIT_EXPECT_EQ(test, do_unlink(test, "dir"), -ENOENT);
}

/* ---- making, moving, removing */

static void things_are_made(struct kunit *test)
{
	struct kstat stat;

	KUNIT_EXPECT_EQ(test, do_mkdir(test, "dir", 0750), 0);
	KUNIT_EXPECT_EQ(test, do_mkdir(test, "dir", 0750), -EEXIST);
	KUNIT_EXPECT_EQ(test, do_mknod(test, "fifo", S_IFIFO | 0600, 0), 0);
	KUNIT_EXPECT_EQ(test, do_mknod(test, "null", S_IFCHR | 0666, MKDEV(1, 3)), 0);
	KUNIT_EXPECT_EQ(test, do_mknod(test, "file", S_IFREG | 0600, 0), 0);
	KUNIT_EXPECT_EQ(test, do_symlink(test, "link", "file"), 0);
	KUNIT_EXPECT_EQ(test, do_stat(test, "dir", &stat), 0);
	KUNIT_EXPECT_EQ(test, stat.mode, S_IFDIR | 0750);
	KUNIT_EXPECT_EQ(test, do_stat(test, "null", &stat), 0);
	KUNIT_EXPECT_EQ(test, stat.rdev, MKDEV(1, 3));
	KUNIT_EXPECT_EQ(test, do_stat(test, "link", &stat), 0);
	KUNIT_EXPECT_EQ(test, stat.mode, S_IFLNK | 0777);
	KUNIT_EXPECT_EQ(test, stat.size, 4ll);
	KUNIT_EXPECT_EQ(test, open_error(test, "link", O_RDWR), 0);
	fake_fail(FAKE_readlink, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, open_error(test, "link", O_RDWR), -EIO);
	/* What others have made meanwhile. */
	KUNIT_EXPECT_EQ(test, look(test, "other"), (s64)-ENOENT);
	make_kind(FILE, "other");
	KUNIT_EXPECT_EQ(test, do_mkdir(test, "other", 0700), -EEXIST);
	/* A directory's group is inherited with its bit. */
	fake_other_changes(fake.root, S_IFDIR | S_ISGID | 0777, 0);
	fake.root->server.gid = 77;
	KUNIT_EXPECT_EQ(test, do_mkdir(test, "sub", 0755), 0);
	KUNIT_EXPECT_EQ(test, fake.last_create.gid, 77u);
	KUNIT_EXPECT_EQ(test, fake.last_create.mode, (u32)(S_IFDIR | S_ISGID | 0755));
	KUNIT_EXPECT_EQ(test, do_mknod(test, "its", S_IFREG | 0644, 0), 0);
	KUNIT_EXPECT_EQ(test, fake.last_create.gid, 77u);
	KUNIT_EXPECT_EQ(test, fake.last_create.mode, (u32)(S_IFREG | 0644));
	fake_fail(FAKE_create, 0, 1, -ENOSPC);
	KUNIT_EXPECT_EQ(test, do_mkdir(test, "no", 0755), -ENOSPC);
	KUNIT_EXPECT_EQ(test, look(test, "no"), (s64)-ENOENT);
}

static void links_and_their_count(struct kunit *test)
{
	struct kstat stat;
	s64 ino;

	make_kind(FILE, "one");
	ino = look(test, "one");
	KUNIT_EXPECT_EQ(test, do_link(test, "one", "two"), 0);
	KUNIT_EXPECT_EQ(test, do_link(test, "one", "two"), -EEXIST);
	KUNIT_EXPECT_EQ(test, look(test, "two"), ino);
	KUNIT_EXPECT_EQ(test, do_stat(test, "two", &stat), 0);
	KUNIT_EXPECT_EQ(test, stat.nlink, 2u);
	KUNIT_EXPECT_EQ(test, do_unlink(test, "one"), 0);
	KUNIT_EXPECT_EQ(test, do_stat(test, "two", &stat), 0);
	KUNIT_EXPECT_EQ(test, stat.nlink, 1u);
	KUNIT_EXPECT_EQ(test, do_unlink(test, "one"), -ENOENT);
	fake_fail(FAKE_link, 0, 1, -EMLINK);
	KUNIT_EXPECT_EQ(test, do_link(test, "two", "three"), -EMLINK);
	KUNIT_EXPECT_EQ(test, look(test, "three"), (s64)-ENOENT);
	fake_fail(FAKE_unlink, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, do_unlink(test, "two"), -EIO);
	KUNIT_EXPECT_EQ(test, look(test, "two"), ino);
	/* Removed by another client: not stale, not there. */
	fake_remove(fake.root, "two");
	KUNIT_EXPECT_EQ(test, do_unlink(test, "two"), -ENOENT);
}

static void renames_move_names(struct kunit *test)
{
	s64 one, two;

	make_kind(FILE, "one");
	make_kind(FILE, "two");
	one = look(test, "one");
	two = look(test, "two");
	KUNIT_EXPECT_EQ(test, do_rename(test, "one", "two", RENAME_NOREPLACE), -EEXIST);
	KUNIT_EXPECT_EQ(test, do_rename(test, "one", "two", RENAME_EXCHANGE), -EINVAL);
	fake_fail(FAKE_rename, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, do_rename(test, "one", "two", 0), -EIO);
	KUNIT_EXPECT_EQ(test, look(test, "one"), one);
	KUNIT_EXPECT_EQ(test, look(test, "two"), two);
	KUNIT_EXPECT_EQ(test, do_rename(test, "one", "two", 0), 0);
	KUNIT_EXPECT_EQ(test, look(test, "one"), (s64)-ENOENT);
	KUNIT_EXPECT_EQ(test, look(test, "two"), one);
	KUNIT_EXPECT_EQ(test, do_rename(test, "two", "three", RENAME_NOREPLACE), 0);
	KUNIT_EXPECT_EQ(test, look(test, "two"), (s64)-ENOENT);
	KUNIT_EXPECT_EQ(test, look(test, "three"), one);
	make_kind(DIR, "dir");
	make_kind(DIR, "empty");
	KUNIT_EXPECT_EQ(test, do_rename(test, "dir", "empty", 0), 0);
	KUNIT_EXPECT_EQ(test, do_rename(test, "three", "empty", 0), -EISDIR);
	KUNIT_EXPECT_EQ(test, do_rename(test, "empty", "three", 0), -ENOTDIR);
	fake_remove(fake.root, "three");
	KUNIT_EXPECT_EQ(test, do_rename(test, "three", "one", 0), -ENOENT);
}

/* A rename between directories finds what another client has moved, with the VFS's mutex of such
 * renames, which the VFS itself wants to move our old dentry. */
static void what_others_moved_is_found(struct kunit *test)
{
	struct dentry *root = llite(test)->mnt->mnt_root, *dir, *found;
	struct llc_inode *d = fake_make(fake.root, "d", S_IFDIR | 0755);
	struct llc_inode *f = fake_make(d, "f", S_IFDIR | 0755);

	fake_make(f, "in_it", S_IFREG | 0644);
	KUNIT_EXPECT_GT(test, look(test, "d/f/in_it"), 0ll);
	fake_other_moves(d, "f", fake.root, "c");
	dir = lookup_one_len_unlocked("d", root, 1);
	KUNIT_ASSERT_FALSE(test, IS_ERR(dir));
	lock_rename(root, dir);
	found = lookup_one_len("c", root, 1);
	unlock_rename(root, dir);
	KUNIT_EXPECT_FALSE(test, IS_ERR(found));
	if (!IS_ERR(found)) {
		KUNIT_EXPECT_TRUE(test, d_is_dir(found));
		dput(found);
	}
	dput(dir);
	KUNIT_EXPECT_EQ(test, look(test, "d/f"), (s64)-ENOENT);
	KUNIT_EXPECT_GT(test, look(test, "c/in_it"), 0ll);
}

/* ---- files without a name */

static struct llc_inode *write_file(struct kunit *test, struct file **file, u32 seed)
{
	*file = open_ok(test, "name", O_RDWR | O_CREAT);
	write_pattern(test, *file, 0, 5000, seed);
	return fake_find(fake.root, "name");
}

static void sync_it(struct kunit *test)
{
	struct super_block *sb = llite(test)->mnt->mnt_sb;

	down_read(&sb->s_umount);
	sync_filesystem(sb);
	up_read(&sb->s_umount);
}

/* Nobody will read it: its pages are dropped with it. */
static void unlinked_and_unused(struct kunit *test)
{
	struct file *file;
	struct llc_inode *i = write_file(test, &file, 1);
	struct kstat stat;

	KUNIT_EXPECT_EQ(test, do_unlink(test, "name"), 0);
	expect_pattern(test, file, 0, 5000, 1);
	write_pattern(test, file, 5000, 100, 1);
	expect_pattern(test, file, 0, 5100, 1);
	KUNIT_EXPECT_EQ(test, vfs_getattr(&file->f_path, &stat, STATX_BASIC_STATS, 0), 0);
	KUNIT_EXPECT_EQ(test, stat.nlink, 0u);
	KUNIT_EXPECT_EQ(test, close_file(test, file), 0);
	KUNIT_EXPECT_NULL(test, i->host);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 0u);
	KUNIT_EXPECT_EQ(test, fake.writes_count, 0u);
}

/* Fault 2 of issue 12: another client has it open, so that its dirty pages are written. */
static void unlinked_and_open_elsewhere(struct kunit *test)
{
	struct file *file;
	struct llc_inode *i = write_file(test, &file, 2);

	i->open_elsewhere = true;
	KUNIT_EXPECT_EQ(test, do_unlink(test, "name"), 0);
	KUNIT_EXPECT_EQ(test, close_file(test, file), 0);
	fake_lose_lock(i, 0, U64_MAX, false);
	expect_stored(test, i, 0, 5000, 2);
	KUNIT_EXPECT_EQ(test, i->server.size, 5000ull);

	i = write_file(test, &file, 3);
	i->open_elsewhere = true;
	close_file(test, file);
	KUNIT_EXPECT_EQ(test, do_unlink(test, "name"), 0);
	sync_it(test);
	expect_stored(test, i, 0, 5000, 3);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 0u);
}

static void unlinked_and_linked_elsewhere(struct kunit *test)
{
	struct file *file;
	struct llc_inode *i = write_file(test, &file, 4);

	close_file(test, file);
	fake_other_links(i, fake.root, "second");
	KUNIT_EXPECT_EQ(test, do_unlink(test, "name"), 0);
	file = open_ok(test, "second", O_RDONLY);
	expect_pattern(test, file, 0, 5000, 4);
	fake_lose_lock(i, 0, U64_MAX, false);
	expect_stored(test, i, 0, 5000, 4);
}

static void replaced_and_open_elsewhere(struct kunit *test)
{
	struct file *file;
	struct llc_inode *i = write_file(test, &file, 5);

	i->open_elsewhere = true;
	close_file(test, file);
	make_kind(FILE, "new");
	KUNIT_EXPECT_EQ(test, do_rename(test, "new", "name", 0), 0);
	sync_it(test);
	expect_stored(test, i, 0, 5000, 5);

	i = write_file(test, &file, 6);
	close_file(test, file);
	make_kind(FILE, "new");
	KUNIT_EXPECT_EQ(test, do_rename(test, "new", "name", 0), 0);
	KUNIT_EXPECT_NULL(test, i->host);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 0u);
}

/* Removed by another client while we have it open: still ours to use. */
static void removed_elsewhere_and_open(struct kunit *test)
{
	struct file *file;
	struct llc_inode *i = write_file(test, &file, 7);
	struct kstat stat;

	fake_remove(fake.root, "name");
	KUNIT_EXPECT_EQ(test, open_error(test, "name", O_RDWR), -ENOENT);
	KUNIT_EXPECT_EQ(test, vfs_getattr(&file->f_path, &stat, STATX_BASIC_STATS, 0), 0);
	KUNIT_EXPECT_EQ(test, stat.nlink, 0u);
	KUNIT_EXPECT_EQ(test, stat.size, 5000ll);
	expect_pattern(test, file, 0, 5000, 7);
	KUNIT_EXPECT_EQ(test, vfs_fsync(file, 0), 0);
	expect_stored(test, i, 0, 5000, 7);
}

/* What the last close of a mount leaves dirty is written by the unmount: the fake sees grant that
 * is lost. */
static void the_unmount_writes_what_is_dirty(struct kunit *test)
{
	struct llite *l = llite(test);
	struct file *file;
	struct llc_inode *i = write_file(test, &file, 8);

	close_file(test, file);
	KUNIT_EXPECT_EQ(test, fake_reserved(i), 2u);
	mntput(l->mnt);
	KUNIT_EXPECT_TRUE(test, completion_done(&fake.destroyed));
	expect_stored(test, i, 0, 5000, 8);
	KUNIT_EXPECT_EQ(test, i->server.size, 5000ull);
	l->mnt = NULL;
}

/* ---- the mount */

static void statfs_is_the_cores(struct kunit *test)
{
	struct path path = { .mnt = llite(test)->mnt, .dentry = llite(test)->mnt->mnt_root };
	struct kstatfs s;

	fake.statfs = (struct llc_statfs){ 100 << 20, 50 << 20, 40 << 20, 1000, 900, 4096, 255 };
	KUNIT_EXPECT_EQ(test, vfs_statfs(&path, &s), 0);
	KUNIT_EXPECT_EQ(test, s.f_bsize, 4096l);
	KUNIT_EXPECT_EQ(test, s.f_blocks, 25600ull);
	KUNIT_EXPECT_EQ(test, s.f_bfree, 12800ull);
	KUNIT_EXPECT_EQ(test, s.f_bavail, 10240ull);
	KUNIT_EXPECT_EQ(test, s.f_files, 1000ull);
	KUNIT_EXPECT_EQ(test, s.f_ffree, 900ull);
	KUNIT_EXPECT_EQ(test, s.f_namelen, 255l);
	fake_fail(FAKE_statfs, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, vfs_statfs(&path, &s), -EIO);
}

static void mounts_that_fail(struct kunit *test)
{
	struct file_system_type *type = llite(test)->mnt->mnt_sb->s_type;
	static const enum fake_call calls[] = { FAKE_mount, FAKE_root };
	struct vfsmount *mnt;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(calls); k++) {
		fake_fail(calls[k], 0, 1, -ETIMEDOUT);
		mnt = vfs_kern_mount(type, SB_KERNMOUNT, "192.0.2.1@tcp:/kunit", NULL);
		KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(mnt), -ETIMEDOUT);
		KUNIT_EXPECT_EQ(test, fake.mounts, 1u);
		KUNIT_EXPECT_EQ(test, fake.nodes, 1u);
	}
	mnt = vfs_kern_mount(type, SB_KERNMOUNT, "/dev/none", NULL); /* a target: no such face */
	KUNIT_EXPECT_TRUE(test, IS_ERR(mnt));
	mnt = vfs_kern_mount(type, SB_KERNMOUNT, "", NULL);
	KUNIT_EXPECT_TRUE(test, IS_ERR(mnt));
	KUNIT_EXPECT_EQ(test, open_error(test, "name", O_RDWR | O_CREAT), 0);
}

/* The mount may be busy, and then it goes on. */
static void umount_f_interrupts(struct kunit *test)
{
	struct super_block *sb = llite(test)->mnt->mnt_sb;

	sb->s_op->umount_begin(sb);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_interrupt], 1u);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_force], 0u);
	KUNIT_EXPECT_EQ(test, open_error(test, "name", O_RDWR | O_CREAT), 0);
}

static void said_to_be(struct llc_inode *i, u32 mode, u32 rdev)
{
	fake_other_changes(i, mode, 0);
	i->server.rdev = rdev;
	fake_lose_inode_lock(fake.root);
}

/* Nothing that is said of an inode makes it another thing (the core refuses that already): "nodev"
 * and the driver's name were looked at when it was made. */
static void an_inode_keeps_its_type_and_device(struct kunit *test)
{
	static const struct {
		enum kind kind;
		u32 mode;
		dev_t dev;
	} lies[] = {
		{ FILE, S_IFCHR | 0666, MKDEV(1, 3) }, { FILE, S_IFBLK | 0666, MKDEV(7, 0) },
		{ FILE, S_IFDIR | 0755, 0 },	       { FILE, S_IFLNK | 0777, 0 },
		{ DIR, S_IFREG | 0644, 0 },	       { FIFO, S_IFCHR | 0666, MKDEV(1, 3) },
		{ DEVICE, S_IFCHR | 0666, MKDEV(1, 1) }, { DEVICE, S_IFREG | 0644, 0 },
	};
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(lies); k++) {
		struct llc_inode *i = make_kind(lies[k].kind, "name");
		u32 mode = i->server.mode, rdev = i->server.rdev;
		struct iattr to = { .ia_valid = ATTR_MODE, .ia_mode = 0600 };
		struct inode *inode;
		struct kstat stat;
		struct path path;
		dev_t dev;
		int err = get_path(test, "name", O_NOFOLLOW, &path);

		KUNIT_ASSERT_EQ(test, err, 0);
		inode = d_inode(path.dentry);
		dev = inode->i_rdev;
		said_to_be(i, lies[k].mode, new_encode_dev(lies[k].dev));
		KUNIT_EXPECT_EQ_MSG(test, vfs_getattr(&path, &stat, STATX_BASIC_STATS, 0), -ESTALE,
				    "lie %u", k);
		KUNIT_EXPECT_EQ_MSG(test, look(test, "name"), (s64)-ESTALE, "lie %u", k);
		KUNIT_EXPECT_EQ_MSG(test, open_error(test, "name", O_RDONLY | O_NONBLOCK), -ESTALE,
				    "lie %u", k);
		KUNIT_EXPECT_EQ_MSG(test, do_setattr(test, "name", &to), -ESTALE, "lie %u", k);
		KUNIT_EXPECT_EQ_MSG(test, (u32)inode->i_mode, mode, "lie %u", k);
		KUNIT_EXPECT_EQ_MSG(test, inode->i_rdev, dev, "lie %u", k);
		KUNIT_EXPECT_EQ(test, fake.open_files, 0u);
		said_to_be(i, mode, rdev);
		KUNIT_EXPECT_EQ_MSG(test, vfs_getattr(&path, &stat, STATX_BASIC_STATS, 0), 0,
				    "lie %u", k);
		path_put(&path);
		remove_all("name");
	}
}

static void layouts_are_texts(struct kunit *test)
{
	struct dentry *root = llite(test)->mnt->mnt_root;
	char text[64];

	KUNIT_EXPECT_EQ(test, vfs_getxattr(LULL_NOP_IDMAP, root, "lull.layout", text, sizeof(text)),
			(ssize_t)34);
	KUNIT_EXPECT_EQ(test, memcmp(text, "stripe_count=1", 14), 0);
	KUNIT_EXPECT_EQ(test, vfs_getxattr(LULL_NOP_IDMAP, root, "lull.layout", text, 5),
			(ssize_t)-ERANGE);
	KUNIT_EXPECT_EQ(test, vfs_setxattr(LULL_NOP_IDMAP, root, "lull.layout", "stripe_count=2",
					   14, 0), 0);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_layout_set], 1u);
	fake_fail(FAKE_layout_set, 0, 1, -EINVAL);
	KUNIT_EXPECT_EQ(test, vfs_setxattr(LULL_NOP_IDMAP, root, "lull.layout", "x", 1, 0),
			-EINVAL);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(opens_of_what_was_never_seen),
	KUNIT_CASE(opens_of_what_is_known),
	KUNIT_CASE(opens_of_what_was_something_else),
	KUNIT_CASE(opens_of_what_appears),
	KUNIT_CASE(opens_of_what_vanishes),
	KUNIT_CASE(opens_of_what_is_replaced),
	KUNIT_CASE(errors_of_opens),
	KUNIT_CASE(answers_that_are_over),
	KUNIT_CASE(refused_opens_make_nothing),
	KUNIT_CASE(permissions_are_of_the_file),
	KUNIT_CASE(a_truncation_that_fails_at_open),
	KUNIT_CASE(names_are_believed_under_their_epoch),
	KUNIT_CASE(names_are_not_believed_without_an_answer),
	KUNIT_CASE(directories_are_listed),
	KUNIT_CASE(a_directory_removed_under_ones_feet),
	KUNIT_CASE(things_are_made),
	KUNIT_CASE(links_and_their_count),
	KUNIT_CASE(renames_move_names),
	KUNIT_CASE(what_others_moved_is_found),
	KUNIT_CASE(unlinked_and_unused),
	KUNIT_CASE(unlinked_and_open_elsewhere),
	KUNIT_CASE(unlinked_and_linked_elsewhere),
	KUNIT_CASE(replaced_and_open_elsewhere),
	KUNIT_CASE(removed_elsewhere_and_open),
	KUNIT_CASE(the_unmount_writes_what_is_dirty),
	KUNIT_CASE(statfs_is_the_cores),
	KUNIT_CASE(mounts_that_fail),
	KUNIT_CASE(umount_f_interrupts),
	KUNIT_CASE(an_inode_keeps_its_type_and_device),
	KUNIT_CASE(layouts_are_texts),
	{}
};

struct kunit_suite llite_names_suite = {
	.name = "lull_llite_names",
	.init = llite_kunit_init,
	.exit = llite_kunit_exit,
	.test_cases = cases,
};
