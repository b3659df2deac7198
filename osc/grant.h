/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Grant accounting of one OST: space the server has promised, so that a write accepted into the
 * cache never fails later for lack of it.
 *
 *   granted_   promised by the server, not yet used by a write that was answered
 *   reserved_  of that, spoken for by dirty pages and writes under way
 *
 * A new instance of the server grants anew and knows nothing of what is reserved here: reserved_
 * may exceed granted_ then, and nothing further is reserved until the dirty pages are written. Not
 * locked: inside Osc's Guarded state.
 */
#pragma once
#include <cstdint>

namespace lull {

class GrantAccount {
public:
    bool has(uint64_t bytes) const
    {
        return reserved_ <= granted_ && bytes <= granted_ - reserved_;
    }
    bool reserve(uint64_t bytes)
    {
        if (!has(bytes)) return false;
        reserved_ += bytes;
        return true;
    }
    void release(uint64_t bytes) { reserved_ -= bytes < reserved_ ? bytes : reserved_; }
    // A write that used bytes was answered and brought more.
    void used(uint64_t bytes, uint64_t more)
    {
        release(bytes);
        granted_ -= bytes < granted_ ? bytes : granted_;
        granted_ += more;
    }
    void restart(uint64_t granted) { granted_ = granted; }
    uint64_t granted() const { return granted_; }
    uint64_t reserved() const { return reserved_; }
    // What to ask for, to have target_bytes again.
    uint64_t want(uint64_t target_bytes) const
    {
        uint64_t spare = granted_ > reserved_ ? granted_ - reserved_ : 0;
        return spare < target_bytes ? target_bytes - spare : 0;
    }

private:
    uint64_t granted_ = 0, reserved_ = 0;
};

}  // namespace lull
