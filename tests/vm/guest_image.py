# SPDX-License-Identifier: GPL-2.0-only
"""What a guest is made of: a kernel out of the cache, an initramfs, the laboratory's programs."""

import fcntl
import functools
import lzma
import os
import stat
import struct
import subprocess
import threading
from pathlib import Path

from lab_errors import LabError

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
BUILD = CHECKOUT / "build" / "vm"
SETUP = CHECKOUT / "tests" / "setup"
BOOT_MODULES = [
    "virtio_pci", "virtio_console", "virtio_blk", "virtio_net", "9pnet_virtio", "9p", "overlay",
]


def cache_dir():
    return Path(os.environ.get("LULL_CACHE") or Path.home() / ".cache" / "lull")


class Locked:
    """An flock on a file, so that two laboratories do not build the same thing."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path

    def __enter__(self):
        self._file = open(self._path, "w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self._file.close()


def _build(name, sources, flags):
    """Compiles a user-space program of the laboratory into build/vm, unless it is there already."""
    target = BUILD / name
    inputs = [HERE / source for source in sources]
    with Locked(BUILD / "lock"):
        if target.exists() and all(target.stat().st_mtime > i.stat().st_mtime for i in inputs):
            return target
        made = BUILD / (name + ".tmp")
        argv = ["g++", "-std=c++20", "-O2", "-Wall", "-Wextra", "-Werror", *flags, "-o", str(made)]
        argv += [str(i) for i in inputs if i.suffix == ".cc"]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"{name} does not compile:\n{done.stderr}")
        made.rename(target)
    return target


def hub_program():
    return _build("hub", ["hub.cc"], [])


def guest_program():
    return _build("guest", ["agent.cc", "guest_init.cc", "guest.h"], ["-static", "-s"])


@functools.cache
def tsc_khz():
    return int(subprocess.run([hub_program(), "--tsc-khz"], capture_output=True, check=True).stdout)


class Kernel:
    """A kernel in the cache: "6.1", "6.12" or "debug"."""

    _known = {}
    _lock = threading.Lock()

    @classmethod
    def get(cls, name):
        with cls._lock:
            if name not in cls._known:
                cls._known[name] = cls(name)
            return cls._known[name]

    def __init__(self, name):
        self.name = name
        self.dir = cache_dir() / "kernels" / name
        env = self.dir / "env"
        if not env.exists():
            self._fetch()
        values = dict(line.split("=", 1) for line in env.read_text().split())
        self.version = values["KVER"]
        self.moddir = Path(values["MODDIR"])
        self.kdir = Path(values["KDIR"])
        # See tests/setup/debug-kernel.config.
        self.checks = name == "debug"
        self.append = ["acpi=off", "kunit.enable=1"] if self.checks else []
        with Locked(self.dir / "lock"):
            self.image = self._boot_image(Path(values["VMLINUZ"]))
            self._modules = self._read_boot_modules()

    def _fetch(self):
        if self.name == "debug":
            raise LabError("there is no debug kernel: run tests/setup/debug-kernel.sh (10 minutes)")
        done = subprocess.run([SETUP / "kernels.sh", self.name], capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"kernel {self.name}: {done.stderr}")

    def _boot_image(self, vmlinuz):
        """The ELF image out of a bzImage: unpacking is quicker here than in an emulated guest."""
        target = self.dir / f"vmlinux-{self.version}"
        if target.exists() and target.stat().st_mtime > vmlinuz.stat().st_mtime:
            return target
        data = vmlinuz.read_bytes()
        start = (data[0x1F1] + 1) * 512 + struct.unpack_from("<I", data, 0x248)[0]
        packed = data[start:start + struct.unpack_from("<I", data, 0x24C)[0]]
        if packed.startswith(b"\x7fELF"):
            elf = packed
        elif packed.startswith(b"\xfd7zXZ"):
            elf = lzma.LZMADecompressor().decompress(packed)
        elif packed.startswith(b"\x28\xb5\x2f\xfd"):
            # The last four bytes are the kernel's, not zstd's.
            elf = subprocess.run(["zstd", "-dcq"], input=packed[:-4], capture_output=True).stdout
        else:
            elf = b""
        if not elf.startswith(b"\x7fELF"):
            return vmlinuz
        made = target.with_suffix(".tmp")
        made.write_bytes(elf)
        made.rename(target)
        return target

    def _read_boot_modules(self):
        """(name, bytes) of the modules a guest needs before it has its root, in loading order."""
        needs = {}
        for line in (self.moddir / "modules.dep").read_text().splitlines():
            path, deps = line.split(":", 1)
            needs[path] = deps.split()
        by_name = {Path(path).name.split(".ko")[0].replace("-", "_"): path for path in needs}
        builtin = (self.moddir / "modules.builtin").read_text().split()
        builtin = {Path(path).name.split(".ko")[0].replace("-", "_") for path in builtin}
        order = []
        for name in BOOT_MODULES:
            if name in by_name:
                # modules.dep lists the nearest dependency first, its own behind it.
                for path in [*reversed(needs[by_name[name]]), by_name[name]]:
                    if path not in order:
                        order.append(path)
            elif name not in builtin:
                raise LabError(f"kernel {self.name} has no {name}")
        return [self._read_module(path) for path in order]

    def _read_module(self, path):
        data = (self.moddir / path).read_bytes()
        if path.endswith(".xz"):
            data = lzma.decompress(data)
        elif path.endswith(".zst"):
            done = subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=True)
            data = done.stdout
        return Path(path).name.split(".ko")[0] + ".ko", data

    def initramfs(self, config):
        """An initramfs for one node: process 1, the first modules, and /lab.conf from `config`."""
        lines = list(config)
        archive = Cpio()
        for directory in ["proc", "sys", "dev", "lower", "upper", "new", "modules"]:
            archive.directory(directory)
        archive.device("dev/console", 5, 1)
        archive.file("init", guest_program().read_bytes(), 0o755)
        for name, data in self._modules:
            archive.file("modules/" + name, data)
            lines.append(f"module /modules/{name}")
        archive.file("lab.conf", "".join(line + "\n" for line in lines).encode())
        return archive.done()


class Cpio:
    """The "newc" archive the kernel unpacks."""

    def __init__(self):
        self._parts = []
        self._inode = 1

    def _entry(self, name, mode, data=b"", rdev=(0, 0)):
        encoded = name.encode() + b"\0"
        fields = [self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *rdev, len(encoded), 0]
        self._inode += 1
        head = b"070701" + b"".join(b"%08X" % value for value in fields) + encoded
        self._parts += [head, b"\0" * (-len(head) % 4), data, b"\0" * (-len(data) % 4)]

    def directory(self, name):
        self._entry(name, stat.S_IFDIR | 0o755)

    def device(self, name, major, minor):
        self._entry(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def file(self, name, data, mode=0o644):
        self._entry(name, stat.S_IFREG | mode, data)

    def done(self):
        self._entry("TRAILER!!!", 0)
        return b"".join(self._parts)


def parse_size(text):
    """Bytes from a number or "512M"."""
    units = {"K": 10, "M": 20, "G": 30, "T": 40}
    text = str(text).upper()
    return int(text[:-1]) << units[text[-1]] if text[-1:] in units else int(text)
