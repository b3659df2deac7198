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

// In seconds, as Lustre's.
template <std::atomic<uint32_t> AtTunables::*Field> Status show_seconds(void* object, TextSink& out)
{
    uint32_t ms = (static_cast<AtTunables*>(object)->*Field).load();
    out.printf(ms % 1000 ? "%u.%03u\n" : "%u\n", ms / 1000, ms % 1000);
    return out.status();
}
template <std::atomic<uint32_t> AtTunables::*Field, uint32_t kLeast>
Status store_seconds(void* object, Str value)
{
    uint64_t seconds = TRY(parse_u64(value));
    if (seconds < kLeast || seconds > 86400) return -kERANGE;
    (static_cast<AtTunables*>(object)->*Field).store(static_cast<uint32_t>(seconds * 1000));
    return kOk;
}
std::span<const Param> at_params()
{
    static constexpr Param kParams[] = {
        {"at_min", show_seconds<&AtTunables::min_ms>, store_seconds<&AtTunables::min_ms, 1>},
        {"at_max", show_seconds<&AtTunables::max_ms>, store_seconds<&AtTunables::max_ms, 0>},
        {"at_history", show_seconds<&AtTunables::history_ms>,
         store_seconds<&AtTunables::history_ms, 1>},
        {"ldlm_enqueue_min", show_seconds<&AtTunables::ldlm_min_ms>,
         store_seconds<&AtTunables::ldlm_min_ms, 1>},
        {"ldlm_enqueue_max", show_seconds<&AtTunables::ldlm_max_ms>,
         store_seconds<&AtTunables::ldlm_max_ms, 1>},
    };
    return kParams;
}
}  // namespace

NodeImpl::NodeImpl(kapi_net* net, const lull_node_options& options)
    : net_(net), options_(with_defaults(options)), own_device_("", TargetName(), at_params(), &at_),
      service_(targets_, options_.service_threads_max),
      work_("lull_cb", options_.service_threads_max, run_work, nullptr),
      answers_("lull_answer", options_.service_threads_max, run_work, nullptr),
      flushes_("lull_flush", kFlushTasksMax, run_work, nullptr)
{
    at_.min_ms.store(options_.timeout_ms);
}

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
    return devices_.add(own_device_);
}

// First the transport, whose tasks feed the pools.
NodeImpl::~NodeImpl()
{
    if (transport_) transport_->shutdown();
    service_.stop();
    work_.stop();
    answers_.stop();
    flushes_.stop();
    devices_.remove(own_device_);
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
