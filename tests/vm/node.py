# SPDX-License-Identifier: GPL-2.0-only
"""A guest of a cluster."""

import os
import re
import select
import shutil
import signal
import socket
import subprocess
import termios
import threading
import tty
from dataclasses import dataclass, field

from console import TROUBLE, TROUBLE_CONTEXT_LINES
from guest_image import CHECKOUT, Kernel, parse_size, tsc_khz
from lab_errors import CommandFailed, CommandTimeout, LabError, NodeDown
from session import Session
from spawner import spawner

BOOT_DEADLINE_S = 150
BOOT_ATTEMPTS = 3
MTU_BYTES = 16000
SERVER_MEMORY = "512M"
CLIENT_MEMORY = "768M"
LEAK_SCAN_DEADLINE_S = 300
DEBUG_PATIENCE = 5  # how much longer than another a debug kernel may take


@dataclass
class NodeSpec:
    """A guest. Nodes that name the same disk share it; kernel and mem default to the cluster's."""

    name: str
    disks: list = field(default_factory=list)
    kernel: str = None
    mem: str = None
    cpus: int = 1
    sysctl: dict = field(default_factory=dict)
    append: str = ""


class Node:
    """A guest of a cluster: running or not, with the same disks and address all its lives."""

    def __init__(self, cluster, spec, number):
        self.cluster = cluster
        self.spec = spec
        self.name = spec.name
        self.number = number
        self.address = f"10.0.0.{number}"
        self.console = cluster.outdir / f"{spec.name}.console"
        self._checked_bytes = 0
        self._qemu = None
        self._session = None
        self._meant_to_run = False
        self._lock = threading.RLock()

    def __repr__(self):
        return f"<Node {self.name} {self.address}>"

    # Life.

    def start(self, kernel=None, wait=True):
        """Powers it on (with another kernel, if given) and waits until it is up."""
        with self._lock:
            if self._qemu and self._qemu.poll() is None:
                raise LabError(f"{self.name} is running")
            if kernel:
                self.spec.kernel = kernel
            self._power_on()
        if wait:
            self.wait_up()
        return self

    def _power_on(self):
        run = self.cluster.rundir
        kernel = Kernel.get(self.spec.kernel or self.cluster.kernel)
        initrd = run / f"{self.name}.initrd"
        initrd.write_bytes(kernel.initramfs(self._config(kernel)))
        agent = run / f"{self.name}.agent"
        agent.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(agent))
        listener.listen(1)
        self._session = Session(self.name, listener)
        self._meant_to_run = True
        with open(self.cluster.outdir / f"{self.name}.qemu", "a") as log:
            argv = self._qemu_argv(kernel, initrd, agent)
            self._qemu = spawner.popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        threading.Thread(target=self._watch, args=(self._qemu, self._session), daemon=True).start()

    def _watch(self, qemu, session):
        qemu.wait()
        session.end(f"{self.name} is down")

    def _config(self, kernel):
        yield f"hostname {self.name}"
        yield f"address {self.address}"
        yield f"mtu {MTU_BYTES}"
        yield f"kver {kernel.version}"
        yield f"moddir {kernel.moddir}"
        yield f"checkout {CHECKOUT}"
        for node in self.cluster:
            yield f"host {node.address} {node.name}"
        for disk in self.spec.disks:
            yield f"disk {disk}"
        for name, value in self.spec.sysctl.items():
            yield f"sysctl {name.replace('.', '/')} {value}"

    def _memory(self, kernel):
        default = CLIENT_MEMORY if self.name.startswith("cl") or kernel.checks else SERVER_MEMORY
        return parse_size(self.spec.mem or self.cluster.mem or default) >> 20

    def _qemu_argv(self, kernel, initrd, agent):
        append = [
            "console=ttyS0", "quiet", "loglevel=5", "panic=-1", "oops=panic", "mitigations=off",
            "ipv6.disable=1", "tsc=reliable", f"tsc_early_khz={tsc_khz()}", "no_timer_check",
            "random.trust_cpu=on", "watchdog_thresh=60", "lsm=capability", "audit=0",
            *kernel.append, self.spec.append,
        ]
        argv = [
            "qemu-system-x86_64", "-name", self.name, "-nodefaults", "-no-user-config",
            "-display", "none", "-no-reboot", "-rtc", "base=utc",
            "-machine", "pc,hpet=off", "-accel", "tcg,thread=multi", "-cpu", "max",
            "-smp", str(self.spec.cpus), "-m", str(self._memory(kernel)),
            "-kernel", str(kernel.image), "-initrd", str(initrd), "-append", " ".join(append),
            "-chardev", f"file,id=console,path={self.console},append=on",
            "-serial", "chardev:console",
            "-chardev", f"socket,id=agent,path={agent}", "-device", "virtio-serial-pci",
            "-device", "virtserialport,chardev=agent,name=lull.agent",
            "-netdev", f"stream,id=net,server=off,addr.type=unix,addr.path={self._net_path()}",
            "-device", f"virtio-net-pci,netdev=net,romfile=,mac=52:54:00:00:00:{self.number:02x}",
        ]
        for tag, path, writable in [("root", "/", False), ("checkout", CHECKOUT, False),
                                    ("lab", self.cluster.outdir, True)]:
            options = f"local,id={tag},path={path},security_model=none,multidevs=remap"
            argv += ["-fsdev", options + ("" if writable else ",readonly=on"),
                     "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        for disk in self.spec.disks:
            # What a guest flushed is in the host's memory, and stays there when the guest dies.
            argv += ["-drive", f"file={self.cluster.disk_path(disk)},format=raw,if=none,"
                     f"id=disk-{disk},cache=unsafe,file.locking=off,discard=unmap",
                     "-device", f"virtio-blk-pci,drive=disk-{disk},serial={disk}"]
        return argv

    def _net_path(self):
        return self.cluster.rundir / f"{self.name}.net"

    def wait_up(self):
        """Waits until it takes commands.

        A boot that hangs or ends is tried again: an emulated machine now and then loses a device, before anything of Lull is in it.
        """
        attempts = 1
        while not (self._session and self._session.wait_hello(BOOT_DEADLINE_S)):
            ended = self._session and self._session.over
            why = f"{self.name} " + ("ended while booting" if ended else f"is not up after {BOOT_DEADLINE_S} s")
            tail = "\n".join(self._console_text().splitlines()[-15:])
            why += f"; {self.console} ends with:\n{tail}\n" + (self.cluster.outdir / f"{self.name}.qemu").read_text()[-1000:]
            if attempts == BOOT_ATTEMPTS or not self._meant_to_run:
                raise NodeDown(why)
            print(f"started again: {why}", flush=True)
            attempts += 1
            self.kill()
            self.forgive()
            self.start(wait=False)
        return self

    def wait_down(self, deadline=60):
        """Waits until it has ended by itself (a poweroff, say, or a panic the test asked for)."""
        try:
            self._qemu.wait(deadline)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} still runs after {deadline} s") from None
        self._meant_to_run = False

    @property
    def patience(self):
        return DEBUG_PATIENCE if Kernel.get(self.spec.kernel or self.cluster.kernel).checks else 1

    @property
    def up(self):
        return bool(self._session and self._session.up)

    @property
    def running(self):
        return bool(self._qemu and self._qemu.poll() is None)

    @property
    def kernel_version(self):
        return self._session.kernel_version if self._session else None

    def kill(self):
        """Power cut. What the guest had not written to its disks is gone."""
        with self._lock:
            self._meant_to_run = False
            if self._qemu:
                self._qemu.kill()
                self._qemu.wait()
            if self._session:
                self._session.end(f"{self.name} is down")

    def restart(self, kernel=None):
        """Power cut, and on again."""
        self.kill()
        return self.start(kernel)

    def pause(self):
        """Stops its clock and everything else: a node that hangs."""
        self._qemu.send_signal(signal.SIGSTOP)

    def resume(self):
        self._qemu.send_signal(signal.SIGCONT)

    # Network.

    def cut(self):
        self.cluster.hub.command(f"cut {self.name}")

    def heal(self):
        self.cluster.hub.command(f"heal {self.name}")

    # Commands.

    def popen(self, command, stdin=False):
        """Starts a shell command, returns its Process; with stdin=True its input stays open."""
        session = self._session
        if not session:
            raise NodeDown(f"{self.name} was never started")
        process = session.start(command)
        if not stdin:
            process.close_input()
        return process

    def run(self, command, timeout=60, check=True, stdin=None):
        """Runs a shell command to its end.

        Raises CommandFailed (if check), CommandTimeout (it is killed then), NodeDown. A debug kernel gets more time.
        """
        process = self.popen(command, stdin=stdin is not None)
        if stdin is not None:
            if stdin:
                process.write(stdin)
            process.close_input()
        try:
            completed = process.wait(timeout * self.patience)
        except CommandTimeout:
            process.kill()
            raise
        if check and completed.rc != 0:
            raise CommandFailed(self.name, command, completed)
        return completed

    def interact(self, command="bash -i"):
        """Joins this terminal to a command in the guest, until it ends; returns its exit status."""
        size = shutil.get_terminal_size()
        term = re.sub(r"[^\w.+-]", "", os.environ.get("TERM", "dumb"))
        process = self._session.start(f"export TERM={term}; exec {command}", pty=size)

        def show(data):
            os.write(1, data)

        def resize(*_):
            now = shutil.get_terminal_size()
            process.resize(now.lines, now.columns)

        with process._changed:
            process._sink = show
            show(b"".join(process._chunks))
        wake, woken = os.pipe()
        resized = signal.signal(signal.SIGWINCH, resize)
        saved = termios.tcgetattr(0) if os.isatty(0) else None
        threading.Thread(target=_wake_at_end, args=(process, woken), daemon=True).start()
        try:
            if saved:
                tty.setraw(0)
            _copy_input(process, wake)
        finally:
            if saved:
                termios.tcsetattr(0, termios.TCSADRAIN, saved)
            signal.signal(signal.SIGWINCH, resized)
            os.close(wake)
        return process.poll()

    # Console.

    def _console_text(self, start=0):
        if not self.console.exists():
            return ""
        with open(self.console, "rb") as file:
            file.seek(start)
            return file.read().decode("utf-8", "replace").replace("\r", "")

    def forgive(self):
        """What the console has shown so far was expected: check_logs looks at what follows."""
        self._checked_bytes = self.console.stat().st_size if self.console.exists() else 0

    def trouble(self, allow=()):
        """The console's first line that looks like kernel trouble and what follows; or None."""
        lines = self._console_text(self._checked_bytes).splitlines()
        allowed = [re.compile(pattern) for pattern in allow]
        for at, line in enumerate(lines):
            if TROUBLE.search(line) and not any(pattern.search(line) for pattern in allowed):
                return "\n".join(lines[max(0, at - 2):at + TROUBLE_CONTEXT_LINES])
        if self._meant_to_run and self._qemu and self._qemu.poll() is not None:
            return "ended by itself\n" + "\n".join(lines[-15:])
        return None

    def check_leaks(self):
        """On a debug kernel: two kmemleak scans; LabError with what they found."""
        path = "/sys/kernel/debug/kmemleak"
        # kmemleak does not report what is younger than five seconds.
        found = self.run(f"test -e {path} || exit 0; sleep 5; echo scan > {path}; "
                         f"echo scan > {path}; cat {path}", timeout=LEAK_SCAN_DEADLINE_S)
        if found.out.strip():
            raise LabError(f"{self.name}: kmemleak found\n{found.out}")


def _wake_at_end(process, fd):
    with process._changed:
        process._changed.wait_for(process._ended)
    os.close(fd)


def _copy_input(process, wake):
    watched = [0, wake]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if wake in ready:
            return
        data = os.read(0, 4096)
        if data:
            process.write(data)
        else:
            # The end of piped input: a terminal says so with ^D.
            process.write(b"\x04")
            watched = [wake]
