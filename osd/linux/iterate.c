// SPDX-License-Identifier: GPL-2.0-only
/*
 * Entries are gathered under the directory's lock and handed out without it: emit may look them up.
 * Where to go on after an entry is where the next one begins, so the last of a batch gets the
 * position the batch ended at.
 */
#include "osd/linux/kbfs.h"

#define BATCH_BYTES 32768

struct entry {
	u64 pos;
	u64 ino;
	u32 type;
	u32 len;
	char name[];
};

struct batch {
	struct dir_context ctx;
	char *buf;
	size_t used;
	bool full;
};

static size_t entry_bytes(size_t len)
{
	return ALIGN(sizeof(struct entry) + len, sizeof(u64));
}

static bool gather(struct dir_context *ctx, const char *name, int len, loff_t pos, u64 ino,
		   unsigned int type)
{
	struct batch *b = container_of(ctx, struct batch, ctx);
	struct entry *e;

	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return true;
	if (b->used + entry_bytes(len) > BATCH_BYTES) {
		b->full = true;
		return false;
	}
	e = (struct entry *)(b->buf + b->used);
	e->pos = pos;
	e->ino = ino;
	e->type = type << 12; /* DT_… to S_IFMT */
	e->len = len;
	memcpy(e->name, name, len);
	b->used += entry_bytes(len);
	return true;
}

/* False when emit wants no more. */
static bool hand_out(struct batch *b, u64 end_pos, kbfs_emit emit, void *arg)
{
	size_t at = 0;

	while (at < b->used) {
		struct entry *e = (struct entry *)(b->buf + at);
		u64 next;

		at += entry_bytes(e->len);
		next = at < b->used ? ((struct entry *)(b->buf + at))->pos : end_pos;
		if (!emit(arg, e->name, e->len, e->ino, e->type, next))
			return false;
	}
	return true;
}

static int iterate_file(struct file *file, char *buf, u64 cookie, kbfs_emit emit, void *arg)
{
	loff_t at;
	int err;

	/* Whatever task asks, cookies have the same width. */
	file->f_mode |= FMODE_64BITHASH;
	at = vfs_llseek(file, cookie, SEEK_SET);
	if (at < 0)
		return at;
	for (;;) {
		struct batch b = { .ctx.actor = gather, .buf = buf };

		err = iterate_dir(file, &b.ctx);
		if (err < 0)
			return err;
		if (!hand_out(&b, file->f_pos, emit, arg) || !b.used)
			return 0;
	}
}

int kbfs_iterate(struct kbfs_node *dir, uint64_t cookie, kbfs_emit emit, void *arg)
{
	struct file *file;
	char *buf;
	int err;

	if (!S_ISDIR(kbfs_inode(dir)->i_mode))
		return -ENOTDIR;
	if (cookie > S64_MAX)
		return -EINVAL;
	buf = kapi_alloc(BATCH_BYTES);
	if (!buf)
		return -ENOMEM;
	file = kbfs_open_file(dir, O_RDONLY | O_DIRECTORY);
	err = PTR_ERR_OR_ZERO(file);
	if (!err) {
		err = iterate_file(file, buf, cookie, emit, arg);
		kbfs_close_file(dir->fs, file);
	}
	kapi_free(buf);
	return err;
}
