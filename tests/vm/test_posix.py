# SPDX-License-Identifier: GPL-2.0-only
"""Random system calls on Lull and on ext4 in the same guest (tests/posix): the same results, data, attributes and listings. On Linux 6.1.

LULL_POSIX_SEED is the first seed, LULL_POSIX_SEEDS how many a test runs; a failure prints a minimal program.
"""

import os
import re
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]
import lullfs  # noqa: E402
from exerciser import DISK, EXT4, Exerciser  # noqa: E402
from load import NoticedNothing  # noqa: E402

SEED = int(os.environ.get("LULL_POSIX_SEED", "1"))
SEEDS = int(os.environ.get("LULL_POSIX_SEEDS", "15"))
STRIPES = "--layout='stripe_count=2 stripe_size=65536'"


@pytest.fixture(scope="module")
def fs(request, tmp_path_factory):
    with lullfs.cluster(outdir=tmp_path_factory.mktemp("posix"), mds=1, client_disks=[DISK],
                        kernel=os.environ.get("LULL_TEST_KERNEL", "6.1")) as fs:
        fs.install_all()
        fs.format()
        fs.start()
        fs.mount_clients()
        yield fs
        if not request.session.testsfailed:
            fs.stop()


@pytest.fixture(scope="module")
def exerciser(fs):
    made = Exerciser(fs)
    yield made
    made.stop()


def agrees(result):
    print(result.out[-3000:])
    assert result.rc == 0, result.out[-12000:]
    return result


def test_ext4_agrees_with_itself(exerciser):
    """What is compared is determined: no difference without a fault."""
    agrees(exerciser.run("self", lull=f"{EXT4}/other", clients=2, options=f"--seed={SEED} --seeds={(SEEDS + 2) // 3}", check=False))


@pytest.mark.parametrize("wrong, largest", [("data", 8), ("lost-write", 8), ("error", 6), ("listing", 4)])
def test_a_wrong_result_is_found_and_made_small(exerciser, wrong, largest):
    """A fault on purpose between the file system and the comparison: found, repeated, and shown by a few calls."""
    options = f"--seed=1 --seeds=40 --steps=200 --quiet-machine --stop-after=1 --wrong={wrong}"
    result = exerciser.run(f"wrong-{wrong}", lull=f"{EXT4}/wrong-{wrong}-as-lull", options=options, check=False)
    assert result.rc == 1, result.out
    small = re.search(r"^seed \d+, (\d+) steps after \d+ attempts:$", result.out, re.M)
    assert small and int(small.group(1)) <= largest, result.out
    assert "--program=FILE" in result.out


def test_one_client(exerciser):
    """Invariant 1: what one process sees, files in two stripes."""
    agrees(exerciser.run("one", options=f"--seed={SEED} --seeds={SEEDS} {STRIPES}", check=False))


def test_two_clients(exerciser):
    """Invariant 9: what two clients do in turns looks as if two processes did it on one machine."""
    agrees(exerciser.run("two", clients=2, options=f"--seed={1000 + SEED} --seeds={SEEDS} {STRIPES}", check=False))


def test_while_servers_restart(fs, exerciser):
    """A1 A5 A6 invariant 9: the same while the MDT and an OST restart; no call may tell."""
    running = exerciser.start("restarts", clients=2, options=f"--seed={2000 + SEED} --steps=100 --quiet-machine")
    done = 0
    with NoticedNothing(fs):
        for name in ("MDT0000", "OST0000"):
            running.wait_output(r"(?s)(?:seed \d+ done.*){%d}" % (done + 2), timeout=300)
            fs.restart(name)
            done = len(re.findall(r"seed \d+ done", running.output()))
        running.wait_output(r"(?s)(?:seed \d+ done.*){%d}" % (done + 2), timeout=300)
    running.write("stop\n")
    agrees(running.wait(600))
