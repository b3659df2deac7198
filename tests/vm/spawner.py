# SPDX-License-Identifier: GPL-2.0-only
"""Child processes that end with this one."""

import queue
import subprocess
import threading


class Spawner:
    """Starts children from one thread that lives as long as python does: the signal a child asks
    for on its parent's death comes at the death of the parent's thread."""

    def __init__(self):
        self._queue = queue.Queue()
        self._thread = None
        self._lock = threading.Lock()

    def popen(self, argv, **options):
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, daemon=True, name="lab-spawner")
                self._thread.start()
        answer = queue.Queue()
        self._queue.put((argv, options, answer))
        result = answer.get()
        if isinstance(result, Exception):
            raise result
        return result

    def _serve(self):
        while True:
            argv, options, answer = self._queue.get()
            try:
                argv = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
                answer.put(subprocess.Popen(argv, **options))
            except OSError as error:
                answer.put(error)


spawner = Spawner()
