// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes up a program from a seed: the same one every time. It keeps a rough idea of which names and
 * descriptors there are, so that most steps succeed; what it believes wrongly gives an error, which
 * must be the same on both sides, too.
 */
#pragma once
#include <map>
#include <random>
#include <set>
#include <string>

#include "tests/posix/step.h"

namespace lull::posix {

struct Recipe {
    uint64_t seed = 1;
    size_t steps = 200;
    int actors = 1;
    bool machine = true;  // drops caches and takes memory
};

class Generator {
public:
    explicit Generator(const Recipe& recipe) : recipe_(recipe), rng_(recipe.seed) {}
    Program make();

private:
    using Maker = void (Generator::*)(Step&);
    struct Weighted {
        Op op;
        unsigned weight;
        Maker make;
    };
    static const Weighted kTable[];

    uint64_t below(uint64_t n) { return rng_() % n; }
    bool percent(unsigned p) { return below(100) < p; }
    template <class T> T one_of(std::initializer_list<T> from)
    {
        return from.begin()[below(from.size())];
    }
    std::string pick(const std::set<std::string>& from, const std::string& otherwise);

    int64_t offset();
    int64_t length();
    int open_slot();
    std::string name();
    std::string new_path();
    std::string file_path();
    std::string dir_path();
    std::string any_path();
    void odd(std::string& path);
    void relative(Step& step);

    void open(Step& s);
    void close(Step& s);
    void transfer(Step& s);
    void seek(Step& s);
    void resize(Step& s);
    void preallocate(Step& s);
    void copy(Step& s);
    void whole_fd(Step& s);
    void range(Step& s);
    void map(Step& s);
    void mapped(Step& s);
    void look(Step& s);
    void list(Step& s);
    void make_dir(Step& s);
    void remove(Step& s);
    void link(Step& s);
    void rename(Step& s);
    void change_dir(Step& s);
    void attribute(Step& s);
    void times(Step& s);
    void xattr(Step& s);
    void lock(Step& s);
    void machine(Step& s);

    void moved(const std::string& from, const std::string& to);
    void begin(Program& program);

    Recipe recipe_;
    std::mt19937_64 rng_;
    Step* now_ = nullptr;
    std::set<std::string> files_, dirs_;
    std::set<int> open_[4], mapped_[4];
};

}  // namespace lull::posix
