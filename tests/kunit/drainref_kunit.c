// SPDX-License-Identifier: GPL-2.0-only
#include "tests/kunit/suites.h"

#define USERS 3
#define CYCLES 60

static void kill_waits_for_the_last(struct kunit *test)
{
	struct kapi_drainref r;

	KUNIT_ASSERT_EQ(test, kapi_drainref_init(&r), 0);
	KUNIT_EXPECT_TRUE(test, kapi_drainref_tryget(&r));
	kapi_drainref_kill(&r);
	KUNIT_EXPECT_FALSE(test, kapi_drainref_tryget(&r));
	KUNIT_EXPECT_EQ(test, kapi_drainref_wait(&r, after_ms(50)), -ETIMEDOUT);
	kapi_drainref_put(&r);
	KUNIT_EXPECT_EQ(test, kapi_drainref_wait(&r, after_ms(5000)), 0);
	kapi_drainref_destroy(&r);
}

static void revive_with_references_held(struct kunit *test)
{
	struct kapi_drainref r;

	KUNIT_ASSERT_EQ(test, kapi_drainref_init(&r), 0);
	KUNIT_EXPECT_TRUE(test, kapi_drainref_tryget(&r));
	kapi_drainref_kill(&r);
	kapi_drainref_revive(&r);
	KUNIT_EXPECT_TRUE(test, kapi_drainref_tryget(&r));
	kapi_drainref_put(&r);
	kapi_drainref_kill(&r);
	KUNIT_EXPECT_EQ(test, kapi_drainref_wait(&r, after_ms(20)), -ETIMEDOUT);
	kapi_drainref_put(&r);
	KUNIT_EXPECT_EQ(test, kapi_drainref_wait(&r, KAPI_FOREVER), 0);
	/* And once more from zero. */
	kapi_drainref_revive(&r);
	KUNIT_EXPECT_TRUE(test, kapi_drainref_tryget(&r));
	kapi_drainref_put(&r);
	kapi_drainref_kill(&r);
	KUNIT_EXPECT_EQ(test, kapi_drainref_wait(&r, KAPI_FOREVER), 0);
	kapi_drainref_destroy(&r);
}

static void unused_can_be_destroyed(struct kunit *test)
{
	struct kapi_drainref r;

	KUNIT_ASSERT_EQ(test, kapi_drainref_init(&r), 0);
	kapi_drainref_destroy(&r);
}

struct shared {
	struct kapi_drainref r;
	atomic_t inside;
	bool stop;
};

static void come_and_go(void *arg)
{
	struct shared *s = arg;

	while (!READ_ONCE(s->stop)) {
		if (kapi_drainref_tryget(&s->r)) {
			atomic_inc(&s->inside);
			atomic_dec(&s->inside);
			kapi_drainref_put(&s->r);
		}
		kapi_yield();
	}
}

static void drained_means_nobody_inside(struct kunit *test)
{
	struct kapi_task *tasks[USERS];
	struct shared s = {};
	int i, drained = 0;

	KUNIT_ASSERT_EQ(test, kapi_drainref_init(&s.r), 0);
	for (i = 0; i < USERS; i++)
		KUNIT_ASSERT_EQ(test, kapi_task_start(&tasks[i], come_and_go, &s, "lull_test"), 0);
	for (i = 0; i < CYCLES; i++) {
		kapi_drainref_kill(&s.r);
		/* Every third time the shutdown is cancelled at once. */
		if (i % 3) {
			KUNIT_EXPECT_EQ(test, kapi_drainref_wait(&s.r, after_ms(20000)), 0);
			KUNIT_EXPECT_EQ(test, atomic_read(&s.inside), 0);
			drained++;
		}
		kapi_drainref_revive(&s.r);
	}
	KUNIT_EXPECT_GT(test, drained, 0);
	WRITE_ONCE(s.stop, true);
	for (i = 0; i < USERS; i++)
		kapi_task_join(tasks[i]);
	kapi_drainref_kill(&s.r);
	KUNIT_EXPECT_EQ(test, kapi_drainref_wait(&s.r, KAPI_FOREVER), 0);
	kapi_drainref_destroy(&s.r);
}

static struct kunit_case drainref_cases[] = {
	KUNIT_CASE(kill_waits_for_the_last),
	KUNIT_CASE(revive_with_references_held),
	KUNIT_CASE(unused_can_be_destroyed),
	KUNIT_CASE(drained_means_nobody_inside),
	{}
};
struct kunit_suite drainref_suite = { .name = "lull_drainref", .test_cases = drainref_cases };
