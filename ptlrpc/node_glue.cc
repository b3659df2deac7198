// SPDX-License-Identifier: GPL-2.0-only
#include "ptlrpc/node_glue.h"

#include "ptlrpc/node.h"

using namespace lull;

int lull_node_create(kapi_net* net, const lull_node_options* options, lull_node** out)
{
    auto node = Node::create(net, *options);
    if (!node.ok()) return node.error();
    *out = reinterpret_cast<lull_node*>(node.value().release());
    return 0;
}

void lull_node_destroy(lull_node* node) { Owned<Node>(&node_of(node)).reset(); }

int lull_node_listen(lull_node* node) { return node_of(node).listen().error(); }

int lull_node_control(lull_node* node, uint32_t command, const char* in, size_t in_bytes, char* out,
                      size_t* out_bytes)
{
    TextSink sink(*out_bytes);
    Status s = node_of(node).control(command, Str(in, in_bytes), sink);
    if (!sink.text().empty()) memcpy(out, sink.text().data(), sink.text().size());
    *out_bytes = sink.text().size();
    return s.error();
}
