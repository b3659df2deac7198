// SPDX-License-Identifier: GPL-2.0-only
#include <linux/hrtimer.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

#include "kapi/linux/port.h"

static_assert(sizeof(wait_queue_head_t) <= sizeof(struct kapi_cond));
static struct lock_class_key cond_key;

static wait_queue_head_t *queue(struct kapi_cond *c)
{
	return (wait_queue_head_t *)c->opaque;
}

/*
 * A process that waits for a server does not keep the machine from being suspended. An
 * interruptible wait ends, the call lets go of the VFS's locks, and is taken up again after the
 * resume; other waits are frozen where they are (as those of NFS).
 */
unsigned int kapi_task_state(enum kapi_wait_mode mode)
{
	if (current->flags & PF_KTHREAD)
		return TASK_IDLE;
	switch (mode) {
	case KAPI_WAIT_KILLABLE:
		return TASK_KILLABLE | TASK_FREEZABLE_UNSAFE;
	case KAPI_WAIT_INTERRUPTIBLE:
		return TASK_INTERRUPTIBLE;
	default:
		return TASK_UNINTERRUPTIBLE | TASK_FREEZABLE_UNSAFE;
	}
}

void kapi_schedule_until(u64 deadline_ns)
{
	ktime_t deadline = ns_to_ktime(deadline_ns);

	if (deadline_ns >= KTIME_MAX)
		schedule();
	else
		schedule_hrtimeout(&deadline, HRTIMER_MODE_ABS);
}

void kapi_cond_init(struct kapi_cond *c)
{
	__init_waitqueue_head(queue(c), "Lull cond", &cond_key);
}

void kapi_cond_destroy(struct kapi_cond *c)
{
	WARN_ON_ONCE(waitqueue_active(queue(c)));
}

/*
 * True if a waker chose us: it then took the entry off the queue, and nobody else was woken in our
 * place.
 */
static bool leave_queue(wait_queue_head_t *q, struct wait_queue_entry *entry)
{
	unsigned long flags;
	bool woken;

	__set_current_state(TASK_RUNNING);
	spin_lock_irqsave(&q->lock, flags);
	woken = list_empty(&entry->entry);
	list_del_init(&entry->entry);
	spin_unlock_irqrestore(&q->lock, flags);
	return woken;
}

int kapi_cond_wait(struct kapi_cond *c, struct kapi_mutex *m, uint64_t deadline_ns,
		   enum kapi_wait_mode mode)
{
	unsigned int state = kapi_task_state(mode);
	DEFINE_WAIT(entry);
	bool woken;

	/*
	 * Queued before the mutex is released: a change made under the mutex cannot slip between.
	 */
	prepare_to_wait_exclusive(queue(c), &entry, state);
	kapi_mutex_unlock(m);
	kapi_schedule_until(deadline_ns);
	woken = leave_queue(queue(c), &entry);
	kapi_mutex_lock(m);

	if (woken)
		return 0;
	if (signal_pending_state(state, current))
		return -ERESTARTSYS;
	return ktime_get_ns() >= deadline_ns ? -ETIMEDOUT : 0;
}

void kapi_cond_wake_one(struct kapi_cond *c)
{
	wake_up(queue(c));
}

void kapi_cond_wake_all(struct kapi_cond *c)
{
	wake_up_all(queue(c));
}

bool kapi_signal_pending(void)
{
	return !(current->flags & PF_KTHREAD) && signal_pending(current);
}

bool kapi_fatal_signal_pending(void)
{
	return !(current->flags & PF_KTHREAD) && fatal_signal_pending(current);
}
