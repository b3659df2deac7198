// SPDX-License-Identifier: GPL-2.0-only
#include <linux/debugfs.h>
#include <linux/fault-inject.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/ratelimit.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "kapi/linux/port.h"

/* Counted per CPU and summed at unload: an allocation may be freed on another CPU. */
static DEFINE_PER_CPU(long, live_allocations);

/*
 * On a kernel with fault injection, /sys/kernel/debug/fail_lull_alloc: as failslab, but for Lull's
 * own allocations alone.
 */
#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
static DECLARE_FAULT_ATTR(fail_alloc);
static struct dentry *fail_alloc_dir;

void kapi_memory_init(void)
{
	fail_alloc_dir = fault_create_debugfs_attr("fail_lull_alloc", NULL, &fail_alloc);
}

void kapi_memory_exit(void)
{
	if (!IS_ERR_OR_NULL(fail_alloc_dir))
		debugfs_remove_recursive(fail_alloc_dir);
}

static bool fails_on_purpose(size_t bytes)
{
	return should_fail(&fail_alloc, bytes);
}
#else
void kapi_memory_init(void) {}
void kapi_memory_exit(void) {}
static bool fails_on_purpose(size_t bytes)
{
	return false;
}
#endif

static void *allocate(size_t bytes, gfp_t extra)
{
	unsigned int nofs;
	void *p = NULL;

	if (bytes <= KAPI_ALLOC_MAX_BYTES && !fails_on_purpose(bytes)) {
		nofs = memalloc_nofs_save();
		p = kvmalloc(bytes ?: 1, GFP_KERNEL | __GFP_NOWARN | extra);
		memalloc_nofs_restore(nofs);
	}
	if (p)
		this_cpu_inc(live_allocations);
	else
		pr_warn_ratelimited("Lull: no memory for %zu bytes\n", bytes);
	return p;
}

void *kapi_alloc(size_t bytes)
{
	return allocate(bytes, 0);
}

void *kapi_zalloc(size_t bytes)
{
	return allocate(bytes, __GFP_ZERO);
}

void kapi_free(void *p)
{
	if (!p)
		return;
	this_cpu_dec(live_allocations);
	kvfree(p);
}

long kapi_memory_live(void)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(live_allocations, cpu);
	return sum;
}
