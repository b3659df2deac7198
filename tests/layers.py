#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The rooms of docs/architecture.md know only what is below them, and the feature's state machines only kapi and their interface (B8).
No line of C or C++ has more than 100 columns.

    tests/layers.py     one line for each include, or file, that breaks a rule; "N passed, N failed"
"""

import re
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
SOURCES = (".h", ".cc", ".c")
COLUMNS = 100
INCLUDE = re.compile(r'^\s*#include "(([a-z]+)/[^"]+)"', re.M)
# Each room with the rooms right below it; it may include from everything under these, too.
BELOW = {
    "include": [], "kapi": ["include"], "lnet": ["kapi"], "ptlrpc": ["lnet"], "ldlm": ["ptlrpc"], "osd": ["kapi"],
    "target": ["ldlm", "osd"], "mgs": ["target"], "ofd": ["target"],
    "mdc": ["ldlm"], "osc": ["ldlm", "mdc"], "llite": ["mdc", "osc"],
    "mdt": ["target", "mdc"],  # an MDT is a client of its OSTs (T11)
    "utils": ["include"],
}
# Joints: the codec fills the port's containers; the node of a network namespace and the file-system type are C glue between rooms.
ALLOWED = {
    ("include/lull/codec.h", "kapi"), ("kapi/linux/node.h", "ptlrpc"), ("osd/linux/server_mount.c", "target"),
}
# B8: what each state machine may include besides its own header.
ALONE = {
    "ptlrpc/gate": {"kapi"}, "ldlm/active_lock": {"kapi"}, "target/shutdown": {"kapi"},
}


def reachable(room):
    found, todo = {room}, [room]
    while todo:
        for below in BELOW[todo.pop()]:
            if below not in found:
                found.add(below)
                todo.append(below)
    return found


def includes(path):
    return INCLUDE.findall(path.read_text())


def check_rooms():
    for room in BELOW:
        may = reachable(room)
        for path in sorted((CHECKOUT / room).rglob("*")):
            if path.suffix not in SOURCES or "_test" in path.name:
                continue
            where = str(path.relative_to(CHECKOUT))
            for name, other in includes(path):
                ok = other in may or other not in BELOW or (where, other) in ALLOWED
                yield ok, f"{where} includes {name}: {room}/ may know {', '.join(sorted(may))}"


def check_alone():
    """B8: nothing but the port and their own interface."""
    for machine, may in ALONE.items():
        for suffix in (".h", ".cc"):
            path = CHECKOUT / (machine + suffix)
            for name, other in includes(path):
                yield other in may or name == machine + ".h", f"{machine}{suffix} includes {name}: only {', '.join(may)} (B8)"


def check_columns():
    """A tab reaches to the next multiple of 8."""
    for room in (*BELOW, "tests"):
        for path in sorted((CHECKOUT / room).rglob("*")):
            if path.suffix in SOURCES:
                lines = path.read_text(encoding="utf-8").splitlines()
                wide = [n for n, line in enumerate(lines, 1) if len(line.expandtabs(8)) > COLUMNS]
                where = f"{path.relative_to(CHECKOUT)}: line {', '.join(map(str, wide))}"
                yield not wide, f"{where}: over {COLUMNS} columns"


def main():
    results = [*check_rooms(), *check_alone(), *check_columns()]
    wrong = [why for ok, why in results if not ok]
    print("\n".join(wrong), file=sys.stderr)
    print(f"{len(results) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong or not results else 0


if __name__ == "__main__":
    sys.exit(main())
