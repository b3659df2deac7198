# SPDX-License-Identifier: GPL-2.0-only
"""The main job on Linux 6.12: every operation, then the MDT upgraded in place, moved to its partner, an OST restarted, under load.
The clients stay on 6.12, the partner runs 6.1: an upgrade of the kernel is the most common one of all (A2 A3)."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]
import lullfs  # noqa: E402
from load import Load, NoticedNothing  # noqa: E402
from test_cluster import GUEST  # noqa: E402


@pytest.fixture(scope="module")
def fs(tmp_path_factory):
    outdir = tmp_path_factory.mktemp("main612")
    with lullfs.cluster(outdir=outdir, kernel="6.12", kernels={"mds1": "6.1"}) as fs:
        fs.install_all(protocol_max={"mds1": 1})
        fs.format()
        fs.start()
        fs.mount_clients()
        yield fs
        fs.stop()


def test_every_operation(fs):
    fs.clients[0].run(f"mkdir {lullfs.MOUNT}/ops && /usr/bin/python3 {GUEST}/posix_ops.py {lullfs.MOUNT}/ops", timeout=300)


def test_upgrades_under_load(fs):
    load = Load(fs, ["small_files", "holder", "database", "digest"], "main")
    load.wait_busy()
    with NoticedNothing(fs):
        fs.restart("MDT0000", reload_protocol=2)
        load.wait_busy()
        fs.move("MDT0000", "mds2")
        load.wait_busy()
        fs.restart("OST0000")
        load.wait_busy()
    load.finish()
