// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/invariants.h"

#include <gtest/gtest.h>

#include "kapi/errno.h"
#include "target/target.h"

namespace lull::sim {

namespace {

std::string who(lull::Target& target, lull::ServerRequest& request)
{
    return std::string(target.identity().name.c_str()) + " " + std::to_string(target.instance()) + " " +
           request.exp->client_uuid().c_str();
}

}  // namespace

Invariants::Invariants(FsWorld& world) : w_(world) { lull::target_observer = this; }
Invariants::~Invariants() { lull::target_observer = nullptr; }

// 3: between a client's cancel of the active lock and its next grant nothing of it is executed.
void Invariants::on_gated(lull::Target& target, lull::ServerRequest& request, bool holds)
{
    if (request.is_replay()) return;
    std::string client = who(target, request);
    if (holds)
        gave_back_.erase(client);
    else if (gave_back_.count(client))
        ADD_FAILURE() << request.info().name << " executed behind the closed gate: " << client;
}

void Invariants::on_active_cancelled(lull::Target& target, lull::ServerRequest& request) { gave_back_.insert(who(target, request)); }

// 5: in one instance a request is executed once, however often it is sent.
void Invariants::on_transaction(lull::Target& target, lull::ServerRequest& request)
{
    if (!request.info().slot || request.is_replay()) return;
    if (!executed_.insert({who(target, request), request.xid()}).second)
        ADD_FAILURE() << request.info().name << " executed twice: " << who(target, request) << " xid " << request.xid();
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
        else
            sum += strtoull(text.c_str() + at + 14, nullptr, 10);
    }
    return sum;
}

void Invariants::halted_is_clean(Target& target, bool away)
{
    if (!away) {
        uint64_t until = w_.world.now_ns() + kRestLimit;
        while (kept_replays(target) && w_.world.now_ns() < until) w_.run_for_ms(10);
        if (uint64_t left = kept_replays(target))
            ADD_FAILURE() << target.name << " is halted, its clients have " << left << " requests to replay";
    }
    uint64_t committed = number(*target.at, target.param + "last_committed");
    uint64_t last = number(*target.at, target.param + "last_transno");
    if (!target.at->host->up()) return;
    if (committed != last)
        ADD_FAILURE() << target.name << " is halted: last_committed " << committed << ", last_transno " << last;
    std::string record = "clean_record_" + target.param.substr(0, target.param.find('.'));
    if (!target.disk->has("CONFIGS", record, true)) ADD_FAILURE() << target.name << " is halted without " << record << " on its disk";
}

void Invariants::begin_counting()
{
    replays_ = w_.client_counter("replays");
    resends_ = w_.client_counter("resends");
}

void Invariants::nothing_was_recovered()
{
    uint64_t replays = w_.client_counter("replays") - replays_, resends = w_.client_counter("resends") - resends_;
    if (replays || resends) ADD_FAILURE() << "a clean upgrade cost " << replays << " replays, " << resends << " resends";
}

void Invariants::nobody_was_evicted()
{
    if (uint64_t evictions = w_.client_counter("evictions")) ADD_FAILURE() << evictions << " evictions";
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
        for (const char* dir : {"ROOT", "PENDING", "TMP"}) count(std::string("files in ") + dir, w_.mdt().disk->files_below(dir));
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
                w_.get_param(*t->at, t->param + "exports").find("nodename=" + nodename + " ") != std::string::npos)
                known_at += " " + t->name;
        return !known_at.empty();
    };
    while (known() && w_.world.now_ns() < until) w_.run_for_ms(500);
    if (known()) ADD_FAILURE() << nodename << " is dead and not evicted from" << known_at;
}

}  // namespace lull::sim
