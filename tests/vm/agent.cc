// SPDX-License-Identifier: GPL-2.0-only
// Process 1 of a laboratory guest: runs commands for session.py, any number at once, over
// virtio-serial, so that cutting the network does not cut the laboratory's own line.
//
// A message is three little-endian 32-bit numbers (payload bytes, command id, type) and payload.
// To the guest:  start (flags, rows, columns, command), input (empty: end of input), kill (signal),
//                resize (rows, columns)
// To the host:   hello (kernel version), output, exit (code, or 128 + signal)
#include "guest.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <memory>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace lull::lab {

namespace {

constexpr char kPortName[] = "lull.agent";
constexpr uint32_t kMaxMessageBytes = 16 * 1024 * 1024;
constexpr size_t kReadBytes = 64 * 1024;
constexpr size_t kMaxRoundsPerTurn = 8;
constexpr rlim_t kOpenFiles = 65536;

enum Type : uint32_t {
    kStart = 1,
    kInput = 2,
    kKill = 3,
    kResize = 4,
    kHello = 16,
    kOutput = 17,
    kExit = 18,
};

constexpr uint32_t kFlagPty = 1;

struct Header {
    uint32_t size;
    uint32_t id;
    uint32_t type;
};

struct StartHead {
    uint32_t flags;
    uint32_t rows;
    uint32_t columns;
};

struct Command {
    uint32_t id = 0;
    pid_t pid = -1;
    bool pty = false;
    bool exited = false;
    bool end_of_input = false;
    int in_fd = -1;
    int out_fd = -1;
    std::string input;
};

class Agent {
public:
    explicit Agent(int port) : port_(port) {}
    [[noreturn]] void run();

private:
    void send(uint32_t id, uint32_t type, const void *data, size_t size);
    void send_exit(uint32_t id, int32_t code);
    void read_port();
    void message(const Header &header, const char *payload);
    void start(uint32_t id, const char *payload, size_t size);
    void feed(Command &command);
    bool read_output(Command &command);
    void close_input(Command &command);
    void reap();
    Command *find(uint32_t id);

    int port_;
    int signals_ = -1;
    std::string in_;
    std::vector<std::unique_ptr<Command>> commands_;
};

void Agent::send(uint32_t id, uint32_t type, const void *data, size_t size)
{
    Header header = {static_cast<uint32_t>(size), id, type};
    std::string bytes(reinterpret_cast<const char *>(&header), sizeof(header));
    bytes.append(static_cast<const char *>(data), size);
    for (size_t at = 0; at < bytes.size();) {
        ssize_t put = write(port_, bytes.data() + at, bytes.size() - at);
        if (put < 0 && errno != EINTR && errno != EAGAIN) {
            give_up(std::string("agent port: ") + strerror(errno));
        }
        at += put > 0 ? static_cast<size_t>(put) : 0;
    }
}

void Agent::send_exit(uint32_t id, int32_t code) { send(id, kExit, &code, sizeof(code)); }

Command *Agent::find(uint32_t id)
{
    for (auto &command : commands_) {
        if (command->id == id) {
            return command.get();
        }
    }
    return nullptr;
}

void Agent::read_port()
{
    char buffer[kReadBytes];
    ssize_t got = read(port_, buffer, sizeof(buffer));
    if (got <= 0) {
        return;
    }
    in_.append(buffer, static_cast<size_t>(got));
    size_t at = 0;
    Header header;
    while (in_.size() - at >= sizeof(header)) {
        memcpy(&header, in_.data() + at, sizeof(header));
        if (header.size > kMaxMessageBytes) {
            give_up("agent: message too long");
        }
        if (in_.size() - at - sizeof(header) < header.size) {
            break;
        }
        message(header, in_.data() + at + sizeof(header));
        at += sizeof(header) + header.size;
    }
    in_.erase(0, at);
}

void Agent::message(const Header &header, const char *payload)
{
    Command *command = find(header.id);
    uint32_t numbers[2] = {0, 0};
    memcpy(numbers, payload, header.size < sizeof(numbers) ? header.size : sizeof(numbers));
    if (header.type == kStart) {
        start(header.id, payload, header.size);
    } else if (!command) {
        return;
    } else if (header.type == kInput) {
        command->input.append(payload, header.size);
        command->end_of_input |= header.size == 0;
        feed(*command);
    } else if (header.type == kKill && !command->exited) {
        kill(-command->pid, static_cast<int>(numbers[0]));
    } else if (header.type == kResize && command->pty) {
        winsize size = {static_cast<unsigned short>(numbers[0]),
                        static_cast<unsigned short>(numbers[1]), 0, 0};
        ioctl(command->in_fd, TIOCSWINSZ, &size);
    }
}

[[noreturn]] void exec_shell(const std::string &text, int in, int out)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    std::ofstream("/proc/self/oom_score_adj") << "0";
    execl("/bin/bash", "bash", "-c", text.c_str(), nullptr);
    _exit(127);
}

void Agent::start(uint32_t id, const char *payload, size_t size)
{
    StartHead head;
    if (size < sizeof(head) || find(id)) {
        send_exit(id, 126);
        return;
    }
    memcpy(&head, payload, sizeof(head));
    std::string text(payload + sizeof(head), size - sizeof(head));
    auto command = std::make_unique<Command>();
    command->id = id;
    command->pty = head.flags & kFlagPty;
    int in = -1, out = -1, in_pipe[2] = {-1, -1}, out_pipe[2] = {-1, -1};
    if (command->pty) {
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        winsize window = {static_cast<unsigned short>(head.rows),
                          static_cast<unsigned short>(head.columns), 0, 0};
        unlockpt(master);
        ioctl(master, TIOCSWINSZ, &window);
        in = out = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
        command->in_fd = command->out_fd = master;
    } else if (pipe2(in_pipe, O_CLOEXEC) == 0 && pipe2(out_pipe, O_CLOEXEC) == 0) {
        in = in_pipe[0];
        out = out_pipe[1];
        command->in_fd = in_pipe[1];
        command->out_fd = out_pipe[0];
    }
    command->pid = in < 0 ? -1 : fork();
    if (command->pid == 0) {
        setsid();
        if (command->pty) {
            ioctl(in, TIOCSCTTY, 0);
        }
        exec_shell(text, in, out);
    }
    close(in);
    if (out != in) {
        close(out);
    }
    if (command->pid < 0) {
        send_exit(id, 126);
        return;
    }
    fcntl(command->in_fd, F_SETFL, O_NONBLOCK);
    fcntl(command->out_fd, F_SETFL, O_NONBLOCK);
    commands_.push_back(std::move(command));
}

void Agent::close_input(Command &command)
{
    if (command.in_fd >= 0 && !command.pty) {
        close(command.in_fd);
        command.in_fd = -1;
    }
}

void Agent::feed(Command &command)
{
    while (command.in_fd >= 0 && !command.input.empty()) {
        ssize_t put = write(command.in_fd, command.input.data(), command.input.size());
        if (put < 0) {
            if (errno != EAGAIN && errno != EINTR) {
                command.input.clear();
                close_input(command);
            }
            return;
        }
        command.input.erase(0, static_cast<size_t>(put));
    }
    if (command.end_of_input && command.input.empty()) {
        close_input(command);
    }
}

// True while there may be more. What comes after the exit (from a daemon, say) is read and dropped.
bool Agent::read_output(Command &command)
{
    char buffer[kReadBytes];
    ssize_t got = read(command.out_fd, buffer, sizeof(buffer));
    if (got > 0) {
        if (!command.exited) {
            send(command.id, kOutput, buffer, static_cast<size_t>(got));
        }
        return true;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return false;
    }
    close_input(command);
    close(command.out_fd);
    command.out_fd = -1;
    if (command.pty) {
        command.in_fd = -1;
    }
    return false;
}

void Agent::reap()
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (auto &command : commands_) {
            if (command->pid != pid || command->exited) {
                continue;
            }
            while (command->out_fd >= 0 && read_output(*command)) {}
            command->exited = true;
            close_input(*command);
            send_exit(command->id,
                      WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
        }
    }
    std::erase_if(commands_, [](auto &command) {
        bool finished = command->exited && (command->out_fd < 0 || command->pty);
        if (finished && command->out_fd >= 0) {
            close(command->out_fd);
        }
        return finished;
    });
}

void Agent::run()
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, nullptr);
    signals_ = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    signal(SIGPIPE, SIG_IGN);
    utsname names;
    uname(&names);
    send(0, kHello, names.release, strlen(names.release));
    std::vector<pollfd> polled;
    for (;;) {
        polled.assign({{port_, POLLIN, 0}, {signals_, POLLIN, 0}});
        for (auto &command : commands_) {
            polled.push_back({command->out_fd, POLLIN, 0});
            polled.push_back({command->input.empty() ? -1 : command->in_fd, POLLOUT, 0});
        }
        poll(polled.data(), polled.size(), -1);
        size_t before = commands_.size();
        for (size_t i = 0; i < before; i++) {
            Command &command = *commands_[i];
            for (size_t n = 0; polled[2 + 2 * i].revents && n < kMaxRoundsPerTurn; n++) {
                if (command.out_fd < 0 || !read_output(command)) {
                    break;
                }
            }
            if (polled[3 + 2 * i].revents) {
                feed(command);
            }
        }
        if (polled[0].revents) {
            read_port();
        }
        signalfd_siginfo info;
        while (read(signals_, &info, sizeof(info)) > 0) {}
        reap();
    }
}

std::string find_port()
{
    const std::string ports = "/sys/class/virtio-ports";
    std::string found;
    DIR *dir = opendir(ports.c_str());
    while (dirent *entry = dir ? readdir(dir) : nullptr) {
        std::string name;
        std::ifstream(ports + "/" + entry->d_name + "/name") >> name;
        if (name == kPortName) {
            found = std::string("/dev/") + entry->d_name;
        }
    }
    if (dir) {
        closedir(dir);
    }
    return found;
}

void set_environment()
{
    clearenv();
    mkdir("/run/home", 0700);
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", "/run/home", 1);
    setenv("USER", "root", 1);
    setenv("LANG", "C.UTF-8", 1);
    setenv("TERM", "dumb", 1);
    rlimit files = {kOpenFiles, kOpenFiles};
    setrlimit(RLIMIT_NOFILE, &files);
    std::ofstream("/proc/self/oom_score_adj") << "-1000";
}

}  // namespace

void run_agent()
{
    set_environment();
    std::string path;
    wait_for("agent port", [&] { return !(path = find_port()).empty(); });
    int port = open(path.c_str(), O_RDWR | O_CLOEXEC);
    if (port < 0) {
        give_up("open " + path + ": " + strerror(errno));
    }
    Agent(port).run();
}

}  // namespace lull::lab

int main()
{
    if (getpid() != 1) {
        fprintf(stderr, "this is process 1 of a laboratory guest, not a program to run\n");
        return 2;
    }
    lull::lab::init_machine();
    lull::lab::run_agent();
}
