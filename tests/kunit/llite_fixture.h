/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * llite/linux mounted over the fake core for one test case; files are used through the VFS, as
 * system calls do.
 */
#pragma once
#include <linux/fs.h>
#include <linux/mount.h>
#include <linux/pagemap.h>

#include "kapi/linux/compat.h"
#include "tests/kunit/fake_core.h"

#define OPEN_FILES_MAX 32
#define SCRATCH_BYTES (FAKE_FILE_BYTES + PAGE_SIZE)

struct llite {
	struct kunit *test;
	struct vfsmount *mnt;
	struct file *files[OPEN_FILES_MAX];
	u8 *scratch, *expected; /* SCRATCH_BYTES each */
};

int llite_kunit_init(struct kunit *test);
void llite_kunit_exit(struct kunit *test);
/* The module: the file-system type and its client face. */
int llite_type_register(void);
void llite_type_unregister(void);

static inline struct llite *llite(struct kunit *test)
{
	return test->priv;
}

/* An open file, or ERR_PTR. Closed at the end of the case if the case does not. */
struct file *open_name(struct kunit *test, const char *name, int flags);
/* The same, which must not fail. */
struct file *open_ok(struct kunit *test, const char *name, int flags);
int open_error(struct kunit *test, const char *name, int flags);
/* Nothing is left open at the MDT. (A kernel thread's open that fails late is closed later.) */
void expect_closed(struct kunit *test);
/* What close(2) answers. */
int close_file(struct kunit *test, struct file *file);

ssize_t read_at(struct file *file, loff_t pos, void *to, size_t bytes);
ssize_t write_at(struct file *file, loff_t pos, const void *from, size_t bytes);
/* Writes the pattern of this seed; must be written whole. */
void write_pattern(struct kunit *test, struct file *file, loff_t pos, size_t bytes, u32 seed);
/* The file reads as the pattern of this seed in [pos, pos + bytes), which is all there is of it. */
void expect_pattern(struct kunit *test, struct file *file, loff_t pos, size_t bytes, u32 seed);
void expect_zeros(struct kunit *test, struct file *file, loff_t pos, size_t bytes);
void expect_same(struct kunit *test, const u8 *got, const u8 *want, size_t bytes, loff_t pos);
/* Of what the OSTs have. */
void expect_stored(struct kunit *test, struct llc_inode *i, loff_t pos, size_t bytes, u32 seed);
void expect_stored_zeros(struct kunit *test, struct llc_inode *i, loff_t pos, size_t bytes);

/* Names, as the system calls do: with the directory's lock. 0 or an errno. */
int do_unlink(struct kunit *test, const char *name);
int do_rmdir(struct kunit *test, const char *name);
int do_mkdir(struct kunit *test, const char *name, umode_t mode);
int do_mknod(struct kunit *test, const char *name, umode_t mode, dev_t rdev);
int do_symlink(struct kunit *test, const char *name, const char *target);
int do_link(struct kunit *test, const char *old, const char *name);
int do_rename(struct kunit *test, const char *old, const char *name, unsigned int flags);
/* What a path leads to, not opened: 0, with references, or an errno. flags: O_NOFOLLOW. */
int get_path(struct kunit *test, const char *name, int flags, struct path *path);
/* The inode number a path leads to, or an errno. */
s64 look(struct kunit *test, const char *path);
int do_stat(struct kunit *test, const char *path, struct kstat *stat);
int do_truncate_path(struct kunit *test, const char *path, loff_t size);
int do_setattr(struct kunit *test, const char *path, struct iattr *attr);

/* Runs the rest as an ordinary user, until become_root(). */
const struct cred *become_user(struct kunit *test, u32 uid);
void become_root(const struct cred *old);
