/* SPDX-License-Identifier: GPL-2.0-only */
/* The node behind node.h. Private to ptlrpc. */
#pragma once
#include "ptlrpc/device_table.h"
#include "ptlrpc/service.h"

namespace lull {

class NodeImpl final : public Node, public Acceptor, public ConnectionSink {
public:
    NodeImpl(kapi_net* net, const lull_node_options& options);
    ~NodeImpl() override;
    Status start();

    Transport& transport() override { return *transport_; }
    kapi_net* net() override { return net_; }
    const lull_node_options& options() const override { return options_; }
    AtTunables& adaptive() override { return at_; }
    Status listen() override;
    Status register_target(RequestHandler& handler) override { return targets_.add(handler); }
    void unregister_target(RequestHandler& handler) override { targets_.remove(handler); }
    Status add_export(Ref<Export> exp) override { return targets_.add_export(std::move(exp)); }
    void remove_export(Export& exp) override { targets_.remove_export(exp); }
    Status add_device(Device& device) override { return devices_.add(device); }
    void remove_device(Device& device) override { devices_.remove(device); }
    Status control(uint32_t command, Str in, TextSink& out) override;
    Status queue_work(Work& work, WorkKind kind) override { return pool_of(kind).push(work); }
    UuidText make_uuid() override;

    ConnectionSink* on_accept(Connection&) override { return this; }
    void on_message(Connection& from, Message&& message) override
    {
        service_.receive(*this, from, std::move(message));
    }
    void on_closed(Connection& connection, Status) override
    {
        targets_.on_connection_closed(connection);
    }

private:
    static constexpr unsigned kFlushTasksMax = 4096;  // never reached
    using WorkPool = TaskPool<Work, &Work::hook>;
    static void run_work(void*, Work& work) { work.run(&work); }
    WorkPool& pool_of(WorkKind kind)
    {
        return kind == WorkKind::kFlush ? flushes_ : kind == WorkKind::kAnswer ? answers_ : work_;
    }
    Status ping(Str nid, TextSink& out);

    kapi_net* const net_;
    const lull_node_options options_;
    AtTunables at_;
    DeviceTable devices_;
    Device own_device_;
    TargetTable targets_;
    Service service_;
    WorkPool work_, answers_, flushes_;
    Owned<Transport> transport_;
    Mutex listen_lock_{LockRank::kNodeControl};
    bool listening_ = false;
};

}  // namespace lull
