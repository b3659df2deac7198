// SPDX-License-Identifier: GPL-2.0-only
/*
 * sim --seeds=N [--first=S] [--jobs=N] [--stop] [--limit=SECONDS] [--kind=K]
 *     seeds S … S+N-1, each in a process of its own
 * sim --seed=S [--trace | --trace=full] [--kind=K] [--without=NAME,…]
 *     one seed, in this process, telling its story: faults, log lines and messages; full: every
 *     step of the schedule
 * sim --seed=S --minimize [--kind=K]
 *     shrinks a failing seed (minimize.h)
 *
 * K: clean, cut, crash, evict, hard (scenario.h).
 */
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "tests/sim/minimize.h"
#include "tests/sim/plan.h"
#include "tests/sim/scenario.h"

using namespace lull::sim;

namespace {

constexpr int kNoAnswer = 1 << 20;     // as a descriptor: nobody wants the result
constexpr size_t kShownBytes = 12000;  // of a failure's report

struct Options {
    uint64_t seeds = 0, first = 1, seed = 0;
    unsigned jobs = 2;
    unsigned limit_s = 300;  // of real time, for one seed
    bool stop = false, trace = false, full = false, minimize = false;
    std::string kind_text;
    ScenarioKind kind = ScenarioKind::kAny;
    std::set<std::string> without;
};

// The first failure ends the process: what comes after it means little.
class EndAtFailure : public testing::EmptyTestEventListener {
    void OnTestPartResult(const testing::TestPartResult& result) override
    {
        if (!result.failed()) return;
        fprintf(stderr, "FAILURE: %s\n  (%s:%d)\nstory:\n%s%s", result.message(),
                result.file_name() ? result.file_name() : "?", result.line_number(),
                scenario_story().c_str(), scenario_state().c_str());
        fflush(stderr);
        _exit(1);
    }
};

void on_abort(int)
{
    fprintf(stderr, "story:\n%s", scenario_story().c_str());
    fflush(stderr);
    signal(SIGABRT, SIG_DFL);
    abort();
}

void run_one(uint64_t seed, const Options& o, int answer)
{
    alarm(o.limit_s);
    signal(SIGABRT, on_abort);
    ScenarioResult r = run_scenario(seed, o.kind, o.without);
    if (answer >= 0 && answer < kNoAnswer && write(answer, &r, sizeof r) != sizeof r) _exit(2);
    if (answer < 0)
        printf(
            "seed %llu passed: %llu operations, %llu ms of virtual time, "
            "%llu steps, trace %016llx\n",
            (unsigned long long)seed, (unsigned long long)r.operations,
            (unsigned long long)r.virtual_ms, (unsigned long long)r.steps,
            (unsigned long long)r.trace_hash);
    fflush(stdout);
    _exit(0);
}

std::string text_of(FILE* file)
{
    std::string text(kShownBytes, 0);
    rewind(file);
    text.resize(fread(text.data(), 1, text.size(), file));
    return text;
}

// One seed in a child, its output in a file.
pid_t fork_one(uint64_t seed, const Options& o, FILE* output, int answer)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) abort();
    if (pid > 0) return pid;
    dup2(fileno(output), 1);
    dup2(fileno(output), 2);
    run_one(seed, o, answer);
    _exit(2);
}

// The line that complained, without numbers.
std::string where_of(const std::string& output, int status)
{
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) return "no end";
    size_t at = output.find("\n  (tests/");
    if (at == std::string::npos) at = output.find("kapi/sim: FAILED\n");
    if (at == std::string::npos) return "status " + std::to_string(status);
    std::string line = output.substr(at + 1, output.find('\n', at + 1) - at - 1);
    if (output[at] == 'k') {
        size_t why = output.find("failure: ", at);
        line = why == std::string::npos
                   ? line
                   : output.substr(why, output.find_first_of("\n(", why) - why);
    }
    std::erase_if(line, [](char c) { return c >= '0' && c <= '9'; });
    return line;
}

Minimizer::Outcome attempt_one(const Options& o, const std::set<std::string>& without)
{
    Options shrunk = o;
    shrunk.without = without;
    FILE* output = tmpfile();
    if (!output) abort();
    int status = 0;
    waitpid(fork_one(o.seed, shrunk, output, kNoAnswer), &status, 0);
    Minimizer::Outcome outcome;
    outcome.output = text_of(output);
    outcome.failed = status != 0;
    outcome.where = outcome.failed ? where_of(outcome.output, status) : "";
    fclose(output);
    return outcome;
}

int minimize(const Options& o)
{
    std::vector<std::string> names = Plan::make(o.seed, o.kind, o.without).names();
    Minimizer m([&o](const std::set<std::string>& without) { return attempt_one(o, without); },
                names);
    if (!m.run(o.without)) {
        printf("seed %llu does not fail\n", (unsigned long long)o.seed);
        return 1;
    }
    std::string list;
    for (auto& n : m.without()) list += (list.empty() ? "" : ",") + n;
    printf("%s\n%u attempts; left:", m.last().output.c_str(), m.attempts());
    for (auto& n : names)
        if (!m.without().count(n)) printf(" %s", n.c_str());
    printf("\nrepeat: build/user-fast/sim --seed=%llu%s%s%s --trace\n", (unsigned long long)o.seed,
           o.kind_text.c_str(), list.empty() ? "" : " --without=", list.c_str());
    return 0;
}

struct Child {
    uint64_t seed;
    int answer;
    FILE* output;
};

class Batch {
public:
    explicit Batch(const Options& o) : o_(o) {}
    int run();

private:
    void start(uint64_t seed);
    void reap();
    void failed(const Child& child, int status);

    const Options& o_;
    std::map<pid_t, Child> children_;
    std::map<uint64_t, uint64_t> hashes_;
    uint64_t passed_ = 0, failed_ = 0, operations_ = 0;
};

void Batch::start(uint64_t seed)
{
    int fds[2];
    FILE* output = tmpfile();
    if (pipe(fds) || !output) abort();
    pid_t pid = fork_one(seed, o_, output, fds[1]);
    close(fds[1]);
    children_[pid] = {seed, fds[0], output};
}

void Batch::failed(const Child& child, int status)
{
    failed_++;
    std::string text = text_of(child.output);
    std::string why = "it ended with status " + std::to_string(WEXITSTATUS(status));
    if (WIFSIGNALED(status)) why = std::string("signal: ") + strsignal(WTERMSIG(status));
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        why = "no end within " + std::to_string(o_.limit_s) + " s";
    printf("seed %llu FAILED (%s)\n%s\nrepeat: build/user-fast/sim --seed=%llu%s --trace\n",
           (unsigned long long)child.seed, why.c_str(), text.c_str(),
           (unsigned long long)child.seed, o_.kind_text.c_str());
}

void Batch::reap()
{
    int status;
    pid_t pid = wait(&status);
    auto it = children_.find(pid);
    if (it == children_.end()) return;
    Child child = it->second;
    children_.erase(it);
    ScenarioResult r;
    bool answered = read(child.answer, &r, sizeof r) == sizeof r;
    if (status == 0 && answered) {
        auto [known, fresh] = hashes_.try_emplace(child.seed, r.trace_hash);
        if (fresh) {
            passed_++;
            operations_ += r.operations;
        } else if (known->second != r.trace_hash) {
            failed_++;
            printf("seed %llu FAILED: not the same trace when it was run again\n",
                   (unsigned long long)child.seed);
        }
    } else {
        failed(child, status);
    }
    close(child.answer);
    fclose(child.output);
    fflush(stdout);
}

int Batch::run()
{
    auto began = std::chrono::steady_clock::now();
    start(o_.first);  // twice: the same seed, the same trace
    uint64_t seed = o_.first;
    while (seed < o_.first + o_.seeds && !(o_.stop && failed_)) {
        while (children_.size() >= o_.jobs) reap();
        start(seed++);
    }
    while (!children_.empty()) reap();
    double minutes =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count() / 60;
    uint64_t run = seed - o_.first;
    printf("%llu seeds, %llu operations of applications, %.1f seeds per minute\n",
           (unsigned long long)run, (unsigned long long)operations_,
           static_cast<double>(run) / minutes);
    printf("%llu passed, %llu failed\n", (unsigned long long)passed_, (unsigned long long)failed_);
    return failed_ ? 1 : 0;
}

bool number(const char* arg, const char* name, uint64_t* out)
{
    size_t n = strlen(name);
    if (strncmp(arg, name, n)) return false;
    char* end;
    *out = strtoull(arg + n, &end, 10);
    return end != arg + n && !*end;
}

std::set<std::string> split(const std::string& text)
{
    std::set<std::string> names;
    for (size_t at = 0; at < text.size();) {
        size_t comma = std::min(text.find(',', at), text.size());
        names.insert(text.substr(at, comma - at));
        at = comma + 1;
    }
    return names;
}

bool parse(const char* arg, Options& o)
{
    uint64_t v;
    if (number(arg, "--seeds=", &v)) o.seeds = v;
    else if (number(arg, "--first=", &v)) o.first = v;
    else if (number(arg, "--seed=", &v)) o.seed = v, o.seeds = 0;
    else if (number(arg, "--jobs=", &v) && v > 0) o.jobs = static_cast<unsigned>(v);
    else if (number(arg, "--limit=", &v) && v > 0) o.limit_s = static_cast<unsigned>(v);
    else if (!strcmp(arg, "--stop")) o.stop = true;
    else if (!strcmp(arg, "--trace")) o.trace = true;
    else if (!strcmp(arg, "--trace=full")) o.full = true;
    else if (!strcmp(arg, "--minimize")) o.minimize = true;
    else if (!strcmp(arg, "--kind=clean")) o.kind = ScenarioKind::kClean;
    else if (!strcmp(arg, "--kind=cut")) o.kind = ScenarioKind::kCut;
    else if (!strcmp(arg, "--kind=crash")) o.kind = ScenarioKind::kCrash;
    else if (!strcmp(arg, "--kind=evict")) o.kind = ScenarioKind::kEvict;
    else if (!strcmp(arg, "--kind=hard")) o.kind = ScenarioKind::kHard;
    else if (!strncmp(arg, "--without=", 10)) o.without = split(arg + 10);
    else return false;
    if (!strncmp(arg, "--kind=", 7)) o.kind_text = std::string(" ") + arg;
    return true;
}

}  // namespace

int main(int argc, char** argv)
{
    Options o;
    bool ok = argc > 1;
    for (int i = 1; i < argc; i++) ok &= parse(argv[i], o);
    if (!ok || (o.seeds == 0) == (o.seed == 0)) {
        fprintf(stderr,
                "usage: %s --seeds=N [--first=S] [--jobs=N] [--stop] "
                "[--kind=clean|cut|crash|evict|hard]\n"
                "       %s --seed=S [--trace | --trace=full | --minimize] "
                "[--kind=…] [--without=NAME,…]\n",
                argv[0], argv[0]);
        return 2;
    }
    int none = 1;
    testing::InitGoogleTest(&none, argv);
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new EndAtFailure);
    if (o.seeds) return Batch(o).run();
    if (o.minimize) return minimize(o);
    if (o.trace || o.full) setenv("LULL_SIM_STORY", "1", 1);
    if (o.trace) setenv("LULL_SIM_LOG", "1", 1);
    if (o.trace) setenv("LULL_SIM_MESSAGES", "1", 1);
    if (o.full) setenv("LULL_SIM_TRACE", "-", 1);
    run_one(o.seed, o, -1);
}
