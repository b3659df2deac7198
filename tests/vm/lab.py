#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The laboratory: a cluster of QEMU guests in a few lines.

    nodes = [NodeSpec("mds1", disks=["mdt"]), NodeSpec("mds2", disks=["mdt"]), NodeSpec("cl1")]
    with Cluster(nodes, disks={"mdt": "512M"}, kernel="6.1") as c:
        c["mds1"].run("lsblk /dev/lab/mdt")
        work = c["cl1"].popen("while :; do date; done")
        c["mds1"].kill()
        c["mds1"].start()

Everything raises LabError or one of its kinds. Leaving the with block checks every console for
kernel trouble, then ends the guests. README.md tells the rest.
"""

import atexit
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

from guest_image import (CHECKOUT, SETUP, Kernel, cache_dir, guest_program, hub_program,
                         parse_size)
from hub import Hub
from lab_errors import CommandFailed, CommandTimeout, LabError, NodeDown
from node import Node, NodeSpec
from session import Completed, Process

__all__ = [
    "CHECKOUT", "Cluster", "CommandFailed", "CommandTimeout", "Completed", "Kernel", "LabError",
    "Node", "NodeDown", "NodeSpec", "Process", "SETUP", "cache_dir",
]

DEFAULT_DISK = "512M"


def _sweep():
    """Removes the sockets and initramfs files of laboratories that were killed."""
    for path in Path(tempfile.gettempdir()).glob("lull-run-*-*"):
        pid = path.name.split("-")[2]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(path, ignore_errors=True)


class Cluster:
    """Guests on one network. Made from NodeSpecs (or just names); a mapping from name to Node.

    disks      sizes of the disks the nodes name (others have 512M); made empty at the start
    kernel     "6.1", "6.12" or "debug", for nodes that do not say
    mem        for nodes that do not say
    outdir     consoles, disks, and what guests see as /lab; by default a temporary directory
               that is kept only when something fails
    """

    def __init__(self, nodes, disks=None, kernel="6.1", mem=None, outdir=None):
        specs = [NodeSpec(n) if isinstance(n, str) else n for n in nodes]
        self.kernel = kernel
        self.mem = mem
        self._disks = dict(disks or {})
        self.hub = None
        self.nodes = {}
        self._check(specs)
        self._temporary = outdir is None
        self.outdir = Path(outdir or tempfile.mkdtemp(prefix="lull-lab-")).resolve()
        self.outdir.mkdir(parents=True, exist_ok=True)
        _sweep()
        self.rundir = Path(tempfile.mkdtemp(prefix=f"lull-run-{os.getpid()}-"))
        for number, spec in enumerate(specs, 1):
            self.nodes[spec.name] = Node(self, spec, number)
        atexit.register(self.close)

    @staticmethod
    def _check(specs):
        names = [spec.name for spec in specs]
        for name in names:
            if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name):
                raise LabError(f"node name '{name}': up to 31 small letters, digits or '-'")
            if names.count(name) > 1:
                raise LabError(f"two nodes are called {name}")
        for disk in {disk for spec in specs for disk in spec.disks}:
            if not re.fullmatch(r"[\w.-]{1,20}", disk):
                raise LabError(f"disk name '{disk}': 1 to 20 letters, digits, '.', '_' or '-'")

    def __getitem__(self, name):
        return self.nodes[name]

    def __iter__(self):
        return iter(self.nodes.values())

    def __len__(self):
        return len(self.nodes)

    def disk_path(self, disk):
        return self.outdir / "disks" / f"{disk}.raw"

    def start(self):
        """Makes the disks and the network, boots every node at once, waits for all."""
        (self.outdir / "disks").mkdir(exist_ok=True)
        for name in {disk for node in self for disk in node.spec.disks}:
            with open(self.disk_path(name), "wb") as file:
                file.truncate(parse_size(self._disks.get(name, DEFAULT_DISK)))
        self.hub = Hub(self.outdir / "hub.log")
        for node in self:
            node.console.unlink(missing_ok=True)
            self.hub.command(f"port {node.name} {self.rundir}/{node.name}.net")
        for node in self:
            node.start(wait=False)
        for node in self:
            node.wait_up()
        return self

    def close(self):
        """Ends every guest. Idempotent."""
        atexit.unregister(self.close)
        for node in self:
            node.kill()
        if self.hub:
            self.hub.close()
            self.hub = None
        shutil.rmtree(self.rundir, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException as error:
            self._leave(error)
            raise

    def __exit__(self, _kind, error, _traceback):
        self._leave(error)

    def _leave(self, error):
        trouble = None
        try:
            self.check_logs()
        except LabError as found:
            trouble = found
        self.close()
        if error is None and trouble is None:
            if self._temporary:
                shutil.rmtree(self.outdir, ignore_errors=True)
            return
        print(f"lab: consoles and disks are kept in {self.outdir}", file=sys.stderr)
        if error is None:
            raise trouble
        if trouble and isinstance(error, Exception):
            error.add_note(f"and on the consoles: {trouble}")

    def check_logs(self, allow=()):
        """LabError with node and lines if a console shows kernel trouble or a node ended by itself.
        `allow`: regular expressions of lines to overlook."""
        found = [(node.name, node.trouble(allow)) for node in self]
        found = [f"{name}: {text}" for name, text in found if text]
        if found:
            raise LabError("\n".join(found))

    # Network.

    def cut(self, a, b, oneway=False):
        """Nothing passes between two nodes (with oneway: from the first to the second)."""
        self.hub.command(f"cut {a} {b}" + (" oneway" if oneway else ""))

    def heal(self, a=None, b=None):
        """Undoes cut(a, b), or every cut there is."""
        self.hub.command(f"heal {a or ''} {b or ''}")

    def delay(self, ms, node=""):
        """Every frame to and from a node (or all) takes this long."""
        self.hub.command(f"delay {ms} {node}")

    def drop(self, permille, node=""):
        """So many of a thousand frames to and from a node (or all) are lost."""
        self.hub.command(f"drop {permille} {node}")

    # All at once.

    def run_all(self, command, nodes=None, timeout=60, check=True):
        """The same command on many nodes at once; a dictionary from name to Completed."""
        names = list(nodes or self.nodes)
        started = {name: self[name].popen(command) for name in names}
        results = {}
        for name, process in started.items():
            results[name] = process.wait(timeout)
            if check and results[name].rc != 0:
                raise CommandFailed(name, command, results[name])
        return results


if __name__ == "__main__":
    print(hub_program(), guest_program(), sep="\n")
