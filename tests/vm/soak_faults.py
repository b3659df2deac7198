# SPDX-License-Identifier: GPL-2.0-only
"""What else may happen during a soak: power cuts of one node or two at once, a client killed or frozen, a network cut.

The programs on the first client must never see an error. Those on the last one, the victim, die with it or may see it evicted.
"""

import threading

import lullfs
from load import Load

VICTIMS_PROGRAMS = ("small_files", "digest")
CUT_S = (1, 6)             # a node is off the network so long: less than anybody is evicted after
SOFT_MS = 8000             # a shutdown waits so long for a client that gives no sign of life
BUSY_DEADLINE_S = 600


class Victim:
    """The last client and what runs there, started anew after each death."""

    def __init__(self, fs):
        self.fs, self.node, self.lives = fs, fs.clients[-1], 0
        self.work()

    def work(self):
        self.lives += 1
        self.load = Load(self.fs, VICTIMS_PROGRAMS, f"victim{self.lives}", [self.node])
        self.load.wait_busy(1, BUSY_DEADLINE_S)

    def kill(self):
        self.node.kill()

    def revive(self):
        """After a power cut."""
        self.node.start()
        self.fs.install(self.node)
        self.fs.mount_client(self.node)
        self.work()

    def thaw(self):
        """After a freeze: evicted or not, what is left of its programs goes, and a fresh mount works."""
        self.node.resume()
        self.node.run(f"""pkill -KILL -f '[w]orkloads.py'
            for i in $(seq 200); do umount {lullfs.MOUNT} 2>/dev/null && exit 0; sleep 0.3; done
            umount {lullfs.MOUNT}""", timeout=180)
        self.fs.mount_client(self.node)
        self.work()


def off_for_a_while(rng):
    threading.Event().wait(rng.uniform(*CUT_S))  # the fault itself lasts: there is nothing to wait for


def impatient(fs, name):
    fs.set_target_param(name, "controlled_shutdown_soft_ms", SOFT_MS)


def killed_client(fs, rng, name, victim):
    """A shutdown with a client that is dead: it is evicted, the others see a pause."""
    impatient(fs, name)
    victim.kill()
    fs.restart(name)
    victim.revive()
    return f"{name} restarted beside a dead client"


def frozen_client(fs, rng, name, victim):
    """The same with one that hangs, and comes back when all is over."""
    impatient(fs, name)
    victim.node.pause()
    try:
        fs.restart(name)
    finally:
        victim.thaw()
    return f"{name} restarted beside a frozen client"


def network_cut(fs, rng, name, victim):
    """Server or client cannot be heard while the shutdown goes on."""
    node = rng.choice([fs.server(name), fs.clients[0], victim.node])
    fs.begin_shutdown(name)
    node.cut()
    off_for_a_while(rng)
    node.heal()
    fs.wait_param(fs.server(name), fs.param_name(name, "controlled_shutdown"), "halted", lullfs.SHUTDOWN_DEADLINE_S)
    fs.umount_target(name)
    fs.start_target(name)
    return f"{name} restarted while {node.name} was cut off"


def power_cut(fs, rng, name, victim):
    """One node, or two at once; an MDT starts where it was or at its partner. Ordinary recovery, nothing lost."""
    mdt, oss = fs.server("MDT0000"), fs.server("OST0000")
    dead = rng.sample([mdt, oss, victim.node], rng.choice([1, 2, 2]))
    elsewhere = mdt in dead and rng.random() < 0.5
    if rng.random() < 0.3:
        fs.begin_shutdown(name)  # in the middle of it
    for node in dead:
        node.kill()
    home = mdt
    if elsewhere:
        home = next(fs.cluster[n] for n in fs.targets["MDT0000"].nodes if n != mdt.name)
        fs.start_target("MDT0000", home.name)
    for node in dead:
        if node is not victim.node:
            node.start()
            fs.install(node)
    if mdt in dead and not elsewhere:
        fs.start_target("MDT0000")
    if oss in dead:
        for ost in [n for n in fs.targets if n.startswith("OST")]:
            fs.start_target(ost)
    for target in fs.targets:  # all of them, or the victim's mount waits in vain for one that has halted
        finish_shutdown(fs, target)
    if victim.node in dead:
        victim.revive()
    return f"power cut of {' and '.join(n.name for n in dead)}" + (f", MDT0000 at {home.name}" if elsewhere else "")


def finish_shutdown(fs, name):
    """If one had begun on a node that lives on it goes to its end, and the target starts again."""
    param = fs.param_name(name, "controlled_shutdown")
    if fs.get(fs.server(name), param) == "running":
        return
    fs.server(name).run(f"lctl wait_param -t {lullfs.SHUTDOWN_DEADLINE_S} {param} halted", timeout=lullfs.SHUTDOWN_DEADLINE_S + 30)
    fs.umount_target(name)
    fs.start_target(name)


FAULTS = (killed_client, frozen_client, network_cut, power_cut, power_cut)
