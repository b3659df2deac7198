// SPDX-License-Identifier: GPL-2.0-only
#include <linux/percpu-refcount.h>
#include <linux/wait.h>

#include "kapi/linux/port.h"

struct drainref {
	struct percpu_ref ref;
	wait_queue_head_t queue;
	bool drained; /* under queue.lock: set by the release, so that it is the last to touch us */
};
static_assert(sizeof(struct drainref) <= sizeof(struct kapi_drainref));

static struct drainref *drain(struct kapi_drainref *r)
{
	return (struct drainref *)r->opaque;
}

static void release_drained(struct percpu_ref *ref)
{
	struct drainref *d = container_of(ref, struct drainref, ref);
	unsigned long flags;

	spin_lock_irqsave(&d->queue.lock, flags);
	d->drained = true;
	wake_up_all_locked(&d->queue);
	spin_unlock_irqrestore(&d->queue.lock, flags);
}

static bool is_drained(struct drainref *d)
{
	unsigned long flags;
	bool drained;

	spin_lock_irqsave(&d->queue.lock, flags);
	drained = d->drained;
	spin_unlock_irqrestore(&d->queue.lock, flags);
	return drained;
}

int kapi_drainref_init(struct kapi_drainref *r)
{
	struct drainref *d = drain(r);

	init_waitqueue_head(&d->queue);
	d->drained = false;
	return percpu_ref_init(&d->ref, release_drained, PERCPU_REF_ALLOW_REINIT, GFP_KERNEL);
}

void kapi_drainref_destroy(struct kapi_drainref *r)
{
	percpu_ref_exit(&drain(r)->ref);
}

bool kapi_drainref_tryget(struct kapi_drainref *r)
{
	return percpu_ref_tryget_live(&drain(r)->ref);
}

void kapi_drainref_put(struct kapi_drainref *r)
{
	percpu_ref_put(&drain(r)->ref);
}

void kapi_drainref_kill(struct kapi_drainref *r)
{
	percpu_ref_kill(&drain(r)->ref);
}

int kapi_drainref_wait(struct kapi_drainref *r, uint64_t deadline_ns)
{
	struct drainref *d = drain(r);
	DEFINE_WAIT(entry);
	int err = 0;

	for (;;) {
		prepare_to_wait(&d->queue, &entry, kapi_task_state(KAPI_WAIT_UNINTERRUPTIBLE));
		if (is_drained(d))
			break;
		if (ktime_get_ns() >= deadline_ns) {
			err = -ETIMEDOUT;
			break;
		}
		kapi_schedule_until(deadline_ns);
	}
	finish_wait(&d->queue, &entry);
	return err;
}

void kapi_drainref_revive(struct kapi_drainref *r)
{
	struct drainref *d = drain(r);

	/*
	 * A reference of our own keeps the count from reaching zero meanwhile; if it is there
	 * already, the release is done or near.
	 */
	if (percpu_ref_tryget(&d->ref)) {
		percpu_ref_resurrect(&d->ref);
		percpu_ref_put(&d->ref);
		return;
	}
	kapi_drainref_wait(r, KAPI_FOREVER);
	d->drained = false;
	percpu_ref_resurrect(&d->ref);
}
