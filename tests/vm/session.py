# SPDX-License-Identifier: GPL-2.0-only
"""The line to a guest, and the commands that run at its other end."""

import re
import signal
import struct
import threading
import time
from dataclasses import dataclass

from lab_errors import CommandTimeout, LabError, NodeDown

CONNECT_DEADLINE_S = 60

# Messages to and from agent.cc.
START, INPUT, KILL, RESIZE = 1, 2, 3, 4
HELLO, OUTPUT, EXIT = 16, 17, 18
HEADER = struct.Struct("<III")


@dataclass
class Completed:
    rc: int
    out: str


class Process:
    """A program running in a guest."""

    def __init__(self, session, number, command):
        self._session = session
        self._number = number
        self._command = command
        self._changed = threading.Condition()
        self._chunks = []
        self._rc = None
        self._lost = None
        self._sink = None

    def _on_output(self, data):
        with self._changed:
            self._chunks.append(data)
            sink = self._sink
            self._changed.notify_all()
        if sink:
            sink(data)

    def _on_exit(self, rc):
        with self._changed:
            self._rc = rc
            self._changed.notify_all()

    def _on_lost(self, why):
        with self._changed:
            if self._rc is None:
                self._lost = why
            self._changed.notify_all()

    def output(self):
        """What it has printed so far, standard error included."""
        with self._changed:
            return b"".join(self._chunks).decode("utf-8", "replace")

    def poll(self):
        """Its exit status (128 + signal if killed), or None; NodeDown if its guest is gone."""
        with self._changed:
            if self._lost:
                raise NodeDown(f"{self._lost} while running: {self._command}")
            return self._rc

    def _ended(self):
        return self._rc is not None or self._lost

    def wait(self, timeout=60):
        """Completed; CommandTimeout (and the program goes on), or NodeDown."""
        with self._changed:
            if not self._changed.wait_for(self._ended, timeout):
                tail = b"".join(self._chunks[-20:]).decode("utf-8", "replace")
                raise CommandTimeout(f"{self._session.node}: no end after {timeout} s of: "
                                     f"{self._command}\n{tail}")
        return Completed(self.poll(), self.output())

    def wait_output(self, pattern, timeout=60):
        """Waits until the output matches a regular expression; returns the match."""
        wanted = re.compile(pattern, re.M)
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                text = b"".join(self._chunks).decode("utf-8", "replace")
                found = wanted.search(text)
                if found:
                    return found
                left = deadline - time.monotonic()
                if self._ended() or left <= 0:
                    why = "ended" if self._ended() else "timed out"
                    raise LabError(f"{self._session.node}: {why} before output of '{pattern}': "
                                   f"{self._command}\n{text}")
                self._changed.wait(left)

    def kill(self, sig=signal.SIGKILL):
        """Sends a signal to it and its children. Nothing happens when it has ended."""
        if not self._ended():
            self._session.send(self._number, KILL, struct.pack("<I", int(sig)))

    def write(self, data):
        """To its standard input (of a popen with stdin=True)."""
        self._session.send(self._number, INPUT, data.encode() if isinstance(data, str) else data)

    def close_input(self):
        self._session.send(self._number, INPUT, b"")

    def resize(self, rows, columns):
        self._session.send(self._number, RESIZE, struct.pack("<II", rows, columns))


class Session:
    """The line to one life of a guest."""

    def __init__(self, node, listener):
        self.node = node
        self.kernel_version = None
        self._listener = listener
        self._changed = threading.Condition()
        self._send_lock = threading.Lock()
        self._socket = None
        self._processes = {}
        self._next = 1
        self._over = None
        threading.Thread(target=self._serve, daemon=True, name=f"lab-{node}").start()

    def _serve(self):
        try:
            self._listener.settimeout(CONNECT_DEADLINE_S)
            self._socket, _ = self._listener.accept()
            self._listener.close()
            stream = self._socket.makefile("rb", buffering=1 << 20)
            while head := stream.read(HEADER.size):
                size, number, kind = HEADER.unpack(head)
                self._message(number, kind, stream.read(size))
        except (OSError, struct.error):
            pass
        self.end(f"{self.node} is down")

    def _message(self, number, kind, payload):
        with self._changed:
            process = self._processes.get(number)
            if kind == HELLO:
                self.kernel_version = payload.decode()
                self._changed.notify_all()
            if kind == EXIT:
                self._processes.pop(number, None)
        if process and kind == OUTPUT:
            process._on_output(payload)
        elif process and kind == EXIT:
            process._on_exit(struct.unpack("<i", payload)[0])

    def end(self, why):
        with self._changed:
            if self._over:
                return
            self._over = why
            processes = list(self._processes.values())
            self._changed.notify_all()
        for process in processes:
            process._on_lost(why)

    def wait_hello(self, timeout):
        with self._changed:
            self._changed.wait_for(lambda: self.kernel_version or self._over, timeout)
            return self.kernel_version is not None and not self._over

    @property
    def up(self):
        return self.kernel_version is not None and not self._over

    @property
    def over(self):
        return self._over

    def send(self, number, kind, payload):
        try:
            with self._send_lock:
                self._socket.sendall(HEADER.pack(len(payload), number, kind) + payload)
        except (OSError, AttributeError) as error:
            raise NodeDown(f"{self.node} is down") from error

    def start(self, command, pty=None):
        """Starts a command, on a terminal if `pty` has its lines and columns."""
        with self._changed:
            if not self.up:
                raise NodeDown(self._over or f"{self.node} is not up")
            number = self._next
            self._next += 1
            process = self._processes[number] = Process(self, number, command)
        head = struct.pack("<III", *((1, pty.lines, pty.columns) if pty else (0, 0, 0)))
        self.send(number, START, head + command.encode())
        return process
