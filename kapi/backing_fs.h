/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The backing file system of a target, as a C ABI: osd/linux carries it over the kernel's VFS
 * (ext4), osd/sim in memory.
 *
 * Crash contract: every call that changes something is one step (rename is atomic). After a crash
 * some prefix of the steps since the last kbfs_sync() survives, in the order they were executed;
 * only the *data* of kbfs_write() may be missing or partial even when later steps survived.
 * Extended attributes are metadata: they keep the order.
 *
 * A node is a referenced object (a dentry in Linux). Calls may come from many tasks at once.
 * Errors: negative errno.
 */
#pragma once
#include "kapi/kapi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KBFS_NAME_MAX 255

struct kbfs;      /* a mounted backing file system */
struct kbfs_node; /* a reference to one of its objects */

/* the S_IFMT bits of mode */
enum kbfs_type { KBFS_FILE = 0100000, KBFS_DIR = 0040000, KBFS_SYMLINK = 0120000 };

enum kbfs_attr_valid {
    KBFS_MODE = 1, /* permission bits */
    KBFS_UID = 2,
    KBFS_GID = 4,
    KBFS_SIZE = 8,
    KBFS_ATIME = 16,
    KBFS_MTIME = 32,
    KBFS_CTIME = 64, /* honoured where the file system lets us; ext4 sets it to now */
};

struct kbfs_attr {
    uint64_t ino;
    uint32_t generation;
    uint32_t mode; /* with S_IFMT */
    uint32_t uid, gid;
    uint32_t nlink;
    uint32_t rdev;
    uint64_t size, blocks_512;
    uint64_t atime_ns, mtime_ns, ctime_ns; /* since 1970 */
};

struct kbfs_statfs {
    uint64_t total_bytes, free_bytes, avail_bytes;
    uint64_t files, free_files;
    uint32_t block_bytes, name_max;
};

/* device: path of a block device. -EBUSY: in use (also by another node: multi-mount protection),
 * -EINVAL: not ours. */
int kbfs_mount(struct kapi_net *net, const char *device, bool read_only, struct kbfs **out);
void kbfs_unmount(struct kbfs *fs); /* clean; all nodes were put */
/* returns when every step executed before the call is durable */
int kbfs_sync(struct kbfs *fs);
int kbfs_statfs(struct kbfs *fs, struct kbfs_statfs *out);

int kbfs_root(struct kbfs *fs, struct kbfs_node **out);
struct kbfs_node *kbfs_get(struct kbfs_node *n);
void kbfs_put(struct kbfs_node *n);
/* Find an object by what kbfs_getattr() said of it. -ESTALE when it is gone. */
int kbfs_open_handle(struct kbfs *fs, uint64_t ino, uint32_t generation, struct kbfs_node **out);

/* -ENOENT */
int kbfs_lookup(struct kbfs_node *dir, const char *name, size_t len, struct kbfs_node **out);
/* mode with S_IFMT: file, directory, or device/fifo/socket with rdev. -EEXIST. */
int kbfs_create(struct kbfs_node *dir, const char *name, size_t len, uint32_t mode, uint32_t rdev,
                struct kbfs_node **out);
int kbfs_symlink(struct kbfs_node *dir, const char *name, size_t len, const char *target,
                 struct kbfs_node **out);
int kbfs_readlink(struct kbfs_node *n, char *out, size_t bytes); /* length, not terminated */
int kbfs_link(struct kbfs_node *n, struct kbfs_node *dir, const char *name, size_t len);
int kbfs_unlink(struct kbfs_node *dir, const char *name, size_t len); /* not a directory */
int kbfs_rmdir(struct kbfs_node *dir, const char *name, size_t len);  /* -ENOTEMPTY */
int kbfs_rename(struct kbfs_node *from_dir, const char *from, size_t from_len,
                struct kbfs_node *to_dir, const char *to,
                size_t to_len); /* replaces, as rename(2) */

int kbfs_getattr(struct kbfs_node *n, struct kbfs_attr *out);
int kbfs_setattr(struct kbfs_node *n, const struct kbfs_attr *attr, uint32_t valid);
/* short at end of file */
int64_t kbfs_read(struct kbfs_node *n, uint64_t offset, void *buf, size_t bytes);
/* all or an error */
int kbfs_write(struct kbfs_node *n, uint64_t offset, const void *buf, size_t bytes);
/* 1: all of this was written before, so that writing it again takes no space. 0: not so, or not
 * known. */
int kbfs_is_written(struct kbfs_node *n, uint64_t offset, size_t bytes);

/* name: without prefix; stored as trusted.lull.<name>. value up to 3000 bytes.
 * get: the length; -ENODATA, -ERANGE. */
int kbfs_getxattr(struct kbfs_node *n, const char *name, void *value, size_t bytes);
int kbfs_setxattr(struct kbfs_node *n, const char *name, const void *value, size_t bytes);
int kbfs_removexattr(struct kbfs_node *n, const char *name);

/* Calls emit for each entry after cookie (0 at first), without "." and ".."; stops when emit
 * returns false. ino: of the entry; next_cookie: where to go on after this entry. */
typedef bool (*kbfs_emit)(void *arg, const char *name, size_t len, uint64_t ino, uint32_t type,
                          uint64_t next_cookie);
int kbfs_iterate(struct kbfs_node *dir, uint64_t cookie, kbfs_emit emit, void *arg);

#ifdef __cplusplus
}
#endif
