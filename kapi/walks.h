/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How often somebody looked at an element of a table that grows with the number of clients. In the
 * simulator it is counted, so that a test can see that the work for one client does not grow with
 * the number of the others (S15); in a kernel it is nothing.
 */
#pragma once
#include <cstdint>

namespace lull {

#ifdef LULL_COUNT_WALKS
inline uint64_t walks_counted = 0;
inline void count_walk() { walks_counted++; }
#else
inline void count_walk() {}
#endif

}  // namespace lull
