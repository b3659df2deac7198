#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Every operation of issue 1 on a mounted directory, checked against what POSIX says. posix_ops.py DIRECTORY"""

import errno
import mmap
import os
import stat
import sys
import time
from pathlib import Path

ROOT = Path(sys.argv[1])
TESTS = []


def test(function):
    TESTS.append(function)
    return function


class Raises:
    """with Raises(errno.X): the block must fail with X."""

    def __init__(self, number):
        self.number = number

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        assert kind is not None, f"no error, {errno.errorcode[self.number]} expected"
        assert isinstance(error, OSError) and error.errno == self.number, f"{error!r}, {errno.errorcode[self.number]} expected"
        return True


@test
def create_write_read(d):
    (d / "f").write_bytes(b"hello")
    assert (d / "f").read_bytes() == b"hello"
    assert os.stat(d / "f").st_size == 5
    with Raises(errno.EEXIST):
        os.open(d / "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    with Raises(errno.ENOENT):
        os.open(d / "missing", os.O_RDONLY)
    with Raises(errno.EISDIR):
        os.open(d, os.O_WRONLY)
    with Raises(errno.ENOTDIR):
        os.open(d / "f" / "x", os.O_RDONLY)


@test
def large_and_sparse(d):
    piece = bytes(range(256)) * 1024
    with open(d / "big", "wb") as f:
        for _ in range(12):
            f.write(piece)
        f.seek(20 << 20)
        f.write(b"end")
    with open(d / "big", "rb") as f:
        assert all(f.read(len(piece)) == piece for _ in range(12))
        assert f.read(4096) == bytes(4096)
        f.seek(20 << 20)
        assert f.read() == b"end"
    assert os.stat(d / "big").st_size == (20 << 20) + 3
    assert os.stat(d / "big").st_blocks * 512 < 20 << 20


@test
def append(d):
    for i in range(20):
        with open(d / "log", "a", encoding="ascii") as f:
            f.write(f"line {i}\n")
    assert (d / "log").read_text() == "".join(f"line {i}\n" for i in range(20))


@test
def truncate(d):
    (d / "t").write_bytes(b"x" * 10000)
    os.truncate(d / "t", 5000)
    assert (d / "t").read_bytes() == b"x" * 5000
    os.truncate(d / "t", 9000)
    assert (d / "t").read_bytes() == b"x" * 5000 + bytes(4000)
    with open(d / "t", "wb"):
        pass
    assert os.stat(d / "t").st_size == 0


@test
def directories(d):
    os.mkdir(d / "a", 0o750)
    assert stat.S_IMODE(os.stat(d / "a").st_mode) == 0o750
    assert os.stat(d / "a").st_nlink == 2
    os.makedirs(d / "a/b/c")
    assert os.stat(d / "a").st_nlink == 3
    with Raises(errno.ENOTEMPTY):
        os.rmdir(d / "a")
    with Raises(errno.EEXIST):
        os.mkdir(d / "a")
    os.rmdir(d / "a/b/c")
    os.rmdir(d / "a/b")
    os.rmdir(d / "a")
    with Raises(errno.ENOENT):
        os.stat(d / "a")
    with Raises(errno.ENOTDIR):
        (d / "file").write_text("")
        os.rmdir(d / "file")


@test
def readdir_many(d):
    names = {f"file-{i:04}" for i in range(500)}
    for name in names:
        os.close(os.open(d / name, os.O_CREAT | os.O_WRONLY))
    assert set(os.listdir(d)) == names
    for name in sorted(names)[::2]:
        os.unlink(d / name)
    assert set(os.listdir(d)) == set(sorted(names)[1::2])


@test
def unlink_open(d):
    fd = os.open(d / "u", os.O_CREAT | os.O_RDWR)
    os.write(fd, b"still here")
    os.unlink(d / "u")
    assert os.listdir(d) == []
    assert os.fstat(fd).st_nlink == 0
    assert os.pread(fd, 100, 0) == b"still here"
    os.pwrite(fd, b"and more", 10)
    assert os.pread(fd, 100, 0) == b"still hereand more"
    os.close(fd)


@test
def rename_cases(d):
    (d / "a").write_text("a")
    os.rename(d / "a", d / "b")
    assert (d / "b").read_text() == "a" and not (d / "a").exists()
    (d / "c").write_text("c")
    os.rename(d / "c", d / "b")
    assert (d / "b").read_text() == "c"
    os.mkdir(d / "dir1")
    os.mkdir(d / "dir2")
    os.rename(d / "b", d / "dir1" / "b")
    os.rename(d / "dir1", d / "dir2" / "moved")
    assert (d / "dir2/moved/b").read_text() == "c"
    assert os.stat(d / "dir2").st_nlink == 3
    with Raises(errno.EINVAL):
        os.rename(d / "dir2", d / "dir2" / "moved" / "inside")
    os.mkdir(d / "empty")
    with Raises(errno.ENOTEMPTY):
        os.rename(d / "empty", d / "dir2")
    (d / "file").write_text("")
    with Raises(errno.ENOTDIR):
        os.rename(d / "empty", d / "file")
    with Raises(errno.EISDIR):
        os.rename(d / "file", d / "empty")
    os.rename(d / "dir2" / "moved", d / "empty")
    assert (d / "empty/b").read_text() == "c"
    with Raises(errno.ENOENT):
        os.rename(d / "none", d / "x")
    os.link(d / "file", d / "same")
    os.rename(d / "file", d / "same")  # two names of one file: nothing happens
    assert os.stat(d / "file").st_nlink == 2
    fd = os.open(d / "same", os.O_RDWR)
    (d / "other").write_text("other")
    os.rename(d / "other", d / "same")
    os.write(fd, b"replaced, but open")
    assert os.pread(fd, 100, 0) == b"replaced, but open"
    os.close(fd)


@test
def links(d):
    (d / "one").write_text("1")
    os.link(d / "one", d / "two")
    assert os.stat(d / "one").st_nlink == 2 and os.stat(d / "one").st_ino == os.stat(d / "two").st_ino
    os.unlink(d / "one")
    assert (d / "two").read_text() == "1" and os.stat(d / "two").st_nlink == 1
    os.mkdir(d / "dir")
    with Raises(errno.EPERM):
        os.link(d / "dir", d / "dir2")
    os.symlink("two", d / "sym")
    assert os.readlink(d / "sym") == "two" and (d / "sym").read_text() == "1"
    assert stat.S_ISLNK(os.lstat(d / "sym").st_mode)
    os.symlink("x" * 3000, d / "long")
    assert os.readlink(d / "long") == "x" * 3000
    os.symlink("sym-loop", d / "sym-loop")
    with Raises(errno.ELOOP):
        os.stat(d / "sym-loop")


@test
def attributes(d):
    (d / "f").write_text("x")
    os.chmod(d / "f", 0o4711)
    assert stat.S_IMODE(os.stat(d / "f").st_mode) == 0o4711
    os.chown(d / "f", 1234, 5678)
    st = os.stat(d / "f")
    assert (st.st_uid, st.st_gid) == (1234, 5678)
    os.utime(d / "f", ns=(1_000_000_001_000_000_000, 1_100_000_000_500_000_000))
    st = os.stat(d / "f")
    assert (st.st_atime_ns, st.st_mtime_ns) == (1_000_000_001_000_000_000, 1_100_000_000_500_000_000)
    before = time.time() - 5
    with open(d / "f", "a", encoding="ascii") as f:
        f.write("y")
    assert os.stat(d / "f").st_mtime > before
    os.utime(d, (5, 6))
    assert os.stat(d).st_mtime == 6


@test
def permissions(d):
    (d / "secret").write_text("x")
    os.chmod(d / "secret", 0o600)
    os.chmod(d, 0o755)
    child = os.fork()
    if child == 0:
        try:
            os.setresgid(1000, 1000, 1000)
            os.setresuid(1000, 1000, 1000)
            with Raises(errno.EACCES):
                os.open(d / "secret", os.O_RDONLY)
            with Raises(errno.EACCES):
                os.open(d / "new", os.O_CREAT | os.O_WRONLY)
            os._exit(0)
        except BaseException as e:
            print(e)
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@test
def mmap_shared_and_private(d):
    (d / "m").write_bytes(b"a" * 8192)
    with open(d / "m", "r+b") as f:
        with mmap.mmap(f.fileno(), 8192) as m:
            m[0:5] = b"hello"
            m[4096:4101] = b"world"
            m.flush()
            assert os.pread(f.fileno(), 5, 4096) == b"world"
            os.pwrite(f.fileno(), b"WRITE", 100)
            assert m[100:105] == b"WRITE"
        with mmap.mmap(f.fileno(), 8192, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as m:
            m[0:5] = b"12345"
            assert os.pread(f.fileno(), 5, 0) == b"hello"
    # A read into a mapping of the same file: the fault happens inside the read.
    with open(d / "m", "r+b") as f, mmap.mmap(f.fileno(), 8192) as m:
        assert os.preadv(f.fileno(), [memoryview(m)[4096:]], 0) == 4096
        assert m[4096:4101] == b"hello"
        assert os.pwritev(f.fileno(), [memoryview(m)[0:4096]], 4096) == 4096


@test
def fsync_and_statfs(d):
    with open(d / "s", "wb") as f:
        f.write(b"durable")
        f.flush()
        os.fsync(f.fileno())
        os.fdatasync(f.fileno())
    fd = os.open(d, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    st = os.statvfs(d)
    assert st.f_blocks > 0 and 0 < st.f_bavail <= st.f_blocks and st.f_files > 0 and st.f_namemax == 255


@test
def names(d):
    (d / ("n" * 255)).write_text("long")
    assert (d / ("n" * 255)).read_text() == "long"
    with Raises(errno.ENAMETOOLONG):
        (d / ("n" * 256)).write_text("too long")
    (d / "späße \n☃").write_text("bytes")
    assert sorted(os.listdir(d))[-1] == "späße \n☃"


@test
def layout(d):
    os.mkdir(d / "wide")
    os.setxattr(d / "wide", "lull.layout", b"stripe_count=2 stripe_size=65536")
    text = os.getxattr(d / "wide", "lull.layout").decode()
    assert "stripe_count=2" in text and "stripe_size=65536" in text, text
    data = os.urandom(1 << 20)
    (d / "wide" / "f").write_bytes(data)
    assert (d / "wide" / "f").read_bytes() == data
    text = os.getxattr(d / "wide" / "f", "lull.layout").decode()
    assert "stripe_count=2" in text, text
    os.truncate(d / "wide" / "f", 100_000)
    assert (d / "wide" / "f").read_bytes() == data[:100_000]
    with Raises(errno.EINVAL):
        os.setxattr(d / "wide", "lull.layout", b"stripe_size=77")
    with Raises(errno.EINVAL):
        os.setxattr(d / "wide" / "f", "lull.layout", b"stripe_count=1")


@test
def special_files(d):
    os.mkfifo(d / "fifo")
    assert stat.S_ISFIFO(os.stat(d / "fifo").st_mode)
    os.mknod(d / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert os.stat(d / "null").st_rdev == os.makedev(1, 3)


def main():
    failures = 0
    for function in TESTS:
        directory = ROOT / function.__name__
        os.mkdir(directory)
        try:
            function(directory)
            print(f"ok {function.__name__}", flush=True)
        except (AssertionError, OSError) as e:
            failures += 1
            line = e.__traceback__
            while line.tb_next:
                line = line.tb_next
            print(f"FAILED {function.__name__} line {line.tb_lineno}: {e!r}", flush=True)
    return 1 if failures else 0


sys.exit(main())
