// SPDX-License-Identifier: GPL-2.0-only
/* lctl: the text protocol of include/lull/user_api.h. The command numbers are repeated here because
 * that header is the kernel's. */
#include "ptlrpc/node_impl.h"

namespace lull {

namespace {
enum Command : uint32_t { kList = 1, kGet, kSet, kDl, kPing };
constexpr uint64_t kPingDeadlineMs = 5000;
}  // namespace

Status NodeImpl::control(uint32_t command, Str in, TextSink& out)
{
    switch (command) {
    case kList: return devices_.list(in, out);
    case kGet: return devices_.get(in, out);
    case kSet: return devices_.set(in, out);
    case kDl: return devices_.describe(out);
    case kPing: return ping(in, out);
    default: return -kEINVAL;
    }
}

Status NodeImpl::ping(Str text, TextSink& out)
{
    Nid nid = TRY(parse_nid(text));
    uint64_t rtt_ns = TRY(transport_->ping(nid, deadline_after_ms(kPingDeadlineMs)));
    out.printf("12345-%s %llu\n", to_text(nid).c_str(),
               static_cast<unsigned long long>(rtt_ns / 1000));
    return out.status();
}

}  // namespace lull
