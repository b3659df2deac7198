# SPDX-License-Identifier: GPL-2.0-only
"""Servers whose allocations fail now and then, on the debug kernel: errors that are told, nothing wrong, nothing left behind."""

import pytest

import lullfs

OPERATIONS = f"""/usr/bin/python3 - <<'END'
import errno, hashlib, os
ALLOWED = (errno.ENOMEM, errno.EIO, errno.ENOENT, errno.EEXIST)
root, sure, refused = "{lullfs.MOUNT}/memory", {{}}, 0

def attempt(what, *args):
    global refused
    try:
        what(*args)
        return True
    except OSError as e:
        assert e.errno in ALLOWED, e
        refused += 1
        return False

def write(path, data):
    fd = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        os.pwrite(fd, data, 0)
        os.fsync(fd)
    finally:
        os.close(fd)

tries = 0
while not os.path.isdir(root):  # False, too, when there is no memory to look
    attempt(os.mkdir, root)
    tries += 1
    assert tries < 100, "not even one directory"
for i in range(ROUNDS):
    path, data = f"{{root}}/f{{i}}", os.urandom(1000 + i * 37)
    if attempt(write, path, data):
        sure[path] = data
    if path in sure and i % 3 == 0 and attempt(os.rename, path, path + "x"):
        sure[path + "x"] = sure.pop(path)
    elif path in sure and i % 3 == 0:
        del sure[path]  # either name
    if i % 5 == 0:
        attempt(os.mkdir, f"{{root}}/d{{i}}")
for path, data in sure.items():
    for _ in range(50):
        try:
            with open(path, "rb") as f:
                read = f.read()
            break
        except OSError as e:
            assert e.errno in (errno.ENOMEM, errno.EIO), (path, e)
    assert read == data, path
print(len(sure), "files sure,", refused, "refused")
END"""


@pytest.fixture(scope="module")
def fs(tmp_path_factory):
    with lullfs.cluster(outdir=tmp_path_factory.mktemp("memory"), kernel="debug", mds=1, osts=1, clients=1) as made:
        made.install_all()
        made.format()
        made.start()
        made.mount_clients()
        yield made


def fail_allocations(node, percent):
    """Of Lull alone (kapi/linux/memory.c); 0: none."""
    node.run(f"""cd /sys/kernel/debug/fail_lull_alloc || {{ mount -t debugfs none /sys/kernel/debug; cd /sys/kernel/debug/fail_lull_alloc; }}
        echo 0 > verbose; echo -1 > times; echo 1 > interval; echo {percent} > probability""")


def refused_allocations(node):
    return int(node.run("dmesg | grep -c 'Lull: no memory for' || true").out)


def test_operations_fail_or_hold(fs):
    """Every refused call says so, every other one keeps its word."""
    servers = [fs.server("MDT0000"), fs.server("OST0000")]
    for node in servers:
        fail_allocations(node, 1)
    try:
        out = fs.clients[0].run(OPERATIONS.replace("ROUNDS", "60"), timeout=400).out
    finally:
        for node in servers:
            fail_allocations(node, 0)
    print(out)
    assert sum(map(refused_allocations, servers)) > 0, "no allocation has failed: nothing was tried"
    fs.clients[0].run(f"ls -lR {lullfs.MOUNT} >/dev/null && rm -r {lullfs.MOUNT}/memory", timeout=200)
    fs.cluster.check_logs()


@pytest.mark.parametrize("name", ["MDT0000", "OST0000"])
def test_shutdown_fails_or_is_clean(fs, name):
    """Invariant 8, E2: a step without memory takes the target back to service with the reason, or the next attempt succeeds."""
    node = fs.server(name)
    fs.clients[0].run(f"echo kept > {lullfs.MOUNT}/kept")
    fail_allocations(node, 2)
    try:
        node.run(f"""for i in $(seq 20); do
                lctl set_param {fs.param_name(name, 'controlled_shutdown')}=1 2>/dev/null
                lctl wait_param -t 20 {fs.param_name(name, 'controlled_shutdown')} halted 2>/dev/null && exit 0
            done; exit 1""", timeout=500)
    finally:
        fail_allocations(node, 0)
    fs.umount_target(name)
    fs.start_target(name)
    assert fs.clients[0].run(f"cat {lullfs.MOUNT}/kept", timeout=200).out == "kept\n"
    fs.cluster.check_logs()


def test_nothing_is_left(fs):
    """Modules unload without a leaked allocation; kmemleak finds nothing."""
    fs.stop()
    for node in fs.cluster:
        node.check_leaks()
    fs.cluster.check_logs()
