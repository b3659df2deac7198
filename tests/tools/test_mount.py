# SPDX-License-Identifier: GPL-2.0-only
"""mount.lull's own part, with nothing mounted (-f): what it takes for a source."""

import subprocess
from pathlib import Path

import pytest

MOUNT = Path(__file__).resolve().parents[2] / "build" / "utils" / "mount.lull"


def mount(source, directory="/"):
    return subprocess.run([MOUNT, "-f", source, directory], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("source", ["10.0.0.1@tcp:/lull", "10.0.0.1:10.0.0.2@tcp:/lull", "localhost@tcp:/lull", "localhost:/lull/", "10.0.0.1,10.0.0.2:/lull//"])
def test_addresses_and_host_names(source):
    done = mount(source)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("source, status, says", [
    ("10.0.0.300@tcp:/lull", 32, "10.0.0.300 is not the address of a host"), ("no.such.host.invalid:/lull", 32, "no IPv4 address"),
    ("10.0.0.1@o2ib:/lull", 32, "only network is tcp"), (":/lull", 32, "empty NID"), ("10.0.0.1:/", 32, "name of the file system is missing"),
    ("nonsense", 1, "neither a device"), ("/dev/null", 1, "not a block device"),
])
def test_what_is_wrong_is_said(source, status, says):
    done = mount(source)
    assert done.returncode == status and says in done.stderr, done.stderr
