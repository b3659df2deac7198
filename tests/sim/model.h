// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a simulated application does, and what it may expect: a Worker changes files that are its
 * own and knows what must be in them; SharedFiles are changed by every client, one at a time, or in
 * ways of which the outcome is known whatever the order (invariants 1, 4, 5, 9). An operation that
 * fails, or reads something else, is a test failure at once.
 *
 * While a client is in doubt (a fault that may evict it, or take its disk or memory away) its
 * operations may fail and what it has not synced may be lost; what it has synced may not. When the
 * doubt is over, it looks at what is there and takes that for the truth; from then on everything
 * has to work again (A7, invariant 1).
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

// How much can be expected of one client's operations.
class Trust {
public:
    bool strict() const { return doubts_ == 0; }
    uint64_t epoch() const { return epoch_; }  // another one: what was not synced may be lost
    void begin_doubt() { doubts_++, epoch_++; }
    void end_doubt() { doubts_--, epoch_++; }

private:
    unsigned doubts_ = 0;
    uint64_t epoch_ = 0;
};

// The kinds of operations that are left out, by name: to shrink a failing seed.
struct OperationNames {
    static const std::vector<std::string>& all();
    static std::set<std::string> without;
};

// What a worker's files are like.
struct Habits {
    bool names_only = false;  // hardly any data
    bool crowds = false;      // now and then a directory of hundreds
    size_t file_max = 150000;
};

class Worker {
public:
    Worker(SimMount& mount, Trust& trust, std::string dir, Rng rng, Habits habits = {})
        : c_(mount), trust_(trust), dir_(std::move(dir)), rng_(rng), habits_(habits),
          epoch_(trust.epoch())
    {}
    void begin();
    void step();  // one random operation
    void end();   // gives back what is held open
    // All of it, seen through this mount: names, sizes, data. dead: its client is gone, only what
    // was synced can be expected.
    void verify(SimMount& through, bool dead) const;
    uint64_t operations = 0, interruptions = 0, kills = 0;

private:
    struct File {
        std::string data;
        bool synced = false, unknown = false;
        int mode = 0644;        // unknown: -1
        uint64_t mtime_ns = 0;  // as it was set; 0: unknown
    };
    struct Held {
        int fd;
        std::string data;
    };
    std::string name() { return "f" + std::to_string(rng_.below(7)); }
    std::string path(const std::string& name) const { return dir_ + "/" + name; }
    const File* pick(std::string* name);  // an existing file, or null
    bool sure() const { return !killed_ && trust_.strict() && trust_.epoch() == epoch_; }
    void expect(int64_t got, int64_t want, const char* what, const std::string& path) const;
    void expect_data(const std::string& got, const std::string& want, const char* what,
                     const std::string& path) const;
    void touch(const std::string& name);
    void remove(const std::string& name);
    void look_again();
    void die();
    void adopt(const std::string& name);
    void remove_tree(const std::string& path);
    std::string whole(SimMount& c, const std::string& path);
    int64_t write_all(int fd, uint64_t pos, const std::string& data);
    template <class F>
    // A system call, again when a signal interrupts it: it must have had no effect (A9). A killed
    // process makes no more of them.
    auto sys(F call);

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
    void chmod();
    void link();
    void toggle_symlink();
    void utimes();
    void map();
    void move();
    void crowd();
    friend struct OperationNames;
    struct Operation {
        const char* name;
        unsigned weight, names_weight;  // names_weight: when it is names only
        void (Worker::*run)();
    };
    static const Operation kOperations[];

    SimMount& c_;
    Trust& trust_;
    const std::string dir_;
    Rng rng_;
    const Habits habits_;
    uint64_t epoch_;
    bool killed_ = false;
    std::set<std::string> touched_;  // by the operation at hand
    std::map<std::string, File> files_;
    // Synced, and then removed: should that be lost, they are as they were.
    std::map<std::string, std::string> removed_;
    std::set<std::string> dirs_;
    std::map<std::string, std::string> symlinks_;  // by name, what they say
    std::vector<Held> held_;
};

class SharedFiles {
public:
    explicit SharedFiles(unsigned clients) : records_(clients) {}
    void make(SimMount& c);
    void step(SimMount& c, const Trust& trust, unsigned client, Rng& rng);
    // Before a client gets into doubt; it died.
    void doubt(unsigned client);
    void died(unsigned client);
    void verify(SimMount& through) const;
    uint64_t operations = 0;

private:
    using Names = std::vector<std::string>;
    static constexpr unsigned kFiles = 2, kMovable = 5;
    static constexpr int kNobody = -1;
    struct Turn {
        int holder = kNobody;
        bool unknown = false;
        std::string content;
        unsigned mode = 0644;
        bool has_alias = false;  // a second name
    };
    // What stat() says of both names: what clients cache of names and attributes.
    struct Look {
        int err = 0, alias_err = 0;
        llc_attr attr = {};
    };
    static Look look(SimMount& c, unsigned i);
    static void expect_look(const Look& got, const Turn& turn, unsigned i);
    struct Records {
        unsigned appended = 0;
        unsigned returned = 0;  // so many of the appends are over
        unsigned doubtful = 0;  // the first ones may be missing
    };
    void take_turn(SimMount& c, const Trust& trust, unsigned client, Rng& rng);
    void change_turn(SimMount& c, const Trust& trust, Turn& turn, const std::string& path,
                     Rng& rng);
    void change_names(SimMount& c, const Trust& trust, Turn& turn, unsigned i, Rng& rng);
    void append_record(SimMount& c, const Trust& trust, unsigned client);
    void race(SimMount& c, const Trust& trust);
    void look_on(SimMount& c, const Trust& trust);
    void shuffle(SimMount& c, const Trust& trust, Rng& rng);
    static void find_movable(SimMount& c, const std::string& dir, Names* paths);
    void verify_movable(SimMount& through) const;
    void verify_log(const std::string& log) const;

    Turn turns_[kFiles];
    std::vector<Records> records_;  // by client
    struct Race {
        unsigned winners = 0;
        bool unsure = false;
    };
    std::vector<Race> races_;  // of each exclusive create
};

}  // namespace lull::sim
