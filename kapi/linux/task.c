// SPDX-License-Identifier: GPL-2.0-only
#include <linux/completion.h>
#include <linux/fs_struct.h>
#include <linux/kthread.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>

#include "kapi/linux/port.h"

struct kapi_task {
	struct task_struct *thread;
	struct completion started;
	void (*fn)(void *arg);
	void *arg;
};

static int run_task(void *data)
{
	struct kapi_task *t = data;
	void (*fn)(void *arg) = t->fn;
	void *arg = t->arg;

	/*
	 * Serves file systems: memory for it must not wait for one. Modes of what it creates are as
	 * asked for.
	 */
	memalloc_nofs_save();
	if (!unshare_fs_struct())
		current->fs->umask = 0;
	complete(&t->started);
	fn(arg);
	return 0;
}

int kapi_task_start(struct kapi_task **out, void (*fn)(void *arg), void *arg, const char *name)
{
	struct kapi_task *t = kapi_zalloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	init_completion(&t->started);
	t->fn = fn;
	t->arg = arg;
	t->thread = kthread_create(run_task, t, "%s", name);
	if (IS_ERR(t->thread)) {
		int err = PTR_ERR(t->thread);

		kapi_free(t);
		return err;
	}
	get_task_struct(t->thread);
	/* The task may run, and its owner be told, before this returns. */
	*out = t;
	wake_up_process(t->thread);
	return 0;
}

void kapi_task_join(struct kapi_task *t)
{
	/* A thread stopped before it ran would never call fn. */
	wait_for_completion(&t->started);
	/* Also waits until the thread has left the module's code. */
	kthread_stop(t->thread);
	put_task_struct(t->thread);
	kapi_free(t);
}

void kapi_yield(void)
{
	cond_resched();
}

void kapi_sleep_ns(uint64_t ns)
{
	u64 deadline = ktime_get_ns() + ns;

	do {
		set_current_state(kapi_task_state(KAPI_WAIT_KILLABLE));
		kapi_schedule_until(deadline);
	} while (ktime_get_ns() < deadline && !kapi_fatal_signal_pending());
	__set_current_state(TASK_RUNNING);
}

uint64_t kapi_task_self(void)
{
	return (uint64_t)(unsigned long)current;
}
