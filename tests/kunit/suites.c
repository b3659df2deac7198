// SPDX-License-Identifier: GPL-2.0-only
/*
 * lull_kunit.ko: what only a kernel can show of kapi/linux, osd/linux and llite/linux. Results are
 * KTAP on the console.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "tests/kunit/llite_fixture.h"
#include "tests/kunit/suites.h"

char *device;
module_param(device, charp, 0444);
MODULE_PARM_DESC(device,
		 "a scratch block device with an empty ext4; without it the kbfs suite is skipped");

static struct kunit_suite *suites[] = { &cond_suite,	   &drainref_suite,   &socket_suite,
					 &basics_suite,	   &kbfs_suite,	      &llite_read_suite,
					 &llite_write_suite, &llite_mmap_suite, &llite_names_suite,
					 &llite_attr_suite,  &llite_tasks_suite };

/* kunit_test_suites() would run them before the parameters are known. */
static int __init suites_init(void)
{
	int err = llite_type_register();

	if (err)
		return err;
	loader_mm = current->mm;
	err = __kunit_test_suites_init(suites, ARRAY_SIZE(suites));
	if (err)
		llite_type_unregister();
	return err;
}

static void __exit suites_exit(void)
{
	long leaked;

	__kunit_test_suites_exit(suites, ARRAY_SIZE(suites));
	llite_type_unregister();
	rcu_barrier();
	leaked = kapi_memory_live();
	if (leaked)
		pr_err("WARNING: Lull: leaked %ld allocations\n", leaked);
}

module_init(suites_init);
module_exit(suites_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Lull: KUnit suites");
