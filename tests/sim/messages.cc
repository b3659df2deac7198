// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/messages.h"

#include <cstdio>
#include <cstring>

#include "include/lull/opcode.h"
#include "include/lull/rpc_header.h"
#include "kapi/sim/network.h"
#include "lnet/lnet_header.h"

namespace lull::sim {

namespace {

std::string transno_text(uint64_t t)
{
    return std::to_string(t >> 40) + "." + std::to_string(t & ((1ull << 40) - 1));
}

std::string describe(const lull::RpcHeader& h)
{
    const lull::OpcodeInfo* info = lull::opcode_info(h.opcode);
    uint32_t flags = h.flags;
    std::string text = info ? info->name : "opcode " + std::to_string(h.opcode);
    switch (static_cast<lull::RpcKind>(static_cast<uint16_t>(h.kind))) {
    case lull::RpcKind::kRequest: text = "request  " + text; break;
    case lull::RpcKind::kReply: text = "reply    " + text; break;
    default: text = "callback " + text; break;
    }
    text += " xid " + std::to_string(h.xid);
    if (info && info->slot) text += " slot " + std::to_string(h.slot);
    if (flags & lull::kRpcReplay) text += " REPLAY";
    if (flags & lull::kRpcReplayOpen) text += " REPLAY OF AN OPEN";
    if (flags & lull::kRpcResend) text += " RESEND";
    if (flags & lull::kRpcCommitted) text += " ALL COMMITTED";
    if (h.transno) text += " transno " + transno_text(h.transno);
    if (static_cast<uint16_t>(h.kind) == static_cast<uint16_t>(lull::RpcKind::kReply)) {
        text += " committed " + transno_text(h.last_committed);
        if (int status = static_cast<int>(static_cast<uint32_t>(h.status)))
            text += " error " + std::to_string(status);
    }
    if (uint32_t bulk = h.bulk_bytes) text += " with " + std::to_string(bulk) + " bytes";
    return text;
}

}  // namespace

bool tells_of_a_change(const std::string& bytes)
{
    for (size_t at : {size_t{0}, sizeof(lull::LnetHeader)}) {
        lull::RpcHeader h;
        if (bytes.size() < at + sizeof h) return false;
        memcpy(&h, bytes.data() + at, sizeof h);
        if (h.magic != lull::kRpcMagic ||
            static_cast<uint16_t>(h.kind) != static_cast<uint16_t>(lull::RpcKind::kReply))
            continue;
        const lull::OpcodeInfo* info = lull::opcode_info(h.opcode);
        return info && info->slot && info->opcode != lull::Opcode::kMdsClose && h.transno;
    }
    return false;
}

void trace_messages(World& world)
{
    world.network().on_message = [&world](Host& from, Host& to, const std::string& head) {
        lull::LnetHeader lnet;
        lull::RpcHeader rpc;
        if (head.size() < sizeof lnet + sizeof rpc) return;  // greetings and pings
        memcpy(&lnet, head.data(), sizeof lnet);
        memcpy(&rpc, head.data() + sizeof lnet, sizeof rpc);
        if (static_cast<uint16_t>(lnet.type) != static_cast<uint16_t>(lull::LnetType::kData) ||
            rpc.magic != lull::kRpcMagic)
            return;
        fprintf(stderr, "%10.4f s    %-4s > %-4s %s\n", static_cast<double>(world.now_ns()) / 1e9,
                from.name().c_str(), to.name().c_str(), describe(rpc).c_str());
    };
}

}  // namespace lull::sim
