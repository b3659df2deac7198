// SPDX-License-Identifier: GPL-2.0-only
/*
 * "lull.layout": striping, readable with getfattr; set on a directory it is the default for new
 * files in it.
 */
#include <linux/slab.h>
#include <linux/xattr.h>

#include "llite/linux/glue.h"

#define LAYOUT_TEXT_MAX 4096

static int layout_get(const struct xattr_handler *handler, struct dentry *dentry,
		      struct inode *inode, const char *name, void *buffer, size_t size)
{
	char *text = kmalloc(LAYOUT_TEXT_MAX, GFP_KERNEL);
	int n;

	if (!text)
		return -ENOMEM;
	n = llc_get_layout_text(ll_core(inode), text, LAYOUT_TEXT_MAX);
	if (n > 0 && buffer) {
		if (n > size)
			n = -ERANGE;
		else
			memcpy(buffer, text, n);
	}
	kfree(text);
	return n;
}

static int layout_set(const struct xattr_handler *handler, lull_idmap *idmap, struct dentry *dentry,
		      struct inode *inode, const char *name, const void *value, size_t size,
		      int flags)
{
	if (!S_ISDIR(inode->i_mode))
		return -EINVAL; /* a file's layout is chosen when it is made */
	return llc_set_layout_text(ll_core(inode), value ?: "", size);
}

static const struct xattr_handler layout_handler = {
	.name = "lull.layout",
	.get = layout_get,
	.set = layout_set,
};

const struct xattr_handler *const ll_xattr_handlers[] = { &layout_handler, NULL };
