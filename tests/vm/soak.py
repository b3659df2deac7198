#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Servers upgraded, moved, and shutdowns cancelled at random moments under load, for as long as one likes.

    tests/vm/soak.py [--minutes 60] [--seed N] [--kernel 6.1] [--programs a,b,…] [--faults] [--out DIR]

Nothing may fail, be replayed, resent or evicted. With --faults (soak_faults.py) there are power cuts, dead and frozen clients and network
cuts, too: then requests are replayed, but nothing may fail or be lost on the client that lives, nor may that be evicted. Prints a line for each step; the exit status is the verdict.
"""

import argparse
import contextlib
import random
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent)]
import lullfs  # noqa: E402
from lab import LabError  # noqa: E402
from load import Load, NoticedNothing  # noqa: E402
from soak_faults import BUSY_DEADLINE_S, FAULTS, Victim  # noqa: E402

PROGRAMS = "exerciser,posix,tree,small_files,git,holder,database,build,digest,fio"
QUICK = ("exerciser", "small_files", "holder")  # an operation is one system call or a few


def cancel(fs, rng, name):
    """Begins a shutdown and takes it back at a random moment; it may be too late then."""
    param = fs.param_name(name, "controlled_shutdown")
    out = fs.server(name).run(f"""lctl set_param -n {param}=1
        sleep {rng.random() * 0.6:.3f}
        lctl set_param -n {param}=0 && exit
        lctl wait_param {param} halted && echo halted""", timeout=240).out
    if "halted" in out:
        fs.umount_target(name)
        fs.start_target(name)
        return "was too late, restarted"
    fs.wait_param(fs.server(name), param, "running", 60)
    return "cancelled"


def restart(fs, _rng, name):
    fs.restart(name)
    return "restarted"


def move(fs, _rng, name):
    to = next(n for n in fs.targets[name].nodes if n != fs.targets[name].at)
    fs.move(name, to)
    return f"moved to {to}"


def everything(fs, _rng, _name):
    """All targets at once: halted together, then started in any order."""
    for name in fs.targets:
        fs.begin_shutdown(name)
    for name in fs.targets:
        fs.wait_param(fs.server(name), fs.param_name(name, "controlled_shutdown"), "halted", lullfs.SHUTDOWN_DEADLINE_S)
    for name in fs.targets:
        fs.umount_target(name)
    for name in sorted(fs.targets):
        fs.start_target(name)
    return "all targets restarted at once"


def pick(rng, fs, name, faults):
    clean = [cancel, cancel, restart, everything] + [move] * (len(fs.targets[name].nodes) > 1)
    return rng.choice(FAULTS if faults and rng.random() < 0.7 else clean)


def evictions(client, fs):
    return sum(counters.get("evictions", 0) for counters in fs.stats(client).values())


def soak(fs, options, say):
    rng = random.Random(options.seed)
    names = options.programs.split(",")
    load = Load(fs, names, "soak", fs.clients[:1] if options.faults else None)
    load.wait_busy(1, deadline_s=BUSY_DEADLINE_S)
    victim = Victim(fs) if options.faults else None
    end, steps = time.monotonic() + options.minutes * 60, 0
    while time.monotonic() < end:
        name = rng.choice(list(fs.targets))
        step = pick(rng, fs, name, options.faults)
        time.sleep(rng.random() * 5)
        if step in FAULTS:
            say(f"{step.__name__}: {step(fs, rng, name, victim)}")
            load.wait_busy(3, deadline_s=BUSY_DEADLINE_S, names=QUICK)
            assert evictions(fs.clients[0], fs) == 0, "the client that lives was evicted"
        else:
            with contextlib.nullcontext() if options.faults else NoticedNothing(fs):
                say(f"{step.__name__} {name}: {step(fs, rng, name)}")
                load.wait_busy(3, deadline_s=BUSY_DEADLINE_S, names=QUICK)
        fs.cluster.check_logs()
        steps += 1
    load.finish()
    if victim:
        victim.load.finish()
    say(f"{steps} steps; the programs did {load.operations()} operations, none failed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kernel", default="6.1", choices=("6.1", "6.12", "debug"))
    parser.add_argument("--programs", default=PROGRAMS, help=f"by default {PROGRAMS}")
    parser.add_argument("--faults", action="store_true", help="power cuts, dead and frozen clients, network cuts, too")
    parser.add_argument("--out", type=Path, default=Path("/tmp/lull-soak"))
    options = parser.parse_args()
    start = time.monotonic()

    def say(text):
        print(f"[{time.monotonic() - start:7.1f} s] {text}", flush=True)

    say(f"seed {options.seed}")
    try:
        with lullfs.cluster(outdir=options.out, kernel=options.kernel) as fs:
            fs.install_all()
            fs.format()
            fs.start()
            fs.mount_clients()
            soak(fs, options, say)
            fs.stop()
            for node in fs.cluster:
                node.check_leaks()
    except (LabError, AssertionError) as e:
        say(f"FAILED (seed {options.seed}; consoles and logs are in {options.out}): {e}")
        return 1
    say("PASSED")
    return 0


if __name__ == "__main__":
    sys.exit(main())
