#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""A cluster to try things on: boots it, starts Lull on it, and gives a prompt on a client.

    tests/vm/shell.py [--kernel 6.1|6.12|debug] [--node NAME] [--bare] [--outdir DIR] [--run CMD]

Inside, "on NODE COMMAND..." runs a command on another node. Leave with ^D: the guests end.
"""

import argparse
import contextlib
import json
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import lullfs  # noqa: E402
from lab import Cluster, LabError, NodeSpec  # noqa: E402

FOR_EVER_S = 1 << 30
GUEST = Path(__file__).resolve().parent / "guest"


@contextlib.contextmanager
def bare_cluster(kernel, outdir):
    """The default cluster's guests and nothing on them."""
    nodes = [NodeSpec("mds1", disks=["mdt"]), NodeSpec("mds2", disks=["mdt"]),
             NodeSpec("oss1", disks=["ost0", "ost1"]), NodeSpec("cl1"), NodeSpec("cl2")]
    print(f"booting {len(nodes)} guests", flush=True)
    with Cluster(nodes, kernel=kernel, outdir=outdir) as c:
        yield c


@contextlib.contextmanager
def lull_cluster(kernel, outdir):
    """The default cluster with a mounted file system."""
    print("building, then booting the guests", flush=True)
    with lullfs.cluster(outdir=outdir, kernel=kernel) as fs:
        print("starting Lull", flush=True)
        fs.install_all()
        fs.format()
        fs.start()
        fs.mount_clients()
        yield fs.cluster


class Relay:
    """Carries "on NODE COMMAND" from inside a guest to the other nodes, by the agent's own line.

    The command is one process and nothing else: in a busy guest each start of a program takes half a second.
    """

    PORT = 7060
    SCRIPT = f"""#!/bin/bash
# on NODE COMMAND...: runs a command on another node of this cluster.
[ $# -ge 2 ] || {{ echo "usage: on NODE COMMAND..." >&2; exit 2; }}
exec 3<>/dev/tcp/127.0.0.1/{PORT} || exit 255
node=$1; shift
printf '%s\\n%s\\0' "$node" "$*" >&3
IFS= read -r rc <&3 || {{ echo "on: the relay is gone" >&2; exit 255; }}
IFS= read -r -d '' out <&3
printf %s "$out"
exit "$rc"
"""

    def __init__(self, cluster, node):
        self._cluster = cluster
        self._server = node.popen(f"exec /usr/bin/python3 {GUEST}/relay.py {self.PORT}", stdin=True)
        self._server.wait_output(r"^\[0, ", timeout=120)
        node.run("cat > /usr/local/bin/on && chmod +x /usr/local/bin/on", stdin=self.SCRIPT)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        seen = 1
        with contextlib.suppress(LabError):
            while True:
                self._server.wait_output(r"\A(?:.*\n){%d}" % (seen + 1), timeout=FOR_EVER_S)
                number, (name, command) = json.loads(self._server.output().split("\n")[seen])
                seen += 1
                threading.Thread(target=self._answer, args=(number, name, command), daemon=True).start()

    def _answer(self, number, name, command):
        try:
            done = self._cluster[name].run(command, timeout=FOR_EVER_S, check=False)
            rc, out = done.rc, done.out
        except KeyError:
            rc, out = 2, f"on: no node {name}; there are {' '.join(self._cluster.nodes)}\n"
        except LabError as error:
            rc, out = 255, f"on: {error}\n"
        with contextlib.suppress(LabError):
            self._server.write(json.dumps([number, rc, out]) + "\n")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", default="6.1", choices=["6.1", "6.12", "debug"])
    parser.add_argument("--node", default="cl1", help="where the prompt is (default: cl1)")
    parser.add_argument("--bare", action="store_true", help="guests only, nothing on them")
    parser.add_argument("--outdir", help="keep consoles and disks there")
    parser.add_argument("--run", metavar="CMD", help="instead of a prompt")
    return parser.parse_args()


def main():
    args = parse_arguments()
    make = bare_cluster if args.bare else lull_cluster
    with make(args.kernel, args.outdir) as cluster:
        if args.node not in cluster.nodes:
            raise LabError(f"no node {args.node}; there are {' '.join(cluster.nodes)}")
        node = cluster[args.node]
        Relay(cluster, node)
        if args.run:
            return node.interact(args.run)
        print(f"A prompt on {node.name}. 'on NODE COMMAND...' reaches {' '.join(cluster.nodes)}.\n"
              f"{'' if args.bare else f'The file system is at {lullfs.MOUNT}. '}Consoles are in {cluster.outdir}. ^D ends it all.", flush=True)
        # Not in the file system: a shell looks at its directory when it starts, and would wait with everybody while the MDT is away.
        node.interact(f"env --chdir=/ PS1='{node.name}:\\w# ' bash --norc -i")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        print(f"shell: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
