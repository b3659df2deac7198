// SPDX-License-Identifier: GPL-2.0-only
// What happens to clients: they stop for a while, hang until they are evicted, die. The others go on.
#include "tests/sim/scenario_impl.h"

namespace lull::sim {

// Shorter than every deadline: nobody may notice.
void Scenario::client_pause()
{
    loose_cut_ = true;
    Host* host = w_.client_nodes[rng_.below(clients())]->host;
    uint64_t length = rng_.below(8 * kSec);
    note("%s stops for %llu ms", host->name().c_str(), static_cast<unsigned long long>(length / kMsec));
    host->pause();
    pass(length);
    host->resume();
}

void Scenario::client_hang()
{
    size_t i = rng_.below(clients());
    Client& client = clients_[i];
    Host& host = *w_.client_nodes[i]->host;
    evictions_allowed_ = true;
    begin_doubt(i);
    note("%s hangs", host.name().c_str());
    client.hung = true;
    host.pause();
    hurry_ = false;
    wait_for_progress();
    if (rng_.chance(300)) shutdown(any_target(), Twist::kNone);
    pass(rng_.below(90 * kSec));
    host.resume();
    hurry_ = true;
    client.hung = false;
    note("%s goes on", host.name().c_str());
    settle_client(i);
    wait_for_progress();
    client.trust.end_doubt();
}

void Scenario::client_death()
{
    size_t i = rng_.below(clients());
    Client& client = clients_[i];
    evictions_allowed_ = true;  // of the dead one
    begin_doubt(i);
    std::string name = w_.client_nodes[i]->host->name();
    note("%s dies", name.c_str());
    client.hung = true;
    client.tasks.clear();
    w_.crash_client(i);
    shared_.died(static_cast<unsigned>(i));
    locks_.died(static_cast<unsigned>(i));
    hurry_ = false;
    wait_for_progress();
    if (rng_.chance(300)) shutdown(any_target(), Twist::kNone);
    if (rng_.chance(700)) invariants_.dead_client_is_gone(name, kEvictLimit);
    hurry_ = true;
    revive_client(i);
}

void Scenario::revive_client(size_t i)
{
    w_.boot(*w_.client_nodes[i]);
    std::string why;
    int err = w_.mount(i, "", &why);
    if (err) ADD_FAILURE() << "mount after a death: " << err << " " << why;
    note("%s is back", w_.client_nodes[i]->host->name().c_str());
    clients_[i].hung = false;
    clients_[i].trust.end_doubt();
    start_client(i);
}

}  // namespace lull::sim
