// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/ratelimit.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "kapi/linux/port.h"

/* Counted per CPU and summed at unload: an allocation may be freed on another CPU. */
static DEFINE_PER_CPU(long, live_allocations);

static void *allocate(size_t bytes, gfp_t extra)
{
	unsigned int nofs;
	void *p = NULL;

	if (bytes <= KAPI_ALLOC_MAX_BYTES) {
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
