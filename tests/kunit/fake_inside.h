/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the fake share: fake_core.c, fake_names.c, fake_data.c. */
#pragma once
#include <linux/spinlock.h>

#include "tests/kunit/fake_core.h"

struct fake_plan {
	unsigned int first, end; /* of the calls that fail */
	int error;
	unsigned int hook_at;
	void (*hook)(struct llc_inode *i);
};

struct fake_entry {
	struct list_head link;
	char name[FAKE_NAME_BYTES];
	struct llc_inode *inode;
};

extern spinlock_t fake_lock; /* counters, hosts, sizes, grant */

#define FAKE_EXPECT(ok, fmt, ...)                                                                  \
	do {                                                                                       \
		if (!(ok) && fake.test)                                                            \
			KUNIT_FAIL(fake.test, "port: " fmt, ##__VA_ARGS__);                        \
	} while (0)

/* Counts the call, runs the test's hook, gives the answer that the test wants (0: the true one). */
int fake_enter(enum fake_call call, struct llc_inode *i);
bool fake_will_fail(enum fake_call call);
struct llp_inode *fake_host(struct llc_inode *i);
struct fake_entry *fake_entry(struct llc_inode *dir, const char *name, size_t len);
int fake_add_entry(struct llc_inode *dir, const char *name, size_t len, struct llc_inode *i);
void fake_drop_entry(struct llc_inode *dir, struct fake_entry *e);
struct llc_inode *fake_new(struct llc_inode *dir, const char *name, size_t len, u32 mode);
int fake_give(struct llc_inode *i, struct llc_inode **out, struct llc_attr *attr);
void fake_refresh_size(struct llc_inode *i);
struct llc_file *fake_open(struct llc_inode *i);
