# SPDX-License-Identifier: GPL-2.0-only
"""A Lull file system on a cluster of the laboratory: format, start, stop, move and look at it.

    with lullfs.cluster(outdir="/tmp/try") as fs:           # default: mds1 mds2 (one shared disk), oss1 (2 OSTs), cl1 cl2
        fs.format(); fs.start(); fs.mount_clients()
        fs.clients[0].run("ls /mnt/lull")
        fs.shutdown("MDT0000")                              # controlled; returns when halted
        fs.move("MDT0000", "mds2")
"""

import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import CHECKOUT, Cluster, LabError, NodeSpec, SETUP, cache_dir

FSNAME = "lull"
MOUNT = "/mnt/lull"
TOOLS = ("lctl", "mkfs.lull", "mount.lull", "lull")
MODULES = ("lull", "lull_server", "lull_client")
SHUTDOWN_DEADLINE_S = 180
START_DEADLINE_S = 120
MOUNT_DEADLINE_S = 400  # a new client waits for the recovery windows of all targets, one after another
# A guest has one core, and programs that keep it busy: what is measured is the file system, not the wait for a turn.
AT_ONCE = "nice -n -15"


@dataclass
class Target:
    """Where a target is and where it may be."""
    name: str        # "MDT0000"
    disk: str
    kind: str        # "mdt" or "obdfilter", the device type in parameters
    nodes: list      # names; the first is its home
    at: str = ""     # where it runs now

    @property
    def device(self):
        return f"/dev/lab/{self.disk}"

    @property
    def directory(self):
        return f"/mnt/{self.disk}"

    @property
    def full_name(self):
        return f"{FSNAME}-{self.name}"


def kernel_env(kernel):
    """KVER, KDIR, … of a kernel in the cache; unpacks it first if needed."""
    env = cache_dir() / "kernels" / kernel / "env"
    if not env.exists():
        script = "debug-kernel.sh" if kernel == "debug" else "kernels.sh"
        subprocess.run([SETUP / script] + ([] if kernel == "debug" else [kernel]), check=True)
    return dict(line.split("=", 1) for line in env.read_text().split() if "=" in line)


def build(kernel):
    """The folder of the modules for a kernel of the cache, built if anything changed. And the tools."""
    env = kernel_env(kernel)
    run = subprocess.run(["make", "-s", "-j2", "modules", "utils", f"KDIR={env['KDIR']}"], cwd=CHECKOUT,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if run.returncode:
        raise LabError(f"the modules do not build for {kernel}:\n" + run.stdout[-4000:])
    return CHECKOUT / "build" / env["KVER"]


def provide(kernel, outdir):
    """Modules and tools where the guests see them. A copy: a build that goes on beside a test changes nothing under it."""
    modules, to = build(kernel), outdir / f"lull-{kernel}"
    to.mkdir(parents=True, exist_ok=True)
    for path in [modules / f"{m}.ko" for m in MODULES] + [CHECKOUT / "build/utils" / t for t in TOOLS]:
        shutil.copy2(path, to)


class FileSystem:
    """One Lull file system. Methods raise LabError with what the guest said."""

    def __init__(self, cluster, osts=2, oss=("oss1",), mds=("mds1", "mds2"), clients=("cl1", "cl2")):
        self.cluster = cluster
        # A debug kernel checks every access and lock: all takes its time.
        self.patience = max(node.patience for node in cluster)
        self.mds = [cluster[n] for n in mds]
        self.clients = [cluster[n] for n in clients]
        self.loads = []  # of load.py
        self.targets = {"MDT0000": Target("MDT0000", "mdt", "mdt", list(mds))}
        for i in range(osts):
            name = f"OST{i:04x}"
            self.targets[name] = Target(name, f"ost{i}", "obdfilter", [oss[i % len(oss)]])

    def nid(self, node_name):
        return f"{self.cluster[node_name].address}@tcp"

    @property
    def mgs_nids(self):
        return ":".join(self.nid(n) for n in self.targets["MDT0000"].nodes)

    # ---- modules and tools

    def install(self, node, protocol_max=2, server=None):
        """Loads the modules and puts the tools where mount(8) looks."""
        lab = f"/lab/lull-{self._kernel_of(node)}"
        server = node not in self.clients if server is None else server
        node.run(f"""set -e
            for tool in {' '.join(TOOLS)}; do cp {lab}/$tool /sbin/; done
            modprobe libcrc32c 2>/dev/null || true; modprobe crc32c_intel 2>/dev/null || true; modprobe ext4 2>/dev/null || true
            insmod {lab}/lull.ko protocol_max={protocol_max}
            insmod {lab}/{'lull_server' if server else 'lull_client'}.ko
            mkdir -p {MOUNT}""")

    def unload(self, node):
        """All of Lull out of the kernel; anything left behind is an error (the modules say so in the log)."""
        node.run("for m in lull_client lull_server lull; do ! grep -q \"^$m \" /proc/modules || rmmod $m; done")

    def _kernel_of(self, node):
        return getattr(node, "kernel_name", None) or node.spec.kernel or self.cluster.kernel

    def install_all(self, protocol_max=None):
        """protocol_max: node name → 1 or 2 (default 2)."""
        for node in self.cluster:
            self.install(node, (protocol_max or {}).get(node.name, 2))

    # ---- targets

    def format(self):
        for target in self.targets.values():
            nodes = ":".join(self.nid(n) for n in target.nodes)
            kind = "--mgs --mdt" if target.kind == "mdt" else f"--ost --mgsnode={self.mgs_nids}"
            index = int(target.name[3:], 16)
            self.cluster[target.nodes[0]].run(
                f"mkfs.lull {kind} --fsname={FSNAME} --index={index} --servicenode={nodes} {target.device}", timeout=120)

    def start(self):
        """All targets; returns when the MDT places files on every OST."""
        for name in self.targets:
            self.start_target(name)
        osts = (f"{i}: {target.full_name} connected"
                for i, target in enumerate(t for t in self.targets.values() if t.kind != "mdt"))
        self.wait_param(self.server("MDT0000"), self.param_name("MDT0000", "osts"), "\n".join(osts))

    def start_target(self, name, node=None, options=""):
        target = self.targets[name]
        target.at = node or target.at or target.nodes[0]
        with_options = f"-o {options}" if options else ""
        self.cluster[target.at].run(
            f"mkdir -p {target.directory} && mount -t lull {with_options} {target.device} {target.directory}",
            timeout=START_DEADLINE_S)

    def umount_target(self, name, force=False):
        target = self.targets[name]
        self.cluster[target.at].run(f"umount {'-f' if force else ''} {target.directory}", timeout=SHUTDOWN_DEADLINE_S)

    def server(self, name):
        return self.cluster[self.targets[name].at]

    def param_name(self, name, param):
        target = self.targets[name]
        return f"{target.kind}.{target.full_name}.{param}"

    def target_param(self, name, param):
        return self.get(self.server(name), self.param_name(name, param))

    def set_target_param(self, name, param, value):
        self.server(name).run(f"lctl set_param {self.param_name(name, param)}={value}")

    def begin_shutdown(self, name):
        self.set_target_param(name, "controlled_shutdown", 1)

    def shutdown(self, name, deadline_s=SHUTDOWN_DEADLINE_S):
        """Controlled shutdown to its end. Returns what controlled_shutdown_status says then."""
        param = self.param_name(name, "controlled_shutdown")
        return self.server(name).run(f"""set -e
            {AT_ONCE} lctl set_param -n {param}=1
            {AT_ONCE} lctl wait_param -t {deadline_s * self.patience} {param} halted || {{ rc=$?; lctl get_param {param}_status; exit $rc; }}
            lctl get_param -n {param}_status""", timeout=deadline_s + 60).out.strip()

    def restart(self, name, reload_protocol=None):
        """Controlled shutdown and start on the same node; reload_protocol: with the modules loaded anew as that version."""
        status = self.shutdown(name)
        self.umount_target(name)
        if reload_protocol:
            self.unload(self.server(name))
            self.install(self.server(name), reload_protocol)
        self.start_target(name)
        return status

    def move(self, name, node):
        """Controlled shutdown here, start there."""
        status = self.shutdown(name)
        self.umount_target(name)
        self.start_target(name, node)
        return status

    # ---- clients

    def mount_clients(self):
        for client in self.clients:
            self.mount_client(client)

    def mount_client(self, client):
        client.run(f"mount -t lull {self.mgs_nids}:/{FSNAME} {MOUNT}", timeout=MOUNT_DEADLINE_S)

    def umount_clients(self):
        for client in self.clients:
            client.run(f"! mountpoint -q {MOUNT} || umount {MOUNT}", timeout=SHUTDOWN_DEADLINE_S)

    def stop(self):
        """Everything unmounted and unloaded, in the order an administrator would."""
        self.umount_clients()
        for name in reversed(self.targets):
            self.umount_target(name)
        for node in self.cluster:
            self.unload(node)

    # ---- parameters

    def get(self, node, name):
        return node.run(f"lctl get_param -n '{name}'").out.strip()

    def wait_param(self, node, name, wanted, deadline_s=60):
        """Until the parameter's value begins with wanted."""
        node.run(f"{AT_ONCE} lctl wait_param -t {deadline_s * self.patience} '{name}' '{wanted}' || "
                 "{ rc=$?; lctl get_param '*.*.controlled_shutdown_status'; exit $rc; }", timeout=deadline_s + 60)

    def watch_service(self, name):
        """A process on each client that ends when the client is served by a halted target's next instance; for join()."""
        device = "mdc" if name.startswith("MDT") else "osc"
        param = f"{device}.{self.targets[name].full_name}-{device}-*.active_lock"
        return [client.popen(f"{AT_ONCE} lctl wait_param -t {START_DEADLINE_S * self.patience} '{param}' 'state: held'")
                for client in self.clients]

    def join(self, processes):
        for process in processes:
            result = process.wait(START_DEADLINE_S * self.patience + 60)
            if result.rc:
                raise LabError(result.out)

    def stats(self, client):
        """Counters of every import of a client: {"mdc.….stats": {"replays": 0, …}}."""
        out = client.run("lctl get_param 'mdc.*.stats' 'osc.*.stats'").out
        result, current = {}, None
        for line in out.splitlines():
            if ".stats=" in line:
                name, line = line.split("=", 1)
                current = result.setdefault(name, {})
            words = line.replace(":", " ").split()
            if current is not None and len(words) >= 2 and words[1].isdigit():
                current[words[0]] = int(words[1])
        return result

    def total(self, counter):
        return sum(values.get(counter, 0) for client in self.clients for values in self.stats(client).values())


@contextmanager
def cluster(outdir=None, kernel="6.1", osts=2, clients=2, kernels=None, memory=None, mds=2, client_disks=()):
    """The default cluster, booted, with modules loaded nowhere yet. kernels: node name → kernel, for the exceptions.
    client_disks: empty disks of the first client, for what a test compares with."""
    kernels = kernels or {}
    client_names = [f"cl{i + 1}" for i in range(clients)]
    mds_names = [f"mds{i + 1}" for i in range(mds)]
    disks = {"mdt": "512M", **{f"ost{i}": "1G" for i in range(osts)}}
    specs = [NodeSpec(name, disks=["mdt"]) for name in mds_names]
    specs += [NodeSpec("oss1", disks=[f"ost{i}" for i in range(osts)])]
    specs += [NodeSpec(name, disks=list(client_disks) if name == client_names[0] else []) for name in client_names]
    for spec in specs:
        spec.kernel = kernels.get(spec.name, kernel)
    outdir = Path(outdir or tempfile.mkdtemp(prefix="lull-"))
    for name in sorted({spec.kernel for spec in specs}):
        provide(name, outdir)  # before anything boots: a build shares no core with a guest
    with Cluster(specs, disks=disks, kernel=kernel, mem=memory, outdir=outdir) as c:
        yield FileSystem(c, osts=osts, mds=mds_names, clients=client_names)
