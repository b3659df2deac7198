# SPDX-License-Identifier: GPL-2.0-only
"""File locks (flock, fcntl) of two clients: conflicts, waits, deadlocks, signals; over controlled restarts, a power cut of the MDT and
the death of a client. The servers are on 6.1, one client on 6.12."""

import sys
import time
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]
import lullfs  # noqa: E402
from load import NoticedNothing  # noqa: E402
from test_cluster import GUEST  # noqa: E402

FILE = f"{lullfs.MOUNT}/locked"
DEAD = set()  # nodes whose programs died with them


class Side:
    """file_locks.py on one client."""

    def __init__(self, client):
        self.client = client
        self.process = client.popen(f"/usr/bin/python3 {GUEST}/file_locks.py {FILE}", stdin=True)
        self.lines = 0
        assert self.answer() == "ready"

    def answer(self, timeout=60):
        """The next line it says."""
        self.process.wait_output(r"(?:.*\r?\n){%d}" % (self.lines + 1), timeout)
        text = self.process.output().splitlines()[self.lines]
        self.lines += 1
        return text.strip()

    def ask(self, command, timeout=60):
        self.process.write(command + "\n")
        return self.answer(timeout)

    def end(self):
        self.process.write("quit\n")
        assert self.process.wait(60).rc == 0


@pytest.fixture(scope="module")
def fs(request, tmp_path_factory):
    with lullfs.cluster(outdir=tmp_path_factory.mktemp("locks"), kernel="6.1", kernels={"cl2": "6.12"}) as fs:
        fs.install_all()
        fs.format()
        fs.start()
        fs.mount_clients()
        yield fs
        if not request.session.testsfailed:
            fs.stop()


@pytest.fixture
def sides(fs):
    both = Side(fs.clients[0]), Side(fs.clients[1])
    yield both
    for side in both:
        if side.client.name not in DEAD and side.process.poll() is None:
            side.end()


@pytest.mark.parametrize("kind", ["flock", "fcntl"])
def test_exclusion(sides, kind):
    a, b = sides
    assert a.ask(f"lock {kind} ex 0 0") == "ok"
    assert b.ask(f"try {kind} sh 0 0") == "EAGAIN"
    b.process.write(f"hold {kind} ex 0 0\n")
    assert b.answer() == "waiting"
    time.sleep(1)
    assert a.ask(f"lock {kind} un 0 0") == "ok"
    assert b.answer() == "granted"
    assert a.ask(f"try {kind} sh 0 0") == "EAGAIN"
    assert b.ask(f"lock {kind} sh 0 0") == "ok"  # downgrade
    assert a.ask(f"try {kind} sh 0 0") == "ok"
    assert b.ask("close") == "ok"
    assert a.ask(f"try {kind} ex 0 0") == "ok"


def test_ranges_and_getlk(sides):
    a, b = sides
    assert a.ask("lock fcntl ex 0 100") == "ok"
    assert a.ask("lock fcntl un 40 20") == "ok"
    assert b.ask("try fcntl ex 40 20") == "ok"
    assert b.ask("try fcntl ex 39 1") == "EAGAIN"
    assert b.ask("get sh 0 0") == "ex 0 40"
    assert b.ask("get sh 100 0") == "free"
    assert a.ask("get ex 30 20") == "ex 40 20"


def test_deadlock_and_signal(sides):
    a, b = sides
    assert a.ask("lock fcntl ex 0 1") == "ok"
    assert b.ask("lock fcntl ex 1 1") == "ok"
    assert a.ask("alarm fcntl ex 1 1") == "EINTR"
    assert b.ask("try fcntl ex 1 1") == "ok"
    a.process.write("hold fcntl ex 1 1\n")
    assert a.answer() == "waiting"
    time.sleep(1)
    assert b.ask("lock fcntl ex 0 1") in ("EDEADLK", "EDEADLOCK")  # one number, two names
    assert b.ask("lock fcntl un 1 1") == "ok"
    assert a.answer() == "granted"
    assert b.ask("alarm flock ex 0 0") == "ok"  # the other kind
    assert a.ask("alarm flock ex 0 0") == "EINTR"


def test_go_with_their_process(sides):
    a, b = sides
    assert a.ask("child fcntl ex 0 0") == "ok"
    assert b.ask("try fcntl ex 0 0") == "ok"
    assert b.ask("lock fcntl un 0 0") == "ok"
    assert a.ask("child flock ex 0 0") == "ok"
    assert b.ask("try flock ex 0 0") == "ok"


def test_flock_program(fs):
    """flock(1): two shells count to 200 together."""
    one, two = fs.clients
    one.run(f"echo 0 > {FILE}.count")
    loop = (f"for i in $(seq 100); do flock {FILE}.lock sh -c "
            f"'n=$(cat {FILE}.count); echo $((n + 1)) > {FILE}.count' || exit 1; done")
    both = [c.popen(loop) for c in (one, two)]
    for process in both:
        result = process.wait(300)
        assert result.rc == 0, result.out
    assert two.run(f"cat {FILE}.count").out.strip() == "200"


def held_over(fs, sides, event):
    a, b = sides
    assert a.ask("lock fcntl ex 0 10") == "ok"
    assert a.ask("lock flock ex 0 0") == "ok"
    b.process.write("hold fcntl ex 5 1\n")
    assert b.answer() == "waiting"
    event()
    assert a.ask("get ex 10 0", timeout=300) == "free"
    assert fs.clients[1].run(f"flock -n {FILE} true", check=False, timeout=300).rc == 1
    assert a.ask("lock fcntl un 0 10") == "ok"
    assert b.answer() == "granted"


def test_controlled_restart(fs, sides):
    with NoticedNothing(fs):
        held_over(fs, sides, lambda: fs.restart("MDT0000"))


def test_failover(fs, sides):
    with NoticedNothing(fs):
        held_over(fs, sides, lambda: fs.move("MDT0000", "mds2"))
        fs.move("MDT0000", "mds1")


def test_power_cut_of_the_mdt(fs, sides):
    def cut():
        dead = fs.server("MDT0000")
        dead.kill()
        fs.start_target("MDT0000", "mds2")
        dead.start()
        fs.install(dead)

    held_over(fs, sides, cut)
    fs.move("MDT0000", "mds1")


def test_death_of_a_client(fs, sides):
    a, b = sides
    assert b.ask("lock fcntl ex 0 0") == "ok"
    DEAD.add(b.client.name)
    b.client.kill()
    assert a.ask("lock fcntl ex 0 0", timeout=300) == "ok"
    b.client.start()
    fs.install(b.client)
    fs.mount_client(b.client)
