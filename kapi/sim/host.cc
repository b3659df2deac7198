// SPDX-License-Identifier: GPL-2.0-only
#include "kapi/sim/memory.h"
#include "kapi/sim/network.h"
#include "kapi/sim/task.h"
#include "kapi/sim/world.h"

namespace lull::sim {

Host::Host(World& world, std::string name, unsigned index)
    : world_(world), name_(std::move(name)), index_(index),
      address_(kFirstAddress + index), net_{this}, arena_(std::make_unique<Arena>())
{}

Host::~Host() { arena_->free_all(); }

TaskHandle Host::spawn(std::string name, std::function<void()> fn, uint64_t deadline_ns)
{
    TaskHandle t = world_.start_task(this, std::move(name), std::move(fn), false);
    if (deadline_ns != kNever && deadline_ns > world_.now_ns())
        world_.after(deadline_ns - world_.now_ns(), [t, w = &world_] {
            if (!World::finished(t))
                w->fail("task '" + t->name + "' of " + t->host->name() + " missed its deadline");
        });
    return t;
}

void Host::crash(CrashNet net)
{
    if (!up_) return;
    if (world_.tracing()) world_.trace("crash of %s", name_.c_str());
    up_ = false;
    paused_ = false;
    for (auto& [path, device] : devices_) device->host_crashed(*this);
    world_.crash_tasks(*this, [this, net] {
        world_.network().host_crashed(*this, net);
        arena_->free_all();
    });
}

void Host::pause()
{
    if (!up_ || paused_) return;
    if (world_.tracing()) world_.trace("%s hangs", name_.c_str());
    world_.hold_tasks(*this, true);
}

void Host::resume()
{
    if (!paused_) return;
    if (world_.tracing()) world_.trace("%s goes on", name_.c_str());
    world_.hold_tasks(*this, false);
}

void Host::boot()
{
    if (up_) return;
    up_ = true;
    boots_++;
    arena_->made = 0;
    if (world_.tracing()) world_.trace("boot of %s", name_.c_str());
    world_.network().host_booted(*this);
}

std::string Host::leftovers() const
{
    std::string out = arena_->describe(20) + world_.leftover_tasks(*this);
    if (size_t n = world_.network().live_sockets(*this))
        out += "  " + std::to_string(n) + " sockets not closed\n";
    for (auto& [path, device] : devices_)
        if (device->in_use_by(*this))
            out += "  " + path + " (" + device->name() + ") still mounted\n";
    return out;
}

void Host::shutdown_clean()
{
    std::string left = leftovers();
    if (!left.empty()) return world_.fail("left behind on " + name_ + ":\n" + left);
    up_ = false;
    if (world_.tracing()) world_.trace("clean end of %s", name_.c_str());
}

uint64_t Host::live_allocations() const { return arena_->live; }

Device* Host::device(const std::string& path) const
{
    auto it = devices_.find(path);
    return it == devices_.end() ? nullptr : it->second;
}

bool Host::allocation_fails()
{
    if (alloc_fail_nth_ && --alloc_fail_nth_ == 0) return true;
    return world_.fault_rng().chance(alloc_fail_permille_);
}

}  // namespace lull::sim
