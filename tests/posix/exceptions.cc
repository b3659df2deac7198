// SPDX-License-Identifier: GPL-2.0-only
#include "tests/posix/exceptions.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/fs.h>

namespace lull::posix {

namespace {

bool is_xattr(const Step& s, int) { return s.op >= Op::k_setxattr && s.op <= Op::k_fgetxattr; }

auto refused_with(int err)
{
    return [err](const Outcome& lull, const Outcome&) { return lull.err == err; };
}

}  // namespace

const std::vector<Exception>& Exceptions::all()
{
    static const std::vector<Exception> table = {
        {Exception::kRefused, "xattr",
         "extended attributes other than lull.layout are an issue of their own (fault 15)",
         is_xattr, refused_with(EOPNOTSUPP)},
        {Exception::kRefused, "fallocate", "an OST reserves no space ahead of a write",
         [](const Step& s, int) { return s.op == Op::k_fallocate; }, refused_with(EOPNOTSUPP)},
        {Exception::kRefused, "rename flags",
         "RENAME_EXCHANGE and RENAME_WHITEOUT are not part of the protocol; refused, as by NFS",
         [](const Step& s, int) {
             return s.op == Op::k_rename && s.flags & (RENAME_EXCHANGE | RENAME_WHITEOUT);
         },
         refused_with(EINVAL)},
        {Exception::kRefused, "O_DIRECT",
         "there is no way past the page cache; refused, as by tmpfs",
         [](const Step& s, int) { return s.op == Op::k_open && s.flags & O_DIRECT; },
         refused_with(EINVAL)},
        {Exception::kRefused, "O_TMPFILE", "a file without a name is not part of the protocol",
         [](const Step& s, int) {
             return s.op == Op::k_open && (s.flags & O_TMPFILE) == O_TMPFILE;
         },
         refused_with(EOPNOTSUPP)},
        {Exception::kDiffers, "read of a directory that was listed",
         "ext4's position at the end of a directory is so large that the length overflows: EINVAL",
         [](const Step& s, int) { return s.op == Op::k_read || s.op == Op::k_readv; },
         [](const Outcome& lull, const Outcome& ext4) {
             return lull.err == EISDIR && ext4.err == EINVAL;
         }},
    };
    return table;
}

bool Exceptions::not_tried(const Step& step)
{
    for (auto& e : all()) {
        if (e.kind != Exception::kNotTried || !e.concerns(step, actors_)) continue;
        used_[e.name]++;
        return true;
    }
    return false;
}

bool Exceptions::refused(const Step& step, const Outcome& lull)
{
    for (auto& e : all()) {
        if (e.kind != Exception::kRefused || !lull.err || !e.concerns(step, actors_)) continue;
        if (!e.allows(lull, {})) continue;
        used_[e.name]++;
        return true;
    }
    return false;
}

bool Exceptions::may_differ(const Step& step, const Outcome& lull, const Outcome& ext4)
{
    for (auto& e : all()) {
        if (e.kind != Exception::kDiffers || !e.concerns(step, actors_)) continue;
        if (!e.allows(lull, ext4)) continue;
        used_[e.name]++;
        return true;
    }
    return false;
}

}  // namespace lull::posix
