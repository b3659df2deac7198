// SPDX-License-Identifier: GPL-2.0-only
#include "llite/mount_source.h"

#include "ptlrpc/params.h"

namespace lull {
namespace {

constexpr size_t kFsnameMax = Text<32>::capacity();

bool is_fsname(Str s)
{
    if (s.empty() || s.size() > kFsnameMax) return false;
    for (size_t i = 0; i < s.size(); i++) {
        char c = s[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-';
        if (!fine) return false;
    }
    return true;
}

Status parse_option(Str option, MountOptions* out, WhyText* why)
{
    if (option.empty() || option == Str("localflock")) return kOk;
    if (option == Str("intr")) return out->intr = true, kOk;
    if (option == Str("lazystatfs")) return out->lazystatfs = true, kOk;
    if (option == Str("nolazystatfs")) return out->lazystatfs = false, kOk;
    if (option.starts_with("timeout=")) {
        auto seconds = parse_u64(option.substr(8));
        if (seconds.ok() && seconds.value() >= 1 && seconds.value() <= 86400) {
            out->timeout_ms = static_cast<uint32_t>(seconds.value() * 1000);
            return kOk;
        }
        *why = text_format<255>("option '" STR_FMT "': timeout is 1 to 86400 seconds",
                                STR_ARG(option));
        return -kEINVAL;
    }
    *why =
        text_format<255>("unknown option '" STR_FMT
                         "' (known: timeout=SECONDS, intr, lazystatfs, nolazystatfs, localflock)",
                         STR_ARG(option));
    return -kEINVAL;
}

}  // namespace

Status parse_mount_source(Str text, MountSource* out, WhyText* why)
{
    size_t slash = text.find('/');
    if (slash == SIZE_MAX || slash < 2 || text[slash - 1] != ':') {
        *why = text_format<255>("'" STR_FMT "' is not NID[:NID]:/fsname", STR_ARG(text));
        return -kEINVAL;
    }
    if (Status s = parse_nids(text.substr(0, slash - 1), &out->mgs_nids);
        !s.ok() || out->mgs_nids.empty()) {
        *why = text_format<255>("'" STR_FMT
                                "' is not a list of NIDs such as 10.0.0.1@tcp:10.0.0.2@tcp",
                                STR_ARG(text.substr(0, slash - 1)));
        return s.is(kENOMEM) ? s : Status(-kEINVAL);
    }
    Str name = text.substr(slash + 1);
    if (!is_fsname(name)) {
        *why = text_format<255>("'" STR_FMT
                                "' is not a file system name (1 to %zu letters, digits, - and _)",
                                STR_ARG(name), kFsnameMax);
        return -kEINVAL;
    }
    return out->fsname.assign(name);
}

Status parse_mount_options(Str text, MountOptions* out, WhyText* why)
{
    for (size_t at = 0; at < text.size();) {
        size_t comma = text.find(',', at);
        size_t end = comma == SIZE_MAX ? text.size() : comma;
        TRY(parse_option(text.substr(at, end - at), out, why));
        at = end + 1;
    }
    return kOk;
}

}  // namespace lull
