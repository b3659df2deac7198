/* SPDX-License-Identifier: GPL-2.0-only */
/* mount -t lull /dev/vdb /mnt/mdt: the face of a target's device (kapi/linux/fstype.h). */
#pragma once

void lull_server_mount_init(void);
void lull_server_mount_exit(void);
