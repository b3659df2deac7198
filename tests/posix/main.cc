// SPDX-License-Identifier: GPL-2.0-only
// The differential exerciser: see README.md.
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <poll.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "tests/posix/compare.h"
#include "tests/posix/generator.h"
#include "tests/posix/link.h"
#include "tests/posix/minimize.h"
#include "tests/posix/wrong.h"

namespace lull::posix {

namespace {

constexpr auto kExitDiffers = 1;
constexpr auto kExitTrouble = 2;

struct Options {
    std::string serve_port, lull, ext4, remote, program, wrong, layout;
    uint64_t seed = 1;
    size_t seeds = 1;
    size_t steps = 200;
    int clients = 1;
    unsigned patience_s = 120;
    unsigned minimize_s = 120;
    bool quiet_machine = false;
    bool until_stdin = false;
    bool print_only = false;
    bool show = false;
    size_t stop_after = 3;
};

class Exerciser {
public:
    explicit Exerciser(const Options& o) : options_(o), exceptions_(o.clients) {}
    int run();

private:
    int one(uint64_t seed, const Program& program);
    std::optional<Comparison> attempt(const Program& program);
    bool make_sides(Sides& sides, const std::string& name);
    bool make_root(const std::string& root, bool lull);
    bool told_to_stop() const;
    std::optional<Program> read_program() const;

    Options options_;
    Exceptions exceptions_;
    unsigned attempts_ = 0;
    size_t steps_ = 0, succeeded_ = 0;
    std::map<std::string, uint64_t> differing_;  // with the first seed
};

// To a line on standard input, or its end.
bool Exerciser::told_to_stop() const
{
    pollfd in = {0, POLLIN, 0};
    return options_.until_stdin && poll(&in, 1, 0) > 0;
}

bool Exerciser::make_root(const std::string& root, bool lull)
{
    bool made = mkdir(root.c_str(), 0777) == 0 && chmod(root.c_str(), 0777) == 0;
    if (made && lull && !options_.layout.empty())
        made = setxattr(root.c_str(), "lull.layout", options_.layout.data(), options_.layout.size(),
                        0) == 0;
    if (!made) fmt::print(stderr, "{}: {}\n", root, strerror(errno));
    return made;
}

bool Exerciser::make_sides(Sides& sides, const std::string& name)
{
    std::string lull = options_.lull + "/" + name, ext4 = options_.ext4 + "/" + name;
    if (!make_root(lull, true) || !make_root(ext4, false)) return false;
    std::chrono::seconds patience(options_.patience_s);
    for (int actor = 0; actor < options_.clients; actor++) {
        Place here = {lull, false, options_.wrong};
        bool there = actor > 0 && !options_.remote.empty();
        size_t colon = options_.remote.find(':');
        sides.lull.push_back(there ? start_there(options_.remote.substr(0, colon),
                                                 options_.remote.substr(colon + 1), here, patience)
                                   : start_here(here, patience));
        sides.ext4.push_back(start_here({ext4, true, ""}, patience));
        if (!sides.lull.back() || !sides.ext4.back()) return false;
    }
    return true;
}

// In new directories, which are removed again.
std::optional<Comparison> Exerciser::attempt(const Program& program)
{
    std::string name = fmt::format("try-{}-{}", getpid(), ++attempts_);
    std::optional<Comparison> result;
    {
        Sides sides;
        if (!make_sides(sides, name)) return {};
        result = compare(program, sides, exceptions_);
    }
    for (const std::string& side : {options_.lull, options_.ext4}) {
        std::error_code error;
        std::filesystem::remove_all(side + "/" + name, error);
        if (error && !result->divergence)
            result->divergence =
                Divergence{program.size(),
                           {},
                           {},
                           fmt::format("rm -r {}/{}: {}", side, name, error.message())};
    }
    return result;
}

int Exerciser::one(uint64_t seed, const Program& program)
{
    std::optional<Comparison> first = attempt(program);
    if (!first) return kExitTrouble;
    steps_ += program.size();
    succeeded_ += first->succeeded;
    if (options_.show) fmt::print("{}", listing(program, *first));
    if (!first->divergence) return 0;
    fmt::print("seed {} DIFFERS: {} (step {} of {})\n", seed, first->divergence->what,
               first->divergence->index + 1, program.size());
    fflush(stdout);
    auto [known, is_new] = differing_.emplace(first->divergence->what, seed);
    if (!is_new) {
        fmt::print("the same as in seed {}\n", known->second);
        return kExitDiffers;
    }
    Comparison last = *first;
    Minimizer minimizer(
        [&](const Program& p) -> Minimizer::Attempt {
            std::optional<Comparison> c = attempt(p);
            if (!c || !c->divergence) return {};
            if (c->divergence->what == first->divergence->what) last = *c;
            return {c->divergence->what, c->divergence->index};
        },
        std::chrono::seconds(options_.minimize_s));
    Program small = minimizer.minimize(program, first->divergence->what);
    if (!minimizer.repeats())
        fmt::print("it did not happen again: what follows is the whole program\n");
    fmt::print("seed {}, {} steps after {} attempts:\n{}", seed, small.size(), minimizer.attempts(),
               listing(small, last));
    fflush(stdout);
    return kExitDiffers;
}

std::optional<Program> Exerciser::read_program() const
{
    Program program;
    std::ifstream in(options_.program);
    for (std::string line; std::getline(in, line);) {
        if (line.empty() || line[0] == '#') continue;
        std::optional<Step> step = parse_step(line);
        if (!step || step->actor >= options_.clients) {
            fmt::print(stderr, "not a step: {}\n", line);
            return {};
        }
        program.push_back(*step);
    }
    return program;
}

int Exerciser::run()
{
    int worst = 0;
    uint64_t seed = options_.seed, begun = 0;
    if (!options_.program.empty()) {
        std::optional<Program> program = read_program();
        return program ? one(0, *program) : kExitTrouble;
    }
    for (; begun < options_.seeds || options_.until_stdin; seed++, begun++) {
        if (told_to_stop()) break;
        Program program =
            Generator({seed, options_.steps, options_.clients, !options_.quiet_machine}).make();
        if (options_.print_only) {
            fmt::print("{}", listing(program, {}));
            continue;
        }
        worst = std::max(worst, one(seed, program));
        fmt::print("seed {} done\n", seed);
        fflush(stdout);
        if (worst == kExitTrouble || differing_.size() >= options_.stop_after) break;
    }
    for (auto& [name, count] : exceptions_.used())
        fmt::print("exception {}: {} times\n", name, count);
    fmt::print("{} programs, {} steps, {} succeeded: {}\n", begun, steps_, succeeded_,
               worst ? "DIFFERS" : "the same");
    return worst;
}

void declare(CLI::App& app, Options& o)
{
    app.add_option("--serve", o.serve_port, "do steps for a driver elsewhere, at this port");
    app.add_option("--lull", o.lull, "directory on the file system under test");
    app.add_option("--ext4", o.ext4, "directory on the file system that is believed");
    app.add_option("--remote", o.remote, "ADDRESS:PORT of --serve: the second client");
    app.add_option("--seed", o.seed, "the first seed");
    app.add_option("--seeds", o.seeds, "how many");
    app.add_option("--steps", o.steps, "system calls of a program");
    app.add_option("--clients", o.clients, "processes that take turns")->check(CLI::Range(1, 4));
    app.add_option("--program", o.program, "a file of steps instead of seeds");
    app.add_option("--patience", o.patience_s, "seconds until a step hangs");
    app.add_option("--minimize", o.minimize_s, "seconds to make a failing program smaller");
    app.add_option("--layout", o.layout, "lull.layout of the directories that are made");
    app.add_option("--wrong", o.wrong, "a fault on purpose: data lost-write error listing")
        ->check(
            [](const std::string& kind) { return WrongExecutor::known(kind) ? "" : "unknown"; });
    app.add_flag("--quiet-machine", o.quiet_machine, "no drop_caches, no memory pressure");
    app.add_flag("--until-stdin", o.until_stdin, "go on until a line comes");
    app.add_option("--stop-after", o.stop_after, "no seeds after so many kinds of differences");
    app.add_flag("--print", o.print_only, "only print the programs");
    app.add_flag("--show", o.show, "print every program with its answers");
}

int main(int argc, char** argv)
{
    Options options;
    CLI::App app("Random system calls on Lull and on ext4, compared.");
    declare(app, options);
    CLI11_PARSE(app, argc, argv);
    if (!options.serve_port.empty()) return serve(options.serve_port);
    if (!options.print_only && (options.lull.empty() || options.ext4.empty())) {
        fmt::print(stderr, "--lull and --ext4 are needed\n");
        return kExitTrouble;
    }
    return Exerciser(options).run();
}

}  // namespace

}  // namespace lull::posix

int main(int argc, char** argv) { return lull::posix::main(argc, argv); }
