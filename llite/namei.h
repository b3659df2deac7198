/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Operations on names, one message each. Everything that changes attributes of an object this
 * client may have cached is announced by an OwnChange around the message. Errors: the server's;
 * -ERESTARTSYS at the gate.
 */
#pragma once
#include "llite/mount.h"

namespace lull {

// With a lock on what was found, so that its attributes may be cached. -ENOENT.
Result<Ref<Inode>> lookup(Inode& dir, Str name);
Result<Ref<Inode>> create(Inode& dir, Str name, const struct llc_create& how);
Status unlink(Inode& dir, Str name, bool rmdir, Inode* victim);
Status link(Inode& inode, Inode& dir, Str name);
Status rename(Inode& from_dir, Str from, Inode& to_dir, Str to, bool no_replace, Inode* moved,
              Inode* replaced);
Result<size_t> readlink(Inode& inode, char* out, size_t bytes);
Status readdir(Inode& dir, uint64_t cookie, llc_emit emit, void* arg);

}  // namespace lull
