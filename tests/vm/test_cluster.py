# SPDX-License-Identifier: GPL-2.0-only
"""A mounted file system on real machines, Linux 6.1: operations, coherency, upgrades, crashes, bad input.

One cluster serves all tests of this file, in order; each leaves it as it found it. Ids in brackets are of requirements.md.
"""

import ast
import json
import os
import sys
import threading
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]
import lullfs  # noqa: E402
from lab import CHECKOUT  # noqa: E402
from lab_errors import CommandFailed  # noqa: E402
from load import Load, NoticedNothing  # noqa: E402
from shell import Relay  # noqa: E402

GUEST = CHECKOUT / "tests" / "vm" / "guest"
KERNEL = os.environ.get("LULL_TEST_KERNEL", "6.1")  # "debug": KASAN, lockdep, kmemleak


@pytest.fixture(scope="module")
def fs(request, tmp_path_factory):
    with lullfs.cluster(outdir=tmp_path_factory.mktemp("cluster"), kernel=KERNEL) as fs:
        fs.install_all(protocol_max={"mds1": 1})
        fs.format()
        fs.start()
        fs.mount_clients()
        yield fs
        if request.session.testsfailed:
            return  # the failed test may have left anything; its consoles and logs are kept
        fs.stop()
        for node in fs.cluster:
            node.check_leaks()


@pytest.fixture(scope="module")
def on_nodes(fs):
    """The command "on NODE COMMAND" on the first client."""
    return Relay(fs.cluster, fs.clients[0])


@pytest.fixture(autouse=True)
def no_program_is_left(fs):
    """What a failed test leaves running would be in the way of the next one."""
    yield
    for load in fs.loads:
        load.kill()
    fs.loads.clear()


def talk(client):
    process = client.popen(f"/usr/bin/python3 {GUEST}/coherence.py {lullfs.MOUNT}/shared", stdin=True)
    process.wait_output("ready")
    seen = [1]

    def ask(expression):
        process.write(expression + "\n")
        process.wait_output(r"(?s)^(?:[^\n]*\n){%d}" % (seen[0] + 1))
        seen[0] += 1
        answer = process.output().splitlines()[seen[0] - 1]
        return OSError(int(answer.split()[1])) if answer.startswith("OSError ") else ast.literal_eval(answer)

    ask.process = process
    return ask


def test_every_operation(fs):
    fs.clients[0].run(f"mkdir {lullfs.MOUNT}/ops && /usr/bin/python3 {GUEST}/posix_ops.py {lullfs.MOUNT}/ops", timeout=300)


def test_two_clients_are_coherent(fs):
    """Invariant 9: names, attributes, data, mappings."""
    fs.clients[0].run(f"mkdir {lullfs.MOUNT}/shared")
    a, b = talk(fs.clients[0]), talk(fs.clients[1])
    assert isinstance(b("get('x')"), OSError)
    for i in range(5):
        a(f"put('x', b'version {i}')")
        assert b("get('x')") == f"version {i}".encode()
        assert b("os.stat('x').st_size") == 9
        b(f"put('x', b'answer {i}' * 1000)")
        assert a("get('x')") == f"answer {i}".encode() * 1000
        assert a("os.stat('x').st_size") == 8000
    a("os.rename('x', 'y')")
    assert isinstance(b("get('x')"), OSError) and b("os.listdir('.')") == ["y"]
    b("os.chmod('y', 0o640)")
    assert a("os.stat('y').st_mode & 0o777") == 0o640
    a("hold('y')"), b("hold('y')")
    a("os.pwrite(fds['y'], b'from a', 0)")
    assert b("os.pread(fds['y'], 6, 0)") == b"from a"
    b("map_file('y', 4096)")
    a("map_file('y', 4096)")
    a("maps['y'].__setitem__(slice(10, 15), b'mmap!')")
    assert b("maps['y'][10:15]") == b"mmap!"
    b("maps['y'].__setitem__(slice(20, 25), b'again')")
    assert a("os.pread(fds['y'], 5, 20)") == b"again"
    for i in range(6):
        (a if i % 2 else b)("put('log', b'0123456789' * 10, 'ab')")
    assert a("os.stat('log').st_size") == 600 and b("len(get('log'))") == 600
    b("os.unlink('y')")
    assert a("os.fstat(fds['y']).st_nlink") == 0
    assert a("os.pread(fds['y'], 6, 0)") == b"from a"
    b("os.truncate('log', 5)")
    assert a("get('log')") == b"01234"
    for side in (a, b):
        side.process.close_input()
        assert side.process.wait().rc == 0


def test_mdt_from_protocol_1_to_2_in_place(fs):
    """A3 A5 A10-A13 S8 S9 E3: under load with files open, module exchanged."""
    assert fs.target_param("MDT0000", "protocol").startswith("1")
    load = Load(fs, ["small_files", "holder", "database", "digest"], "inplace")
    load.wait_busy()
    with NoticedNothing(fs):
        status = fs.restart("MDT0000", reload_protocol=2)
        load.wait_busy()
    load.finish()
    assert "drain" in status and "commit" in status, status
    assert fs.target_param("MDT0000", "protocol").startswith("2")


def test_mdt_moves_to_its_partner_and_back(fs):
    """A2 B1: failover pair, same disk."""
    if fs.targets["MDT0000"].at == "mds1" and fs.target_param("MDT0000", "protocol").startswith("1"):
        pytest.fail("the upgrade before this test did not happen")
    load = Load(fs, ["holder", "small_files", "database"], "move")
    load.wait_busy()
    with NoticedNothing(fs):
        fs.move("MDT0000", "mds2")
        load.wait_busy()
        fs.move("MDT0000", "mds1")
        load.wait_busy()
    load.finish()


def test_ost_restarts(fs):
    """A6 A12 S2: dirty data is flushed and committed before the halt."""
    load = Load(fs, ["digest", "database", "holder", "fio"], "ost")
    load.wait_busy(3)
    with NoticedNothing(fs):
        fs.restart("OST0000")
        fs.restart("OST0001")
        load.wait_busy(3)
    load.finish()


def test_full_disk(fs):
    """A write accepted into the cache never fails later; the file system says ENOSPC and lives on; what is there can be changed.

    Twice, behind two dozen other tests, the client was not heard of for 16 s here by any server, and evicted; not yet explained. So it comes
    early, and tells what TCP knows when it fails.
    """
    program = f"""/usr/bin/python3 - <<'END'
import errno, mmap, os
path, done = "{lullfs.MOUNT}/full", 0
fd = os.open(path, os.O_CREAT | os.O_RDWR)
try:
    while True:
        done += os.pwrite(fd, bytes([done >> 20 & 255]) * (1 << 20), done)
except OSError as e:
    assert e.errno == errno.ENOSPC, e
os.fsync(fd)  # everything accepted is written
os.pwrite(fd, b"again", 1 << 20)  # what has its place takes no space
with mmap.mmap(fd, 1 << 20) as m:
    m[:5] = b"store"
    m.flush()
os.fsync(fd)
assert os.pread(fd, 6, 0) == b"store\\0" and os.pread(fd, 6, 1 << 20) == b"again\\1"
os.pwrite(fd, bytes(5), 0)
os.pwrite(fd, b"\\1" * 5, 1 << 20)
for at in range(0, done - done % (1 << 20), 16 << 20):
    assert os.pread(fd, 100, at) == bytes([at >> 20 & 255]) * 100, at
os.close(fd)
os.unlink(path)
print("accepted", done)
END"""
    try:
        out = fs.clients[0].run(program, timeout=600).out
    except CommandFailed as e:
        tcp = "grep -E '^Tcp:' /proc/net/snmp; grep -E '^TcpExt:' /proc/net/netstat; cat /proc/net/tcp /proc/net/dev /proc/loadavg; head -5 /proc/meminfo"
        raise AssertionError(f"{e}\nhub: {fs.cluster.hub.command('stats')}\n{fs.clients[0].run(tcp, check=False).out}") from e
    assert int(out.split()[-1]) > 100 << 20
    fs.clients[1].run(f"for i in $(seq 100); do dd if=/dev/zero of={lullfs.MOUNT}/again bs=1M count=20 conv=fsync 2>/dev/null && exit 0;"
                      " sleep 1; done; exit 1", timeout=300)


def test_restarts_under_memory_pressure(fs):
    """A6 S2: write-back to a draining server passes no gate, so a client's reclaim never waits for an upgrade."""
    client = fs.clients[0]
    load = Load(fs, ["fio", "digest", "small_files"], "pressure", [client])
    hog = client.popen(f"/usr/bin/python3 {GUEST}/memory_hog.py 90", stdin=True)
    try:
        hog.wait_output("holding", timeout=300)  # it competes with the load from the beginning
        load.wait_busy(3, deadline_s=300)
        with NoticedNothing(fs):
            for name in ("OST0000", "MDT0000"):
                fs.restart(name)
                load.wait_busy(3, deadline_s=300)
    finally:
        hog.close_input()  # or it is in the way of all tests to come
    assert hog.wait(60).rc == 0, hog.output()
    load.finish()
    fs.cluster.check_logs()


def test_whole_file_system_at_once(fs):
    """T5 A1: frozen by its MGS, then every server restarted; one pause for all."""
    load = Load(fs, ["small_files", "holder", "database", "digest"], "freeze")
    load.wait_busy(5)
    mgs = fs.server("MDT0000")
    with NoticedNothing(fs):
        mgs.run(f"lctl set_param mgs.MGS.fs_freeze={lullfs.FSNAME}")
        fs.wait_param(mgs, "mgs.MGS.fs_state", f"{lullfs.FSNAME}: frozen", 120)
        for name in reversed(fs.targets):  # the MGS, which is the MDT's device, last
            fs.shutdown(name)
            fs.umount_target(name)
        fs.start()
        load.wait_busy(5, deadline_s=240)
    load.finish()


def test_trace_points(fs):
    """B4: a shutdown and its account as trace events, on the server and on a client."""
    tracing, server, client = "/sys/kernel/tracing", fs.server("OST0000"), fs.clients[0]
    for node in (server, client):
        node.run(f"mountpoint -q {tracing} || mount -t tracefs none {tracing}; echo > {tracing}/trace; echo 1 > {tracing}/events/lull/enable")
    client.run(f"echo traced > {lullfs.MOUNT}/traced; sync")
    fs.restart("OST0000")
    client.run(f"cat {lullfs.MOUNT}/traced", timeout=120)
    fs.join(fs.watch_service("OST0000"))
    of_server, of_client = (node.run(f"cat {tracing}/trace; echo 0 > {tracing}/events/lull/enable").out for node in (server, client))
    for words in ("controlled_shutdown: lull-OST0000: draining -> committing", "upgrade_phases: lull-OST0000: warm="):
        assert words in of_server, of_server[-3000:]
    for words in ("active_lock: lull-OST0000", "held -> closing", "import: lull-OST0000", "request_done: lull-"):
        assert words in of_client, of_client[-3000:]


def test_cancelled_shutdown_resumes_without_recovery(fs):
    """E2: at whatever state it is then, service goes on."""
    load = Load(fs, ["small_files", "digest"], "cancel")
    load.wait_busy(10)
    with NoticedNothing(fs):
        for name in ("MDT0000", "OST0000"):
            fs.begin_shutdown(name)
            param = fs.param_name(name, "controlled_shutdown")
            if fs.server(name).run(f"lctl set_param {param}=0", check=False).rc != 0:
                # Too late: it was quicker than we are. Then it halts, and is started again.
                fs.wait_param(fs.server(name), param, "halted", 120)
                fs.umount_target(name)
                fs.start_target(name)
            fs.wait_param(fs.server(name), param, "running", 60)
            load.wait_busy(10)
    load.finish()


def test_signals_while_a_server_is_away(fs):
    """A9: at the gate a fatal signal ends the wait, without effect; after another one's handler the call goes on, as on a local disk.

    Nor do calls that wait there, with the VFS's locks, keep the machine from being suspended (its test of all that comes before the hardware)."""
    client = fs.clients[0]
    alarmed = client.popen(f"/usr/bin/python3 {GUEST}/alarmed.py {lullfs.MOUNT}/alarmed", stdin=True)
    alarmed.wait_output("ready")
    fs.shutdown("MDT0000")
    alarmed.write("go\n")
    alarmed.wait_output("started")
    blocked = client.popen(f"echo started; exec mkdir {lullfs.MOUNT}/never")
    blocked.wait_output("started")
    client.run("for i in $(seq 100); do [ $(lctl get_param -n 'mdc.*.gate' | sed -n 's/.*waiting: *//p') -ge 8 ] && exit 0; sleep 0.1;"
               " done; lctl get_param 'mdc.*.gate'; exit 1", timeout=60)  # begins with "state", not with what is waited for
    client.run("pkill -INT mkdir")
    assert blocked.wait(30).rc != 0
    client.run("echo 1 > /sys/module/suspend/parameters/pm_test_delay && echo freezer > /sys/power/pm_test && echo freeze > /sys/power/state", timeout=120)
    fs.umount_target("MDT0000")
    fs.start_target("MDT0000")
    client.run(f"! test -e {lullfs.MOUNT}/never", timeout=120)
    result = alarmed.wait(120)
    assert result.rc == 0, result.out
    client.run(f"cd {lullfs.MOUNT}/alarmed && ls && test -d new -a -e renamed -a ! -e b -a -L link -a ! -e d && rm -r ../alarmed")


def test_mount_waits_for_a_target_that_restarts(fs):
    """T9."""
    client = fs.clients[1]
    fs.shutdown("OST0001")
    client.run("mkdir -p /mnt/second")
    mounting = client.popen(f"mount -t lull {fs.mgs_nids}:/{lullfs.FSNAME} /mnt/second && echo mounted")
    fs.umount_target("OST0001")
    fs.start_target("OST0001")
    result = mounting.wait(120)
    assert result.rc == 0, result.out
    client.run("ls /mnt/second && umount /mnt/second", timeout=120)


@pytest.mark.usefixtures("on_nodes")
def test_rolling_upgrade_of_all_servers(fs):
    """B6 A1 A2: the MDT by way of its partner, the OSTs in place, under load, from a client that reaches the servers by "on"."""
    load = Load(fs, ["small_files", "holder", "digest"], "rolling")
    load.wait_busy(5)
    modules = f"/lab/lull-{KERNEL}"
    upgrade = (f"lull upgrade --servers mds1,oss1 --partner mds1=mds2 --remote 'on {{node}}' --json /lab/upgrade.json "
               f"--replace 'on {{node}} \"insmod {modules}/lull.ko && insmod {modules}/lull_server.ko\"'")
    with NoticedNothing(fs):
        assert "lull-MDT0000" in fs.clients[0].run(upgrade + " --dry-run", timeout=900).out
        out = fs.clients[0].run(upgrade, timeout=1800).out
        load.wait_busy(5)
    report = json.loads((fs.cluster.outdir / "upgrade.json").read_text())
    assert report["verdict"] == "done", out
    assert [(s["target"][5:], s["to"]) for s in report["steps"]] == [
        ("MDT0000", "mds2"), ("MDT0000", "mds1"), ("OST0000", "oss1"), ("OST0001", "oss1")], out
    # A command that fails stops it, and what was stopped is served again.
    failed = fs.clients[0].run("lull upgrade --servers oss1 --keep-modules --remote 'on {node}' --replace false", timeout=900, check=False)
    assert failed.rc == 1 and "could not be exchanged" in failed.out and "started again" in failed.out, failed.out
    load.wait_busy(5)
    load.finish()


@pytest.mark.usefixtures("on_nodes")
def test_an_upgrade_that_was_cut_off_is_seen_and_finished(fs):
    """B6: a target that runs nowhere is no healthy cluster; --resume goes on, ^C leaves nothing down."""
    node, target = fs.clients[0], fs.targets["OST0001"]
    upgrade = "lull upgrade --servers oss1 --mgs mds1 --keep-modules --remote 'on {node}'"
    fs.shutdown("OST0001")
    fs.umount_target("OST0001")
    missed = node.run(upgrade, timeout=900, check=False)
    assert missed.rc == 1 and f"{target.full_name} runs nowhere" in missed.out and "--resume" in missed.out, missed.out
    out = node.run(f"{upgrade} --resume", timeout=600).out
    assert f"{target.full_name} serves all clients again" in out, out
    fs.server("OST0001").run(f"umount /mnt/{target.full_name}", timeout=120)
    fs.start_target("OST0001")
    # Interrupted while the software of the last server is exchanged: nothing is left to be done but to bring back what is down.
    process = node.popen(f"{upgrade} --replace 'echo exchanging; while [ ! -e /tmp/go ]; do sleep 0.1; done' & echo pid $!; wait $!; echo rc $?")
    node.run("for i in $(seq 3000); do lctl get_param -n 'osc.lull-OST000*.state' | grep -q FULL || exit 0; sleep 0.1; done; exit 1", timeout=900)
    process.wait_output("exchanging the software", timeout=300)
    node.run("pkill -INT -x lull; touch /tmp/go")
    result = process.wait(900)
    assert "rc 0" in result.out and "interrupted" in result.out and " is down" not in result.out, result.out
    assert fs.target_param("OST0000", "controlled_shutdown") == fs.target_param("OST0001", "controlled_shutdown") == "running"


def test_host_shutdown_halts_its_targets_cleanly(fs):
    """What Pacemaker and systemd call (utils/ha)."""
    agent = (f"PATH=$PATH:{CHECKOUT}/utils/ha OCF_RESKEY_device=/dev/lab/ost0 OCF_RESKEY_directory=/mnt/ost0 "
             f"{CHECKOUT}/utils/ha/ocf-lull")
    load = Load(fs, ["small_files", "digest"], "agent")
    load.wait_busy(5)
    node = fs.server("OST0000")
    with NoticedNothing(fs):
        node.run(f"{agent} monitor && {agent} stop", timeout=300)
        assert node.run(f"{agent} monitor", check=False).rc == 7
        node.run(f"{agent} start && {agent} monitor", timeout=300)
        load.wait_busy(5)
    load.finish()
    assert fs.target_param("OST0000", "clean_start").startswith("1")


def test_killed_mdt_loses_nothing(fs):
    """T8 invariant 1: power cut of the MDT under load; the partner takes over; ordinary recovery."""
    load = Load(fs, ["small_files", "holder", "database", "digest"], "kill-mdt")
    load.wait_busy()
    dead = fs.server("MDT0000")
    dead.kill()
    fs.start_target("MDT0000", "mds2")
    load.wait_busy(deadline_s=240)
    load.finish()
    assert fs.total("evictions") == 0
    dead.start()
    fs.install(dead)
    fs.move("MDT0000", "mds1")


def test_killed_oss_loses_nothing(fs):
    """T8 invariant 1: data that the OST had in memory only is written again by its clients."""
    load = Load(fs, ["digest", "database", "holder"], "kill-oss")
    load.wait_busy(5)
    dead = fs.server("OST0000")
    dead.kill()
    dead.start()
    fs.install(dead)
    fs.start_target("OST0000")
    fs.start_target("OST0001")
    load.wait_busy(5, deadline_s=240)
    load.finish()
    assert fs.total("evictions") == 0


def test_two_power_cuts_at_once_lose_nothing(fs):
    """T8 invariant 1: the MDT and both OSTs; what was written but not committed is on the clients only."""
    load = Load(fs, ["exerciser", "database", "small_files", "digest"], "kill-both")
    load.wait_busy(5)
    mds, oss = fs.server("MDT0000"), fs.server("OST0000")
    for node in (oss, mds):
        node.kill()
    fs.start_target("MDT0000", "mds2")
    for node in (oss, mds):
        node.start()
        fs.install(node)
    fs.start_target("OST0001")
    fs.start_target("OST0000")
    load.wait_busy(5, deadline_s=240)
    load.finish()
    assert fs.total("evictions") == 0
    fs.move("MDT0000", "mds1")


def test_network_cut_is_ridden_out(fs):
    load = Load(fs, ["small_files", "digest"], "cut")
    load.wait_busy(5)
    fs.server("OST0000").cut()
    threading.Event().wait(3)  # the fault itself lasts: nothing to wait for
    fs.server("OST0000").heal()
    load.wait_busy(5, deadline_s=240)
    load.finish()


# ---- umount -f: what is refused has changed nothing

REFUSED = """import ctypes, os, sys
umount = ctypes.CDLL(None, use_errno=True).umount2
directory = sys.argv[1].encode()
held = os.open(directory, os.O_RDONLY)
assert umount(directory, 1) == -1 and ctypes.get_errno() == 16  # MNT_FORCE: EBUSY
os.close(held)
if sys.argv[2] == "plain":
    assert umount(directory, 0) == 0, ctypes.get_errno()
"""


def refused_umount(fs, node, directory, then="nothing"):
    (fs.cluster.outdir / "refused.py").write_text(REFUSED)
    return node.run(f"/usr/bin/python3 /lab/refused.py {directory} {then}", timeout=120)


def test_refused_forced_umount_of_a_target_evicts_nobody(fs):
    """A7: the next plain umount is a plain one, by the same process or by another."""
    fs.clients[0].run(f"echo kept > {lullfs.MOUNT}/kept && sync")
    for name in ("OST0000", "MDT0000"):
        node, directory = fs.server(name), fs.targets[name].directory
        refused_umount(fs, node, directory)
        fs.umount_target(name)
        fs.start_target(name)
        refused_umount(fs, node, directory, then="plain")
        fs.start_target(name)
        fs.clients[0].run(f"cat {lullfs.MOUNT}/kept && echo x > {lullfs.MOUNT}/after", timeout=240)
    assert fs.total("evictions") == 0


def not_connected(node, param):
    node.run(f"for i in $(seq 240); do lctl get_param -n '{param}' | grep -q FULL || exit 0; sleep 0.5; done; lctl get_param '{param}'; exit 1",
             timeout=180)


def test_refused_forced_umount_of_a_client_leaves_it_as_it_was(fs):
    """A7 A9: what waits for a server that is away fails, nothing else does; the mount and its data stay."""
    client, dead = fs.clients[0], fs.server("MDT0000")
    client.run(f"mkdir -p {lullfs.MOUNT}/held && echo before > {lullfs.MOUNT}/held/file")
    holder = client.popen(f"cd {lullfs.MOUNT}/held && exec 5>>file && echo dirty >&5 && echo in && read x && echo more >&5", stdin=True)
    holder.wait_output("in")
    fails(client, f"umount -f {lullfs.MOUNT}", "busy")
    client.run(f"cat {lullfs.MOUNT}/held/file && touch {lullfs.MOUNT}/held/new && rm {lullfs.MOUNT}/held/new")
    dead.kill()
    blocked = client.popen(f"echo started; exec mkdir {lullfs.MOUNT}/held/dir")
    blocked.wait_output("started")
    not_connected(client, "mdc.*.state")
    client.run(f"for i in $(seq 100); do umount -f {lullfs.MOUNT} 2>/dev/null && exit 1; pgrep -x mkdir >/dev/null || exit 0; sleep 0.1; done; exit 2",
               timeout=120)
    result = blocked.wait(30)
    assert result.rc != 0 and "Input/output error" in result.out, result.out
    fs.start_target("MDT0000", "mds2")
    client.run(f"mkdir {lullfs.MOUNT}/held/dir2", timeout=240)
    holder.write("go\n")
    assert holder.wait(60).rc == 0
    assert fs.clients[1].run(f"cat {lullfs.MOUNT}/held/file", timeout=120).out.split() == ["before", "dirty", "more"]
    assert fs.total("evictions") == 0
    dead.start()
    fs.install(dead)
    fs.move("MDT0000", "mds1")


def test_forced_umounts_that_succeed(fs):
    """A client's loses nothing that a server can take, and waits for none that is away; a target's evicts."""
    client, other, oss = fs.clients[1], fs.clients[0], fs.server("OST0000")
    client.run(f"dd if=/dev/urandom of={lullfs.MOUNT}/last bs=1M count=3 2>/dev/null; md5sum < {lullfs.MOUNT}/last > /lab/last; umount -f {lullfs.MOUNT}")
    other.run(f"md5sum < {lullfs.MOUNT}/last | cmp - /lab/last", timeout=120)
    fs.mount_client(client)
    client.run(f"echo written > {lullfs.MOUNT}/lost")
    oss.cut()
    client.run(f"umount -f {lullfs.MOUNT}", timeout=240)
    oss.heal()
    fs.mount_client(client)
    fs.umount_target("OST0000", force=True)
    fs.start_target("OST0000")
    other.run(f"for i in $(seq 240); do lctl get_param -n 'osc.lull-OST0000-*.stats' | grep -q 'evictions: *1' && exit 0; sleep 0.5; done;"
              " lctl get_param 'osc.lull-OST0000-*.stats'; exit 1", timeout=180)
    fs.umount_clients()
    fs.mount_clients()  # and count anew


# ---- bad input: what it says, and that nothing is left behind

def fails(node, command, *words, timeout=120):
    result = node.run(command, check=False, timeout=timeout)
    assert result.rc != 0, f"{command} succeeded"
    for word in words:
        assert word.lower() in result.out.lower(), f"{command} says: {result.out}"


def test_bad_mounts_say_why(fs):
    client, server = fs.clients[0], fs.server("OST0000")
    client.run("mkdir -p /mnt/bad")
    fails(client, f"mount -t lull {fs.mgs_nids}:/nosuchfs /mnt/bad", "nosuchfs")
    fails(client, "mount -t lull 10.0.0.250@tcp:/lull /mnt/bad", "10.0.0.250", timeout=180)
    fails(client, "mount -t lull nonsense:/lull /mnt/bad", "host name \"nonsense\"")
    fails(client, "mount -t lull 10.0.0.300@tcp:/lull /mnt/bad", "10.0.0.300 is not the address of a host")
    fails(client, f"mount -t lull mds1@tcp:mds2:/{lullfs.FSNAME}/ {lullfs.MOUNT}", "busy")  # fstab says so, and it is mounted
    fails(client, f"mount -t lull -o nonsense {fs.mgs_nids}:/lull /mnt/bad", "nonsense")
    fails(server, "mkdir -p /mnt/bad; mount -t lull /dev/null /mnt/bad", "not a block device")
    fails(server, "mount -t lull /dev/lab/ost0 /mnt/bad", "in use")  # started already
    fails(fs.cluster["mds2"], "mkdir -p /mnt/bad; mount -t lull /dev/lab/mdt /mnt/bad", "in use", timeout=180)  # by the partner
    fails(server, "truncate -s 64M /tmp/img; mke2fs -q /tmp/img; modprobe loop; d=$(losetup -f --show /tmp/img);"
                  " mount -t lull $d /mnt/bad; rc=$?; losetup -d $d; exit $rc", "mkfs.lull")


def test_tools_refuse_nonsense(fs):
    node = fs.server("OST0000")
    fails(node, "lctl get_param no.such.param", "no.such.param")
    fails(node, "lctl set_param obdfilter.lull-OST0000.instance=5", "read-only")
    fails(node, "lctl set_param obdfilter.lull-OST0000.controlled_shutdown=maybe", "invalid")
    fails(node, "lctl ping 10.0.0.250@tcp")
    fails(node, "mkfs.lull --ost --index 0 --mgsnode 10.0.0.1@tcp /dev/lab/ost0", "in use")
    mgs = fs.server("MDT0000")
    fails(mgs, "lctl del_ost lull-OST0000", "the MDT has been connected to it")
    fails(mgs, "lctl del_ost --force lull-OST0000", "it is active")
    fails(mgs, "lctl del_ost lull-OST0099", "no such OST is registered")
    fails(fs.clients[0], "lctl del_ost lull-OST0000", "the MGS does not run on this node")
    node.run("lctl ping 10.0.0.1@tcp && lctl dl | grep obdfilter && lctl list_param 'obdfilter.*.recovery*'")


def test_random_bytes_at_the_port(fs):
    fs.clients[0].run(f"""/usr/bin/python3 - <<'END'
import os, socket
for size in (1, 31, 32, 33, 100, 5000, 300000):
    for _ in range(5):
        s = socket.create_connection(("{fs.server('MDT0000').address}", 988), timeout=10)
        try:
            s.sendall(os.urandom(size))
            s.shutdown(socket.SHUT_WR)
            while s.recv(4096): pass
        except OSError:
            pass
        s.close()
END
ls {lullfs.MOUNT} > /dev/null""", timeout=120)


def test_unclean_target_of_another_version_does_not_start(fs):
    """A4, invariant 7."""
    fs.server("MDT0000").kill()
    node = fs.server("MDT0000")
    node.start()
    fs.install(node, protocol_max=1)
    fails(node, f"mkdir -p /mnt/mdt; mount -t lull /dev/lab/mdt /mnt/mdt", "force", timeout=180)
    fs.unload(node)
    fs.install(node, protocol_max=2)
    fs.start_target("MDT0000")
    fs.clients[0].run(f"ls {lullfs.MOUNT} >/dev/null", timeout=240)
    assert fs.total("evictions") == 0


def test_namespace_can_be_read_from_the_device_alone(fs):
    fs.clients[0].run(f"mkdir -p {lullfs.MOUNT}/plain/sub; echo x > {lullfs.MOUNT}/plain/sub/file; ln -s t {lullfs.MOUNT}/plain/link; sync")
    fs.shutdown("MDT0000")
    fs.umount_target("MDT0000")
    node = fs.server("MDT0000")
    node.run("mount -o ro /dev/lab/mdt /mnt/mdt; find /mnt/mdt/ROOT/plain | sort; umount /mnt/mdt")
    fs.start_target("MDT0000")
    fs.clients[0].run(f"cat {lullfs.MOUNT}/plain/sub/file", timeout=120)
