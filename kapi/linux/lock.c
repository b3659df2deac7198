// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mutex.h>
#include <linux/sched.h>

#include "kapi/linux/port.h"
#include "kapi/lock_rank.h"

struct ranked_mutex {
	struct mutex mutex;
	struct task_struct *owner; /* written by the holder only */
};
static_assert(sizeof(struct ranked_mutex) <= sizeof(struct kapi_mutex));

#define RANK_INDEX(name, text) RANK_##name,
enum { LULL_LOCK_RANKS(RANK_INDEX) RANK_COUNT };
#define RANK_NAME(name, text) [RANK_##name] = "Lull " #name,
static const char *const rank_names[RANK_COUNT] = { LULL_LOCK_RANKS(RANK_NAME) };
static struct lock_class_key rank_keys[RANK_COUNT];

static struct ranked_mutex *ranked(struct kapi_mutex *m)
{
	return (struct ranked_mutex *)m->opaque;
}

void kapi_mutex_init(struct kapi_mutex *m, unsigned int rank)
{
	struct ranked_mutex *r = ranked(m);

	BUG_ON(rank >= RANK_COUNT);
	__mutex_init(&r->mutex, rank_names[rank], &rank_keys[rank]);
	r->owner = NULL;
}

void kapi_mutex_destroy(struct kapi_mutex *m)
{
	mutex_destroy(&ranked(m)->mutex);
}

void kapi_mutex_lock(struct kapi_mutex *m)
{
	struct ranked_mutex *r = ranked(m);

	mutex_lock(&r->mutex);
	WRITE_ONCE(r->owner, current);
}

void kapi_mutex_unlock(struct kapi_mutex *m)
{
	struct ranked_mutex *r = ranked(m);

	WRITE_ONCE(r->owner, NULL);
	mutex_unlock(&r->mutex);
}

bool kapi_mutex_is_mine(struct kapi_mutex *m)
{
	return READ_ONCE(ranked(m)->owner) == current;
}

/*
 * Takes one lock of every rank in order, once: the first wrong order anywhere is then reported, not
 * the first deadlock.
 */
int kapi_locks_init(void)
{
#ifdef CONFIG_PROVE_LOCKING
	struct kapi_mutex *all = kapi_alloc(sizeof(*all) * RANK_COUNT);
	int i;

	BUILD_BUG_ON(RANK_COUNT >= MAX_LOCK_DEPTH);
	if (!all)
		return -ENOMEM;
	for (i = 0; i < RANK_COUNT; i++) {
		kapi_mutex_init(&all[i], i);
		kapi_mutex_lock(&all[i]);
	}
	while (i-- > 0) {
		kapi_mutex_unlock(&all[i]);
		kapi_mutex_destroy(&all[i]);
	}
	kapi_free(all);
#endif
	return 0;
}
