/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The node of a network namespace: made at its first use, kept until the namespace or the module
 * goes. A reference also holds the namespace. lull_node_get() may sleep; ERR_PTR on failure.
 */
#pragma once
#include <net/net_namespace.h>

#include "ptlrpc/node_glue.h"

struct lull_node *lull_node_get(struct net *net);
void lull_node_put(struct net *net);

int lull_nodes_init(void);
void lull_nodes_exit(void);
