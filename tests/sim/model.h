// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a simulated application does, and what it may expect: a Worker changes files that are its own and knows what must be in them;
 * SharedFiles are changed by every client, one at a time, or in ways of which the outcome is known whatever the order (invariants 1,
 * 4, 5, 9). An operation that fails, or reads something else, is a test failure at once.
 */
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kapi/sim/rng.h"
#include "tests/sim/sim_host.h"

namespace lull::sim {

// Text that differs everywhere and between salts.
std::string sample_text(size_t bytes, uint64_t salt);

class Worker {
public:
    Worker(SimMount& mount, std::string dir, Rng rng) : c_(mount), dir_(std::move(dir)), rng_(rng) {}
    void begin();
    void step();  // one random operation
    void end();   // gives back what is held open
    // All of it, seen through this mount: names, sizes, data.
    void verify(SimMount& through) const;
    uint64_t operations = 0;

private:
    struct Held {
        int fd;
        std::string data;
    };
    std::string name() { return "f" + std::to_string(rng_.below(7)); }
    std::string path(const std::string& name) const { return dir_ + "/" + name; }
    const std::string* pick(std::string* name);  // an existing file, or null
    void put();
    void append();
    void overwrite();
    void truncate();
    void rename();
    void unlink();
    void stat();
    void read();
    void toggle_dir();
    void hold();
    void use_held();
    void fsync();
    void list();
    void drop();

    SimMount& c_;
    const std::string dir_;
    Rng rng_;
    std::map<std::string, std::string> files_;
    std::set<std::string> dirs_;
    std::vector<Held> held_;
};

class SharedFiles {
public:
    explicit SharedFiles(unsigned clients) : appended_(clients) {}
    void make(SimMount& c);
    void step(SimMount& c, unsigned client, Rng& rng);
    void verify(SimMount& through) const;
    uint64_t operations = 0;

private:
    static constexpr unsigned kFiles = 2;
    void take_turn(SimMount& c, Rng& rng);
    void append_record(SimMount& c, unsigned client);
    void race(SimMount& c);

    SimLock turn_[kFiles];
    std::string content_[kFiles];
    std::vector<unsigned> appended_;  // records, by client
    std::vector<unsigned> winners_;   // of each exclusive create
};

}  // namespace lull::sim
