#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""How long a small-file program waits while its MDT restarts: upgraded with all clients alive, with one dead, and after a crash.

    tests/bench/pace.py [--kernel 6.1] [--rounds 3] [--out DIR]      (make bench)

One run on one cluster, so that the rows can be compared; milliseconds in emulated guests mean nothing by themselves. Each row is the median of the
rounds. "pause" is the longest system call of the program; "clean", "down", "start" and "reconnect" are the servers' own account of it (B4); "other" is
what is left: commands, and the wait for a turn of the guest's one core.
"""

import argparse
import re
import statistics
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "vm")]
import lullfs  # noqa: E402
from load import Load  # noqa: E402

SETTLE_S = 2  # of undisturbed work before and after, so that the longest call is the restart's


class Program:
    """small_files on the first client; its longest call since mark()."""

    def __init__(self, fs, tag):
        self.fs, self.log = fs, fs.cluster.outdir / f"{tag}-0-small_files.log"
        self.load = Load(fs, ["small_files"], tag, fs.clients[:1])
        self.load.wait_busy(30)

    def mark(self):
        self.load.wait_busy(10)
        self.from_byte = self.log.stat().st_size

    def longest_ms(self):
        self.load.wait_busy(30, deadline_s=600)
        with open(self.log, "rb") as f:
            f.seek(self.from_byte)
            rows = [line.split() for line in f.read().splitlines()[1:]]
        return max(int(row[1]) for row in rows if len(row) == 4) / 1e6


def previous(fs):
    """The new instance's account of the pause, name → ms."""
    status = fs.target_param("MDT0000", "controlled_shutdown_status")
    line = next((l for l in status.splitlines() if l.startswith("previous:")), "")
    return {name: int(ms) for name, ms in re.findall(r"(\w+) (\d+)", line)}


def other_node(fs):
    target = fs.targets["MDT0000"]
    return next(n for n in target.nodes if n != target.at)


def upgrade(fs):
    fs.move("MDT0000", other_node(fs))
    fs.join(fs.watch_service("MDT0000"))


def with_dead_client(fs):
    fs.clients[-1].kill()
    fs.move("MDT0000", other_node(fs))
    # Who is left.
    fs.clients[0].run("lctl wait_param 'mdc.*MDT0000*.active_lock' 'state: held'", timeout=300)


def crash(fs):
    dead = fs.server("MDT0000")
    to = other_node(fs)
    dead.kill()
    fs.start_target("MDT0000", to)


def crash_with_dead_client(fs):
    fs.clients[-1].kill()
    crash(fs)


def repair(fs):
    """Every node is up and every client mounted again."""
    for node in fs.cluster:
        if node.running:
            continue
        node.start()
        fs.install(node)
        if node in fs.clients:
            fs.mount_client(node)


CASES = (("controlled, all clients alive", upgrade), ("controlled, one client dead", with_dead_client),
         ("crash, all clients alive", crash), ("crash, one client dead", crash_with_dead_client))


def measure(fs, program, act):
    program.mark()
    time.sleep(SETTLE_S)
    act(fs)
    pause = program.longest_ms()
    account = previous(fs) if act in (upgrade, with_dead_client) else {}
    row = {"pause": pause, "clean": sum(account.get(n, 0) for n in ("notify", "drain", "commit")),
           "down": account.get("down", 0), "start": account.get("start", 0), "reconnect": account.get("reconnect", 0)}
    row["other"] = max(0, pause - sum(row[n] for n in ("clean", "down", "start", "reconnect"))) if account else 0
    repair(fs)
    return row


def table(results):
    names = ("pause", "clean", "down", "start", "reconnect", "other")
    unit = statistics.median(r["pause"] for r in results[CASES[0][0]])
    lines = [f"{'':32}{'ratio':>8}" + "".join(f"{n + ' ms':>14}" for n in names)]
    for case, rows in results.items():
        middle = {n: statistics.median(r[n] for r in rows) for n in names}
        told = [f"{middle[n]:>14.0f}" if n == "pause" or case.startswith("controlled") else f"{'-':>14}" for n in names]
        lines.append(f"{case:32}{middle['pause'] / unit:>8.1f}" + "".join(told))
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kernel", default="6.1", choices=("6.1", "6.12"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("/tmp/lull-bench"))
    options = parser.parse_args()
    results = {name: [] for name, _ in CASES}
    with lullfs.cluster(outdir=options.out, kernel=options.kernel) as fs:
        fs.install_all()
        fs.format()
        fs.start()
        fs.mount_clients()
        program = Program(fs, "pace")
        for number in range(options.rounds):
            for name, act in CASES:
                results[name].append(measure(fs, program, act))
                print(f"round {number + 1}, {name}: {results[name][-1]['pause']:.0f} ms", flush=True)
        program.load.finish()
        fs.stop()
    text = table(results)
    print(text)
    (options.out / "pace.txt").write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
