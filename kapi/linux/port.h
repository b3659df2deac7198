/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of kapi/linux share. */
#pragma once
#include <linux/types.h>
#include <net/net_namespace.h>

#include "kapi/kapi.h"

/* A node is a network namespace. */
static inline struct net *kapi_to_net(struct kapi_net *net)
{
	return (struct net *)net;
}

static inline struct kapi_net *net_to_kapi(struct net *net)
{
	return (struct kapi_net *)net;
}

/* The state in which a task waits; kernel threads idle without counting as load or as hung. */
unsigned int kapi_task_state(enum kapi_wait_mode mode);
/* Sleeps in the state set before until woken or kapi_now_ns() reaches the deadline. */
void kapi_schedule_until(u64 deadline_ns);

int kapi_locks_init(void); /* teaches lockdep the order of the ranks */
void kapi_memory_init(void);
void kapi_memory_exit(void);
long kapi_memory_live(void);
