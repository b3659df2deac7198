/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The lock order of the whole core, written once. A task may take a lock only if its rank is
 * greater than that of every lock it already holds. kapi/linux gives every rank its own lockdep
 * class; kapi/sim asserts the order. docs/lock-order.md explains it.
 */
#pragma once

/* X(name, text): from outermost to innermost. */
#define LULL_LOCK_RANKS(X)                                        \
    X(NodeControl, "node: start and stop of targets and clients") \
    X(LliteMount, "llite: inode table of one mount")              \
    X(LliteInode, "llite: one inode")                             \
    X(Shutdown, "target: controlled shutdown state machine")      \
    X(ActiveLock, "ldlm: client side of the active server lock")  \
    X(Target, "target: exports and recovery")                     \
    X(MdtRename, "mdt: one rename of a directory at a time")      \
    X(MdtObject, "mdt: one object in memory")                     \
    X(Ofd, "ofd: grants and objects")                             \
    X(Osc, "osc: objects, grants, dirty accounting")              \
    X(Ldlm, "ldlm: a namespace with its resources and locks")     \
    X(Commit, "target: transaction numbers and group commit")     \
    X(Reply, "target: reply slots")                               \
    X(Osd, "osd: object cache")                                   \
    X(Import, "ptlrpc: one import")                               \
    X(Gate, "ptlrpc: the gate of an import")                      \
    X(Request, "ptlrpc: one request")                             \
    X(Export, "ptlrpc: one export")                               \
    X(Service, "ptlrpc: service queues and threads")              \
    X(Node, "node: tables of devices and parameters")             \
    X(LnetConn, "lnet: one connection, its send queue")           \
    X(Lnet, "lnet: table of connections")                         \
    X(Leaf, "anything that takes no other lock")

#ifdef __cplusplus
enum class LockRank : unsigned {
#define LULL_RANK_ENUM(name, text) k##name,
    LULL_LOCK_RANKS(LULL_RANK_ENUM)
#undef LULL_RANK_ENUM
        kCount
};
#endif
