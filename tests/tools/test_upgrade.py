# SPDX-License-Identifier: GPL-2.0-only
"""lull upgrade on a cluster of paper (fake_node.py): administrators' mistakes, interrupts at any moment, what comes after them."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
LULL = HERE.parents[1] / "build" / "utils" / "lull"
COMMANDS = "cat hostname lsblk blkid mount umount e2mmpstatus lctl debugfs findmnt".split()


class Paper:
    def __init__(self, folder):
        self.file = folder / "cluster.json"
        self.bin = folder / "bin"
        self.bin.mkdir()
        for command in COMMANDS:
            (self.bin / command).symlink_to(HERE / "fake_node.py")
        pair = "10.0.0.1@tcp:10.0.0.2@tcp"
        self.write({
            "disks": {"mdt": {"label": "lull-MDT0000", "uuid": "u-mdt"}, "ost0": {"label": "lull-OST0000", "uuid": "u-ost0"},
                      "ost1": {"label": "lull-OST0001", "uuid": "u-ost1"}, "other": {"label": "else-MDT0000", "uuid": "u-else"},
                      "home": {"label": "home", "uuid": "u-home"}},
            "nodes": {"mds1": {"address": "10.0.0.1", "devices": {"/dev/vda": "mdt"}, "mounts": {"/mnt/mdt": "/dev/vda"}},
                      "mds2": {"address": "10.0.0.2", "devices": {"/dev/vda": "other", "/dev/vdb": "mdt"}, "mounts": {}},
                      "oss1": {"address": "10.0.0.3", "devices": {"/dev/vda": "ost0", "/dev/vdb": "ost1", "/dev/vdc": "home"},
                               "mounts": {"/mnt/ost0": "/dev/vda", "/mnt/ost1": "/dev/vdb"}}},
            "states": {"lull-MDT0000": "running", "lull-OST0000": "running", "lull-OST0001": "running"},
            "mgs": [f"lull-MDT0000 uuid=x nids={pair} at=10.0.0.1@tcp instance=1",
                    "lull-OST0000 uuid=x nids=10.0.0.3@tcp at=10.0.0.3@tcp instance=1",
                    "lull-OST0001 uuid=x nids=10.0.0.3@tcp at=10.0.0.3@tcp instance=1"]})

    def read(self):
        return json.loads(self.file.read_text())

    def write(self, state):
        new = Path(f"{self.file}.new")
        new.write_text(json.dumps(state))
        new.rename(self.file)

    def change(self, **what):
        self.write({**self.read(), **what})

    def log(self):
        log = Path(f"{self.file}.log")
        return log.read_text().splitlines() if log.exists() else []

    def go(self, how=""):
        Path(f"{self.file}.go").write_text(how)

    def where(self):
        """label → node, of all that runs."""
        c = self.read()
        return {c["disks"][n["devices"][d]]["label"]: name for name, n in c["nodes"].items() for d in n["mounts"].values()
                if c["states"][c["disks"][n["devices"][d]]["label"]] == "running"}

    def start(self, *words, servers="mds1,oss1"):
        remote = f"env PATH={self.bin}:{os.environ['PATH']} FAKE_CLUSTER={self.file} FAKE_NODE={{node}} sh -c"
        return subprocess.Popen([LULL, "upgrade", "--servers", servers, "--partner", "mds1=mds2", "--remote", remote, *words],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def upgrade(self, *words, servers="mds1,oss1"):
        process = self.start(*words, servers=servers)
        out = process.communicate(timeout=120)[0]
        return process.returncode, out

    def status(self, servers="mds1,oss1"):
        remote = f"env PATH={self.bin}:{os.environ['PATH']} FAKE_CLUSTER={self.file} FAKE_NODE={{node}} sh -c"
        done = subprocess.run([LULL, "status", "--servers", servers, "--partner", "mds1=mds2", "--remote", remote],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
        return done.returncode, done.stdout

    def wait_log(self, line):
        end = time.monotonic() + 60
        while not any(entry.startswith(line) for entry in self.log()):
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)

    def changed(self):
        """What was done that is more than a look."""
        return [entry for entry in self.log() if entry.split()[1] in ("mount", "umount") or "set_param" in entry]


@pytest.fixture
def paper(tmp_path):
    return Paper(tmp_path)


ALL = {"lull-MDT0000": "mds1", "lull-OST0000": "oss1", "lull-OST0001": "oss1"}


def test_everything_is_upgraded_and_runs(paper):
    """B6 A2: the partner has the disk under another name, and another one under this."""
    rc, out = paper.upgrade("--replace", "true")
    assert rc == 0, out
    assert "lull-MDT0000 is /dev/vdb there" in out and "mds2: mount -t lull /dev/vdb /mnt/mdt" in paper.log(), out
    assert paper.where() == ALL


def test_a_partner_without_the_disk_is_found_before_anything_is_halted(paper):
    state = paper.read()
    state["nodes"]["mds2"]["devices"] = {"/dev/vda": "other"}
    paper.write(state)
    rc, out = paper.upgrade()
    assert rc == 1 and "lull-MDT0000 on mds2: no block device there has its uuid u-mdt" in out, out
    assert not paper.changed()


def test_a_disk_of_the_same_label_is_not_the_same_disk(paper):
    state = paper.read()
    state["disks"]["other"] = {"label": "lull-MDT0000", "uuid": "u-copy"}
    paper.write(state)
    rc, out = paper.upgrade("--device", "lull-MDT0000@mds2=/dev/vda")
    assert rc == 1 and "/dev/vda on mds2 is not the disk of lull-MDT0000: it holds another lull-MDT0000, of uuid u-copy" in out, out
    assert not paper.changed()
    assert paper.upgrade("--replace", "true")[0] == 0
    assert "mds2: mount -t lull /dev/vdb /mnt/mdt" in paper.log()


def test_a_path_that_leads_elsewhere_after_a_reboot(paper):
    """The exchange of the software reboots the server, say, and its disks change places."""
    swap = paper.file.parent / "swap.py"
    swap.write_text(f"""import json
c = json.load(open({str(paper.file)!r}))
c["nodes"]["oss1"]["devices"] = {{"/dev/vda": "home", "/dev/vdb": "ost0", "/dev/vdc": "ost1"}}
json.dump(c, open({str(paper.file)!r}, "w"))
""")
    rc, out = paper.upgrade("--replace", f"[ {{node}} != oss1 ] || /usr/bin/python3 {swap}")
    assert rc == 0 and paper.where() == ALL, out
    assert paper.read()["nodes"]["oss1"]["mounts"] == {"/mnt/ost0": "/dev/vdb", "/mnt/ost1": "/dev/vdc"}


def test_nothing_is_looked_for_while_a_target_is_down(paper):
    """Between the halt and the mount every command counts."""
    assert paper.upgrade("--replace", "true")[0] == 0
    log = paper.log()
    for down, up in (("mds1: umount /mnt/mdt", "mds2: mount"), ("oss1: umount /mnt/ost0", "oss1: mount")):
        begin = log.index(down)
        end = next(i for i in range(begin, len(log)) if log[i].startswith(up))
        between = [entry.split()[1] for entry in log[begin + 1:end]]
        assert "lsblk" not in between and between.count("blkid") == 1, between


def test_several_paths_to_a_disk_are_asked_about(paper):
    state = paper.read()
    state["nodes"]["mds2"]["devices"]["/dev/vdc"] = "mdt"
    paper.write(state)
    rc, out = paper.upgrade()
    assert rc == 1 and "--device lull-MDT0000@mds2=PATH" in out and not paper.changed(), out
    assert paper.upgrade("--device", "lull-MDT0000@mds2=/dev/vdc")[0] == 0
    assert "mds2: mount -t lull /dev/vdc /mnt/mdt" in paper.log()
    rc, out = paper.upgrade("--device", "lull-MDT0000@mds2=/dev/vdz")
    assert rc == 1 and "/dev/vdz" in out, out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_while_clients_let_go_takes_the_shutdown_back(paper, number):
    paper.change(shutdown="draining")
    process = paper.start()
    paper.wait_log("mds1: lctl set_param -n mdt.lull-MDT0000.controlled_shutdown=1")
    process.send_signal(number)
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 1 and "interrupted" in out and "its shutdown was cancelled" in out, out
    assert paper.where() == ALL and " is down" not in out


@pytest.mark.parametrize("hold", ["oss1: umount /mnt/ost0", "mds2: mount", "mds1: umount", "oss1: umount /mnt/ost1"])
def test_an_interrupt_elsewhere_leaves_nothing_down(paper, hold):
    paper.change(hold=hold)
    process = paper.start("--replace", "true")
    paper.wait_log(hold)
    process.send_signal(signal.SIGINT)
    paper.go()
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 1 and "lull: stopped: interrupted" in out, out
    expected = {**ALL, "lull-MDT0000": "mds2"} if hold.startswith("mds") else ALL
    assert paper.where() == expected and " is down" not in out, out


def test_the_second_interrupt_tells_what_is_down_and_the_next_upgrade_sees_it(paper):
    paper.change(hold="oss1: mount")
    process = paper.start("--replace", "true")
    paper.wait_log("oss1: mount")
    process.send_signal(signal.SIGINT)
    out = ""
    while "once more" not in out:  # two that come at once are one
        out += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out += process.communicate(timeout=60)[0]
    assert process.returncode == 1, out
    assert "lull-OST0000 is down; it comes back on oss1 by: env PATH=" in out and "mount -t lull /dev/vda /mnt/ost0" in out, out
    before = len(paper.changed())
    paper.change(hold=None)
    rc, out = paper.upgrade()
    assert rc == 1 and "lull-OST0000 runs nowhere, its disk is /dev/vda on oss1" in out and "--resume" in out, out
    assert len(paper.changed()) == before
    state = paper.read()
    state["nodes"]["oss1"]["fstab"] = ["/dev/vda /mnt/ost0"]
    paper.write(state)
    rc, out = paper.upgrade("--resume", "--replace", "true")
    assert rc == 0 and "it is started there" in out, out
    assert paper.where() == ALL and "/mnt/ost0" in paper.read()["nodes"]["oss1"]["mounts"]


def test_what_brings_it_back_can_be_pasted(paper):
    paper.change(hold="oss1: mount")
    process = paper.start("--replace", "true")
    paper.wait_log("oss1: mount")
    paper.go("fail")
    out = process.communicate(timeout=60)[0]
    lines = [line for line in out.splitlines() if " is down; it comes back on oss1 by: " in line]
    assert process.returncode == 1 and len(lines) == 2, out
    paper.change(hold=None)
    for line in lines:
        command = line.split(" by: ", 1)[1].replace("mkdir -p /mnt/ost", "true /mnt/ost")
        subprocess.run(command, shell=True, check=True, timeout=60)
    assert paper.where() == ALL


def test_an_upgrade_that_died_is_finished(paper):
    """Killed with the MDT halted, or at its partner; the MGS is down in the first case and tells nothing."""
    paper.change(hold="mds1: umount")
    process = paper.start("--replace", "true")
    paper.wait_log("mds1: umount")
    process.kill()
    paper.go("fail")
    process.communicate(timeout=60)
    paper.change(hold=None)
    rc, out = paper.upgrade()
    assert rc == 1 and "lull-MDT0000 on mds1 is halted, not running" in out and "--resume" in out, out
    assert "it serves again by: " in out and "umount /mnt/mdt" in out, out
    rc, out = paper.upgrade("--resume", "--replace", "true")
    assert rc == 0 and paper.where() == ALL, out


def test_a_target_left_at_the_partner_comes_home(paper):
    state = paper.read()
    state["nodes"]["mds1"]["mounts"], state["nodes"]["mds2"]["mounts"] = {}, {"/mnt/mdt": "/dev/vdb"}
    paper.write(state)
    rc, out = paper.upgrade("--resume", "--replace", "true")
    assert rc == 0 and paper.where() == ALL, out
    assert "mds1: mount -t lull /dev/vda /mnt/mdt" in paper.log()


def test_no_mgs_to_ask_and_a_target_nowhere(paper):
    """The MGS is the one that is down: the label of its disk tells."""
    state = paper.read()
    state["nodes"]["mds1"]["mounts"] = {}
    paper.write(state)
    rc, out = paper.upgrade(servers="mds1")
    assert rc == 1 and "MGS could not be asked" in out and "lull-MDT0000 runs nowhere" in out, out
    assert not paper.changed()


def test_an_inactive_ost_is_said_and_not_missed(paper):
    state = paper.read()
    del state["nodes"]["oss1"]["mounts"]["/mnt/ost1"]
    state["mgs"][2] += " active=0"
    paper.write(state)
    rc, out = paper.upgrade("--replace", "true")
    assert rc == 0 and "lull-OST0001: inactive" in out, out


def test_status_says_what_runs_where(paper):
    rc, out = paper.status()
    assert rc == 0 and "lull-MDT0000: running on mds1, /mnt/mdt" in out and "lull-OST0001: running on oss1, /mnt/ost1" in out, out
    assert not paper.changed()
    state = paper.read()
    state["states"]["lull-OST0000"] = "halted"
    paper.write(state)
    rc, out = paper.status()
    assert rc == 1 and "lull-OST0000: halted on oss1" in out, out


def test_status_does_not_miss_an_inactive_ost_but_one_that_is_nowhere(paper):
    state = paper.read()
    del state["nodes"]["oss1"]["mounts"]["/mnt/ost1"]
    paper.write(state)
    rc, out = paper.status()
    assert rc == 1 and "lull-OST0001: runs nowhere" in out, out
    state["mgs"][2] += " active=0"
    paper.write(state)
    rc, out = paper.status()
    assert rc == 0 and "lull-OST0001: inactive" in out and "nowhere" not in out, out


def test_status_without_an_mgs_is_not_well(paper):
    state = paper.read()
    state["nodes"]["mds1"]["mounts"] = {}
    paper.write(state)
    rc, out = paper.status(servers="oss1")
    assert rc == 1 and "MGS could not be asked" in out, out


def remove_ost1(paper, mounted):
    state = paper.read()
    if not mounted:
        del state["nodes"]["oss1"]["mounts"]["/mnt/ost1"]
    del state["mgs"][2]
    state["removed"] = ["lull-OST0001 uuid=u-ost1"]
    paper.write(state)


def test_a_removed_ost_is_said_and_not_missed(paper):
    remove_ost1(paper, False)
    for rc, out in paper.status(), paper.upgrade("--replace", "true"):
        assert rc == 0 and "lull-OST0001: removed from the file system" in out and "still mounted" not in out, out


def test_a_removed_ost_that_is_mounted_stops_an_upgrade(paper):
    """It could not be mounted again."""
    remove_ost1(paper, True)
    rc, out = paper.status()
    assert rc == 0 and "lull-OST0001: removed from the file system (lctl del_ost), and still mounted: umount it" in out, out
    rc, out = paper.upgrade("--replace", "true")
    assert rc == 1 and "lull-OST0001 on oss1 was removed from the file system" in out and "umount /mnt/ost1 there first" in out, out
    assert not paper.changed()


def test_a_target_in_use_elsewhere_is_not_missed(paper):
    state = paper.read()
    del state["nodes"]["oss1"]["mounts"]["/mnt/ost1"]
    state["disks"]["ost1"]["in_use"] = True
    paper.write(state)
    rc, out = paper.upgrade("--replace", "true")
    assert rc == 0 and "lull-OST0001: runs on another node" in out, out


def test_a_target_that_vanishes_meanwhile_is_no_success(paper):
    paper.change(hold="mds2: mount")
    process = paper.start("--replace", "true", servers="mds1")
    paper.wait_log("mds2: mount")
    state = paper.read()
    state["mgs"].append("lull-OST0002 uuid=x nids=10.0.0.1@tcp at=? instance=0")
    paper.write(state)
    paper.go()
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 1 and "these targets run nowhere: lull-OST0002" in out, out


def test_a_failing_exchange_starts_all_again(paper):
    rc, out = paper.upgrade("--replace", "false", servers="oss1")
    assert rc == 1 and "could not be exchanged" in out and "started again" in out, out
    assert paper.where() == ALL


def test_dry_run_changes_nothing(paper):
    rc, out = paper.upgrade("--dry-run")
    assert rc == 0 and "nothing was changed" in out and not paper.changed(), out
