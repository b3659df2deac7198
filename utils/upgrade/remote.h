/* SPDX-License-Identifier: GPL-2.0-only */
/* Commands on the nodes of a cluster, by ssh or whatever the administrator reaches them with. */
#pragma once
#include <stdexcept>
#include <string>

namespace lull::upgrade {

// Something is not as it should be: what() says what, and what to do. Whoever catches it stops and
// changes nothing more.
struct Surprise : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct Outcome {
    int status = 0;      // exit status; 124: it took too long
    std::string output;  // both streams
};

std::string quoted(const std::string& text);  // one word for a shell

class Remote {
public:
    // way: how a node is reached; "{node}" in it is replaced, the command follows as one word: "ssh
    // -o BatchMode=yes {node}".
    explicit Remote(std::string way) : way_(std::move(way)) {}

    // What a shell here has to run for it: for whoever shall do it by hand, too.
    std::string command(const std::string& node, const std::string& command) const;
    Outcome try_run(const std::string& node, const std::string& command, unsigned limit_s) const;
    // Its output; Surprise when it fails.
    std::string run(const std::string& node, const std::string& command,
                    unsigned limit_s = 60) const;

private:
    std::string way_;
};

// A shell command on this machine, with "{node}" replaced.
Outcome run_here(std::string command, const std::string& node, unsigned limit_s);

}  // namespace lull::upgrade
