// SPDX-License-Identifier: GPL-2.0-only
#include "tests/sim/file_locks.h"

#include <gtest/gtest.h>

#include "tests/sim/model_check.h"

namespace lull::sim {

namespace {

constexpr uint64_t kEnd = UINT64_MAX;
constexpr unsigned kGiveUpPermille = 300;  // of interrupted waits

std::string file_path(unsigned i) { return "/shared/lock" + std::to_string(i); }

}  // namespace

std::string FileLocks::Lock::describe() const
{
    return std::string(exclusive ? "exclusive " : "shared ") + (posix ? "fcntl" : "flock") +
           " of " + file_path(file) + " " + std::to_string(start) + "-" + std::to_string(end) +
           " by owner " + std::to_string(owner) + " of client " + std::to_string(client);
}

void FileLocks::make(SimMount& c)
{
    for (unsigned i = 0; i < kFiles; i++)
        expect_equal(c.put(file_path(i), ""), 0, "put", file_path(i));
    expect_equal(c.sync(), 0, "sync", "/shared");  // who is evicted may lose the rest, not these
}

bool FileLocks::conflict(const Lock& a, const Lock& b)
{
    bool same = a.client == b.client && a.owner == b.owner;
    return !same && a.file == b.file && a.posix == b.posix && (a.exclusive || b.exclusive) &&
           a.start <= b.end && b.start <= a.end;
}

void FileLocks::granted(const Lock& lock)
{
    for (const Lock& other : held_)
        if (conflict(lock, other))
            ADD_FAILURE() << lock.describe() << " is granted beside " << other.describe();
    held_.push_back(lock);
}

void FileLocks::doubt(unsigned client)
{
    held_.remove_if([client](const Lock& lock) { return lock.client == client; });
}

void FileLocks::verify(SimMount& through) const
{
    for (unsigned i = 0; i < kFiles; i++) {
        int fd = through.open(file_path(i), SimMount::kRead | SimMount::kWrite);
        if (fd < 0) return expect_equal(fd, 3, "open", file_path(i));
        expect_equal(through.flock(fd, LLC_FLOCK_EXCLUSIVE, false), 0,
                     "flock, when all have let go, of", file_path(i));
        expect_equal(through.setlk(fd, 1, LLC_FLOCK_EXCLUSIVE, 0, kEnd, false), 0,
                     "fcntl, when all have let go, of", file_path(i));
        expect_equal(through.close(fd), 0, "close", file_path(i));
    }
}

// ---- a locker

void FileLocks::Locker::expect(int64_t got, int64_t want, const char* what) const
{
    if (sure()) expect_equal(got, want, what, file_path(file_));
}

void FileLocks::Locker::step()
{
    if (trust_.epoch() != epoch_ && trust_.strict()) {  // the doubt is over: from the beginning
        if (fd_ >= 0) close();
        epoch_ = trust_.epoch();
    }
    if (fd_ < 0) open();
    else if (!mine_) acquire();
    else if (mine_->exclusive && rng_.chance(200)) downgrade();
    else if (rng_.chance(400)) all_.operations++;  // keeps it
    else if (rng_.chance(800)) release();
    else close();
    all_.operations++;
}

void FileLocks::Locker::end()
{
    if (fd_ < 0) return;
    if (mine_) release();  // a close need not wait until the MDT knows
    close();
}

void FileLocks::Locker::open()
{
    file_ = static_cast<unsigned>(rng_.below(kFiles));
    uint64_t interruptions = 0;
    fd_ = restarted([&] { return c_.open(file_path(file_), SimMount::kRead | SimMount::kWrite); },
                    &interruptions);
    if (fd_ < 0) expect(fd_, 3, "open to lock");
}

void FileLocks::Locker::forget()
{
    all_.held_.remove_if(
        [this](const Lock& lock) { return lock.client == client_ && lock.owner == owner_; });
    mine_.reset();
}

void FileLocks::Locker::close()
{
    forget();
    expect(c_.close(fd_), 0, "close of a locked");
    fd_ = -1;
}

int FileLocks::Locker::set(const Lock& lock, unsigned type, bool wait)
{
    return lock.posix ? c_.setlk(fd_, owner_, type, lock.start, lock.end, wait)
                      : c_.flock(fd_, type, wait);
}

void FileLocks::Locker::acquire()
{
    uint64_t first = 10 * rng_.below(3);
    bool posix = rng_.chance(600), part = posix && rng_.chance(500), wait = rng_.chance(700),
         began_sure = sure();
    Lock lock{client_,
              file_,
              owner_,
              posix,
              rng_.chance(600),
              part ? first : 0,
              part ? first + rng_.below(25) : kEnd};
    int err;
    for (;;) {
        err = set(lock, lock.exclusive ? LLC_FLOCK_EXCLUSIVE : LLC_FLOCK_SHARED, wait);
        if (err != (wait ? -kERESTARTSYS : -kERESTARTNOINTR)) break;
        world().clear_signal(&world().current());
        if (rng_.chance(kGiveUpPermille)) return;  // and has nothing
    }
    if (err == -kEAGAIN && !wait) return;
    expect(err, 0, "lock of");
    if (err) return;
    mine_ = std::make_unique<Lock>(lock);
    if (began_sure && sure()) all_.granted(lock);
}

void FileLocks::Locker::release()
{
    Lock lock = *mine_;
    forget();
    uint64_t interruptions = 0;
    expect(restarted([&] { return set(lock, LLC_FLOCK_UNLOCK, false); }, &interruptions), 0,
           "unlock of");
}

// Nobody can be in the way, but a handler may end the call while it waits for the server. From the
// call on others may share.
void FileLocks::Locker::downgrade()
{
    mine_->exclusive = false;
    for (Lock& lock : all_.held_)
        if (lock.client == client_ && lock.owner == owner_) lock.exclusive = false;
    int err;
    while ((err = set(*mine_, LLC_FLOCK_SHARED, true)) == -kERESTARTSYS)
        world().clear_signal(&world().current());
    expect(err, 0, "downgrade of a lock of");
}

}  // namespace lull::sim
