#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Which test holds which requirement: docs/requirements-map.md, made from the comments above the tests.

    tests/requirements.py            writes the map
    tests/requirements.py --check    fails when it is out of date, an id is unknown, or a requirement has no test
"""

import ast
import re
import sys
from collections import defaultdict
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
MAP = CHECKOUT / "docs" / "requirements-map.md"
ID = r"(?:[ASTERB]\d{1,2})"
TOKEN = re.compile(rf"\b({ID})(?:-({ID}))?\b")
INVARIANTS = re.compile(r"\b[Ii]nvariants? (\d(?:(?:, | and )\d)*)")
GTEST = re.compile(r"^\s*(?:TEST|TEST_F|TEST_P|SCENARIO)\((\w+), (\w+)\)")
KUNIT = re.compile(r"(?:/\*((?:(?!\*/).)*)\*/\n)?^static void (\w+)\(struct kunit \*test\)", re.M | re.S)
CHECKED_BY = re.compile(r"^void Invariants::(\w+)\(")  # below "// 5: what it says"


def ids_in(text):
    """Every id in text; A10-A13 is a range, "invariants 1 and 5" are I1 and I5."""
    found = set()
    for first, last in TOKEN.findall(text):
        letter, low = first[0], int(first[1:])
        high = int(last[1:]) if last else low
        found |= {f"{letter}{n}" for n in range(low, high + 1)}
    for numbers in INVARIANTS.findall(text):
        found |= {f"I{n}" for n in re.findall(r"\d", numbers)}
    return found


def cxx_tests(path):
    """(name, comment) of each TEST with the comment lines above it, and of each check of an invariant."""
    comment = []
    for line in path.read_text().splitlines():
        stripped = line.strip()
        if stripped.startswith("//"):
            comment.append(stripped[2:])
            continue
        test = GTEST.match(line)
        if test:
            yield ".".join(test.groups()), " ".join(comment)
        elif path.name == "invariants.cc" and (function := CHECKED_BY.match(line)):
            yield f"every simulation: {function.group(1)}", re.sub(r"^ (\d):", r"invariant \1:", " ".join(comment))
        comment = []


def kunit_tests(path):
    """(name, comment) of each case of a suite."""
    text = path.read_text()
    for comment, name in KUNIT.findall(text):
        if f"KUNIT_CASE({name})" in text:
            yield name, comment


def python_tests(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith(("test_", "check_")):
            yield node.name, ast.get_docstring(node) or ""


def mutant(path):
    header = path.read_text().split("\n--- a/", 1)[0]
    yield f"mutant {path.stem}", " ".join(header.splitlines()[1:])


def all_tests():
    """(file, name, comment) for all tests of the tree."""
    for pattern, reader in (("*_test.cc", cxx_tests), ("tests/sim/invariants.cc", cxx_tests), ("tests/**/test_*.py", python_tests),
                            ("*_kunit.c", kunit_tests),
                            ("tests/layers.py", python_tests), ("tests/sim/mutants/*.patch", mutant)):
        for path in sorted(CHECKOUT.glob(pattern if "/" in pattern else f"**/{pattern}")):
            where = path.relative_to(CHECKOUT)
            if where.parts[0] != "build":
                for name, comment in reader(path):
                    yield where, name, comment


def requirements():
    lines = (CHECKOUT / "tests" / "requirements.txt").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))


def make_map(known, held):
    out = ["# Which test holds which requirement", "",
           "Made by `tests/requirements.py` from the comments above the tests; `make test` fails when a requirement has none. "
           "I1 to I9 are the invariants; a mutant is a rule removed on purpose, which the simulation must notice.", "",
           "| id | requirement | tests |", "|---|---|---|"]
    for id_, title in known.items():
        tests = "<br>".join(f"`{name}` ({where})" for where, name in held[id_]) or "**none**"
        out.append(f"| {id_} | {title} | {tests} |")
    return "\n".join(out) + "\n"


def main():
    known, held, wrong = requirements(), defaultdict(list), []
    for where, name, comment in all_tests():
        for id_ in sorted(ids_in(comment)):
            if id_ in known:
                held[id_].append((where, name))
            else:
                wrong.append(f"{where}: {name} names {id_}, which is no requirement")
    text = make_map(known, held)
    if sys.argv[1:] != ["--check"]:
        MAP.write_text(text)
    elif not MAP.exists() or MAP.read_text() != text:
        wrong.append(f"{MAP.relative_to(CHECKOUT)} is out of date: run tests/requirements.py")
    wrong += [f"{id_} ({title}) has no test" for id_, title in known.items() if not held[id_]]
    print("\n".join(wrong), file=sys.stderr)
    print(f"{sum(bool(held[i]) for i in known)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
