# SPDX-License-Identifier: GPL-2.0-only
"""The differential exerciser (tests/posix) on the clients of a cluster: Lull and, beside it, ext4 on a disk of the first client."""

import shutil
import subprocess

import lullfs
from lab import CHECKOUT, LabError

DISK = "plain"  # client_disks=[DISK] of lullfs.cluster()
EXT4 = "/mnt/ext4"
PROGRAM = "/run/posix"  # in memory: what drops caches drops it otherwise, too
PORT = 7777


def build():
    made = subprocess.run(["make", "-s", "-j2", "VARIANT=fast", "build/user-fast/posix"], cwd=CHECKOUT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if made.returncode:
        raise LabError("the exerciser does not build:\n" + made.stdout[-4000:])
    return CHECKOUT / "build/user-fast/posix"


class Exerciser:
    """Brings the program to the guests, and starts it there."""

    def __init__(self, fs):
        self.fs = fs
        shutil.copy2(build(), fs.cluster.outdir / "posix")
        for client in fs.clients:
            client.run(f"cp /lab/posix {PROGRAM}")
        fs.clients[0].run(f"mkfs.ext4 -q -b 4096 /dev/lab/{DISK} && mkdir -p {EXT4} && mount -t ext4 /dev/lab/{DISK} {EXT4}")
        self.serving = None
        if len(fs.clients) > 1:
            self.serving = fs.clients[1].popen(f"{PROGRAM} --serve={PORT}")
            self.serving.wait_output("serving")

    def command(self, tag, clients=1, lull=None, options=""):
        shared = clients > 1 and self.serving and not lull  # the second process is on the second client
        lull = lull or f"{lullfs.MOUNT}/{tag}"
        remote = f"--remote={self.fs.clients[1].address}:{PORT}" if shared else ""
        return (f"mkdir -p {lull} {EXT4}/{tag} && {PROGRAM} --lull={lull} --ext4={EXT4}/{tag} "
                f"--clients={clients} {remote} {options}")

    def run(self, tag, timeout=600, check=True, **how):
        return self.fs.clients[0].run(self.command(tag, **how), timeout=timeout, check=check)

    def start(self, tag, **how):
        """Goes on until its standard input gets a line."""
        options = how.pop("options", "") + " --until-stdin --patience=400"
        return self.fs.clients[0].popen(self.command(tag, options=options, **how), stdin=True)

    def stop(self):
        """Nothing of it uses the file systems any more."""
        if self.serving:
            self.serving.kill()
            self.serving.wait(30)
        self.fs.clients[0].run(f"umount {EXT4}")
