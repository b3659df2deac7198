/* SPDX-License-Identifier: GPL-2.0-only */
/* The layout of a file or directory as text (layout_text.h), from and to the MDT. */
#pragma once
#include "llite/mount.h"

namespace lull {

// Its length; bytes == 0 asks only for that. -ERANGE.
Result<size_t> get_layout_text(Inode& inode, char* out, size_t bytes);
Status set_layout_text(Inode& dir, Str text);  // -EINVAL

}  // namespace lull
