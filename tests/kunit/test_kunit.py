# SPDX-License-Identifier: GPL-2.0-only
"""KUnit suites of kapi/linux, osd/linux and llite/linux, in a guest with the debug kernel (lockdep, KASAN, kmemleak)."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT / "tests" / "vm"))
from lab import Cluster, NodeSpec  # noqa: E402

SUITES = {"lull_cond", "lull_drainref", "lull_socket", "lull_basics", "lull_kbfs", "lull_llite_read", "lull_llite_write",
          "lull_llite_mmap", "lull_llite_names", "lull_llite_attr", "lull_llite_tasks"}

FAILED = re.compile(r"\s*not ok|\s*# .*(EXPECTATION|ASSERTION) FAILED")


def context(lines, pattern, after=6):
    """The lines that match, each with those that say what was expected and what came."""
    wanted = {k + i for k, line in enumerate(lines) if pattern.match(line) for i in range(after)}
    return [line for k, line in enumerate(lines) if k in wanted]


def debug_kernel():
    text = subprocess.run([CHECKOUT / "tests/setup/debug-kernel.sh"], check=True, text=True, stdout=subprocess.PIPE).stdout
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def run_suites(outdir):
    """The KTAP lines of all suites."""
    kernel = debug_kernel()
    subprocess.run(["make", "-s", "-C", CHECKOUT, "kunit", "KDIR=" + kernel["KDIR"]], check=True, stdout=subprocess.DEVNULL)
    shutil.copy(CHECKOUT / f"build/kunit-{kernel['KVER']}/lull_kunit.ko", outdir)
    with Cluster([NodeSpec("kunit", disks=["scratch"])], disks={"scratch": "256M"}, kernel="debug",
                 outdir=str(outdir)) as cluster:
        node = cluster["kunit"]
        node.run("mkfs.ext4 -q -b 4096 -O mmp -E mmp_update_interval=1 /dev/lab/scratch")
        node.run("insmod /lab/lull_kunit.ko device=$(readlink -f /dev/lab/scratch)", timeout=300)
        node.run("rmmod lull_kunit && e2fsck -fn /dev/lab/scratch")
        node.check_leaks()
        return [re.sub(r"^\[ *[0-9.]+\] ", "", line) for line in node.run("dmesg").out.splitlines()]


def test_suites(tmp_path):
    lines = run_suites(tmp_path)
    passed = {m[1] for m in (re.match(r"ok \d+ (?:- )?(\w+)", line) for line in lines) if m}
    failed = [line for line in lines if FAILED.match(line)]
    skipped = [line for line in lines if "# SKIP" in line]
    assert not failed, "\n".join(context(lines, FAILED))
    assert not skipped
    assert SUITES <= passed, f"missing: {SUITES - passed}"


if __name__ == "__main__":
    print("\n".join(run_suites(Path(sys.argv[1]))))
