#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Programs that run on a client while servers are upgraded under it. Runs inside a guest:

    workloads.py NAME DIRECTORY LOG

Each does real system calls in DIRECTORY until it reads a line on standard input (or the end of it), checks everything it
reads, and writes LOG: one line per operation, "start_ns duration_ns operation errno" (CLOCK_REALTIME). Exit status 0
only if no operation failed and all data was what it had to be.
"""

import hashlib
import mmap
import os
import random
import select
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path


class Log:
    """What happened and when; a failure is written down and remembered, the program goes on."""

    def __init__(self, path):
        self.file = open(path, "w", buffering=1 << 16, encoding="ascii")
        self.failures = []
        self.flushed = time.monotonic()

    def run(self, name, function, *args):
        start, clock = time.time_ns(), time.perf_counter_ns()
        error = 0
        try:
            return function(*args)
        except OSError as e:
            error = e.errno or -1
            self.failed(f"{name}: {e}")
        except (sqlite3.Error, subprocess.CalledProcessError) as e:
            error = -1
            self.failed(f"{name}: {e} {getattr(e, 'output', '') or ''}")
        finally:
            self.file.write(f"{start} {time.perf_counter_ns() - clock} {name} {error}\n")
            if time.monotonic() - self.flushed > 1:
                self.file.flush()
                self.flushed = time.monotonic()
        return None

    def failed(self, what):
        self.failures.append(what)
        print(f"FAILED {what}", flush=True)

    def check(self, condition, what):
        if not condition:
            self.failed(f"wrong data: {what}")


def told_to_stop():
    ready, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(ready)


def small_files(directory, log):
    """Create, write, rename, stat, read back, list, link, remove: a new name every round."""
    rng = random.Random(directory.name)
    count = 0
    while not told_to_stop():
        count += 1
        one, two = directory / f"f{count}", directory / f"g{count}"
        data = rng.randbytes(rng.randrange(1, 9000))

        def write():
            with open(one, "wb") as f:
                f.write(data)

        log.run("create", write)
        log.run("rename", os.rename, one, two)
        st = log.run("stat", os.stat, two)
        log.check(st is None or st.st_size == len(data), f"{two}: size {st and st.st_size} of {len(data)}")
        back = log.run("read", two.read_bytes)
        log.check(back is None or back == data, f"{two}: content")
        if count % 4 == 0:
            names = log.run("readdir", os.listdir, directory)
            log.check(names is None or two.name in names, f"{two} is not listed")
        if count % 8 == 0:
            log.run("mkdir", os.mkdir, directory / f"d{count}")
            log.run("symlink", os.symlink, two.name, directory / f"d{count}" / "l")
            log.run("unlink", os.unlink, directory / f"d{count}" / "l")
            log.run("rmdir", os.rmdir, directory / f"d{count}")
        log.run("unlink", os.unlink, two)


def database(directory, log):
    """sqlite3: money moves between accounts; the sum is checked in every transaction."""
    accounts, total = 50, 50 * 1000
    db = sqlite3.connect(directory / "bank.db", isolation_level=None, timeout=600)
    db.execute("create table account (id integer primary key, money integer)")
    db.executemany("insert into account values (?, 1000)", [(i,) for i in range(accounts)])
    rng = random.Random(7)

    def transfer():
        a, b, money = rng.randrange(accounts), rng.randrange(accounts), rng.randrange(100)
        db.execute("begin immediate")
        db.execute("update account set money = money - ? where id = ?", (money, a))
        db.execute("update account set money = money + ? where id = ?", (money, b))
        found = db.execute("select sum(money) from account").fetchone()[0]
        db.execute("commit")
        return found

    while not told_to_stop():
        found = log.run("transaction", transfer)
        log.check(found in (None, total), f"sum {found} of {total}")
    result = log.run("integrity", lambda: db.execute("pragma integrity_check").fetchone()[0])
    log.check(result in (None, "ok"), f"integrity check says {result}")
    db.close()


def holder(directory, log):
    """Files held open, some of them unlinked: written and read back through the old handles."""
    held = []
    for i in range(12):
        path = directory / f"held{i}"
        f = open(path, "w+b", buffering=0)
        if i % 2:
            os.unlink(path)
        held.append([f, b""])
    rng = random.Random(11)
    while not told_to_stop():
        slot = rng.randrange(len(held))
        f, content = held[slot]
        piece = rng.randbytes(rng.randrange(1, 3000))
        if len(content) > 60000:
            log.run("ftruncate", os.ftruncate, f.fileno(), 0)
            content = b""
        log.run("pwrite", os.pwrite, f.fileno(), piece, len(content))
        held[slot][1] = content = content + piece
        back = log.run("pread", os.pread, f.fileno(), len(content) + 1, 0)
        log.check(back is None or back == content, f"held file {slot}: {back and len(back)} of {len(content)} bytes")
        st = log.run("fstat", os.fstat, f.fileno())
        log.check(st is None or st.st_nlink == (0 if slot % 2 else 1), f"held file {slot}: {st and st.st_nlink} links")
    for f, _ in held:
        log.run("close", f.close)


def git(directory, log):
    """git: a repository with real history, worked on and checked again and again."""
    source = Path(__file__).resolve().parents[2]
    env = dict(os.environ, HOME="/root", GIT_CONFIG_NOSYSTEM="1", GIT_AUTHOR_NAME="demo", GIT_AUTHOR_EMAIL="demo@lull",
               GIT_COMMITTER_NAME="demo", GIT_COMMITTER_EMAIL="demo@lull")
    repo = directory / "repo"

    def run(*words):
        return subprocess.run(["git", "-c", "gc.auto=0", "-c", "safe.directory=*"] + list(words), check=True, text=True, env=env,
                              cwd=repo if repo.exists() else directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    log.run("git-init", run, "init", "-q", "repo")
    for room in ("include", "kapi", "ldlm"):
        for path in sorted((source / room).glob("**/*")):
            if path.is_file() and path.stat().st_size < 1 << 18:
                to = repo / path.relative_to(source)
                to.parent.mkdir(parents=True, exist_ok=True)
                log.run("copy", shutil.copyfile, path, to)
    log.run("git-add", run, "add", ".")
    log.run("git-commit", run, "commit", "-q", "-m", "all")
    rng, count = random.Random(3), 0
    files = sorted(p for p in repo.glob("*/**/*") if p.is_file() and ".git" not in p.parts)
    while not told_to_stop():
        count += 1
        for path in rng.sample(files, 3):
            with open(path, "a", encoding="utf-8") as f:
                f.write(f"change {count}\n")
        log.run("git-commit", run, "commit", "-q", "-a", "-m", f"change {count}")
        log.run("git-checkout", run, "checkout", "-q", "-B", f"b{count % 3}", "HEAD~1" if count % 2 else "HEAD")
        status = log.run("git-status", run, "status", "--porcelain")
        log.check(not status, f"git status: {status}")
    log.run("git-fsck", run, "fsck", "--full", "--strict")


def fio(directory, log):
    """fio: random writes with checksums, verified, over and over."""
    count = 0
    while not told_to_stop():
        count += 1
        command = ["fio", "--name=verify", f"--directory={directory}", "--rw=randwrite", "--bs=4k-64k", "--size=3M", "--nrfiles=2",
                   "--ioengine=psync", "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--fallocate=none",
                   f"--randseed={count}", "--end_fsync=1", "--minimal"]
        log.run("fio", lambda: subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                              cwd="/tmp"))


def digest(directory, log):
    """Streaming: a larger file written, synced, read back by checksum, truncated."""
    count = 0
    while not told_to_stop():
        count += 1
        path = directory / f"stream{count % 2}"
        rng, want = random.Random(count), hashlib.sha256()
        f = log.run("open", lambda: open(path, "wb", buffering=0))
        if not f:
            continue
        for _ in range(16):
            piece = rng.randbytes(65536)
            want.update(piece)
            log.run("write", f.write, piece)
        log.run("fsync", os.fsync, f.fileno())
        log.run("close", f.close)
        data = log.run("read", path.read_bytes)
        log.check(data is None or hashlib.sha256(data).digest() == want.digest(), f"{path}: checksum")


def exerciser(directory, log):
    """One file through every way there is to change and read it, in random order, against a copy in memory."""
    rng, path, limit = random.Random(17), directory / "file", 256 << 10
    model, count = bytearray(), 0
    fd = os.open(path, os.O_CREAT | os.O_RDWR)

    def grow_to(size):
        model.extend(bytes(max(0, size - len(model))))

    def write():
        at, data = rng.randrange(limit), rng.randbytes(rng.randrange(1, 20000))
        grow_to(at)
        model[at:at + len(data)] = data
        os.pwrite(fd, data, at)

    def append():
        data = rng.randbytes(rng.randrange(1, 5000))
        model.extend(data)
        with open(path, "ab", buffering=0) as f:
            f.write(data)

    def truncate():
        size = rng.randrange(limit)
        grow_to(size)
        del model[size:]
        os.ftruncate(fd, size)

    def map_write():
        if not model:
            return
        at = rng.randrange(len(model))
        data = rng.randbytes(min(rng.randrange(1, 9000), len(model) - at))
        model[at:at + len(data)] = data
        with mmap.mmap(fd, len(model)) as m:
            m[at:at + len(data)] = data

    def map_read():
        if model:
            with mmap.mmap(fd, len(model), prot=mmap.PROT_READ) as m:
                log.check(m[:] == bytes(model), f"mapping of {len(model)} bytes, step {count}")

    def read():
        at, size = rng.randrange(limit), rng.randrange(1, 40000)
        log.check(os.pread(fd, size, at) == bytes(model[at:at + size]), f"read at {at}, step {count}")

    def look():
        log.check(os.fstat(fd).st_size == len(model), f"size {os.fstat(fd).st_size} of {len(model)}, step {count}")

    def sync():
        os.fsync(fd)

    def reopen():
        nonlocal fd
        os.close(fd)
        fd = os.open(path, os.O_RDWR)

    def drop():
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    ways = [write] * 5 + [read] * 6 + [append, truncate, map_write, map_read, look, sync, reopen, drop]
    while not told_to_stop():
        count += 1
        if len(model) > 4 * limit:
            truncate()
        way = rng.choice(ways)
        log.run(way.__name__, way)
    log.check(path.read_bytes() == bytes(model), "the whole file at the end")
    os.close(fd)


def tree(directory, log):
    """cp -a, diff -r, tar, mv and rm -r of a source tree."""
    source, count = Path(__file__).resolve().parents[1], 0

    def run(*words):
        subprocess.run(words, check=True, text=True, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    while not told_to_stop():
        count += 1
        log.run("cp", run, "cp", "-a", str(source), f"copy{count}")
        log.run("tar", run, "tar", "cf", "all.tar", f"copy{count}")
        log.run("mv", run, "mv", f"copy{count}", f"moved{count}")
        log.run("mkdir", run, "mkdir", "again")
        log.run("untar", run, "tar", "xf", "all.tar", "-C", "again")
        log.run("diff", run, "diff", "-r", "--no-dereference", f"moved{count}", f"again/copy{count}")
        log.run("rm", run, "rm", "-r", f"moved{count}", "again", "all.tar")


def build(directory, log):
    """make: C programs compiled, linked and run; only what changed is built again."""
    for i in range(4):
        (directory / f"part{i}.c").write_text(f"#include <stdio.h>\nint part{i}(void) {{ return printf(\"%d\\n\", {i}); }}\n")
    (directory / "main.c").write_text("".join(f"int part{i}(void);" for i in range(4)) +
                                      "int main(void) { " + "".join(f"part{i}();" for i in range(4)) + " return 0; }\n")
    (directory / "Makefile").write_text("prog: $(patsubst %.c,%.o,$(wildcard *.c))\n\tcc -o $@ $^\n")
    rng = random.Random(5)

    def run(*words):
        return subprocess.run(words, check=True, text=True, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    while not told_to_stop():
        log.run("touch", os.utime, directory / f"part{rng.randrange(4)}.c")
        log.run("make", run, "make", "-s")
        log.check(log.run("prog", run, "./prog") in (None, "0\n1\n2\n3\n"), "what the program prints")
        up_to_date = log.run("make", run, "make")
        log.check(up_to_date is None or "up to date" in up_to_date, f"make builds again: {up_to_date}")


def posix(directory, log):
    """Every operation, checked against what POSIX says, again and again."""
    script, count = Path(__file__).resolve().parents[1] / "vm" / "guest" / "posix_ops.py", 0
    while not told_to_stop():
        count += 1
        where = directory / f"round{count}"
        where.mkdir()
        log.run("posix_ops", lambda: subprocess.run([sys.executable, str(script), str(where)], check=True, text=True,
                                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        log.run("rm", shutil.rmtree, where)


def differential(directory, log):
    """Random system calls, each done on an ext4 of this guest as well: tests/posix, one seed after the other."""
    program = Path(__file__).resolve().parents[2] / "build" / "user-fast" / "posix"
    plain = Path(f"/tmp/plain-{directory.name}")
    plain.mkdir()
    subprocess.run(f"truncate -s 256M {plain}.img && mkfs.ext4 -q -b 4096 {plain}.img && modprobe loop && mount -o loop {plain}.img {plain}",
                   shell=True, check=True)
    seed = 0
    while not told_to_stop():
        seed += 1
        log.run("seed", lambda: subprocess.run([str(program), f"--lull={directory}", f"--ext4={plain}", f"--seed={seed}", "--steps=100",
                                                "--quiet-machine", "--patience=400", "--minimize=60"], check=True, text=True,
                                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
    subprocess.run(["umount", str(plain)], check=True)


WORKLOADS = {f.__name__: f for f in (small_files, database, holder, git, fio, digest, exerciser, tree, build, posix, differential)}


def main():
    name, directory, log_path = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    directory.mkdir(parents=True)
    log = Log(log_path)
    try:
        WORKLOADS[name](directory, log)
    finally:
        log.file.close()
    print(f"{name}: {len(log.failures)} failures", flush=True)
    return 1 if log.failures else 0


if __name__ == "__main__":
    sys.exit(main())
