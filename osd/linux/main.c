// SPDX-License-Identifier: GPL-2.0-only
#include <linux/module.h>

#include "osd/linux/server_mount.h"

static int __init lull_server_init(void)
{
	lull_server_mount_init();
	return 0;
}

static void __exit lull_server_exit(void)
{
	lull_server_mount_exit();
}

module_init(lull_server_init);
module_exit(lull_server_exit);
MODULE_LICENSE("GPL");
MODULE_VERSION(LULL_VERSION);
MODULE_AUTHOR("The developers of Lull");
MODULE_DESCRIPTION("Lull: metadata, object and management servers");
MODULE_SOFTDEP("pre: ext4");
