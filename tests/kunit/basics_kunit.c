// SPDX-License-Identifier: GPL-2.0-only
#include "tests/kunit/suites.h"

static void crc_has_the_known_value(struct kunit *test)
{
	u32 half;

	KUNIT_EXPECT_EQ(test, kapi_crc32c(0, "123456789", 9), 0xe3069283u);
	half = kapi_crc32c(0, "12345", 5);
	KUNIT_EXPECT_EQ(test, kapi_crc32c(half, "6789", 4), 0xe3069283u);
}

static void memory_is_counted(struct kunit *test)
{
	long before = kapi_memory_live();
	char *small = kapi_zalloc(10), *big = kapi_alloc(KAPI_ALLOC_MAX_BYTES);

	KUNIT_ASSERT_NOT_NULL(test, small);
	KUNIT_ASSERT_NOT_NULL(test, big);
	KUNIT_EXPECT_EQ(test, small[9], 0);
	KUNIT_EXPECT_EQ(test, kapi_memory_live(), before + 2);
	kapi_free(small);
	kapi_free(big);
	kapi_free(NULL);
	KUNIT_EXPECT_EQ(test, kapi_memory_live(), before);
	KUNIT_EXPECT_NULL(test, kapi_alloc((size_t)KAPI_ALLOC_MAX_BYTES + 1));
}

static void a_mutex_knows_its_holder(struct kunit *test)
{
	struct kapi_mutex m;

	kapi_mutex_init(&m, KUNIT_RANK_Leaf);
	KUNIT_EXPECT_FALSE(test, kapi_mutex_is_mine(&m));
	kapi_mutex_lock(&m);
	KUNIT_EXPECT_TRUE(test, kapi_mutex_is_mine(&m));
	kapi_mutex_unlock(&m);
	KUNIT_EXPECT_FALSE(test, kapi_mutex_is_mine(&m));
	kapi_mutex_destroy(&m);
}

static void ranks_are_taught(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, kapi_locks_init(), 0);
}

static void set_flag(void *arg)
{
	*(int *)arg = 1;
}

/* A task joined before it ever ran still runs. */
static void a_task_always_runs(struct kunit *test)
{
	int i;

	for (i = 0; i < 200; i++) {
		struct kapi_task *t;
		int ran = 0;

		KUNIT_ASSERT_EQ(test, kapi_task_start(&t, set_flag, &ran, "lull_test"), 0);
		kapi_task_join(t);
		KUNIT_ASSERT_EQ(test, ran, 1);
	}
}

static void sleep_takes_its_time(struct kunit *test)
{
	u64 before = kapi_now_ns();

	kapi_sleep_ns(20 * NSEC_PER_MSEC);
	KUNIT_EXPECT_GE(test, kapi_now_ns(), before + 20 * NSEC_PER_MSEC);
}

static void text_is_formatted(struct kunit *test)
{
	char out[16];

	KUNIT_EXPECT_EQ(test, kapi_snprintf(out, sizeof(out), "%.*s-%04x", 2, "abc", 0x1fu), 7);
	KUNIT_EXPECT_STREQ(test, out, "ab-001f");
}

static struct kunit_case basics_cases[] = {
	KUNIT_CASE(crc_has_the_known_value),
	KUNIT_CASE(memory_is_counted),
	KUNIT_CASE(a_mutex_knows_its_holder),
	KUNIT_CASE(ranks_are_taught),
	KUNIT_CASE(a_task_always_runs),
	KUNIT_CASE(sleep_takes_its_time),
	KUNIT_CASE(text_is_formatted),
	{}
};
struct kunit_suite basics_suite = { .name = "lull_basics", .test_cases = basics_cases };
