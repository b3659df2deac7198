// SPDX-License-Identifier: GPL-2.0-only
/*
 * Applications that lock files (flock, fcntl), and what they may expect of it: nobody ever holds
 * what conflicts with somebody else's lock, whatever becomes of the MDT meanwhile; every wait ends;
 * nothing stays locked when all have let go (A5, A9, B1).
 *
 * Each locker is one task with an owner of its own and at most one lock. While its client is in
 * doubt, its lock may be lost.
 */
#pragma once
#include <list>
#include <map>
#include <memory>
#include <string>

#include "kapi/sim/rng.h"
#include "tests/sim/model.h"

namespace lull::sim {

class FileLocks {
public:
    class Locker;
    void make(SimMount& c);
    // Before a client gets into doubt; it died.
    void doubt(unsigned client);
    void died(unsigned client) { doubt(client); }
    // All have ended: every file can be locked.
    void verify(SimMount& through) const;
    uint64_t operations = 0;

private:
    static constexpr unsigned kFiles = 2;
    struct Lock {
        unsigned client, file;
        uint64_t owner;
        bool posix, exclusive;
        uint64_t start, end;
        std::string describe() const;
    };
    using Held = std::list<Lock>;
    static bool conflict(const Lock& a, const Lock& b);
    void granted(const Lock& lock);  // complains
    Held held_;                      // surely
};

class FileLocks::Locker {
public:
    Locker(FileLocks& all, SimMount& mount, const Trust& trust, unsigned client, uint64_t owner,
           Rng rng)
        : all_(all), c_(mount), trust_(trust), client_(client), owner_(owner), rng_(rng),
          epoch_(trust.epoch())
    {}
    void step();
    void end();

private:
    bool sure() const { return trust_.strict() && trust_.epoch() == epoch_; }
    void expect(int64_t got, int64_t want, const char* what) const;
    void open();
    void close();
    void acquire();
    void release();
    void downgrade();
    int set(const Lock& lock, unsigned type, bool wait);
    void forget();

    FileLocks& all_;
    SimMount& c_;
    const Trust& trust_;
    const unsigned client_;
    const uint64_t owner_;
    Rng rng_;
    uint64_t epoch_;
    int fd_ = -1;
    unsigned file_ = 0;
    std::unique_ptr<Lock> mine_;
};

}  // namespace lull::sim
