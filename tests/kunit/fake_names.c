// SPDX-License-Identifier: GPL-2.0-only
/* The fake core's directories. */
#include "tests/kunit/fake_inside.h"

int llc_lookup(struct llc_inode *dir, const char *name, size_t len, struct llc_inode **out,
	       struct llc_attr *attr, uint64_t *epoch)
{
	int err = fake_enter(FAKE_lookup, dir);
	struct fake_entry *e;

	if (err)
		return err;
	err = llc_dir_epoch(dir, true, epoch);
	if (err)
		return err;
	e = fake_entry(dir, name, len);
	return e ? fake_give(e->inode, out, attr) : -ENOENT;
}

static struct llc_inode *make(struct llc_inode *dir, const char *name, size_t len,
			      const struct llc_create *how)
{
	struct llc_inode *i = fake_new(dir, name, len, how->mode);

	if (!i)
		return NULL;
	fake.last_create = *how;
	i->server.uid = how->uid;
	i->server.gid = how->gid;
	i->server.rdev = how->rdev;
	if (how->symlink_target) {
		strscpy(i->target, how->symlink_target, sizeof(i->target));
		i->server.size = strlen(i->target);
	}
	return i;
}

int llc_create(struct llc_inode *dir, const char *name, size_t len, const struct llc_create *how,
	       struct llc_inode **out, struct llc_attr *attr, uint64_t *epoch)
{
	int err = fake_enter(FAKE_create, dir);
	struct llc_inode *i;

	if (err)
		return err;
	if (dir->gone || !dir->server.nlink)
		return -ENOENT;
	if (fake_entry(dir, name, len))
		return -EEXIST;
	*epoch = dir->epoch;
	i = make(dir, name, len, how);
	return i ? fake_give(i, out, attr) : -ENOMEM;
}

/* As the MDT does (mdt/open.cc). */
int llc_open_create(struct llc_inode *dir, const char *name, size_t len, uint32_t flags,
		    const struct llc_create *how, struct llc_inode **out, struct llc_attr *attr,
		    uint64_t *epoch, struct llc_file **file, bool *created)
{
	int err = fake_enter(FAKE_open_create, dir);
	struct fake_entry *e = fake_entry(dir, name, len);
	struct llc_inode *i = e ? e->inode : NULL;
	u32 type;

	fake.last_open_flags = flags;
	*epoch = dir->epoch;
	if (err)
		return err;
	if (dir->gone || !dir->server.nlink || (!i && !(flags & LLC_OPEN_CREATE)))
		return -ENOENT;
	if (i && (flags & LLC_OPEN_CREATE) && (flags & LLC_OPEN_EXCL))
		return -EEXIST;
	*created = !i;
	if (!i)
		i = make(dir, name, len, how);
	if (!i)
		return -ENOMEM;
	type = i->server.mode & S_IFMT;
	if (type == S_IFLNK)
		return -ELOOP;
	if (type == S_IFDIR && flags & (LLC_OPEN_WRITE | LLC_OPEN_CREATE))
		return -EISDIR;
	*file = type == S_IFREG || type == S_IFDIR ? fake_open(i) : NULL;
	return fake_give(i, out, attr);
}

static void removed_here(struct llc_inode *i)
{
	i->known.nlink = i->server.nlink;
	i->known.unused = i->server.unused = !i->server.nlink && !i->open_elsewhere;
}

int llc_unlink(struct llc_inode *dir, const char *name, size_t len, bool rmdir,
	       struct llc_inode *victim)
{
	int err = fake_enter(FAKE_unlink, dir);
	struct fake_entry *e = fake_entry(dir, name, len);
	struct llc_inode *i;

	if (err)
		return err;
	if (!e)
		return -ENOENT;
	i = e->inode;
	if (rmdir && !list_empty(&i->entries))
		return -ENOTEMPTY;
	fake_drop_entry(dir, e);
	removed_here(i);
	return 0;
}

int llc_link(struct llc_inode *i, struct llc_inode *dir, const char *name, size_t len,
	     struct llc_attr *attr)
{
	int err = fake_enter(FAKE_link, i);

	if (err)
		return err;
	if (i->gone)
		return -ENOENT;
	if (fake_entry(dir, name, len))
		return -EEXIST;
	err = fake_add_entry(dir, name, len, i);
	if (err)
		return err;
	i->known.nlink = ++i->server.nlink;
	*attr = i->known;
	return 0;
}

int llc_rename(struct llc_inode *from_dir, const char *from, size_t from_len,
	       struct llc_inode *to_dir, const char *to, size_t to_len, bool no_replace,
	       struct llc_inode *moved, struct llc_inode *replaced)
{
	int err = fake_enter(FAKE_rename, from_dir);
	struct fake_entry *e = fake_entry(from_dir, from, from_len);
	struct fake_entry *old = fake_entry(to_dir, to, to_len);

	if (err)
		return err;
	if (!e)
		return -ENOENT;
	if (old && no_replace)
		return -EEXIST;
	if (old) {
		struct llc_inode *i = old->inode;

		fake_drop_entry(to_dir, old);
		removed_here(i);
	}
	list_move_tail(&e->link, &to_dir->entries);
	memset(e->name, 0, sizeof(e->name));
	memcpy(e->name, to, to_len);
	return 0;
}

int llc_readlink(struct llc_inode *i, char *out, size_t bytes)
{
	int err = fake_enter(FAKE_readlink, i);
	size_t len = strlen(i->target);

	if (err)
		return err;
	if (len > bytes)
		return -ENAMETOOLONG;
	memcpy(out, i->target, len);
	return len;
}

/* A cookie is the place in the list. */
int llc_readdir(struct llc_inode *dir, uint64_t cookie, llc_emit emit, void *arg)
{
	int err = fake_enter(FAKE_readdir, dir);
	struct fake_entry *e;
	u64 at = 0;

	if (err)
		return err;
	list_for_each_entry(e, &dir->entries, link)
		if (at++ >= cookie && !emit(arg, e->name, strlen(e->name), e->inode->server.ino,
					    e->inode->server.mode & S_IFMT, at))
			break;
	return 0;
}
