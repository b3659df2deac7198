# SPDX-License-Identifier: GPL-2.0-only
"""Programs on the clients of a cluster that must not notice anything but a pause (tests/demo/workloads.py has them)."""

import time

import lullfs
from lab import CHECKOUT

WORKLOADS = CHECKOUT / "tests" / "demo" / "workloads.py"
END_DEADLINE_S = 600  # a program ends its round first, and checks its data once more


def lines_of(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


class Load:
    """Programs that must not notice anything but a pause."""

    def __init__(self, fs, names, tag, clients=None):
        self.fs, self.tag = fs, tag
        self.running = []
        fs.loads.append(self)
        clients = clients or fs.clients
        for i, name in enumerate(names):
            client = clients[i % len(clients)]
            self.running.append((name, client.popen(
                f"/usr/bin/python3 {WORKLOADS} {name} {lullfs.MOUNT}/{tag}-{i}-{name} /lab/{tag}-{i}-{name}.log", stdin=True)))

    def wait_busy(self, operations=30, deadline_s=120, names=None):
        """Until each (of names) has done so many operations since now (its log, a file of the host's, grows)."""
        logs = [self.fs.cluster.outdir / f"{self.tag}-{i}-{name}.log" for i, (name, _) in enumerate(self.running)
                if names is None or name in names]
        wanted = [(log, lines_of(log) + operations) for log in logs]
        deadline = time.monotonic() + deadline_s * self.fs.patience
        while wanted:
            wanted = [(log, n) for log, n in wanted if lines_of(log) < n]
            ended = [f"{name}: {p.output()}" for name, p in self.running if p.poll() is not None]
            assert not ended, f"ended early: {ended}"
            assert time.monotonic() < deadline, f"no progress: {[log.name for log, _ in wanted]}"
            time.sleep(0.2)

    def operations(self):
        return sum(lines_of(self.fs.cluster.outdir / f"{self.tag}-{i}-{name}.log") for i, (name, _) in enumerate(self.running))

    def finish(self):
        for name, process in self.running:
            if process.poll() is None:
                process.write("stop\n")
        for name, process in self.running:
            result = process.wait(END_DEADLINE_S * self.fs.patience)
            assert result.rc == 0, f"{name}: {result.out}"

    def kill(self):
        """What still runs, of a test that failed."""
        left = [process for _, process in self.running if process.poll() is None]
        for process in left:
            process.kill()
        for process in left:
            process.wait(60 * self.fs.patience)


class NoticedNothing:
    """In the block no import may replay (other than opens), resend or be evicted."""

    def __init__(self, fs):
        self.fs = fs

    def __enter__(self):
        self.before = {c: self.fs.total(c) for c in ("replays", "resends", "evictions")}
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            assert {c: self.fs.total(c) for c in self.before} == self.before
