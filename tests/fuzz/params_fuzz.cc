// SPDX-License-Identifier: GPL-2.0-only
/* libFuzzer target: what administrators type: globs, numbers, NIDs. Input: pattern, a zero byte,
 * name. */
#include "lnet/nid.h"
#include "ptlrpc/params.h"

using namespace lull;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    Str all(reinterpret_cast<const char*>(data), size);
    size_t at = all.find(0);
    Str name = at == SIZE_MAX ? Str() : all.substr(at + 1);
    (void)glob_match(all.substr(0, at), name);
    (void)parse_u64(all);
    Vec<Nid> nids;
    (void)parse_nids(all, &nids);
    return 0;
}
