/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * C ABI: start and stop the targets on one device (mount -t lull /dev/vdb /mnt/mdt). A device
 * formatted with --mgs --mdt holds both; they start and stop together.
 */
#pragma once
#include "kapi/kapi.h"
#include "ptlrpc/node_glue.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lull_server; /* class ServerMount: the targets of one device */

/* options: "-o" text as given to mount: force, abort_recov, … ; why: room for a sentence that names
 * the cause of a failure; without one, what whoever mounts it should know, or "". */
int lull_server_start(struct lull_node *node, const char *device, const char *options,
                      struct lull_server **out, char *why, size_t why_bytes);
/* flags: LULL_STOP_FORCE evicts all clients (umount -f). Also right after a controlled shutdown has
 * halted the target. */
#define LULL_STOP_FORCE 1u
void lull_server_stop(struct lull_server *server, unsigned flags);
/* For /proc/mounts: ",svname=lull-MDT0000,mgs"; what does not fit is left out. */
void lull_server_describe(struct lull_server *server, char *out, size_t bytes);
int lull_server_statfs(struct lull_server *server, uint64_t *total_bytes, uint64_t *free_bytes,
                       uint64_t *files, uint64_t *free_files);

#ifdef __cplusplus
}
#endif
