/* SPDX-License-Identifier: GPL-2.0-only */
/* A ptlrpc message is an RpcHeader and a body. Writing: begin_message(), the body,
 * finish_message(). Reading: parse_header(). */
#pragma once
#include "include/lull/codec.h"
#include "include/lull/rpc_header.h"

namespace lull {

// Leaves room for the header.
Status begin_message(Encoder& out);
// Fills in magic, sizes and protocol; the rest of header is the caller's. -EMSGSIZE, -ENOMEM.
Status finish_message(Encoder& out, RpcHeader& header, size_t bulk_bytes);

// Checks magic, sizes and limits: -EPROTO. *body is what follows the header.
Status parse_header(std::span<const uint8_t> message, size_t bulk_bytes, RpcHeader* header,
                    std::span<const uint8_t>* body);

// A status a peer sent: outside of [-4095, 0] it is -EPROTO.
Status peer_status(const RpcHeader& header);

}  // namespace lull
