/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A node owns everything Lull has on one host (network namespace, simulated host): the transport,
 * the service tasks, the tables of targets, exports, imports and devices. There are no globals
 * beside it.
 */
#pragma once
#include "lnet/transport.h"
#include "ptlrpc/adaptive_timeout.h"
#include "ptlrpc/import.h"
#include "ptlrpc/node_glue.h"
#include "ptlrpc/params.h"
#include "ptlrpc/server_request.h"

namespace lull {

// Something lctl dl and the parameters show: "mdt lull-MDT0000", "osc lull-OST0001-osc-<mount>".
// Without a type: the node's own parameters, which have no prefix.
class Device {
public:
    Device(const char* type, TargetName name, std::span<const Param> params, void* object)
        : type_(type), name_(name), params_(params), object_(object)
    {}
    const char* type() const { return type_; }
    const TargetName& name() const { return name_; }
    std::span<const Param> params() const { return params_; }
    void* object() const { return object_; }
    Text<40> state{"UP"};
    UuidText uuid;
    ListHook hook;

private:
    friend class DeviceTable;
    unsigned users_ = 0;  // inside show or store; owned by the node's table
    bool leaving_ = false;
    const char* type_;
    TargetName name_;
    std::span<const Param> params_;
    void* object_;
};

class TargetObserver;

class Node {
public:
    static Result<Owned<Node>> create(kapi_net* net, const lull_node_options& options);
    virtual ~Node() = default;

    virtual Transport& transport() = 0;
    virtual kapi_net* net() = 0;
    virtual const lull_node_options& options() const = 0;
    virtual AtTunables& adaptive() = 0;  // parameters at_min, at_max, at_history, ldlm_enqueue_*
    virtual Status listen() = 0;

    // Targets: requests find them by name (connect) and by export cookie. unregister waits until
    // none of its handlers runs.
    virtual Status register_target(RequestHandler& handler) = 0;  // -EALREADY
    virtual void unregister_target(RequestHandler& handler) = 0;
    // Exports of the registered targets; lookup by cookie for each request.
    virtual Status add_export(Ref<Export> exp) = 0;
    virtual void remove_export(Export& exp) = 0;

    // Parameters. remove_device waits until nobody is inside show/store of it.
    virtual Status add_device(Device& device) = 0;
    virtual void remove_device(Device& device) = 0;
    virtual Status control(uint32_t command, Str in, TextSink& out) = 0;

    // Runs it in a task of the kind's own (never blocks the caller; -ENOMEM): what waits for one
    // target must not keep another's from being heard.
    enum class WorkKind : uint8_t {
        kCallback,  // waits for nobody
        kAnswer,    // a server's, late: may wait for its disk
        // a client's: may wait for a target that is away. Every one gets a task, so each target
        // may have a few of them and no more.
        kFlush
    };
    struct Work {
        ListHook hook;
        void (*run)(Work*) = nullptr;
    };
    virtual Status queue_work(Work& work, WorkKind kind) = 0;

    // A fresh client uuid.
    virtual UuidText make_uuid() = 0;

    // Who watches what the targets here execute (target/observer.h): the simulation; nobody in the
    // kernel. Set before they start.
    TargetObserver* observer() const { return observer_; }
    void set_observer(TargetObserver* observer) { observer_ = observer; }

private:
    TargetObserver* observer_ = nullptr;
};

inline Node& node_of(lull_node* node) { return *reinterpret_cast<Node*>(node); }

}  // namespace lull
