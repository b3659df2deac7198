#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""One side of a conversation between two clients about files they share: reads a Python expression a line, answers its value.
The test on the host drives both sides step by step. coherence.py DIRECTORY"""

import mmap
import os
import sys

os.chdir(sys.argv[1])
NAMES = {"os": os, "mmap": mmap, "fds": {}, "maps": {}}


def put(name, data, mode="wb"):
    with open(name, mode) as f:
        f.write(data)


def get(name):
    with open(name, "rb") as f:
        return f.read()


def hold(name, flags=os.O_RDWR):
    NAMES["fds"][name] = os.open(name, flags)


def map_file(name, size):
    NAMES["maps"][name] = mmap.mmap(NAMES["fds"][name], size)


NAMES.update(put=put, get=get, hold=hold, map_file=map_file)
print("ready", flush=True)
for line in sys.stdin:
    try:
        print(repr(eval(line, NAMES)), flush=True)  # the test's own expressions
    except OSError as e:
        print(f"OSError {e.errno}", flush=True)
