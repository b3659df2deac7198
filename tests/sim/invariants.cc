// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/invariants.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kapi/errno.h"
#include "target/exports.h"
#include "target/target.h"

namespace lull::sim {

using lull::Opcode;

namespace {

std::string client_of(lull::Target& target, lull::ServerRequest& request)
{
    return std::string(target.identity().name.c_str()) + " " + request.exp->client_uuid().c_str();
}

std::string instance_of(lull::Target& target)
{
    return std::string(target.identity().name.c_str()) + " " + std::to_string(target.instance());
}

std::string who(lull::Target& target, lull::ServerRequest& request)
{
    return instance_of(target) + " " + request.exp->client_uuid().c_str();
}

// Done again in memory by every replay.
bool is_open_or_close(lull::ServerRequest& request)
{
    return request.opcode() == Opcode::kMdsOpen || request.opcode() == Opcode::kMdsClose;
}

std::string name_of(lull::Target& target, lull::ServerRequest& request)
{
    return std::string(request.info().name) + " xid " + std::to_string(request.xid()) + " of " +
           who(target, request);
}

}  // namespace

Invariants::Invariants(FsWorld& world) : w_(world)
{
    w_.watch(this);
    for (auto& t : w_.targets())
        t->disk->on_step = [this, disk = t->disk] {
            steps_[w_.world.current_or_null()].push_back(disk->end());
        };
}

Invariants::~Invariants()
{
    w_.watch(nullptr);
    for (auto& t : w_.targets()) t->disk->on_step = nullptr;
}

Disk* Invariants::disk_of(lull::Target& target)
{
    for (auto& t : w_.targets())
        if (t->name == target.identity().name.c_str())
            return t->disk->owner() == w_.world.current_host() ? t->disk : nullptr;
    return nullptr;
}

// 3: between a client's cancel of the active lock and its next grant it sends nothing: when it
// cancelled, nothing of it was under way. And without the lock only that is executed which it began
// when it had it. From the moment on that the server parks it executes nothing gated.
void Invariants::on_gated(lull::Target& target, lull::ServerRequest& request, const Gated& how)
{
    if (request.is_replay()) return;
    std::string client = who(target, request);
    lull::TargetExport* known = lull::TargetExport::of(*request.exp);
    bool gated =
        known && !known->light && (request.exp->connect_flags() & lull::kConnectUpdateLock);
    if (how.holds) gave_back_.erase(client);
    if (gave_back_.count(client)) {
        ADD_FAILURE() << name_of(target, request) << (how.executed ? " executed" : " sent")
                      << " behind the closed gate";
    } else if (how.executed && how.parking) {
        ADD_FAILURE() << name_of(target, request) << " executed after the shutdown began to park";
    } else if (how.executed && !how.holds && gated && !request.is_resend()) {
        ADD_FAILURE() << name_of(target, request) << " executed without the active lock";
    }
}

void Invariants::on_active_cancelled(lull::Target& target, lull::ServerRequest& request)
{
    gave_back_.insert(who(target, request));
}

// 5: in one instance a request is executed once, however often it is sent. In the next one only if
// a crash took something of it away.
void Invariants::on_transaction(lull::Target& target, lull::ServerRequest& request,
                                uint64_t transno)
{
    Disk* disk = disk_of(target);
    Begun& begun = begun_[{instance_of(target), transno}];
    steps_[w_.world.current_or_null()].clear();
    begun.history = transno <= target.last_committed();
    if (!request.info().slot || !disk) return;
    auto before = executions_.find({client_of(target, request), request.xid()});
    if (before == executions_.end()) return;
    Execution& e = before->second;
    begun.was_durable = e.known && e.instance != target.instance() && is_durable(*disk, e.steps);
    if (request.is_replay()) return;
    if (e.instance == target.instance())
        ADD_FAILURE() << name_of(target, request) << " executed twice";
    if (begun.was_durable)
        ADD_FAILURE() << name_of(target, request)
                      << " executed again, although the crash has spared all of it";
}

void Invariants::on_executed(lull::Target& target, lull::ServerRequest& request, uint64_t transno)
{
    Numbered number{instance_of(target), transno};
    Begun begun = begun_[number];
    begun_.erase(number);
    Disk* disk = disk_of(target);
    if (!begun.history && transno <= target.last_committed())
        ADD_FAILURE() << name_of(target, request)
                      << " was said to be committed before it was executed";
    Steps steps = std::move(steps_[w_.world.current_or_null()]);
    if (request.is_replay() && begun.was_durable && !steps.empty() && !is_open_or_close(request))
        ADD_FAILURE() << name_of(target, request) << " replayed, " << steps.size()
                      << " steps, although the crash has spared all of it";
    if (!disk) return;
    if (request.info().slot && !begun.was_durable)
        executions_[{client_of(target, request), request.xid()}] = {target.instance(), steps,
                                                                    faults_ == 0 && !steps.empty()};
    if (!begun.history && !faults_) uncommitted_[number] = std::move(steps);
}

// 1: nobody is told that something is committed which a crash could take away.
void Invariants::on_committed(lull::Target& target, uint64_t last_committed)
{
    Disk* disk = disk_of(target);
    std::string instance = instance_of(target);
    auto first = begun_.lower_bound({instance, 0});
    for (; first != begun_.end() && first->first.first == instance &&
           first->first.second <= last_committed;
         ++first)
        if (!first->second.history)
            ADD_FAILURE() << instance << ": transaction " << first->first.second
                          << " is in progress and committed";
    auto done = uncommitted_.lower_bound({instance, 0});
    while (done != uncommitted_.end() && done->first.first == instance &&
           done->first.second <= last_committed) {
        if (disk && !faults_ && !is_durable(*disk, done->second))
            ADD_FAILURE() << instance << ": transaction " << done->first.second
                          << " is committed, but not on the disk";
        done = uncommitted_.erase(done);
    }
}

bool Invariants::is_durable(const Disk& disk, const Steps& steps)
{
    return std::all_of(steps.begin(), steps.end(),
                       [&](uint64_t end) { return disk.is_durable(end); });
}

void Invariants::started(Target& target)
{
    uint64_t committed = number(*target.at, target.param + "last_committed");
    auto is_of = [&](const Numbered& n) {
        return n.first.compare(0, target.name.size(), target.name) == 0;
    };
    for (auto i = uncommitted_.lower_bound({target.name, 0});
         i != uncommitted_.end() && is_of(i->first);) {
        if (!faults_ && i->first.second <= committed && !is_durable(*target.disk, i->second))
            ADD_FAILURE() << target.name << ": transaction " << i->first.second
                          << " is said to be committed, and the crash has taken it";
        i = uncommitted_.erase(i);  // now the clients say what is replayed
    }
}

uint64_t Invariants::number(Node& node, const std::string& param)
{
    std::string text = w_.get_param(node, param);
    size_t at = text.find('=');
    return strtoull(text.c_str() + (at == std::string::npos ? 0 : at + 1), nullptr, 10);
}

uint64_t Invariants::kept_replays(Target& target)
{
    bool is_mdt = &target == &w_.mdt();
    uint64_t sum = 0;
    for (size_t i = 0; i < w_.client_nodes.size(); i++) {
        Node& n = *w_.client_nodes[i];
        if (!n.node || n.host->paused() || !w_.mounts[i] || !w_.mounts[i]->mounted()) continue;
        std::string text = w_.get_param(n, (is_mdt ? "mdc." : "osc.") + target.name + "*.stats");
        size_t at = text.find("kept_replays: ");
        if (at == std::string::npos)
            ADD_FAILURE() << "no statistics of " << target.name << ": " << text;
        else sum += strtoull(text.c_str() + at + 14, nullptr, 10);
    }
    return sum;
}

void Invariants::halted_is_clean(Target& target, bool away)
{
    if (!away) {
        uint64_t until = w_.world.now_ns() + kRestLimit;
        while (kept_replays(target) && w_.world.now_ns() < until) w_.run_for_ms(10);
        if (uint64_t left = kept_replays(target))
            ADD_FAILURE() << target.name << " is halted, its clients have " << left
                          << " requests to replay";
    }
    uint64_t committed = number(*target.at, target.param + "last_committed");
    uint64_t last = number(*target.at, target.param + "last_transno");
    if (!target.at->host->up()) return;
    if (committed != last)
        ADD_FAILURE() << target.name << " is halted: last_committed " << committed
                      << ", last_transno " << last;
    std::string record = "clean_record_" + target.param.substr(0, target.param.find('.'));
    if (!target.disk->has("CONFIGS", record, true))
        ADD_FAILURE() << target.name << " is halted without " << record << " on its disk";
}

void Invariants::begin_counting()
{
    replays_ = w_.client_counter("replays");
    resends_ = w_.client_counter("resends");
}

void Invariants::nothing_was_recovered()
{
    uint64_t replays = w_.client_counter("replays") - replays_,
             resends = w_.client_counter("resends") - resends_;
    if (replays || resends)
        ADD_FAILURE() << "a clean upgrade cost " << replays << " replays, " << resends
                      << " resends";
}

void Invariants::nobody_was_evicted()
{
    if (uint64_t evictions = w_.client_counter("evictions"))
        ADD_FAILURE() << evictions << " evictions";
}

void Invariants::nothing_is_left()
{
    std::string left;
    auto count = [&](const std::string& what, uint64_t n) {
        if (n) left += " " + std::to_string(n) + " " + what;
    };
    auto look = [&] {
        left.clear();
        for (auto& t : w_.targets()) {
            w_.set_param(*t->at, t->param + "commit", "1");
            count("requests kept for " + t->name, kept_replays(*t));
            if (t.get() != &w_.mdt()) count("objects on " + t->name, t->disk->files_below("O"));
        }
        count("opens at the MDT", number(*w_.mdt().at, w_.mdt().param + "open_files"));
        count("destroys to do", number(*w_.mdt().at, w_.mdt().param + "pending_destroys"));
        for (const char* dir : {"ROOT", "PENDING", "TMP"})
            count(std::string("files in ") + dir, w_.mdt().disk->files_below(dir));
        return left.empty();
    };
    uint64_t until = w_.world.now_ns() + kCleanupLimit;
    while (!look() && w_.world.now_ns() < until) w_.run_for_ms(2000);
    if (!look()) ADD_FAILURE() << "everything is removed, and there are still" << left;
}

void Invariants::dead_client_is_gone(const std::string& nodename, uint64_t limit_ns)
{
    uint64_t until = w_.world.now_ns() + limit_ns;
    std::string known_at;
    auto known = [&] {
        known_at.clear();
        for (auto& t : w_.targets())
            if (t->at && t->at->host->up() &&
                w_.get_param(*t->at, t->param + "exports").find("nodename=" + nodename + " ") !=
                    std::string::npos)
                known_at += " " + t->name;
        return !known_at.empty();
    };
    while (known() && w_.world.now_ns() < until) w_.run_for_ms(500);
    if (known()) ADD_FAILURE() << nodename << " is dead and not evicted from" << known_at;
}

}  // namespace lull::sim
