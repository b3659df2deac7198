/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * C ABI between whoever hosts a node (kapi/linux/main.c, tests/sim) and the core: one node per
 * network namespace or simulated host. See node.h for the class behind it.
 */
#pragma once
#include "kapi/kapi.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lull_node; /* class Node */

struct lull_node_options {
    uint32_t protocol_max; /* 1 or 2 */
    uint16_t port;         /* acceptor, 988 as Lustre's */
    uint16_t service_threads_max;
    /* a peer that has not answered a ping for so long is taken for dead */
    uint32_t timeout_ms;
    char nodename[65];
};

int lull_node_create(struct kapi_net *net, const struct lull_node_options *options,
                     struct lull_node **out);
/* All targets and clients must have been stopped. */
void lull_node_destroy(struct lull_node *node);
/* Starts the acceptor; done once, at the first mount of a target. -EADDRINUSE. */
int lull_node_listen(struct lull_node *node);
/* lctl: see include/lull/user_api.h. *out_bytes: room, then used. */
int lull_node_control(struct lull_node *node, uint32_t command, const char *in, size_t in_bytes,
                      char *out, size_t *out_bytes);

#ifdef __cplusplus
}
#endif
