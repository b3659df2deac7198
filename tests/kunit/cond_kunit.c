// SPDX-License-Identifier: GPL-2.0-only
#include "tests/kunit/suites.h"

#define WAITERS 4
#define ROUNDS 2000

struct queue {
	struct kapi_mutex m;
	struct kapi_cond c;
	int tickets, taken, waiting;
	bool stop;
};

static void queue_init(struct queue *q)
{
	memset(q, 0, sizeof(*q));
	kapi_mutex_init(&q->m, KUNIT_RANK_Leaf);
	kapi_cond_init(&q->c);
}

static void queue_destroy(struct queue *q)
{
	kapi_cond_destroy(&q->c);
	kapi_mutex_destroy(&q->m);
}

static void take_tickets(void *arg)
{
	struct queue *q = arg;

	kapi_mutex_lock(&q->m);
	for (;;) {
		while (!q->tickets && !q->stop) {
			q->waiting++;
			kapi_cond_wait(&q->c, &q->m, KAPI_FOREVER, KAPI_WAIT_UNINTERRUPTIBLE);
			q->waiting--;
		}
		if (!q->tickets)
			break;
		q->tickets--;
		q->taken++;
	}
	kapi_mutex_unlock(&q->m);
}

/*
 * Every ticket is announced once, by wake_one: one lost wake-up and the test hangs with tickets
 * left.
 */
static void no_wake_up_is_lost(struct kunit *test)
{
	struct kapi_task *tasks[WAITERS];
	struct queue q;
	int i;

	queue_init(&q);
	for (i = 0; i < WAITERS; i++)
		KUNIT_ASSERT_EQ(test, kapi_task_start(&tasks[i], take_tickets, &q, "lull_test"), 0);
	for (i = 0; i < ROUNDS; i++) {
		kapi_mutex_lock(&q.m);
		q.tickets++;
		kapi_cond_wake_one(&q.c);
		kapi_mutex_unlock(&q.m);
	}
	for (i = 0; i < 1000 && READ_ONCE(q.taken) < ROUNDS; i++)
		kapi_sleep_ns(10 * NSEC_PER_MSEC);
	KUNIT_EXPECT_EQ(test, READ_ONCE(q.taken), ROUNDS);
	kapi_mutex_lock(&q.m);
	q.stop = true;
	kapi_cond_wake_all(&q.c);
	kapi_mutex_unlock(&q.m);
	for (i = 0; i < WAITERS; i++)
		kapi_task_join(tasks[i]);
	queue_destroy(&q);
}

static void a_deadline_ends_the_wait(struct kunit *test)
{
	struct queue q;
	u64 deadline = after_ms(30);
	int err;

	queue_init(&q);
	kapi_mutex_lock(&q.m);
	do {
		err = kapi_cond_wait(&q.c, &q.m, deadline, KAPI_WAIT_INTERRUPTIBLE);
	} while (!err);
	KUNIT_EXPECT_EQ(test, err, -ETIMEDOUT);
	KUNIT_EXPECT_GE(test, kapi_now_ns(), deadline);
	KUNIT_EXPECT_TRUE(test, kapi_mutex_is_mine(&q.m));
	/* A deadline in the past does not sleep. */
	KUNIT_EXPECT_EQ(test, kapi_cond_wait(&q.c, &q.m, 1, KAPI_WAIT_UNINTERRUPTIBLE), -ETIMEDOUT);
	kapi_mutex_unlock(&q.m);
	queue_destroy(&q);
}

static struct kunit_case cond_cases[] = {
	KUNIT_CASE(no_wake_up_is_lost),
	KUNIT_CASE(a_deadline_ends_the_wait),
	{}
};
struct kunit_suite cond_suite = { .name = "lull_cond", .test_cases = cond_cases };
