/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once
#include <kunit/test.h>

#include "kapi/kapi.h"
#include "kapi/linux/port.h"
#include "kapi/lock_rank.h"

extern struct kunit_suite cond_suite, drainref_suite, socket_suite, basics_suite, kbfs_suite;
extern char *device;

#define KUNIT_RANK(name, text) KUNIT_RANK_##name,
enum { LULL_LOCK_RANKS(KUNIT_RANK) KUNIT_RANK_COUNT };

static inline u64 after_ms(u64 ms)
{
	return kapi_now_ns() + ms * NSEC_PER_MSEC;
}
