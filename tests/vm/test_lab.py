# SPDX-License-Identifier: GPL-2.0-only
"""The laboratory tested by itself: it must tell the truth before anything else is asked of it."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from lab import (  # noqa: E402
    CHECKOUT, Cluster, CommandFailed, CommandTimeout, LabError, NodeDown, NodeSpec, cache_dir)

PING = "ping -c 3 -i 0.2 -W 2 -q "


def ping(node, other):
    return node.run(PING + other, check=False).rc == 0


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    nodes = [NodeSpec("a", disks=["shared", "own"]), NodeSpec("b", disks=["shared"])]
    outdir = tmp_path_factory.mktemp("lab")
    with Cluster(nodes, disks={"shared": "64M", "own": "16M"}, outdir=outdir) as c:
        yield c


def test_guest_has_what_tests_need(pair):
    out = pair["a"].run("set -e; hostname; getent hosts b; test -d /sys/kernel/debug/tracing;"
                        "test -c /dev/null; mountpoint -q /dev/shm; touch /usr/there /tmp/there;"
                        "ip link show lo | grep -q LOWER_UP; modprobe ext4; uname -r;"
                        f"test -f {CHECKOUT}/tests/vm/lab.py; ! touch {CHECKOUT}/here").out
    lines = out.split("\n")
    assert lines[0] == "a" and lines[1].split() == ["10.0.0.2", "b"]
    assert pair["a"].kernel_version in lines and pair["a"].kernel_version.startswith("6.1.")


def test_commands(pair):
    a = pair["a"]
    assert a.run("echo out; echo err >&2").out == "out\nerr\n"
    assert a.run("exit 3", check=False).rc == 3
    assert a.run("cat", stdin="through").out == "through"
    assert len(a.run("head -c 3000000 /dev/zero | tr '\\0' x").out) == 3000000
    with pytest.raises(CommandFailed, match="a: exit status 4"):
        a.run("exit 4")
    with pytest.raises(CommandTimeout):
        a.run("sleep 1000", timeout=1)


def test_many_commands_at_once(pair):
    a = pair["a"]
    waiting = [a.popen(f"read line; echo {i} $line", stdin=True) for i in range(20)]
    assert a.run("echo between").out == "between\n"
    assert all(p.poll() is None for p in waiting)
    for process in waiting:
        process.write("go\n")
    assert [p.wait().out for p in waiting] == [f"{i} go\n" for i in range(20)]
    killed = a.popen("echo here; sleep 1000")
    killed.wait_output("here")
    killed.kill()
    assert killed.wait().rc == 128 + 9


def test_daemon_does_not_hold_its_starter(pair):
    assert pair["a"].run("(sleep 1000; echo late) & echo started").out == "started\n"
    pair["a"].run("pkill sleep")


def test_lab_share(pair):
    pair["a"].run("echo from-a > /lab/note")
    assert (pair.outdir / "note").read_text() == "from-a\n"
    (pair.outdir / "note").write_text("from-host\n")
    assert pair["b"].run("cat /lab/note").out == "from-host\n"


def test_network_cut_and_heal(pair):
    a, b = pair["a"], pair["b"]
    assert ping(a, "b") and ping(b, "a")
    a.cut()
    assert not ping(a, "b")
    a.heal()
    assert ping(a, "b")
    pair.cut("a", "b", oneway=True)
    assert not ping(a, "b")
    pair.heal("a", "b")
    assert ping(a, "b")
    pair.drop(1000, "b")
    assert not ping(a, "b")
    pair.drop(0)
    pair.delay(150)
    assert float(a.run(PING + "b").out.split("/")[-2]) > 300
    pair.delay(0)
    with pytest.raises(LabError, match="no such node"):
        pair.cut("a", "nobody")


def test_shared_disk_is_seen_by_both(pair):
    a, b = pair["a"], pair["b"]
    assert a.run("ls /dev/lab").out.split() == ["own", "shared"]
    assert b.run("readlink -e /dev/disk/by-id/virtio-shared").out == "/dev/vda\n"
    assert a.run("blockdev --getsize64 /dev/lab/shared").out == f"{64 << 20}\n"
    a.run("mkfs.ext4 -q /dev/lab/shared && mount /dev/lab/shared /mnt && echo kept > /mnt/file &&"
          "umount /mnt")
    assert b.run("mount /dev/lab/shared /mnt && cat /mnt/file && umount /mnt").out == "kept\n"


def test_power_cut(pair):
    a = pair["a"]
    a.run("mkfs.ext4 -q /dev/lab/own && mount /dev/lab/own /mnt && echo synced > /mnt/s && sync &&"
          "echo lost > /mnt/l")
    doomed = a.popen("sleep 1000")
    a.kill()
    with pytest.raises(NodeDown, match="a is down"):
        a.run("true")
    with pytest.raises(NodeDown, match="a is down"):
        doomed.wait()
    assert not ping(pair["b"], "a")
    a.start()
    assert ping(pair["b"], "a")
    out = a.run("mount /dev/lab/own /mnt && cat /mnt/s && stat -c %s /mnt/l 2>&1; umount /mnt").out
    assert out.startswith("synced\n")
    pair.check_logs()


def test_kill_interrupts_a_command_that_runs(pair):
    b = pair["b"]
    errors = []

    def work():
        try:
            b.run("sleep 1000", timeout=100)
        except NodeDown as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    b.run("until pgrep sleep; do :; done")
    b.kill()
    thread.join(10)
    assert len(errors) == 1
    b.start()


def test_node_may_end_when_it_is_meant_to(pair):
    b = pair["b"]
    b.popen("poweroff -f")
    b.wait_down()
    pair.check_logs()
    b.start()


def test_check_logs_sees_a_warning(pair):
    a = pair["a"]
    a.run("echo '<4>WARNING: possible circular locking dependency detected' > /dev/kmsg")
    with pytest.raises(LabError, match="a: (.|\n)*possible circular"):
        pair.check_logs()
    pair.check_logs(allow=["possible circular"])
    a.forgive()
    pair.check_logs()


def test_crash_is_detected(pair):
    a = pair["a"]
    crash = a.popen("echo c > /proc/sysrq-trigger")
    with pytest.raises(NodeDown):
        crash.wait()
    with pytest.raises(LabError, match="a: (.|\n)*sysrq triggered crash"):
        pair.check_logs()
    a.forgive()
    a.restart()
    pair.check_logs()


def test_boot_that_ends_is_tried_again(pair, capsys):
    b = pair["b"]
    b.kill()
    b.start(wait=False)
    b._qemu.kill()  # as if the emulator had crashed: nobody meant it to end
    assert b.wait_up().run("echo here").out == "here\n"
    assert "started again: b ended while booting" in capsys.readouterr().out
    pair.check_logs()


def test_boot_that_is_not_wanted_any_more_ends_its_wait(pair):
    b = pair["b"]
    b.kill()
    b.start(wait=False)
    b.kill()
    with pytest.raises(NodeDown, match="ended while booting"):
        b.wait_up()
    b.start()


def test_crash_fails_the_with_block(tmp_path):
    with pytest.raises(LabError, match="Kernel panic"):
        with Cluster(["x"], outdir=tmp_path) as c:
            c["x"].popen("echo c > /proc/sysrq-trigger")
            c["x"].wait_down()


def test_terminal_in_a_guest(pair):
    process = pair["b"]._session.start("exec bash --norc -i", pty=os.terminal_size((80, 24)))
    process.write("tty; stty size\n")
    process.wait_output(r"/dev/pts/\d(.|\n)*24 80")
    process.write("exit 5\n")
    assert process.wait().rc == 5


def test_6_12():
    with Cluster(["a", NodeSpec("b", kernel="6.1")], kernel="6.12") as c:
        assert c["a"].kernel_version.startswith("6.12.")
        assert c["b"].kernel_version.startswith("6.1.")
        assert ping(c["a"], "b")
        c["a"].run("modprobe ext4")
        c["b"].restart(kernel="6.12")
        assert c["b"].run("uname -r").out.startswith("6.12.")


@pytest.mark.skipif(not (cache_dir() / "kernels" / "debug" / "env").exists(),
                    reason="no debug kernel: tests/setup/debug-kernel.sh makes it")
def test_debug_kernel():
    with Cluster([NodeSpec("a", disks=["d"])], kernel="debug") as c:
        a = c["a"]
        a.run("modprobe ext4 && modprobe libcrc32c && mkfs.ext4 -q /dev/lab/d &&"
              "mount /dev/lab/d /mnt && umount /mnt")
        a.run("cd /sys/kernel/debug && test -d kunit -a -d failslab -a -e kmemleak && "
              "test -e /proc/lockdep && ! dmesg | grep 'kunit: disabled'")
        a.check_leaks()


def test_bad_cluster():
    with pytest.raises(LabError, match="disk name"):
        Cluster([NodeSpec("a", disks=["no/slash"])])
    with pytest.raises(LabError, match="two nodes"):
        Cluster(["a", "a"])


def test_guests_die_with_python(tmp_path):
    script = (f"import sys, os; sys.path.insert(0, {str(Path(__file__).parent)!r}); import lab\n"
              f"c = lab.Cluster(['a'], outdir={str(tmp_path)!r}).start()\n"
              "print(c['a']._qemu.pid, flush=True); os.kill(os.getpid(), 9)")
    done = subprocess.run(["/usr/bin/python3", "-c", script], capture_output=True, text=True,
                          timeout=120)
    status = Path("/proc", done.stdout.strip(), "status")
    deadline = time.monotonic() + 10
    while status.exists() and "\nState:\tZ" not in status.read_text():
        assert time.monotonic() < deadline, "the guest outlived python"
