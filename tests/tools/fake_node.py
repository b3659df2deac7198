#!/usr/bin/python3 -SE
# SPDX-License-Identifier: GPL-2.0-only
"""A node of a cluster that is a JSON file: what "lull upgrade" runs on a server, under its name in the PATH.

    env PATH=BIN:$PATH FAKE_CLUSTER=FILE FAKE_NODE=mds1 sh -c COMMAND

The file: disks (name → label, uuid), nodes (address, devices: path → disk, mounts: directory → path), states (label → state of the
controlled shutdown), mgs (what it lists), removed (so, too; an older one has none), and "hold": words of a command that waits until the file FILE.go is there, and fails then if it
says so. Each command is noted in FILE.log.
"""

import fcntl
import json
import os
import sys
import time

FILE = os.environ["FAKE_CLUSTER"]
NODE = os.environ["FAKE_NODE"]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class Failed(Exception):
    pass


def disk_of(c, path):
    if path not in c["nodes"][NODE]["devices"]:
        raise Failed(f"{path}: not a block device")
    return c["disks"][c["nodes"][NODE]["devices"][path]]


def mounted(c, label):
    return next((n for n, node in c["nodes"].items() for dev in node["mounts"].values() if c["disks"][node["devices"][dev]]["label"] == label), None)


def cat(c, words):
    assert words == ["/proc/mounts"], words
    yield "proc /proc proc rw 0 0"
    for directory, device in c["nodes"][NODE]["mounts"].items():
        label = disk_of(c, device)["label"]
        options = "rw,mgs" if label == "MGS" else f"rw,mgs,svname={label}" if "MDT" in label else f"rw,svname={label}"
        yield f"{device} {directory} lull {options} 0 0"


def hostname(c, _words):
    yield c["nodes"][NODE]["address"] + " "


def lsblk(c, words):
    paths = words[2:] if words[1:2] == ["NAME"] else c["nodes"][NODE]["devices"]
    for path in paths:
        disk_of(c, path)
        yield f"{path} {path}"


def blkid(c, words):
    disk = disk_of(c, words[-1])
    yield disk["label" if "LABEL" in words else "uuid"]


def mount(c, words):
    device, directory = words[-2:]
    label = disk_of(c, device)["label"]
    if mounted(c, label):
        raise Failed(f"{label} is in use")
    c["nodes"][NODE]["mounts"][directory] = device
    c["states"][label] = "running"
    return ()


def umount(c, words):
    del c["nodes"][NODE]["mounts"][words[-1]]
    return ()


def e2mmpstatus(c, words):
    if disk_of(c, words[-1]).get("in_use"):
        yield "MMP: is currently active"


def lctl(c, words):
    if words[0] == "wait_param":
        label = words[-2].split(".")[1]
        if c["states"][label] != words[-1]:
            raise Failed("not in time")
        return
    name, _, value = words[-1].partition("=")
    if name == "mgs.MGS.targets":
        if not any("MDT" in disk_of(c, d)["label"] or disk_of(c, d)["label"] == "MGS" for d in c["nodes"][NODE]["mounts"].values()):
            raise Failed("no such parameter on this node")
        yield from c["mgs"]
        return
    if name == "mgs.MGS.del_ost" and c.get("removed") is not None:
        yield from c["removed"]
        return
    _, label, what = name.split(".")
    if mounted(c, label) != NODE:
        raise Failed("no such parameter on this node")
    if words[0] == "set_param":
        c["states"][label] = {"1": c.get("shutdown", "halted"), "0": "running"}[value]
    elif what == "controlled_shutdown":
        yield c["states"][label]
    elif what == "controlled_shutdown_status":
        yield f"state: {c['states'][label]}\nclients_drained: 1\nclients_told: 2\nclients_late: 0\nphases_ms: drain 1 commit 2"
    elif what == "recovery_status":
        yield "status: COMPLETE"
    elif what == "num_exports":
        yield "2"
    else:
        yield f"{what} of {label}"


def debugfs(_c, _words):
    yield "mgsnode=10.0.0.1@tcp:10.0.0.2@tcp"


def findmnt(c, _words):
    yield from c["nodes"][NODE].get("fstab", [])


def main():
    name, words = os.path.basename(sys.argv[0]), sys.argv[1:]
    with open(f"{FILE}.log", "a") as log:
        log.write(f"{NODE}: {name} {' '.join(words)}\n")
    go = f"{FILE}.go"
    hold = json.loads(read(FILE)).get("hold")
    if hold and f"{NODE}: {name} {' '.join(words)}".startswith(hold):
        while not os.path.exists(go):
            time.sleep(0.02)
        if read(go) == "fail":
            print("the node has died", file=sys.stderr)
            return 255
    try:
        with open(f"{FILE}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = read(FILE)
            c = json.loads(before)
            for line in globals()[name](c, words):
                print(line)
            if json.loads(before) != c:
                with open(f"{FILE}.new", "w", encoding="utf-8") as f:
                    f.write(json.dumps(c, indent=1))
                os.rename(f"{FILE}.new", FILE)
    except Failed as failed:
        print(f"{name}: {failed}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
