/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The devices of a node and what lctl does with them. A device that is being shown or set is
 * pinned, so that show and store run with no lock held and remove() waits for them.
 */
#pragma once
#include "ptlrpc/node.h"

namespace lull {

class DeviceTable {
public:
    ~DeviceTable();
    Status add(Device& device);  // -EEXIST: another device has this type and name
    void remove(Device& device);
    Status list(Str glob, TextSink& out);
    Status get(Str glob, TextSink& out);
    Status set(Str assignment, TextSink& out);
    Status describe(TextSink& out);  // lctl dl

private:
    struct State {
        List<Device, &Device::hook> devices;
    };
    template <class F> Status for_each_match(Str glob, F visit);
    Device* next(Device* pinned);

    Guarded<State> state_{LockRank::kNode};
    CondVar unpinned_;
};

}  // namespace lull
