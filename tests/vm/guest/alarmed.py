# SPDX-License-Identifier: GPL-2.0-only
"""Runs in a guest: calls that meet a server which is away, each in a process whose alarm's handler has no SA_RESTART.

    alarmed.py DIR      prints "started", then a line for each call that did not succeed; its status is how many these are
"""
import os
import signal
import sys

TICK_S = 0.05


def main(top):
    os.makedirs(f"{top}/d")
    for name in ("a", "b", "c", "e"):
        with open(f"{top}/{name}", "w", encoding="ascii") as f:
            f.write(name)
    calls = {
        "mkdir": lambda: os.mkdir(f"{top}/new"),
        "rename": lambda: os.rename(f"{top}/a", f"{top}/renamed"),
        "unlink": lambda: os.unlink(f"{top}/b"),
        "chmod": lambda: os.chmod(f"{top}/c", 0o600),
        "truncate": lambda: os.truncate(f"{top}/e", 1),
        "symlink": lambda: os.symlink("x", f"{top}/link"),
        "rmdir": lambda: os.rmdir(f"{top}/d"),
    }
    print("ready", flush=True)
    sys.stdin.readline()
    children = {}
    for name, call in calls.items():
        pid = os.fork()
        if pid:
            children[pid] = name
            continue
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.siginterrupt(signal.SIGALRM, True)
        signal.setitimer(signal.ITIMER_REAL, TICK_S, TICK_S)
        try:
            call()
        except OSError as e:
            print(f"{name}: {e}", flush=True)
            os._exit(1)
        os._exit(0)
    print("started", flush=True)
    sys.exit(sum(os.waitpid(pid, 0)[1] != 0 for pid in children))


main(sys.argv[1])
