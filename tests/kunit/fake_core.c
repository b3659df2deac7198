// SPDX-License-Identifier: GPL-2.0-only
/* The world of fake_core.h: nodes, inodes, attributes, open files and file locks. */
#include <linux/completion.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "kapi/linux/node.h"
#include "tests/kunit/fake_inside.h"

struct fake_world fake;
static struct fake_plan plans[FAKE_CALLS];
static LIST_HEAD(inodes);
static u64 last_ino;
DEFINE_SPINLOCK(fake_lock);

struct llc_mount {
	int unused;
};
static struct llc_mount the_mount;

struct llc_file {
	struct llc_inode *inode;
};

int fake_enter(enum fake_call call, struct llc_inode *i)
{
	struct fake_plan *p = &plans[call];
	void (*hook)(struct llc_inode *i) = NULL;
	unsigned int n;

	spin_lock(&fake_lock);
	n = fake.calls[call]++;
	if (n == p->hook_at)
		swap(hook, p->hook);
	spin_unlock(&fake_lock);
	if (hook)
		hook(i);
	return p->error && n >= p->first && n < p->end ? p->error : 0;
}

bool fake_will_fail(enum fake_call call)
{
	struct fake_plan *p = &plans[call];

	return p->error && fake.calls[call] >= p->first && fake.calls[call] < p->end;
}

void fake_fail(enum fake_call call, unsigned int skip, unsigned int times, int error)
{
	struct fake_plan *p = &plans[call];

	p->first = fake.calls[call] + skip;
	p->end = p->first + times;
	p->error = error;
}

void fake_before(enum fake_call call, unsigned int skip, void (*hook)(struct llc_inode *i))
{
	plans[call].hook_at = fake.calls[call] + skip;
	plans[call].hook = hook;
}

/* ---- the world */

static struct llc_inode *new_inode_of(u32 mode)
{
	struct llc_inode *i = kzalloc(sizeof(*i), GFP_KERNEL);

	if (!i)
		return NULL;
	refcount_set(&i->refs, 1);
	INIT_LIST_HEAD(&i->entries);
	i->server.ino = ++last_ino;
	i->server.mode = mode;
	i->server.nlink = S_ISDIR(mode) ? 2 : 1;
	i->server.size = S_ISDIR(mode) ? PAGE_SIZE : 0;
	init_rwsem(&i->scope);
	if (S_ISREG(mode))
		i->reserved = kzalloc(FAKE_FILE_PAGES, GFP_KERNEL);
	i->known = i->server;
	list_add_tail(&i->all, &inodes);
	return i;
}

u8 *fake_data(struct llc_inode *i)
{
	if (!i->data)
		i->data = __vmalloc(FAKE_FILE_BYTES, GFP_NOFS | __GFP_NOFAIL | __GFP_ZERO);
	return i->data;
}

static void free_inode_of(struct llc_inode *i)
{
	struct fake_entry *e, *next;

	list_for_each_entry_safe(e, next, &i->entries, link)
		kfree(e);
	list_del(&i->all);
	vfree(i->data);
	kfree(i->reserved);
	kfree(i);
}

int fake_begin(struct kunit *test)
{
	memset(&fake, 0, sizeof(fake));
	memset(plans, 0, sizeof(plans));
	init_completion(&fake.destroyed);
	init_waitqueue_head(&fake.closed);
	fake.test = test;
	last_ino = 0;
	fake.root = new_inode_of(S_IFDIR | 0755);
	return fake.root ? 0 : -ENOMEM;
}

void fake_end(void)
{
	struct llc_inode *i, *next;

	FAKE_EXPECT(fake.open_files == 0, "%u files are open at the end", fake.open_files);
	FAKE_EXPECT(fake.nodes == 0, "the node is held %u times", fake.nodes);
	list_for_each_entry_safe(i, next, &inodes, all) {
		FAKE_EXPECT(refcount_read(&i->refs) == 1, "inode %llu: %u references are left",
			    i->server.ino, refcount_read(&i->refs) - 1);
		FAKE_EXPECT(!i->host, "inode %llu is bound at the end", i->server.ino);
		FAKE_EXPECT(!i->reserved || !fake_reserved(i), "inode %llu: grant is lost",
			    i->server.ino);
		FAKE_EXPECT(!rwsem_is_locked(&i->scope), "inode %llu: an I/O scope is open",
			    i->server.ino);
		free_inode_of(i);
	}
	fake.test = NULL;
}

struct fake_entry *fake_entry(struct llc_inode *dir, const char *name, size_t len)
{
	struct fake_entry *e;

	list_for_each_entry(e, &dir->entries, link)
		if (strlen(e->name) == len && !memcmp(e->name, name, len))
			return e;
	return NULL;
}

int fake_add_entry(struct llc_inode *dir, const char *name, size_t len, struct llc_inode *i)
{
	struct fake_entry *e = kzalloc(sizeof(*e), GFP_KERNEL);

	if (!e)
		return -ENOMEM;
	memcpy(e->name, name, len);
	e->inode = i;
	list_add_tail(&e->link, &dir->entries);
	return 0;
}

struct llc_inode *fake_new(struct llc_inode *dir, const char *name, size_t len, u32 mode)
{
	struct llc_inode *i = new_inode_of(mode);

	if (!i || fake_add_entry(dir, name, len, i))
		return NULL;
	if (S_ISDIR(mode))
		dir->server.nlink++;
	return i;
}

struct llc_inode *fake_make(struct llc_inode *dir, const char *name, u32 mode)
{
	fake_lose_inode_lock(dir);
	return fake_new(dir, name, strlen(name), mode);
}

struct llc_inode *fake_make_file(struct llc_inode *dir, const char *name, u64 bytes, u32 seed)
{
	struct llc_inode *i = fake_make(dir, name, S_IFREG | 0644);

	if (!i || !i->reserved)
		return NULL;
	fake_pattern(fake_data(i), 0, bytes, seed);
	i->server.size = bytes;
	return i;
}

struct llc_inode *fake_find(struct llc_inode *dir, const char *name)
{
	struct fake_entry *e = fake_entry(dir, name, strlen(name));

	return e ? e->inode : NULL;
}

void fake_drop_entry(struct llc_inode *dir, struct fake_entry *e)
{
	struct llc_inode *i = e->inode;

	list_del(&e->link);
	kfree(e);
	if (S_ISDIR(i->server.mode)) {
		i->server.nlink = 0;
		dir->server.nlink--;
	} else {
		i->server.nlink--;
	}
}

void fake_remove(struct llc_inode *dir, const char *name)
{
	struct fake_entry *e = fake_entry(dir, name, strlen(name));
	struct llc_inode *i = e->inode;

	fake_lose_inode_lock(dir);
	fake_lose_inode_lock(i);
	fake_drop_entry(dir, e);
	i->gone = !i->server.nlink && !i->files;
}

void fake_other_moves(struct llc_inode *from, const char *old, struct llc_inode *to,
		      const char *name)
{
	struct fake_entry *e = fake_entry(from, old, strlen(old));

	fake_lose_inode_lock(from);
	fake_lose_inode_lock(to);
	fake_lose_inode_lock(e->inode);
	if (S_ISDIR(e->inode->server.mode)) {
		from->server.nlink--;
		to->server.nlink++;
	}
	strscpy(e->name, name, sizeof(e->name));
	list_move_tail(&e->link, &to->entries);
}

void fake_other_links(struct llc_inode *i, struct llc_inode *dir, const char *name)
{
	fake_lose_inode_lock(dir);
	fake_lose_inode_lock(i);
	i->server.nlink++;
	fake_add_entry(dir, name, strlen(name), i);
}

void fake_other_changes(struct llc_inode *i, u32 mode, u32 uid)
{
	fake_lose_inode_lock(i);
	i->server.mode = mode;
	i->server.uid = uid;
}

void fake_lose_inode_lock(struct llc_inode *i)
{
	struct llp_inode *host = fake_host(i);

	i->attr_valid = false;
	i->epoch = 0;
	if (!host)
		return;
	llp_invalidate_dentries(host);
	llp_put(host);
}

/* A reference to the host's inode, unless it is being freed: as the core takes it. */
struct llp_inode *fake_host(struct llc_inode *i)
{
	struct llp_inode *host;

	spin_lock(&fake_lock);
	host = i->host && llp_get(i->host) ? i->host : NULL;
	spin_unlock(&fake_lock);
	return host;
}

/* ---- mount */

struct lull_node *lull_node_get(struct net *net)
{
	fake.nodes++;
	return (struct lull_node *)&fake;
}

void lull_node_put(struct net *net)
{
	fake.nodes--;
}

int llc_mount_create(struct lull_node *node, const char *source, const char *options,
		     struct llc_mount **out, char *why, size_t why_bytes)
{
	int err = fake_enter(FAKE_mount, NULL);

	if (err)
		return err;
	fake.mounts++;
	*out = &the_mount;
	return 0;
}

void llc_mount_leave_host(struct llc_mount *m)
{
}

void llc_mount_destroy(struct llc_mount *m)
{
	if (!--fake.mounts)
		complete(&fake.destroyed);
}

void llc_mount_interrupt(struct llc_mount *m)
{
	fake_enter(FAKE_interrupt, NULL);
}

void llc_mount_force(struct llc_mount *m)
{
	fake_enter(FAKE_force, NULL);
}

int llc_statfs(struct llc_mount *m, struct llc_statfs *out)
{
	*out = fake.statfs;
	return fake_enter(FAKE_statfs, NULL);
}

int llc_sync(struct llc_mount *m)
{
	return fake_enter(FAKE_sync, NULL);
}

bool llc_take_loss(struct llc_mount *m)
{
	return false;
}

/* ---- inodes */

static void refresh(struct llc_inode *i)
{
	u64 size = i->known.size;

	i->known = i->server;
	if (S_ISREG(i->server.mode)) {
		i->known.size = size;
		i->known.size_known = i->size_valid;
	}
	if (i->gone) {
		i->known.nlink = 0;
		i->known.unused = true;
	}
	i->attr_valid = true;
}

void fake_refresh_size(struct llc_inode *i)
{
	if (!i->size_valid)
		i->known.size = i->server.size;
	i->size_valid = i->known.size_known = true;
}

/* With a reference, as all answers are. */
int fake_give(struct llc_inode *i, struct llc_inode **out, struct llc_attr *attr)
{
	refresh(i);
	refcount_inc(&i->refs);
	*out = i;
	if (attr)
		*attr = i->known;
	return 0;
}

int llc_root(struct llc_mount *m, struct llc_inode **out, struct llc_attr *attr)
{
	int err = fake_enter(FAKE_root, fake.root);

	return err ?: fake_give(fake.root, out, attr);
}

void llc_inode_get(struct llc_inode *i)
{
	refcount_inc(&i->refs);
}

void llc_inode_put(struct llc_inode *i)
{
	/* The last reference is the world's. */
	FAKE_EXPECT(refcount_read(&i->refs) > 1, "inode %llu is put once too often", i->server.ino);
	refcount_dec(&i->refs);
}

void llc_inode_bind(struct llc_inode *i, struct llp_inode *host)
{
	spin_lock(&fake_lock);
	i->host = host;
	spin_unlock(&fake_lock);
}

uint64_t llc_inode_number(struct llc_inode *i)
{
	return i->server.ino;
}

int llc_revalidate(struct llc_inode *i, bool size_too, struct llc_attr *attr)
{
	int err = fake_enter(FAKE_revalidate, i);

	if (err)
		return err;
	if (!i->attr_valid)
		refresh(i);
	if (size_too && !i->gone && S_ISREG(i->server.mode))
		fake_refresh_size(i);
	*attr = i->known;
	return 0;
}

uint64_t llc_max_bytes(struct llc_inode *i)
{
	return i ? FAKE_FILE_BYTES : 1ull << 50;
}

void llc_cached_attr(struct llc_inode *i, struct llc_attr *attr)
{
	spin_lock(&fake_lock);
	*attr = i->known;
	spin_unlock(&fake_lock);
	fake_enter(FAKE_cached_attr, i);
}

int llc_dir_epoch(struct llc_inode *dir, bool acquire, uint64_t *epoch)
{
	static u64 last_epoch;
	int err = fake_enter(FAKE_dir_epoch, dir);

	if (err)
		return err;
	if (!dir->epoch && acquire && !dir->gone)
		dir->epoch = ++last_epoch;
	*epoch = dir->epoch;
	return 0;
}

static void set_size(struct llc_inode *i, u64 size)
{
	struct llp_inode *host = fake_host(i);

	fake_refresh_size(i);
	i->known.size = size;
	if (host) {
		llp_set_size(host, size);
		llp_put(host);
	}
	fake_enter(FAKE_punch, i);
	if (i->data && size < FAKE_FILE_BYTES)
		memset(i->data + size, 0, FAKE_FILE_BYTES - size);
	i->server.size = size;
}

int llc_setattr(struct llc_inode *i, const struct llc_attr *to, uint32_t valid,
		struct llc_attr *attr)
{
	int err = fake_enter(FAKE_setattr, i);

	fake.last_setattr = *to;
	fake.last_valid = valid;
	if (err)
		return err;
	if (i->gone)
		return -ENOENT;
	if (valid & LLC_SIZE && to->size > FAKE_FILE_BYTES)
		return -EFBIG;
	if (valid & LLC_MODE)
		i->server.mode = (i->server.mode & S_IFMT) | (to->mode & 07777);
	if (valid & LLC_KILL_SUID)
		i->server.mode &= ~S_ISUID;
	if (valid & LLC_KILL_SGID)
		i->server.mode &= ~S_ISGID;
	if (valid & LLC_UID)
		i->server.uid = to->uid;
	if (valid & LLC_GID)
		i->server.gid = to->gid;
	if (valid & LLC_ATIME)
		i->server.atime_ns = to->atime_ns;
	if (valid & LLC_MTIME)
		i->server.mtime_ns = to->mtime_ns;
	if (valid & LLC_SIZE)
		set_size(i, to->size);
	refresh(i);
	*attr = i->known;
	return 0;
}

/* ---- open files */

struct llc_file *fake_open(struct llc_inode *i)
{
	struct llc_file *f = kzalloc(sizeof(*f), GFP_KERNEL);

	if (!f)
		return NULL;
	f->inode = i;
	i->files++;
	fake.open_files++;
	return f;
}

int llc_open(struct llc_inode *i, uint32_t flags, struct llc_file **out)
{
	int err = fake_enter(FAKE_open, i);

	fake.last_open_flags = flags;
	if (err)
		return err;
	if (i->gone || (!i->server.nlink && !i->files))
		return -ESTALE;
	*out = fake_open(i);
	return *out ? 0 : -ENOMEM;
}

int llc_close(struct llc_file *f)
{
	f->inode->files--;
	fake.open_files--;
	wake_up(&fake.closed);
	kfree(f);
	return fake_enter(FAKE_close, NULL);
}

int llc_file_intact(struct llc_file *f)
{
	return fake_enter(FAKE_intact, f->inode);
}

void llc_loss_was_told(struct llc_file *f)
{
	fake_enter(FAKE_loss_was_told, f->inode);
}

/* ---- file locks */

int llc_flock_set(struct llc_inode *i, struct llc_file *f, const struct llc_flock *lock, bool wait)
{
	FAKE_EXPECT(!f || f->inode == i, "a lock on a file of another inode");
	fake.last_flock = *lock;
	return fake_enter(FAKE_flock_set, i);
}

void llc_flock_release(struct llc_inode *i, const struct llc_flock *lock)
{
	fake.last_flock = *lock;
	fake_enter(FAKE_flock_release, i);
}

int llc_flock_test(struct llc_inode *i, struct llc_flock *lock)
{
	fake.last_flock = *lock;
	*lock = fake.flock_answer;
	return fake_enter(FAKE_flock_test, i);
}

/* ---- layouts */

int llc_get_layout_text(struct llc_inode *i, char *out, size_t bytes)
{
	static const char text[] = "stripe_count=1 stripe_size=1048576";
	int err = fake_enter(FAKE_layout_get, i);

	if (err)
		return err;
	memcpy(out, text, sizeof(text) - 1);
	return sizeof(text) - 1;
}

int llc_set_layout_text(struct llc_inode *dir, const char *text, size_t len)
{
	return fake_enter(FAKE_layout_set, dir);
}
