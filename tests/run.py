#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""make test: every stage in turn, a line for each, what a failed one printed, and at the end "N passed, N failed".

    tests/run.py [STAGE …]     only these (see STAGES)
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CHECKOUT / "tests" / "vm")]
from lullfs import kernel_env  # noqa: E402

LOGS = CHECKOUT / "build" / "test-logs"
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=5"]
# A stage that hangs ends here, and all of them before CI's 90 minutes do: the last line is always printed.
STAGE_LIMIT_S = 40 * 60
TOTAL_LIMIT_S = 86 * 60
BEGAN = time.monotonic()
SIM_SEEDS = os.environ.get("LULL_SIM_SEEDS", "1000")


def modules(name):
    return ["make", "-s", "-j2", "modules", f"KDIR={kernel_env(name)['KDIR']}"]


def count_gtest(text):
    passed = re.findall(r"\[  PASSED  \] (\d+) test", text)
    failed = re.findall(r"\[  FAILED  \] (\d+) test", text)
    return sum(map(int, passed)), sum(map(int, failed))


def count_pytest(text):
    tail = text[-2000:]
    passed = re.findall(r"(\d+) passed", tail)
    failed = re.findall(r"(\d+) (?:failed|error)", tail)
    return sum(map(int, passed)), sum(map(int, failed))


def count_plain(text):
    found = re.findall(r"^(\d+) passed, (\d+) failed", text, re.M)
    return sum(int(p) for p, _ in found), sum(int(f) for _, f in found)


def count_one(_text):
    return 1, 0


# name, commands (a callable is asked when its turn comes), how to count what passed
STAGES = [
    ("packages", [["tests/setup/install.sh"]], count_one),
    ("kernels", [["tests/setup/kernels.sh", "6.1", "6.12"]], count_one),
    ("build-6.1", [lambda: modules("6.1")], count_one),
    ("build-6.12", [lambda: modules("6.12")], count_one),
    ("rules", [["tests/layers.py"], ["tests/requirements.py", "--check"]], count_plain),
    ("unit", [["make", "-s", "-j2", "unit"]], count_gtest),
    ("sim", [["make", "-s", "-j2", "sim", f"SEEDS={SIM_SEEDS}"]], count_plain),
    ("mutants", [["tests/sim/mutants.sh"]], count_plain),
    ("fuzz", [["tests/fuzz/smoke.sh"]], count_plain),
    ("tools", [["make", "-s", "-j2", "utils"], PYTEST + ["tests/tools"]], count_pytest),
    ("kunit", [["tests/setup/debug-kernel.sh"], lambda: PYTEST + ["tests/kunit"]], count_pytest),
    ("lab", [PYTEST + ["tests/vm/test_lab.py"]], count_pytest),
    ("cluster-6.1", [PYTEST + ["tests/vm/test_cluster.py"]], count_pytest),
    ("memory", [PYTEST + ["tests/vm/test_memory.py"]], count_pytest),
    ("locks", [PYTEST + ["tests/vm/test_file_locks.py"]], count_pytest),
    ("posix", [PYTEST + ["tests/vm/test_posix.py"]], count_pytest),
    ("cluster-6.12", [PYTEST + ["tests/vm/test_main_6_12.py"]], count_pytest),
]


def run_command(command, out):
    """Its exit code; with everything it started it ends at the limits."""
    left = min(STAGE_LIMIT_S, TOTAL_LIMIT_S - (time.monotonic() - BEGAN))
    if left <= 0:
        out.write(f"not run: {TOTAL_LIMIT_S // 60} minutes are over\n")
        out.flush()
        return 1
    try:
        process = subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        try:
            return process.wait(left)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)  # a test run ends its virtual machines
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    except (subprocess.TimeoutExpired, OSError) as e:
        out.write(f"\n{command[0]}: {e}\n")
        return 1


def account(text):
    """What a reader of a failed stage wants: the lines that name a failure first, then how it ended."""
    lines = text.splitlines()
    telling = re.compile(r"^(SURVIVED|BROKEN|STALE|FAILED|FAILURE|ERROR)\b|\[  FAILED  \]|: (fatal )?error: |^E   ")
    return [line for line in lines if telling.search(line)][:20] + ["…"] + lines[-60:]


# Bits of EFLAGS that are zero, and the one that is set, on every x86 processor (Intel's manual, volume 1, 3.4.3).
EFLAGS_ZERO = 0xFFC08028
EFLAGS_ONE = 0x2


def emulator_broke(text):
    """What an oops in this log says of EFLAGS, if no processor can be in that state; else None.

    Debian 12's QEMU writes an instruction's result to where it keeps the flags before the page fault that the instruction meets; the guest goes on
    with any flags, DF among them, and "rep stos" then runs backwards over the stack (a later QEMU has tests/tcg/i386/test-flags.c for it). Seen
    once here, in net_rx_action of Linux 6.12: RDI was below the array that it had just cleared, and a list above it on the stack was zero.
    """
    for flags in re.findall(r"EFLAGS: ([0-9a-f]{8})\b", text):
        if int(flags, 16) & EFLAGS_ZERO or not int(flags, 16) & EFLAGS_ONE:
            return flags
    return None


def run_stage(name, commands, count):
    """As run_once; a stage in which the emulator broke runs once more, and a line says so."""
    code, *result = run_once(name, commands, count)
    flags = code and emulator_broke((LOGS / f"{name}.log").read_text(encoding="utf-8", errors="replace"))
    if flags:
        print(f"      {name}: a guest's EFLAGS were {flags}, which no processor has: QEMU broke, the stage runs once more", flush=True)
        _, *result = run_once(name, commands, count)
    return result


def run_once(name, commands, count):
    """(exit code, passed, failed); a stage that fails without counting a failure counts as one."""
    passed = failed = 0
    start = time.monotonic()
    log = LOGS / f"{name}.log"
    with open(log, "w", encoding="utf-8", errors="replace") as out:
        for command in commands:
            code = run_command(command() if callable(command) else command, out)
            if code:
                break
    text = log.read_text(encoding="utf-8", errors="replace")
    passed, failed = count(text)
    if code == 0 and passed == 0:
        print(f"      {name} ran no test")
        code = 1
    if code and count is count_one:
        passed = 0
    if code and not failed:
        failed = 1
    print(f"{'ok  ' if not code else 'FAIL'}  {name:14} {passed} passed, {failed} failed, {time.monotonic() - start:.0f} s", flush=True)
    if code:
        print("\n".join("      " + line for line in account(text)), flush=True)
    return code, passed, failed


def main():
    wanted = sys.argv[1:] or [name for name, _, _ in STAGES]
    unknown = set(wanted) - {name for name, _, _ in STAGES}
    if unknown:
        print(f"no such stage: {', '.join(unknown)}; there are {', '.join(n for n, _, _ in STAGES)}", file=sys.stderr)
        return 2
    LOGS.mkdir(parents=True, exist_ok=True)
    results = [run_stage(*stage) for stage in STAGES if stage[0] in wanted]
    passed, failed = (sum(r[i] for r in results) for i in (0, 1))
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
