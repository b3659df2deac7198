/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An export is a target's view of one client. It outlives connections: the client may come back
 * over another one (network cut) and finds its locks, opens and slots. Created by the target's
 * connect handler, found by cookie in every later request.
 */
#pragma once
#include "include/lull/ops_connect.h"
#include "lnet/transport.h"
#include "ptlrpc/request.h"

namespace lull {

class RequestHandler;
class ServerRequest;

// What a room above keeps for each client (target: slots; mdt: opens; ofd: grants; ldlm: its
// locks). Freed with the export.
class ExportData {
public:
    virtual ~ExportData() = default;
};

class Export : public RefCounted {
public:
    Export(RequestHandler& handler, UuidText client_uuid);
    ~Export() override;

    const UuidText& client_uuid() const { return client_uuid_; }
    RequestHandler& handler() { return handler_; }
    uint64_t cookie() const { return cookie_; }  // random, never 0
    uint16_t protocol() const;                   // negotiated at the last connect
    uint32_t connect_flags() const;
    // of the client's import: another one is another life of the client
    uint64_t import_cookie() const;
    Nid peer() const;
    Text<65> nodename() const;
    bool is_connected() const;
    uint64_t last_heard_ns() const;  // for the eviction of silent clients
    void heard();                    // a message of it arrived

    // Attach a connection (connect handler). Takes over from an older one.
    void attach(Ref<Connection> connection, uint64_t import_cookie, uint16_t protocol,
                uint32_t flags, Text<65> nodename);
    // the connection closed; true: it was still ours
    bool detach(Connection& connection);
    void disconnect();  // close the connection it has, if any
    // One-way message to the client (BlAst). -ENOTCONN: the owner sends it again when the client is
    // back.
    Status post(Request& callback);
    // Evicted or disconnected for good: requests that still arrive are refused with -kEEvicted.
    void kill();
    bool is_dead() const;

    // Slots for data of the rooms above, each used by one room.
    enum DataSlot { kTargetData, kLdlmData, kServiceData, kDataSlots };
    Owned<ExportData> data[kDataSlots];
    SetHook node_hook;  // the node's table of exports

    // Requests being executed for this client, by xid, so that a resend of one is dropped, not
    // executed twice.
    bool begin_request(uint64_t xid);  // false: it is in progress already
    // The same for one that came over a connection: -EALREADY, -ENOTCONN (not our connection any
    // more: a resend will come or came, and this one must not be executed after it), -kEEvicted,
    // -ENOMEM.
    // owed: it is up to the server alone when it is answered, no other client can delay it.
    Status begin_request(uint64_t xid, const Connection& from, bool owed);
    void end_request(uint64_t xid, bool owed = false);
    // Since when the server owes it no answer; now_ns() while it does. Whoever is about to give a
    // client up for being late looks here first: the time of a slow disk is not the client's.
    uint64_t idle_since_ns() const;
    // How long it has owed any, all in all. Requests without end move idle_since_ns() on, not this.
    uint64_t owed_ns() const;
    uint64_t longest_owed_ns() const;  // for how long the oldest request has been owed its answer
    // over the present connection
    Status send_reply(std::span<const uint8_t> message, std::span<const uint8_t> bulk);

private:
    struct Impl;
    Owned<Impl> impl_;
    RequestHandler& handler_;
    const UuidText client_uuid_;
    const uint64_t cookie_;
};

}  // namespace lull
