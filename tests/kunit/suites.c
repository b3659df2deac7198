// SPDX-License-Identifier: GPL-2.0-only
/*
 * lull_kunit.ko: what only a kernel can show of kapi/linux and osd/linux. Results are KTAP on the
 * console.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "tests/kunit/suites.h"

char *device;
module_param(device, charp, 0444);
MODULE_PARM_DESC(device,
		 "a scratch block device with an empty ext4; without it the kbfs suite is skipped");

static struct kunit_suite *suites[] = { &cond_suite, &drainref_suite, &socket_suite, &basics_suite,
					 &kbfs_suite };

/* kunit_test_suites() would run them before the parameters are known. */
static int __init suites_init(void)
{
	return __kunit_test_suites_init(suites, ARRAY_SIZE(suites));
}

static void __exit suites_exit(void)
{
	long leaked;

	__kunit_test_suites_exit(suites, ARRAY_SIZE(suites));
	rcu_barrier();
	leaked = kapi_memory_live();
	if (leaked)
		pr_err("WARNING: Lull: leaked %ld allocations\n", leaked);
}

module_init(suites_init);
module_exit(suites_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Lull: KUnit suites");
