# SPDX-License-Identifier: GPL-2.0-only
"""mkfs.lull on images of devices, without a virtual machine: what is there is not destroyed by mistake; NIDs and host names."""

import hashlib
import subprocess
import threading
from pathlib import Path

import pytest

MKFS = Path(__file__).resolve().parents[2] / "build" / "utils" / "mkfs.lull"
OST = ["--ost", "--index=0", "--mgsnode=10.0.0.1@tcp"]
IMAGE_BYTES = 64 << 20


def run(*words, check=True):
    done = subprocess.run([str(w) for w in words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    if check:
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "disk"
    with open(path, "wb") as f:
        f.truncate(IMAGE_BYTES)
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def partition(image):
    run("sh", "-c", f"echo 'label: gpt\nsize=10M' | sfdisk -q {image}")


def xfs(image):
    with open(image, "r+b") as f:
        f.truncate(320 << 20)  # it takes no less
    run("mkfs.xfs", "-q", "-L", "scratch", image)


def luks(image):
    with open(image, "r+b") as f:
        f.write(b"LUKS\xba\xbe\x00\x01")


def lvm(image):
    """The label of a physical volume: magic, sector, checksum, offset, type."""
    body = (32).to_bytes(4, "little") + b"LVM2 001" + b"u" * 32 + bytes(512 - 20 - 12 - 32)
    crc = 0xF597A6CF
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xEDB88320 if crc & 1 else 0)
    with open(image, "r+b") as f:
        f.seek(512)
        f.write(b"LABELONE" + (1).to_bytes(8, "little") + crc.to_bytes(4, "little") + body)


THERE = {
    "ext4 (label \"home\")": lambda i: run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "home", i),
    "xfs (label \"scratch\")": xfs,
    "swap": lambda i: run("mkswap", i),
    "a partition table (gpt)": partition,
    "a partition table (dos)": lambda i: run("sh", "-c", f"echo 'size=10M, type=83' | sfdisk -q --label dos {i}"),
    "crypto_LUKS": luks,
    "LVM2_member": lvm,
    "the Lull target lull-OST0000": lambda i: run(MKFS, *OST, i),
}


@pytest.mark.parametrize("name", THERE)
def test_what_is_there_stays(image, name):
    THERE[name](image)
    before = digest(image)
    refused = run(MKFS, *OST, image, check=False)
    assert refused.returncode == 1
    assert f"holds {name}" in refused.stderr and "--reformat" in refused.stderr, refused.stderr
    assert digest(image) == before
    run(MKFS, *OST, "--reformat", image)
    assert run("blkid", "-p", "-o", "value", "-s", "LABEL", image).stdout.strip() == "lull-OST0000"


def test_an_empty_device_is_formatted_without_a_question(image):
    run(MKFS, *OST, image)
    told = run("debugfs", "-R", "cat /CONFIGS/mountdata", image).stdout
    assert "kinds=ost" in told and "mgsnode=10.0.0.1@tcp" in told


def test_what_another_node_has_mounted_is_never_reformatted(image):
    """A node that has it mounted counts up a number in the block of ext4's multi-mount protection; here a thread does."""
    run("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", "mmp,^metadata_csum", "-E", "mmp_update_interval=1", image)
    with open(image, "r+b") as f:
        f.seek(1024 + 0x168)  # s_mmp_block
        at = int.from_bytes(f.read(8), "little") * 4096
        f.seek(at + 4)
        f.write((1).to_bytes(4, "little"))
        f.seek(at + 16)
        f.write(b"mds2".ljust(64, b"\0"))
    over = threading.Event()

    def alive():
        number = 1
        while not over.wait(0.2):
            number += 1
            with open(image, "r+b", buffering=0) as f:
                f.seek(at + 4)
                f.write(number.to_bytes(4, "little"))

    node = threading.Thread(target=alive)
    node.start()
    try:
        refused = run(MKFS, *OST, "--reformat", image, check=False)
    finally:
        over.set()
        node.join()
    assert refused.returncode == 1 and "which mds2 has mounted" in refused.stderr, refused.stderr
    assert run("blkid", "-p", "-o", "value", "-s", "LABEL", image, check=False).stdout.strip() == ""


@pytest.mark.parametrize("nid, says", [
    ("10.0.0.300@tcp", "not the address of a host"), ("10.0.0@tcp", "not the address of a host"), ("224.0.0.1", "not the address of a host"),
    ("0.0.0.0", "not the address of a host"), ("10.0.0.1@o2ib", "only network is tcp"), ("10.0.0.1::10.0.0.2", "empty NID"), (":", "empty NID"), ("", "empty NID"),
    ("no.such.host.invalid", "no IPv4 address"), ("a b", "is not a NID"), ("-x", "is not a NID"), ("10.0.0.1@tcp@tcp", "only network is tcp"),
])
def test_bad_nids_are_refused(image, nid, says):
    before = digest(image)
    refused = run(MKFS, "--ost", "--index=0", "--mgsnode", nid, image, check=False)
    assert refused.returncode == 1 and says in refused.stderr, refused.stderr
    assert digest(image) == before


def test_host_names_are_resolved(image):
    told = run(MKFS, "--ost", "--index=0", "--mgsnode=localhost:127.0.0.1@tcp", "--servicenode=localhost@tcp,10.1.2.3", "-n", image).stdout
    assert "mgsnode=127.0.0.1@tcp\n" in told and "servicenode=127.0.0.1@tcp:10.1.2.3@tcp\n" in told
