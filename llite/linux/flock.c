// SPDX-License-Identifier: GPL-2.0-only
/*
 * flock(2) and fcntl(2) locks: decided at the MDT. The VFS's own records are kept as well: by them
 * it knows at a close what is to be released, and /proc/locks shows them. So a lock is recorded
 * after the MDT granted it, and its record goes after the MDT's.
 */
#include "llite/linux/glue.h"

#define OFD_PID U32_MAX /* a lock of an open file description belongs to no process */

static struct llc_flock to_lock(const struct file_lock *fl, unsigned int kind)
{
	struct llc_flock lock = {
		.kind = kind,
		.type = LLC_FLOCK_EXCLUSIVE,
		.start = 0,
		.end = U64_MAX,
		.owner = (unsigned long)lull_fl(fl, owner),
		.pid = lull_fl(fl, flags) & FL_OFDLCK ? OFD_PID : lull_fl(fl, pid),
	};

	if (lull_fl(fl, type) == F_UNLCK)
		lock.type = LLC_FLOCK_UNLOCK;
	else if (lull_fl(fl, type) == F_RDLCK)
		lock.type = LLC_FLOCK_SHARED;
	if (kind == LLC_FLOCK_POSIX) {
		lock.start = fl->fl_start;
		lock.end = fl->fl_end == OFFSET_MAX ? U64_MAX : fl->fl_end;
	} else {
		lock.owner = (unsigned long)lull_fl(fl, file);
	}
	return lock;
}

static int get_lock(struct inode *inode, struct file_lock *fl)
{
	struct llc_flock lock = to_lock(fl, LLC_FLOCK_POSIX);
	int err = llc_flock_test(ll_core(inode), &lock);

	if (err)
		return err;
	lull_fl(fl, type) = F_UNLCK;
	if (lock.type == LLC_FLOCK_UNLOCK)
		return 0;
	lull_fl(fl, type) = lock.type == LLC_FLOCK_SHARED ? F_RDLCK : F_WRLCK;
	lull_fl(fl, flags) = FL_POSIX;
	if (lock.pid == OFD_PID)
		lull_fl(fl, pid) = -1;
	else /* of another node: not to be translated */
		lull_fl(fl, pid) = lock.same_client ? lock.pid : -(pid_t)lock.pid;
	fl->fl_start = lock.start;
	fl->fl_end = lock.end > OFFSET_MAX ? OFFSET_MAX : lock.end;
	return 0;
}

/*
 * What the MDT granted is in nobody's way here; a record that is about to go may be, for a moment.
 */
static int record(struct file *file, struct file_lock *fl)
{
	unsigned int flags = lull_fl(fl, flags);
	int err;

	lull_fl(fl, flags) = (flags | FL_SLEEP) & ~FL_EXISTS;
	err = locks_lock_file_wait(file, fl);
	lull_fl(fl, flags) = flags;
	return err;
}

static int set_lock(struct file *file, struct file_lock *fl, unsigned int kind, bool wait)
{
	struct inode *inode = file_inode(file);
	struct llc_flock lock = to_lock(fl, kind);
	int err = 0;

	if (lock.type == LLC_FLOCK_UNLOCK && (lull_fl(fl, flags) & FL_CLOSE))
		llc_flock_release(ll_core(inode), &lock);
	else
		err = llc_flock_set(ll_core(inode), file->private_data, &lock, wait);
	if (err)
		return err;
	err = record(file, fl);
	if (err && lock.type != LLC_FLOCK_UNLOCK)
		llc_flock_release(ll_core(inode), &lock);
	return err;
}

int ll_lock(struct file *file, int cmd, struct file_lock *fl)
{
	if (!(lull_fl(fl, flags) & FL_POSIX))
		return -EINVAL;
	switch (cmd) {
	case F_GETLK:
	case F_OFD_GETLK:
#if BITS_PER_LONG == 32
	case F_GETLK64:
#endif
		return get_lock(file_inode(file), fl);
	case F_CANCELLK:
		return -EINVAL; /* nobody is answered later */
	default:
		return set_lock(file, fl, LLC_FLOCK_POSIX, lull_fl(fl, flags) & FL_SLEEP);
	}
}

int ll_flock(struct file *file, int cmd, struct file_lock *fl)
{
	if (!(lull_fl(fl, flags) & FL_FLOCK))
		return -EINVAL;
	return set_lock(file, fl, LLC_FLOCK_BSD, lull_fl(fl, flags) & FL_SLEEP);
}
