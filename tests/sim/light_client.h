// SPDX-License-Identifier: GPL-2.0-only
/*
 * Clients by the ten thousand: each is one fiber that speaks the real wire protocol (lnet, ptlrpc,
 * ldlm messages) over a connection of its own and does what an import with an active lock does, in
 * a straight line, without page cache, namespace or gate:
 *
 *   connect → enqueue the active lock → (told) cancel it → (answered: committed) hang up → come
 *   back in its place of the spread → …
 *
 * What it gets and sends is counted by the phase it belongs to, for each client, so that "one
 * message per client and phase" can be checked.
 */
#pragma once
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "include/lull/ops_ldlm.h"
#include "include/lull/rpc_header.h"
#include "kapi/sim/world.h"
#include "ptlrpc/restart_spread.h"
#include "tests/sim/sim_host.h"

namespace lull::sim {

enum ScalePhase : unsigned {
    kPhaseMount,    // first connect, and the active lock
    kPhaseWarm,     // ActiveWarm
    kPhaseDrain,    // BlAst, cancel
    kPhaseCommit,   // the answer to the cancel
    kPhaseConnect,  // after the restart
    kPhaseResume,   // the active lock again
    kPhaseLeave,    // disconnect
    kPhaseAlive,    // pings, ours and lnet's: by time, not by phase
    kPhaseOther,    // what belongs nowhere: nothing should
    kScalePhases
};

struct Traffic {
    uint64_t to_clients = 0, from_clients = 0, bytes = 0;
    uint64_t most_to = 0, most_from = 0;  // messages of one client, one way
};

class LightClients {
public:
    LightClients(World& world, Host& host, std::string target, size_t count, uint32_t server);
    ~LightClients();

    // Each begins somewhere within spread_ns. servers: where the target may be.
    void start(uint64_t spread_ns);
    void leave(uint64_t spread_ns);
    size_t holding() const { return holding_; }  // the active lock
    size_t gone() const { return gone_; }
    size_t count() const { return clients_.size(); }
    void use_spread(bool on) { use_spread_ = on; }

    const std::array<Traffic, kScalePhases>& traffic() const { return traffic_; }
    // connections tried since the shutdown began
    uint64_t attempts() const { return attempts_; }
    uint64_t failed_attempts() const { return failed_attempts_; }
    // The most of them within one millisecond.
    uint64_t rush_per_ms() const;
    size_t not_resumed() const { return not_resumed_; }  // came back and was a stranger, or evicted
    uint32_t told_spread_ms() const { return told_spread_ms_; }
    uint64_t last_cancel_ns() const { return last_cancel_ns_; }
    uint64_t last_resume_ns() const { return last_resume_ns_; }
    bool restarted = false;  // set by the experiment: mounts are over

private:
    struct Client;
    enum Wait : unsigned {
        kConnectReply,
        kEnqueueReply,
        kCancelReply,
        kPingReply,
        kLeaveReply,
        kWaits
    };

    void run(Client& c);
    void ping_task();
    bool session(Client& c);  // one connection, from connect() to its end
    bool open(Client& c);
    bool handle(Client& c);  // one message; false: the connection is over
    bool on_reply(Client& c, const RpcHeader& header, Decoder& body);
    bool on_callback(Client& c, const RpcHeader& header, Decoder& body);
    template <class Op> bool send(Client& c, Op& op, Wait wait, ScalePhase phase);
    bool send_frame(Client& c, uint16_t type, uint64_t cookie, const Bytes* body);
    bool send_connect(Client& c);
    bool send_enqueue(Client& c);
    bool send_cancel(Client& c, uint64_t handle);
    void hang_up(Client& c);
    void note_attempt();
    void note(Client& c, ScalePhase phase, bool to_client, size_t bytes);
    ScalePhase phase_of_session(ScalePhase first, ScalePhase again) const
    {
        return restarted ? again : first;
    }

    World& world_;
    Host& host_;
    const std::string target_;
    const uint32_t server_;
    std::vector<std::unique_ptr<Client>> clients_;
    std::array<Traffic, kScalePhases> traffic_{};
    std::vector<uint32_t> attempts_in_ms_;  // since the first
    uint64_t attempts_from_ns_ = 0;
    size_t holding_ = 0, gone_ = 0, not_resumed_ = 0;
    uint64_t attempts_ = 0, failed_attempts_ = 0;
    uint64_t last_cancel_ns_ = 0, last_resume_ns_ = 0;
    uint32_t told_spread_ms_ = 0;
    bool leaving_ = false, use_spread_ = true;
};

}  // namespace lull::sim
