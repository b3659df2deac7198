// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that must wait, without an answer, for a state of the target to pass: a recovery window,
 * the end of a commit.
 */
#pragma once
#include "ptlrpc/server_request.h"

namespace lull {

class HoldingPen {
public:
    static constexpr size_t kRequestsMax = 65536;

    void close() { pen_.lock()->closed = true; }
    // False: the pen is open, go on. Without memory the request is refused with -ENOMEM and gone.
    bool hold(const Ref<ServerRequest>& request)
    {
        auto pen = pen_.lock();
        if (!pen->closed) return false;
        if (pen->held.size() < kRequestsMax && pen->held.push_back(request).ok()) return true;
        pen.unlock();
        request->reply_error(-kENOMEM);
        pen.relock();
        return true;
    }
    Vec<Ref<ServerRequest>> open()
    {
        auto pen = pen_.lock();
        pen->closed = false;
        return std::move(pen->held);
    }

private:
    struct Pen {
        bool closed = false;
        Vec<Ref<ServerRequest>> held;
    };
    Guarded<Pen> pen_{LockRank::kTarget};
};

}  // namespace lull
