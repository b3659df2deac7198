// SPDX-License-Identifier: GPL-2.0-only
/* Writes the corpus the fuzzing begins with: one request and one reply of every operation in both
 * versions. make_corpus DIR */
#include <cstdio>
#include <memory>
#include <string>

#include "ptlrpc/message.h"
#include "tests/fuzz/messages.h"

using namespace lull;

namespace {

template <class T>
bool write_one(const std::string& dir, Opcode opcode, RpcKind kind, uint16_t version)
{
    auto message = std::make_unique<T>();
    Encoder out(version);
    RpcHeader header;
    header.kind = static_cast<uint16_t>(kind);
    header.opcode = static_cast<uint16_t>(opcode);
    header.xid = 1;
    if (!begin_message(out).ok()) return false;
    message->io(out);
    if (!finish_message(out, header, 0).ok()) return false;
    std::string name = dir + "/" + opcode_info(opcode).name +
                       (kind == RpcKind::kReply ? ".reply.v" : ".request.v") +
                       std::to_string(version);
    FILE* f = fopen(name.c_str(), "wb");
    if (!f) return false;
    bool written = fwrite(out.output().data(), 1, out.output().size(), f) == out.output().size();
    return fclose(f) == 0 && written;
}

template <class Op> bool write_op(const std::string& dir)
{
    bool ok = true;
    for (uint16_t version : {kProtocol1, kProtocol2})
        ok = ok && write_one<Op>(dir, Op::kOpcode, RpcKind::kRequest, version) &&
             write_one<typename Op::Reply>(dir, Op::kOpcode, RpcKind::kReply, version);
    return ok;
}

}  // namespace

int main(int argc, char** argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_corpus DIR\n");
        return 2;
    }
    bool ok = true;
#define LULL_FUZZ_WRITE(Op) ok = ok && write_op<Op>(argv[1]);
    LULL_FUZZ_OPERATIONS(LULL_FUZZ_WRITE)
#undef LULL_FUZZ_WRITE
    if (!ok) fprintf(stderr, "cannot write to %s\n", argv[1]);
    return ok ? 0 : 1;
}
