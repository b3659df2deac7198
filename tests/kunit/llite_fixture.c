// SPDX-License-Identifier: GPL-2.0-only
#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/kthread.h>
#include <linux/namei.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include <linux/vmalloc.h>

#include "kapi/linux/fstype.h"
#include "llite/linux/glue.h"
#include "tests/kunit/llite_fixture.h"

#define END_SECONDS 60

/* llite/linux/super.c's module_init and module_exit: see Kbuild. */
int llite_module_init(void);

int __init llite_type_register(void)
{
	int err = lull_fstype_init();

	if (err)
		return err;
	err = llite_module_init();
	if (err)
		lull_fstype_exit();
	return err;
}

void llite_type_unregister(void)
{
	lull_unregister_mount(LULL_MOUNT_CLIENT);
	ll_inode_cache_exit();
	lull_fstype_exit();
}

static struct vfsmount *mount_it(void)
{
	struct file_system_type *type = get_fs_type("lull");
	struct vfsmount *mnt;

	if (!type)
		return ERR_PTR(-ENODEV);
	/* As the kernel's own: the last reference ends it at once. */
	mnt = vfs_kern_mount(type, SB_KERNMOUNT, "192.0.2.1@tcp:/kunit", NULL);
	module_put(type->owner);
	return mnt;
}

int llite_kunit_init(struct kunit *test)
{
	struct llite *l = kunit_kzalloc(test, sizeof(*l), GFP_KERNEL);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, l);
	l->test = test;
	err = fake_begin(test);
	if (err)
		return err;
	l->scratch = vmalloc(SCRATCH_BYTES);
	l->expected = vmalloc(SCRATCH_BYTES);
	l->mnt = l->scratch && l->expected ? mount_it() : ERR_PTR(-ENOMEM);
	if (IS_ERR(l->mnt)) {
		vfree(l->scratch);
		vfree(l->expected);
		return PTR_ERR(l->mnt);
	}
	test->priv = l;
	return 0;
}

static int close_now(struct file *file)
{
	int err = file->f_op->flush ? file->f_op->flush(file, NULL) : 0;

	__fput_sync(file);
	return err;
}

struct ending {
	struct llite *l;
	struct completion done;
};

static int end_it(void *arg)
{
	struct ending *e = arg;
	struct llite *l = e->l;
	unsigned int i;

	for (i = 0; i < OPEN_FILES_MAX; i++)
		if (l->files[i])
			close_now(l->files[i]);
	mntput(l->mnt); /* NULL: the case has ended it */
	/* An open that failed late is put later. */
	if (!wait_for_completion_timeout(&fake.destroyed, END_SECONDS * HZ))
		KUNIT_FAIL(l->test, "the file system is still mounted");
	else
		fake_end();
	vfree(l->scratch);
	vfree(l->expected);
	kthread_complete_and_exit(&e->done, 0);
}

/* In a kernel thread in any case: one that was given up ends on the task that loads the module. */
void llite_kunit_exit(struct kunit *test)
{
	struct ending e = { .l = test->priv };

	if (!e.l)
		return;
	init_completion(&e.done);
	if (!IS_ERR(kthread_run(end_it, &e, "lull_kunit_end")))
		wait_for_completion(&e.done);
}

/* ---- files */

struct file *open_name(struct kunit *test, const char *name, int flags)
{
	struct llite *l = llite(test);
	struct file *file = file_open_root_mnt(l->mnt, name, flags | O_LARGEFILE, 0644);
	unsigned int i;

	if (IS_ERR(file))
		return file;
	for (i = 0; i < OPEN_FILES_MAX && l->files[i]; i++)
		;
	if (i == OPEN_FILES_MAX) {
		close_now(file);
		return ERR_PTR(-EMFILE);
	}
	l->files[i] = file;
	return file;
}

struct file *open_ok(struct kunit *test, const char *name, int flags)
{
	struct file *file = open_name(test, name, flags);

	KUNIT_ASSERT_EQ_MSG(test, PTR_ERR_OR_ZERO(file), 0, "open of %s with %o", name, flags);
	return file;
}

int open_error(struct kunit *test, const char *name, int flags)
{
	struct file *file = open_name(test, name, flags);

	return IS_ERR(file) ? PTR_ERR(file) : close_file(test, file);
}

void expect_closed(struct kunit *test)
{
	wait_event_timeout(fake.closed, !fake.open_files, END_SECONDS * HZ);
	KUNIT_EXPECT_EQ(test, fake.open_files, 0u);
}

int close_file(struct kunit *test, struct file *file)
{
	struct llite *l = llite(test);
	unsigned int i;

	for (i = 0; i < OPEN_FILES_MAX; i++)
		if (l->files[i] == file)
			l->files[i] = NULL;
	return close_now(file);
}

ssize_t read_at(struct file *file, loff_t pos, void *to, size_t bytes)
{
	return kernel_read(file, to, bytes, &pos);
}

ssize_t write_at(struct file *file, loff_t pos, const void *from, size_t bytes)
{
	return kernel_write(file, from, bytes, &pos);
}

void write_pattern(struct kunit *test, struct file *file, loff_t pos, size_t bytes, u32 seed)
{
	fake_pattern(llite(test)->scratch, pos, bytes, seed);
	KUNIT_ASSERT_EQ(test, write_at(file, pos, llite(test)->scratch, bytes), (ssize_t)bytes);
}

void expect_same(struct kunit *test, const u8 *got, const u8 *want, size_t bytes, loff_t pos)
{
	size_t k;

	if (!memcmp(got, want, bytes))
		return;
	for (k = 0; got[k] == want[k]; k++)
		;
	KUNIT_FAIL(test, "byte %lld is %02x and not %02x (of %zu at %lld)", pos + k, got[k],
		   want[k], bytes, pos);
}

void expect_pattern(struct kunit *test, struct file *file, loff_t pos, size_t bytes, u32 seed)
{
	struct llite *l = llite(test);

	KUNIT_EXPECT_EQ(test, read_at(file, pos, l->scratch, bytes + 1), (ssize_t)bytes);
	fake_pattern(l->expected, pos, bytes, seed);
	expect_same(test, l->scratch, l->expected, bytes, pos);
}

static void expect_all_zero(struct kunit *test, const u8 *p, size_t bytes, loff_t pos)
{
	const u8 *other = memchr_inv(p, 0, bytes);

	if (other)
		KUNIT_FAIL(test, "byte %lld is %02x and not zero", pos + (other - p), *other);
}

void expect_zeros(struct kunit *test, struct file *file, loff_t pos, size_t bytes)
{
	struct llite *l = llite(test);

	KUNIT_EXPECT_EQ(test, read_at(file, pos, l->scratch, bytes), (ssize_t)bytes);
	expect_all_zero(test, l->scratch, bytes, pos);
}

void expect_stored(struct kunit *test, struct llc_inode *i, loff_t pos, size_t bytes, u32 seed)
{
	fake_pattern(llite(test)->expected, pos, bytes, seed);
	expect_same(test, fake_data(i) + pos, llite(test)->expected, bytes, pos);
}

void expect_stored_zeros(struct kunit *test, struct llc_inode *i, loff_t pos, size_t bytes)
{
	expect_all_zero(test, fake_data(i) + pos, bytes, pos);
}

/* ---- names: all in the root */

static struct dentry *lock_root(struct kunit *test, const char *name)
{
	struct dentry *root = llite(test)->mnt->mnt_root;
	struct dentry *d;

	inode_lock_nested(d_inode(root), I_MUTEX_PARENT);
	d = lookup_one_len(name, root, strlen(name));
	if (IS_ERR(d))
		inode_unlock(d_inode(root));
	return d;
}

static int unlock_root(struct dentry *d, int err)
{
	inode_unlock(d_inode(d->d_parent));
	dput(d);
	return err;
}

static struct inode *root_inode(struct kunit *test)
{
	return d_inode(llite(test)->mnt->mnt_root);
}

int do_unlink(struct kunit *test, const char *name)
{
	struct dentry *d = lock_root(test, name);
	struct inode *inode;
	int err;

	if (IS_ERR(d))
		return PTR_ERR(d);
	inode = d_inode(d);
	if (!inode)
		return unlock_root(d, -ENOENT);
	ihold(inode); /* as unlink(2): the end of the inode comes without the directory's lock */
	err = unlock_root(d, vfs_unlink(LULL_NOP_IDMAP, root_inode(test), d, NULL));
	iput(inode);
	return err;
}

int do_rmdir(struct kunit *test, const char *name)
{
	struct dentry *d = lock_root(test, name);

	if (IS_ERR(d))
		return PTR_ERR(d);
	if (d_is_negative(d))
		return unlock_root(d, -ENOENT);
	return unlock_root(d, vfs_rmdir(LULL_NOP_IDMAP, root_inode(test), d));
}

int do_mkdir(struct kunit *test, const char *name, umode_t mode)
{
	struct dentry *d = lock_root(test, name);

	if (IS_ERR(d))
		return PTR_ERR(d);
	if (d_is_positive(d))
		return unlock_root(d, -EEXIST);
	return unlock_root(d, vfs_mkdir(LULL_NOP_IDMAP, root_inode(test), d, mode));
}

int do_mknod(struct kunit *test, const char *name, umode_t mode, dev_t rdev)
{
	struct dentry *d = lock_root(test, name);

	if (IS_ERR(d))
		return PTR_ERR(d);
	if (d_is_positive(d))
		return unlock_root(d, -EEXIST);
	return unlock_root(d, vfs_mknod(LULL_NOP_IDMAP, root_inode(test), d, mode, rdev));
}

int do_symlink(struct kunit *test, const char *name, const char *target)
{
	struct dentry *d = lock_root(test, name);

	if (IS_ERR(d))
		return PTR_ERR(d);
	if (d_is_positive(d))
		return unlock_root(d, -EEXIST);
	return unlock_root(d, vfs_symlink(LULL_NOP_IDMAP, root_inode(test), d, target));
}

int get_path(struct kunit *test, const char *name, int flags, struct path *path)
{
	struct file *file = file_open_root_mnt(llite(test)->mnt, name, O_PATH | flags, 0);

	if (IS_ERR(file))
		return PTR_ERR(file);
	*path = file->f_path;
	path_get(path);
	__fput_sync(file);
	return 0;
}

int do_link(struct kunit *test, const char *old, const char *name)
{
	struct path path;
	struct dentry *d;
	int err = get_path(test, old, O_NOFOLLOW, &path);

	if (err)
		return err;
	d = lock_root(test, name);
	if (IS_ERR(d))
		err = PTR_ERR(d);
	else if (d_is_positive(d))
		err = unlock_root(d, -EEXIST);
	else
		err = unlock_root(d, vfs_link(path.dentry, LULL_NOP_IDMAP, root_inode(test), d,
					      NULL));
	path_put(&path);
	return err;
}

int do_rename(struct kunit *test, const char *old, const char *name, unsigned int flags)
{
	struct dentry *root = llite(test)->mnt->mnt_root;
	struct dentry *from, *to;
	struct renamedata rd;
	int err;

	lock_rename(root, root);
	from = lookup_one_len(old, root, strlen(old));
	to = lookup_one_len(name, root, strlen(name));
	err = IS_ERR(from) ? PTR_ERR(from) : IS_ERR(to) ? PTR_ERR(to) : 0;
	if (!err && d_is_negative(from))
		err = -ENOENT;
	if (!err && (flags & RENAME_NOREPLACE) && d_is_positive(to))
		err = -EEXIST;
	if (!err) {
		lull_renamedata(&rd, LULL_NOP_IDMAP, root, from, root, to);
		rd.flags = flags;
		err = vfs_rename(&rd);
	}
	unlock_rename(root, root);
	if (!IS_ERR(to))
		dput(to);
	if (!IS_ERR(from))
		dput(from);
	return err;
}

s64 look(struct kunit *test, const char *name)
{
	struct path path;
	s64 err = get_path(test, name, O_NOFOLLOW, &path);

	if (err)
		return err;
	err = d_inode(path.dentry)->i_ino;
	path_put(&path);
	return err;
}

int do_stat(struct kunit *test, const char *name, struct kstat *stat)
{
	struct path path;
	int err = get_path(test, name, O_NOFOLLOW, &path);

	if (err)
		return err;
	err = vfs_getattr(&path, stat, STATX_BASIC_STATS, 0);
	path_put(&path);
	return err;
}

int do_truncate_path(struct kunit *test, const char *name, loff_t size)
{
	struct path path;
	int err = get_path(test, name, 0, &path);

	if (err)
		return err;
	err = vfs_truncate(&path, size);
	path_put(&path);
	return err;
}

int do_setattr(struct kunit *test, const char *name, struct iattr *attr)
{
	struct path path;
	int err = get_path(test, name, O_NOFOLLOW, &path);

	if (err)
		return err;
	inode_lock(d_inode(path.dentry));
	err = notify_change(LULL_NOP_IDMAP, path.dentry, attr, NULL);
	inode_unlock(d_inode(path.dentry));
	path_put(&path);
	return err;
}

/* ---- credentials */

const struct cred *become_user(struct kunit *test, u32 uid)
{
	struct cred *cred = prepare_creds();
	const struct cred *old;

	KUNIT_ASSERT_NOT_NULL(test, cred);
	cred->uid = cred->euid = cred->fsuid = make_kuid(&init_user_ns, uid);
	cred->gid = cred->egid = cred->fsgid = make_kgid(&init_user_ns, uid);
	cap_clear(cred->cap_effective);
	old = override_creds(cred);
	put_cred(cred); /* the override holds it */
	return old;
}

void become_root(const struct cred *old)
{
	revert_creds(old);
}
