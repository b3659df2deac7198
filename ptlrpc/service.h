/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The server's tasks. Requests that the gate holds back may block in their handler (for a lock,
 * say) and have a pool of their own; everything else, which is what a drain and a recovery need,
 * runs in the exempt pool and never waits for them. Both may have all their tasks in the hands of a
 * slow disk: pings, which tell clients that we are alive (adaptive_timeout.h), have a third.
 */
#pragma once
#include "lnet/log_limit.h"
#include "ptlrpc/server_request.h"
#include "ptlrpc/target_table.h"
#include "ptlrpc/task_pool.h"

namespace lull {

class Service {
public:
    Service(TargetTable& targets, unsigned tasks_max)
        : targets_(targets), normal_("lull_srv", tasks_max, run, this),
          exempt_("lull_srvx", tasks_max, run, this), pings_("lull_srvp", tasks_max, run, this)
    {}

    // From a receive task. A message that is no request closes the connection.
    void receive(Node& node, Connection& from, Message&& message);
    // Ends the tasks; nothing is received meanwhile.
    void stop();

private:
    using Pool = TaskPool<ServerRequest, &ServerRequest::queue_hook>;
    static void run(void* service, ServerRequest& request);
    void execute(Ref<ServerRequest> request);
    void connect(Ref<ServerRequest> request);
    void refuse(ServerRequest& request, Status why);

    TargetTable& targets_;
    LogLimit bad_request_log_;
    Pool normal_, exempt_, pings_;
};

}  // namespace lull
