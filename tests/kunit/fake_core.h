/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The core of the mountable client as a small world in memory: llite/linux runs over it without
 * servers (llite/llite_port.h is the face of both). A test makes files in it, lets calls fail, and
 * changes things as another client would, also in the middle of a call. The fake is strict: what
 * llite/linux does against the contract of the port fails the test.
 */
#pragma once
#include <kunit/test.h>

#include "llite/llite_port.h"

#define FAKE_FILE_BYTES (4u << 20) /* what a file can hold; one more byte is EFBIG */
#define FAKE_FILE_PAGES (FAKE_FILE_BYTES >> PAGE_SHIFT)
#define FAKE_NAME_BYTES 300
#define FAKE_WRITES_MAX 4096

#define FAKE_CALL_NAMES(X)                                                                         \
	X(lookup) X(create) X(unlink) X(link) X(rename) X(readlink) X(readdir) X(setattr)          \
	X(punch) X(open) X(open_create) X(close) X(fsync) X(revalidate) X(dir_epoch) X(io_begin)   \
	X(io_end) X(reserve) X(read) X(write) X(write_through) X(statfs) X(sync) X(flock_set)      \
	X(flock_release) X(flock_test) X(layout_get) X(layout_set) X(mount) X(interrupt) X(force)  \
	X(bring_grant) X(intact) X(loss_was_told) X(root) X(cached_attr)
#define FAKE_ENUM(name) FAKE_##name,
/* punch is no call: the moment of a truncation at which the host has dropped its pages, and the
 * OSTs have not heard of it. cached_attr: when the answer is made, and not yet given. */
enum fake_call { FAKE_CALL_NAMES(FAKE_ENUM) FAKE_CALLS };

struct llc_inode {
	struct list_head all;
	refcount_t refs; /* the world's own, and the host's */
	struct llp_inode *host;
	struct llc_attr known;	/* what this client's core would say without a message */
	struct llc_attr server; /* what is true */
	bool attr_valid, size_valid; /* known is covered by a lock */
	bool gone;		     /* removed by another client, and open nowhere */
	bool open_elsewhere;
	unsigned int files; /* our open files */
	char target[64];    /* of a symbolic link */

	/* a directory */
	u64 epoch;
	struct list_head entries;

	/* a regular file */
	u8 *data; /* what the OSTs have: see fake_data() */
	/* Held for reading by I/O scopes, for writing by who takes the lock away. */
	struct rw_semaphore scope;
	unsigned int write_scopes;
	u8 *reserved; /* for each page, how often grant is reserved */
};

struct fake_write {
	struct llc_inode *inode;
	u64 pos;
	size_t bytes;
	u32 granted;
};

struct fake_world {
	struct kunit *test;
	struct llc_inode *root;
	unsigned int calls[FAKE_CALLS];
	unsigned int mounts, nodes, open_files;
	u64 stripe_pages; /* 0: one stripe */
	u64 grant_pages;  /* 0: without end */
	bool narrow;	  /* a write-through meets an OST that is away */
	bool many_tasks;  /* a page may be dirtied again while it is on its way */
	unsigned int last_io_mode;
	u32 last_open_flags;
	struct llc_attr last_setattr;
	u32 last_valid;
	struct llc_flock last_flock, flock_answer;
	struct llc_create last_create;
	struct llc_statfs statfs;
	struct fake_write writes[FAKE_WRITES_MAX];
	unsigned int writes_count;
	struct completion destroyed; /* the mount is gone */
	wait_queue_head_t closed;    /* open_files is less */
};
extern struct fake_world fake;

/* A world with nothing but a root, and its end. */
int fake_begin(struct kunit *test);
void fake_end(void);

/* After skip more calls, the next `times` ones answer error. */
void fake_fail(enum fake_call call, unsigned int skip, unsigned int times, int error);
/* After skip more calls, hook runs once, at the beginning of the next one. */
void fake_before(enum fake_call call, unsigned int skip, void (*hook)(struct llc_inode *i));

/* What other clients do, and what was there before we came. No reference is handed out. */
struct llc_inode *fake_make(struct llc_inode *dir, const char *name, u32 mode);
struct llc_inode *fake_make_file(struct llc_inode *dir, const char *name, u64 bytes, u32 seed);
struct llc_inode *fake_find(struct llc_inode *dir, const char *name);
void fake_remove(struct llc_inode *dir, const char *name);
void fake_other_moves(struct llc_inode *from, const char *old, struct llc_inode *to,
		      const char *name);
void fake_other_links(struct llc_inode *i, struct llc_inode *dir, const char *name);
void fake_other_writes(struct llc_inode *i, u64 pos, size_t bytes, u32 seed);
void fake_other_truncates(struct llc_inode *i, u64 size);
/* Attributes of another client's chmod and chown. */
void fake_other_changes(struct llc_inode *i, u32 mode, u32 uid);

/* Our extent lock goes, and with all of the file what we know of its size; discard: with an
 * eviction. */
void fake_lose_lock(struct llc_inode *i, u64 start, u64 end, bool discard);
/* Our lock of the inode's attributes and names goes. */
void fake_lose_inode_lock(struct llc_inode *i);
/* The core writes dirty pages back: the answer of llp_flush(). */
int fake_flush(struct llc_inode *i, u64 start, u64 end);

/* The bytes that fake_make_file() and fake_other_writes() store at pos. */
void fake_pattern(u8 *to, u64 pos, size_t bytes, u32 seed);
/* FAKE_FILE_BYTES, of what the OSTs have. */
u8 *fake_data(struct llc_inode *i);
unsigned int fake_reserved(struct llc_inode *i);
