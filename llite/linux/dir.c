// SPDX-License-Identifier: GPL-2.0-only
#include "llite/linux/glue.h"

/* Positions: 0 and 1 are "." and "..", then the server's cookie plus 2. */
#define DOTS 2

struct emit_state {
	struct dir_context *ctx;
};

static bool emit_entry(void *arg, const char *name, size_t len, uint64_t ino, uint32_t type,
		       uint64_t next_cookie)
{
	struct emit_state *s = arg;

	if (!dir_emit(s->ctx, name, len, ino, fs_umode_to_dtype(type)))
		return false;
	s->ctx->pos = next_cookie > LLONG_MAX - DOTS ? LLONG_MAX : next_cookie + DOTS;
	return true;
}

static int ll_iterate(struct file *file, struct dir_context *ctx)
{
	struct emit_state s = { .ctx = ctx };
	int err;

	if (!dir_emit_dots(file, ctx))
		return 0;
	if (ctx->pos == LLONG_MAX)
		return 0;
	err = llc_readdir(ll_core(file_inode(file)), ctx->pos - DOTS, emit_entry, &s);
	return err == -ESTALE ? 0 : err; /* removed while open: empty */
}

static int ll_dir_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	return llc_fsync(ll_core(file_inode(file)), false);
}

/* Positions are cookies, of 63 bits. */
static loff_t ll_dir_llseek(struct file *file, loff_t offset, int whence)
{
	return generic_file_llseek_size(file, offset, whence, LLONG_MAX,
					i_size_read(file_inode(file)));
}

const struct file_operations ll_dir_fops = {
	.llseek = ll_dir_llseek,
	.read = generic_read_dir,
	.iterate_shared = ll_iterate,
	.fsync = ll_dir_fsync,
	.lock = ll_lock,
	.flock = ll_flock,
};
