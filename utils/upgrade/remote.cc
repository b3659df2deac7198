// SPDX-License-Identifier: GPL-2.0-only
#include "utils/upgrade/remote.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "utils/upgrade/interrupt.h"

namespace lull::upgrade {

namespace {

constexpr unsigned kImpatient = 2;  // interrupts: it is not waited for any more

void replace_all(std::string& text, const std::string& what, const std::string& with)
{
    for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size())
        text.replace(at, what.size(), with);
}

// A shell command in a process group of its own, out of reach of the terminal's ^C.
class Child {
public:
    explicit Child(const std::string& command)
    {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) throw Surprise("cannot make a pipe");
        posix_spawn_file_actions_t files;
        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&files, ends[1], 1);
        posix_spawn_file_actions_adddup2(&files, ends[1], 2);
        posix_spawnattr_t how;
        posix_spawnattr_init(&how);
        sigset_t defaults;
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        posix_spawnattr_setsigdefault(&how, &defaults);
        posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
        const char* words[] = {"sh", "-c", command.c_str(), nullptr};
        int bad = posix_spawn(&pid_, "/bin/sh", &files, &how, const_cast<char**>(words), environ);
        posix_spawnattr_destroy(&how);
        posix_spawn_file_actions_destroy(&files);
        close(ends[1]);
        output_ = ends[0];
        if (!bad) return;
        close(output_);
        throw Surprise(fmt::format("cannot start a shell: {}", strerror(bad)));
    }
    ~Child() { close(output_); }
    Child(const Child&) = delete;

    std::string read_all()
    {
        std::string text;
        char piece[4096];
        for (bool told = false;;) {
            if (!told && Unhurried::new_interrupts() >= kImpatient) {
                told = true;
                kill(-pid_, SIGTERM);
            }
            ssize_t n = read(output_, piece, sizeof piece);
            if (n > 0) text.append(piece, static_cast<size_t>(n));
            else if (n == 0 || errno != EINTR) return text;
        }
    }
    int wait()
    {
        int status = 0;
        while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
        return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
    }

private:
    pid_t pid_ = 0;
    int output_ = -1;
};

Outcome shell(const std::string& command, unsigned limit_s)
{
    if (Unhurried::new_interrupts() >= kImpatient) throw Surprise("interrupted");
    Child child(fmt::format("exec timeout --kill-after=5 {} sh -c {}", limit_s, quoted(command)));
    Outcome outcome;
    outcome.output = child.read_all();
    outcome.status = child.wait();
    while (!outcome.output.empty() && outcome.output.back() == '\n') outcome.output.pop_back();
    if (outcome.status && Unhurried::new_interrupts() >= kImpatient)
        throw Surprise("interrupted while this ran: " + command);
    return outcome;
}

}  // namespace

std::string quoted(const std::string& text)
{
    std::string out = "'";
    for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

std::string Remote::command(const std::string& node, const std::string& command) const
{
    std::string way = way_;
    replace_all(way, "{node}", node);
    return way + " " + quoted(command);
}

Outcome Remote::try_run(const std::string& node, const std::string& command, unsigned limit_s) const
{
    return shell(this->command(node, command), limit_s);
}

std::string Remote::run(const std::string& node, const std::string& command, unsigned limit_s) const
{
    Outcome outcome = try_run(node, command, limit_s);
    if (outcome.status == 0) return outcome.output;
    throw Surprise(fmt::format("{}: \"{}\" {}: {}", node, command,
                               outcome.status == 124
                                   ? fmt::format("took more than {} s", limit_s)
                                   : fmt::format("failed with status {}", outcome.status),
                               outcome.output));
}

Outcome run_here(std::string command, const std::string& node, unsigned limit_s)
{
    replace_all(command, "{node}", node);
    return shell(command, limit_s);
}

}  // namespace lull::upgrade
