// SPDX-License-Identifier: GPL-2.0-only
// The laboratory's network: an Ethernet switch for QEMU guests that can cut, delay and drop.
//
// Guests attach with "-netdev stream,server=off,addr.type=unix,addr.path=PATH": a byte stream of
// frames, each behind a 32-bit big-endian length. One listening socket a guest tells them apart.
//
// Commands, one a line, on standard input; each is answered by one line, "ok ..." or "error ...":
//   port NAME PATH        listen for NAME's guest at PATH
//   cut A | heal A        A's cable out, in
//   cut A B [oneway]      nothing passes between A and B (from A to B)
//   heal A B | heal       undo that; undo every cut
//   delay MS [A]          frames to and from A (everybody) wait that long
//   drop PERMILLE [A]     of the frames to and from A (everybody) are lost
//   seed N                of the generator behind "drop"
//   stats                 frames forwarded, frames lost on purpose, frames lost to full queues
// The hub ends when standard input does.

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <memory>
#include <poll.h>
#include <queue>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>
#include <vector>
#include <x86intrin.h>

namespace {

constexpr size_t kMaxFrameBytes = 128 * 1024;
constexpr size_t kMaxQueueBytes = 64 * 1024 * 1024;
constexpr size_t kReadBytes = 512 * 1024;
constexpr size_t kLengthBytes = 4;
constexpr size_t kHeaderBytes = 14;

using Clock = std::chrono::steady_clock;
using Bytes = std::vector<uint8_t>;

struct Port {
    std::string name;
    int listen_fd = -1;
    int fd = -1;
    Bytes in;
    Bytes out;
    size_t out_begin = 0;
    bool cut = false;
    int delay_ms = 0;
    int drop_permille = 0;

    size_t queued() const { return out.size() - out_begin; }
};

struct Delayed {
    Clock::time_point due;
    uint64_t seq;
    Port *from;
    Port *to;
    Bytes frame;

    bool operator>(const Delayed &other) const
    {
        return std::tie(due, seq) > std::tie(other.due, other.seq);
    }
};

class Hub {
public:
    int run();

private:
    std::string command(const std::string &line);
    std::string add_port(const std::string &name, const std::string &path);
    std::string set_cut(std::istringstream &args, bool cut);
    std::string set_number(std::istringstream &args, int Port::*field, int limit);
    Port *find(const std::string &name);
    bool read_commands();
    void accept_guest(Port &port);
    void read_guest(Port &port);
    void hang_up(Port &port);
    void frame(Port &from, const uint8_t *data, size_t size);
    void forward(Port &from, Port &to, const uint8_t *data, size_t size);
    void deliver(Port &from, Port &to, const uint8_t *data, size_t size);
    void release_due();
    void flush(Port &port);
    int poll_timeout_ms() const;

    std::vector<std::unique_ptr<Port>> ports_;
    std::map<uint64_t, Port *> macs_;
    std::set<std::pair<Port *, Port *>> blocked_;
    std::priority_queue<Delayed, std::vector<Delayed>, std::greater<>> delayed_;
    std::mt19937 random_{1};
    std::string line_;
    uint64_t seq_ = 0;
    uint64_t forwarded_ = 0;
    uint64_t lost_on_purpose_ = 0;
    uint64_t lost_queue_full_ = 0;
};

Port *Hub::find(const std::string &name)
{
    for (auto &port : ports_) {
        if (port->name == name) {
            return port.get();
        }
    }
    return nullptr;
}

std::string Hub::add_port(const std::string &name, const std::string &path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (name.empty() || path.empty() || path.size() >= sizeof(address.sun_path)) {
        return "error: port NAME PATH, with a path shorter than 108 bytes";
    }
    if (find(name)) {
        return "error: there is a port " + name;
    }
    memcpy(address.sun_path, path.c_str(), path.size() + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    unlink(path.c_str());
    if (fd < 0 || bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0 ||
        listen(fd, 4) != 0) {
        return "error: " + path + ": " + strerror(errno);
    }
    auto port = std::make_unique<Port>();
    port->name = name;
    port->listen_fd = fd;
    ports_.push_back(std::move(port));
    return "ok";
}

std::string Hub::set_cut(std::istringstream &args, bool cut)
{
    std::string a_name, b_name, word;
    args >> a_name >> b_name >> word;
    if (a_name.empty() && !cut) {
        for (auto &port : ports_) {
            port->cut = false;
        }
        blocked_.clear();
        return "ok";
    }
    Port *a = find(a_name);
    Port *b = find(b_name);
    if (!a || (!b_name.empty() && !b) || (!word.empty() && word != "oneway")) {
        return "error: no such node, or not 'oneway'";
    }
    if (!b) {
        a->cut = cut;
    } else if (cut) {
        blocked_.insert({a, b});
        if (word.empty()) {
            blocked_.insert({b, a});
        }
    } else {
        blocked_.erase({a, b});
        blocked_.erase({b, a});
    }
    return "ok";
}

std::string Hub::set_number(std::istringstream &args, int Port::*field, int limit)
{
    int value = -1;
    std::string name;
    args >> value >> name;
    if (value < 0 || value > limit) {
        return "error: a number from 0 to " + std::to_string(limit) + " is needed";
    }
    if (name.empty()) {
        for (auto &port : ports_) {
            port.get()->*field = value;
        }
        return "ok";
    }
    Port *port = find(name);
    if (!port) {
        return "error: no node " + name;
    }
    port->*field = value;
    return "ok";
}

std::string Hub::command(const std::string &line)
{
    std::istringstream args(line);
    std::string verb, name, path;
    args >> verb;
    if (verb == "port") {
        args >> name >> path;
        return add_port(name, path);
    }
    if (verb == "cut" || verb == "heal") {
        return set_cut(args, verb == "cut");
    }
    if (verb == "delay") {
        return set_number(args, &Port::delay_ms, 60 * 1000);
    }
    if (verb == "drop") {
        return set_number(args, &Port::drop_permille, 1000);
    }
    if (verb == "seed") {
        unsigned seed = 0;
        args >> seed;
        random_.seed(seed);
        return "ok";
    }
    if (verb == "stats") {
        return "ok forwarded=" + std::to_string(forwarded_) +
               " lost_on_purpose=" + std::to_string(lost_on_purpose_) +
               " lost_queue_full=" + std::to_string(lost_queue_full_);
    }
    return "error: unknown command '" + verb + "'";
}

bool Hub::read_commands()
{
    char buffer[4096];
    ssize_t got = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (got <= 0) {
        return got < 0 && errno == EINTR;
    }
    line_.append(buffer, static_cast<size_t>(got));
    for (size_t end; (end = line_.find('\n')) != std::string::npos;) {
        std::string answer = command(line_.substr(0, end));
        line_.erase(0, end + 1);
        printf("%s\n", answer.c_str());
        fflush(stdout);
    }
    return true;
}

void Hub::accept_guest(Port &port)
{
    int fd = accept4(port.listen_fd, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        return;
    }
    // A guest that was started again replaces its former life.
    hang_up(port);
    int bytes = 4 * 1024 * 1024;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    port.fd = fd;
}

void Hub::hang_up(Port &port)
{
    if (port.fd >= 0) {
        close(port.fd);
    }
    port.fd = -1;
    port.in.clear();
    port.out.clear();
    port.out_begin = 0;
}

void Hub::read_guest(Port &port)
{
    size_t old = port.in.size();
    port.in.resize(old + kReadBytes);
    ssize_t got = read(port.fd, port.in.data() + old, kReadBytes);
    if (got <= 0) {
        port.in.resize(old);
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            hang_up(port);
        }
        return;
    }
    port.in.resize(old + static_cast<size_t>(got));
    size_t at = 0;
    while (port.in.size() - at >= kLengthBytes) {
        const uint8_t *p = port.in.data() + at;
        size_t size = size_t{p[0]} << 24 | size_t{p[1]} << 16 | size_t{p[2]} << 8 | p[3];
        if (size > kMaxFrameBytes) {
            hang_up(port);
            return;
        }
        if (port.in.size() - at < kLengthBytes + size) {
            break;
        }
        frame(port, p + kLengthBytes, size);
        at += kLengthBytes + size;
    }
    port.in.erase(port.in.begin(), port.in.begin() + static_cast<ssize_t>(at));
}

uint64_t mac_at(const uint8_t *p)
{
    uint64_t mac = 0;
    for (int i = 0; i < 6; i++) {
        mac = mac << 8 | p[i];
    }
    return mac;
}

void Hub::frame(Port &from, const uint8_t *data, size_t size)
{
    if (size < kHeaderBytes) {
        return;
    }
    macs_[mac_at(data + 6)] = &from;
    bool multicast = data[0] & 1;
    auto known = multicast ? macs_.end() : macs_.find(mac_at(data));
    if (known != macs_.end()) {
        if (known->second != &from) {
            forward(from, *known->second, data, size);
        }
        return;
    }
    for (auto &to : ports_) {
        if (to.get() != &from) {
            forward(from, *to, data, size);
        }
    }
}

void Hub::forward(Port &from, Port &to, const uint8_t *data, size_t size)
{
    int permille = from.drop_permille + to.drop_permille;
    if (permille > 0 && static_cast<int>(random_() % 1000) < permille) {
        lost_on_purpose_++;
        return;
    }
    int delay_ms = from.delay_ms > to.delay_ms ? from.delay_ms : to.delay_ms;
    if (delay_ms == 0) {
        deliver(from, to, data, size);
        return;
    }
    auto due = Clock::now() + std::chrono::milliseconds(delay_ms);
    delayed_.push({due, seq_++, &from, &to, Bytes(data, data + size)});
}

void Hub::deliver(Port &from, Port &to, const uint8_t *data, size_t size)
{
    if (from.cut || to.cut || blocked_.count({&from, &to})) {
        lost_on_purpose_++;
        return;
    }
    if (to.fd < 0) {
        return;
    }
    if (to.queued() + size > kMaxQueueBytes) {
        lost_queue_full_++;
        return;
    }
    const uint8_t length[kLengthBytes] = {static_cast<uint8_t>(size >> 24),
                                          static_cast<uint8_t>(size >> 16),
                                          static_cast<uint8_t>(size >> 8),
                                          static_cast<uint8_t>(size)};
    to.out.insert(to.out.end(), length, length + kLengthBytes);
    to.out.insert(to.out.end(), data, data + size);
    forwarded_++;
}

void Hub::release_due()
{
    auto now = Clock::now();
    while (!delayed_.empty() && delayed_.top().due <= now) {
        const Delayed &top = delayed_.top();
        deliver(*top.from, *top.to, top.frame.data(), top.frame.size());
        delayed_.pop();
    }
}

void Hub::flush(Port &port)
{
    while (port.fd >= 0 && port.queued() > 0) {
        ssize_t put = send(port.fd, port.out.data() + port.out_begin, port.queued(), MSG_NOSIGNAL);
        if (put < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                hang_up(port);
            }
            break;
        }
        port.out_begin += static_cast<size_t>(put);
    }
    if (port.queued() == 0) {
        port.out.clear();
        port.out_begin = 0;
    } else if (port.out_begin > kReadBytes) {
        port.out.erase(port.out.begin(), port.out.begin() + static_cast<ssize_t>(port.out_begin));
        port.out_begin = 0;
    }
}

int Hub::poll_timeout_ms() const
{
    if (delayed_.empty()) {
        return -1;
    }
    auto left = std::chrono::ceil<std::chrono::milliseconds>(delayed_.top().due - Clock::now());
    return left.count() < 0 ? 0 : static_cast<int>(left.count());
}

int Hub::run()
{
    std::vector<pollfd> polled;
    for (;;) {
        polled.assign(1, {STDIN_FILENO, POLLIN, 0});
        for (auto &port : ports_) {
            auto events = static_cast<short>(POLLIN | (port->queued() ? POLLOUT : 0));
            polled.push_back({port->listen_fd, POLLIN, 0});
            polled.push_back({port->fd, events, 0});
        }
        size_t polled_ports = ports_.size();
        if (poll(polled.data(), polled.size(), poll_timeout_ms()) < 0 && errno != EINTR) {
            perror("hub: poll");
            return 1;
        }
        for (size_t i = 0; i < polled_ports; i++) {
            Port &port = *ports_[i];
            if (polled[2 + 2 * i].revents & (POLLIN | POLLHUP | POLLERR)) {
                read_guest(port);
            }
            if (polled[1 + 2 * i].revents) {
                accept_guest(port);
            }
        }
        release_due();
        for (auto &port : ports_) {
            flush(*port);
        }
        if (polled[0].revents && !read_commands()) {
            return 0;
        }
    }
}

// Guests see this machine's time-stamp counter; told its speed, they need not measure it while
// booting, which a busy machine spoils.
int print_tsc_khz()
{
    constexpr auto kMeasured = std::chrono::milliseconds(100);
    auto begin = Clock::now();
    uint64_t first = __rdtsc();
    while (Clock::now() - begin < kMeasured) {}
    uint64_t ticks = __rdtsc() - first;
    auto ns = std::chrono::nanoseconds(Clock::now() - begin).count();
    printf("%.0f\n", static_cast<double>(ticks) * 1e6 / static_cast<double>(ns));
    return 0;
}

}  // namespace

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--tsc-khz") == 0) {
        return print_tsc_khz();
    }
    Hub hub;
    return hub.run();
}
