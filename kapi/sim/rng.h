// SPDX-License-Identifier: GPL-2.0-only
// The seeded generator of the simulator: splitmix64, one stream per purpose so that they do not
// disturb each other.
#pragma once
#include <cstdint>

namespace lull::sim {

class Rng {
public:
    explicit Rng(uint64_t seed) : state_(seed) {}
    uint64_t next()
    {
        uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
    }
    // 0 … n-1; 0 when n is 0.
    uint64_t below(uint64_t n)
    {
        return n ? static_cast<uint64_t>((static_cast<unsigned __int128>(next()) * n) >> 64) : 0;
    }
    uint64_t between(uint64_t low, uint64_t high)
    {
        return low + below(high - low + 1);
    }  // both included
    bool chance(unsigned permille) { return permille != 0 && below(1000) < permille; }
    Rng fork(uint64_t purpose)
    {
        return Rng(Rng(state_ ^ (purpose * 0xd1342543de82ef95ull)).next());
    }

private:
    uint64_t state_;
};

}  // namespace lull::sim
