// SPDX-License-Identifier: GPL-2.0-only
#include "tests/posix/exceptions.h"

#include <cerrno>
#include <fcntl.h>
#include <linux/fs.h>

namespace lull::posix {

namespace {

constexpr int64_t kYear2100_s = 4102444800;

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
        {Exception::kNotTried, "mtime to come",
         "being mended: a write does not change an mtime that lies in the future",
         [](const Step& s, int) {
             return (s.op == Op::k_utimens || s.op == Op::k_futimens) && s.off2 > kYear2100_s;
         },
         nullptr},
        {Exception::kRefused, "attributes of a removed directory",
         "being mended: ENOENT through its descriptor, as if it had to have a name",
         [](const Step& s, int) {
             return s.op == Op::k_futimens || s.op == Op::k_fchmod || s.op == Op::k_fchown;
         },
         refused_with(ENOENT)},
        {Exception::kRefused, "rename of what another client moved",
         "being mended: ESTALE for a directory that has moved, where the lookup is to be repeated",
         [](const Step& s, int actors) { return s.op == Op::k_rename && actors > 1; },
         refused_with(ESTALE)},
        {Exception::kNotTried, "copy_file_range of what another client wrote",
         "being mended: it believes the size that it knows, and copies nothing",
         [](const Step& s, int actors) { return s.op == Op::k_copy_file_range && actors > 1; },
         nullptr},
        {Exception::kNotTried, "truncate to nothing by name",
         "being mended: of a file that is empty it leaves mtime as it is",
         [](const Step& s, int) { return s.op == Op::k_truncate && s.off == 0; }, nullptr},
        {Exception::kNotTried, "lseek where no byte can be",
         "being mended: fault 5, a position of 1 << 50 is accepted",
         [](const Step& s, int) { return s.op == Op::k_lseek && s.off >= int64_t{1} << 50; },
         nullptr},
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
