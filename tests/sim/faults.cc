// SPDX-License-Identifier: GPL-2.0-only
// What happens to servers, disks and the network.
#include "tests/sim/messages.h"
#include "tests/sim/model_check.h"
#include "tests/sim/scenario_impl.h"

namespace lull::sim {

// ---- crashes

void Scenario::power_off(Node& node)
{
    note("crash of %s", node.host->name().c_str());
    node.host->crash();
    notice_crash(node);
}

void Scenario::crash_node(Node& node)
{
    power_off(node);
    start_again();
}

bool Scenario::wait_until_down(Node& node, uint64_t limit_ns)
{
    return w_.world.run_until([&] { return !node.host->up(); }, w_.world.now_ns() + limit_ns);
}

void Scenario::disk_crash()
{
    Target& t = rng_.chance(500) ? w_.mdt() : any_target();
    Node& node = *t.at;
    t.disk->crash_at_step(rng_.between(1, 40));
    note("%s: its disk crashes the node in a few steps", t.name.c_str());
    wait_until_down(node, 20 * kSec);
    t.disk->crash_at_step(0);
    notice_crash(node);
    start_again();
}

// False: it is up.
bool Scenario::notice_crash(Node& node)
{
    if (node.host->up()) return false;
    note("%s is down", node.host->name().c_str());
    for (auto& t : w_.targets())
        if (t->at == &node) ran_at_[t.get()] = &node;
    w_.crash(node);
    return true;
}

// The one that was started last.
FsWorld::Target* Scenario::start_all()
{
    hurry_ = false;
    pass(a_moment());
    Target* last = nullptr;
    for (auto& t : w_.targets())
        if (!t->at && ran_at_[t.get()]) start_crashed(*t), last = t.get();
    hurry_ = true;
    return last;
}

void Scenario::start_again()
{
    Target* last = start_all();
    hurry_ = false;
    // again, while clients replay, or before what they have replayed is committed
    if (last && last->at && rng_.chance(150)) {
        pass(rng_.chance(500) ? a_moment() : rng_.below(6 * kSec));
        crash_node(*last->at);
    }
    hurry_ = true;
}

// Invariant 7: what was not halted cleanly starts with the version that ran.
void Scenario::start_crashed(Target& t)
{
    Node& last = *std::exchange(ran_at_[&t], nullptr);
    Node* to = rng_.chance(500) ? &partner_of(t, last) : &last;
    std::string why;
    int err = w_.start(t, *to, "", &why);
    bool clean = !err && number(*to, t.param + "clean_start") == 1;
    if (to->protocol != ran_protocol_[&t] && !clean) {
        note("%s: start with another protocol version: %d", t.name.c_str(), err);
        if (!err) ADD_FAILURE() << t.name << ", not halted cleanly, started with another version";
        to = &last;
        err = w_.start(t, *to, "", &why);
        clean = !err && number(*to, t.param + "clean_start") == 1;
    }
    note("%s: started at %s%s", t.name.c_str(), to->host->name().c_str(),
         clean ? " from its clean record" : " to recover");
    if (err) ADD_FAILURE() << t.name << " does not start after a crash: " << err << " " << why;
    if (!err && !clean) invariants_.started(t);
    ran_protocol_[&t] = to->protocol;
    tune(t);
}

void Scenario::two_crashes()
{
    Target& a = any_target();
    Target& b = *another_target(a);
    for (Target* t : {&a, &b}) {
        if (!t->at) continue;  // on the node that crashed
        power_off(*t->at);
        pass(a_moment());
    }
    start_again();
}

// The partner takes the disk while the old node hangs, or works on and believes to be the server.
void Scenario::fence()
{
    Target& t = any_target();
    Node& old = *t.at;
    bool hangs = rng_.chance(500);
    Node& partner = partner_of(t, old);
    if (!is_alone(t) || partner.protocol != ran_protocol_[&t]) return crash_node(old);
    note("%s: %s %s, its disk is taken away", t.name.c_str(), old.host->name().c_str(),
         hangs ? "hangs" : "lives");
    if (hangs) old.host->pause();
    if (hangs) pass(a_moment());
    t.disk->fence();
    pass(a_moment());
    std::string why;
    t.at = nullptr;
    t.server = nullptr;
    if (int err = w_.start(t, partner, "", &why))
        ADD_FAILURE() << t.name << " does not start at the partner: " << err << " " << why;
    else invariants_.started(t);
    tune(t);
    pass(a_moment());
    old.host->resume();
    pass(rng_.below(20 * kSec));
    note("%s is switched off at last", old.host->name().c_str());
    w_.crash(old);
}

// A4, invariant 7: what was not halted cleanly is refused to another version. With force it starts,
// and may evict.
void Scenario::wrong_version(bool force)
{
    Target& t = any_target();
    Node& node = *t.at;
    // the others would be started with that version, too
    if (!is_alone(t)) return crash_node(node);
    if (force) begin_doubt_all();
    note("crash of %s, then another version", node.host->name().c_str());
    node.host->crash();
    notice_crash(node);
    pass(a_moment());
    unsigned ran = ran_protocol_[&t], other = ran == 1 ? 2 : 1;
    Node& to = partner_of(t, node);
    bool idle = true;
    for (auto& running : w_.targets()) idle &= running->at != &to;
    Node& at = idle && rng_.chance(500) ? to : node;
    unsigned before = at.protocol;
    change_protocol(at, other);
    std::string why;
    int err = w_.start(t, at, "", &why);
    bool clean = !err && number(at, t.param + "clean_start") == 1;
    note("%s: start at %s with protocol %u: %d %s", t.name.c_str(), at.host->name().c_str(), other,
         err, why.c_str());
    if (!err && !clean)
        ADD_FAILURE() << t.name << ", not halted cleanly, started with another version";
    if (err && err != -kEPROTONOSUPPORT)
        ADD_FAILURE() << t.name << ": start of another version: " << err << " " << why;
    if (err && force) err = w_.start(t, at, "force", &why);
    if (err && force)
        ADD_FAILURE() << t.name << " does not start with force: " << err << " " << why;
    if (err) {
        change_protocol(at, before);
    } else {
        ran_protocol_[&t] = other;
        ran_at_[&t] = nullptr;
        invariants_.started(t);
        tune(t);
    }
    start_again();
    if (force) end_doubt_all();
}

// ---- the network

void Scenario::cut()
{
    loose_cut_ = true;
    Node& client = *w_.client_nodes[rng_.below(clients())];
    Node& server = rng_.chance(200) ? *w_.mdt().at : *any_target().at;
    uint64_t length = rng_.below(6 * kSec);
    note("%s and %s: resets, or a cut of %llu ms", client.host->name().c_str(),
         server.host->name().c_str(), static_cast<unsigned long long>(length / kMsec));
    Host *a = client.host, *b = server.host;
    for (uint64_t resets = rng_.chance(500) ? rng_.below(8) : 0; resets > 0; resets--)
        w_.world.after(rng_.below(3 * kSec),
                       [a, b, w = &w_.world] { w->network().reset_connections(*a, *b); });
    if (rng_.chance(300)) return;
    w_.world.network().cut(*a, *b);
    w_.world.after(length, [a, b, w = &w_.world] { w->network().heal(*a, *b); });
    if (rng_.chance(500)) pass(rng_.below(length + 1));
}

// Requests arrive, replies do not; or the other way round. In the middle the connection may break:
// then what was on the way is lost.
void Scenario::one_way_cut()
{
    loose_cut_ = true;
    Host* a = w_.client_nodes[rng_.below(clients())]->host;
    Host* b = any_target().at->host;
    if (rng_.chance(700)) std::swap(a, b);
    uint64_t length = rng_.below(6 * kSec);
    note("nothing gets from %s to %s for %llu ms", a->name().c_str(), b->name().c_str(),
         static_cast<unsigned long long>(length / kMsec));
    w_.world.network().cut(*a, *b, Network::Way::kThere);
    if (rng_.chance(700))
        w_.world.after(rng_.below(length + 1),
                       [a, b, w = &w_.world] { w->network().reset_connections(*a, *b); });
    w_.world.after(length, [a, b, w = &w_.world] { w->network().heal(*a, *b); });
    pass(length);
}

void Scenario::lose_replies()
{
    loose_cut_ = true;
    bool every = rng_.chance(500);
    size_t only = rng_.below(clients());
    unsigned permille = static_cast<unsigned>(20ull << rng_.below(5)),
             losses = static_cast<unsigned>(rng_.between(1, 12));
    note("connections break when replies arrive (%u of 1000, %u losses)", permille, losses);
    auto set = [&](unsigned count) {
        for (auto& t : w_.targets())
            for (size_t i = 0; i < clients(); i++)
                if (t->at && (every || i == only))
                    w_.world.network().lose(*t->at->host, *w_.client_nodes[i]->host, permille,
                                            count);
    };
    set(losses);
    pass(rng_.below(8 * kSec));
    set(0);
}

// Requests are executed, and committed, and nobody is told; then the server crashes.
void Scenario::lose_replies_and_crash()
{
    Target& t = rng_.chance(600) ? w_.mdt() : any_target();
    Node& node = *t.at;
    note("%s: its replies are lost, then it crashes", t.name.c_str());
    std::vector<Host*> deaf;
    for (size_t i = 0; i < clients(); i++)
        if (rng_.chance(850)) deaf.push_back(w_.client_nodes[i]->host);
    // From the first answer on that something was changed.
    w_.world.network().cut_at = [server = node.host, deaf](Host& from, Host& to,
                                                           const std::string& bytes) {
        return &from == server && std::find(deaf.begin(), deaf.end(), &to) != deaf.end() &&
               tells_of_a_change(bytes);
    };
    bool at_step = rng_.chance(400);
    if (at_step) t.disk->crash_at_step(rng_.between(1, 40));
    pass(rng_.chance(300)  ? a_moment()
         : plan_.commit_ms ? rng_.below(kSec)
                           : rng_.between(4 * kSec, 8 * kSec));
    t.disk->crash_at_step(0);
    w_.world.network().cut_at = nullptr;
    for (Host* c : deaf)  // what is on its way is lost
        w_.world.network().reset_connections(*node.host, *c);
    node.host->crash(CrashNet::kReset);
    w_.world.network().heal_all();
    notice_crash(node);
    start_again();
}

void Scenario::slow_network()
{
    uint64_t most = kMsec << rng_.below(9);
    note("the network takes up to %llu ms", static_cast<unsigned long long>(most / kMsec));
    w_.world.network().set_default_delay(50000, most);
    if (rng_.chance(500)) shutdown(any_target(), Twist::kNone);
    else pass(rng_.below(10 * kSec));
    set_network_delay();
}

// ---- hard faults

void Scenario::clock_jump()
{
    for (auto& host : w_.world.hosts())
        if (rng_.chance(500))
            host->set_realtime_offset_ns(static_cast<int64_t>(rng_.below(2000000 * kSec)) -
                                         1000000ll * 1000000000);
    note("clocks jump");
    if (rng_.chance(500)) shutdown(any_target(), Twist::kNone);
}

// A step fails; or from then on all of them, until the machine is switched off and the disk
// replaced by its good half.
void Scenario::disk_error()
{
    Target& t = any_target();
    Node& node = *t.at;
    bool sticky = rng_.chance(500);
    begin_doubt_all();
    note("%s: I/O error%s", t.name.c_str(), sticky ? "s without end" : "");
    t.disk->fail_at_step(rng_.between(1, 60), -kEIO, sticky);
    pass(rng_.below(15 * kSec));
    t.disk->fail_at_step(0);
    bool lost = number(node, t.param + "store_lost") == 1;
    if (lost) note("%s has lost its store", t.name.c_str());
    if (lost && !sticky && rng_.chance(500)) {
        w_.stop(t);
        ran_at_[&t] = &node;
        start_again();
    } else if (lost || sticky) {
        crash_node(node);
    }
    end_doubt_all();
}

void Scenario::disk_full()
{
    begin_doubt_all();
    std::string big = sample_text(100000, 5);
    size_t i = rng_.below(clients());
    unsigned made = 0, enough = 0;
    note("%s fills the OSTs", w_.client_nodes[i]->host->name().c_str());
    w_.on(i, [&] {
        struct llc_statfs all;
        // others remove files meanwhile
        if (w_.c(i).statfs(&all) == 0)
            enough = static_cast<unsigned>(2 * all.total_bytes / big.size());
        for (int err = 0; !err && made < enough; made++)
            err = w_.c(i).put("/fill" + std::to_string(made), big);
    });
    note("%u files made", made);
    if (enough && made == enough)
        ADD_FAILURE() << "the OSTs cannot be filled with " << enough << " files";
    pass(rng_.below(10 * kSec));
    w_.on(i, [&] {
        for (unsigned k = 0; k < made; k++) (void)w_.c(i).unlink("/fill" + std::to_string(k));
    });
    end_doubt_all();
}

// What a client took into its cache was granted to it: it gets to the disk, however many others
// fill theirs.
void Scenario::fill_caches()
{
    begin_doubt_all();  // the others meet a full disk
    note("all clients fill the OSTs");
    std::vector<std::vector<uint64_t>> sizes(clients());
    for (size_t i = 0; i < clients(); i++)
        w_.spawn(i, "fill", [this, i, &sizes] { fill_cache(i, &sizes[i]); });
    if (!w_.join()) return;
    for (size_t i = 0; i < clients(); i++)
        w_.on((i + 1) % clients(), [&] { check_filled(i, sizes[i]); });
    end_doubt_all();
}

void Scenario::fill_cache(size_t client, std::vector<uint64_t>* sizes)
{
    constexpr size_t kPiece = 200000, kFileBytes = 3 << 20, kFiles = 40;
    SimMount& c = w_.c(client);
    std::string piece = sample_text(kPiece, client);
    int64_t n = 1;
    while (n > 0 && sizes->size() < kFiles) {
        std::string path = "/fill" + std::to_string(client) + "_" + std::to_string(sizes->size());
        int fd = c.open(path, SimMount::kWrite | SimMount::kCreate);
        if (fd < 0) return ADD_FAILURE() << "open of " << path << ": " << fd, void();
        uint64_t size = 0;
        while (size < kFileBytes && (n = c.pwrite(fd, size, piece.data(), piece.size())) > 0)
            size += static_cast<uint64_t>(n);
        if (n < 0 && n != -kENOSPC) ADD_FAILURE() << "write to " << path << ": " << n;
        if (int err = n <= 0 || sizes->size() % 4 == 3 ? c.fsync(fd) : 0)
            ADD_FAILURE() << "fsync of " << path << ": " << err;
        if (int err = c.close(fd)) ADD_FAILURE() << "close of " << path << ": " << err;
        sizes->push_back(size);
    }
    if (int err = c.sync()) ADD_FAILURE() << "sync of what a cache took: " << err;
}

// Seen by the next client; then it is removed.
void Scenario::check_filled(size_t client, const std::vector<uint64_t>& sizes)
{
    for (size_t k = 0; k < sizes.size(); k++) {
        std::string path = "/fill" + std::to_string(client) + "_" + std::to_string(k);
        SimMount& c = w_.c((client + 1) % clients());
        llc_attr a = {};
        expect_equal(c.stat(path, &a), 0, "stat of", path);
        expect_equal(static_cast<int64_t>(a.size), static_cast<int64_t>(sizes[k]), "size of", path);
        expect_equal(c.unlink(path), 0, "unlink of", path);
    }
}

void Scenario::no_memory(bool server)
{
    begin_doubt_all();
    unsigned permille = static_cast<unsigned>(1ull << rng_.below(6));
    Host& host = server ? *any_target().at->host : *w_.client_nodes[rng_.below(clients())]->host;
    note("%s: %u of 1000 allocations fail", host.name().c_str(), permille);
    host.fail_allocations(permille);
    pass(rng_.below(10 * kSec));
    host.fail_allocations(0);
    end_doubt_all();
}

}  // namespace lull::sim
