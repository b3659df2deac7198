// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer target: a whole ptlrpc message, header and body, as a request and as a reply, through
 * the decoder of its opcode and version. What is accepted must encode to something that is accepted
 * again and encodes to the same bytes.
 *
 *   make -f tests/fuzz/fuzz.mk fuzz SECONDS=60
 */
#include <cstdlib>
#include <memory>

#include "ptlrpc/message.h"
#include "tests/fuzz/messages.h"

using namespace lull;

namespace {

void require(bool condition)
{
    if (!condition) abort();
}

template <class T> void round_trip(uint16_t version, std::span<const uint8_t> body)
{
    auto message = std::make_unique<T>(), again = std::make_unique<T>();
    Decoder in(version, body);
    message->io(in);
    if (!in.finish().ok()) return;
    Encoder first(version), second(version);
    message->io(first);
    require(first.status().ok());
    Decoder back(version, first.output());
    again->io(back);
    require(back.finish().ok());
    again->io(second);
    size_t bytes = first.output().size();
    require(second.output().size() == bytes);
    require(bytes == 0 || memcmp(second.output().data(), first.output().data(), bytes) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    RpcHeader header;
    std::span<const uint8_t> body;
    if (!parse_header({data, size}, 0, &header, &body).ok()) {
        // Most random input is no message: take its first bytes for opcode, version and kind.
        if (size < 4) return 0;
        header.opcode = data[0];
        header.protocol = static_cast<uint16_t>(1 + data[1] % 2);
        header.kind = static_cast<uint16_t>(1 + data[2] % 2);
        body = {data + 4, size - 4};
    }
    (void)peer_status(header);
    if (header.protocol < kProtocol1 || header.protocol > kProtocol2) return 0;
    const OpcodeInfo* info = opcode_info(static_cast<uint16_t>(header.opcode));
    if (!info) return 0;
    bool reply = header.kind == static_cast<uint16_t>(RpcKind::kReply);
    switch (info->opcode) {
#define LULL_FUZZ_CASE(Op)                                       \
    case Op::kOpcode:                                            \
        if (reply) round_trip<Op::Reply>(header.protocol, body); \
        else round_trip<Op>(header.protocol, body);              \
        break;
        LULL_FUZZ_OPERATIONS(LULL_FUZZ_CASE)
#undef LULL_FUZZ_CASE
    }
    return 0;
}
