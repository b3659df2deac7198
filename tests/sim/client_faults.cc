// SPDX-License-Identifier: GPL-2.0-only
// What happens to clients: they stop for a while, hang until they are evicted, die. The others go
// on.
#include "tests/sim/model_check.h"
#include "tests/sim/scenario_impl.h"

namespace lull::sim {

// Shorter than every deadline: nobody may notice.
void Scenario::client_pause()
{
    loose_cut_ = true;
    Host* host = w_.client_nodes[rng_.below(clients())]->host;
    uint64_t length = rng_.below(8 * kSec);
    note("%s stops for %llu ms", host->name().c_str(),
         static_cast<unsigned long long>(length / kMsec));
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

// ---- an eviction, and what a process of the evicted client is told (A7)

struct Scenario::Victim {
    SimMount& c;
    std::string dir;
    std::string synced = sample_text(20000, 1), lost = sample_text(9000, 2),
                others = sample_text(15000, 3);
    int dirty = -1, clean = -1, unlinked = -1;
    std::string path(const char* name) const { return dir + name; }

    // Three open files: one with dirty pages, one only read, one without a name; and one that is
    // only cached.
    void begin()
    {
        expect_equal(c.mkdir(dir), 0, "mkdir", dir);
        for (const char* name : {"/dirty", "/clean", "/cached", "/unlinked"}) {
            expect_equal(c.put(path(name), synced), 0, "put", path(name));
            int fd = c.open(path(name), SimMount::kRead | SimMount::kWrite);
            expect_equal(c.fsync(fd), 0, "fsync", path(name));
            if (name[1] == 'd') dirty = fd;
            else if (name == std::string("/clean")) clean = fd;
            else if (name[1] == 'u') unlinked = fd;
            else expect_equal(c.close(fd), 0, "close", path(name));
            expect_text(c.get(path(name)), synced, "read of", path(name));
        }
        expect_equal(c.unlink(path("/unlinked")), 0, "unlink", path("/unlinked"));
        expect_equal(c.sync(), 0, "sync", dir);
        expect_equal(c.pwrite(dirty, 100, lost.data(), lost.size()),
                     static_cast<int64_t>(lost.size()), "pwrite", path("/dirty"));
    }
    // An open of before is void: each use fails, none hangs, and none works.
    void use_void(int fd, const char* name)
    {
        char byte = 0;
        expect_equal(c.pread(fd, 0, &byte, 1), -kEIO, "read after an eviction of", path(name));
        expect_equal(c.pwrite(fd, 0, &byte, 1), -kEIO, "write after an eviction to", path(name));
        expect_equal(c.flock(fd, LLC_FLOCK_SHARED, false), -kEIO, "flock after an eviction of",
                     path(name));
    }
    // was_told: of the loss, through the file that had written.
    void look(bool was_told)
    {
        for (const char* name : {"/dirty", "/clean", "/cached"}) {
            std::string got;
            int err = 0;
            got = c.get(path(name), &err);  // a process that had nothing open is told of nothing
            expect_equal(err, 0, "read after an eviction of", path(name));
            expect_text(got, name[2] == 'a' ? others : synced, "read after an eviction of",
                        path(name));
            int fd = c.open(path(name), SimMount::kRead | SimMount::kWrite);
            expect_equal(c.pwrite(fd, 0, others.data(), others.size()),
                         static_cast<int64_t>(others.size()), "write again to", path(name));
            expect_equal(c.fsync(fd), 0, "fsync, by who opened it after the eviction, of",
                         path(name));
            expect_equal(c.close(fd), 0, "close", path(name));
        }
        if (!was_told)
            ADD_FAILURE() << "nobody was told that what was written to " << path("/dirty")
                          << " is lost";
    }
};

void Scenario::eviction_noticed()
{
    size_t i = rng_.below(clients()), other = (i + 1) % clients();
    if (other == i) return;
    Host& host = *w_.client_nodes[i]->host;
    evictions_allowed_ = true;
    Victim victim{w_.c(i), "/victim" + std::to_string(w_.world.now_ns())};
    w_.on(i, [&] { victim.begin(); });
    begin_doubt(i);
    note("%s hangs until it is evicted everywhere", host.name().c_str());
    clients_[i].hung = true;
    host.pause();
    hurry_ = false;
    invariants_.dead_client_is_gone(host.name(), kEvictLimit);
    // What it has in its caches is not true any more.
    w_.on(other, [&] {
        expect_equal(w_.c(other).put(victim.path("/cached"), victim.others), 0, "put",
                     victim.path("/cached"));
    });
    pass(rng_.below(30 * kSec));
    host.resume();
    hurry_ = true;
    clients_[i].hung = false;
    note("%s goes on", host.name().c_str());
    settle_client(i);
    w_.on(i, [&] {
        victim.use_void(victim.dirty, "/dirty");
        victim.use_void(victim.clean, "/clean");
        victim.use_void(victim.unlinked, "/unlinked");
        int told = victim.c.fsync(victim.dirty), again = victim.c.close(victim.dirty);
        expect_equal(victim.c.close(victim.clean), 0, "close, with nothing lost, of",
                     victim.path("/clean"));
        expect_equal(victim.c.close(victim.unlinked), 0, "close, with nothing lost, of",
                     victim.path("/unlinked"));
        if (told == -kEIO)
            expect_equal(again, 0, "close, after fsync has told of the loss, of",
                         victim.path("/dirty"));
        victim.look(told == -kEIO || again == -kEIO);
    });
    wait_for_progress();
    clients_[i].trust.end_doubt();
}

void Scenario::die(size_t i)
{
    Client& client = clients_[i];
    evictions_allowed_ = true;  // of the dead one
    begin_doubt(i);
    note("%s dies", w_.client_nodes[i]->host->name().c_str());
    client.hung = true;
    client.tasks.clear();
    w_.crash_client(i);
    shared_.died(static_cast<unsigned>(i));
    locks_.died(static_cast<unsigned>(i));
}

void Scenario::client_death()
{
    size_t i = rng_.below(clients());
    std::string name = w_.client_nodes[i]->host->name();
    die(i);
    hurry_ = false;
    wait_for_progress();
    if (rng_.chance(300)) shutdown(any_target(), Twist::kNone);
    if (rng_.chance(700)) invariants_.dead_client_is_gone(name, kEvictLimit);
    hurry_ = true;
    revive_client(i);
}

// A file of the one that will die, and what another client sees in it: the one cannot write it
// again, and the other must not see anything else (what a lock's next owner sees is committed).
struct Scenario::Witness {
    std::string path, seen;

    void begin(SimMount& c, const std::string& name)
    {
        path = name;
        expect_equal(c.put(path, sample_text(3000, 1)), 0, "put", path);
        int fd = c.open(path, SimMount::kRead | SimMount::kWrite);
        expect_equal(c.fsync(fd), 0, "fsync", path);
        std::string more = sample_text(40000, 2);
        expect_equal(c.pwrite(fd, 1000, more.data(), more.size()),
                     static_cast<int64_t>(more.size()), "pwrite", path);
        expect_equal(c.close(fd), 0, "close", path);
    }
    void look(SimMount& other)
    {
        seen = other.get(path);
        expect_text(seen, sample_text(3000, 1).substr(0, 1000) + sample_text(40000, 2), "read of",
                    path);
    }
    void look_again(SimMount& other) const
    {
        expect_equal(other.drop_pages(path), 0, "drop_pages", path);
        expect_text(other.get(path), seen, "what was seen already of", path);
    }
};

// What the dead client had not synced is gone, and nobody can do it again; what it had synced is
// there. Who shared files with it may have built on what is lost; who did not loses nothing
// (invariant 1).
void Scenario::power_cut()
{
    size_t i = rng_.below(clients()), other = (i + 1) % clients();
    Witness witness;
    bool witnessed = other != i && rng_.chance(500);
    if (witnessed) {
        std::string name = "/witness" + std::to_string(w_.world.now_ns());
        w_.on(i, [&] { witness.begin(w_.c(i), name); });
        w_.on(other, [&] { witness.look(w_.c(other)); });
    }
    if (plan_.shared) begin_doubt_all();
    die(i);
    pass(rng_.chance(500) ? 0 : a_moment());
    for (uint64_t n = rng_.between(1, 3); n > 0; n--) {
        Target& t = rng_.chance(500) ? w_.mdt() : any_target();
        if (t.at) power_off(*t.at);  // else its node is down already
    }
    start_again();
    hurry_ = false;
    wait_for_progress();
    hurry_ = true;
    revive_client(i);
    if (plan_.shared) end_doubt_all();
    if (witnessed) w_.on(other, [&] { witness.look_again(w_.c(other)); });
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
