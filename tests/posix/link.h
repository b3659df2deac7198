// SPDX-License-Identifier: GPL-2.0-only
/*
 * The line between the driver and a process that does steps: messages with their length in front,
 * over a pair of sockets, or over TCP from one client to the other.
 */
#pragma once
#include <chrono>
#include <optional>
#include <string>

#include "tests/posix/compare.h"

namespace lull::posix {

class Link {
public:
    explicit Link(int fd) : fd_(fd) {}
    ~Link();
    Link(const Link&) = delete;
    bool send(const std::string& message);
    // nullopt: the other end is gone, or silent for so long (timed_out() then).
    std::optional<std::string> receive(std::optional<std::chrono::seconds> limit = {});
    bool timed_out() const { return timed_out_; }
    int fd() const { return fd_; }

private:
    bool receive_exactly(char* to, size_t size,
                         std::optional<std::chrono::steady_clock::time_point> deadline);

    int fd_;
    bool timed_out_ = false;
};

// What a worker is told first.
struct Place {
    std::string root;  // directory that becomes its "/"
    bool reference = false;
    std::string wrong;  // a fault to be detected (wrong.h), for the self test
};

// Forks a process that does steps in a place.
std::unique_ptr<Doer> start_here(const Place& place, std::chrono::seconds patience);
// The same by serve() of another machine; nullptr and a line on stderr if it is not there.
std::unique_ptr<Doer> start_there(const std::string& host, const std::string& port,
                                  const Place& place, std::chrono::seconds patience);
// For ever: a process for every connection.
int serve(const std::string& port);

}  // namespace lull::posix
