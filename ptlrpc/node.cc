// SPDX-License-Identifier: GPL-2.0-only
#include "ptlrpc/node_impl.h"

namespace lull {

namespace {
constexpr uint32_t kTimeoutMinMs = 200;

lull_node_options with_defaults(const lull_node_options& given)
{
    lull_node_options o = given;
    if (o.protocol_max == 0) o.protocol_max = kProtocol2;
    if (o.port == 0) o.port = kLnetPort;
    if (o.service_threads_max == 0) o.service_threads_max = 64;
    if (o.timeout_ms == 0) o.timeout_ms = TransportOptions().timeout_ms;
    if (o.timeout_ms < kTimeoutMinMs) o.timeout_ms = kTimeoutMinMs;
    o.nodename[sizeof o.nodename - 1] = 0;
    return o;
}
}  // namespace

NodeImpl::NodeImpl(kapi_net* net, const lull_node_options& options)
    : net_(net), options_(with_defaults(options)), service_(targets_, options_.service_threads_max),
      work_("lull_cb", options_.service_threads_max, run_work, nullptr)
{}

Result<Owned<Node>> Node::create(kapi_net* net, const lull_node_options& options)
{
    if (options.protocol_max > kProtocol2) return -kEPROTONOSUPPORT;
    Owned<NodeImpl> node = make<NodeImpl>(net, options);
    if (!node) return -kENOMEM;
    TRY(node->start());
    return Owned<Node>(std::move(node));
}

Status NodeImpl::start()
{
    TransportOptions o;
    o.port = options_.port;
    o.timeout_ms = options_.timeout_ms;
    o.keepalive_ms = options_.timeout_ms / 4;
    transport_ = TRY(Transport::create(net_, o));
    return kOk;
}

// First the transport, whose tasks feed the pools.
NodeImpl::~NodeImpl()
{
    if (transport_) transport_->shutdown();
    service_.stop();
    work_.stop();
}

Status NodeImpl::listen()
{
    MutexLock lock(listen_lock_);
    if (listening_) return kOk;
    TRY(transport_->listen(this));
    listening_ = true;
    return kOk;
}

UuidText NodeImpl::make_uuid()
{
    uint64_t a = kapi_random_u64(), b = kapi_random_u64();
    return text_format<40>("%08x-%04x-%04x-%04x-%04x%08x", static_cast<unsigned>(a >> 32),
                           static_cast<unsigned>(a >> 16) & 0xffffu,
                           (static_cast<unsigned>(a) & 0xfffu) | 0x4000u,
                           (static_cast<unsigned>(b >> 48) & 0x3fffu) | 0x8000u,
                           static_cast<unsigned>(b >> 32) & 0xffffu, static_cast<unsigned>(b));
}

}  // namespace lull
