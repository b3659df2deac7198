// SPDX-License-Identifier: GPL-2.0-only
#include "ptlrpc/message.h"

namespace lull {

namespace {
constexpr int32_t kErrnoMax = 4095;
}

Status begin_message(Encoder& out)
{
    RpcHeader room;
    out.raw(&room, sizeof room);
    return out.status();
}

Status finish_message(Encoder& out, RpcHeader& header, size_t bulk_bytes)
{
    TRY(out.status());
    size_t body_bytes = out.output().size() - sizeof header;
    if (body_bytes > kRpcBodyMaxBytes || bulk_bytes > kBulkMaxBytes) return -kEMSGSIZE;
    header.magic = kRpcMagic;
    header.header_bytes = sizeof header;
    header.protocol = out.version();
    header.body_bytes = static_cast<uint32_t>(body_bytes);
    header.bulk_bytes = static_cast<uint32_t>(bulk_bytes);
    memcpy(out.output().data(), &header, sizeof header);
    return kOk;
}

Status parse_header(std::span<const uint8_t> message, size_t bulk_bytes, RpcHeader* header,
                    std::span<const uint8_t>* body)
{
    if (message.size() < sizeof *header) return -kEPROTO;
    memcpy(header, message.data(), sizeof *header);
    size_t header_bytes = header->header_bytes;
    if (header->magic != kRpcMagic || header_bytes < sizeof *header ||
        header_bytes > message.size())
        return -kEPROTO;
    if (header->body_bytes != message.size() - header_bytes ||
        header->body_bytes > kRpcBodyMaxBytes)
        return -kEPROTO;
    if (header->bulk_bytes != bulk_bytes || bulk_bytes > kBulkMaxBytes) return -kEPROTO;
    *body = message.subspan(header_bytes);
    return kOk;
}

Status peer_status(const RpcHeader& header)
{
    int32_t status = static_cast<int32_t>(static_cast<uint32_t>(header.status));
    if (status > 0 || status < -kErrnoMax) return -kEPROTO;
    return Status(status);
}

}  // namespace lull
