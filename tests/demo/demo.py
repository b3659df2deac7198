#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""make demo: servers of a mounted file system are upgraded while programs work on it.

A cluster of virtual machines (MGS+MDT with a failover partner, two OSTs, two clients) runs git, fio, sqlite3, small files
and held-open files. The MDT is upgraded in place from protocol 1 to 2, moved to its partner, and an OST is restarted. Prints
what happens, then a verdict; leaves demo/report.json and demo/report.svg. Exit status 0: nobody noticed more than a pause.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "tests" / "vm"), str(Path(__file__).resolve().parent)]

import exerciser               # noqa: E402
import lullfs                  # noqa: E402
from lab import LabError       # noqa: E402
from picture import draw       # noqa: E402

WORK = [("cl1", "small_files"), ("cl1", "git"), ("cl1", "holder"), ("cl1", "differential"), ("cl2", "database"), ("cl2", "fio"), ("cl2", "small_files")]
WORKLOADS = CHECKOUT / "tests" / "demo" / "workloads.py"
BUCKET_S = 0.5
STOP_DEADLINE_S = 240
BUSY_DEADLINE_S = 180
COUNTERS = ("replays", "resends", "evictions")


class Programs:
    """The workloads on the clients, their logs and what became of them."""

    def __init__(self, fs, outdir):
        self.fs, self.outdir = fs, outdir
        self.running = []
        self.offsets = {c.name: self._clock_offset(c) for c in fs.clients}

    @staticmethod
    def _clock_offset(node):
        """Host time minus guest time in s, from the quickest of a few answers."""
        best = (9e9, 0)
        for _ in range(5):
            before = time.time()
            guest = float(node.run("date +%s.%N").out)
            after = time.time()
            best = min(best, (after - before, (before + after) / 2 - guest))
        return best[1]

    def start(self):
        for client, name in WORK:
            log = f"{client}-{name}.log"
            process = self.fs.cluster[client].popen(
                f"/usr/bin/python3 {WORKLOADS} {name} {lullfs.MOUNT}/{client}-{name} /lab/{log}", stdin=True)
            self.running.append((client, name, process, self.outdir / log))

    def stop(self):
        """Asks every program to end; returns what went wrong, a line each."""
        trouble = []
        for _, _, process, _ in self.running:
            if process.poll() is None:
                process.write("stop\n")
        for client, name, process, _ in self.running:
            result = process.wait(STOP_DEADLINE_S)
            if result.rc != 0:
                trouble.append(f"{client} {name}: exit status {result.rc}: {result.out[-600:].strip()}")
        return trouble

    def wait_busy(self):
        """Until each has finished an operation: setting up a repository or a database takes its time."""
        deadline = time.time() + BUSY_DEADLINE_S
        for client, name, _, path in self.running:
            while not path.exists() or not path.stat().st_size:
                if self.early_ends() or time.time() > deadline:
                    raise LabError("; ".join(self.early_ends()) or f"{client} {name} did nothing in {BUSY_DEADLINE_S} s")
                time.sleep(0.2)

    def early_ends(self):
        return [f"{c} {n} ended early: {p.output()[-300:]}" for c, n, p, _ in self.running if p.poll() is not None]

    def operations(self):
        """(client name, program, start, duration, operation, errno) in host time, s."""
        for client, name, _, path in self.running:
            offset = self.offsets[client]
            for line in path.read_text(encoding="ascii").splitlines():
                words = line.split()
                if len(words) == 4:
                    yield client, name, int(words[0]) / 1e9 + offset, int(words[1]) / 1e9, words[2], int(words[3])


class Account:
    """The live account on the terminal."""

    def __init__(self):
        self.start = time.time()

    def say(self, text):
        print(f"[{time.time() - self.start:6.1f} s] {text}", flush=True)


def phases_of(status):
    """The line "phases_ms: warm 0 notify 3 …" of controlled_shutdown_status as a dict."""
    for line in status.splitlines():
        if line.startswith("phases_ms:"):
            words = line.split()[1:]
            return {name: float(value) for name, value in zip(words[::2], words[1::2])}
    return {}


def upgrade(fs, say, label, name, restart):
    """One upgrade: shut down, restart somehow, wait until every client is served again. Returns its account."""
    at = {"label": label, "target": name, "begin": time.time()}
    say(f"{label}: controlled shutdown of {name} on {fs.targets[name].at} begins")
    status = fs.shutdown(name)
    at["halted"] = time.time()
    at["phases_ms"] = phases_of(status)
    say(f"{label}: halted after {at['halted'] - at['begin']:.1f} s; everything is committed, no client was evicted")
    waiters = fs.watch_service(name)
    restart()
    at["started"] = time.time()
    say(f"{label}: {name} runs again on {fs.targets[name].at}")
    fs.join(waiters)
    at["resumed"] = time.time()
    say(f"{label}: every client is served again, {at['resumed'] - at['begin']:.1f} s after the beginning")
    return at


def add_pauses(upgrades, operations):
    """Per upgrade: the longest any operation took that overlaps it (an operation of one system call or a few)."""
    for u in upgrades:
        worst = (0, "")
        for client, program, start, duration, what, _ in operations:
            if program in ("git", "fio") or start > u["resumed"] or start + duration < u["begin"]:
                continue  # git and fio are logged by the command, not by the call
            worst = max(worst, (duration, f"{client} {program} {what}"))
        u["longest_pause_s"], u["longest_pause_of"] = worst


def rates(operations, begin, end):
    """Operations per second by program, and of all."""
    buckets = int((end - begin) / BUCKET_S) + 1
    series = {}
    for client, program, start, duration, _, _ in operations:
        slot = int((start + duration - begin) / BUCKET_S)
        if 0 <= slot < buckets and program not in ("git", "fio"):
            series.setdefault(f"{client} {program}", [0] * buckets)[slot] += 1
    return {name: [(i * BUCKET_S, n / BUCKET_S) for i, n in enumerate(counts)] for name, counts in series.items()}


def run(options, outdir, account):
    say = account.say
    report = {"upgrades": [], "trouble": []}
    say(f"building the modules for Linux {options.kernel} and booting five machines")
    exerciser.build()
    with lullfs.cluster(outdir=outdir, kernel=options.kernel) as fs:
        say("all machines are up; loading the modules (mds1 as an old node: protocol_max=1)")
        fs.install_all(protocol_max={"mds1": 1})
        fs.format()
        fs.start()
        fs.mount_clients()
        say("file system formatted, started and mounted on two clients; starting the programs")
        programs = Programs(fs, outdir)
        programs.start()
        begin = time.time()
        programs.wait_busy()
        settle(programs, options.settle_s)
        before = {c: fs.total(c) for c in COUNTERS}
        steps = [
            ("MDT in place, protocol 1 to 2", "MDT0000", lambda: reload_mdt(fs)),
            ("MDT to its partner", "MDT0000", lambda: move_mdt(fs)),
            ("OST restart", "OST0000", lambda: restart_ost(fs)),
        ]
        for label, name, restart in steps:
            report["upgrades"].append(upgrade(fs, say, label, name, restart))
            settle(programs, options.settle_s)
        counters = {c: fs.total(c) - before[c] for c in COUNTERS}
        protocol = fs.target_param("MDT0000", "protocol")
        say("stopping the programs; each checks its data once more")
        report["trouble"] += programs.stop()
        end = time.time()
        operations = list(programs.operations())
        say("unmounting, stopping the servers, unloading the modules")
        fs.stop()
    report["counters"] = counters
    report["protocol_after"] = protocol
    report["failed_calls"] = sum(1 for op in operations if op[5] != 0)
    report["operations"] = len(operations)
    add_pauses(report["upgrades"], operations)
    report["series"] = rates(operations, begin, end)
    for u in report["upgrades"]:
        for key in ("begin", "halted", "started", "resumed"):
            u[key] -= begin
    report["seconds"] = end - begin
    return report


def settle(programs, seconds):
    """Lets the programs work; an early end is a failure now, not later."""
    deadline = time.time() + seconds
    while time.time() < deadline:
        ended = programs.early_ends()
        if ended:
            raise LabError("; ".join(ended))
        time.sleep(0.5)


def reload_mdt(fs):
    fs.umount_target("MDT0000")
    fs.unload(fs.server("MDT0000"))
    fs.install(fs.server("MDT0000"), protocol_max=2)
    fs.start_target("MDT0000")


def move_mdt(fs):
    fs.umount_target("MDT0000")
    fs.start_target("MDT0000", "mds2")


def restart_ost(fs):
    fs.umount_target("OST0000")
    fs.start_target("OST0000")


def verdict(report):
    """Prints it; True if nobody noticed more than a pause."""
    print("\nVerdict")
    for u in report["upgrades"]:
        phases = ", ".join(f"{k} {v:.0f} ms" for k, v in u["phases_ms"].items()) or "no phases reported"
        print(f"  {u['label']}: longest pause of any program {u['longest_pause_s']:.2f} s ({u['longest_pause_of']});"
              f" shutdown {u['halted'] - u['begin']:.1f} s ({phases}), restart {u['started'] - u['halted']:.1f} s,"
              f" clients back {u['resumed'] - u['started']:.1f} s")
    print(f"  {report['operations']} operations, failed: {report['failed_calls']}")
    for name, value in report["counters"].items():
        print(f"  {name}{' (other than opens)' if name == 'replays' else ''}: {value}")
    for line in report["trouble"]:
        print(f"  TROUBLE: {line}")
    good = (not report["trouble"] and report["failed_calls"] == 0 and not any(report["counters"].values())
            and len(report["upgrades"]) == 3 and report["operations"] > 0 and str(report["protocol_after"]).startswith("2"))
    print("  PASSED: no call failed, nothing was lost, replayed, resent or evicted" if good else "  FAILED")
    return good


def picture(report):
    upgrades = [{"label": u["label"], "note": f"longest pause of a program {u['longest_pause_s']:.1f} s",
                 "phases": {"drain": (u["begin"], u["halted"]), "restart": (u["halted"], u["started"]),
                            "resume": (u["started"], u["resumed"])}} for u in report["upgrades"]]
    return draw(report["series"], upgrades, report["seconds"], "Lull: servers upgraded under load")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kernel", default="6.1", choices=("6.1", "6.12", "debug"))
    parser.add_argument("--settle-s", type=float, default=float(os.environ.get("LULL_DEMO_SETTLE_S", 15)),
                        help="how long the programs work before, between and after the upgrades")
    parser.add_argument("--out", type=Path, default=CHECKOUT / "demo")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    outdir = options.out / "lab"
    outdir.mkdir(exist_ok=True)
    account = Account()
    try:
        report = run(options, outdir, account)
    except LabError as e:
        print(f"\nVerdict\n  FAILED: {e}", flush=True)
        return 1
    good = verdict(report)
    (options.out / "report.svg").write_text(picture(report))
    report["verdict"] = "passed" if good else "failed"
    (options.out / "report.json").write_text(json.dumps(report, indent=1))
    print(f"  {options.out / 'report.json'}, {options.out / 'report.svg'}; {time.time() - account.start:.0f} s in all")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
