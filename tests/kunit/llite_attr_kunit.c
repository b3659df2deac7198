// SPDX-License-Identifier: GPL-2.0-only
/* Attributes, and file locks: what is asked of the core, and what is believed of its answers. */
#include <linux/sizes.h>

#include "tests/kunit/llite_fixture.h"
#include "tests/kunit/suites.h"

#define USER 1000

static struct llc_inode *make_file(struct kunit *test, u32 mode, u32 uid)
{
	struct llc_inode *i = fake_make_file(fake.root, "file", 100, 1);

	KUNIT_ASSERT_NOT_NULL(test, i);
	i->server.mode = S_IFREG | mode;
	i->server.uid = i->server.gid = uid;
	return i;
}

static int change(struct kunit *test, unsigned int valid, struct iattr attr)
{
	attr.ia_valid = valid;
	return do_setattr(test, "file", &attr);
}

static int chmod_file(struct kunit *test, umode_t mode)
{
	return change(test, ATTR_MODE | ATTR_CTIME, (struct iattr){ .ia_mode = S_IFREG | mode });
}

/* As chown(2) does. */
static int chown_file(struct kunit *test, u32 uid)
{
	return change(test, ATTR_UID | ATTR_CTIME | ATTR_KILL_SUID | ATTR_KILL_SGID |
		      ATTR_KILL_PRIV, (struct iattr){ .ia_uid = KUIDT_INIT(uid) });
}

static umode_t mode_of(struct kunit *test)
{
	struct kstat stat;

	KUNIT_EXPECT_EQ(test, do_stat(test, "file", &stat), 0);
	return stat.mode;
}

static void chmod_and_chown(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 0644, 0);
	struct kstat stat;

	KUNIT_EXPECT_EQ(test, chmod_file(test, 0751), 0);
	KUNIT_EXPECT_EQ(test, fake.last_valid & ~(LLC_CTIME | LLC_ATIME_NOW | LLC_MTIME_NOW),
			LLC_MODE + 0u);
	KUNIT_EXPECT_EQ(test, i->server.mode, (u32)(S_IFREG | 0751));
	KUNIT_EXPECT_EQ(test, chown_file(test, 7), 0);
	KUNIT_EXPECT_EQ(test, change(test, ATTR_GID | ATTR_CTIME,
				     (struct iattr){ .ia_gid = KGIDT_INIT(8) }), 0);
	KUNIT_EXPECT_EQ(test, do_stat(test, "file", &stat), 0);
	KUNIT_EXPECT_EQ(test, stat.mode, S_IFREG | 0751);
	KUNIT_EXPECT_EQ(test, stat.uid.val, 7u);
	KUNIT_EXPECT_EQ(test, stat.gid.val, 8u);
}

/* Fault 8 of issue 12: a chown takes the set-id bits, and rewrites no mode that may be stale. */
static void chown_keeps_the_mode_that_is(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 06755, 0);

	KUNIT_EXPECT_EQ(test, mode_of(test), S_IFREG | 06755);
	KUNIT_EXPECT_EQ(test, chown_file(test, 7), 0);
	KUNIT_EXPECT_FALSE(test, fake.last_valid & LLC_MODE);
	KUNIT_EXPECT_TRUE(test, fake.last_valid & LLC_KILL_SUID);
	KUNIT_EXPECT_EQ(test, i->server.mode, (u32)(S_IFREG | 0755));
	KUNIT_EXPECT_EQ(test, mode_of(test), S_IFREG | 0755);
	fake_other_changes(i, S_IFREG | 04700, 7);
	KUNIT_EXPECT_EQ(test, chown_file(test, 8), 0);
	KUNIT_EXPECT_EQ(test, i->server.mode, (u32)(S_IFREG | 0700));
}

static void change_mode_there(struct llc_inode *i)
{
	i->server.mode = S_IFREG | 04711;
}

/* The other client's chmod comes between our look and our change. */
static void chown_loses_no_race(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 0644, 0);

	fake_before(FAKE_setattr, 0, change_mode_there);
	KUNIT_EXPECT_EQ(test, chown_file(test, 8), 0);
	KUNIT_EXPECT_EQ(test, i->server.mode & 0777, 0711u);
}

static void links_are_changed_themselves(struct kunit *test)
{
	struct llc_inode *i = fake_make(fake.root, "file", S_IFLNK | 0777);
	struct kstat stat;

	strscpy(i->target, "nowhere", sizeof(i->target));
	KUNIT_EXPECT_EQ(test, chown_file(test, 9), 0);
	KUNIT_EXPECT_EQ(test, do_stat(test, "file", &stat), 0);
	KUNIT_EXPECT_EQ(test, stat.uid.val, 9u);
	KUNIT_EXPECT_EQ(test, stat.mode, S_IFLNK | 0777);
}

static void special_files_are_changed(struct kunit *test)
{
	static const u32 types[] = { S_IFIFO, S_IFCHR, S_IFSOCK, S_IFDIR };
	struct kstat stat;
	unsigned int k;

	for (k = 0; k < ARRAY_SIZE(types); k++) {
		fake_make(fake.root, "file", types[k] | 0600);
		KUNIT_EXPECT_EQ(test, change(test, ATTR_MODE, (struct iattr){ .ia_mode = types[k] |
									      0640 }), 0);
		KUNIT_EXPECT_EQ(test, chown_file(test, 9), 0);
		KUNIT_EXPECT_EQ(test, do_stat(test, "file", &stat), 0);
		KUNIT_EXPECT_EQ(test, stat.mode, types[k] | 0640);
		KUNIT_EXPECT_EQ(test, stat.uid.val, 9u);
		fake_remove(fake.root, "file");
	}
}

/* Fault 14 of issue 12: each nanosecond, also before 1970. */
static void times_are_exact(struct kunit *test)
{
	static const struct timespec64 times[] = { { 0, 0 }, { 1, 1 }, { -1, 500000000 },
						   { -1, 999999999 }, { -2, 1 }, { -86400, 0 },
						   { S32_MIN, 0 }, { 5000000000, 999999999 } };
	struct kstat stat;
	unsigned int k;

	make_file(test, 0644, 0);
	for (k = 0; k < ARRAY_SIZE(times); k++) {
		KUNIT_EXPECT_EQ(test, change(test, ATTR_MTIME | ATTR_MTIME_SET,
					     (struct iattr){ .ia_mtime = times[k] }), 0);
		KUNIT_EXPECT_EQ(test, fake.last_valid & (LLC_MTIME | LLC_ATIME), LLC_MTIME + 0u);
		KUNIT_EXPECT_EQ(test, change(test, ATTR_ATIME | ATTR_ATIME_SET,
					     (struct iattr){ .ia_atime = times[k] }), 0);
		KUNIT_EXPECT_EQ(test, fake.last_valid & (LLC_MTIME | LLC_ATIME), LLC_ATIME + 0u);
		fake_lose_inode_lock(fake_find(fake.root, "file"));
		KUNIT_EXPECT_EQ(test, do_stat(test, "file", &stat), 0);
		KUNIT_EXPECT_TRUE(test, timespec64_equal(&stat.mtime, &times[k]));
		KUNIT_EXPECT_TRUE(test, timespec64_equal(&stat.atime, &times[k]));
	}
}

static void a_refused_change_changes_nothing(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 0644, 0);
	unsigned int k;

	for (k = 0; k < 2; k++) {
		fake_fail(k ? FAKE_setattr : FAKE_revalidate, 0, k ? 1 : 2, -EIO);
		KUNIT_EXPECT_EQ(test, chmod_file(test, 0700), -EIO);
		fake_fail(FAKE_revalidate, 0, 0, 0);
		KUNIT_EXPECT_EQ(test, mode_of(test), S_IFREG | 0644);
		KUNIT_EXPECT_EQ(test, i->server.mode, (u32)(S_IFREG | 0644));
	}
	fake_fail(FAKE_setattr, 0, 1, -EDQUOT);
	KUNIT_EXPECT_EQ(test, chown_file(test, 5), -EDQUOT);
	KUNIT_EXPECT_EQ(test, i->server.uid, 0u);
}

/* Who may is decided by the attributes as they are now. */
static void the_owner_is_who_it_is_now(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 0644, 0);
	const struct cred *root;
	int err;

	KUNIT_EXPECT_EQ(test, mode_of(test), S_IFREG | 0644);
	root = become_user(test, USER);
	err = chmod_file(test, 0600);
	KUNIT_EXPECT_EQ(test, err, -EPERM);
	fake_other_changes(i, S_IFREG | 0644, USER);
	KUNIT_EXPECT_EQ(test, chmod_file(test, 0600), 0);
	fake_other_changes(i, S_IFREG | 0600, 0);
	KUNIT_EXPECT_EQ(test, chmod_file(test, 0666), -EPERM);
	KUNIT_EXPECT_EQ(test, open_error(test, "file", O_RDONLY), -EACCES);
	become_root(root);
	KUNIT_EXPECT_EQ(test, i->server.mode, (u32)(S_IFREG | 0600));
}

/* pjdfstest rename/10: the same of the owner that counts in a directory with the sticky bit. */
static void the_owner_counts_in_a_sticky_directory(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 0644, 0), *own;
	const struct cred *root;

	fake_other_changes(fake.root, S_IFDIR | 01777, 0);
	own = fake_make(fake.root, "own", S_IFREG | 0644);
	own->server.uid = USER;
	KUNIT_EXPECT_EQ(test, mode_of(test), S_IFREG | 0644);
	root = become_user(test, USER);
	KUNIT_EXPECT_EQ(test, do_unlink(test, "file"), -EPERM);
	KUNIT_EXPECT_EQ(test, do_rename(test, "file", "other", 0), -EPERM);
	KUNIT_EXPECT_EQ(test, do_rename(test, "own", "file", 0), -EPERM);
	fake_other_changes(i, S_IFREG | 0644, USER);
	KUNIT_EXPECT_EQ(test, do_rename(test, "file", "other", 0), 0);
	fake_other_changes(i, S_IFREG | 0644, 0);
	KUNIT_EXPECT_EQ(test, do_unlink(test, "other"), -EPERM);
	KUNIT_EXPECT_EQ(test, do_rename(test, "own", "other", 0), -EPERM);
	fake_other_changes(i, S_IFREG | 0644, USER);
	KUNIT_EXPECT_EQ(test, do_rename(test, "own", "other", 0), 0);
	fake_other_changes(own, S_IFREG | 0644, 0);
	KUNIT_EXPECT_EQ(test, do_unlink(test, "other"), -EPERM);
	fake_other_changes(own, S_IFREG | 0644, USER);
	KUNIT_EXPECT_EQ(test, do_unlink(test, "other"), 0);
	become_root(root);
}

/* utimensat(2) without times, which follows links. */
static int touch_file(struct kunit *test)
{
	struct iattr attr = { .ia_valid = ATTR_ATIME | ATTR_MTIME | ATTR_CTIME | ATTR_TOUCH };
	struct path path;
	int err = get_path(test, "file", 0, &path);

	if (err)
		return err;
	inode_lock(d_inode(path.dentry));
	err = notify_change(LULL_NOP_IDMAP, path.dentry, &attr, NULL);
	inode_unlock(d_inode(path.dentry));
	path_put(&path);
	return err;
}

/* And before a touch, which an owner may who must not write. */
static void the_owner_may_touch(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 0444, 0);
	const struct cred *root;

	KUNIT_EXPECT_EQ(test, mode_of(test), S_IFREG | 0444);
	root = become_user(test, USER);
	KUNIT_EXPECT_EQ(test, touch_file(test), -EACCES);
	fake_other_changes(i, S_IFREG | 0444, USER);
	KUNIT_EXPECT_EQ(test, touch_file(test), 0);
	fake_other_changes(i, S_IFREG | 0444, 0);
	KUNIT_EXPECT_EQ(test, touch_file(test), -EACCES);
	become_root(root);
}

/* Nor does an owner give its file a group's rights that it does not have. */
static void set_group_id_needs_the_group(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 0644, USER);
	const struct cred *root;

	i->server.gid = USER + 1;
	root = become_user(test, USER);
	KUNIT_EXPECT_EQ(test, chmod_file(test, 02755), 0);
	KUNIT_EXPECT_EQ(test, i->server.mode, (u32)(S_IFREG | 0755));
	become_root(root);
	KUNIT_EXPECT_EQ(test, chmod_file(test, 02755), 0);
	KUNIT_EXPECT_EQ(test, i->server.mode, (u32)(S_IFREG | 02755));
}

/* ---- set-id bits go with an ordinary user's write and truncation */

static void a_users_write_takes_set_id_bits(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 06777, 0);
	struct file *file = open_ok(test, "file", O_RDWR);
	const struct cred *root;

	write_pattern(test, file, 0, 10, 1);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_setattr], 0u); /* root may keep them */
	root = become_user(test, USER);
	write_pattern(test, file, 0, 10, 1);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_setattr], 1u);
	KUNIT_EXPECT_FALSE(test, fake.last_valid & LLC_MODE);
	KUNIT_EXPECT_EQ(test, i->server.mode, (u32)(S_IFREG | 0777));
	write_pattern(test, file, 0, 10, 1);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_setattr], 1u);
	/* Set again by another client. */
	fake_other_changes(i, S_IFREG | 04777, 0);
	write_pattern(test, file, 0, 10, 1);
	KUNIT_EXPECT_EQ(test, i->server.mode, (u32)(S_IFREG | 0777));
	fake_other_changes(i, S_IFREG | 04777, 0);
	fake_fail(FAKE_setattr, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, write_at(file, 0, "abc", 3), (ssize_t)-EIO);
	become_root(root);
}

static void a_users_truncation_takes_set_id_bits(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 06777, 0);
	const struct cred *root = become_user(test, USER);

	KUNIT_EXPECT_EQ(test, do_truncate_path(test, "file", 50), 0);
	KUNIT_EXPECT_TRUE(test, fake.last_valid & LLC_SIZE);
	KUNIT_EXPECT_FALSE(test, fake.last_valid & LLC_MODE);
	KUNIT_EXPECT_EQ(test, i->server.mode, (u32)(S_IFREG | 0777));
	KUNIT_EXPECT_EQ(test, i->server.size, 50ull);
	/* What the VFS knows of the mode is old. */
	fake_other_changes(i, S_IFREG | 04777, 0);
	KUNIT_EXPECT_EQ(test, do_truncate_path(test, "file", 40), 0);
	KUNIT_EXPECT_EQ(test, i->server.mode, (u32)(S_IFREG | 0777));
	become_root(root);
	fake_other_changes(i, S_IFREG | 04777, 0);
	KUNIT_EXPECT_EQ(test, do_truncate_path(test, "file", 30), 0);
	KUNIT_EXPECT_EQ(test, i->server.mode, (u32)(S_IFREG | 04777));
	KUNIT_EXPECT_EQ(test, do_truncate_path(test, ".", 0), -EISDIR);
}

/* ---- stat */

static void the_size_is_asked_for_when_it_is_wanted(struct kunit *test)
{
	struct llc_inode *i = make_file(test, 0644, 0);
	struct file *file = open_ok(test, "file", O_RDWR);
	struct kstat stat;

	KUNIT_EXPECT_EQ(test, vfs_getattr(&file->f_path, &stat, STATX_MODE | STATX_UID, 0), 0);
	KUNIT_EXPECT_FALSE(test, i->size_valid);
	KUNIT_EXPECT_EQ(test, vfs_getattr(&file->f_path, &stat, STATX_BASIC_STATS, 0), 0);
	KUNIT_EXPECT_TRUE(test, i->size_valid);
	KUNIT_EXPECT_EQ(test, stat.size, 100ll);
	/* What is written here counts, before it is written back. */
	write_pattern(test, file, 100, 5000, 1);
	KUNIT_EXPECT_EQ(test, vfs_getattr(&file->f_path, &stat, STATX_BASIC_STATS, 0), 0);
	KUNIT_EXPECT_EQ(test, stat.size, 5100ll);
	fake_other_writes(i, 6000, 1, 1);
	KUNIT_EXPECT_EQ(test, vfs_getattr(&file->f_path, &stat, STATX_BASIC_STATS, 0), 0);
	KUNIT_EXPECT_EQ(test, stat.size, 6001ll);
	fake_fail(FAKE_revalidate, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, vfs_getattr(&file->f_path, &stat, STATX_BASIC_STATS, 0), -EIO);
	/* A stat changes nothing of what is dirty. */
	expect_pattern(test, file, 6000, 1, 1);
}

/* ---- file locks */

static struct file_lock *new_lock(struct kunit *test, struct file *file, int type, loff_t start,
				  loff_t end)
{
	struct file_lock *fl = locks_alloc_lock();

	KUNIT_ASSERT_NOT_NULL(test, fl);
	lull_fl(fl, flags) = FL_POSIX;
	lull_fl(fl, type) = type;
	lull_fl(fl, owner) = test;
	lull_fl(fl, pid) = 4711;
	lull_fl(fl, file) = file;
	fl->fl_start = start;
	fl->fl_end = end;
	return fl;
}

static int set_lock(struct kunit *test, struct file *file, int type, loff_t start, loff_t end)
{
	struct file_lock *fl = new_lock(test, file, type, start, end);
	int err = vfs_lock_file(file, F_SETLK, fl, NULL);

	locks_free_lock(fl);
	return err;
}

/* Does the VFS itself know of a lock of ours there? */
static bool is_recorded(struct kunit *test, struct file *file)
{
	struct file_lock *fl = new_lock(test, file, F_WRLCK, 0, OFFSET_MAX);
	bool found;

	lull_fl(fl, owner) = file; /* another owner than the lock's */
	posix_test_lock(file, fl);
	found = lull_fl(fl, type) != F_UNLCK;
	locks_free_lock(fl);
	return found;
}

static void locks_are_asked_for_and_recorded(struct kunit *test)
{
	struct file *file;

	make_file(test, 0644, 0);
	file = open_ok(test, "file", O_RDWR);
	fake_fail(FAKE_flock_set, 0, 1, -EAGAIN);
	KUNIT_EXPECT_EQ(test, set_lock(test, file, F_WRLCK, 10, 19), -EAGAIN);
	KUNIT_EXPECT_FALSE(test, is_recorded(test, file));
	KUNIT_EXPECT_EQ(test, set_lock(test, file, F_WRLCK, 10, 19), 0);
	KUNIT_EXPECT_EQ(test, fake.last_flock.kind, LLC_FLOCK_POSIX);
	KUNIT_EXPECT_EQ(test, fake.last_flock.type, LLC_FLOCK_EXCLUSIVE);
	KUNIT_EXPECT_EQ(test, fake.last_flock.start, 10ull);
	KUNIT_EXPECT_EQ(test, fake.last_flock.end, 19ull);
	KUNIT_EXPECT_EQ(test, fake.last_flock.pid, 4711u);
	KUNIT_EXPECT_TRUE(test, is_recorded(test, file));
	/* An unlock that the MDT has not answered has not happened. */
	fake_fail(FAKE_flock_set, 0, 1, -EIO);
	KUNIT_EXPECT_EQ(test, set_lock(test, file, F_UNLCK, 0, OFFSET_MAX), -EIO);
	KUNIT_EXPECT_TRUE(test, is_recorded(test, file));
	KUNIT_EXPECT_EQ(test, set_lock(test, file, F_UNLCK, 0, OFFSET_MAX), 0);
	KUNIT_EXPECT_EQ(test, fake.last_flock.type, LLC_FLOCK_UNLOCK);
	KUNIT_EXPECT_EQ(test, fake.last_flock.end, U64_MAX);
	KUNIT_EXPECT_FALSE(test, is_recorded(test, file));
	KUNIT_EXPECT_EQ(test, set_lock(test, file, F_RDLCK, 0, OFFSET_MAX), 0);
	KUNIT_EXPECT_EQ(test, fake.last_flock.type, LLC_FLOCK_SHARED);
	/* A close releases what is recorded, and waits for nobody. */
	locks_remove_posix(file, (fl_owner_t)test);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_flock_release], 1u);
	KUNIT_EXPECT_FALSE(test, is_recorded(test, file));
	locks_remove_posix(file, (fl_owner_t)test);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_flock_release], 1u);
}

static void who_is_in_the_way(struct kunit *test)
{
	struct file *file;
	struct file_lock *fl;
	unsigned int here;

	make_file(test, 0644, 0);
	file = open_ok(test, "file", O_RDWR);
	fake.flock_answer.type = LLC_FLOCK_UNLOCK;
	fl = new_lock(test, file, F_WRLCK, 0, 9);
	KUNIT_EXPECT_EQ(test, vfs_test_lock(file, fl), 0);
	KUNIT_EXPECT_EQ(test, (int)lull_fl(fl, type), F_UNLCK);
	locks_free_lock(fl);
	for (here = 0; here < 2; here++) {
		fake.flock_answer = (struct llc_flock){ LLC_FLOCK_POSIX, LLC_FLOCK_SHARED, 5,
							U64_MAX, 1, 99, here };
		fl = new_lock(test, file, F_WRLCK, 0, 9);
		KUNIT_EXPECT_EQ(test, vfs_test_lock(file, fl), 0);
		KUNIT_EXPECT_EQ(test, (int)lull_fl(fl, type), F_RDLCK);
		KUNIT_EXPECT_EQ(test, fl->fl_start, 5ll);
		KUNIT_EXPECT_EQ(test, fl->fl_end, OFFSET_MAX);
		KUNIT_EXPECT_EQ(test, (int)lull_fl(fl, pid), here ? 99 : -99);
		locks_free_lock(fl);
	}
	fake_fail(FAKE_flock_test, 0, 1, -EIO);
	fl = new_lock(test, file, F_WRLCK, 0, 9);
	KUNIT_EXPECT_EQ(test, vfs_test_lock(file, fl), -EIO);
	locks_free_lock(fl);
}

static int bsd_lock(struct kunit *test, struct file *file, int type)
{
	struct file_lock *fl = new_lock(test, file, type, 0, OFFSET_MAX);
	int err;

	lull_fl(fl, flags) = FL_FLOCK;
	lull_fl(fl, owner) = file;
	err = file->f_op->flock(file, F_SETLK, fl);
	locks_free_lock(fl);
	return err;
}

static void bsd_locks_belong_to_the_open_file(struct kunit *test)
{
	struct file *file, *other, *dir;
	u64 owner;

	make_file(test, 0644, 0);
	file = open_ok(test, "file", O_RDWR);
	other = open_ok(test, "file", O_RDWR);
	KUNIT_EXPECT_EQ(test, bsd_lock(test, file, F_RDLCK), 0);
	KUNIT_EXPECT_EQ(test, fake.last_flock.kind, LLC_FLOCK_BSD);
	KUNIT_EXPECT_EQ(test, fake.last_flock.end, U64_MAX);
	owner = fake.last_flock.owner;
	KUNIT_EXPECT_EQ(test, bsd_lock(test, other, F_RDLCK), 0);
	KUNIT_EXPECT_NE(test, fake.last_flock.owner, owner);
	fake_fail(FAKE_flock_set, 0, 1, -EAGAIN);
	KUNIT_EXPECT_EQ(test, bsd_lock(test, file, F_WRLCK), -EAGAIN);
	close_file(test, other);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_flock_release], 1u);
	KUNIT_EXPECT_EQ(test, bsd_lock(test, file, F_UNLCK), 0);
	close_file(test, file);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_flock_release], 1u);
	dir = open_ok(test, ".", O_RDONLY | O_DIRECTORY);
	KUNIT_EXPECT_EQ(test, bsd_lock(test, dir, F_WRLCK), 0);
	close_file(test, dir);
	KUNIT_EXPECT_EQ(test, fake.calls[FAKE_flock_release], 2u);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(chmod_and_chown),
	KUNIT_CASE(chown_keeps_the_mode_that_is),
	KUNIT_CASE(chown_loses_no_race),
	KUNIT_CASE(links_are_changed_themselves),
	KUNIT_CASE(special_files_are_changed),
	KUNIT_CASE(times_are_exact),
	KUNIT_CASE(a_refused_change_changes_nothing),
	KUNIT_CASE(the_owner_is_who_it_is_now),
	KUNIT_CASE(the_owner_counts_in_a_sticky_directory),
	KUNIT_CASE(the_owner_may_touch),
	KUNIT_CASE(set_group_id_needs_the_group),
	KUNIT_CASE(a_users_write_takes_set_id_bits),
	KUNIT_CASE(a_users_truncation_takes_set_id_bits),
	KUNIT_CASE(the_size_is_asked_for_when_it_is_wanted),
	KUNIT_CASE(locks_are_asked_for_and_recorded),
	KUNIT_CASE(who_is_in_the_way),
	KUNIT_CASE(bsd_locks_belong_to_the_open_file),
	{}
};

struct kunit_suite llite_attr_suite = {
	.name = "lull_llite_attr",
	.init = llite_kunit_init,
	.exit = llite_kunit_exit,
	.test_cases = cases,
};
