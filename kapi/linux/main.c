// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "kapi/linux/control.h"
#include "kapi/linux/fstype.h"
#include "kapi/linux/node.h"
#include "kapi/linux/port.h"

static int __init lull_init(void)
{
	int err = kapi_locks_init();

	if (!err)
		err = lull_nodes_init();
	if (err)
		return err;
	err = lull_control_init();
	if (err)
		goto no_control;
	err = lull_fstype_init();
	if (err)
		goto no_fstype;
	kapi_memory_init();
	return 0;

no_fstype:
	lull_control_exit();
no_control:
	lull_nodes_exit();
	return err;
}

static void __exit lull_exit(void)
{
	long leaked;

	kapi_memory_exit();
	lull_fstype_exit();
	lull_control_exit();
	lull_nodes_exit();
	/* Releases of drain references run under RCU. */
	rcu_barrier();
	leaked = kapi_memory_live();
	if (leaked)
		pr_err("Lull: leaked %ld allocations\n", leaked);
}

module_init(lull_init);
module_exit(lull_exit);
MODULE_LICENSE("GPL");
MODULE_VERSION(LULL_VERSION);
MODULE_AUTHOR("The developers of Lull");
MODULE_DESCRIPTION("Lull: a parallel file system (network, requests, locks)");
