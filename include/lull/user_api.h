/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What user-space tools say to the kernel: one character device, /dev/lull, one ioctl. Text in,
 * text out.
 *
 *   LIST  in: glob            out: names, one a line ("mdt.lull-MDT0000.recovery_status")
 *   GET   in: glob            out: "name=value" lines (a value of several lines follows on lines of
 *                             its own)
 *   SET   in: "glob=value"    out: the names that were set
 *   DL    in: ""              out: "index state type name uuid refcount" lines
 *   PING  in: "NID"           out: "12345-10.0.0.1@tcp rtt_us"
 *
 * Errors: ENOENT no such parameter, EACCES read-only parameter, EINVAL bad value, ENOSPC out buffer
 * too small.
 */
#pragma once
#include <linux/types.h>
#include <linux/ioctl.h>

#define LULL_DEVICE_PATH "/dev/lull"

enum lull_ctl_command { LULL_CTL_LIST = 1, LULL_CTL_GET, LULL_CTL_SET, LULL_CTL_DL, LULL_CTL_PING };

struct lull_ctl {
    __u32 command;
    __u32 in_bytes;  /* at most LULL_CTL_IN_MAX */
    __u64 in;        /* user pointer */
    __u64 out;       /* user pointer */
    __u32 out_bytes; /* room; at most LULL_CTL_OUT_MAX */
    __u32 out_used;  /* result: also set with an error, then a text that explains it */
};
#define LULL_CTL_IN_MAX 4096
#define LULL_CTL_OUT_MAX (1 << 20)
#define LULL_IOC_CTL _IOWR('L', 0x77, struct lull_ctl)
