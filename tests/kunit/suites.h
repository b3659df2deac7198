/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once
#include <kunit/test.h>

#include "kapi/kapi.h"
#include "kapi/linux/port.h"
#include "kapi/lock_rank.h"

extern struct kunit_suite cond_suite, drainref_suite, socket_suite, basics_suite, kbfs_suite;
extern struct kunit_suite llite_read_suite, llite_write_suite, llite_mmap_suite, llite_names_suite,
	llite_attr_suite, llite_tasks_suite;
extern struct mm_struct *loader_mm; /* of the process that loads the module */
extern char *device;

#define KUNIT_RANK(name, text) KUNIT_RANK_##name,
enum { LULL_LOCK_RANKS(KUNIT_RANK) KUNIT_RANK_COUNT };

static inline u64 after_ms(u64 ms)
{
	return kapi_now_ns() + ms * NSEC_PER_MSEC;
}
