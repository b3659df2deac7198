# SPDX-License-Identifier: GPL-2.0-only
"""One side of a test of file locks on two clients: file_locks.py FILE. Commands come on standard input, one a line; each is answered with
one line. Kinds are "flock" and "fcntl", types "sh", "ex" and "un".

  lock KIND TYPE START LEN     waits: "ok" or the error's name      try KIND TYPE START LEN      does not wait
  get TYPE START LEN           F_GETLK: "free" or "TYPE START LEN"   hold KIND TYPE START LEN     answers "waiting", then, when it is granted, "granted"
  close                        and opens again                      child KIND TYPE START LEN    a child locks and exits: "ok"
  alarm KIND TYPE START LEN    waits at most a second: "EINTR"      quit
"""

import errno
import fcntl
import os
import signal
import struct
import sys

TYPES = {"sh": fcntl.F_RDLCK, "ex": fcntl.F_WRLCK, "un": fcntl.F_UNLCK}
FLOCK = {"sh": fcntl.LOCK_SH, "ex": fcntl.LOCK_EX, "un": fcntl.LOCK_UN}
LAYOUT = "hhqqi4x"  # struct flock on x86-64


class Interrupted(Exception):
    pass


def interrupt(*_):
    raise Interrupted


def lock(fd, kind, how, start, length, wait):
    if kind == "flock":
        fcntl.flock(fd, FLOCK[how] | (0 if wait else fcntl.LOCK_NB))
    else:
        arg = struct.pack(LAYOUT, TYPES[how], os.SEEK_SET, start, length, 0)
        fcntl.fcntl(fd, fcntl.F_SETLKW if wait else fcntl.F_SETLK, arg)


def get(fd, how, start, length):
    arg = struct.pack(LAYOUT, TYPES[how], os.SEEK_SET, start, length, 0)
    kind, _, start, length, _ = struct.unpack(LAYOUT, fcntl.fcntl(fd, fcntl.F_GETLK, arg))
    if kind == fcntl.F_UNLCK:
        return "free"
    return f"{'sh' if kind == fcntl.F_RDLCK else 'ex'} {start} {length}"


def say(text):
    print(text, flush=True)


def attempt(fn):
    try:
        fn()
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]
    except Interrupted:
        return "EINTR"


def main():
    path = sys.argv[1]
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    signal.signal(signal.SIGALRM, interrupt)
    say("ready")
    for line in sys.stdin:
        command, *args = line.split()
        if command == "quit":
            break
        if command == "close":
            os.close(fd)
            fd = os.open(path, os.O_RDWR)
            say("ok")
            continue
        if command == "get":
            say(get(fd, args[0], int(args[1]), int(args[2])))
            continue
        what = (fd, args[0], args[1], int(args[2]), int(args[3]))
        if command == "lock":
            say(attempt(lambda: lock(*what, True)))
        elif command == "try":
            say(attempt(lambda: lock(*what, False)))
        elif command == "hold":
            say("waiting")
            result = attempt(lambda: lock(*what, True))
            say("granted" if result == "ok" else result)
        elif command == "alarm":
            signal.setitimer(signal.ITIMER_REAL, 1)
            say(attempt(lambda: lock(*what, True)))
            signal.setitimer(signal.ITIMER_REAL, 0)
        elif command == "child":
            pid = os.fork()
            if pid == 0:
                own = os.open(path, os.O_RDWR)
                lock(own, *what[1:], True)
                os._exit(0)
            say("ok" if os.waitpid(pid, 0)[1] == 0 else "failed")
        else:
            say("what?")


main()
