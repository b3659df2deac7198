// SPDX-License-Identifier: GPL-2.0-only
#include "tests/posix/link.h"

#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "tests/posix/wrong.h"

namespace lull::posix {

namespace {

constexpr uint32_t kMaxMessageBytes = 64 << 20;

// The life of a worker: takes the place, then does what it is told until nobody tells it anything.
[[noreturn]] void work(int fd)
{
    Link link(fd);
    std::optional<std::string> reference = link.receive(), wrong = link.receive(),
                               root = link.receive();
    if (!root) _exit(0);
    WrongExecutor executor(*reference == "1", *wrong);
    if (chdir(root->c_str()) != 0 || chroot(".") != 0) {
        link.send(fmt::format("cannot enter {}: {}", *root, strerror(errno)));
        _exit(1);
    }
    if (!link.send("ready")) _exit(1);
    while (std::optional<std::string> text = link.receive()) {
        std::optional<Step> step = parse_step(*text);
        if (!step || !link.send(pack(executor.run(*step)))) _exit(1);
    }
    _exit(0);
}

// Closes all but the standard three and one: another worker's line must end when its driver ends.
void keep_only(int fd)
{
    if (fd > 3) close_range(3, fd - 1, 0);
    close_range(fd + 1, ~0u, 0);
}

class Worker : public Doer {
public:
    Worker(int fd, pid_t pid, std::chrono::seconds patience)
        : link_(fd), pid_(pid), patience_(patience)
    {}
    ~Worker() override
    {
        shutdown(link_.fd(), SHUT_RDWR);
        if (pid_ <= 0) return;
        if (link_.timed_out()) kill(pid_, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    bool enter(const Place& place)
    {
        link_.send(place.reference ? "1" : "0");
        link_.send(place.wrong);
        link_.send(place.root);
        std::optional<std::string> answer = link_.receive(patience_);
        if (answer != "ready") fmt::print(stderr, "a worker says: {}\n", answer.value_or(why()));
        return answer == "ready";
    }
    std::optional<Outcome> run(const Step& step) override
    {
        if (!link_.send(to_text(step))) return {};
        std::optional<std::string> answer = link_.receive(patience_);
        return answer ? unpack(*answer) : std::nullopt;
    }
    std::string why() const override { return link_.timed_out() ? "it hangs" : "it is gone"; }

private:
    Link link_;
    pid_t pid_;
    std::chrono::seconds patience_;
};

int connect_to(const std::string& host, const std::string& port)
{
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(atoi(port.c_str())));
    if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) return -1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
        close(fd);
        fd = -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

}  // namespace

Link::~Link() { close(fd_); }

bool Link::send(const std::string& message)
{
    uint32_t size = message.size();
    std::string bytes(reinterpret_cast<const char*>(&size), sizeof(size));
    bytes += message;
    for (size_t at = 0; at < bytes.size();) {
        ssize_t n = ::send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
    }
    return true;
}

bool Link::receive_exactly(char* to, size_t size,
                           std::optional<std::chrono::steady_clock::time_point> deadline)
{
    using namespace std::chrono;
    for (size_t at = 0; at < size;) {
        pollfd p = {fd_, POLLIN, 0};
        auto left =
            deadline ? duration_cast<milliseconds>(*deadline - steady_clock::now()).count() : -1;
        int ready = poll(&p, 1, deadline ? std::max<int>(0, left) : -1);
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0) return timed_out_ = true, false;
        ssize_t n = recv(fd_, to + at, size - at, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        at += n;
    }
    return true;
}

std::optional<std::string> Link::receive(std::optional<std::chrono::seconds> limit)
{
    std::optional<std::chrono::steady_clock::time_point> deadline;
    if (limit) deadline = std::chrono::steady_clock::now() + *limit;
    uint32_t size;
    if (!receive_exactly(reinterpret_cast<char*>(&size), sizeof(size), deadline)) return {};
    if (size > kMaxMessageBytes) return {};
    std::string message(size, '\0');
    if (!receive_exactly(message.data(), size, deadline)) return {};
    return message;
}

std::unique_ptr<Doer> start_here(const Place& place, std::chrono::seconds patience)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return nullptr;
    fflush(nullptr);
    pid_t pid = fork();
    if (pid == 0) {
        keep_only(pair[1]);
        work(pair[1]);
    }
    close(pair[1]);
    auto worker = std::make_unique<Worker>(pair[0], pid, patience);
    return pid > 0 && worker->enter(place) ? std::move(worker) : nullptr;
}

std::unique_ptr<Doer> start_there(const std::string& host, const std::string& port,
                                  const Place& place, std::chrono::seconds patience)
{
    int fd = connect_to(host, port);
    if (fd < 0) {
        fmt::print(stderr, "nobody answers at {}:{}\n", host, port);
        return nullptr;
    }
    auto worker = std::make_unique<Worker>(fd, 0, patience);
    return worker->enter(place) ? std::move(worker) : nullptr;
}

int serve(const std::string& port)
{
    signal(SIGCHLD, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(atoi(port.c_str())));
    if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
        listen(listener, 8) != 0) {
        perror("serve");
        return 2;
    }
    puts("serving");
    fflush(stdout);
    for (;;) {
        int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (fork() == 0) {
            keep_only(fd);
            work(fd);
        }
        close(fd);
    }
}

}  // namespace lull::posix
