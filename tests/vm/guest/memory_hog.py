# SPDX-License-Identifier: GPL-2.0-only
"""Takes all memory of its guest but so many MiB, and keeps it so, until its input ends: memory_hog.py LEAVE"""

import mmap
import select
import sys

PIECE = 4 << 20
PAGE = 4096


def available():
    with open("/proc/meminfo", encoding="ascii") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("MemAvailable:"))


def main():
    leave, held = int(sys.argv[1]) << 20, []
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as f:
        f.write("1000")  # if it is too much, then it is ours
    while True:
        while available() > leave + PIECE:
            piece = mmap.mmap(-1, PIECE)
            for at in range(0, PIECE, PAGE):
                piece[at] = 1
            held.append(piece)
        while held and available() < leave // 2:
            held.pop().close()
        print("holding", len(held) * PIECE >> 20, "MiB", flush=True)
        if select.select([sys.stdin], [], [], 0.2)[0]:
            return


main()
